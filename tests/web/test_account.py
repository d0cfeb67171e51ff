"""Pages that require more than a session: the second factor, and the user's own data."""

import re

import httpx2
from pyotp import TOTP

from app.adapters.mail import Mail
from tests.conftest import ConfirmEmail, SetClock
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms
from tests.web.markup import read_hidden

FACTOR = "/my/account/second-factor"


async def test_second_factor_is_set_up_and_shows_its_recovery_codes_once(
    forms: Forms,
    client: httpx2.AsyncClient,
    patient: Person,
    confirm_email: ConfirmEmail,
    clock: SetClock,
    mails: list[Mail],
) -> None:
    await confirm_email(patient)
    await forms.sign_in(patient)
    begun = await forms.send(FACTOR)
    secret = re.findall(r"<code>([A-Z2-7]+)</code>", begun.text)[0]
    assert "<svg" in begun.text
    confirmed = await forms.send(f"{FACTOR}/confirm", on=FACTOR, secret=secret, otp=TOTP(secret).at(clock.time))
    codes = re.findall(r"<code>([A-Z0-9-]+)</code>", confirmed.text)
    assert len(codes) == 10
    assert [mail.subject for mail in mails] == ["A second factor was set up"]
    assert codes[0] not in (await client.get(FACTOR)).text
    client.cookies.clear()
    assert (await forms.sign_in(patient)).headers["location"].startswith("/sign-in/code")
    response = await forms.send("/sign-in/code", otp=codes[0])
    assert response.headers["location"] == "/start"
    assert mails[-1].subject == "A recovery code was used"
    assert "9 codes left." in (await client.get(FACTOR)).text


async def test_export_asks_to_sign_in_again_after_ten_minutes(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    await forms.sign_in(patient)
    clock.advance(minutes=11)
    response = await client.get("/my/account/export.json")
    assert response.headers["location"] == "/sign-in?next=%2Fmy%2Faccount%2Fexport.json"
    assert "sign in again" in (await client.get(response.headers["location"])).text
    typed = {"username": patient.email, "password": PASSWORD, "next": "/my/account/export.json"}
    assert (await forms.send("/sign-in", **typed)).headers["location"] == "/my/account/export.json"
    export = await client.get("/my/account/export.json")
    assert export.headers["content-disposition"] == 'attachment; filename="export.json"'
    # The old session has ended. Only the session of the API and the new one remain.
    assert len(export.json()["sessions"]) == 2


async def test_name_is_changed_and_an_invalid_one_is_shown_again(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    await forms.sign_in(patient)
    refused = await forms.send("/my/account", name="<...>")
    assert refused.status_code == 422
    assert 'value="&lt;...&gt;"' in refused.text
    assert "Enter at least one letter or digit." in refused.text
    assert "<bdi>Ann Lee</bdi>" in refused.text
    changed = await forms.send("/my/account", name=" Ann Lee-Moss ")
    assert changed.headers["location"] == "/my/account"
    shown = (await client.get("/my/account")).text
    assert "Your name has been changed." in shown
    assert shown.count("Ann Lee-Moss") == 4  # in the header, on the page, and in the field
    assert (await patient.get("/auth/me")).json()["name"] == "Ann Lee-Moss"


async def test_name_typed_after_the_session_has_ended_is_restored(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    await forms.sign_in(patient)
    session = client.cookies.get("session")
    token = read_hidden((await client.get("/my/account")).text, "form_token")
    await patient.delete("/auth/sessions")
    assert session == client.cookies.get("session")
    typed = await client.post("/my/account", data={"form_token": token, "name": "Ann Lee-Moss"})
    assert typed.headers["location"] == "/sign-in?next=%2Fmy%2Faccount"
    await forms.sign_in(patient)
    assert 'value="Ann Lee-Moss"' in (await client.get("/my/account")).text
    await forms.send("/my/account", name="Ann Moss")
    assert 'value="Ann Moss"' in (await client.get("/my/account")).text


async def test_forgotten_password_is_replaced(forms: Forms, patient: Person, mails: list[Mail]) -> None:
    for address in ("nobody@example.com", patient.email):
        response = await forms.send("/forgotten", email=address)
        assert response.headers["location"] == "/reset"
    [mail] = mails
    token = mail.text.split("\n\n")[1]
    refused = await forms.send("/reset", token=f"{token}x", new_password="another good one")
    assert refused.status_code == 422
    assert token not in refused.text
    assert (await forms.send("/reset", token=token, new_password="another good one")).headers["location"] == "/sign-in"
    assert (await forms.send("/sign-in", username=patient.email, password=PASSWORD)).status_code == 401
    response = await forms.send("/sign-in", username=patient.email, password="another good one")
    assert response.headers["location"] == "/start"
