"""The session cookie of the pages: what it gives access to, and when it expires."""

import httpx2
import pytest
from fastapi import FastAPI
from pyotp import TOTP

from app.core.dependencies import Resources
from tests.conftest import ConfirmEmail, CountStatements, SetClock
from tests.databases import settings_for
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms


async def test_a_cookie_is_no_token_and_a_token_no_cookie(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    assert (await forms.sign_in(patient)).headers["location"] == "/start"
    cookie = client.cookies["session"]
    assert (await client.get("/auth/me")).status_code == 401
    assert (await client.get("/auth/me", headers={"Authorization": f"Bearer {cookie}"})).status_code == 401
    assert (await client.get("/start")).headers["location"] == "/my/appointments"
    client.cookies.clear()
    client.cookies["session"] = patient.headers["Authorization"].removeprefix("Bearer ")
    assert (await client.get("/start")).headers["location"].startswith("/sign-in")


async def test_a_session_of_a_page_is_listed_and_ended_by_the_api(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    await forms.sign_in(patient)
    listed = (await patient.get("/auth/sessions")).json()
    [page] = [each for each in listed if not each["current"]]
    assert (await patient.delete(f"/auth/sessions/{page['id']}")).status_code == 204
    assert (await client.get("/start")).headers["location"] == "/sign-in?next=%2Fstart"


async def test_a_session_lasts_while_it_is_used_and_ends_when_it_is_not(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, clock: SetClock, count_statements: CountStatements
) -> None:
    await forms.sign_in(patient)
    count_statements()
    await client.get("/start")
    assert count_statements() == 1
    for _ in range(5):
        clock.advance(minutes=50)
        assert (await client.get("/start")).headers["location"] == "/my/appointments"
    clock.advance(minutes=60)
    assert (await client.get("/start")).headers["location"].startswith("/sign-in")


async def test_a_session_ends_with_the_day(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    await forms.sign_in(patient)
    for _ in range(47):
        clock.advance(minutes=30)
        assert (await client.get("/start")).headers["location"] == "/my/appointments"
    clock.advance(minutes=30)
    assert (await client.get("/start")).headers["location"].startswith("/sign-in")


async def test_signing_out_ends_it_at_once(forms: Forms, client: httpx2.AsyncClient, patient: Person) -> None:
    await forms.sign_in(patient)
    kept = client.cookies["session"]
    answer = await forms.send("/sign-out", on="/preferences")
    assert answer.headers["location"] == "/"
    assert "session" not in client.cookies
    client.cookies["session"] = kept
    assert (await client.get("/start")).headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "javascript:alert(1)", "/\n/x"]
)
async def test_nobody_is_led_elsewhere(forms: Forms, patient: Person, elsewhere: str) -> None:
    answer = await forms.send("/sign-in", username=patient.email, password=PASSWORD, next=elsewhere)
    assert answer.headers["location"] == "/start"


async def test_in_production_a_cookie_is_for_this_host_and_tls_alone(app: FastAPI, client: httpx2.AsyncClient) -> None:
    resources: Resources = app.state.resources
    settings = settings_for(resources.settings.database_url).model_copy(update={"environment": "production"})
    app.state.resources = Resources(
        settings, resources.database, resources.passwords, resources.clock, resources.mailer, resources.limits
    )
    cookie = (await client.get("/sign-in")).headers["set-cookie"]
    assert cookie.startswith("__Host-forms=")
    assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {"secure", "httponly", "path=/", "samesite=lax"}
    assert "domain" not in cookie.lower()


async def test_a_second_factor_is_asked_for(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, confirm_email: ConfirmEmail, clock: SetClock
) -> None:
    await confirm_email(patient)
    secret = (await patient.post("/auth/second-factor", None)).json()["secret"]
    codes = TOTP(secret)
    await patient.post("/auth/second-factor/confirm", {"otp": codes.at(clock.time)})
    asked = await forms.sign_in(patient)
    assert asked.headers["location"] == "/sign-in/code"
    shown = (await client.get("/sign-in/code")).text
    assert 'name="otp"' in shown
    assert 'type="password"' not in shown
    clock.advance(minutes=1)
    assert (await forms.send("/sign-in/code", otp="000000")).status_code == 401
    assert (await forms.send("/sign-in/code", otp=codes.at(clock.time))).headers["location"] == "/start"
    assert (await client.get("/start")).headers["location"] == "/my/appointments"
