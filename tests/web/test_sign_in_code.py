"""Signing in with a code: the password is typed once, and a pending log-in gives no access without the code."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx2
import pytest
from pyotp import TOTP

from app.core.security import Passwords
from app.services.login_throttle import FREE_ATTEMPTS
from tests.conftest import ConfirmEmail, Register, SetClock
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms, on_both_databases
from tests.web.markup import find_defects
from tests.web.table import MAX_BYTES, weigh

CODE = "/sign-in/code"
NEW = "quite another passphrase"

type Enroll = Callable[[Person], Awaitable[TOTP]]


@pytest.fixture
def enroll(confirm_email: ConfirmEmail, clock: SetClock) -> Enroll:
    async def enroll(person: Person) -> TOTP:
        await confirm_email(person)
        codes = TOTP((await person.post("/auth/second-factor", None)).json()["secret"])
        confirmed = await person.post("/auth/second-factor/confirm", {"otp": codes.at(clock.time)})
        assert confirmed.status_code == 200
        clock.advance(minutes=1)
        return codes

    return enroll


async def is_signed_in(client: httpx2.AsyncClient) -> bool:
    return (await client.get("/start")).headers["location"] == "/my/appointments"


async def test_code_is_asked_for_after_the_password(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, enroll: Enroll, clock: SetClock
) -> None:
    codes = await enroll(patient)
    redirect = await forms.send("/sign-in", username=patient.email, password=PASSWORD, next="/my/account")
    assert (redirect.status_code, redirect.headers["location"]) == (303, CODE)
    cookie = next(each for each in redirect.headers.get_list("set-cookie") if each.startswith("pending="))
    assert "HttpOnly" in cookie
    assert "Max-Age=300" in cookie
    assert patient.email not in cookie
    assert not await is_signed_in(client)
    shown = await client.get(CODE)
    assert 'name="otp"' in shown.text
    assert 'type="password"' not in shown.text
    assert not list(find_defects(shown))
    assert await weigh(client, shown) <= MAX_BYTES
    wrong = await forms.send(CODE, otp="000000")
    assert wrong.status_code == 401
    assert PASSWORD not in wrong.text
    done = await forms.send(CODE, otp=codes.at(clock.time))
    assert done.headers["location"] == "/my/account"
    assert await is_signed_in(client)


async def test_pending_sign_in_expires_after_five_minutes(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, enroll: Enroll, clock: SetClock
) -> None:
    codes = await enroll(patient)
    await forms.send("/sign-in", username=patient.email, password=PASSWORD, next="/my/account")
    page = await client.get(CODE)
    assert page.status_code == 200
    clock.time += timedelta(minutes=5, seconds=1)
    late = await forms.send(CODE, on="/sign-in", otp=codes.at(clock.time))
    assert late.headers["location"] == "/sign-in"
    assert "Enter your password again" in (await client.get("/sign-in")).text
    assert not await is_signed_in(client)


async def test_pending_sign_in_is_bound_to_its_browser(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, enroll: Enroll, clock: SetClock
) -> None:
    codes = await enroll(patient)
    await forms.sign_in(patient)
    pending = client.cookies["pending"]
    client.cookies.clear()
    await client.get("/sign-in")
    client.cookies.set("pending", pending)
    refused = await forms.send(CODE, on="/sign-in", otp=codes.at(clock.time))
    assert refused.headers["location"] == "/sign-in"
    assert not await is_signed_in(client)


async def test_other_cookie_is_not_a_pending_sign_in(forms: Forms, client: httpx2.AsyncClient, patient: Person) -> None:
    for name in ("session", "forms", "device", None):
        client.cookies.clear()
        await forms.sign_in(patient)
        value = client.cookies[name] if name else "nothing"
        client.cookies.clear()
        client.cookies.set("pending", value)
        assert (await client.get(CODE)).headers["location"] == "/sign-in", name
        assert patient.email not in (await client.get("/sign-in")).text, name


async def test_password_change_ends_the_pending_sign_in(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, enroll: Enroll, clock: SetClock
) -> None:
    codes = await enroll(patient)
    await forms.sign_in(patient)
    changed = await patient.post("/auth/change-password", {"current_password": PASSWORD, "new_password": NEW})
    assert changed.is_success, changed.text
    refused = await forms.send(CODE, otp=codes.at(clock.time))
    assert refused.headers["location"] == "/sign-in"
    assert not await is_signed_in(client)


async def test_suspension_ends_the_pending_sign_in(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, admin: Person, enroll: Enroll, clock: SetClock
) -> None:
    codes = await enroll(patient)
    await forms.sign_in(patient)
    assert (await admin.post(f"/admin/users/{patient.id}/suspend", {"reason": "Left the town last year"})).is_success
    assert (await forms.send(CODE, otp=codes.at(clock.time))).headers["location"] == "/sign-in"
    assert not await is_signed_in(client)


async def test_code_of_another_account_is_refused(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, register: Register, enroll: Enroll, clock: SetClock
) -> None:
    await enroll(patient)
    codes_of_another = await enroll(await register("patient", name="Ben Kaya"))
    await forms.sign_in(patient)
    assert (await forms.send(CODE, otp=codes_of_another.at(clock.time))).status_code == 401
    assert not await is_signed_in(client)


async def test_code_and_pending_sign_in_are_used_once(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, enroll: Enroll, clock: SetClock
) -> None:
    codes = await enroll(patient)
    await forms.sign_in(patient)
    kept = client.cookies["pending"]
    typed = {"otp": codes.at(clock.time)}
    assert (await forms.send(CODE, **typed, form_key="k")).headers["location"] == "/start"
    assert "pending" not in client.cookies
    client.cookies.delete("session")
    client.cookies.set("pending", kept)
    assert (await forms.send(CODE, **typed, form_key="another")).status_code == 401
    assert not await is_signed_in(client)


async def test_repeated_code_form_succeeds(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, enroll: Enroll, clock: SetClock
) -> None:
    codes = await enroll(patient)
    await forms.sign_in(patient)
    typed = {"otp": codes.at(clock.time), "form_key": "k"}
    pending = client.cookies["pending"]
    assert (await forms.send(CODE, **typed)).headers["location"] == "/start"
    assert (await forms.send(CODE, on="/my/account", **typed)).headers["location"] == "/start"
    client.cookies.set("pending", pending)
    assert (await forms.send(CODE, **typed)).headers["location"] == "/start"


async def test_wrong_codes_are_throttled(forms: Forms, patient: Person, enroll: Enroll, clock: SetClock) -> None:
    codes = await enroll(patient)
    await forms.sign_in(patient)
    for _ in range(FREE_ATTEMPTS):
        assert (await forms.send(CODE, otp="000000")).status_code == 401
    waiting = await forms.send(CODE, otp=codes.at(clock.time))
    assert waiting.status_code == 429
    assert int(waiting.headers["Retry-After"]) >= 1
    # The password can still be entered: its attempts are counted separately.
    assert (await forms.sign_in(patient)).headers["location"] == CODE


@on_both_databases
async def test_renewed_password_hash_keeps_the_pending_sign_in(
    forms: Forms, patient: Person, enroll: Enroll, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = await enroll(patient)
    monkeypatch.setattr(Passwords, "is_outdated", lambda _self, _encoded: True)
    await forms.sign_in(patient)
    assert (await forms.send(CODE, otp=codes.at(clock.time))).headers["location"] == "/start"
