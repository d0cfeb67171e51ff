"""Taking time: booking, holding, moving."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.errors import DomainError, invalid_field
from app.core.permissions import Actor, Role
from app.db.database import Transaction
from app.repositories import appointments, bookings, doctors
from app.repositories.appointments import AppointmentRecord, Reference
from app.repositories.bookings import HoldRecord
from app.repositories.doctor_schedules import DoctorSchedule, get_doctor_schedule
from app.scheduling.decisions import MAX_VISIT, MIN_VISIT, Refusal, check_booking, has_daily_limit, relevant_span
from app.scheduling.intervals import Interval, from_instant, to_instant
from app.scheduling.status import TRANSITIONS, Action, AppointmentStatus
from app.scheduling.visits import BusyPeriod, VisitMode
from app.scheduling.zones import wall_time
from app.services.appointment_status import check_change
from app.services.patient_limits import NO_PATIENT_LIMITS, PatientLimits
from app.services.slots import Kept, choose_visit_type, visit_type_of

HOLD_DURATION = timedelta(minutes=5)

_TRIES = 2


@dataclass(frozen=True, slots=True)
class BookingRequest:
    """A visit that somebody wants."""

    doctor_id: UUID
    start: datetime
    end: datetime | None = None
    """Where it is not given, the visit type decides, or the doctor's usual length."""
    visit_type_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A visit that the rules accept; whether the time is free is for the database to say."""

    plan: DoctorSchedule
    visit: Interval
    busy: Interval


async def book_appointment(
    transaction: Transaction,
    actor: Actor,
    wanted: BookingRequest,
    *,
    reason: str | None,
    hold_id: UUID | None = None,
    limits: PatientLimits = NO_PATIENT_LIMITS,
    now: datetime,
) -> AppointmentRecord:
    """Books a visit for the actor.

    A hold of the actor's for this visit becomes the appointment, with the same id, even if it is over. Until then the
    visit is as long as the hold, with the same buffers, and the notice counts from when the hold was made. Any other
    hold has no effect. Raises the codes of ``scheduling.Refusal``, ``not_found`` for an unknown doctor or visit type,
    ``doctor_unavailable`` instead for a doctor who can no longer be booked, if the actor holds this visit,
    ``visit_type_required``, ``wrong_length``, ``invalid_request`` for a length outside 5 minutes to 12 hours, the
    codes of ``PatientLimits.check``, and ``busy`` in the rare case that the rules change faster than they can be
    checked.
    """
    held = await bookings.find_hold(transaction, hold_id, actor.id) if hold_id else None
    used = held if held and _is_for(held, wanted) else None
    kept = used if used and now < used.expires_at and wanted.end in {None, used.end_time} else None
    asked_at = used.created_at if used and now < used.expires_at else now
    for _ in range(_TRIES):
        try:
            accepted = await _accept(
                transaction, wanted, patient_id=actor.id, asked_at=asked_at, now=now, limits=limits, kept=kept
            )
        except DomainError as error:
            # A patient who holds a time may know that the doctor is there.
            if used and error.code == "not_found" and not await doctors.find_doctor(transaction, wanted.doctor_id):
                raise DomainError("doctor_unavailable") from error
            raise
        appointment = _appointment(accepted, actor, reason=reason, now=now)
        if used:
            appointment = replace(appointment, id=used.id)
        if held is None and await _insert(transaction, appointment, accepted):
            return appointment
        await _raise_conflict(transaction, appointment, accepted, now)
        # Only holds that give way are left, if anything is.
        await bookings.lock_calendars(transaction, wanted.doctor_id, actor.id)
        released = await bookings.release_holds(
            transaction,
            doctor_id=wanted.doctor_id,
            patient_id=actor.id,
            now=now,
            against=(accepted.visit, accepted.busy),
        )
        if (released or held) and await _insert(transaction, appointment, accepted):
            return appointment
    raise DomainError("busy")


async def hold_time(
    transaction: Transaction,
    actor: Actor,
    wanted: BookingRequest,
    *,
    limits: PatientLimits = NO_PATIENT_LIMITS,
    now: datetime,
) -> HoldRecord:
    """Keeps a time for the actor for 5 minutes, in which nobody else can have it. Ends her earlier hold, if any.

    Raises what ``book_appointment`` raises.
    """
    # A visit that has begun cannot be booked any more, held or not.
    expires_at = min(now + HOLD_DURATION, wanted.start)
    if expires_at <= now:
        raise DomainError(Refusal.IN_THE_PAST)
    await bookings.lock_calendars(transaction, wanted.doctor_id, actor.id)
    for _ in range(_TRIES):
        accepted = await _accept(transaction, wanted, patient_id=actor.id, asked_at=now, now=now, limits=limits)
        appointment = replace(_appointment(accepted, actor, reason=None, now=now), status=AppointmentStatus.PENDING)
        await bookings.release_holds(
            transaction, doctor_id=wanted.doctor_id, patient_id=actor.id, now=now, against=None
        )
        if await _insert(transaction, appointment, accepted, expires_at):
            return HoldRecord(
                appointment.id,
                wanted.doctor_id,
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


async def release_hold(transaction: Transaction, actor: Actor, hold_id: UUID) -> None:
    """Gives a held time back; ``not_found`` if it is not the actor's or not there any more."""
    if not await bookings.delete_hold(transaction, hold_id, actor.id):
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
    """Moves one of the actor's own appointments, which keeps its id; to where it is already changes nothing.

    Unless ``visit_type_id`` is another one, it stays the visit type that it is, and as long as it is. If
    the new time is not to be had, the old one is still held. Raises what ``book_appointment`` raises,
    ``version_mismatch``, what speaks against changing it, and ``doctor_unavailable`` for a patient of a doctor who
    cannot be booked any more.
    """
    seen = await appointments.get_appointment(transaction, actor, appointment_id)
    await bookings.lock_calendars(transaction, seen.doctor_id, seen.patient_id)
    before = await appointments.get_appointment(transaction, actor, appointment_id, for_update=True)
    check_change(Action.RESCHEDULE, before, actor, versions, now)
    if actor.role is Role.PATIENT and not before.doctor_is_listed:
        raise DomainError("doctor_unavailable")
    if start == before.start_time and visit_type_id in {None, before.visit_type_id}:
        return before
    wanted = BookingRequest(before.doctor_id, start, visit_type_id=visit_type_id or before.visit_type_id)
    for _ in range(_TRIES):
        accepted = await _accept(
            transaction,
            wanted,
            patient_id=before.patient_id,
            asked_at=now,
            now=now,
            moving=before,
            kept=before if visit_type_id in {None, before.visit_type_id} else None,
            withdrawn=visit_type_id is None,
        )
        after = replace(
            before,
            start_time=from_instant(accepted.visit[0]),
            end_time=from_instant(accepted.visit[1]),
            busy_start=from_instant(accepted.busy[0]),
            busy_end=from_instant(accepted.busy[1]),
            visit_type=_visit_type(accepted.plan),
            visit_mode=_visit_mode(accepted.plan),
            status=TRANSITIONS[Action.RESCHEDULE].target,
            agreed_local_start=wall_time(accepted.visit[0], accepted.plan.rules.zone),
            agreed_time_zone=accepted.plan.doctor.time_zone,
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
        if await bookings.move_if_free(transaction, before, after, version=accepted.plan.version, by=actor.id, at=now):
            return after
    raise DomainError("busy")


async def _accept(
    transaction: Transaction,
    wanted: BookingRequest,
    *,
    patient_id: UUID,
    asked_at: datetime,
    now: datetime,
    limits: PatientLimits = NO_PATIENT_LIMITS,
    moving: AppointmentRecord | None = None,
    kept: Kept | None = None,
    withdrawn: bool = False,
) -> _Accepted:
    """Checks a visit against the rules, or raises what is against it.

    ``moving`` is the appointment that does not count, for it is to be moved. What is ``kept`` decides on the length
    and the buffers. ``withdrawn`` allows a visit type that is no longer offered.
    """
    first = to_instant(wanted.start)
    length = to_instant(wanted.end) - first if wanted.end else None
    if length is not None and not MIN_VISIT <= length <= MAX_VISIT:
        raise invalid_field("end_time", "visit_length")
    plan = await get_doctor_schedule(
        transaction,
        wanted.doctor_id,
        (first, first + MAX_VISIT),
        wanted.visit_type_id,
        withdrawn=withdrawn,
        # A doctor who is not listed moves visits that are booked already.
        listed=moving is None,
        patient=(patient_id, now) if limits.apply else None,
    )
    if plan.visits:
        limits.check(plan.visits)
    # A visit of no kind can be moved as such, even if the doctor has kinds by now.
    visit_type = visit_type_of(plan.doctor, plan.visit_type, kept) if withdrawn else choose_visit_type(plan, kept)
    if length is not None and visit_type.id is None:
        visit_type = replace(visit_type, duration=length)
    elif length is not None and length != visit_type.duration:
        raise DomainError("wrong_length")
    visit = first, first + visit_type.duration
    taken: tuple[BusyPeriod, ...] = ()
    if has_daily_limit(plan.rules, visit_type):
        # Two who each see room for one more must not both take it.
        await bookings.lock_calendars(transaction, wanted.doctor_id, patient_id)
        reached = relevant_span(plan.rules, visit_type, visit)
        without = moving.id if moving else None
        taken = tuple(
            await bookings.list_busy(transaction, wanted.doctor_id, reached, now, viewer=patient_id, without=without)
        )
    if refusal := check_booking(plan.rules, visit_type, visit, taken, to_instant(asked_at)):
        raise DomainError(refusal)
    return _Accepted(plan, visit, (visit[0] - visit_type.buffer_before, visit[1] + visit_type.buffer_after))


def _is_for(held: HoldRecord, wanted: BookingRequest) -> bool:
    """Whether a hold is for this visit."""
    return (held.doctor_id, held.start_time, held.visit_type_id) == (
        wanted.doctor_id,
        wanted.start,
        wanted.visit_type_id,
    )


def _appointment(accepted: _Accepted, patient: Actor, *, reason: str | None, now: datetime) -> AppointmentRecord:
    doctor = accepted.plan.doctor
    return AppointmentRecord(
        id=uuid7(),
        doctor=Reference(doctor.id, doctor.name),
        patient=Reference(patient.id, patient.name),
        visit_type=_visit_type(accepted.plan),
        visit_mode=_visit_mode(accepted.plan),
        start_time=from_instant(accepted.visit[0]),
        end_time=from_instant(accepted.visit[1]),
        busy_start=from_instant(accepted.busy[0]),
        busy_end=from_instant(accepted.busy[1]),
        time_zone=doctor.time_zone,
        status=AppointmentStatus.BOOKED,
        reason=reason,
        created_at=now,
        agreed_local_start=wall_time(accepted.visit[0], accepted.plan.rules.zone),
        agreed_time_zone=doctor.time_zone,
    )


def _visit_type(plan: DoctorSchedule) -> Reference | None:
    return Reference(plan.visit_type.id, plan.visit_type.name) if plan.visit_type else None


def _visit_mode(plan: DoctorSchedule) -> VisitMode | None:
    return plan.visit_type.mode if plan.visit_type else None


async def _insert(
    transaction: Transaction, appointment: AppointmentRecord, accepted: _Accepted, expires_at: datetime | None = None
) -> bool:
    return await bookings.insert_if_free(transaction, appointment, version=accepted.plan.version, expires_at=expires_at)


async def _raise_conflict(
    transaction: Transaction, appointment: AppointmentRecord, accepted: _Accepted, now: datetime
) -> None:
    """Raises what stands against a visit that could not be inserted.

    If nothing does, a hold that gives way was in the way, or something that has just gone, or the rules have changed.
    """
    if refusal := await bookings.find_conflict(
        transaction,
        doctor_id=appointment.doctor_id,
        patient_id=appointment.patient_id,
        visit=accepted.visit,
        busy=accepted.busy,
        now=now,
    ):
        raise DomainError(refusal)
