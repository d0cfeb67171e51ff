"""No connection is held while a password is hashed, on any route of the API or the pages."""

import ast
from collections.abc import Awaitable, Callable
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
from app.http.routes import list_dependencies, list_routes
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms

APP = Path(__file__).parents[2] / "app"
NEW = "another horse battery"


class WatchedPasswords(Passwords):
    """Hashes as usual, and records how many of the application's connections are in use meanwhile."""

    def __init__(self, settings: Settings, resources: Resources) -> None:
        super().__init__(settings)
        self.held: list[int] = []
        self._pool = resources.database.engine.sync_engine.pool

    async def hash(self, password: str) -> str:
        self.held.append(self._pool.checkedout())  # type: ignore[attr-defined] # it is a queue pool
        return await super().hash(password)

    async def matches(self, password: str, encoded: str | None) -> bool:
        self.held.append(self._pool.checkedout())  # type: ignore[attr-defined] # it is a queue pool
        return await super().matches(password, encoded)


@dataclass
class Caller:
    """A patient with a session of the pages and one of the API."""

    person: Person
    forms: Forms
    mails: list[Mail]
    admin: Person

    async def invitation(self) -> dict[str, str]:
        """The form with which a doctor accepts an invitation."""
        sent = await self.admin.post("/admin/invitations", {"email": "guest@example.com"})
        return {
            "token": sent.json()["token"],
            "name": "Dr Guest",
            "password": PASSWORD,
            "time_zone": "Europe/Berlin",
        }

    async def reset_token(self) -> str:
        await self.person.client.post("/auth/forgot-password", json={"email": self.person.email})
        return self.mails[-1].text.split("\n\n")[1]


def registration(caller: Caller) -> Awaitable[httpx2.Response]:
    body = {"email": "ben@example.com", "password": PASSWORD, "name": "Ben", "role": "patient"}
    return caller.person.post("/auth/register", body)


def log_in(caller: Caller) -> Awaitable[httpx2.Response]:
    form = {"username": caller.person.email, "password": PASSWORD}
    return caller.person.client.post("/auth/login", data=form, headers=caller.person.headers)


async def reset(caller: Caller) -> httpx2.Response:
    return await caller.person.post("/auth/reset-password", {"token": await caller.reset_token(), "new_password": NEW})


def change(caller: Caller) -> Awaitable[httpx2.Response]:
    return caller.person.post("/auth/change-password", {"current_password": PASSWORD, "new_password": NEW})


def register_on_a_page(caller: Caller) -> Awaitable[httpx2.Response]:
    return caller.forms.send("/register", name="Ben", email="ben@example.com", password=PASSWORD)


def sign_in(caller: Caller) -> Awaitable[httpx2.Response]:
    return caller.forms.sign_in(caller.person)


async def reset_on_a_page(caller: Caller) -> httpx2.Response:
    return await caller.forms.send("/reset", token=await caller.reset_token(), new_password=NEW)


def change_on_a_page(caller: Caller) -> Awaitable[httpx2.Response]:
    return caller.forms.send("/my/account/password", current_password=PASSWORD, new_password=NEW)


async def accept(caller: Caller) -> httpx2.Response:
    return await caller.person.client.post("/auth/accept-invitation", json=await caller.invitation())


async def accept_on_a_page(caller: Caller) -> httpx2.Response:
    typed = await caller.invitation()
    return await caller.forms.send("/invitation", on=f"/invitation?token={typed['token']}", **typed)


REQUESTS: dict[str, Callable[[Caller], Awaitable[httpx2.Response]]] = {
    "POST /auth/register": registration,
    "POST /auth/login": log_in,
    "POST /auth/reset-password": reset,
    "POST /auth/change-password": change,
    "POST /auth/accept-invitation": accept,
    "POST /invitation": accept_on_a_page,
    "POST /register": register_on_a_page,
    "POST /sign-in": sign_in,
    "POST /reset": reset_on_a_page,
    "POST /my/account/password": change_on_a_page,
}


def test_every_route_that_hashes_is_tried(assembled: FastAPI) -> None:
    hashing = {
        f"{method} {route.path}"
        for route in list_routes(assembled)
        if isinstance(route, APIRoute) and get_passwords in list_dependencies(route)
        for method in route.methods or ()
    }
    assert hashing == REQUESTS.keys()


def test_a_route_hashes_only_by_naming_it_in_its_signature() -> None:
    reading = {
        path.relative_to(APP).as_posix()
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "passwords"
    }
    assert reading == {"core/dependencies.py"}


@pytest.mark.parametrize("route", REQUESTS)
async def test_no_connection_is_held_while_a_password_is_hashed(
    app: FastAPI, patient: Person, forms: Forms, mails: list[Mail], admin: Person, route: str
) -> None:
    assert (await forms.sign_in(patient)).status_code == 303
    resources: Resources = app.state.resources
    watched = WatchedPasswords(resources.settings, resources)
    app.state.resources = replace(resources, passwords=watched)
    try:
        answer = await REQUESTS[route](Caller(patient, forms, mails, admin))
    finally:
        watched.close()
    assert answer.status_code < 400, answer.text
    assert watched.held, "a password was hashed"
    assert set(watched.held) == {0}
