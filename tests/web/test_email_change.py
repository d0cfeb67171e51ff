"""The page that changes the email address of an account."""

import httpx2
from pyotp import TOTP

from app.adapters.mail import Mail
from tests.conftest import ConfirmEmail, SetClock, read_token
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms

PAGE = "/my/account/email"
NEW = "ann.lee@example.net"


async def request_change(forms: Forms, new_email: str = NEW, password: str = PASSWORD) -> httpx2.Response:
    return await forms.send(PAGE, new_email=new_email, current_password=password)


async def test_address_is_changed_in_two_steps(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, mails: list[Mail]
) -> None:
    await forms.sign_in(patient)
    assert f'href="{PAGE}"' in (await client.get("/my/account")).text
    shown = (await client.get(PAGE)).text
    assert patient.email in shown
    assert "Code from the message" not in shown
    assert (await request_change(forms)).headers["location"] == PAGE
    shown = (await client.get(PAGE)).text
    assert "We have sent a code to the new address." in shown
    assert f"We sent a code to {NEW}." in shown
    changed = await forms.send(f"{PAGE}/confirm", on=PAGE, token=read_token(mails[0]))
    assert changed.headers["location"] == "/my/account"
    shown = (await client.get("/my/account")).text
    assert "Your email address has been changed." in shown
    assert NEW in shown
    assert "not confirmed yet" not in shown
    assert [mail.to for mail in mails] == [NEW, patient.email, patient.email]
    assert "Code from the message" not in (await client.get(PAGE)).text


async def test_refused_request_is_shown_again_without_the_password(
    forms: Forms, patient: Person, mails: list[Mail]
) -> None:
    await forms.sign_in(patient)
    refused = await request_change(forms, password="a wrong one")
    assert refused.status_code == 422
    assert "This is not your password." in refused.text
    assert f'value="{NEW}"' in refused.text
    assert "a wrong one" not in refused.text
    invalid = await request_change(forms, "ann.lee")
    assert "Enter an email address, like ann@example.com." in invalid.text
    assert mails == []


async def test_wrong_code_is_refused(forms: Forms, patient: Person) -> None:
    await forms.sign_in(patient)
    await request_change(forms)
    refused = await forms.send(f"{PAGE}/confirm", on=PAGE, token="not it")
    assert refused.status_code == 422
    assert "This code is wrong" in refused.text
    assert f"We sent a code to {NEW}." in refused.text


async def test_address_of_another_account_is_refused_only_with_the_code_from_its_mailbox(
    forms: Forms, patient: Person, doctor: Person, mails: list[Mail]
) -> None:
    await forms.sign_in(patient)
    assert (await request_change(forms, doctor.email)).headers["location"] == PAGE
    refused = await forms.send(f"{PAGE}/confirm", on=PAGE, token=read_token(mails[0]))
    assert refused.status_code == 409
    assert "There is already an account with this email address." in refused.text


async def test_too_many_messages_are_refused(forms: Forms, patient: Person, mails: list[Mail]) -> None:
    await forms.sign_in(patient)
    for _ in range(5):
        assert (await request_change(forms)).status_code == 303
    refused = await request_change(forms)
    assert refused.status_code == 429
    assert "Several messages have already been sent to this address." in refused.text
    assert len(mails) == 10


async def test_mistyped_address_is_corrected_from_the_page_that_asks_to_confirm_it(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    await forms.sign_in(patient)
    assert f'href="{PAGE}"' in (await client.get("/confirm-email")).text


async def test_other_browsers_are_signed_out_and_sign_in_with_the_new_address_and_the_code_of_the_app(
    forms: Forms,
    client: httpx2.AsyncClient,
    patient: Person,
    confirm_email: ConfirmEmail,
    clock: SetClock,
    mails: list[Mail],
) -> None:
    await confirm_email(patient)
    authenticator = TOTP((await patient.post("/auth/second-factor", None)).json()["secret"])
    await patient.post("/auth/second-factor/confirm", {"otp": authenticator.at(clock.time)})
    clock.advance(minutes=1)
    typed = {"username": patient.email, "password": PASSWORD, "otp": authenticator.at(clock.time)}
    assert (await forms.send("/sign-in", **typed)).status_code == 303
    mails.clear()
    await request_change(forms)
    await forms.send(f"{PAGE}/confirm", on=PAGE, token=read_token(mails[0]))
    assert (await patient.get("/auth/me")).status_code == 401
    client.cookies.clear()
    clock.advance(minutes=1)
    typed["otp"] = authenticator.at(clock.time)
    assert (await forms.send("/sign-in", **typed)).status_code == 401
    assert (await forms.send("/sign-in", **{**typed, "username": NEW})).status_code == 303
