"""Many concurrent log-ins do not delay bookings or other accounts."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import httpx2
import pytest
from fastapi import FastAPI

from app.core.security import MAX_QUEUED_HASHES, Passwords
from app.core.settings import OWASP_MEMORY_KIB, OWASP_PASSES, Settings
from app.core.text import canonical_email
from tests.databases import settings_for
from tests.people import PASSWORD, Person, assert_problem


@pytest.fixture
def settings(database_url: str) -> Settings:
    # Hashing as in production, and a pool that would be empty at once if log-ins held connections. The timeout is long,
    # so that a busy machine does not fail the test.
    hashing = {"password_memory_kib": OWASP_MEMORY_KIB, "password_passes": OWASP_PASSES}
    return settings_for(database_url, database_pool_size=2, database_timeout_seconds=60, password_queue=38, **hashing)


async def attempt(client: httpx2.AsyncClient, email: str) -> httpx2.Response:
    return await client.post("/auth/login", data={"username": email, "password": PASSWORD})


@contextmanager
def block_hashing(passwords: Passwords, workers: int) -> Iterator[None]:
    """Block all threads that hash passwords."""
    end = Event()
    for _ in range(workers):
        passwords._threads.submit(end.wait)
    try:
        yield
    finally:
        end.set()


async def test_bookings_do_not_wait_for_forty_log_ins(
    app: FastAPI, client: httpx2.AsyncClient, settings: Settings, doctor: Person, patient: Person
) -> None:
    passwords: Passwords = app.state.resources.passwords
    await doctor.publish("2026-12-08T00:00:00Z", "2026-12-09T00:00:00Z")
    # A log-in without an account is hashed like any other, and registering forty would take most of the time.
    emails = [f"unknown{number}@example.org" for number in range(40)]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        with block_hashing(passwords, settings.password_workers):
            log_ins = [group.create_task(attempt(client, email)) for email in emails]
            while passwords._room:  # noqa: ASYNC110 - the queue has no event for being full
                await asyncio.sleep(0.01)
            for hour in range(2):
                await patient.book(doctor, f"2026-12-08T{hour:02}:00:00Z")
            assert not any(log_in.done() for log_in in log_ins), "the bookings did not wait for the hashing"
    assert {log_in.result().status_code for log_in in log_ins} == {401}


async def test_log_ins_of_one_account_cannot_fill_the_hashing_queue(
    app: FastAPI, client: httpx2.AsyncClient, settings: Settings, patient: Person, doctor: Person
) -> None:
    """At most ten log-ins to one account wait in the queue, so other accounts are served."""
    passwords: Passwords = app.state.resources.passwords
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        with block_hashing(passwords, settings.password_workers):
            flood = [group.create_task(attempt(client, patient.email)) for _ in range(60)]
            while sum(each.done() for each in flood) < 60 - MAX_QUEUED_HASHES:  # noqa: ASYNC110 - a count has no event to wait for
                await asyncio.sleep(0.01)
            other = group.create_task(attempt(client, doctor.email))
            while passwords._room > settings.password_workers + settings.password_queue - 2:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
            refused = [each.result() for each in flood if each.done()]
    for response in refused:
        assert_problem(response, 429, "too_many_attempts")
        assert response.headers["retry-after"] == "1"
    assert other.result().status_code == 200
    assert Counter(each.result().status_code for each in flood) == {200: MAX_QUEUED_HASHES, 429: 60 - MAX_QUEUED_HASHES}
    assert passwords._queues == {}


async def test_registrations_beyond_the_hashing_queue_are_refused(
    app: FastAPI, client: httpx2.AsyncClient, settings: Settings
) -> None:
    passwords: Passwords = app.state.resources.passwords
    people = [
        {"email": f"patient{number}@example.org", "password": PASSWORD, "name": "A patient", "role": "patient"}
        for number in range(120)
    ]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        with block_hashing(passwords, settings.password_workers):
            registrations = [group.create_task(client.post("/auth/register", json=person)) for person in people]
            while sum(each.done() for each in registrations) < 80:  # noqa: ASYNC110 - a count has no event to wait for
                await asyncio.sleep(0.01)
            refused = [each.result() for each in registrations if each.done()]
    assert Counter(each.result().status_code for each in registrations) == {
        201: 40,
        503: 80,
    }  # 40: two at work and 38 waiting
    for response in refused:
        assert assert_problem(response, 503, "busy")
        assert "retry-after" in response.headers


async def test_registrations_with_an_address_do_not_block_its_owner(
    app: FastAPI, client: httpx2.AsyncClient, patient: Person
) -> None:
    passwords: Passwords = app.state.resources.passwords
    end = asyncio.Event()

    async def wait_in_line() -> None:
        async with passwords.take_turn(canonical_email(patient.email)):
            await end.wait()

    typed = {"email": patient.email, "password": PASSWORD, "name": "A stranger", "role": "patient"}
    change = {"current_password": PASSWORD, "new_password": "quite another passphrase"}
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(MAX_QUEUED_HASHES):
            group.create_task(wait_in_line())
        await asyncio.sleep(0)
        assert_problem(await client.post("/auth/register", json=typed), 429, "too_many_attempts")
        changed = await patient.post("/auth/change-password", change)
        end.set()
    assert changed.status_code == 204, changed.text
