"""Codes work as people type and paste them: white space in them is dropped."""

from collections.abc import Callable

import httpx2
import pyotp
import pytest

from app.adapters.mail import Mail
from tests.api.test_second_factor import log_in, set_up
from tests.conftest import ConfirmEmail, SetClock
from tests.people import PASSWORD, Person, assert_problem
from tests.web.conftest import Forms

SPACES: dict[str, Callable[[str], str]] = {
    "a blank in the middle": lambda code: f"{code[:3]} {code[3:]}",
    "blanks around it": lambda code: f"  {code}\t",
    "a no-break space": lambda code: f"{code[:3]}\u00a0{code[3:]}",
    "a narrow no-break space": lambda code: f"{code[:3]}\u202f{code[3:]}",
    "a line break": lambda code: f"{code[:3]}\r\n{code[3:]}\n",
    "a space of no width": lambda code: f"\u200b{code}\ufeff",
}


@pytest.fixture
async def patient(patient: Person, confirm_email: ConfirmEmail) -> Person:
    """A second factor needs a confirmed address."""
    return await confirm_email(patient)


@pytest.mark.parametrize("typed", SPACES.values(), ids=SPACES)
async def test_white_space_in_a_second_factor_code_is_dropped(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock, typed: Callable[[str], str]
) -> None:
    totp, codes = await set_up(patient, clock)
    for code in (totp.at(clock.time), codes[0], codes[1].replace("-", "\u2011"), codes[2].replace("-", "")):
        response = await log_in(client, patient, otp=typed(code))
        assert response.status_code == 200, response.text


async def test_white_space_in_the_first_code_is_dropped(patient: Person, clock: SetClock) -> None:
    secret = (await patient.post("/auth/second-factor", None)).json()["secret"]
    code = pyotp.TOTP(secret).at(clock.time)
    response = await patient.post("/auth/second-factor/confirm", {"otp": f"{code[:3]} {code[3:]}"})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("typed", SPACES.values(), ids=SPACES)
async def test_white_space_in_a_reset_token_is_dropped(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], typed: Callable[[str], str]
) -> None:
    await client.post("/auth/forgot-password", json={"email": patient.email})
    token = mails[-1].text.split("\n\n")[1]
    body = {"token": typed(token), "new_password": "another horse battery"}
    response = await client.post("/auth/reset-password", json=body)
    assert response.status_code == 204, response.text


@pytest.mark.parametrize("otp", [" " * 10, "12 34 5", "\u200b" * 6])
async def test_code_of_white_space_only_is_refused(client: httpx2.AsyncClient, patient: Person, otp: str) -> None:
    assert_problem(await log_in(client, patient, otp=otp), 422, "invalid_request")


async def test_white_space_in_a_password_counts(client: httpx2.AsyncClient, patient: Person) -> None:
    form = {"username": patient.email, "password": "correcthorsebattery"}
    assert_problem(await client.post("/auth/login", data=form), 401, "invalid_credentials")


async def test_white_space_in_codes_on_the_pages_is_dropped(
    client: httpx2.AsyncClient, patient: Person, mails: list[Mail], clock: SetClock
) -> None:
    forms = Forms(client)
    await forms.send("/forgotten", email=patient.email)
    token = mails[-1].text.split("\n\n")[1]
    reset = await forms.send("/reset", token=f" {token[:20]}\n{token[20:]} ", new_password=PASSWORD)
    assert reset.headers["location"] == "/sign-in"
    totp, codes = await set_up(await patient.log_in_again(), clock)
    code = totp.at(clock.time)
    for typed in (f"{code[:3]} {code[3:]}", codes[0].replace("-", " "), f"{codes[1]} "):
        response = await forms.send("/sign-in", username=patient.email, password=PASSWORD, otp=typed)
        assert response.headers["location"] == "/start"
