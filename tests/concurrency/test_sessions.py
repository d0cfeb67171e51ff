"""Races for what opens an account, between two server processes that share a SQLite file or a PostgreSQL database."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, islice
from math import log2
from time import monotonic
from uuid import UUID

import httpx2
import pyotp
import pytest
from sqlalchemy import text

from app.core.security import hash_token, new_token
from app.repositories import users
from app.services.login_throttle import FREE_ATTEMPTS
from tests.concurrency.clinic import Attempt, Clinic, count_outcomes, race
from tests.people import PASSWORD, Person, get_tokens

OTHER_PASSWORD = "another horse"
ROUNDS = 5
TOO_MANY = (429, "too_many_attempts")


async def register_patient(clinic: Clinic) -> Person:
    return await Person.register(random.choice(clinic.clients), "patient", email=f"{random.random()}@example.com")


def alternate_clients(clinic: Clinic, times: int) -> list[httpx2.AsyncClient]:
    return list(islice(cycle(clinic.clients), times))


def log_in(client: httpx2.AsyncClient, person: Person, password: str = PASSWORD, **otp: str) -> Attempt:
    return partial(client.post, "/auth/login", data={"username": person.email, "password": password} | otp)


def refresh(client: httpx2.AsyncClient, token: str) -> Attempt:
    return partial(client.post, "/auth/refresh", json={"refresh_token": token})


async def count_sessions(clinic: Clinic, person: Person) -> tuple[int, int]:
    """Count the sessions of a person, and the refresh tokens that work."""
    counts = []
    for table in (
        "login_sessions s",
        "login_sessions s JOIN refresh_tokens t ON t.session_id = s.id AND t.used_at IS NULL",
    ):
        found = text(f"SELECT count(*) FROM {table} JOIN users u ON u.id = s.user_id WHERE u.email = :email")
        async with clinic.database.read() as transaction:
            counts.append(await transaction.scalar(found, {"email": person.email}) or 0)
    sessions, tokens = counts
    return sessions, tokens


async def assert_tokens_are_refused(clinic: Clinic, granted: dict[str, str]) -> None:
    for client in clinic.clients:
        response = await client.get("/auth/me", headers={"Authorization": f"Bearer {granted['access_token']}"})
        assert count_outcomes([response]) == {(401, "not_authenticated"): 1}
        assert count_outcomes([await refresh(client, granted["refresh_token"])()]) == {
            (401, "invalid_refresh_token"): 1
        }


def list_tokens(responses: list[httpx2.Response]) -> list[dict[str, str]]:
    return [response.json() for response in responses if response.status_code == 200]


def count_refusals(responses: list[httpx2.Response]) -> dict[tuple[int, str], int]:
    return dict(count_outcomes([response for response in responses if not response.is_success]))


async def retry_while_throttled(attempt: Attempt) -> httpx2.Response:
    async with asyncio.timeout(60):
        while (response := await attempt()).status_code == 429:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.1)
        return response


@pytest.mark.parametrize("times", [2, 4, 8])
@pytest.mark.parametrize("stagger", [0, 0.1])
async def test_refresh_token_sent_several_times_at_once_has_one_successor(
    clinic: Clinic, times: int, stagger: float
) -> None:
    person = await register_patient(clinic)
    granted = await get_tokens(person.client, person.email)
    responses = await race(
        [refresh(client, granted["refresh_token"]) for client in alternate_clients(clinic, times)], stagger=stagger
    )
    assert count_refusals(responses) == {}
    [successor] = {renewed["refresh_token"] for renewed in list_tokens(responses)}
    assert await count_sessions(clinic, person) == (2, 2), (
        "the session of the registration, and the refreshed one with one token"
    )
    assert (await refresh(person.client, successor)()).status_code == 200


async def test_stolen_refresh_token_that_races_the_owner_ends_the_session(clinic: Clinic) -> None:
    person = await register_patient(clinic)
    for _ in range(ROUNDS):
        granted = await get_tokens(person.client, person.email)
        first, second = clinic.clients
        body = {"refresh_token": granted["refresh_token"]}
        theft = partial(second.post, "/auth/refresh", json=body, headers={"User-Agent": "A thief's"})
        responses = await race([refresh(first, granted["refresh_token"]), theft])
        assert count_refusals(responses) == {(401, "invalid_refresh_token"): 1}
        [renewed] = list_tokens(responses)
        await assert_tokens_are_refused(clinic, renewed)
        assert await count_sessions(clinic, person) == (1, 1)


async def test_session_is_over_if_refreshing_races_logging_out(clinic: Clinic) -> None:
    person = await register_patient(clinic)
    for _ in range(ROUNDS):
        granted = await get_tokens(person.client, person.email)
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        first, second = clinic.clients
        responses = await race(
            [refresh(first, granted["refresh_token"]), partial(second.post, "/auth/logout", headers=headers)]
        )
        assert responses[1].status_code == 204
        assert set(count_refusals(responses)) <= {(401, "invalid_refresh_token")}
        assert await count_sessions(clinic, person) == (1, 1)
        for renewed in list_tokens(responses):
            await assert_tokens_are_refused(clinic, renewed)


@dataclass(frozen=True, slots=True)
class Sent:
    """A response, and when its request began, in seconds of ``monotonic``."""

    at: float
    response: httpx2.Response


async def test_no_request_that_begins_after_a_suspension_succeeds(clinic: Clinic) -> None:
    administrator = await register_patient(clinic)
    async with clinic.database.write() as transaction:
        promote = text("UPDATE users SET role = 'admin' WHERE email = :email")
        await transaction.execute(promote, {"email": administrator.email})
    for _ in range(3):
        await suspend_under_load(clinic, administrator, await register_patient(clinic))


async def suspend_under_load(clinic: Clinic, administrator: Person, person: Person) -> None:
    sent: list[Sent] = []
    is_over = asyncio.Event()

    async def send(attempt: Attempt) -> httpx2.Response:
        began = monotonic()
        response = await attempt()
        sent.append(Sent(began, response))
        return response

    async def keep_reading(client: httpx2.AsyncClient, path: str) -> None:
        while not is_over.is_set():
            await send(partial(client.get, path, headers=person.headers))

    async def keep_refreshing(client: httpx2.AsyncClient, token: str) -> None:
        while not is_over.is_set():
            response = await send(refresh(client, token))
            token = response.json().get("refresh_token", token)

    async def keep_logging_in(client: httpx2.AsyncClient) -> None:
        while not is_over.is_set():
            await send(log_in(client, person))

    tokens = [(await get_tokens(client, person.email))["refresh_token"] for client in clinic.clients]
    async with asyncio.TaskGroup() as group:
        for client, token in zip(clinic.clients, tokens, strict=True):
            group.create_task(keep_reading(client, "/auth/me"))
            group.create_task(keep_reading(client, "/appointments"))
            group.create_task(keep_refreshing(client, token))
            group.create_task(keep_logging_in(client))
        await wait_until(lambda: len(sent) >= 40)
        body = {"reason": "Somebody else uses this account"}
        suspended = await administrator.post(f"/admin/users/{person.id}/suspend", body)
        answered, so_far = monotonic(), len(sent)
        assert suspended.status_code == 200, suspended.text
        await wait_until(lambda: len(sent) >= so_far + 40)
        is_over.set()

    before = [each.response for each in sent if each.at < answered]
    after = [each.response for each in sent if each.at >= answered]
    assert any(response.is_success for response in before)
    assert after
    # 429 is for too many log-ins with a password that no longer works.
    assert {response.status_code for response in after} <= {401, 429}
    assert {response.status_code for response in before} <= {200, 401, 429}
    assert await count_sessions(clinic, person) == (0, 0)


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for is a count
            await asyncio.sleep(0.01)


async def test_no_session_of_the_old_password_survives_a_change_of_password(clinic: Clinic) -> None:
    for stagger in (0, 0.05) * ROUNDS:
        person = await register_patient(clinic)
        body = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        changed, *responses = await race(
            [
                partial(retry_while_throttled, partial(person.post, "/auth/change-password", body)),
                *(log_in(client, person) for client in alternate_clients(clinic, 8)),
            ],
            stagger=stagger,
        )
        assert changed.status_code == 204, changed.text
        assert set(count_refusals(responses)) <= {(401, "invalid_credentials"), TOO_MANY}
        assert await count_sessions(clinic, person) == (1, 1), "only the session that changed the password"
        for granted in list_tokens(responses):
            await assert_tokens_are_refused(clinic, granted)
        assert (await person.get("/auth/me")).status_code == 200
        assert (await retry_while_throttled(log_in(person.client, person, OTHER_PASSWORD))).status_code == 200


async def test_no_session_of_the_old_password_survives_a_password_reset(clinic: Clinic) -> None:
    for stagger in (0, 0.05) * ROUNDS:
        person = await register_patient(clinic)
        token = new_token()
        now = datetime.now(UTC)
        async with clinic.database.write() as transaction:
            ends = now + timedelta(minutes=30)
            await users.insert_password_reset(
                transaction, UUID(person.id), token_hash=hash_token(token), expires_at=ends
            )
        body = {"token": token, "new_password": OTHER_PASSWORD}
        reset, *responses = await race(
            [
                partial(person.client.post, "/auth/reset-password", json=body),
                *(log_in(client, person) for client in alternate_clients(clinic, 8)),
            ],
            stagger=stagger,
        )
        assert reset.status_code == 204, reset.text
        assert set(count_refusals(responses)) <= {(401, "invalid_credentials"), TOO_MANY}
        assert await count_sessions(clinic, person) == (0, 0)
        for granted in list_tokens(responses):
            await assert_tokens_are_refused(clinic, granted)
        assert (await retry_while_throttled(log_in(person.client, person, OTHER_PASSWORD))).status_code == 200


async def test_one_of_two_password_changes_at_once_is_made(clinic: Clinic) -> None:
    for _ in range(ROUNDS):
        person = await register_patient(clinic)
        other_session = replace(await person.log_in_again(), client=clinic.clients[0])
        changes = {name: f"{name} horse battery" for name in ("first", "second")}
        responses = await race(
            [
                partial(
                    retry_while_throttled,
                    partial(
                        each.post, "/auth/change-password", {"current_password": PASSWORD, "new_password": password}
                    ),
                )
                for each, password in zip((person, other_session), changes.values(), strict=True)
            ]
        )
        [refusal] = count_refusals(responses)
        assert refusal in {(401, "not_authenticated"), (422, "invalid_request")}
        [new] = [
            password for password, response in zip(changes.values(), responses, strict=True) if response.is_success
        ]
        assert (await retry_while_throttled(log_in(person.client, person, new))).status_code == 200


async def enrol_second_factor(clinic: Clinic, person: Person) -> tuple[pyotp.TOTP, list[str]]:
    async with clinic.database.write() as transaction:
        await transaction.execute(text("UPDATE users SET email_confirmed_at = created_at"))
    secret = (await person.post("/auth/second-factor", None)).json()["secret"]
    totp = pyotp.TOTP(secret)
    response = await person.post("/auth/second-factor/confirm", {"otp": totp.now()})
    assert response.status_code == 200, response.text
    return totp, response.json()["recovery_codes"]


async def test_one_time_code_used_ten_times_at_once_opens_one_session(clinic: Clinic) -> None:
    person = await register_patient(clinic)
    totp, _ = await enrol_second_factor(clinic, person)
    # The code of the next step: the present one was used to confirm.
    code = totp.at(datetime.now(UTC) + timedelta(seconds=totp.interval))
    responses = await race([log_in(client, person, otp=code) for client in alternate_clients(clinic, 10)])
    assert len(list_tokens(responses)) == 1
    assert set(count_refusals(responses)) <= {(401, "invalid_second_factor"), TOO_MANY}
    assert await count_sessions(clinic, person) == (2, 2)


async def test_recovery_code_used_ten_times_at_once_opens_one_session(clinic: Clinic) -> None:
    person = await register_patient(clinic)
    _, codes = await enrol_second_factor(clinic, person)
    sessions = 1
    for code, next_code in zip(codes[::2], codes[1::2], strict=True):
        responses = await race([log_in(client, person, otp=code) for client in alternate_clients(clinic, 10)])
        assert len(list_tokens(responses)) == 1
        assert set(count_refusals(responses)) <= {(401, "invalid_second_factor"), TOO_MANY}
        # Failures may be counted after the success. Another success resets the count.
        assert (await retry_while_throttled(log_in(person.client, person, otp=next_code))).status_code == 200
        sessions += 2
        assert await count_sessions(clinic, person) == (sessions, sessions)
    assert (await person.get("/auth/second-factor")).json()["recovery_codes_left"] == 0


async def test_only_the_free_attempts_of_forty_wrong_passwords_are_checked(clinic: Clinic) -> None:
    person = await register_patient(clinic)
    for client in clinic.clients:
        client.cookies.clear()  # attempts from a known device are counted separately
    began = monotonic()
    first, *others = [log_in(client, person, "a wrong one") for client in alternate_clients(clinic, 40)]
    responses = [await first(), *await race(others)]
    # The delay is one second at first and then doubles. On a slow machine it ends before the last request.
    ended_delays = int(log2(1 + monotonic() - began))
    checked = count_outcomes(responses)[401, "invalid_credentials"]
    assert FREE_ATTEMPTS <= checked <= FREE_ATTEMPTS + ended_delays
    assert count_outcomes(responses)[TOO_MANY] == 40 - checked


async def test_right_password_sent_eight_times_at_once_opens_eight_sessions(clinic: Clinic) -> None:
    """A right password is not counted as a guess, so there is no delay."""
    person = await register_patient(clinic)
    for _ in range(ROUNDS):
        responses = await race([log_in(client, person) for client in alternate_clients(clinic, 8)])
        assert count_refusals(responses) == {}
