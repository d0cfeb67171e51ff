"""Confirmation of email addresses, and limits of messages per address."""

from datetime import timedelta

import httpx2
import pyotp
import pytest
from sqlalchemy import func, select

from app.adapters.mail import Mail
from app.core.settings import Settings
from app.db.database import Database
from app.jobs.cleanup import clean_up
from app.models import MailCount
from app.repositories.confirmations import CONFIRMATION_TOKEN_LIFETIME
from app.repositories.mail_counts import HOUR
from tests.api.account_requests import confirm_with_code, resend_confirmation
from tests.conftest import ConfirmEmail, Register, SetClock, read_token
from tests.people import PASSWORD, Person, assert_problem

HOURS = ("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
TEN = "2026-12-08T15:00:00Z"


async def reset(person: Person, mails: list[Mail], new_password: str) -> None:
    await person.client.post("/auth/forgot-password", json={"email": person.email})
    body = {"token": read_token(mails[-1]), "new_password": new_password}
    response = await person.client.post("/auth/reset-password", json=body)
    assert response.status_code == 204, response.text


async def list_doctor_names(client: httpx2.AsyncClient) -> list[str]:
    return [doctor["name"] for doctor in (await client.get("/doctors")).json()]


async def test_registration_sends_a_code_that_confirms_the_address_once(
    patient: Person, confirmations: list[Mail], clock: SetClock
) -> None:
    [mail] = confirmations
    assert mail.to == patient.email
    assert (await patient.get("/auth/me")).json()["email_confirmed_at"] is None
    assert (await confirm_with_code(patient, read_token(mail))).status_code == 204
    clock.advance(minutes=5)
    assert (await patient.get("/auth/me")).json()["email_confirmed_at"] == "2026-12-01T08:00:00Z"
    assert_problem(await confirm_with_code(patient, read_token(mail)), 422, "invalid_confirmation_token")


async def test_white_space_in_a_pasted_code_is_dropped(patient: Person, confirmations: list[Mail]) -> None:
    token = read_token(confirmations[0])
    assert (await confirm_with_code(patient, f" {token[:9]}\r\n{token[9:]}\u200b\t")).status_code == 204


async def test_confirmation_code_expires(patient: Person, confirmations: list[Mail], clock: SetClock) -> None:
    clock.time += CONFIRMATION_TOKEN_LIFETIME
    patient = await patient.log_in_again()
    assert_problem(await confirm_with_code(patient, read_token(confirmations[0])), 422, "invalid_confirmation_token")
    assert (await patient.get("/auth/me")).json()["email_confirmed_at"] is None


async def test_new_confirmation_code_replaces_the_earlier_one(patient: Person, confirmations: list[Mail]) -> None:
    assert (await resend_confirmation(patient)).status_code == 204
    first, second = confirmations
    assert_problem(await confirm_with_code(patient, read_token(first)), 422, "invalid_confirmation_token")
    assert (await confirm_with_code(patient, read_token(second))).status_code == 204
    assert (await resend_confirmation(patient)).status_code == 204
    assert len(confirmations) == 2, "there is nothing left to confirm"


async def test_confirmation_code_works_for_no_other_account(
    client: httpx2.AsyncClient, patient: Person, register: Register, confirmations: list[Mail]
) -> None:
    other = await register("patient")
    token = read_token(confirmations[0])
    assert_problem(await confirm_with_code(other, token), 422, "invalid_confirmation_token")
    response = await client.post("/auth/confirm-email", json={"token": token})
    assert_problem(response, 401, "not_authenticated")
    assert (await confirm_with_code(patient, token)).status_code == 204


async def test_second_factor_needs_a_confirmed_address(patient: Person, confirm_email: ConfirmEmail) -> None:
    assert_problem(await patient.post("/auth/second-factor", None), 403, "email_not_confirmed")
    await confirm_email(patient)
    assert (await patient.post("/auth/second-factor", None)).status_code == 201


async def test_owner_of_an_address_takes_over_an_account_registered_by_a_stranger(
    client: httpx2.AsyncClient, mails: list[Mail]
) -> None:
    stranger = await Person.register(client, "patient", email="owner@example.com")
    assert_problem(await stranger.post("/auth/second-factor", None), 403, "email_not_confirmed")
    await reset(stranger, mails, "a password of the owner")
    assert_problem(await stranger.get("/auth/me"), 401, "not_authenticated")
    form = {"username": "owner@example.com", "password": "a password of the owner"}
    token = (await client.post("/auth/login", data=form)).json()["access_token"]
    me = await client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json()["email_confirmed_at"] == "2026-12-01T08:00:00Z"


async def test_unconfirmed_accounts_book_and_are_listed_by_default(doctor: Person, patient: Person) -> None:
    await doctor.publish(*HOURS)
    await patient.book(doctor, TEN)
    assert await list_doctor_names(patient.client) == ["Dr Amara Okafor"]


class TestWithRequiredConfirmation:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"email_confirmation": "required"})

    async def test_unconfirmed_patient_cannot_book_or_hold(
        self, doctor: Person, patient: Person, confirm_email: ConfirmEmail
    ) -> None:
        await confirm_email(doctor)
        await doctor.publish(*HOURS)
        assert_problem(await patient.try_to_book(doctor, TEN), 403, "email_not_confirmed")
        hold = {"doctor_id": doctor.id, "start_time": TEN}
        assert_problem(await patient.post("/holds", hold), 403, "email_not_confirmed")
        await confirm_email(patient)
        assert (await patient.post("/holds", hold)).status_code == 201
        await patient.book(doctor, TEN)

    async def test_doctor_is_listed_once_confirmed(self, doctor: Person, confirm_email: ConfirmEmail) -> None:
        assert await list_doctor_names(doctor.client) == []
        assert_problem(await doctor.client.get(f"/doctors/{doctor.id}"), 404, "not_found")
        assert_problem(await confirm_with_code(doctor, "a wrong one"), 422, "invalid_confirmation_token")
        assert await list_doctor_names(doctor.client) == []
        await confirm_email(doctor)
        assert await list_doctor_names(doctor.client) == ["Dr Amara Okafor"]

    async def test_password_reset_confirms_the_address_and_lists_the_doctor(
        self, doctor: Person, mails: list[Mail]
    ) -> None:
        await reset(doctor, mails, "another horse")
        assert await list_doctor_names(doctor.client) == ["Dr Amara Okafor"]

    async def test_unconfirmed_doctor_cannot_be_approved(
        self, admin: Person, doctor: Person, confirm_email: ConfirmEmail
    ) -> None:
        approve = f"/admin/users/{doctor.id}/approve"
        reason = {"reason": "The licence was checked"}
        assert_problem(await admin.post(approve, reason), 409, "doctor_not_confirmed")
        await confirm_email(doctor)
        assert (await admin.post(approve, reason)).status_code == 200


class TestWhereDoctorsAreApproved:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"email_confirmation": "required", "doctor_approval": "required"})

    async def test_confirmed_doctor_still_waits_for_approval(
        self, doctor: Person, confirm_email: ConfirmEmail, mails: list[Mail]
    ) -> None:
        await confirm_email(doctor)
        assert await list_doctor_names(doctor.client) == []
        await reset(doctor, mails, "another horse")
        assert await list_doctor_names(doctor.client) == []


async def test_sixth_code_within_an_hour_is_refused_with_retry_after(
    patient: Person, confirmations: list[Mail], clock: SetClock
) -> None:
    for _ in range(4):
        assert (await resend_confirmation(patient)).status_code == 204
    clock.advance(minutes=20)
    refused = await resend_confirmation(patient)
    assert_problem(refused, 429, "too_many_messages")
    assert refused.headers["Retry-After"] == str(40 * 60)
    assert len(confirmations) == 5
    confirmed = await confirm_with_code(patient, read_token(confirmations[-1]))
    assert confirmed.status_code == 204, "the last code still works"


async def test_codes_are_sent_again_after_an_hour(patient: Person, confirmations: list[Mail], clock: SetClock) -> None:
    for _ in range(5):
        await resend_confirmation(patient)
    clock.time += HOUR
    patient = await patient.log_in_again()
    assert (await resend_confirmation(patient)).status_code == 204
    assert len(confirmations) == 6


async def test_repeated_registration_and_erasure_is_limited_per_mailbox(
    client: httpx2.AsyncClient, confirmations: list[Mail]
) -> None:
    for _ in range(8):
        person = await Person.register(client, "patient", email="victim@example.com")
        assert (await person.delete("/auth/me")).status_code == 204
    assert len(confirmations) == 5


async def test_notices_are_limited_but_their_actions_still_succeed(
    patient: Person, confirm_email: ConfirmEmail, mails: list[Mail], clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    await confirm_email(patient)
    secret = (await patient.post("/auth/second-factor", None)).json()["secret"]
    await patient.post("/auth/second-factor/confirm", {"otp": pyotp.TOTP(secret).at(clock.time)})
    renewed = [await patient.post("/auth/second-factor/recovery-codes", None) for _ in range(9)]
    assert {response.status_code for response in renewed} == {200}
    subjects = [mail.subject for mail in mails]
    assert subjects == ["A second factor was set up", *["Your recovery codes were renewed"] * 5]
    suppressed = [record for record in caplog.records if "too many within the hour" in record.message]
    assert len(suppressed) == 4
    assert patient.email not in caplog.text


async def test_reset_mails_are_limited_even_if_each_token_is_used(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail]
) -> None:
    for number in range(12):
        before = len(mails)
        await client.post("/auth/forgot-password", json={"email": patient.email})
        if len(mails) > before:
            body = {"token": read_token(mails[-1]), "new_password": f"{PASSWORD} {number}"}
            assert (await client.post("/auth/reset-password", json=body)).status_code == 204
    assert [mail.subject for mail in mails].count("Choose a new password") == 10
    assert [mail.subject for mail in mails].count("Your password was changed") == 5


@pytest.mark.parametrize("event", ["the owner resets the password", "the codes expire"])
async def test_unsent_reset_codes_do_not_count(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], clock: SetClock, event: str
) -> None:
    async def request_reset() -> None:
        await client.post("/auth/forgot-password", json={"email": patient.email})

    for _ in range(10):
        await request_reset()
    assert len(mails) == 5, "an account has at most five tokens"
    if event == "the codes expire":
        clock.advance(minutes=31)
    else:
        body = {"token": read_token(mails[-1]), "new_password": "another good one"}
        assert (await client.post("/auth/reset-password", json=body)).status_code == 204
    mails.clear()
    await request_reset()
    assert [mail.subject for mail in mails] == ["Choose a new password"]


async def test_message_counts_are_deleted_after_an_hour(patient: Person, database: Database, clock: SetClock) -> None:
    assert patient.token
    counted = select(func.count()).select_from(MailCount)
    async with database.read() as transaction:
        assert await transaction.scalar(counted) == 1
    clock.time += HOUR - timedelta(seconds=1)
    await clean_up(database, clock)
    async with database.read() as transaction:
        assert await transaction.scalar(counted) == 1
    clock.advance(seconds=1)
    await clean_up(database, clock)
    async with database.read() as transaction:
        assert await transaction.scalar(counted) == 0
