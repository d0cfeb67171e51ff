"""Invitations: an administrator invites a doctor, who accepts once."""

import asyncio
from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from app.adapters.mail import Mail
from app.core.permissions import Role
from app.core.settings import Settings
from app.db.database import Database
from app.jobs.cleanup import clean_up
from app.models import AuditEvent, Invitation, User
from app.repositories.invitations import INVITATION_LIFETIME
from tests.api.account_requests import GUEST, accept_invitation, invite
from tests.conftest import SetClock, read_token
from tests.people import PASSWORD, Person, assert_problem, make_admin


async def count(database: Database, table: type[Invitation | User]) -> int:
    async with database.read() as transaction:
        return await transaction.scalar(select(func.count()).select_from(table)) or 0


async def test_invited_doctor_is_confirmed_and_approved(
    client: httpx2.AsyncClient, admin: Person, mails: list[Mail], database: Database
) -> None:
    sent = await invite(admin, name="Dr G", specialty="Dermatology", time_zone="Europe/Madrid")
    [mail] = mails
    assert (mail.to, read_token(mail)) == (GUEST, sent["path"])
    assert sent["path"] == f"/invitation?token={sent['token']}"
    [listed] = (await admin.get("/admin/invitations")).json()
    assert listed == {name: value for name, value in sent.items() if name not in {"token", "path"}}
    response = await accept_invitation(client, sent["token"], specialty="Dermatology")
    assert response.status_code == 201, response.text
    user = response.json()
    assert (user["email"], user["role"]) == (GUEST, "doctor")
    assert user["email_confirmed_at"] == "2026-12-01T08:00:00Z"
    account = (await admin.get(f"/admin/users/{user['id']}")).json()
    assert (account["status"], account["approved_at"]) == ("active", "2026-12-01T08:00:00Z")
    [doctor] = (await client.get("/doctors")).json()
    assert (doctor["name"], doctor["specialty"], doctor["time_zone"]) == ("Dr Guest", "Dermatology", "Europe/Berlin")
    assert (await admin.get("/admin/invitations")).json() == []
    async with database.read() as transaction:
        found = select(AuditEvent.action, AuditEvent.object_id).where(AuditEvent.action.contains("invit"))
        actions = {action: str(about) for action, about in await transaction.execute(found) if about}
    assert actions == {"invite_doctor": sent["id"], "accept_invitation": user["id"]}
    assert (await accept_invitation(client, sent["token"])).json()["code"] == "invalid_invitation_token"


async def test_invited_doctor_needs_no_further_approval(
    client: httpx2.AsyncClient, admin: Person, settings: Settings
) -> None:
    assert settings.requires_doctor_approval
    assert (await accept_invitation(client, (await invite(admin))["token"])).status_code == 201
    assert len((await client.get("/doctors")).json()) == 1


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"doctor_approval": "required", "max_open_invitations": 2})


async def test_invitation_expires_and_is_deleted(
    client: httpx2.AsyncClient, admin: Person, clock: SetClock, database: Database
) -> None:
    sent = await invite(admin)
    clock.time += INVITATION_LIFETIME - timedelta(seconds=1)
    await clean_up(database, clock)
    assert await count(database, Invitation) == 1
    clock.time += timedelta(seconds=1)
    assert_problem(await accept_invitation(client, sent["token"]), 422, "invalid_invitation_token")
    admin = await admin.log_in_again()
    assert (await admin.get("/admin/invitations")).json() == []
    assert_problem(await admin.delete(f"/admin/invitations/{sent['id']}"), 404, "not_found")
    await clean_up(database, clock)
    assert await count(database, Invitation) == 0


async def test_cancelled_or_replaced_invitation_is_refused(client: httpx2.AsyncClient, admin: Person) -> None:
    first = await invite(admin)
    second = await invite(admin, "Guest@Example.com")
    assert_problem(await accept_invitation(client, first["token"]), 422, "invalid_invitation_token")
    assert [each["id"] for each in (await admin.get("/admin/invitations")).json()] == [second["id"]]
    assert (await admin.delete(f"/admin/invitations/{second['id']}")).status_code == 204
    assert_problem(await accept_invitation(client, second["token"]), 422, "invalid_invitation_token")
    assert_problem(await admin.delete(f"/admin/invitations/{second['id']}"), 404, "not_found")


async def test_invitation_of_a_suspended_administrator_is_refused(
    client: httpx2.AsyncClient, app: FastAPI, admin: Person, clock: SetClock
) -> None:
    colleague = await make_admin(app.state.resources, client, clock.time, "colleague@example.com")
    sent, kept = await invite(colleague), await invite(admin, "other@example.com")
    assert (await admin.post(f"/admin/users/{colleague.id}/suspend", {"reason": "Has left us"})).status_code == 200
    assert_problem(await accept_invitation(client, sent["token"]), 422, "invalid_invitation_token")
    assert (await accept_invitation(client, kept["token"])).status_code == 201


async def test_address_with_an_account_cannot_be_invited(
    client: httpx2.AsyncClient, admin: Person, patient: Person
) -> None:
    response = await admin.post("/admin/invitations", {"email": patient.email.upper()})
    assert_problem(response, 409, "email_taken")
    sent = await invite(admin)
    registration = {"email": GUEST, "password": PASSWORD, "name": "Guest", "role": "patient"}
    assert (await client.post("/auth/register", json=registration)).status_code == 201
    assert_problem(await accept_invitation(client, sent["token"]), 409, "email_taken")


async def test_open_invitations_are_bounded(admin: Person) -> None:
    await invite(admin)
    await invite(admin, "second@example.com")
    assert_problem(await admin.post("/admin/invitations", {"email": "third@example.com"}), 409, "too_many")
    await invite(admin)
    first = await admin.get("/admin/invitations?limit=1")
    second = await admin.get(first.links["next"]["url"])
    assert [each["email"] for each in first.json() + second.json()] == [GUEST, "second@example.com"]


async def test_invitations_per_address_are_limited(
    client: httpx2.AsyncClient, admin: Person, mails: list[Mail], settings: Settings
) -> None:
    for _ in range(settings.max_mails_per_hour):
        newest = await invite(admin)
    response = await admin.post("/admin/invitations", {"email": GUEST})
    assert_problem(response, 429, "too_many_messages")
    assert response.headers["Retry-After"] == "3600"
    assert len(mails) == settings.max_mails_per_hour
    accepted = await accept_invitation(client, newest["token"])
    assert accepted.status_code == 201, "the refusal does not change the invitation"


async def test_invalid_acceptance_changes_nothing(
    client: httpx2.AsyncClient, admin: Person, database: Database
) -> None:
    sent = await invite(admin)
    for field, value in (
        ("time_zone", ""),
        ("time_zone", "Mars/Olympus"),
        ("name", " "),
        ("password", "short"),
        ("specialty", ""),
    ):
        assert_problem(await accept_invitation(client, sent["token"], **{field: value}), 422, "invalid_request")
        assert (await count(database, User), await count(database, Invitation)) == (1, 1)
    assert (await accept_invitation(client, sent["token"])).status_code == 201


async def test_concurrent_acceptances_create_one_account(
    client: httpx2.AsyncClient, admin: Person, database: Database
) -> None:
    sent = await invite(admin)
    responses = await asyncio.gather(
        *(accept_invitation(client, sent["token"], name=f"Dr Guest {number}") for number in range(4))
    )
    assert sorted(response.status_code for response in responses) == [201, 422, 422, 422]
    async with database.read() as transaction:
        doctors = select(func.count()).where(User.role == Role.DOCTOR)
        assert await transaction.scalar(doctors) == 1


async def test_concurrent_invitations_stay_within_the_limit(admin: Person, database: Database) -> None:
    bodies = [{"email": email} for email in (GUEST, GUEST, "second@example.com", "third@example.com")]
    responses = await asyncio.gather(*(admin.post("/admin/invitations", body) for body in bodies))
    assert {response.status_code for response in responses} <= {201, 409}
    assert await count(database, Invitation) == 2
