"""The session cookie of the pages: what it gives access to, and when it expires."""

from dataclasses import replace

import httpx2
from fastapi import FastAPI

from app.core.dependencies import Resources
from tests.conftest import CountStatements, SetClock
from tests.databases import settings_for
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms, on_both_databases


async def test_session_cookie_and_access_token_are_not_interchangeable(
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


async def test_page_session_is_listed_and_ended_by_the_api(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    await forms.sign_in(patient)
    listed = (await patient.get("/auth/sessions")).json()
    [page] = [each for each in listed if not each["current"]]
    assert (await patient.delete(f"/auth/sessions/{page['id']}")).status_code == 204
    assert (await client.get("/start")).headers["location"] == "/sign-in?next=%2Fstart"


@on_both_databases
async def test_session_expires_after_an_hour_without_requests(
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


async def test_session_expires_after_a_day_of_use(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, clock: SetClock
) -> None:
    await forms.sign_in(patient)
    for _ in range(47):
        clock.advance(minutes=30)
        assert (await client.get("/start")).headers["location"] == "/my/appointments"
    clock.advance(minutes=30)
    assert (await client.get("/start")).headers["location"].startswith("/sign-in")


async def test_signing_out_ends_the_session_at_once(forms: Forms, client: httpx2.AsyncClient, patient: Person) -> None:
    await forms.sign_in(patient)
    kept = client.cookies["session"]
    response = await forms.send("/sign-out", on="/preferences")
    assert response.headers["location"] == "/"
    assert "session" not in client.cookies
    client.cookies["session"] = kept
    assert (await client.get("/start")).headers["location"].startswith("/sign-in")


async def test_sign_in_redirects_to_pages_of_this_site_only(forms: Forms, patient: Person) -> None:
    for target in (
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "evil",
        "javascript:alert(1)",
        "/\n/x",
    ):
        response = await forms.send("/sign-in", username=patient.email, password=PASSWORD, next=target)
        assert response.headers["location"] == "/start", target


async def test_production_cookie_is_bound_to_the_host_and_to_tls(app: FastAPI, client: httpx2.AsyncClient) -> None:
    resources: Resources = app.state.resources
    settings = settings_for(resources.settings.database_url).model_copy(update={"environment": "production"})
    app.state.resources = replace(resources, settings=settings)
    cookie = (await client.get("/sign-in")).headers["set-cookie"]
    assert cookie.startswith("__Host-forms=")
    assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {"secure", "httponly", "path=/", "samesite=lax"}
    assert "domain" not in cookie.lower()
