"""Guessing codes of the second factor is slow, even if the password is reset."""

import httpx2
import pytest

from app.adapters.mail import Mail
from app.core.settings import Settings
from app.services.login_throttle import FREE_ATTEMPTS
from tests.api.account_requests import log_in_with_code, set_up_second_factor
from tests.api.conftest import ConnectFrom
from tests.conftest import ConfirmEmail, SetClock
from tests.people import PASSWORD, Person, assert_problem


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The number of reset mails is not limited."""
    return settings.model_copy(update={"max_mails_per_hour": 100})


@pytest.fixture
async def patient(patient: Person, confirm_email: ConfirmEmail) -> Person:
    return await confirm_email(patient)


async def reset_password(client: httpx2.AsyncClient, person: Person, mails: list[Mail]) -> None:
    """Reset the password to the same one, as a thief with access to the mailbox can."""
    await client.post("/auth/forgot-password", json={"email": person.email})
    token = mails[-1].text.split("\n\n")[1]
    body = {"token": token, "new_password": PASSWORD}
    assert (await client.post("/auth/reset-password", json=body)).status_code == 204


@pytest.mark.parametrize("wrong", ["000000", "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"])
async def test_password_reset_does_not_clear_wrong_codes(
    patient: Person, clock: SetClock, mails: list[Mail], connect_from: ConnectFrom, wrong: str
) -> None:
    totp, _ = await set_up_second_factor(patient, clock)
    for _ in range(FREE_ATTEMPTS):
        thief = connect_from("203.0.113.1")
        await reset_password(thief, patient, mails)
        assert_problem(await log_in_with_code(thief, patient, otp=wrong), 401, "invalid_second_factor")
    for wait in (1, 2, 4):
        thief = connect_from("203.0.113.1")
        await reset_password(thief, patient, mails)
        response = await log_in_with_code(thief, patient, otp=totp.at(clock.time))
        assert_problem(response, 429, "too_many_attempts")
        assert response.headers["retry-after"] == str(wait)
        clock.advance(seconds=wait)
        assert_problem(await log_in_with_code(thief, patient, otp=wrong), 401, "invalid_second_factor")


async def test_correct_code_clears_wrong_codes(patient: Person, clock: SetClock, connect_from: ConnectFrom) -> None:
    totp, codes = await set_up_second_factor(patient, clock)
    client = connect_from("203.0.113.1")
    for right in (totp.at(clock.time), codes[0]):
        for _ in range(FREE_ATTEMPTS - 1):
            assert_problem(await log_in_with_code(client, patient, otp="000000"), 401, "invalid_second_factor")
        assert (await log_in_with_code(client, patient, otp=right)).status_code == 200


async def test_device_with_an_accepted_code_is_not_blocked_by_guessed_codes(
    patient: Person, clock: SetClock, mails: list[Mail], connect_from: ConnectFrom
) -> None:
    _, codes = await set_up_second_factor(patient, clock)
    owner = connect_from("192.0.2.1")
    assert (await log_in_with_code(owner, patient, otp=codes[0])).status_code == 200
    for number in range(3 * FREE_ATTEMPTS):
        await log_in_with_code(connect_from(f"203.0.113.{number}"), patient, otp="000000")
    await reset_password(connect_from("203.0.113.1"), patient, mails)
    assert_problem(
        await log_in_with_code(connect_from("198.51.100.1"), patient, otp=codes[1]), 429, "too_many_attempts"
    )
    assert (await log_in_with_code(owner, patient, otp=codes[1])).status_code == 200


async def test_removed_second_factor_forgets_its_devices(
    patient: Person, clock: SetClock, connect_from: ConnectFrom
) -> None:
    _, codes = await set_up_second_factor(patient, clock)
    device = connect_from("192.0.2.1")
    assert (await log_in_with_code(device, patient, otp=codes[0])).status_code == 200
    assert (await patient.delete("/auth/second-factor")).status_code == 204
    _, codes = await set_up_second_factor(patient, clock)
    for number in range(3 * FREE_ATTEMPTS):
        await log_in_with_code(connect_from(f"203.0.113.{number}"), patient, otp="000000")
    assert_problem(await log_in_with_code(device, patient, otp=codes[0]), 429, "too_many_attempts")
    clock.advance(minutes=15)
    assert (await log_in_with_code(device, patient, otp=codes[0])).status_code == 200


async def test_codes_are_ignored_without_a_second_factor(client: httpx2.AsyncClient, patient: Person) -> None:
    for _ in range(2 * FREE_ATTEMPTS):
        assert (await log_in_with_code(client, patient, otp="000000")).status_code == 200
