"""Queries for the wall times at which appointments were agreed (ADR 0040)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from app.db.database import Transaction
from app.db.records import read_record
from app.models import Appointment
from app.scheduling.status import ACTIVE


@dataclass(frozen=True, slots=True)
class AgreedTime:
    """The start of an appointment, with the wall time and the zone as they were agreed."""

    id: UUID
    patient_id: UUID
    start_time: datetime
    local_start: datetime
    time_zone: str
    version: int


async def list_agreed_times(transaction: Transaction, doctor_id: UUID, *, since: datetime) -> Sequence[AgreedTime]:
    """Return the agreed times of a doctor's active appointments that start after ``since``, by start."""
    found = select(
        Appointment.id,
        Appointment.patient_id,
        Appointment.start_time,
        Appointment.agreed_local_start.label("local_start"),
        Appointment.agreed_time_zone.label("time_zone"),
        Appointment.version,
    ).where(
        Appointment.doctor_id == doctor_id,
        Appointment.status.in_(ACTIVE),
        Appointment.start_time > since,
        # Appointments that an older process has written during an upgrade have no agreed time (ADR 0040).
        Appointment.agreed_local_start.is_not(None),
    )
    rows = await transaction.execute(found.order_by(Appointment.start_time, Appointment.id))
    return [read_record(AgreedTime, row) for row in rows]
