"""No route of the API or the pages holds a connection while it hashes a password."""

import ast
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.adapters.mail import Mail
from app.core.dependencies import Resources, get_passwords
from app.core.security import Passwords
from app.core.settings import Settings
from app.http.routes import list_dependencies
from tests.access.clinic import make_clinic
from tests.access.requests import prepare_request, target_of
from tests.access.table import TABLE
from tests.conftest import SetClock
from tests.people import PASSWORD, Person
from tests.routing import list_api_routes, list_operations, list_pages
from tests.web.conftest import Forms

APP = Path(__file__).parents[2] / "app"
NEW_PASSWORD = "another horse battery"


class WatchedPasswords(Passwords):
    """Hashes passwords, and records how many connections of the application are in use at that time."""

    def __init__(self, settings: Settings, resources: Resources) -> None:
        super().__init__(settings)
        self.connections_in_use: list[int] = []
        self._pool = resources.database.engine.sync_engine.pool

    async def hash(self, password: str) -> str:
        self.connections_in_use.append(self._pool.checkedout())  # type: ignore[attr-defined] # the type of the pool is QueuePool
        return await super().hash(password)

    async def matches(self, password: str, encoded: str | None) -> bool:
        self.connections_in_use.append(self._pool.checkedout())  # type: ignore[attr-defined] # the type of the pool is QueuePool
        return await super().matches(password, encoded)


@dataclass
class Caller:
    """A patient with a session on the pages and one in the API, and an administrator."""

    person: Person
    forms: Forms
    mails: list[Mail]
    admin: Person

    async def invite_doctor(self) -> dict[str, str]:
        """Invite a doctor and return the form that accepts the invitation."""
        response = await self.admin.post("/admin/invitations", {"email": "guest@example.com"})
        return {
            "token": response.json()["token"],
            "name": "Dr Guest",
            "password": PASSWORD,
            "time_zone": "Europe/Berlin",
        }

    async def request_reset_token(self) -> str:
        await self.person.client.post("/auth/forgot-password", json={"email": self.person.email})
        return self.mails[-1].text.split("\n\n")[1]


def register_on_a_page(caller: Caller) -> Awaitable[httpx2.Response]:
    return caller.forms.send("/register", name="Ben", email="ben@example.com", password=PASSWORD)


def sign_in(caller: Caller) -> Awaitable[httpx2.Response]:
    return caller.forms.sign_in(caller.person)


async def reset_on_a_page(caller: Caller) -> httpx2.Response:
    return await caller.forms.send("/reset", token=await caller.request_reset_token(), new_password=NEW_PASSWORD)


def change_on_a_page(caller: Caller) -> Awaitable[httpx2.Response]:
    return caller.forms.send("/my/account/password", current_password=PASSWORD, new_password=NEW_PASSWORD)


def change_email_on_a_page(caller: Caller) -> Awaitable[httpx2.Response]:
    return caller.forms.send("/my/account/email", new_email="new@example.com", current_password=PASSWORD)


async def accept_on_a_page(caller: Caller) -> httpx2.Response:
    form = await caller.invite_doctor()
    return await caller.forms.send("/invitation", on=f"/invitation?token={form['token']}", **form)


FORMS: dict[str, Callable[[Caller], Awaitable[httpx2.Response]]] = {
    "POST /invitation": accept_on_a_page,
    "POST /register": register_on_a_page,
    "POST /sign-in": sign_in,
    "POST /reset": reset_on_a_page,
    "POST /my/account/email": change_email_on_a_page,
    "POST /my/account/password": change_on_a_page,
}


def list_hashing(routes: Iterable[APIRoute]) -> list[str]:
    return [
        operation
        for route in routes
        if get_passwords in list_dependencies(route)
        for operation in list_operations(route)
    ]


def test_every_page_that_hashes_has_a_form() -> None:
    assert set(list_hashing(list_pages())) == FORMS.keys()


def test_hashing_is_used_only_through_the_dependency() -> None:
    readers = {
        path.relative_to(APP).as_posix()
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "passwords"
    }
    assert readers == {"core/dependencies.py"}


@contextmanager
def assert_no_connection_held(app: FastAPI) -> Iterator[None]:
    """Check that passwords are hashed in the block, and that no connection is held at that time."""
    resources: Resources = app.state.resources
    passwords = WatchedPasswords(resources.settings, resources)
    app.state.resources = replace(resources, passwords=passwords)
    try:
        yield
    finally:
        passwords.close()
    assert passwords.connections_in_use, "no password was hashed"
    assert set(passwords.connections_in_use) == {0}


@pytest.mark.parametrize("operation", FORMS)
async def test_page_holds_no_connection_while_it_hashes_a_password(
    app: FastAPI, patient: Person, forms: Forms, mails: list[Mail], admin: Person, operation: str
) -> None:
    assert (await forms.sign_in(patient)).status_code == 303
    with assert_no_connection_held(app):
        response = await FORMS[operation](Caller(patient, forms, mails, admin))
    assert response.status_code < 400, response.text


@pytest.mark.parametrize("operation", list_hashing(list_api_routes()))
async def test_api_route_holds_no_connection_while_it_hashes_a_password(
    app: FastAPI, client: httpx2.AsyncClient, clock: SetClock, operation: str
) -> None:
    clinic = await make_clinic(client, app.state.resources, clock)
    caller = clinic.caller("patient", TABLE[operation])
    options = await prepare_request(operation, clinic, caller)
    method, path = target_of(operation, clinic.ids)
    with assert_no_connection_held(app):
        response = await client.request(method, path, headers=caller.person.headers, **options)
    assert response.status_code < 400, response.text
