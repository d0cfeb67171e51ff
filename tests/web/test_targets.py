"""Every link and form that a page shows works for the person who sees it."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx2
import pytest
from fastapi import FastAPI

from tests.conftest import SetClock
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.table import ADMIN, ALL_ROLES, DOCTOR, World, pages_of

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d{2}-\d{2}")
ENDS_SESSION = {"/sign-out", "/my/account/sessions/end"}
REMOVES = ("/withdraw", "/remove", "/cancel", "/release", "/end", "/data")
"""The last parts of the paths of forms that remove something that other forms need."""


@dataclass
class Sent:
    """A form with the values that a browser would send."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Targets(HTMLParser):
    """The links and forms of a page. The first button of a form counts as pressed, and every checkbox as ticked."""

    def __init__(self, page: str, html: str) -> None:
        super().__init__()
        self._page = page
        self._form: Sent | None = None
        self.links: list[str] = []
        self.forms: list[Sent] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in attributes:
            self.links.append(urljoin(self._page, attributes["href"]).partition("#")[0])
        elif tag == "form":
            self._form = Sent(attributes.get("method", "get"), urljoin(self._page, attributes.get("action", "")))
            self.forms.append(self._form)
        elif self._form and tag in {"input", "button", "select", "textarea"} and "name" in attributes:
            self._form.fields.setdefault(attributes["name"], attributes.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None


@pytest.fixture
def backend() -> str:
    """Use one database, because the tests do not depend on it."""
    return "sqlite"


@pytest.fixture
async def world(app: FastAPI, client: httpx2.AsyncClient, admin: Person, clock: SetClock) -> World:
    return await World.make(app.state.resources, client, admin, clock)


async def collect(client: httpx2.AsyncClient, world: World, who: str) -> tuple[dict[str, str], list[Sent]]:
    """Return the links and forms of all pages, one of each kind. Forms that remove something come last."""
    links: dict[str, str] = {}
    sent: dict[str, Sent] = {}
    for page in (world.address(where) for where, is_there in pages_of(who) if is_there):
        found = Targets(page, (await client.get(page)).text)
        links |= {ID.sub("…", link): link for link in found.links}
        sent |= {ID.sub("…", form.action): form for form in found.forms if form.action not in ENDS_SESSION}
    return links, sorted(sent.values(), key=lambda form: (form.action.endswith(REMOVES), form.action.endswith("/data")))


async def send(client: httpx2.AsyncClient, form: Sent, fields: dict[str, str]) -> httpx2.Response:
    if form.method == "get":
        return await client.get(form.action, params=fields)
    return await client.post(form.action, data=fields)


@pytest.mark.parametrize("who", ALL_ROLES)
async def test_every_link_and_form_works_for_its_reader(
    forms: Forms, client: httpx2.AsyncClient, world: World, who: str
) -> None:
    await world.enter(forms, who)
    client.headers["Accept"] = "text/html"
    links, sent = await collect(client, world, who)
    refused = [link for link in links.values() if (await client.get(link)).status_code in {403, 404}]
    for form in sent:
        answer = await send(client, form, form.fields)
        refused += [form.action] if answer.status_code in {403, 404} else []
    assert not refused


@pytest.mark.parametrize("typed", [None, "", "\u200fnot this"], ids=["missing", "empty", "garbage"])
@pytest.mark.parametrize("who", ALL_ROLES)
async def test_a_refused_form_says_what_is_wrong(
    forms: Forms, client: httpx2.AsyncClient, world: World, who: str, typed: str | None
) -> None:
    await world.enter(forms, who)
    client.headers["Accept"] = "text/html"
    _, sent = await collect(client, world, who)
    statuses = set()
    for form in sent:
        fields = {} if typed is None else dict.fromkeys(form.fields, typed)
        answer = await send(client, form, fields | {"form_token": form.fields.get("form_token", "")})
        statuses.add(answer.status_code)
        promised = "Check the marked fields" in answer.text
        assert not promised or 'class="error"' in answer.text, form.action
    assert 422 in statuses


@pytest.mark.parametrize("who", [DOCTOR, ADMIN])
async def test_only_patients_are_offered_times_to_book(
    forms: Forms, client: httpx2.AsyncClient, world: World, who: str
) -> None:
    await world.enter(forms, who)
    for page in "/", world.address("/with/{doctor}"):
        shown = (await client.get(page)).text
        assert "/visit/pick" not in shown
        assert 'class="time' in shown


async def test_an_administrator_is_not_offered_to_erase_the_own_account(
    forms: Forms, client: httpx2.AsyncClient, world: World
) -> None:
    await world.enter(forms, ADMIN)
    shown = (await client.get("/my/account/data")).text
    assert "Delete my account" not in shown
    assert "Another administrator can suspend it." in shown
