"""Concurrent changes of one account: the second sees the effect of the first."""

import asyncio
from uuid import UUID

import jwt
import pyotp
import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from app.adapters.mail import Mail
from app.core.clients import Client
from app.core.errors import DomainError
from app.core.permissions import Actor, Role
from app.core.security import AccessClaims
from app.core.settings import Settings
from app.db.database import Database
from app.repositories import sessions as login_sessions
from app.repositories import users
from app.repositories.profile_changes import replace_change
from app.services import accounts, administration, doctor_profile, email_change, privacy
from app.services.patients import change_own_record
from app.services.profile_review import accept_change
from tests.conftest import ConfirmEmail, Register, SetClock, read_token
from tests.people import PASSWORD, Person, assert_problem

WAIT_SECONDS = 0.2  # a task that is not blocked is done by then


async def test_concurrent_log_in_does_not_survive_the_setup_of_a_second_factor(
    patient: Person, confirm_email: ConfirmEmail, database: Database, clock: SetClock
) -> None:
    await confirm_email(patient)
    secret = (await patient.post("/auth/second-factor", None)).json()["secret"]
    body = {"otp": pyotp.TOTP(secret).at(clock.time)}
    user_id, session_id = UUID(patient.id), uuid7()
    async with database.write() as transaction:
        password_hash = await transaction.scalar(text("SELECT password_hash FROM users WHERE role = 'patient'"))
        assert await users.holds_credentials(transaction, user_id, patient.email, password_hash)
        confirming = asyncio.create_task(patient.post("/auth/second-factor/confirm", body))
        await asyncio.sleep(WAIT_SECONDS)
        assert not confirming.done(), "the confirmation waits for the log-in"
        ends = {"now": clock.time, "expires_at": clock.time, "ends_at": clock.time}
        client = Client("127.0.0.1")
        await login_sessions.insert_session(transaction, session_id, user_id, client, second_factor=False, **ends)
    assert (await confirming).status_code == 200
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM login_sessions")) == 1


async def test_erased_doctor_cannot_change_their_profile(doctor: Person, database: Database, clock: SetClock) -> None:
    actor = Actor(UUID(doctor.id), Role.DOCTOR, doctor.name)
    assert (await doctor.delete("/auth/me")).status_code == 204
    with pytest.raises(DomainError, match="not_authenticated"):
        async with database.write() as transaction:
            await doctor_profile.change_profile(
                transaction, actor.id, {"name": "Dr Amara Okafor", "bio": "Back again"}, clock.time
            )
    with pytest.raises(DomainError, match="not_authenticated"):
        async with database.write() as transaction:
            await accounts.change_name(transaction, actor, "Dr Amara Okafor", clock.time)
    async with database.read() as transaction:
        for found in ("users WHERE name LIKE '%Amara%'", "doctors WHERE name_key LIKE '%amara%'"):
            assert await transaction.scalar(text(f"SELECT count(*) FROM {found}")) == 0


async def test_profile_change_that_waits_for_an_erasure_is_refused(
    doctor: Person, database: Database, clock: SetClock
) -> None:
    actor = Actor(UUID(doctor.id), Role.DOCTOR, doctor.name)

    async def change() -> None:
        async with database.write() as transaction:
            await doctor_profile.change_profile(transaction, actor.id, {"bio": "Back again"}, clock.time)

    async def rename() -> None:
        async with database.write() as transaction:
            await accounts.change_name(transaction, actor, "Dr Amara Okafor", clock.time)

    async with database.write() as transaction:
        await privacy.erase(transaction, actor.id, actor.role, clock.time, by=actor.id)
        waiting = [asyncio.create_task(each()) for each in (change, rename)]
        await asyncio.sleep(WAIT_SECONDS)
        assert not any(task.done() for task in waiting)
    for task in waiting:
        with pytest.raises(DomainError, match="not_authenticated"):
            await task
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM doctors WHERE bio IS NOT NULL")) == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_change_of_contact_details_that_waits_for_an_erasure_is_refused(
    patient: Person, database: Database, clock: SetClock
) -> None:
    actor = Actor(UUID(patient.id), Role.PATIENT, patient.name)

    async def change() -> None:
        async with database.write() as transaction:
            await change_own_record(transaction, actor, {"phone": "+442071838750"}, clock.time)

    async with database.write() as transaction:
        await privacy.erase(transaction, actor.id, actor.role, clock.time, by=actor.id)
        waiting = asyncio.create_task(change())
        await asyncio.sleep(WAIT_SECONDS)
        assert not waiting.done()
    with pytest.raises(DomainError, match="not_authenticated"):
        await waiting
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM patients WHERE phone IS NOT NULL")) == 0


async def test_review_that_waits_for_an_erasure_finds_no_change(
    doctor: Person, database: Database, clock: SetClock
) -> None:
    actor, change_id = Actor(UUID(doctor.id), Role.DOCTOR, doctor.name), uuid7()
    async with database.write() as transaction:
        await replace_change(transaction, actor.id, change_id, name="Dr Other", specialty=None, now=clock.time)

    async def accept() -> None:
        async with database.write() as transaction:
            await accept_change(transaction, actor.id, change_id)

    async with database.write() as transaction:
        await privacy.erase(transaction, actor.id, actor.role, clock.time, by=actor.id)
        waiting = asyncio.create_task(accept())
        await asyncio.sleep(WAIT_SECONDS)
        assert not waiting.done()
    with pytest.raises(DomainError, match="not_found"):
        await waiting


async def test_second_erasure_that_waits_for_the_first_changes_nothing(
    doctor: Person, database: Database, clock: SetClock
) -> None:
    actor = Actor(UUID(doctor.id), Role.DOCTOR, doctor.name)

    async def erase_again() -> None:
        async with database.write() as transaction:
            assert await privacy.erase(transaction, actor.id, actor.role, clock.time, by=actor.id) == ()

    async with database.write() as transaction:
        await privacy.erase(transaction, actor.id, actor.role, clock.time, by=actor.id)
        second = asyncio.create_task(erase_again())
        await asyncio.sleep(WAIT_SECONDS)
        assert not second.done()
    await second


async def test_administrators_who_suspend_each_other_leave_one_active(
    admin: Person, patient: Person, database: Database, clock: SetClock
) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE users SET role = 'admin'"))
    one, other = (Actor(UUID(person.id), Role.ADMIN, person.name) for person in (admin, patient))

    async def suspend_in_turn() -> None:
        async with database.write() as transaction:
            await administration.begin_decision(transaction, other)
            await administration.suspend_user(transaction, other, one.id, clock.time)

    async with database.write() as transaction:
        await administration.begin_decision(transaction, one)
        await administration.suspend_user(transaction, one, other.id, clock.time)
        second = asyncio.create_task(suspend_in_turn())
        await asyncio.sleep(WAIT_SECONDS)
        assert not second.done()
    with pytest.raises(DomainError, match="not_authenticated"):
        await second
    assert (await admin.get("/admin/users?status=suspended")).json()[0]["id"] == patient.id


@pytest.mark.parametrize("decision", ["reinstate themselves", "invite a doctor"])
async def test_administrator_suspended_during_a_decision_is_refused(
    decision: str, admin: Person, patient: Person, database: Database, clock: SetClock
) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE users SET role = 'admin'"))
    other = await patient.log_in_again()
    one = Actor(UUID(admin.id), Role.ADMIN, admin.name)
    requests = {
        "reinstate themselves": (f"/admin/users/{other.id}/reinstate", {"reason": "I would rather stay"}),
        "invite a doctor": ("/admin/invitations", {"email": "accomplice@example.com"}),
    }
    async with database.write() as transaction:
        await administration.begin_decision(transaction, one)
        await administration.suspend_user(transaction, one, UUID(other.id), clock.time)
        waiting = asyncio.create_task(other.post(*requests[decision]))
        await asyncio.sleep(WAIT_SECONDS)
        assert not waiting.done()
    assert_problem(await waiting, 401, "not_authenticated")
    assert [each["id"] for each in (await admin.get("/admin/users?status=suspended")).json()] == [other.id]
    assert (await admin.get("/admin/invitations")).json() == []


async def request_address(person: Person, mails: list[Mail], address: str) -> str:
    body = {"new_email": address, "current_password": PASSWORD}
    assert (await person.post("/auth/email", body)).status_code == 202
    return next(read_token(mail) for mail in reversed(mails) if mail.to == address)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_of_two_accounts_that_change_to_one_address_the_second_is_refused(
    patient: Person, register: Register, mails: list[Mail], database: Database, clock: SetClock, settings: Settings
) -> None:
    other = await register()
    tokens = [await request_address(person, mails, "both@example.net") for person in (patient, other)]
    actor = await find_actor(database, patient)
    async with database.write() as transaction:
        await email_change.change_email(transaction, settings, actor, tokens[0], clock.time)
        waiting = asyncio.create_task(other.post("/auth/email/confirm", {"token": tokens[1]}))
        await asyncio.sleep(WAIT_SECONDS)
        assert not waiting.done()
    assert_problem(await waiting, 409, "email_taken")
    assert (await patient.get("/auth/me")).json()["email"] == "both@example.net"
    assert (await other.get("/auth/me")).json()["email"] == other.email


async def test_simultaneous_changes_to_one_address_have_one_winner(register: Register, mails: list[Mail]) -> None:
    people = [await register() for _ in range(4)]
    tokens = [await request_address(person, mails, "all@example.net") for person in people]
    responses = await asyncio.gather(
        *(
            person.post("/auth/email/confirm", {"token": token})
            for person, token in zip(people, tokens, strict=True)
            for _ in range(2)
        )
    )
    codes = sorted(response.json()["code"] for response in responses if response.content)
    # The winner's second confirmation finds its code used up.
    assert codes == ["email_taken"] * 6 + ["invalid_confirmation_token"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_reset_token_requested_during_a_change_of_the_address_does_not_reach_the_old_mailbox(
    patient: Person, mails: list[Mail], database: Database, clock: SetClock, settings: Settings
) -> None:
    token = await request_address(patient, mails, "new@example.net")
    actor = await find_actor(database, patient)
    mails.clear()
    async with database.write() as transaction:
        await email_change.change_email(transaction, settings, actor, token, clock.time)
        waiting = asyncio.create_task(patient.client.post("/auth/forgot-password", json={"email": patient.email}))
        await asyncio.sleep(WAIT_SECONDS)
        assert not waiting.done()
    assert (await waiting).status_code == 200
    assert mails == []
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM password_resets WHERE user_id IS NOT NULL")) == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_change_of_the_address_waits_for_a_request_for_a_reset_token_and_deletes_it(
    patient: Person, mails: list[Mail], database: Database, clock: SetClock
) -> None:
    token = await request_address(patient, mails, "new@example.net")
    async with database.write() as transaction:
        found = await users.find_reset_recipient(transaction, patient.email, clock.time)
        assert found is not None
        waiting = asyncio.create_task(patient.post("/auth/email/confirm", {"token": token}))
        await asyncio.sleep(WAIT_SECONDS)
        assert not waiting.done()
        await users.insert_password_reset(
            transaction, found.id, token_hash="a hash", expires_at=clock.time + users.RESET_TOKEN_LIFETIME
        )
    assert (await waiting).status_code == 204
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM password_resets")) == 0


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_log_in_with_the_old_address_does_not_survive_a_concurrent_change(
    patient: Person, mails: list[Mail], database: Database, clock: SetClock, settings: Settings
) -> None:
    token = await request_address(patient, mails, "new@example.net")
    actor = await find_actor(database, patient)
    form = {"username": patient.email, "password": PASSWORD}
    async with database.write() as transaction:
        await email_change.change_email(transaction, settings, actor, token, clock.time)
        waiting = asyncio.create_task(patient.client.post("/auth/login", data=form))
        await asyncio.sleep(WAIT_SECONDS)
        assert not waiting.done()
    assert_problem(await waiting, 401, "invalid_credentials")


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_address_is_not_changed_with_a_password_that_is_replaced_meanwhile(
    patient: Person, mails: list[Mail], database: Database
) -> None:
    async with database.write() as transaction:
        await transaction.execute(
            text("UPDATE users SET password_hash = 'another' WHERE id = :id"), {"id": UUID(patient.id)}
        )
        body = {"new_email": "new@example.net", "current_password": PASSWORD}
        waiting = asyncio.create_task(patient.post("/auth/email", body))
        await asyncio.sleep(WAIT_SECONDS)
        assert not waiting.done()
    assert_problem(await waiting, 401, "not_authenticated")
    assert mails == []


async def test_erased_account_cannot_change_its_address(
    patient: Person, mails: list[Mail], database: Database, clock: SetClock, settings: Settings
) -> None:
    token = await request_address(patient, mails, "new@example.net")
    actor = await find_actor(database, patient)
    assert (await patient.delete("/auth/me")).status_code == 204
    with pytest.raises(DomainError, match="not_authenticated"):
        async with database.write() as transaction:
            await email_change.change_email(transaction, settings, actor, token, clock.time)


async def find_actor(database: Database, person: Person) -> Actor:
    claims = jwt.decode(person.token, options={"verify_signature": False})
    async with database.read() as transaction:
        found = await login_sessions.find_actor(transaction, AccessClaims(UUID(claims["sub"]), UUID(claims["sid"])))
    assert found is not None
    return found
