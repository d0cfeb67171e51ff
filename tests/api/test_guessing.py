"""Guessing passwords is slow, from wherever; and nobody keeps anybody else out by it."""

import asyncio

import httpx2
import pytest
from fastapi import FastAPI

from app.adapters.mail import Mail
from app.core.dependencies import Resources
from app.services.sessions import FREE_ATTEMPTS, FREE_ATTEMPTS_OF_ALL
from tests.conftest import SetClock
from tests.people import PASSWORD, Person, log_in, problem


class From:
    """Clients in other networks."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def __call__(self, address: str) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(self._app, raise_app_exceptions=False, client=(address, 1))
        return httpx2.AsyncClient(transport=transport, base_url="http://testserver")


@pytest.fixture
def elsewhere(app: FastAPI) -> From:
    return From(app)


async def guess(client: httpx2.AsyncClient, email: str, password: str = "a wrong one") -> httpx2.Response:
    return await client.post("/auth/login", data={"username": email, "password": password})


async def guess_until_blocked(client: httpx2.AsyncClient, email: str) -> httpx2.Response:
    for _ in range(FREE_ATTEMPTS):
        problem(await guess(client, email), 401, "invalid_credentials")
    return await guess(client, email)


@pytest.mark.parametrize("known", [True, False])
async def test_each_further_attempt_doubles_the_wait(
    client: httpx2.AsyncClient, patient: Person, clock: SetClock, known: bool
) -> None:
    """Alike for an address without an account."""
    email = patient.email if known else "nobody@example.com"
    answer = await guess_until_blocked(client, email)
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        problem(answer, 429, "too_many_attempts")
        assert answer.headers["retry-after"] == str(wait)
        clock.advance(seconds=wait - 0.5)
        problem(await guess(client, email), 429, "too_many_attempts")
        clock.advance(seconds=0.5)
        problem(await guess(client, email), 401, "invalid_credentials")
        answer = await guess(client, email)


async def test_the_right_password_has_to_wait_too(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    problem(await guess_until_blocked(client, patient.email), 429, "too_many_attempts")
    problem(await guess(client, patient.email, PASSWORD), 429, "too_many_attempts")
    clock.advance(seconds=1)
    assert await log_in(client, patient.email)
    problem(await guess_until_blocked(client, patient.email), 429, "too_many_attempts")  # counted anew


async def test_another_spelling_is_the_same_account(client: httpx2.AsyncClient, patient: Person) -> None:
    await guess_until_blocked(client, patient.email)
    problem(await guess(client, patient.email.upper()), 429, "too_many_attempts")
    problem(await guess(client, patient.email.replace("a", "а")), 429, "too_many_attempts")


async def test_another_account_is_not_concerned(client: httpx2.AsyncClient, patient: Person, doctor: Person) -> None:
    await guess_until_blocked(client, patient.email)
    assert await log_in(client, doctor.email)


async def test_guesses_at_once_do_not_slip_through(client: httpx2.AsyncClient, patient: Person) -> None:
    answers = await asyncio.gather(*(guess(client, patient.email) for _ in range(40)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) == FREE_ATTEMPTS
    assert statuses.count(429) == 40 - FREE_ATTEMPTS


async def test_guesses_from_many_networks_are_counted_together(patient: Person, elsewhere: From) -> None:
    for number in range(FREE_ATTEMPTS_OF_ALL):
        problem(await guess(elsewhere(f"203.0.113.{number}"), patient.email), 401, "invalid_credentials")
    problem(await guess(elsewhere("203.0.113.200"), patient.email), 429, "too_many_attempts")


async def test_one_network_has_many_addresses(patient: Person, elsewhere: From) -> None:
    for number in range(FREE_ATTEMPTS):
        problem(await guess(elsewhere(f"2001:db8:1:2::{number:x}"), patient.email), 401, "invalid_credentials")
    problem(await guess(elsewhere("2001:db8:1:2:ffff::1"), patient.email), 429, "too_many_attempts")
    problem(await guess(elsewhere("2001:db8:1:3::1"), patient.email), 401, "invalid_credentials")


async def test_nobody_is_kept_out_where_she_has_been_before(
    client: httpx2.AsyncClient, patient: Person, elsewhere: From, clock: SetClock
) -> None:
    for number in range(FREE_ATTEMPTS_OF_ALL + 1):
        await guess(elsewhere(f"203.0.113.{number}"), patient.email)
    stranger = elsewhere("198.51.100.1")
    problem(await guess(stranger, patient.email, PASSWORD), 429, "too_many_attempts")
    assert await log_in(client, patient.email), "from where she registered and logged in"
    clock.advance(days=91)
    for number in range(FREE_ATTEMPTS_OF_ALL):
        await guess(elsewhere(f"203.0.113.{number}"), patient.email)
    problem(await guess(client, patient.email, PASSWORD), 429, "too_many_attempts")  # too long ago


async def test_nor_is_it_told_where_she_has_been_before(
    app: FastAPI,
    client: httpx2.AsyncClient,
    patient: Person,
    elsewhere: From,
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resources: Resources = app.state.resources
    compared = 0
    matches = resources.passwords.matches

    async def counting(password: str, encoded: str | None) -> bool:
        nonlocal compared
        compared += 1
        return await matches(password, encoded)

    monkeypatch.setattr(resources.passwords, "matches", counting)
    told, took = [], []
    for email in (patient.email, "nobody@example.com"):
        for number in range(FREE_ATTEMPTS_OF_ALL + 1):
            await guess(elsewhere(f"203.0.113.{number}"), email)
        statements.clear()
        compared = 0
        answer = await guess(client, email)
        told.append((problem(answer, 429, "too_many_attempts"), answer.headers["retry-after"]))
        took.append((compared, list(statements)))
    assert told[0] == told[1]
    assert took[0] == took[1]
    assert took[0][0] == 1, "the password was compared"
    assert await log_in(client, patient.email)


async def test_guesses_from_there_are_counted_as_from_anywhere(
    client: httpx2.AsyncClient, patient: Person, elsewhere: From
) -> None:
    for number in range(FREE_ATTEMPTS_OF_ALL + 1):
        await guess(elsewhere(f"203.0.113.{number}"), patient.email)
    for _ in range(FREE_ATTEMPTS):
        problem(await guess(client, patient.email), 429, "too_many_attempts")
    problem(await guess(client, patient.email, PASSWORD), 429, "too_many_attempts")


async def test_a_reset_lets_her_in_at_once(patient: Person, mails: list[Mail], elsewhere: From) -> None:
    for number in range(FREE_ATTEMPTS_OF_ALL + 1):
        await guess(elsewhere(f"203.0.113.{number}"), patient.email)
    new_place = elsewhere("198.51.100.1")
    await new_place.post("/auth/forgot-password", json={"email": patient.email})
    body = {"token": mails[-1].text.split("\n\n")[1], "new_password": "another horse"}
    assert (await new_place.post("/auth/reset-password", json=body)).status_code == 204
    assert await log_in(new_place, patient.email, "another horse")


async def test_a_stolen_token_does_not_help_to_guess_the_password(patient: Person) -> None:
    body = {"current_password": "a wrong one", "new_password": "another horse"}
    for _ in range(FREE_ATTEMPTS):
        problem(await patient.post("/auth/change-password", body), 422, "invalid_request")
    problem(await patient.post("/auth/change-password", body), 429, "too_many_attempts")


async def test_after_a_day_it_is_forgotten(client: httpx2.AsyncClient, patient: Person, clock: SetClock) -> None:
    for _ in range(FREE_ATTEMPTS - 1):
        await guess(client, patient.email)
    clock.advance(days=1)
    problem(await guess_until_blocked(client, patient.email), 429, "too_many_attempts")
