"""Find and delete holds. ``bookings`` inserts them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, select, type_coerce

from app.db.database import Transaction
from app.db.records import read_record
from app.models import Appointment
from app.repositories.bookings import IS_HOLD


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """A hold: time that is reserved for a patient until ``expires_at``."""

    id: UUID
    doctor_id: UUID
    visit_type_id: UUID | None
    start_time: datetime
    end_time: datetime
    busy_start: datetime
    busy_end: datetime
    created_at: datetime
    expires_at: datetime

    def is_for(self, doctor_id: UUID, start: datetime, visit_type_id: UUID | None) -> bool:
        """Return whether it is for this visit."""
        return (self.doctor_id, self.start_time, self.visit_type_id) == (doctor_id, start, visit_type_id)


async def find_hold(transaction: Transaction, hold_id: UUID, *patient_ids: UUID) -> HoldRecord | None:
    """Return a hold of one of these patients, expired or not; ``None`` if it does not exist."""
    row = (
        await transaction.execute(
            select(
                Appointment.id,
                Appointment.doctor_id,
                Appointment.visit_type_id,
                Appointment.start_time,
                Appointment.end_time,
                Appointment.busy_start,
                Appointment.busy_end,
                Appointment.created_at,
                # Never NULL: a CHECK requires it of holds.
                type_coerce(Appointment.expires_at, Appointment.created_at.type).label("expires_at"),
            ).where(Appointment.id == hold_id, Appointment.patient_id.in_(patient_ids), IS_HOLD)
        )
    ).one_or_none()
    return read_record(HoldRecord, row) if row else None


async def delete_hold(transaction: Transaction, hold_id: UUID, patient_id: UUID) -> bool:
    """Delete a hold that a patient has, or has created for a dependant; return whether it existed."""
    own = or_(Appointment.patient_id == patient_id, Appointment.booked_by == patient_id)
    deleted = await transaction.scalar(
        delete(Appointment).where(Appointment.id == hold_id, own, IS_HOLD).returning(Appointment.id)
    )
    return deleted is not None
