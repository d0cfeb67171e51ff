"""Changes of rules and of other appointments between the check of a booking and its insert."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.errors import DomainError
from app.db.database import Database
from app.services.schedule import publish_availability, withdraw_availability
from tests.conftest import Register
from tests.people import Person
from tests.services.interruptions import change_schedule_version, interrupted
from tests.services.visits import NOW, TEN, book

# On SQLite a transaction excludes all other writers as soon as its first statement runs.
pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


async def test_booking_is_checked_again_if_the_rules_change(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    with interrupted(
        database_url, change_schedule_version, before="INSERT INTO appointments", times=1
    ) as interruptions:
        appointment = await book(database, doctor, patient)
    assert len(interruptions) == 1
    assert (await patient.get(f"/appointments/{appointment.id}")).status_code == 200


async def test_booking_is_refused_as_busy_if_the_rules_change_twice(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    with (
        interrupted(database_url, change_schedule_version, before="INSERT INTO appointments", times=9) as interruptions,
        pytest.raises(DomainError, match="busy"),
    ):
        await book(database, doctor, patient)
    assert len(interruptions) == 2
    assert (await patient.get("/appointments")).json() == []


async def test_booking_is_refused_if_the_availability_is_withdrawn(
    database_url: str, database: Database, doctor: Person, patient: Person
) -> None:
    window = await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")

    async def withdraw(others: Database) -> None:
        async with others.write() as transaction:
            await withdraw_availability(transaction, UUID(doctor.id), UUID(window["id"]))

    with (
        interrupted(database_url, withdraw, before="INSERT INTO appointments", times=1),
        pytest.raises(DomainError, match="outside_availability"),
    ):
        await book(database, doctor, patient)
    assert (await patient.get("/appointments")).json() == []


async def test_booking_succeeds_if_the_conflicting_appointment_is_cancelled(
    database_url: str, database: Database, doctor: Person, patient: Person, register: Register
) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    other = await register()
    await other.book(doctor, TEN.isoformat())

    async def cancel(others: Database) -> None:
        async with others.write() as transaction:
            await transaction.execute(
                text("UPDATE appointments SET status = 'cancelled', cancelled_at = :now"), {"now": NOW}
            )

    with interrupted(database_url, cancel, before="SELECT appointments.doctor_id", times=1) as interruptions:
        appointment = await book(database, doctor, patient)
    assert len(interruptions) == 1
    assert (await patient.get("/appointments")).json()[0]["id"] == str(appointment.id)


async def test_second_of_two_equal_availabilities_published_at_once_is_refused(
    database_url: str, database: Database, doctor: Person
) -> None:
    async def publish(own: Database) -> None:
        async with own.write() as transaction:
            await publish_availability(transaction, UUID(doctor.id), start=TEN, end=TEN + timedelta(hours=2), now=NOW)

    with (
        interrupted(database_url, publish, before="UPDATE doctors", times=1) as interruptions,
        pytest.raises(DomainError, match="availability_overlaps"),
    ):
        await publish(database)
    assert len((await doctor.get("/doctors/me/availability")).json()) == len(interruptions) == 1
