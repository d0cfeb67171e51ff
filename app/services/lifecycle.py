"""What becomes of an appointment: cancelled, arrived, fulfilled, or missed."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.errors import DomainError
from app.core.permissions import Actor, Role
from app.db.session import Session
from app.repositories import appointments
from app.repositories.appointments import AppointmentRecord
from app.scheduling.decisions import check_action
from app.scheduling.intervals import MINUTE, to_instant
from app.scheduling.status import TRANSITIONS, Action, AppointmentStatus


async def cancel_appointment(
    session: Session,
    actor: Actor,
    appointment_id: UUID,
    *,
    reason: str | None = None,
    versions: frozenset[int] | None = None,
    now: datetime,
) -> AppointmentRecord:
    """Cancels one of the actor's own appointments; cancelling again changes nothing and answers the same."""
    before = await appointments.get_appointment(session, actor, appointment_id, for_update=True)
    if before.status is AppointmentStatus.CANCELLED:
        return before
    check_change(Action.CANCEL, before, actor, versions, now)
    return await _change(
        session, before, Action.CANCEL, actor, now, cancelled_at=now, cancelled_by=actor.id, cancel_reason=reason
    )


async def cancel_all(session: Session, patient: Actor, now: datetime) -> None:
    """Cancels all of a patient's active appointments that have not begun, whatever the cut-off."""
    await appointments.change_active(
        session,
        patient,
        since=now,
        by=patient.id,
        at=now,
        status=TRANSITIONS[Action.CANCEL].target,
        cancelled_at=now,
        cancelled_by=patient.id,
    )


async def advance_appointment(
    session: Session,
    actor: Actor,
    appointment_id: UUID,
    action: Action,
    *,
    versions: frozenset[int] | None = None,
    now: datetime,
) -> AppointmentRecord:
    """Says that the patient has arrived, that the visit is complete, or that the patient did not come."""
    before = await appointments.get_appointment(session, actor, appointment_id, for_update=True)
    check_change(action, before, actor, versions, now)
    return await _change(session, before, action, actor, now)


def check_change(
    action: Action, appointment: AppointmentRecord, actor: Actor, versions: frozenset[int] | None, now: datetime
) -> None:
    """Raises what speaks against it: ``version_mismatch`` if it has none of these versions, or a ``Refusal``."""
    if versions is not None and appointment.version not in versions:
        raise DomainError("version_mismatch")
    if refusal := check_action(
        action,
        appointment.status,
        to_instant(appointment.start_time),
        to_instant(now),
        cutoff=appointment.cancel_cutoff_minutes * MINUTE if actor.role is Role.PATIENT else None,
    ):
        raise DomainError(refusal)


async def _change(
    session: Session, before: AppointmentRecord, action: Action, actor: Actor, now: datetime, **values: Any
) -> AppointmentRecord:
    # The row is locked, so it has the version that was read.
    values["status"] = TRANSITIONS[action].target
    await appointments.change_appointment(session, before, by=actor.id, at=now, **values)
    return replace(before, version=before.version + 1, changed_at=now, changed_by=actor.id, **values)
