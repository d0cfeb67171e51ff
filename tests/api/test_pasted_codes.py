"""White space in typed or pasted codes is dropped."""

from collections.abc import Callable

import httpx2
import pyotp
import pytest

from app.adapters.mail import Mail
from tests.api.account_requests import log_in_with_code, set_up_second_factor
from tests.conftest import ConfirmEmail, Register, SetClock, read_token
from tests.people import PASSWORD, Person, assert_problem
from tests.web.conftest import Forms

SPACES: dict[str, Callable[[str], str]] = {
    "a space in the middle": lambda code: f"{code[:3]} {code[3:]}",
    "spaces around it": lambda code: f"  {code}\t",
    "a no-break space": lambda code: f"{code[:3]}\u00a0{code[3:]}",
    "a narrow no-break space": lambda code: f"{code[:3]}\u202f{code[3:]}",
    "a line break": lambda code: f"{code[:3]}\r\n{code[3:]}\n",
    "zero-width spaces": lambda code: f"\u200b{code}\ufeff",
}


@pytest.fixture
async def patient(patient: Person, confirm_email: ConfirmEmail) -> Person:
    return await confirm_email(patient)


async def test_white_space_in_a_second_factor_code_is_dropped(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    totp, recovery_codes = await set_up_second_factor(patient, clock)
    failures = []
    for variant, insert_space in SPACES.items():
        clock.advance(seconds=30)  # each code of the app works once
        response = await log_in_with_code(client, patient, otp=insert_space(totp.at(clock.time)))
        if response.status_code != 200:
            failures.append((variant, response.text))
    for variant, insert_space in SPACES.items():
        response = await log_in_with_code(client, patient, otp=insert_space(recovery_codes.pop()))
        if response.status_code != 200:
            failures.append((variant, response.text))
    assert not failures
    for code in (recovery_codes.pop().replace("-", "\u2011"), recovery_codes.pop().replace("-", "")):
        assert (await log_in_with_code(client, patient, otp=code)).status_code == 200


async def test_white_space_in_the_first_code_is_dropped(patient: Person, clock: SetClock) -> None:
    secret = (await patient.post("/auth/second-factor", None)).json()["secret"]
    code = pyotp.TOTP(secret).at(clock.time)
    response = await patient.post("/auth/second-factor/confirm", {"otp": f"{code[:3]} {code[3:]}"})
    assert response.status_code == 200, response.text


async def test_white_space_in_a_reset_token_is_dropped(
    client: httpx2.AsyncClient, register: Register, mails: list[Mail]
) -> None:
    failures = []
    for variant, insert_space in SPACES.items():
        await client.post("/auth/forgot-password", json={"email": (await register()).email})
        body = {"token": insert_space(read_token(mails[-1])), "new_password": "another horse battery"}
        response = await client.post("/auth/reset-password", json=body)
        if response.status_code != 204:
            failures.append((variant, response.text))
    assert not failures


async def test_code_of_white_space_only_is_refused(client: httpx2.AsyncClient, patient: Person) -> None:
    for otp in (" " * 10, "12 34 5", "\u200b" * 6):
        assert_problem(await log_in_with_code(client, patient, otp=otp), 422, "invalid_request")


async def test_white_space_in_a_password_counts(client: httpx2.AsyncClient, patient: Person) -> None:
    form = {"username": patient.email, "password": "correcthorsebattery"}
    assert_problem(await client.post("/auth/login", data=form), 401, "invalid_credentials")


async def test_white_space_in_codes_on_the_pages_is_dropped(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], clock: SetClock
) -> None:
    forms = Forms(client)
    await forms.send("/forgotten", email=patient.email)
    token = read_token(mails[-1])
    reset = await forms.send("/reset", token=f" {token[:20]}\n{token[20:]} ", new_password=PASSWORD)
    assert reset.headers["location"] == "/sign-in"
    totp, codes = await set_up_second_factor(await patient.log_in_again(), clock)
    code = totp.at(clock.time)
    for typed in (f"{code[:3]} {code[3:]}", codes[0].replace("-", " "), f"{codes[1]} "):
        response = await forms.send("/sign-in", username=patient.email, password=PASSWORD, otp=typed)
        assert response.headers["location"] == "/start"
