"""Changes of the email address of an account."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import httpx2
import pyotp
import pytest
from sqlalchemy import func, select, text

from app.adapters.mail import Mail
from app.core.settings import Settings
from app.db.database import Database
from app.jobs.cleanup import clean_up
from app.models import EmailChange
from app.repositories.email_changes import EMAIL_CHANGE_LIFETIME
from app.services.login_throttle import FREE_ATTEMPTS
from tests.api.account_requests import confirm_with_code, guess, set_up_second_factor
from tests.conftest import ConfirmEmail, CountStatements, Register, SetClock, read_token
from tests.people import PASSWORD, Person, assert_problem, get_tokens, log_in

NEW = "ann.lee@example.net"
CODE = "Confirm your new email address"
REQUESTED = "A new email address was requested"
CHANGED = "Your email address was changed"


async def request_change(person: Person, new_email: str = NEW, password: str = PASSWORD) -> httpx2.Response:
    return await person.post("/auth/email", {"new_email": new_email, "current_password": password})


async def confirm_change(person: Person, token: str) -> httpx2.Response:
    return await person.post("/auth/email/confirm", {"token": token})


async def request_code(person: Person, mails: list[Mail], new_email: str = NEW) -> str:
    response = await request_change(person, new_email)
    assert response.status_code == 202, response.text
    return next(read_token(mail) for mail in reversed(mails) if mail.subject == CODE)


async def get_address(person: Person) -> str:
    address: str = (await person.get("/auth/me")).json()["email"]
    return address


async def test_address_is_changed_with_the_code_from_the_new_mailbox(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], clock: SetClock
) -> None:
    response = await request_change(patient)
    assert response.status_code == 202
    assert response.json() == {"message": "A message with a code is on its way to the new address."}
    code, notice = mails
    assert (code.to, code.subject) == (NEW, CODE)
    assert (notice.to, notice.subject) == (patient.email, REQUESTED)
    assert await get_address(patient) == patient.email, "nothing changes before the confirmation"
    clock.advance(minutes=5)
    assert (await confirm_change(patient, read_token(code))).status_code == 204
    me = (await patient.get("/auth/me")).json()
    assert me["email"] == NEW
    assert me["email_confirmed_at"] == "2026-12-01T08:05:00Z"
    assert (mails[2].to, mails[2].subject) == (patient.email, CHANGED)
    assert_problem(await guess(client, patient.email, PASSWORD), 401, "invalid_credentials")
    assert await log_in(client, NEW)
    assert_problem(await confirm_change(patient, read_token(code)), 422, "invalid_confirmation_token")


async def test_every_role_can_change_its_address(doctor: Person, admin: Person, mails: list[Mail]) -> None:
    for person, address in ((doctor, "okafor@example.net"), (admin, "office@example.net")):
        assert (await confirm_change(person, await request_code(person, mails, address))).status_code == 204
        assert await get_address(person) == address


async def test_notices_do_not_contain_the_new_address(patient: Person, mails: list[Mail]) -> None:
    await confirm_change(patient, await request_code(patient, mails))
    notices = [mail.text for mail in mails if mail.to == patient.email]
    assert len(notices) == 2
    assert all("a…@e….net" in notice and NEW not in notice for notice in notices)


async def test_change_ends_the_other_sessions(client: httpx2.AsyncClient, patient: Person, mails: list[Mail]) -> None:
    other = await get_tokens(client, patient.email)
    await confirm_change(patient, await request_code(patient, mails))
    ended = await client.get("/auth/me", headers={"Authorization": f"Bearer {other['access_token']}"})
    assert_problem(ended, 401, "not_authenticated")
    assert len((await patient.get("/auth/sessions")).json()) == 1


async def test_unconfirmed_account_corrects_its_address(
    patient: Person, mails: list[Mail], confirmations: list[Mail]
) -> None:
    await confirm_change(patient, await request_code(patient, mails))
    stale = await confirm_with_code(patient, read_token(confirmations[0]))
    assert_problem(stale, 422, "invalid_confirmation_token")
    assert (await patient.post("/auth/second-factor", None)).status_code == 201


async def test_address_can_be_written_in_another_way(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail]
) -> None:
    await confirm_change(patient, await request_code(patient, mails, patient.email.upper()))
    assert await get_address(patient) == patient.email.upper().replace("EXAMPLE.COM", "example.com")
    assert await log_in(client, patient.email)


async def test_second_factor_stays(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], confirm_email: ConfirmEmail, clock: SetClock
) -> None:
    totp, _ = await set_up_second_factor(await confirm_email(patient), clock)
    assert isinstance(totp, pyotp.TOTP)
    await confirm_change(patient, await request_code(patient, mails))
    assert_problem(await guess(client, NEW, PASSWORD), 401, "second_factor_required")


async def test_wrong_password_is_refused_and_sends_nothing(patient: Person, mails: list[Mail]) -> None:
    refused = assert_problem(await request_change(patient, password="a wrong one"), 422, "invalid_request")
    assert refused["errors"] == [{"field": "current_password", "message": "is not your password"}]
    assert mails == []


async def test_wrong_passwords_count_as_failed_log_ins(client: httpx2.AsyncClient, patient: Person) -> None:
    for _ in range(FREE_ATTEMPTS - 1):
        assert_problem(await request_change(patient, password="a wrong one"), 422, "invalid_request")
    assert (await request_change(patient)).status_code == 202, "the right password resets the count"
    for _ in range(FREE_ATTEMPTS):
        assert_problem(await request_change(patient, password="a wrong one"), 422, "invalid_request")
    assert_problem(await request_change(patient), 429, "too_many_attempts")
    assert_problem(await guess(client, patient.email, PASSWORD), 429, "too_many_attempts")


async def test_request_does_not_reveal_an_account(
    patient: Person, doctor: Person, mails: list[Mail], count_statements: CountStatements
) -> None:
    seen = []
    for new_email in (NEW, doctor.email):
        mails.clear()
        count_statements()
        response = await request_change(patient, new_email)
        contents = [(mail.to.replace(new_email, "new"), mail.subject) for mail in mails]
        seen.append((response.status_code, response.content, contents, count_statements()))
    first, second = seen
    # The first request also inserts the counters; the second replaces the first.
    assert first == second
    assert_problem(await confirm_change(patient, read_token(mails[0])), 409, "email_taken")
    assert await get_address(patient) == patient.email


async def test_look_alike_address_of_another_account_is_taken(
    patient: Person, doctor: Person, mails: list[Mail]
) -> None:
    token = await request_code(patient, mails, doctor.email.upper())
    assert_problem(await confirm_change(patient, token), 409, "email_taken")


async def test_address_that_was_taken_meanwhile_is_refused(
    patient: Person, register: Register, mails: list[Mail]
) -> None:
    token = await request_code(patient, mails)
    other = await register("patient", email=NEW)
    for _ in range(2):
        assert_problem(await confirm_change(patient, token), 409, "email_taken")
    assert (await other.delete("/auth/me")).status_code == 204
    assert (await confirm_change(patient, token)).status_code == 204, "the refusal has not used up the code"


async def test_code_works_for_no_other_account(
    client: httpx2.AsyncClient, patient: Person, doctor: Person, mails: list[Mail]
) -> None:
    token = await request_code(patient, mails)
    await request_code(doctor, mails, "okafor@example.net")
    assert_problem(await confirm_change(doctor, token), 422, "invalid_confirmation_token")
    response = await client.post("/auth/email/confirm", json={"token": token})
    assert_problem(response, 401, "not_authenticated")
    assert (await confirm_change(patient, token)).status_code == 204


async def test_code_expires_and_its_address_is_deleted(
    patient: Person, mails: list[Mail], clock: SetClock, database: Database
) -> None:
    token = await request_code(patient, mails)
    for advanced, left in ((EMAIL_CHANGE_LIFETIME - timedelta(seconds=1), 1), (timedelta(seconds=1), 0)):
        clock.time += advanced
        await clean_up(database, clock)
        async with database.read() as transaction:
            assert await transaction.scalar(select(func.count()).select_from(EmailChange)) == left
    patient = await patient.log_in_again()
    assert_problem(await confirm_change(patient, token), 422, "invalid_confirmation_token")


async def test_expired_code_is_refused_before_it_is_deleted(
    patient: Person, mails: list[Mail], clock: SetClock
) -> None:
    token = await request_code(patient, mails)
    clock.time += EMAIL_CHANGE_LIFETIME
    patient = await patient.log_in_again()
    assert_problem(await confirm_change(patient, token), 422, "invalid_confirmation_token")
    assert (await patient.get("/auth/me/export")).json()["email_change"] is None


async def test_new_request_replaces_the_earlier_one(patient: Person, mails: list[Mail]) -> None:
    first = await request_code(patient, mails)
    second = await request_code(patient, mails, "other@example.net")
    assert_problem(await confirm_change(patient, first), 422, "invalid_confirmation_token")
    assert (await confirm_change(patient, second)).status_code == 204
    assert await get_address(patient) == "other@example.net"


class TestLimitedCredentials:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"rate_limit_login": "12/minute"})

    async def test_wrong_codes_are_limited_like_those_that_confirm_an_address(self, patient: Person) -> None:
        codes = [(await confirm_change(patient, f"wrong {number}")).status_code for number in range(12)]
        assert codes[0] == 422
        assert codes[-1] == 429
        assert (await confirm_with_code(patient, "wrong")).status_code == 429


async def test_messages_are_limited_per_address(
    register: Register, patient: Person, mails: list[Mail], clock: SetClock
) -> None:
    others = [await register() for _ in range(5)]
    for other in others:
        assert (await request_change(other)).status_code == 202
    clock.advance(minutes=20)
    refused = await request_change(patient)
    assert_problem(refused, 429, "too_many_messages")
    assert refused.headers["Retry-After"] == str(40 * 60)
    assert [mail.to for mail in mails].count(NEW) == 5
    patient = await patient.log_in_again()
    assert (await patient.get("/auth/me/export")).json()["email_change"] is None


async def test_no_request_is_hidden_by_others_and_messages_to_strangers_are_limited(
    patient: Person, mails: list[Mail]
) -> None:
    tokens = [await request_code(patient, mails, f"{number}@example.net") for number in range(5)]
    for _ in range(12):
        refused = await request_change(patient, "6@example.net")
        assert_problem(refused, 429, "too_many_messages")  # not too many attempts: the password was right
    assert [mail.to for mail in mails].count(patient.email) == 5
    assert "6@example.net" not in [mail.to for mail in mails]
    await confirm_change(patient, tokens[-1])
    assert mails[-1].subject == CHANGED


async def reset_password(patient: Person, mails: list[Mail]) -> Person:
    await patient.client.post("/auth/forgot-password", json={"email": patient.email})
    body = {"token": read_token(mails[-1]), "new_password": "another horse"}
    assert (await patient.client.post("/auth/reset-password", json=body)).status_code == 204
    return replace(patient, token=await log_in(patient.client, patient.email, "another horse"))


async def change_password(patient: Person, _: list[Mail]) -> Person:
    body = {"current_password": PASSWORD, "new_password": "another horse"}
    assert (await patient.post("/auth/change-password", body)).status_code == 204
    return patient


@pytest.mark.parametrize("choose", [reset_password, change_password])
async def test_new_password_cancels_the_change(
    choose: Callable[[Person, list[Mail]], Awaitable[Person]], patient: Person, mails: list[Mail]
) -> None:
    token = await request_code(patient, mails)
    patient = await choose(patient, mails)
    assert_problem(await confirm_change(patient, token), 422, "invalid_confirmation_token")
    assert await get_address(patient) == patient.email


async def test_change_ends_reset_tokens_of_the_previous_mailbox(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail]
) -> None:
    token = await request_code(patient, mails)
    await client.post("/auth/forgot-password", json={"email": patient.email})
    reset = read_token(mails[-1])
    await confirm_change(patient, token)
    response = await client.post("/auth/reset-password", json={"token": reset, "new_password": "another horse"})
    assert_problem(response, 422, "invalid_reset_token")
    mails.clear()
    await client.post("/auth/forgot-password", json={"email": patient.email})
    assert mails == []
    await client.post("/auth/forgot-password", json={"email": NEW})
    assert [mail.to for mail in mails] == [NEW]


async def test_previous_address_can_be_registered_again(patient: Person, register: Register, mails: list[Mail]) -> None:
    await confirm_change(patient, await request_code(patient, mails))
    assert (await register("patient", email=patient.email)).id != patient.id


async def test_guesses_at_the_new_address_do_not_lock_out_a_known_device(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail]
) -> None:
    patient = await patient.log_in_again()
    device = dict(client.cookies)
    client.cookies.clear()
    for _ in range(30):
        await guess(client, NEW)
    client.cookies.update(device)
    await confirm_change(patient, await request_code(patient, mails))
    assert await log_in(client, NEW)
    client.cookies.clear()
    assert_problem(await guess(client, NEW, PASSWORD), 429, "too_many_attempts")


async def test_open_change_is_exported_and_erased(patient: Person, mails: list[Mail], database: Database) -> None:
    await request_code(patient, mails)
    exported = (await patient.get("/auth/me/export")).json()
    assert exported["email_change"] == {"email": NEW, "expires_at": "2026-12-02T08:00:00Z"}
    assert (await patient.delete("/auth/me")).status_code == 204
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM email_changes")) == 0


async def test_suspended_account_cannot_change_its_address(patient: Person, admin: Person, mails: list[Mail]) -> None:
    token = await request_code(patient, mails)
    reason = {"reason": "A reason in a few words"}
    assert (await admin.post(f"/admin/users/{patient.id}/suspend", reason)).status_code == 200
    assert_problem(await confirm_change(patient, token), 401, "not_authenticated")
    assert_problem(await request_change(patient), 401, "not_authenticated")


class TestWithRequiredConfirmation:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"email_confirmation": "required"})

    async def test_doctor_is_listed_once_the_corrected_address_is_confirmed(
        self, doctor: Person, mails: list[Mail]
    ) -> None:
        token = await request_code(doctor, mails)
        assert_problem(await confirm_change(doctor, "a wrong one"), 422, "invalid_confirmation_token")
        assert (await doctor.client.get("/doctors")).json() == []
        assert (await confirm_change(doctor, token)).status_code == 204
        assert [each["id"] for each in (await doctor.client.get("/doctors")).json()] == [doctor.id]
