from contextlib import suppress
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import Response

from app.core.dependencies import FRESH, check_fresh, lacks_second_factor, run_in_transaction
from app.core.errors import DomainError
from app.core.permissions import Actor, Login, Role, Scope, scope_of
from app.db.database import Transaction
from tests.databases import settings_for
from tests.people import Person

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
LOGIN = Login(UUID(int=1), NOW, second_factor=False)
ANN = Actor(UUID(int=2), Role.PATIENT, "Ann Lee", LOGIN)


def test_actor_with_a_session_returns_its_login() -> None:
    assert ANN.get_login() is LOGIN


def test_actor_without_a_session_is_not_authenticated() -> None:
    with pytest.raises(DomainError, match="not_authenticated"):
        replace(ANN, login=None).get_login()


def test_actor_has_not_confirmed_an_address_and_does_not_wait_unless_told() -> None:
    actor = Actor(ANN.id, ANN.role, ANN.name)
    assert not actor.email_confirmed
    assert not actor.waits_for_approval


@pytest.mark.parametrize(
    ("role", "scope"),
    [
        (Role.PATIENT, Scope(patient_id=ANN.id)),
        (Role.DOCTOR, Scope(doctor_id=ANN.id)),
        (Role.STAFF, Scope()),
        (Role.ADMIN, Scope()),
    ],
)
def test_scope_contains_only_the_own_side_of_visits(role: Role, scope: Scope) -> None:
    assert scope_of(replace(ANN, role=role)) == scope


@pytest.mark.parametrize(("value", "field"), [(ANN, "role"), (LOGIN, "second_factor"), (Scope(), "patient_id")])
def test_actor_and_login_are_immutable(value: object, field: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(value, field, Role.ADMIN)


@pytest.mark.parametrize("second_factor", [None, False, True])
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("setting", "required_roles"),
    [("nobody", set()), ("staff", {Role.DOCTOR, Role.STAFF, Role.ADMIN}), ("everybody", set(Role))],
)
def test_required_second_factor_by_setting_and_role(
    setting: str, required_roles: set[Role], role: Role, second_factor: bool | None
) -> None:
    settings = settings_for("sqlite:///never-opened.db", require_second_factor=setting)
    login = None if second_factor is None else Login(UUID(int=1), NOW, second_factor)
    caller = Actor(UUID(int=2), role, "Ann Lee", login)
    assert lacks_second_factor(caller, settings) == (role in required_roles and not second_factor)


@pytest.mark.parametrize("seconds", [0, 1, 599, 600])
def test_login_is_fresh_for_ten_minutes(seconds: int) -> None:
    check_fresh(ANN, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [601, 86_400])
def test_login_is_not_fresh_after_ten_minutes(seconds: int) -> None:
    assert timedelta(seconds=seconds) > FRESH
    with pytest.raises(DomainError, match="log_in_again"):
        check_fresh(ANN, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("method", "recorded", "writes"),
    [("GET", False, False), ("GET", True, False), ("DELETE", False, True), ("POST", False, True), ("PUT", True, True)],
)
async def test_get_request_cannot_write(
    app: FastAPI, patient: Person, method: str, recorded: bool, writes: bool
) -> None:
    async def respond(transaction: Transaction) -> Response:
        await transaction.execute(text("UPDATE users SET name = 'Changed'"))
        return Response()

    async def store(_transaction: Transaction, _response: Response) -> None:
        pass

    request = Request({"type": "http", "method": method, "app": app, "state": {"recorded": recorded}})
    with suppress(DomainError):  # PostgreSQL refuses the statement at once
        await run_in_transaction(request, respond, store)
    assert (await patient.get("/auth/me")).json()["name"] == ("Changed" if writes else "Ann Lee")


@pytest.mark.parametrize(("method", "recorded"), [("GET", False), ("GET", True), ("POST", True)])
async def test_recorded_request_stores_what_belongs_to_its_response(
    app: FastAPI, patient: Person, method: str, recorded: bool
) -> None:
    transactions = []

    async def respond(transaction: Transaction) -> Response:
        transactions.append(transaction)
        return Response()

    async def store(transaction: Transaction, _response: Response) -> None:
        transactions.append(transaction)
        await transaction.execute(text("UPDATE users SET name = 'Kept'"))

    request = Request({"type": "http", "method": method, "app": app, "state": {"recorded": recorded}})
    await run_in_transaction(request, respond, store)
    assert (await patient.get("/auth/me")).json()["name"] == ("Kept" if recorded else "Ann Lee")
    assert len(set(map(id, transactions))) == (2 if method == "GET" and recorded else 1)
