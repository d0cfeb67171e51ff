"""Rules for every page."""

import re
import shutil
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from playwright.async_api import ViewportSize

from app.http.routes import list_routes
from app.main import open_resources
from app.repositories import search_bounds
from app.web.kit.routes import PageRoute
from tests.conftest import CountStatements, SetClock, make_client
from tests.databases import delete_all_rows, settings_for
from tests.people import Person, make_admin
from tests.web.axe import find_violations
from tests.web.conftest import DESK, NARROW, Forms, OpenTab, Tab
from tests.web.markup import find_defects
from tests.web.table import ADMIN, ALL_ROLES, MAX_BYTES, NO_PAGES, PAGES, PATIENT, SIGNED_OUT, World, pages_of, weigh
from tests.web.visible_faults import MIN_TARGET_PIXELS, MIN_TEXT_PIXELS, MOVING, SMALL_TARGETS, SMALL_TEXT

TABLET = ViewportSize(width=768, height=1024)
ZOOMED = ViewportSize(width=640, height=400)
"""A desktop screen at 200 %."""
RANDOM = re.compile(
    r'[0-9a-f]{8}-[0-9a-f-]{27}|(?<=form_token" value=")[^"]+|(?<=form_key" value=")[^"]+'
    r'|(?<=content_version" value=")[^"]+|(?<=[^_]token" value=")[^"]+|(?<=token=)[\w-]+|(?<=token%3D)[\w-]+'
    r'|(?<=cursor=)[\w-]+|(?<=after=)[\w-]+|(?<=number">)[0-9a-f]{6}\b|(?<=[a-z])\d+(?=@)'
)
"""Ids and values derived from them, and the numbers in email addresses, which differ from test to test."""


@pytest.fixture
async def world(app: FastAPI, client: httpx2.AsyncClient, admin: Person, clock: SetClock) -> World:
    return await World.make(app.state.resources, client, admin, clock)


def test_every_page_has_a_row_in_the_table(assembled: FastAPI) -> None:
    pages = [route for route in list_routes(assembled) if isinstance(route, PageRoute)]
    assert {page.path for page in pages if page.methods == {"GET"}} == PAGES.keys() | NO_PAGES


async def test_every_page_is_sound(forms: Forms, client: httpx2.AsyncClient, world: World) -> None:
    failures = []
    for role in ALL_ROLES:
        client.cookies.clear()
        await world.enter(forms, role)
        for path, exists in pages_of(role):
            response = await client.get(world.address(path), headers={"Accept": "text/html"})
            found = [*find_defects(response)]
            if response.is_success != exists:
                found.append(f"status {response.status_code}")
            if (weight := await weigh(client, response)) > MAX_BYTES:
                found.append(f"{weight} bytes")
            failures += [f"{role} on {path}: {defect}" for defect in found]
    assert not failures


async def test_more_data_takes_no_more_statements(
    forms: Forms, client: httpx2.AsyncClient, world: World, count_statements: CountStatements
) -> None:
    async def count_for_every_page() -> dict[tuple[str, str], int]:
        counted = {}
        for role in ALL_ROLES:
            client.cookies.clear()
            await world.enter(forms, role)
            for path, _ in pages_of(role):
                await client.get(world.address(path))  # fills the caches
                count_statements()
                await client.get(world.address(path))
                counted[role, path] = count_statements()
        return counted

    before = await count_for_every_page()
    await world.grow()
    assert await count_for_every_page() == before


async def test_both_databases_show_the_same(
    assembled: FastAPI, sqlite_template: Path, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_bounds, "ring_position", lambda _id: 0)  # otherwise random ids decide the order
    shutil.copy(sqlite_template, tmp_path / "test.db")
    await delete_all_rows(postgresql_url)
    on_sqlite, on_postgresql = [
        await read_every_page(assembled, url) for url in (f"sqlite+aiosqlite:///{tmp_path}/test.db", postgresql_url)
    ]
    assert on_sqlite == on_postgresql


async def read_every_page(assembled: FastAPI, url: str) -> dict[tuple[str, str], str]:
    """Return all pages of a clinic on this database, for every role, without random parts."""
    clock = SetClock()
    pages = {}
    async with open_resources(settings_for(url), clock, None) as resources, make_client(assembled) as client:
        assembled.state.resources = resources
        admin = await make_admin(resources, client, clock.time)
        world = await World.make(resources, client, admin, clock)
        for role in ALL_ROLES:
            client.cookies.clear()
            await world.enter(Forms(client), role)
            not_pages = (path.replace("{appointment_id:uuid}", "{visit}") for path in NO_PAGES)
            for path in (*(path for path, _ in pages_of(role)), *not_pages):
                response = await client.get(world.address(path), headers={"Accept": "text/html"})
                pages[role, path] = RANDOM.sub("", response.text)
    return pages


class TestInABrowser:
    @pytest.fixture
    def backend(self) -> str:
        """Use one database, because the test does not depend on it."""
        return "sqlite"

    @pytest.fixture
    async def tab(self, open_tab: OpenTab) -> Tab:
        # Pages have no scripts and may not run any. The test injects its own by the browser's protocol.
        return await open_tab(java_script_enabled=True, viewport=DESK, reduced_motion="reduce")

    async def test_every_page_can_be_read_and_used(
        self, tab: Tab, forms: Forms, client: httpx2.AsyncClient, world: World
    ) -> None:
        failures = []
        for role in ALL_ROLES:
            client.cookies.clear()
            await world.enter(forms, role)
            # In German, whose words are the longest.
            cookies = {cookie.name: cookie.value or "" for cookie in client.cookies.jar} | {"language": "de"}
            await tab.page.context.clear_cookies()
            await tab.page.context.add_cookies(
                [{"name": name, "value": value, "url": tab.address} for name, value in cookies.items()]
            )
            for path, exists in pages_of(role):
                status = await tab.go(world.address(path))
                found = [] if (status < 400) == exists else [f"status {status}"]
                found += await self.find_faults(tab, role)
                failures += [f"{role} on {path}: {fault}" for fault in found]
        assert not failures

    async def find_faults(self, tab: Tab, role: str) -> list[str]:
        """Return the faults of the page that the tab shows, on several screens."""
        page = tab.page
        language = await page.locator("html").get_attribute("lang")
        found = [] if language == "de" else [f"language {language}"]
        for size in (TABLET, ZOOMED, DESK, NARROW):
            await page.set_viewport_size(size)
            width = await page.evaluate("document.documentElement.scrollWidth")
            faults = [f"{width} px wide"] if width > size["width"] else []
            if size in (DESK, NARROW):
                faults += await find_violations(page)
                faults += await page.evaluate(MOVING)
                if role != ADMIN:
                    faults += await page.evaluate(SMALL_TARGETS, MIN_TARGET_PIXELS)
                if role in {SIGNED_OUT, PATIENT}:
                    faults += await page.evaluate(SMALL_TEXT, MIN_TEXT_PIXELS)
            found += [f"at {size['width']} px: {fault}" for fault in faults]
        return found
