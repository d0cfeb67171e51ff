"""Many requests for one doctor's calendar at once do not use up the connections that all requests share."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text

from app.core.settings import Settings
from app.db.database import Database
from app.repositories import bookings
from tests.conftest import Register
from tests.databases import settings_for
from tests.people import Person

MIDNIGHT = datetime(2026, 12, 8, tzinfo=UTC)
BOOKINGS, LIMIT = 100, 30


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(
        database_url, database_pool_size=5, database_timeout_seconds=20, rate_limit_per_account="1000/minute"
    )


@pytest.fixture
async def patients(register: Register) -> list[Person]:
    return [await register() for _ in range(20)]


@pytest.fixture
async def limited(register: Register) -> Person:
    """A doctor with a daily limit, whose changes lock the calendar."""
    doctor = await register("doctor")
    await doctor.publish(MIDNIGHT.isoformat(), (MIDNIGHT + timedelta(days=2)).isoformat())
    await doctor.update_profile(daily_limit=LIMIT)
    return doctor


def at(minutes: int) -> str:
    return (MIDNIGHT + timedelta(minutes=minutes)).isoformat()


@asynccontextmanager
async def locked_calendar(database: Database, doctor: Person) -> AsyncIterator[None]:
    """Hold the lock on the doctor's calendar, as another process could."""
    async with database.write() as transaction:
        await bookings.lock_calendars(transaction, UUID(doctor.id), UUID(doctor.id))
        yield


def outcomes(responses: list[httpx2.Response]) -> Counter[str]:
    return Counter(response.json().get("code", str(response.status_code)) for response in responses)


async def test_bookings_that_wait_for_one_calendar_leave_connections_for_others(
    client: httpx2.AsyncClient, limited: Person, patients: list[Person], database: Database
) -> None:
    async with locked_calendar(database, limited):
        bookings = [
            asyncio.create_task(patients[number % 20].try_to_book(limited, at(number * 10), at(number * 10 + 10)))
            for number in range(BOOKINGS)
        ]
        await asyncio.sleep(0)
        reads = [await client.get(f"/doctors/{limited.id}") for _ in range(20)]
        assert not any(booking.done() for booking in bookings)
    assert Counter(response.status_code for response in reads) == {200: 20}
    responses = await asyncio.gather(*bookings)
    assert outcomes(responses) == {"201": LIMIT, "day_full": BOOKINGS - LIMIT}
    assert all(response.headers["ratelimit"].count("account") == 1 for response in responses)


async def test_changes_that_wait_for_one_calendar_all_succeed(
    client: httpx2.AsyncClient, limited: Person, patients: list[Person], database: Database
) -> None:
    booked = [await patient.book(limited, at(n * 10), at(n * 10 + 10)) for n, patient in enumerate(patients[:10])]
    for each in booked[:5]:
        await limited.delete(f"/appointments/{each['id']}")

    def move(patient: Person, visit: dict[str, Any], start: str) -> Any:
        return patient.post(f"/appointments/{visit['id']}/reschedule", {"start_time": start})

    body = {"doctor_id": limited.id, "start_time": at(540), "end_time": at(550)}
    headers = patients[19].headers | {"Idempotency-Key": "one"}
    async with locked_calendar(database, limited):
        changes = [
            *(limited.post(f"/appointments/{each['id']}/undo", None) for each in booked[:5]),
            *(move(patients[n], booked[n], at(24 * 60 + n * 30)) for n in range(5, 10)),
            *(patients[n].post("/holds", {"doctor_id": limited.id, "start_time": at(n * 60)}) for n in range(10, 18)),
            *(client.post("/appointments", headers=headers, json=body) for _ in range(5)),
        ]
        running = [asyncio.create_task(change) for change in changes]
        await asyncio.sleep(0)
        reads = [await client.get(f"/doctors/{limited.id}") for _ in range(20)]
        assert not any(change.done() for change in running)
    assert Counter(response.status_code for response in reads) == {200: 20}
    responses = await asyncio.gather(*running)
    assert [response.status_code for response in responses] == [200] * 10 + [201] * 13
    assert sum("idempotency-replayed" in response.headers for response in responses) == 4
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM appointments")) == 19
