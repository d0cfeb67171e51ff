"""A form that is sent twice, in a row or at once, redirects to the same page and has its effect once."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from pyotp import TOTP

from app.adapters.mail import Mail
from tests.conftest import ConfirmEmail, SetClock, read_token
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms, on_both_databases

pytestmark = on_both_databases  # only pages record submissions, and SQLite has one writer at a time

NEW = "another good one"

type SendTwice = Callable[..., Awaitable[list[httpx2.Response]]]


@pytest.fixture(params=["in a row", "at once"])
def send_twice(request: pytest.FixtureRequest, client: httpx2.AsyncClient) -> SendTwice:
    async def send_twice(path: str, on: str | None = None, **fields: str) -> list[httpx2.Response]:
        shown = (await client.get(on or path)).text
        form = next(form for form in shown.split("<form")[1:] if f'action="{path}"' in form)
        hidden = dict(re.findall(r'type="hidden" name="(form_\w+|secret)" value="([^"]*)"', form))
        assert "form_key" in hidden
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)

        async def send() -> httpx2.Response:
            # Both requests carry the cookies that the browser had when the button was pressed.
            return await client.post(path, data={**hidden, **fields}, headers={"Cookie": cookies})

        if request.param == "at once":
            return list(await asyncio.gather(send(), send()))
        return [await send(), await send()]

    return send_twice


async def test_repeated_registration_creates_one_account(
    send_twice: SendTwice, client: httpx2.AsyncClient, confirmations: list[Mail]
) -> None:
    responses = await send_twice("/register", name="Ann Lee", email="ann@example.com", password=PASSWORD)
    assert [response.headers.get("location") for response in responses] == ["/start", "/start"]
    assert (await client.get("/start")).headers["location"] == "/my/appointments"
    assert len(confirmations) == 1


async def test_registration_of_an_address_in_use_is_refused(forms: Forms, patient: Person) -> None:
    fields = {"name": "Ann Lee", "email": patient.email, "password": PASSWORD, "form_key": "k"}
    for _ in range(2):
        assert (await forms.send("/register", **fields)).status_code == 409
    assert "session" not in forms.client.cookies


async def test_other_form_of_the_same_browser_is_not_a_repetition(forms: Forms, clock: SetClock) -> None:
    fields = {"name": "Ann Lee", "email": "ann@example.com", "password": PASSWORD, "form_key": "k"}
    assert (await forms.send("/register", **fields)).status_code == 303
    forms.client.cookies.delete("session")
    for other in ({"form_key": "l"}, {"password": NEW}):
        assert (await forms.send("/register", **{**fields, **other})).status_code == 409
    clock.advance(minutes=2)
    assert (await forms.send("/register", **fields)).status_code == 409
    clock.advance(minutes=-2)
    forms.client.cookies.clear()
    assert (await forms.send("/register", **fields)).status_code == 409
    assert "session" not in forms.client.cookies


async def test_repeated_password_change_sends_one_mail(
    send_twice: SendTwice, forms: Forms, patient: Person, mails: list[Mail]
) -> None:
    await forms.sign_in(patient)
    responses = await send_twice("/my/account/password", current_password=PASSWORD, new_password=NEW)
    assert [response.headers.get("location") for response in responses] == ["/my/account", "/my/account"]
    assert len(mails) == 1


async def test_repeated_request_for_a_reset_code_sends_one_mail(
    send_twice: SendTwice, forms: Forms, patient: Person, mails: list[Mail]
) -> None:
    responses = await send_twice("/forgotten", email=patient.email)
    assert [response.headers.get("location") for response in responses] == ["/reset", "/reset"]
    assert len(mails) == 1
    assert (await forms.send("/forgotten", email="unknown@example.com")).headers["location"] == "/reset"
    assert (await forms.send("/forgotten", email=patient.email, form_key="another")).headers["location"] == "/reset"
    assert len(mails) == 2


async def test_repeated_password_reset_succeeds(
    send_twice: SendTwice, forms: Forms, patient: Person, mails: list[Mail]
) -> None:
    await forms.send("/forgotten", email=patient.email)
    responses = await send_twice("/reset", token=read_token(mails[0]), new_password=NEW)
    assert [response.headers.get("location") for response in responses] == ["/sign-in", "/sign-in"]
    assert len(mails) == 2


async def test_repeated_confirmation_of_an_address_succeeds(
    send_twice: SendTwice, forms: Forms, patient: Person, confirmations: list[Mail]
) -> None:
    await forms.sign_in(patient)
    responses = await send_twice("/confirm-email", token=read_token(confirmations[0]), next="/my/appointments")
    assert [response.headers.get("location") for response in responses] == ["/my/appointments"] * 2


async def test_repeated_change_of_an_address_sends_one_code_and_succeeds(
    send_twice: SendTwice, forms: Forms, patient: Person, mails: list[Mail]
) -> None:
    await forms.sign_in(patient)
    page = "/my/account/email"
    requested = await send_twice(page, new_email="ann.lee@example.net", current_password=PASSWORD)
    assert [response.headers.get("location") for response in requested] == [page, page]
    assert len(mails) == 2, "the code and the notice"
    changed = await send_twice(f"{page}/confirm", on=page, token=read_token(mails[0]))
    assert [response.headers.get("location") for response in changed] == ["/my/account", "/my/account"]
    assert len(mails) == 3


async def test_repeated_acceptance_of_an_invitation_succeeds(
    send_twice: SendTwice, client: httpx2.AsyncClient, admin: Person
) -> None:
    invitation = (await admin.post("/admin/invitations", {"email": "guest@example.com"})).json()
    responses = await send_twice(
        "/invitation",
        on=invitation["path"],
        username="guest@example.com",
        token=invitation["token"],
        name="Dr Guest",
        time_zone="Europe/Berlin",
        password=PASSWORD,
    )
    assert [response.headers.get("location") for response in responses] == ["/start", "/start"]
    assert (await client.get("/start")).headers["location"] == "/practice/day"


async def enroll(person: Person, confirm_email: ConfirmEmail, clock: SetClock) -> tuple[TOTP, list[str]]:
    await confirm_email(person)
    authenticator = TOTP((await person.post("/auth/second-factor", None)).json()["secret"])
    confirmed = await person.post("/auth/second-factor/confirm", {"otp": authenticator.at(clock.time)})
    clock.advance(minutes=1)
    return authenticator, confirmed.json()["recovery_codes"]


@pytest.mark.parametrize("is_recovery_code", [False, True])
async def test_repeated_sign_in_uses_one_code(
    send_twice: SendTwice,
    forms: Forms,
    patient: Person,
    confirm_email: ConfirmEmail,
    clock: SetClock,
    mails: list[Mail],
    is_recovery_code: bool,
) -> None:
    authenticator, codes = await enroll(patient, confirm_email, clock)
    mails.clear()
    otp = codes[0] if is_recovery_code else authenticator.at(clock.time)
    typed = {"username": patient.email, "password": PASSWORD, "otp": otp}
    responses = await send_twice("/sign-in", **typed)
    assert [response.headers.get("location") for response in responses] == ["/start", "/start"]
    assert len(mails) == is_recovery_code
    left = (await patient.get("/auth/second-factor")).json()["recovery_codes_left"]
    assert left == len(codes) - is_recovery_code
    assert (await forms.client.get("/start")).headers["location"] == "/my/appointments"
    # Another form cannot use the code again.
    forms.client.cookies.delete("session")
    assert (await forms.send("/sign-in", **typed, form_key="another")).status_code == 401


async def test_used_code_is_refused_with_other_input_or_in_another_browser(
    forms: Forms, patient: Person, confirm_email: ConfirmEmail, clock: SetClock
) -> None:
    _, codes = await enroll(patient, confirm_email, clock)
    typed = {"username": patient.email, "password": PASSWORD, "otp": codes[0], "form_key": "k"}
    assert (await forms.send("/sign-in", **typed)).status_code == 303
    assert (await forms.send("/sign-in", **typed)).status_code == 303
    assert (await forms.send("/sign-in", **{**typed, "otp": codes[1], "password": NEW})).status_code == 401
    forms.client.cookies.clear()
    assert (await forms.send("/sign-in", **typed)).status_code == 401


async def test_used_code_is_accepted_again_for_a_minute(
    forms: Forms, patient: Person, confirm_email: ConfirmEmail, clock: SetClock
) -> None:
    _, codes = await enroll(patient, confirm_email, clock)
    typed = {"username": patient.email, "password": PASSWORD, "otp": codes[0], "form_key": "k"}
    for minutes, status in ((0, 303), (1, 303), (1, 401)):
        clock.advance(minutes=minutes)
        assert (await forms.send("/sign-in", **typed)).status_code == status


async def test_repeated_set_up_of_a_second_factor_replaces_the_recovery_codes(
    forms: Forms, patient: Person, confirm_email: ConfirmEmail, clock: SetClock
) -> None:
    await confirm_email(patient)
    await forms.sign_in(patient)
    shown = await forms.send("/my/account/second-factor")
    hidden = dict(re.findall(r'type="hidden" name="(form_\w+|secret)" value="([^"]*)"', shown.text))
    secret = hidden["secret"]
    typed = {"secret": secret, "otp": TOTP(secret).at(clock.time), "form_key": "k"}
    responses = [await forms.send("/my/account/second-factor/confirm", on="/my/account", **typed) for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 200]
    codes = [set(re.findall(r"<code>([A-Z0-9-]+)</code>", response.text)) for response in responses]
    assert len(codes[1]) == 10, responses[1].text
    assert not codes[0] & codes[1]


async def test_repeated_sign_in_holds_a_picked_time(
    send_twice: SendTwice, forms: Forms, patient: Person, doctor: Person
) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    picked = await forms.send("/visit/pick", on=f"/with/{doctor.id}", doctor=doctor.id, start="2026-12-07T15:00:00Z")
    [next_] = parse_qs(urlsplit(picked.headers["location"]).query)["next"]
    responses = await send_twice("/sign-in", username=patient.email, password=PASSWORD, next=next_)
    assert all(response.headers["location"].startswith("/visit/") for response in responses)
    # A new hold ends the patient's earlier hold, so one of the two remains.
    shown = [(await forms.client.get(response.headers["location"])).text for response in responses]
    assert sum("Book this visit" in page for page in shown) == 1
