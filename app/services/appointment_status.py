"""Change the status of an appointment (cancelled, arrived, fulfilled, no-show), and undo the change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.errors import DomainError
from app.core.permissions import Actor, Permission, Scope, scope_to_change
from app.db.database import Transaction
from app.repositories import appointment_versions, appointments, bookings, patients
from app.repositories.appointments import AppointmentRecord, ChangedAppointment
from app.scheduling.decisions import Refusal, check_action, check_undo
from app.scheduling.intervals import MINUTE, to_instant
from app.scheduling.status import TRANSITIONS, Action, AppointmentStatus


async def cancel_appointment(
    transaction: Transaction,
    actor: Actor,
    appointment_id: UUID,
    *,
    reason: str | None = None,
    versions: frozenset[int] | None = None,
    scope: Scope | None = None,
    now: datetime,
) -> AppointmentRecord:
    """Cancel an appointment of the scope; by default, one that the actor may change.

    Cancelling again changes nothing and returns the same. Raises the codes of ``check_change``.
    """
    # Only the row is locked, not the calendars: a cancellation occupies no time, so it cannot deadlock.
    scope = scope_to_change(actor, now.date()) if scope is None else scope
    before = await appointments.get_appointment(transaction, scope, appointment_id, for_update=True)
    # Before the version is compared, so that a client that repeats a cancellation does not get an error.
    if before.status is AppointmentStatus.CANCELLED:
        return before
    check_change(Action.CANCEL, before, actor, versions, now)
    return await _change(
        transaction, before, Action.CANCEL, actor.id, now, cancelled_at=now, cancelled_by=actor.id, cancel_reason=reason
    )


async def cancel_all(
    transaction: Transaction, scope: Scope, now: datetime, *, by: UUID
) -> Sequence[ChangedAppointment]:
    """Cancel all active appointments of the scope that have not started, regardless of the deadline."""
    return await appointments.change_active(
        transaction,
        scope,
        since=now,
        by=by,
        at=now,
        status=TRANSITIONS[Action.CANCEL].target,
        cancelled_at=now,
        cancelled_by=by,
    )


async def advance_appointment(
    transaction: Transaction,
    actor: Actor,
    appointment_id: UUID,
    action: Action,
    *,
    versions: frozenset[int] | None = None,
    now: datetime,
) -> AppointmentRecord:
    """Record that the patient has arrived, that the visit is complete, or that the patient did not come.

    Raises ``not_found`` if the appointment is not in the actor's calendar, and the codes of ``check_change``.
    """
    scope = Scope(doctor_id=actor.id)
    before = await appointments.get_appointment(transaction, scope, appointment_id, for_update=True)
    check_change(action, before, actor, versions, now)
    return await _change(transaction, before, action, actor.id, now)


async def undo_status_change(
    transaction: Transaction,
    actor: Actor,
    appointment_id: UUID,
    *,
    versions: frozenset[int] | None = None,
    now: datetime,
) -> AppointmentRecord:
    """Undo the last change of the status of an appointment in the actor's calendar, as a new version.

    An arrival returns to ``booked``, an outcome to the status before it; there is no redo. The visit had been agreed,
    so the booking rules are not checked again. Its time must be free, though.

    Raises ``slot_taken`` or ``patient_busy`` if it is not; ``wrong_status`` if there is nothing to undo, if the patient
    cancelled the visit, or if the patient has been erased; ``too_late`` after the day (see ``check_undo``);
    and ``version_mismatch``.
    """
    scope = Scope(doctor_id=actor.id)
    seen = await appointments.get_appointment(transaction, scope, appointment_id)
    # Lock the patient first. An erasure also locks the patient before it cancels appointments.
    await patients.lock_patient(transaction, seen.patient_id)
    # Lock the calendars before the appointment, as for a move: the UPDATE may occupy time that others want (ADR 0034).
    await bookings.lock_calendars(transaction, seen.doctor_id, seen.patient_id)
    before = await appointments.get_appointment(transaction, scope, appointment_id, for_update=True)
    if versions is not None and before.version not in versions:
        raise DomainError("version_mismatch")
    if refusal := find_undo_refusal(before, now):
        raise DomainError(refusal)
    if await patients.is_erased(transaction, before.patient_id):
        raise DomainError(Refusal.WRONG_STATUS)
    # An arrival always returns to `booked`. An outcome can follow two states, so its previous version decides
    # (ADR 0034).
    status = AppointmentStatus.BOOKED
    if before.status is not AppointmentStatus.ARRIVED:
        status = await appointment_versions.find_status_before(transaction, before) or status
    if not before.status.occupies_time:
        await bookings.release_holds(
            transaction,
            doctor_id=before.doctor_id,
            patient_id=before.patient_id,
            now=now,
            against=(
                (to_instant(before.start_time), to_instant(before.end_time)),
                (to_instant(before.busy_start), to_instant(before.busy_end)),
            ),
        )
    await bookings.restore_if_free(transaction, before, status=status, by=actor.id, at=now)
    return replace(
        before,
        status=status,
        cancelled_at=None,
        cancelled_by=None,
        cancel_reason=None,
        version=before.version + 1,
        changed_at=now,
        changed_by=actor.id,
    )


def find_undo_refusal(appointment: AppointmentRecord, now: datetime) -> Refusal | None:
    """Return why the doctor cannot undo the last change of status, as far as the appointment itself tells."""
    # A visit that the patient or an administrator has cancelled stays cancelled (ADR 0034, ADR 0045).
    if appointment.status is AppointmentStatus.CANCELLED and appointment.cancelled_by != appointment.doctor_id:
        return Refusal.WRONG_STATUS
    return check_undo(
        appointment.status,
        to_instant(appointment.end_time),
        to_instant(appointment.changed_at or appointment.created_at),
        to_instant(now),
        appointment.zone,
    )


def check_change(
    action: Action, appointment: AppointmentRecord, actor: Actor, versions: frozenset[int] | None, now: datetime
) -> None:
    """Raise the reason why the actor cannot do this with the appointment now, if there is one.

    ``version_mismatch`` if it has none of ``versions``, else the codes of ``check_action``.
    """
    if versions is not None and appointment.version not in versions:
        raise DomainError("version_mismatch")
    if refusal := check_action(
        action,
        appointment.status,
        to_instant(appointment.start_time),
        to_instant(now),
        cutoff=None if actor.may(Permission.CHANGE_AFTER_DEADLINE) else appointment.cancel_cutoff_minutes * MINUTE,
    ):
        raise DomainError(refusal)


async def _change(
    transaction: Transaction, before: AppointmentRecord, action: Action, by: UUID, now: datetime, **values: Any
) -> AppointmentRecord:
    # The row is locked, so its version is still the one that was read, and the change cannot fail.
    values["status"] = TRANSITIONS[action].target
    await appointments.change_appointment(transaction, before, by=by, at=now, **values)
    return replace(before, version=before.version + 1, changed_at=now, changed_by=by, **values)
