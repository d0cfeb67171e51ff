"""Booking and cancelling."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.core.errors import DomainError, invalid_field
from app.core.permissions import Actor, Role
from app.repositories import appointments, doctors
from app.repositories.appointments import AppointmentRecord, Party
from app.scheduling.decisions import LONGEST_VISIT, SHORTEST_VISIT, check_booking, check_cancel
from app.scheduling.intervals import from_instant, to_instant
from app.scheduling.status import AppointmentStatus

_TRIES = 2


async def book_appointment(
    session: AsyncSession,
    actor: Actor,
    *,
    doctor_id: UUID,
    start: datetime,
    end: datetime | None,
    reason: str | None,
    now: datetime,
) -> AppointmentRecord:
    """Books ``[start, end)`` for the actor; without ``end``, the doctor's usual length.

    Raises the codes of ``scheduling.Refusal``, ``not_found`` for an unknown doctor, ``invalid_request`` for a length
    outside 5 minutes to 12 hours, and ``busy`` in the rare case that her rules change faster than they can be checked.
    """
    first = to_instant(start)
    if end and not SHORTEST_VISIT <= to_instant(end) - first <= LONGEST_VISIT:
        raise invalid_field("end_time", "must be 5 minutes to 12 hours after start_time")
    for _ in range(_TRIES):
        plan = await doctors.get_plan(session, doctor_id, (first, first + LONGEST_VISIT))
        visit = first, (to_instant(end) if end else first + plan.default_visit)
        if refusal := check_booking(plan.rules, visit, to_instant(now)):
            raise DomainError(refusal)
        appointment = AppointmentRecord(
            id=uuid7(),
            doctor=Party(plan.doctor.id, plan.doctor.name),
            patient=Party(actor.id, actor.name),
            start_time=start,
            end_time=from_instant(visit[1]),
            time_zone=plan.doctor.time_zone,
            status=AppointmentStatus.BOOKED,
            reason=reason,
            created_at=now,
        )
        if await appointments.insert_if_free(session, appointment, busy=visit, version=plan.version):
            return appointment
        if refusal := await appointments.find_conflict(
            session, doctor_id=doctor_id, patient_id=actor.id, visit=visit, busy=visit
        ):
            raise DomainError(refusal)
        # Nothing in the way: the rules have changed since they were read, or what was in the way has just gone.
    raise DomainError("busy")


async def cancel_appointment(
    session: AsyncSession, actor: Actor, appointment_id: UUID, now: datetime
) -> AppointmentRecord:
    """Cancels one of the actor's own appointments; cancelling again changes nothing and answers the same."""
    appointment = await appointments.get_appointment(session, actor, appointment_id, for_update=True)
    if appointment.status is AppointmentStatus.CANCELLED:
        return appointment
    if refusal := check_cancel(
        appointment.status,
        to_instant(appointment.start_time),
        to_instant(now),
        by_patient=actor.role is Role.PATIENT,
    ):
        raise DomainError(refusal)
    await appointments.update_cancelled(session, appointment.id, by=actor.id, at=now)
    return replace(appointment, status=AppointmentStatus.CANCELLED, cancelled_at=now, cancelled_by=actor.id)
