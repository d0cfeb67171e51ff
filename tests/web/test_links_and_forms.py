"""Every link and form that a page shows works for the role that sees it."""

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
SIGN_OUT_ACTIONS = {"/sign-out", "/my/account/sessions/end"}
REMOVAL_ENDINGS = ("/withdraw", "/remove", "/cancel", "/release", "/end", "/data")
"""The last parts of the paths of forms that remove something that other forms need."""


@dataclass
class Form:
    """A form with the values that a browser would send."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class LinksAndForms(HTMLParser):
    """The links and forms of a page. The first button of a form counts as pressed, and every checkbox as ticked."""

    def __init__(self, page: str, html: str) -> None:
        super().__init__()
        self._page = page
        self._form: Form | None = None
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in attributes:
            self.links.append(urljoin(self._page, attributes["href"]).partition("#")[0])
        elif tag == "form":
            self._form = Form(attributes.get("method", "get"), urljoin(self._page, attributes.get("action", "")))
            self.forms.append(self._form)
        elif self._form and tag in {"input", "button", "select", "textarea"} and "name" in attributes:
            is_chosen = tag == "button" or attributes.get("type") == "radio"
            # A form that sends a field twice is refused.
            assert is_chosen or attributes["name"] not in self._form.fields, attributes["name"]
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


async def collect(client: httpx2.AsyncClient, world: World, role: str) -> tuple[dict[str, str], list[Form]]:
    """Return the links and forms of all pages, one of each kind. Forms that remove something come last."""
    links: dict[str, str] = {}
    found: dict[str, Form] = {}
    for page in (world.address(path) for path, exists in pages_of(role) if exists):
        shown = LinksAndForms(page, (await client.get(page)).text)
        links |= {ID.sub("…", link): link for link in shown.links}
        found |= {ID.sub("…", form.action): form for form in shown.forms if form.action not in SIGN_OUT_ACTIONS}
    return links, sorted(
        found.values(), key=lambda form: (form.action.endswith(REMOVAL_ENDINGS), form.action.endswith("/data"))
    )


async def send(client: httpx2.AsyncClient, form: Form, fields: dict[str, str]) -> httpx2.Response:
    if form.method == "get":
        return await client.get(form.action, params=fields)
    return await client.post(form.action, data=fields)


@pytest.mark.parametrize("role", ALL_ROLES)
async def test_every_link_and_form_works_for_its_reader(
    forms: Forms, client: httpx2.AsyncClient, world: World, role: str
) -> None:
    await world.enter(forms, role)
    client.headers["Accept"] = "text/html"
    links, found = await collect(client, world, role)
    refused = [link for link in links.values() if (await client.get(link)).status_code in {403, 404}]
    for form in found:
        response = await send(client, form, form.fields)
        refused += [form.action] if response.status_code in {403, 404} else []
    assert not refused


@pytest.mark.parametrize("role", ALL_ROLES)
async def test_refused_form_marks_the_wrong_fields(
    forms: Forms, client: httpx2.AsyncClient, world: World, role: str
) -> None:
    await world.enter(forms, role)
    client.headers["Accept"] = "text/html"
    _, found = await collect(client, world, role)
    failures, refused = [], set()
    for form in found:
        for name, fields in {
            "missing": {},
            "empty": dict.fromkeys(form.fields, ""),
            "garbage": dict.fromkeys(form.fields, "\u200fnot this"),
        }.items():
            response = await send(client, form, fields | {"form_token": form.fields.get("form_token", "")})
            if response.status_code == 422:
                refused.add(name)
            if "Check the marked fields" in response.text and 'class="error"' not in response.text:
                failures.append(f"{form.action} with {name} fields")
    assert not failures
    assert refused == {"missing", "empty", "garbage"}


async def test_only_patients_are_offered_times_to_book(forms: Forms, client: httpx2.AsyncClient, world: World) -> None:
    for role in (DOCTOR, ADMIN):
        client.cookies.clear()
        await world.enter(forms, role)
        for page in "/", world.address("/with/{doctor}"):
            shown = (await client.get(page)).text
            assert "/visit/pick" not in shown, (role, page)
            assert 'class="time' in shown, (role, page)


async def test_administrator_is_not_offered_to_delete_their_own_account(
    forms: Forms, client: httpx2.AsyncClient, admin: Person
) -> None:
    await forms.sign_in(admin)
    shown = (await client.get("/my/account/data")).text
    assert "Delete my account" not in shown
    assert "Another administrator can suspend it." in shown
