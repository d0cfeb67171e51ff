"""Book, hold and move appointments (docs/booking.md)."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.errors import DomainError, invalid_field
from app.core.permissions import Actor, Permission, scope_to_change
from app.db.database import Transaction
from app.repositories import appointments, bookings, doctors, holds
from app.repositories.appointments import AppointmentRecord, Reference
from app.repositories.clinic_patients import add_to_clinics_of
from app.repositories.doctor_schedules import DoctorSchedule, get_doctor_schedule
from app.repositories.holds import HoldRecord
from app.scheduling.decisions import MAX_VISIT, MIN_VISIT, Refusal, check_booking, has_daily_limit, relevant_span
from app.scheduling.intervals import Interval, from_instant, to_instant
from app.scheduling.status import TRANSITIONS, Action, AppointmentStatus
from app.scheduling.visits import BusyPeriod, VisitMode
from app.scheduling.zones import wall_time
from app.services.appointment_status import check_change
from app.services.patient_limits import NO_PATIENT_LIMITS, PatientLimits
from app.services.slots import ExistingTime, choose_visit_type, visit_type_of

HOLD_DURATION = timedelta(minutes=5)

_TRIES = 2
"""How often to check again if the doctor's rules change between the check and the insert."""


@dataclass(frozen=True, slots=True)
class BookingRequest:
    """A visit that a patient wants to have."""

    doctor_id: UUID
    start: datetime
    end: datetime | None = None
    """If ``None``, the visit is as long as its visit type says, or has the doctor's usual length."""
    visit_type_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A visit that the rules accept. The database decides whether the time is free."""

    schedule: DoctorSchedule
    visit: Interval
    busy: Interval
    family: Collection[UUID]
    """Patients whose holds give way, in addition to those of the patient."""


async def book_appointment(
    transaction: Transaction,
    actor: Actor,
    request: BookingRequest,
    *,
    patient: Reference,
    reason: str | None,
    hold_id: UUID | None = None,
    limits: PatientLimits = NO_PATIENT_LIMITS,
    now: datetime,
) -> AppointmentRecord:
    """Book a visit for the patient. The actor is the patient, or someone who acts for them.

    If ``hold_id`` is a hold of the patient or of the actor for this visit, it becomes the appointment and keeps its id,
    even if it has expired. Before it has expired, the visit has the length and the buffers of the hold, and the notice
    period counts from when the hold was created. A hold for another visit has no effect.

    Raises the codes of ``scheduling.Refusal``; ``not_found`` for an unknown doctor or visit type;
    ``doctor_unavailable`` instead if the patient holds this visit and the doctor can no longer be booked;
    ``visit_type_required``; ``wrong_length``; ``invalid_request`` for a length outside 5 minutes to 12 hours; the codes
    of ``PatientLimits.check``; and ``busy`` in the rare case that the rules change faster than they can be checked.
    """
    # Whom a visit is for can be chosen after its time is held, so the actor's own hold gives way as well.
    family = {actor.id} - {patient.id}
    hold = await holds.find_hold(transaction, hold_id, patient.id, *family) if hold_id else None
    redeemed = hold if hold and hold.is_for(request.doctor_id, request.start, request.visit_type_id) else None
    valid = redeemed if redeemed and now < redeemed.expires_at else None
    existing = valid if valid and request.end in {None, valid.end_time} else None
    requested_at = valid.created_at if valid else now
    # Checked again instead of locking the doctor's row: the lock was measured at 0.12 of the throughput of a busy
    # doctor (ADR 0003).
    for _ in range(_TRIES):
        try:
            accepted = await _accept(
                transaction,
                request,
                patient_id=patient.id,
                family=family,
                requested_at=requested_at,
                now=now,
                limits=limits,
                redeemed=redeemed,
                existing=existing,
            )
        except DomainError as error:
            # The patient saw the doctor when the hold was created, so this reveals nothing.
            if redeemed and error.code == "not_found" and not await doctors.find_doctor(transaction, request.doctor_id):
                raise DomainError("doctor_unavailable") from error
            raise
        appointment = _appointment(accepted, patient, reason=reason, by=actor.id, now=now)
        # Also after the hold has expired: a client that still has only the id of the hold finds the appointment by it.
        if redeemed:
            appointment = replace(appointment, id=redeemed.id)
        # Without a lock, which is the usual case. A hold may overlap the visit, and must be released under a lock.
        if hold is None and await _insert(transaction, appointment, accepted):
            return appointment
        if await _book_over_holds(transaction, appointment, accepted, hold, now):
            return appointment
    raise DomainError("busy")


async def _book_over_holds(
    transaction: Transaction,
    appointment: AppointmentRecord,
    accepted: _Accepted,
    hold: HoldRecord | None,
    now: datetime,
) -> bool:
    """Release expired holds and those of the patient and the family that are in the way, then insert the appointment.

    Returns ``False`` if the rules must be checked again, because they have changed. Raises the conflict if an
    appointment or a hold of another patient is in the way.
    """
    # Before locking: a booking takes locks only if a hold has to give way (ADR 0010).
    await _raise_conflict(transaction, appointment, accepted, now)
    await bookings.lock_calendars(transaction, appointment.doctor_id, appointment.patient_id, *accepted.family)
    released = await bookings.release_holds(
        transaction,
        doctor_id=appointment.doctor_id,
        patient_id=appointment.patient_id,
        family=accepted.family,
        now=now,
        against=(accepted.visit, accepted.busy),
    )
    # If the insert failed and nothing was released, the rules have changed, or what was in the way has just gone: the
    # caller checks the rules again first.
    return (released or hold is not None) and await _insert(transaction, appointment, accepted)


async def hold_time(
    transaction: Transaction,
    actor: Actor,
    request: BookingRequest,
    *,
    patient: Reference,
    family: Collection[UUID] = (),
    limits: PatientLimits = NO_PATIENT_LIMITS,
    now: datetime,
) -> HoldRecord:
    """Hold a time for the patient for 5 minutes. The earlier holds of the patient and of ``family`` are released.

    Raises the codes that ``book_appointment`` raises.
    """
    # A visit that has started cannot be booked, so a hold never lasts beyond the start.
    expires_at = min(now + HOLD_DURATION, request.start)
    if expires_at <= now:
        raise DomainError(Refusal.IN_THE_PAST)
    # Before anything is read or released: two patients who exchange their holds would each delete first, and then wait
    # for the other's deletion (ADR 0009).
    await bookings.lock_calendars(transaction, request.doctor_id, patient.id, *family)
    for _ in range(_TRIES):
        accepted = await _accept(transaction, request, patient_id=patient.id, requested_at=now, now=now, limits=limits)
        appointment = replace(
            _appointment(accepted, patient, reason=None, by=actor.id, now=now), status=AppointmentStatus.PENDING
        )
        # Release all holds, not only those in the way: a patient may have one at a time, so that one account cannot
        # block many slots (ADR 0009).
        await bookings.release_holds(
            transaction, doctor_id=request.doctor_id, patient_id=patient.id, family=family, now=now, against=None
        )
        if await _insert(transaction, appointment, accepted, expires_at):
            return HoldRecord(
                appointment.id,
                request.doctor_id,
                appointment.visit_type_id,
                appointment.start_time,
                appointment.end_time,
                appointment.busy_start,
                appointment.busy_end,
                now,
                expires_at,
            )
        await _raise_conflict(transaction, appointment, accepted, now)
    raise DomainError("busy")


async def release_hold(transaction: Transaction, hold_id: UUID, *, patient_id: UUID) -> None:
    """Release a hold. Raises ``not_found`` if it does not exist, or if the patient neither has nor created it."""
    # The calendars are not locked: this occupies no other time, so it cannot deadlock.
    if not await holds.delete_hold(transaction, hold_id, patient_id):
        raise DomainError("not_found")


async def reschedule_appointment(
    transaction: Transaction,
    actor: Actor,
    appointment_id: UUID,
    *,
    start: datetime,
    visit_type_id: UUID | None,
    versions: frozenset[int] | None,
    now: datetime,
) -> AppointmentRecord:
    """Move an appointment that the actor may change. It keeps its id. A move to its current start changes nothing.

    Unless ``visit_type_id`` names another visit type, it keeps its visit type and its length. If the new time is not
    available, the appointment keeps its old time. Raises the codes that ``book_appointment`` and ``check_change``
    raise, and ``doctor_unavailable`` for a patient of a doctor who can no longer be booked.
    """
    scope = scope_to_change(actor, now.date())
    seen = await appointments.get_appointment(transaction, scope, appointment_id)
    # The calendars before any row: patients who swap slots would otherwise wait for each other in a circle (ADR 0010).
    await bookings.lock_calendars(transaction, seen.doctor_id, seen.patient_id)
    # Read again: it may have changed while this waited for the locks.
    before = await appointments.get_appointment(transaction, scope, appointment_id, for_update=True)
    check_change(Action.RESCHEDULE, before, actor, versions, now)
    if not before.doctor_is_listed and not actor.may(Permission.CHANGE_FOR_PATIENTS):
        raise DomainError("doctor_unavailable")
    if start == before.start_time and visit_type_id in {None, before.visit_type_id}:
        return before
    request = BookingRequest(before.doctor_id, start, visit_type_id=visit_type_id or before.visit_type_id)
    for _ in range(_TRIES):
        accepted = await _accept(
            transaction,
            request,
            patient_id=before.patient_id,
            requested_at=now,
            now=now,
            moving=before,
            existing=before if visit_type_id in {None, before.visit_type_id} else None,
            allow_withdrawn=visit_type_id is None,
        )
        after = replace(
            before,
            start_time=from_instant(accepted.visit[0]),
            end_time=from_instant(accepted.visit[1]),
            busy_start=from_instant(accepted.busy[0]),
            busy_end=from_instant(accepted.busy[1]),
            visit_type=_visit_type(accepted.schedule),
            visit_mode=_visit_mode(accepted.schedule),
            status=TRANSITIONS[Action.RESCHEDULE].target,
            agreed_local_start=wall_time(accepted.visit[0], accepted.schedule.rules.zone),
            agreed_time_zone=accepted.schedule.doctor.time_zone,
            version=before.version + 1,
            changed_at=now,
            changed_by=actor.id,
        )
        await bookings.release_holds(
            transaction,
            doctor_id=before.doctor_id,
            patient_id=before.patient_id,
            now=now,
            against=(accepted.visit, accepted.busy),
        )
        # One UPDATE of one row, so the old time is not given up unless the new one is available.
        if await bookings.move_if_free(
            transaction, before, after, version=accepted.schedule.version, by=actor.id, at=now
        ):
            return after
    raise DomainError("busy")


async def _accept(
    transaction: Transaction,
    request: BookingRequest,
    *,
    patient_id: UUID,
    family: Collection[UUID] = (),
    requested_at: datetime,
    now: datetime,
    limits: PatientLimits = NO_PATIENT_LIMITS,
    moving: AppointmentRecord | None = None,
    redeemed: HoldRecord | None = None,
    existing: ExistingTime | None = None,
    allow_withdrawn: bool = False,
) -> _Accepted:
    """Check a visit against the rules. Raises the reason if they refuse it.

    ``requested_at`` is when the notice period starts to count. ``moving`` is the appointment to be moved, and
    ``redeemed`` the hold to be booked; they do not count as busy. ``existing`` is time whose length and buffers are
    kept. ``allow_withdrawn`` accepts a visit type that is no longer offered. If calendars are locked, those of
    ``family`` are locked as well.
    """
    first = to_instant(request.start)
    length = to_instant(request.end) - first if request.end else None
    if length is not None and not MIN_VISIT <= length <= MAX_VISIT:
        raise invalid_field("end_time", "visit_length")
    # The length is known only with the visit type, which this statement reads, so the span covers the longest visit.
    schedule = await get_doctor_schedule(
        transaction,
        request.doctor_id,
        (first, first + MAX_VISIT),
        request.visit_type_id,
        withdrawn=allow_withdrawn,
        # Appointments with a doctor who is no longer listed can still be moved.
        listed=moving is None,
        patient=(patient_id, now) if limits.apply else None,
    )
    if schedule.visits:
        limits.check(schedule.visits)
    # An appointment without a visit type can be moved as such, even if the doctor has visit types by now.
    visit_type = (
        visit_type_of(schedule.doctor, schedule.visit_type, existing)
        if allow_withdrawn
        else choose_visit_type(schedule, existing)
    )
    if length is not None and visit_type.id is None:
        visit_type = replace(visit_type, duration=length)
    elif length is not None and length != visit_type.duration:
        raise DomainError("wrong_length")
    visit = first, first + visit_type.duration
    # Without a daily limit, no busy periods are read: the constraints decide whether the time is free (ADR 0001).
    busy_periods: tuple[BusyPeriod, ...] = ()
    if has_daily_limit(schedule.rules, visit_type):
        # Without the lock, two bookings could each count one visit less than the limit and both be inserted.
        await bookings.lock_calendars(transaction, request.doctor_id, patient_id, *family)
        # Visits must be counted after locking. The rules may be read before, because the insert checks their version.
        span = relevant_span(schedule.rules, visit_type, visit)
        replaced = moving or redeemed
        without = replaced.id if replaced else None
        busy_periods = tuple(
            await bookings.list_busy(transaction, request.doctor_id, span, now, viewer=patient_id, without=without)
        )
    if refusal := check_booking(schedule.rules, visit_type, visit, busy_periods, to_instant(requested_at)):
        raise DomainError(refusal)
    return _Accepted(schedule, visit, (visit[0] - visit_type.buffer_before, visit[1] + visit_type.buffer_after), family)


def _appointment(
    accepted: _Accepted, patient: Reference, *, reason: str | None, by: UUID, now: datetime
) -> AppointmentRecord:
    doctor = accepted.schedule.doctor
    return AppointmentRecord(
        id=uuid7(),
        doctor=Reference(doctor.id, doctor.name),
        patient=patient,
        visit_type=_visit_type(accepted.schedule),
        visit_mode=_visit_mode(accepted.schedule),
        start_time=from_instant(accepted.visit[0]),
        end_time=from_instant(accepted.visit[1]),
        busy_start=from_instant(accepted.busy[0]),
        busy_end=from_instant(accepted.busy[1]),
        time_zone=doctor.time_zone,
        status=AppointmentStatus.BOOKED,
        reason=reason,
        created_at=now,
        booked_by=by,
        # Stored beside the instant: it shows later whether new time-zone data have changed the clock time (ADR 0040).
        agreed_local_start=wall_time(accepted.visit[0], accepted.schedule.rules.zone),
        agreed_time_zone=doctor.time_zone,
    )


def _visit_type(schedule: DoctorSchedule) -> Reference | None:
    return Reference(schedule.visit_type.id, schedule.visit_type.name) if schedule.visit_type else None


def _visit_mode(schedule: DoctorSchedule) -> VisitMode | None:
    return schedule.visit_type.mode if schedule.visit_type else None


async def _insert(
    transaction: Transaction, appointment: AppointmentRecord, accepted: _Accepted, expires_at: datetime | None = None
) -> bool:
    is_inserted = await bookings.insert_if_free(
        transaction, appointment, version=accepted.schedule.version, expires_at=expires_at
    )
    if is_inserted and expires_at is None and accepted.schedule.in_clinic:
        await add_to_clinics_of(transaction, appointment.doctor_id, appointment.patient_id, appointment.created_at)
    return is_inserted


async def _raise_conflict(
    transaction: Transaction, appointment: AppointmentRecord, accepted: _Accepted, now: datetime
) -> None:
    """Raise the reason why a visit could not be inserted, if another appointment or hold is in the way.

    If nothing is raised, an expired hold or a hold of the patient or the family is in the way, or what was in the way
    has just gone, or the rules have changed.
    """
    if refusal := await bookings.find_conflict(
        transaction,
        doctor_id=appointment.doctor_id,
        patient_id=appointment.patient_id,
        family=accepted.family,
        visit=accepted.visit,
        busy=accepted.busy,
        now=now,
    ):
        raise DomainError(refusal)
