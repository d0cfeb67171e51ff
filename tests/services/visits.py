"""Visits that are booked and held through the services, also by others than the patient."""

from datetime import UTC, datetime
from uuid import UUID

from app.core.permissions import Actor, Role
from app.db.database import Database
from app.repositories.appointments import AppointmentRecord, Reference
from app.repositories.holds import HoldRecord
from app.services.booking import BookingRequest, book_appointment, hold_time
from tests.people import Person

NOW, TEN = datetime(2026, 12, 1, 8, tzinfo=UTC), datetime(2026, 12, 8, 10, tzinfo=UTC)


def make_actor(person: Person, role: Role) -> Actor:
    return Actor(UUID(person.id), role, person.name)


async def book(
    database: Database,
    doctor: Person,
    patient: Person,
    start: datetime = TEN,
    *,
    by: Person | None = None,
    hold_id: UUID | None = None,
) -> AppointmentRecord:
    async with database.write() as transaction:
        return await book_appointment(
            transaction,
            make_actor(by or patient, Role.PATIENT),
            BookingRequest(UUID(doctor.id), start),
            patient=Reference(UUID(patient.id), patient.name),
            reason=None,
            hold_id=hold_id,
            now=NOW,
        )


async def hold(
    database: Database, doctor: Person, patient: Person, now: datetime = NOW, *, by: Person | None = None
) -> HoldRecord:
    async with database.write() as transaction:
        return await hold_time(
            transaction,
            make_actor(by or patient, Role.PATIENT),
            BookingRequest(UUID(doctor.id), TEN),
            patient=Reference(UUID(patient.id), patient.name),
            now=now,
        )
