"""Rules for every page."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from playwright.async_api import ViewportSize

from app.adapters.mail import print_mail
from app.main import open_resources
from app.repositories import search_bounds
from app.web.kit.routes import PageRoute
from tests.conftest import CountStatements, SetClock, make_client
from tests.databases import delete_all_rows, settings_for
from tests.people import Person, make_admin
from tests.web.axe import violations
from tests.web.conftest import Forms, OpenTab, Tab
from tests.web.table import ALL_ROLES, MAX_BYTES, NO_PAGES, PAGES, PATIENT, SIGNED_OUT, World, pages_of, weigh

SMALLEST_TEXT, SMALLEST_TARGET = 15, 44  # pixels
WIDE = ViewportSize(width=1280, height=800)
NARROW = ViewportSize(width=320, height=640)
TABLET = ViewportSize(width=768, height=1024)
ZOOMED = ViewportSize(width=640, height=400)
"""A desktop screen at 200 %."""
RANDOM = re.compile(
    r'[0-9a-f]{8}-[0-9a-f-]{27}|(?<=form_token" value=")[^"]+|(?<=form_key" value=")[^"]+'
    r'|(?<=content_version" value=")[^"]+|(?<=[^_]token" value=")[^"]+|(?<=token=)[\w-]+|(?<=token%3D)[\w-]+'
    r'|(?<=cursor=)[\w-]+|(?<=after=)[\w-]+|(?<=number">)[0-9a-f]{6}\b|(?<=[a-z])\d+(?=@)'
)
"""Ids and values derived from them, and the numbers in e-mail addresses, which differ from test to test."""

# The smallest visible text, and where it is.
SMALL_TEXT = """(smallest) => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, parent = text.parentElement;
    if (text.data.trim() && parent.checkVisibility() && parseFloat(getComputedStyle(parent).fontSize) < smallest)
      found.push(text.data.trim());
  }
  return found;
}"""


# Elements that move although the visitor prefers reduced motion.
MOVING = """() => [...document.querySelectorAll("*")].filter(each => {
  const style = getComputedStyle(each);
  return style.animationName !== "none" || parseFloat(style.transitionDuration) || style.scrollBehavior === "smooth";
}).map(each => `moves: ${each.outerHTML.slice(0, 80)}`)"""

# Targets that are too small for a finger.
SMALL_TARGETS = """(smallest) => [...document.querySelectorAll(
  "button, .button, input:not([type=hidden], [type=checkbox], [type=radio]), select, textarea"
)].filter(each => each.checkVisibility() && each.getBoundingClientRect().height < smallest)
  .map(each => each.outerHTML.slice(0, 80))"""


@pytest.fixture
async def world(app: FastAPI, client: httpx2.AsyncClient, admin: Person, clock: SetClock) -> World:
    return await World.make(app.state.resources, client, admin, clock)


def test_every_page_has_a_row(assembled: FastAPI) -> None:
    routes = [context.original_route for context in iter_route_contexts(assembled.routes)]
    shown = {route.path for route in routes if isinstance(route, PageRoute) and route.methods == {"GET"}}
    assert shown == PAGES.keys() | NO_PAGES


class Seen(HTMLParser):
    """The elements of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.title = ""
        self.labelled: set[str | None] = set()
        self._in_label = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self._in_label |= tag == "label"
        if self._in_label:
            self.labelled.add(attributes.get("for", attributes.get("id")))

    def handle_endtag(self, tag: str) -> None:
        self._in_label &= tag != "label"

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "title" and not self.title:
            self.title = data.strip()

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name))]


def defects(answer: httpx2.Response) -> Iterator[str]:
    """Return the faults in the HTML of a page."""
    seen = Seen(answer.text)
    names = [tag for tag, _ in seen.tags]
    if names.count("h1") != 1:
        yield f"{names.count('h1')} headings of the first order"
    if not seen.title.removesuffix("· Appointments").strip():
        yield "no title"
    if not seen.tags[0][1].get("lang"):
        yield "no language"
    yield from (f"id twice: {name}" for name, count in Counter(seen.values("id")).items() if count > 1)
    for tag, attributes in seen.tags:
        is_field = tag in {"input", "select", "textarea"} and attributes.get("type") != "hidden"
        if is_field and attributes.get("id") not in seen.labelled and "aria-label" not in attributes:
            yield f"no label: {attributes}"
        yield from (f"{name} in <{tag}>" for name in attributes if name == "style" or name.startswith("on"))
    if "script" in names:
        yield "a script"
    addresses = [*seen.values("href"), *seen.values("src"), *seen.values("action")]
    yield from (f"leads elsewhere: {each}" for each in addresses if not re.match(r"[/#?](?!/)", each))
    policy = answer.headers["Content-Security-Policy"]
    if "default-src 'none'" not in policy or "script-src" in policy:
        yield f"policy: {policy}"


@pytest.mark.parametrize("who", ALL_ROLES)
async def test_every_page_is_sound(forms: Forms, client: httpx2.AsyncClient, world: World, who: str) -> None:
    await world.enter(forms, who)
    found = []
    for where, is_there in pages_of(who):
        answer = await client.get(world.address(where), headers={"Accept": "text/html"})
        assert answer.is_success == is_there, where
        found += [f"{where}: {defect}" for defect in defects(answer)]
        weight = await weigh(client, answer)
        found += [f"{where}: {weight} bytes"] if weight > MAX_BYTES else []
    assert not found


@pytest.mark.parametrize("who", ALL_ROLES)
async def test_more_data_takes_no_more_statements(
    forms: Forms, client: httpx2.AsyncClient, world: World, count_statements: CountStatements, who: str
) -> None:
    await world.enter(forms, who)

    async def look() -> dict[str, int]:
        taken = {}
        for where, _ in pages_of(who):
            await client.get(world.address(where))  # cached values
            count_statements()
            await client.get(world.address(where))
            taken[where] = count_statements()
        return taken

    before = await look()
    await world.grow()
    assert await look() == before


async def test_both_databases_show_the_same(
    assembled: FastAPI, sqlite_template: Path, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_bounds, "ring_position", lambda _id: 0)  # otherwise random ids decide the order
    shutil.copy(sqlite_template, tmp_path / "test.db")
    await delete_all_rows(postgresql_url)
    on_sqlite, on_postgresql = [
        await show(assembled, url) for url in (f"sqlite+aiosqlite:///{tmp_path}/test.db", postgresql_url)
    ]
    assert on_sqlite == on_postgresql


async def show(assembled: FastAPI, url: str) -> dict[tuple[str, str], str]:
    """Return all pages of a clinic on this database, for every role, without random parts."""
    clock = SetClock()
    shown = {}
    async with open_resources(settings_for(url), clock, print_mail) as resources, make_client(assembled) as client:
        assembled.state.resources = resources
        admin = await make_admin(resources, client, clock.time)
        world = await World.make(resources, client, admin, clock)
        for who in ALL_ROLES:
            client.cookies.clear()
            await world.enter(Forms(client), who)
            for where, _ in pages_of(who):
                answer = await client.get(world.address(where), headers={"Accept": "text/html"})
                shown[who, where] = RANDOM.sub("", answer.text)
    return shown


class TestInABrowser:
    @pytest.fixture
    def backend(self) -> str:
        """Use one database, because the tests do not depend on it."""
        return "sqlite"

    @pytest.fixture
    async def tab(self, open_tab: OpenTab) -> Tab:
        # Pages have no scripts and may not run any. The tests inject theirs by the browser's own protocol.
        return await open_tab(java_script_enabled=True, viewport=WIDE, reduced_motion="reduce")

    @pytest.mark.parametrize("who", ALL_ROLES)
    async def test_every_page_can_be_read_and_used(
        self, tab: Tab, forms: Forms, client: httpx2.AsyncClient, world: World, who: str
    ) -> None:
        await world.enter(forms, who)
        cookies = [
            {"name": cookie.name, "value": cookie.value or "", "url": tab.address} for cookie in client.cookies.jar
        ]
        await tab.page.context.add_cookies(cookies)  # type: ignore[arg-type] # a dictionary all the same
        found = []
        # German words are the longest.
        for size, language in (WIDE, "en"), (NARROW, "de"):
            await tab.page.set_viewport_size(size)
            await tab.page.context.add_cookies([{"name": "language", "value": language, "url": tab.address}])
            for where, is_there in pages_of(who):
                assert (await tab.go(world.address(where)) < 400) == is_there, where
                assert await tab.page.locator("html").get_attribute("lang") == language
                found += [f"{where}: {size['width']} px, {defect}" for defect in await self.look(tab, who, size)]
        assert not found

    async def look(self, tab: Tab, who: str, screen: ViewportSize) -> list[str]:
        """Return the faults of a page in a browser, on this screen, and at the widths of others."""
        page = tab.page
        found = await violations(page)
        found += await page.evaluate(MOVING)
        if who in {SIGNED_OUT, PATIENT}:
            found += await page.evaluate(SMALL_TEXT, SMALLEST_TEXT)
            found += await page.evaluate(SMALL_TARGETS, SMALLEST_TARGET)
        for size in (NARROW, TABLET, ZOOMED, screen):
            await page.set_viewport_size(size)
            width = await page.evaluate("document.documentElement.scrollWidth")
            found += [f"{width} px wide on {size['width']}"] if width > size["width"] else []
        return found
