"""What happens between the check of a move or a hold and its statement."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.core.errors import DomainError
from app.core.permissions import Role
from app.db.database import Database
from app.repositories.appointments import AppointmentRecord
from app.repositories.bookings import HoldRecord
from app.services.booking import BookingRequest, book_appointment, hold_time, reschedule_appointment
from tests.conftest import Register
from tests.people import Person
from tests.services.interruptions import NOW, actor, change_something_else, interrupted

TEN, NOON = datetime(2026, 12, 8, 10, tzinfo=UTC), datetime(2026, 12, 8, 12, tzinfo=UTC)

# On SQLite a writer keeps everybody else out from its first statement on, so nothing can come in between.
pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


@pytest.fixture(autouse=True)
async def opened(doctor: Person) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T17:00:00Z")


async def move(database: Database, patient: Person, appointment: str) -> AppointmentRecord:
    async with database.write() as transaction:
        return await reschedule_appointment(
            transaction,
            actor(patient, Role.PATIENT),
            UUID(appointment),
            start=NOON,
            visit_type_id=None,
            versions=None,
            now=NOW,
        )


async def book(database: Database, doctor: Person, patient: Person, start: datetime) -> AppointmentRecord:
    async with database.write() as transaction:
        wanted = BookingRequest(UUID(doctor.id), start)
        return await book_appointment(transaction, actor(patient, Role.PATIENT), wanted, reason=None, now=NOW)


async def hold(database: Database, doctor: Person, patient: Person, now: datetime = NOW) -> HoldRecord:
    async with database.write() as transaction:
        return await hold_time(transaction, actor(patient, Role.PATIENT), BookingRequest(UUID(doctor.id), TEN), now=now)


async def test_a_move_checked_against_old_rules_is_checked_again(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    booked = await patient.book(doctor, TEN.isoformat())
    with interrupted(database_url, change_something_else, before="UPDATE appointments", times=1) as happened:
        moved = await move(database, patient, booked["id"])
    assert len(happened) == 1
    assert (moved.start_time, moved.version) == (NOON, 2)
    assert len((await patient.get(f"/appointments/{moved.id}/history")).json()) == 2


async def test_a_move_and_rules_that_change_faster_than_they_can_be_checked(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    booked = await patient.book(doctor, TEN.isoformat())
    with (
        interrupted(database_url, change_something_else, before="UPDATE appointments", times=9) as happened,
        pytest.raises(DomainError, match="busy"),
    ):
        await move(database, patient, booked["id"])
    assert len(happened) == 2
    assert (await patient.get(f"/appointments/{booked['id']}")).json() == booked


async def test_a_move_that_finds_its_time_taken_at_the_last_moment(
    database_url: str, database: Database, doctor: Person, patient: Person, register: Register
) -> None:
    booked = await patient.book(doctor, TEN.isoformat())
    other = await register()

    async def take(others: Database) -> None:
        await book(others, doctor, other, NOON)

    with (
        interrupted(database_url, take, before="UPDATE appointments", times=1),
        pytest.raises(DomainError, match="slot_taken"),
    ):
        await move(database, patient, booked["id"])
    assert (await patient.get(f"/appointments/{booked['id']}")).json() == booked


async def test_what_no_guard_refuses_is_no_refusal(database: Database, doctor: Person, patient: Person) -> None:
    """Another constraint that is violated is a bug, and comes out as one."""
    booked = await patient.book(doctor, TEN.isoformat())
    constraint = f"ALTER TABLE appointments ADD CONSTRAINT odd CHECK (start_time <> '{NOON.isoformat()}')"
    async with database.write() as transaction:
        await transaction.execute(text(constraint))
    try:
        with pytest.raises(IntegrityError, match="odd"):
            await move(database, patient, booked["id"])
    finally:
        async with database.write() as transaction:
            await transaction.execute(text("ALTER TABLE appointments DROP CONSTRAINT odd"))


async def test_a_hold_checked_against_old_rules_is_checked_again(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    with interrupted(database_url, change_something_else, before="INSERT INTO appointments", times=1) as happened:
        await hold(database, doctor, patient)
    assert len(happened) == 1


async def test_a_hold_and_rules_that_change_faster_than_they_can_be_checked(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    with (
        interrupted(database_url, change_something_else, before="INSERT INTO appointments", times=9) as happened,
        pytest.raises(DomainError, match="busy"),
    ):
        await hold(database, doctor, patient)
    assert len(happened) == 2


async def test_time_under_a_hold_that_is_over_can_be_taken_by_somebody_faster(
    database_url: str, database: Database, doctor: Person, patient: Person, register: Register
) -> None:
    """Both find the same hold in the way and do away with it; who is slower is told that the time is taken."""
    slow, fast = await register(), await register()
    await hold(database, doctor, patient, now=NOW.replace(hour=7))

    async def take(others: Database) -> None:
        await book(others, doctor, fast, TEN)

    with (
        interrupted(database_url, take, before="SELECT pg_advisory_xact_lock", times=1) as happened,
        pytest.raises(DomainError, match="slot_taken"),
    ):
        await book(database, doctor, slow, TEN)
    assert len(happened) == 1
    assert (await slow.get("/appointments")).json() == []
