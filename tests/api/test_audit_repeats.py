"""A read that is repeated within ten minutes is not recorded again. A change always is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from app.core.audit_actions import AuditAction
from app.db.database import Database
from app.models import AuditEvent
from app.services.audit import REPEAT_INTERVAL, Event, record, record_unless_repeated
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem

type Count = Callable[..., Awaitable[int]]


@pytest.fixture
def count(database: Database) -> Count:
    """Counts the events of an action."""

    async def count_events(action: str) -> int:
        async with database.read() as transaction:
            found = select(func.count()).select_from(AuditEvent).where(AuditEvent.action == action)
            return await transaction.scalar(found) or 0

    return count_events


async def test_repeated_list_is_recorded_once_per_interval(
    doctor: Person, register: Register, count: Count, clock: SetClock
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    for hour in range(3):
        await (await register()).book(doctor, f"2026-12-08T{15 + hour}:00:00Z")
    for _ in range(5):
        assert len((await doctor.get("/doctors/me/appointments")).json()) == 3
    assert await count("list_doctors_appointments") == 3
    # The interval counts from the recorded read, so continuous reading leaves an event every ten minutes.
    for _ in range(4):
        clock.advance(minutes=6)
        await doctor.get("/doctors/me/appointments")
    assert await count("list_doctors_appointments") == 9


async def test_list_with_a_new_appointment_is_recorded(doctor: Person, register: Register, count: Count) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await (await register()).book(doctor, "2026-12-08T15:00:00Z")
    await doctor.get("/doctors/me/appointments")
    await (await register()).book(doctor, "2026-12-08T16:00:00Z")
    await doctor.get("/doctors/me/appointments")
    assert await count("list_doctors_appointments") == 2


async def test_parallel_reads_are_not_recorded_again(doctor: Person, patient: Person, count: Count) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, "2026-12-08T15:00:00Z")
    await asyncio.gather(*(doctor.get(f"/appointments/{booked['id']}") for _ in range(20)))
    await doctor.get(f"/appointments/{booked['id']}")
    # Concurrent reads may not see each other's events.
    assert 1 <= await count("get_appointment") <= 20
    before = await count("get_appointment")
    await asyncio.gather(*(doctor.get(f"/appointments/{booked['id']}") for _ in range(20)))
    assert await count("get_appointment") == before


async def test_repeated_refusal_is_recorded_once(patient: Person, count: Count) -> None:
    missing = uuid4()
    for _ in range(5):
        assert_problem(await patient.get(f"/appointments/{missing}"), 404, "not_found")
        assert_problem(await patient.get("/admin/users"), 403, "wrong_role")
    assert await count("get_appointment") == 1
    assert await count("list_users") == 1


PATIENT, DOCTOR, APPOINTMENT = UUID(int=1), UUID(int=2), UUID(int=3)
READ = Event(AuditAction.GET_APPOINTMENT, actor_id=DOCTOR, patient_id=PATIENT, object_id=APPOINTMENT)


async def test_only_an_equal_event_is_a_repetition(database: Database, clock: SetClock, count: Count) -> None:
    async def count_reads() -> int:
        return await count("get_appointment") + await count("list_appointments")

    different = [
        replace(READ, action=AuditAction.LIST_APPOINTMENTS),
        replace(READ, outcome="not_found"),
        replace(READ, actor_id=UUID(int=9)),
        replace(READ, patient_id=UUID(int=9)),
        replace(READ, patient_id=None),
        replace(READ, object_id=UUID(int=9)),
        replace(READ, object_id=None),
        replace(READ, reason="an emergency"),
    ]
    failures = []
    for other in different:
        for first, second in ((READ, other), (other, READ)):
            clock.time += 2 * REPEAT_INTERVAL  # events of the case before do not count
            before = await count_reads()
            async with database.write() as transaction:
                await record_unless_repeated(transaction, first, now=clock())
            async with database.write() as transaction:
                await record_unless_repeated(transaction, first, second, now=clock())
            if (recorded := await count_reads() - before) != 2:
                failures.append((first, second, recorded))
    assert not failures


async def test_change_is_always_recorded(database: Database, clock: SetClock, count: Count) -> None:
    async with database.write() as transaction:
        for _ in range(3):
            await record(transaction, READ, now=clock())
    assert await count("get_appointment") == 3


async def test_event_from_a_clock_that_was_ahead_does_not_hide_later_ones(
    database: Database, clock: SetClock, count: Count
) -> None:
    async with database.write() as transaction:
        await record_unless_repeated(transaction, READ, now=clock() + timedelta(days=365))
        await record_unless_repeated(transaction, READ, now=clock())
        await record_unless_repeated(transaction, READ, now=clock() + REPEAT_INTERVAL)
    assert await count("get_appointment") == 2
