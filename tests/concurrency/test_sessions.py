"""Races for what opens an account, between two server processes that share a SQLite file or a PostgreSQL database."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
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
from tests.concurrency.arena import Arena, Attempt, open_arena, outcomes, race
from tests.databases import both_databases
from tests.people import PASSWORD, Person, get_tokens

OTHER_PASSWORD = "another horse"
ROUNDS = 5
TOO_MANY = (429, "too_many_attempts")


@pytest.fixture(scope="module", params=both_databases("sessions"))
async def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    async with open_arena(request.param, tmp_path_factory.mktemp("sessions"), guarded=True) as arena:
        yield arena


async def newcomer(arena: Arena) -> Person:
    return await Person.register(random.choice(arena.clients), "patient", email=f"{random.random()}@example.com")


def from_both(arena: Arena, times: int) -> list[httpx2.AsyncClient]:
    return list(islice(cycle(arena.clients), times))


def log_in(client: httpx2.AsyncClient, person: Person, password: str = PASSWORD, **otp: str) -> Attempt:
    return partial(client.post, "/auth/login", data={"username": person.email, "password": password} | otp)


def refresh(client: httpx2.AsyncClient, token: str) -> Attempt:
    return partial(client.post, "/auth/refresh", json={"refresh_token": token})


async def living(arena: Arena, person: Person) -> tuple[int, int]:
    """How many sessions somebody has, and how many refresh tokens that work."""
    counts = []
    for table in (
        "login_sessions s",
        "login_sessions s JOIN refresh_tokens t ON t.session_id = s.id AND t.used_at IS NULL",
    ):
        found = text(f"SELECT count(*) FROM {table} JOIN users u ON u.id = s.user_id WHERE u.email = :email")
        async with arena.database.read() as transaction:
            counts.append(await transaction.scalar(found, {"email": person.email}) or 0)
    sessions, tokens = counts
    return sessions, tokens


async def opens_nothing(arena: Arena, granted: dict[str, str]) -> None:
    """Neither of the two tokens works, anywhere."""
    for client in arena.clients:
        answer = await client.get("/auth/me", headers={"Authorization": f"Bearer {granted['access_token']}"})
        assert outcomes([answer]) == {(401, "not_authenticated"): 1}
        assert outcomes([await refresh(client, granted["refresh_token"])()]) == {(401, "invalid_refresh_token"): 1}


def granted_by(answers: list[httpx2.Response]) -> list[dict[str, str]]:
    return [answer.json() for answer in answers if answer.status_code == 200]


def refusals(answers: list[httpx2.Response]) -> dict[tuple[int, str], int]:
    return dict(outcomes([answer for answer in answers if not answer.is_success]))


async def insist(attempt: Attempt) -> httpx2.Response:
    """Tries again while many try at once."""
    async with asyncio.timeout(60):
        while (answer := await attempt()).status_code == 429:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.1)
        return answer


@pytest.mark.parametrize("times", [2, 4, 8])
@pytest.mark.parametrize("stagger", [0, 0.1])
async def test_refresh_token_sent_several_times_at_once_has_one_successor(
    arena: Arena, times: int, stagger: float
) -> None:
    person = await newcomer(arena)
    granted = await get_tokens(person.client, person.email)
    answers = await race(
        [refresh(client, granted["refresh_token"]) for client in from_both(arena, times)], stagger=stagger
    )
    assert refusals(answers) == {}
    [successor] = {renewed["refresh_token"] for renewed in granted_by(answers)}
    assert await living(arena, person) == (2, 2), "the session from before, and this one with one token"
    assert (await refresh(person.client, successor)()).status_code == 200


async def test_stolen_refresh_token_that_races_the_owner_ends_the_session(arena: Arena) -> None:
    person = await newcomer(arena)
    for _ in range(ROUNDS):
        granted = await get_tokens(person.client, person.email)
        one, other = arena.clients
        body = {"refresh_token": granted["refresh_token"]}
        theft = partial(other.post, "/auth/refresh", json=body, headers={"User-Agent": "A thief's"})
        answers = await race([refresh(one, granted["refresh_token"]), theft])
        assert refusals(answers) == {(401, "invalid_refresh_token"): 1}
        [renewed] = granted_by(answers)
        await opens_nothing(arena, renewed)
        assert await living(arena, person) == (1, 1)


async def test_session_is_over_if_refreshing_races_logging_out(arena: Arena) -> None:
    """Whoever wins, the session is over when the log-out is answered."""
    person = await newcomer(arena)
    for _ in range(ROUNDS):
        granted = await get_tokens(person.client, person.email)
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        one, other = arena.clients
        answers = await race(
            [refresh(one, granted["refresh_token"]), partial(other.post, "/auth/logout", headers=headers)]
        )
        assert answers[1].status_code == 204
        assert set(refusals(answers)) <= {(401, "invalid_refresh_token")}
        assert await living(arena, person) == (1, 1)
        for renewed in granted_by(answers):
            await opens_nothing(arena, renewed)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, and when it began."""

    at: float
    answer: httpx2.Response


async def test_no_request_that_begins_after_a_suspension_succeeds(arena: Arena) -> None:
    administrator = await newcomer(arena)
    async with arena.database.write() as transaction:
        promoted = text("UPDATE users SET role = 'admin' WHERE email = :email")
        await transaction.execute(promoted, {"email": administrator.email})
    for _ in range(3):
        await suspend_in_full_swing(arena, administrator, await newcomer(arena))


async def suspend_in_full_swing(arena: Arena, administrator: Person, person: Person) -> None:
    sent: list[Sent] = []
    over = asyncio.Event()

    async def send(attempt: Attempt) -> httpx2.Response:
        began = monotonic()
        answer = await attempt()
        sent.append(Sent(began, answer))
        return answer

    async def keep_reading(client: httpx2.AsyncClient, path: str) -> None:
        while not over.is_set():
            await send(partial(client.get, path, headers=person.headers))

    async def keep_refreshing(client: httpx2.AsyncClient, token: str) -> None:
        while not over.is_set():
            answer = await send(refresh(client, token))
            token = answer.json().get("refresh_token", token)

    async def keep_logging_in(client: httpx2.AsyncClient) -> None:
        while not over.is_set():
            await send(log_in(client, person))

    tokens = [(await get_tokens(client, person.email))["refresh_token"] for client in arena.clients]
    async with asyncio.TaskGroup() as group:
        for client, token in zip(arena.clients, tokens, strict=True):
            group.create_task(keep_reading(client, "/auth/me"))
            group.create_task(keep_reading(client, "/appointments"))
            group.create_task(keep_refreshing(client, token))
            group.create_task(keep_logging_in(client))
        await until(lambda: len(sent) >= 40)
        body = {"reason": "Somebody else uses this account"}
        suspended = await administrator.post(f"/admin/users/{person.id}/suspend", body)
        answered, so_far = monotonic(), len(sent)
        assert suspended.status_code == 200, suspended.text
        await until(lambda: len(sent) >= so_far + 40)
        over.set()

    before = [each.answer for each in sent if each.at < answered]
    after = [each.answer for each in sent if each.at >= answered]
    assert any(answer.is_success for answer in before)
    assert after
    # Who is kept out is told that her tokens are wrong, and when she has tried her password too often, to wait.
    assert {answer.status_code for answer in after} <= {401, 429}
    assert {answer.status_code for answer in before} <= {200, 401, 429}
    assert await living(arena, person) == (0, 0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for is a count
            await asyncio.sleep(0.01)


async def test_no_session_of_the_old_password_survives_a_change_of_password(arena: Arena) -> None:
    for stagger in (0, 0.05) * ROUNDS:
        person = await newcomer(arena)
        body = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        changed, *answers = await race(
            [
                partial(insist, partial(person.post, "/auth/change-password", body)),
                *(log_in(client, person) for client in from_both(arena, 8)),
            ],
            stagger=stagger,
        )
        assert changed.status_code == 204, changed.text
        assert set(refusals(answers)) <= {(401, "invalid_credentials"), TOO_MANY}
        assert await living(arena, person) == (1, 1), "the session in which the password was changed"
        for granted in granted_by(answers):
            await opens_nothing(arena, granted)
        assert (await person.get("/auth/me")).status_code == 200
        assert (await insist(log_in(person.client, person, OTHER_PASSWORD))).status_code == 200


async def test_no_session_of_the_old_password_survives_a_password_reset(arena: Arena) -> None:
    for stagger in (0, 0.05) * ROUNDS:
        person = await newcomer(arena)
        token = new_token()
        now = datetime.now(UTC)
        async with arena.database.write() as transaction:
            ends = now + timedelta(minutes=30)
            await users.insert_password_reset(
                transaction, UUID(person.id), token_hash=hash_token(token), expires_at=ends
            )
        body = {"token": token, "new_password": OTHER_PASSWORD}
        reset, *answers = await race(
            [
                partial(person.client.post, "/auth/reset-password", json=body),
                *(log_in(client, person) for client in from_both(arena, 8)),
            ],
            stagger=stagger,
        )
        assert reset.status_code == 204, reset.text
        assert set(refusals(answers)) <= {(401, "invalid_credentials"), TOO_MANY}
        assert await living(arena, person) == (0, 0)
        for granted in granted_by(answers):
            await opens_nothing(arena, granted)
        assert (await insist(log_in(person.client, person, OTHER_PASSWORD))).status_code == 200


async def test_one_of_two_password_changes_at_once_is_made(arena: Arena) -> None:
    for _ in range(ROUNDS):
        person = await newcomer(arena)
        elsewhere = replace(await person.log_in_again(), client=arena.clients[0])
        changes = {whose: f"{whose} horse battery" for whose in ("first", "second")}
        answers = await race(
            [
                partial(
                    insist,
                    partial(
                        each.post, "/auth/change-password", {"current_password": PASSWORD, "new_password": password}
                    ),
                )
                for each, password in zip((person, elsewhere), changes.values(), strict=True)
            ]
        )
        [refusal] = refusals(answers)
        assert refusal in {(401, "not_authenticated"), (422, "invalid_request")}
        [new] = [password for password, answer in zip(changes.values(), answers, strict=True) if answer.is_success]
        assert (await insist(log_in(person.client, person, new))).status_code == 200


async def second_factor(arena: Arena, person: Person) -> tuple[pyotp.TOTP, list[str]]:
    async with arena.database.write() as transaction:
        await transaction.execute(text("UPDATE users SET email_confirmed_at = created_at"))
    secret = (await person.post("/auth/second-factor", None)).json()["secret"]
    totp = pyotp.TOTP(secret)
    answer = await person.post("/auth/second-factor/confirm", {"otp": totp.now()})
    assert answer.status_code == 200, answer.text
    return totp, answer.json()["recovery_codes"]


async def test_one_time_code_used_ten_times_at_once_opens_one_session(arena: Arena) -> None:
    person = await newcomer(arena)
    totp, _ = await second_factor(arena, person)
    # The next one: the first was used up when it was confirmed.
    code = totp.at(datetime.now(UTC) + timedelta(seconds=totp.interval))
    answers = await race([log_in(client, person, otp=code) for client in from_both(arena, 10)])
    assert len(granted_by(answers)) == 1
    assert set(refusals(answers)) <= {(401, "invalid_second_factor"), TOO_MANY}
    assert await living(arena, person) == (2, 2)


async def test_recovery_code_used_ten_times_at_once_opens_one_session(arena: Arena) -> None:
    person = await newcomer(arena)
    _, codes = await second_factor(arena, person)
    sessions = 1
    for code, next_code in zip(codes[::2], codes[1::2], strict=True):
        answers = await race([log_in(client, person, otp=code) for client in from_both(arena, 10)])
        assert len(granted_by(answers)) == 1
        assert set(refusals(answers)) <= {(401, "invalid_second_factor"), TOO_MANY}
        # Those who lost may be counted after the winner; another success lets the counting begin anew.
        assert (await insist(log_in(person.client, person, otp=next_code))).status_code == 200
        sessions += 2
        assert await living(arena, person) == (sessions, sessions)
    assert (await person.get("/auth/second-factor")).json()["recovery_codes_left"] == 0


async def test_only_the_free_attempts_of_forty_wrong_passwords_are_checked(arena: Arena) -> None:
    person = await newcomer(arena)
    for client in arena.clients:
        client.cookies.clear()  # a known device would be counted on its own
    began = monotonic()
    first, *others = [log_in(client, person, "a wrong one") for client in from_both(arena, 40)]
    answers = [await first(), *await race(others)]
    # The wait is a second, and then doubles: whoever is that slow is not kept out any longer.
    waited_for = int(log2(1 + monotonic() - began))
    looked_at = outcomes(answers)[401, "invalid_credentials"]
    assert FREE_ATTEMPTS <= looked_at <= FREE_ATTEMPTS + waited_for
    assert outcomes(answers)[TOO_MANY] == 40 - looked_at


async def test_right_password_sent_eight_times_at_once_opens_eight_sessions(arena: Arena) -> None:
    """Nothing was guessed, so nobody has to wait."""
    person = await newcomer(arena)
    for _ in range(ROUNDS):
        answers = await race([log_in(client, person) for client in from_both(arena, 8)])
        assert refusals(answers) == {}
