"""Rows written while the clock was ahead do not outlast their limits after the clock is corrected."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from app.adapters.mail import Mail
from app.core.settings import Settings
from app.db.database import Database
from app.jobs import next_slot_index
from app.jobs.cleanup import clean_up
from app.models import Offer
from app.models.search_offer import ANY_LANGUAGE
from app.repositories.search_bounds import MAX_CLOCK_DIFFERENCE
from app.services.login_throttle import FREE_ATTEMPTS
from tests.api.account_requests import (
    accept_invitation,
    confirm_with_code,
    guess,
    invite,
    log_in_with_code,
    refresh,
    resend_confirmation,
    set_up_second_factor,
)
from tests.api.appointment_actions import act
from tests.conftest import ConfirmEmail, Register, SetClock, read_token
from tests.people import Person, assert_problem, get_tokens, log_in
from tests.search.searching import MORNING, find_doctors, find_starts, open_doctor
from tests.web.conftest import Forms

YEAR = timedelta(days=365)
SLOT = "2027-12-08T10:00:00Z"


async def test_log_in_block_does_not_last_for_a_year(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    clock.time += YEAR
    for _ in range(FREE_ATTEMPTS + 10):
        await guess(client, patient.email)
        clock.advance(minutes=15)
    assert_problem(await guess_until_refused(client, patient.email), 429, "too_many_attempts")
    clock.time -= YEAR
    response = await guess_until_refused(client, patient.email)
    assert int(response.headers["retry-after"]) <= 15 * 60
    clock.advance(minutes=15)
    assert await log_in(client, patient.email)


async def guess_until_refused(client: httpx2.AsyncClient, email: str) -> httpx2.Response:
    for _ in range(FREE_ATTEMPTS + 10):
        if (response := await guess(client, email)).status_code == 429:
            return response
    pytest.fail("no guess was refused")


async def test_session_does_not_last_for_a_year(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    clock.time += YEAR
    granted = await get_tokens(client, patient.email)
    await Forms(client).sign_in(patient)
    assert (await client.get("/my/account")).status_code == 200
    clock.time -= YEAR
    assert_problem(await refresh(client, granted["refresh_token"]), 401, "invalid_refresh_token")
    page = await client.get("/my/account")
    assert page.headers["location"].startswith("/sign-in")


async def test_log_in_is_not_fresh_for_a_year(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    """A refreshed access token keeps the time of its log-in, which may be in the future."""
    clock.time += timedelta(seconds=31)
    granted = await get_tokens(client, patient.email)
    clock.time -= timedelta(seconds=10)
    renewed = (await refresh(client, granted["refresh_token"])).json()
    clock.time -= timedelta(seconds=21)
    headers = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert_problem(await client.get("/auth/me/export", headers=headers), 403, "log_in_again")


async def test_reset_token_does_not_last_for_a_year(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], clock: SetClock
) -> None:
    clock.time += YEAR
    for _ in range(5):
        await client.post("/auth/forgot-password", json={"email": patient.email})
    clock.time -= YEAR
    body = {"token": mails[-1].text.split("\n\n")[1], "new_password": "another horse battery"}
    assert_problem(await client.post("/auth/reset-password", json=body), 422, "invalid_reset_token")
    await client.post("/auth/forgot-password", json={"email": patient.email})
    assert len(mails) == 6, "tokens from the future do not count for the limit"
    body["token"] = mails[-1].text.split("\n\n")[1]
    assert (await client.post("/auth/reset-password", json=body)).status_code == 204


async def test_hold_does_not_block_bookings_for_a_year(
    doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    await doctor.publish("2027-12-08T09:00:00Z", "2027-12-08T12:00:00Z")
    other = await register("patient")
    clock.time += YEAR
    patient = await patient.log_in_again()
    body = {"doctor_id": doctor.id, "start_time": SLOT}
    assert (await patient.post("/holds", body)).status_code == 201
    clock.time -= YEAR
    listed = await other.get(f"/doctors/{doctor.id}/slots", params={"from": SLOT, "to": "2027-12-08T11:00:00Z"})
    assert SLOT in {slot["start_time"] for slot in listed.json()}
    assert (await other.book(doctor, SLOT))["start_time"] == SLOT


async def test_idempotency_key_is_not_taken_for_a_year(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.publish("2027-12-08T09:00:00Z", "2027-12-08T12:00:00Z")
    clock.time += timedelta(days=30)
    patient = await patient.log_in_again()
    headers = patient.headers | {"Idempotency-Key": "a-key"}
    first = {"doctor_id": doctor.id, "start_time": SLOT}
    assert (await client.post("/appointments", json=first, headers=headers)).status_code == 201
    clock.time -= timedelta(days=30)
    patient = await patient.log_in_again()
    headers = patient.headers | {"Idempotency-Key": "a-key"}
    second = first | {"start_time": "2027-12-08T11:00:00Z"}
    assert (await client.post("/appointments", json=second, headers=headers)).status_code == 201


async def test_messages_are_not_refused_for_a_year(
    patient: Person, confirmations: list[Mail], clock: SetClock, settings: Settings
) -> None:
    clock.time += YEAR
    ahead = await patient.log_in_again()
    for _ in range(settings.max_mails_per_hour):
        assert (await resend_confirmation(ahead)).status_code == 204
    assert_problem(await resend_confirmation(ahead), 429, "too_many_messages")
    clock.time -= YEAR
    sent = len(confirmations)
    assert (await resend_confirmation(patient)).status_code == 204
    assert len(confirmations) == sent + 1


async def test_message_counts_from_the_future_are_deleted(patient: Person, clock: SetClock, database: Database) -> None:
    clock.time += YEAR
    await resend_confirmation(await patient.log_in_again())
    clock.time -= YEAR
    await clean_up(database, clock)
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM mail_counts")) == 0


async def test_confirmation_token_does_not_last_for_a_year(
    patient: Person, confirmations: list[Mail], clock: SetClock
) -> None:
    clock.time += YEAR
    await resend_confirmation(await patient.log_in_again())
    clock.time -= YEAR
    assert_problem(await confirm_with_code(patient, read_token(confirmations[-1])), 422, "invalid_confirmation_token")
    await resend_confirmation(patient)
    assert (await confirm_with_code(patient, read_token(confirmations[-1]))).status_code == 204


class TestInvitations:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_open_invitations": 1})

    async def test_invitation_does_not_last_for_a_year(
        self, client: httpx2.AsyncClient, admin: Person, clock: SetClock
    ) -> None:
        clock.time += YEAR
        sent = await invite(await admin.log_in_again())
        clock.time -= YEAR
        assert_problem(await accept_invitation(client, sent["token"]), 422, "invalid_invitation_token")
        again = await invite(admin, "another@example.com")
        assert (await accept_invitation(client, again["token"])).status_code == 201, (
            "the invitation from the future does not count as open"
        )

    async def test_invitation_from_the_future_can_be_cancelled(
        self, client: httpx2.AsyncClient, admin: Person, clock: SetClock
    ) -> None:
        clock.time += YEAR
        sent = await invite(await admin.log_in_again())
        clock.time -= YEAR
        assert [each["id"] for each in (await admin.get("/admin/invitations")).json()] == [sent["id"]]
        assert (await admin.delete(f"/admin/invitations/{sent['id']}")).status_code == 204
        assert (await admin.get("/admin/invitations")).json() == []
        clock.time += YEAR
        assert_problem(await accept_invitation(client, sent["token"]), 422, "invalid_invitation_token")


class TestCancellations:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_cancellations_per_day": 1})

    async def test_cancellations_do_not_count_for_a_year(
        self, doctor: Person, patient: Person, clock: SetClock
    ) -> None:
        await doctor.publish("2027-12-08T09:00:00Z", "2027-12-08T12:00:00Z")
        clock.time += YEAR
        ahead = await patient.log_in_again()
        booked = await ahead.book(doctor, SLOT)
        assert (await act(ahead, booked, "cancel")).status_code == 200
        assert_problem(await ahead.try_to_book(doctor, SLOT), 409, "too_many_cancellations")
        clock.time -= YEAR
        assert (await patient.try_to_book(doctor, SLOT)).status_code == 201


async def test_failed_log_ins_from_the_future_do_not_count(client: httpx2.AsyncClient, clock: SetClock) -> None:
    clock.time += YEAR
    for _ in range(FREE_ATTEMPTS):
        await guess(client, "unknown@example.com")
    clock.time -= YEAR
    for _ in range(2):
        assert (await guess(client, "unknown@example.com")).status_code == 401


async def test_failed_log_ins_from_the_future_are_deleted(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock, database: Database
) -> None:
    clock.time += YEAR
    for _ in range(FREE_ATTEMPTS):
        await guess(client, patient.email)
    clock.time -= YEAR
    await clean_up(database, clock)
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM login_attempts")) == 0


async def test_status_change_cannot_be_undone_for_a_year(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.publish("2026-12-01T09:00:00Z", "2026-12-01T12:00:00Z")
    booked = await patient.book(doctor, "2026-12-01T10:00:00Z")
    clock.time += YEAR
    assert (await act(await doctor.log_in_again(), booked, "no-show")).status_code == 200
    clock.time = datetime(2026, 12, 1, 22, tzinfo=UTC)
    forms = Forms(client)
    await forms.sign_in(doctor)
    assert "/undo" not in (await client.get("/practice/day?day=2026-12-01")).text
    clock.time = datetime(2026, 12, 3, 8, tzinfo=UTC)
    assert_problem(await act(await doctor.log_in_again(), booked, "undo"), 409, "too_late")


async def test_second_factor_codes_are_not_refused_for_a_year(
    client: httpx2.AsyncClient, patient: Person, confirm_email: ConfirmEmail, clock: SetClock
) -> None:
    """The clock of an authenticator on the same machine is ahead, too."""
    totp, _ = await set_up_second_factor(await confirm_email(patient), clock)
    clock.time += YEAR
    assert (await log_in_with_code(client, patient, otp=totp.at(clock.time))).status_code == 200
    clock.time -= YEAR
    code = totp.at(clock.time)
    assert (await log_in_with_code(client, patient, otp=code)).status_code == 200
    assert_problem(await log_in_with_code(client, patient, otp=code), 401, "invalid_second_factor")


async def test_session_from_the_future_can_be_ended(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    clock.time += YEAR
    granted = await get_tokens(client, patient.email)
    clock.time -= YEAR
    ahead, current = (await patient.get("/auth/sessions")).json()
    assert (ahead["current"], current["current"]) == (False, True)
    assert (await patient.delete(f"/auth/sessions/{ahead['id']}")).status_code == 204
    assert len((await patient.get("/auth/sessions")).json()) == 1
    clock.time += YEAR
    assert_problem(await refresh(client, granted["refresh_token"]), 401, "invalid_refresh_token")


async def test_search_finds_slots_again_after_the_clock_is_corrected(
    app: FastAPI, client: httpx2.AsyncClient, register: Register, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_slot_index, "BATCH", 1)
    for name in ("Dr A", "Dr B"):
        await open_doctor(register, name)
    found = await find_starts(client, limit="2")
    clock.time += timedelta(days=14)
    assert await find_starts(client, limit="2") == []
    clock.time -= timedelta(days=14)
    resources = app.state.resources
    await next_slot_index.update_next_slots(resources.database, resources.processor, clock)
    assert await find_starts(client, limit="2") == found


async def test_search_offers_from_a_clock_slightly_ahead_are_kept(
    app: FastAPI, client: httpx2.AsyncClient, register: Register, clock: SetClock
) -> None:
    await open_doctor(register, "Dr A")
    ahead = clock.time = clock.time + MAX_CLOCK_DIFFERENCE
    await find_starts(client)
    resources = app.state.resources
    for difference, kept in ((MAX_CLOCK_DIFFERENCE, True), (MAX_CLOCK_DIFFERENCE + timedelta(seconds=1), False)):
        clock.time = ahead - difference
        await next_slot_index.update_next_slots(resources.database, resources.processor, clock)
        async with resources.database.read() as transaction:
            found_at = await transaction.scalar(select(Offer.found_at).where(Offer.language == ANY_LANGUAGE))
        assert (found_at == ahead) is kept


async def test_search_offers_from_the_future_are_recomputed_in_batches(
    app: FastAPI, client: httpx2.AsyncClient, register: Register, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_slot_index, "BATCH", 1)
    monkeypatch.setattr(next_slot_index, "MAX_BATCHES", 1)
    for name in ("Dr A", "Dr B"):
        await open_doctor(register, name)
    clock.time += timedelta(days=14)
    await find_starts(client, limit="2")
    clock.time -= timedelta(days=14)
    resources = app.state.resources
    for number in (1, 2):
        await next_slot_index.update_next_slots(resources.database, resources.processor, clock)
        assert len(await find_doctors(client, from_=MORNING[0], to=MORNING[1])) == number
