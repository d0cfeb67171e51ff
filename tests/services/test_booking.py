"""What happens between the check of a booking and its insert: the rules change, or what was in the way goes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.errors import DomainError
from app.core.permissions import Role
from app.db.database import Database
from app.repositories.appointments import AppointmentRecord
from app.services.booking import BookingRequest, book_appointment
from app.services.schedule import publish_availability, withdraw_availability
from tests.conftest import Register
from tests.people import Person
from tests.services.interruptions import NOW, actor, change_something_else, interrupted

TEN = datetime(2026, 12, 8, 10, tzinfo=UTC)

# On SQLite a writer keeps everybody else out from its first statement on, so nothing can come in between.
pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


async def book(database: Database, doctor: Person, patient: Person) -> AppointmentRecord:
    async with database.write() as transaction:
        return await book_appointment(
            transaction, actor(patient, Role.PATIENT), BookingRequest(UUID(doctor.id), TEN), reason=None, now=NOW
        )


async def test_a_booking_checked_against_old_rules_is_checked_again(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    with interrupted(database_url, change_something_else, before="INSERT INTO appointments", times=1) as happened:
        appointment = await book(database, doctor, patient)
    assert len(happened) == 1
    assert (await patient.get(f"/appointments/{appointment.id}")).status_code == 200


async def test_rules_that_change_faster_than_they_can_be_checked(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    with (
        interrupted(database_url, change_something_else, before="INSERT INTO appointments", times=9) as happened,
        pytest.raises(DomainError, match="busy"),
    ):
        await book(database, doctor, patient)
    assert len(happened) == 2
    assert (await patient.get("/appointments")).json() == []


async def test_time_that_is_closed_meanwhile_is_not_booked(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    window = await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")

    async def withdraw(others: Database) -> None:
        async with others.write() as session:
            await withdraw_availability(session, actor(doctor, Role.DOCTOR), UUID(window["id"]))

    with (
        interrupted(database_url, withdraw, before="INSERT INTO appointments", times=1),
        pytest.raises(DomainError, match="outside_availability"),
    ):
        await book(database, doctor, patient)
    assert (await patient.get("/appointments")).json() == []


async def test_an_obstacle_that_goes_away_while_it_is_looked_for(
    database_url: str, database: Database, doctor: Person, patient: Person, register: Register
) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    other = await register()
    await other.book(doctor, TEN.isoformat())

    async def cancel(others: Database) -> None:
        async with others.write() as session:
            await session.execute(
                text("UPDATE appointments SET status = 'cancelled', cancelled_at = :now"), {"now": NOW}
            )

    with interrupted(database_url, cancel, before="SELECT appointments.doctor_id", times=1) as happened:
        appointment = await book(database, doctor, patient)
    assert len(happened) == 1
    assert (await patient.get("/appointments")).json()[0]["id"] == str(appointment.id)


async def test_availability_that_is_published_twice_at_once(
    database_url: str, database: Database, doctor: Person
) -> None:
    me = actor(doctor, Role.DOCTOR)

    async def publish(own: Database) -> None:
        async with own.write() as session:
            await publish_availability(session, me, start=TEN, end=TEN + timedelta(hours=2), now=NOW)

    with (
        interrupted(database_url, publish, before="UPDATE doctors", times=1) as happened,
        pytest.raises(DomainError, match="availability_overlaps"),
    ):
        await publish(database)
    assert len((await doctor.get("/doctors/me/availability")).json()) == len(happened) == 1
