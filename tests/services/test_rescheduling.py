"""Changes of rules and of other appointments while an appointment is rescheduled or a time is held."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.core.errors import DomainError
from app.core.permissions import Role
from app.db.database import Database
from app.repositories.appointments import AppointmentRecord
from app.services.booking import reschedule_appointment
from tests.conftest import Register
from tests.people import Person
from tests.services.interruptions import change_schedule_version, interrupted
from tests.services.visits import NOW, TEN, book, hold, make_actor

NOON = datetime(2026, 12, 8, 12, tzinfo=UTC)

# On SQLite a transaction excludes all other writers as soon as its first statement runs.
pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


@pytest.fixture(autouse=True)
async def open_day(doctor: Person) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T17:00:00Z")


async def reschedule(database: Database, patient: Person, appointment: str) -> AppointmentRecord:
    async with database.write() as transaction:
        return await reschedule_appointment(
            transaction,
            make_actor(patient, Role.PATIENT),
            UUID(appointment),
            start=NOON,
            visit_type_id=None,
            versions=None,
            now=NOW,
        )


async def test_rescheduling_is_checked_again_if_the_rules_change(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    booked = await patient.book(doctor, TEN.isoformat())
    with interrupted(database_url, change_schedule_version, before="UPDATE appointments", times=1) as interruptions:
        rescheduled = await reschedule(database, patient, booked["id"])
    assert len(interruptions) == 1
    assert (rescheduled.start_time, rescheduled.version) == (NOON, 2)
    assert len((await patient.get(f"/appointments/{rescheduled.id}/history")).json()) == 2


async def test_rescheduling_is_refused_as_busy_if_the_rules_change_twice(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    booked = await patient.book(doctor, TEN.isoformat())
    with (
        interrupted(database_url, change_schedule_version, before="UPDATE appointments", times=9) as interruptions,
        pytest.raises(DomainError, match="busy"),
    ):
        await reschedule(database, patient, booked["id"])
    assert len(interruptions) == 2
    assert (await patient.get(f"/appointments/{booked['id']}")).json() == booked


async def test_rescheduling_is_refused_if_the_time_is_booked_meanwhile(
    database_url: str, database: Database, doctor: Person, patient: Person, register: Register
) -> None:
    booked = await patient.book(doctor, TEN.isoformat())
    other = await register()

    async def book_noon(others: Database) -> None:
        await book(others, doctor, other, NOON)

    with (
        interrupted(database_url, book_noon, before="UPDATE appointments", times=1),
        pytest.raises(DomainError, match="slot_taken"),
    ):
        await reschedule(database, patient, booked["id"])
    assert (await patient.get(f"/appointments/{booked['id']}")).json() == booked


async def test_violation_of_an_unknown_constraint_is_raised(
    database: Database, doctor: Person, patient: Person
) -> None:
    booked = await patient.book(doctor, TEN.isoformat())
    constraint = f"ALTER TABLE appointments ADD CONSTRAINT unknown CHECK (start_time <> '{NOON.isoformat()}')"
    async with database.write() as transaction:
        await transaction.execute(text(constraint))
    try:
        with pytest.raises(IntegrityError, match="unknown"):
            await reschedule(database, patient, booked["id"])
    finally:
        async with database.write() as transaction:
            await transaction.execute(text("ALTER TABLE appointments DROP CONSTRAINT unknown"))


async def test_hold_is_checked_again_if_the_rules_change(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    with interrupted(
        database_url, change_schedule_version, before="INSERT INTO appointments", times=1
    ) as interruptions:
        await hold(database, doctor, patient)
    assert len(interruptions) == 1


async def test_hold_is_refused_as_busy_if_the_rules_change_twice(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    with (
        interrupted(database_url, change_schedule_version, before="INSERT INTO appointments", times=9) as interruptions,
        pytest.raises(DomainError, match="busy"),
    ):
        await hold(database, doctor, patient)
    assert len(interruptions) == 2


async def test_second_booking_of_the_time_of_an_expired_hold_is_refused(
    database_url: str, database: Database, doctor: Person, patient: Person, register: Register
) -> None:
    # Both bookings find the expired hold and try to delete it.
    slow, fast = await register(), await register()
    await hold(database, doctor, patient, now=NOW.replace(hour=7))

    async def book_ten(others: Database) -> None:
        await book(others, doctor, fast, TEN)

    with (
        interrupted(database_url, book_ten, before="SELECT pg_advisory_xact_lock", times=1) as interruptions,
        pytest.raises(DomainError, match="slot_taken"),
    ):
        await book(database, doctor, slow, TEN)
    assert len(interruptions) == 1
    assert (await slow.get("/appointments")).json() == []
