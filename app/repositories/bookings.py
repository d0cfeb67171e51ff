"""Write and read the busy time of doctors and patients.

The exclusion constraints of the table decide whether time is free (docs/booking.md). A hold is an appointment under
the same constraints; it differs only in that it expires.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Uuid,
    and_,
    bindparam,
    case,
    delete,
    exists,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.exc import IntegrityError

from app.core.errors import DomainError
from app.db.base import table_of
from app.db.database import Transaction
from app.db.guards import insert_or_ignore, violated_guard
from app.db.locks import lock_ids
from app.db.parameters import id_params, id_values
from app.db.prepared import Prepared
from app.models import Appointment, Doctor
from app.repositories.appointments import AppointmentRecord, change_appointment
from app.scheduling.decisions import MAX_BUFFER, MAX_VISIT, Refusal
from app.scheduling.intervals import Interval, from_instant, to_instant
from app.scheduling.status import AppointmentStatus
from app.scheduling.visits import BusyPeriod

_MAX_BUFFER = timedelta(microseconds=MAX_BUFFER)
_MAX_BUSY = timedelta(microseconds=MAX_BUFFER + MAX_VISIT + MAX_BUFFER)
_OCCUPIES_TIME = and_(*(Appointment.status != status for status in AppointmentStatus if not status.occupies_time))
MAX_HOLD = timedelta(minutes=10)
"""If a hold expires later than this, it was created while the clock was ahead, and counts as expired."""
# A literal, as in the partial index of holds: with a parameter, the planner could not use that index.
IS_HOLD: ColumnElement[bool] = literal_column("status = 'pending'")

_GUARDS = {
    "appointments_doctor_busy": Refusal.SLOT_TAKEN,
    "appointments_patient_busy": Refusal.PATIENT_BUSY,
}


_DOCTORS, _APPOINTMENTS = table_of(Doctor), table_of(Appointment)
# The row to insert is selected from the doctor's row: there is none if the schedule version has changed, so a booking
# that was checked against outdated rules inserts nothing (ADR 0003).
_INSERTED = select(
    _DOCTORS.c.id.label("doctor_id"),
    _DOCTORS.c.time_zone.label("agreed_time_zone"),
    *(
        bindparam(name, type_=_APPOINTMENTS.c[name].type).label(name)
        for name in (
            "id",
            "patient_id",
            "start_time",
            "end_time",
            "busy_start",
            "busy_end",
            "status",
            "reason",
            "visit_type_id",
            "created_at",
            "booked_by",
            "expires_at",
            "agreed_local_start",
        )
    ),
).where(_DOCTORS.c.id == bindparam("doctor"), _DOCTORS.c.schedule_version == bindparam("checked_version"))


async def insert_if_free(
    transaction: Transaction,
    appointment: AppointmentRecord,
    *,
    version: int,
    expires_at: datetime | None = None,
) -> bool:
    """Insert an appointment, or a hold until ``expires_at``, if both sides are free and the rules have ``version``.

    Returns whether it was inserted. The constraints decide within one statement, so of any number of concurrent
    attempts at most one succeeds.
    """
    values = {
        "id": appointment.id,
        "doctor": appointment.doctor.id,
        "checked_version": version,
        "patient_id": appointment.patient.id,
        "start_time": appointment.start_time,
        "end_time": appointment.end_time,
        "busy_start": appointment.busy_start,
        "busy_end": appointment.busy_end,
        "status": appointment.status,
        "reason": appointment.reason,
        "visit_type_id": appointment.visit_type_id,
        "created_at": appointment.created_at,
        "booked_by": appointment.booked_by,
        "expires_at": expires_at,
        "agreed_local_start": appointment.agreed_local_start,
    }
    return await insert_or_ignore(transaction, Appointment, values, _INSERTED)


async def move_if_free(
    transaction: Transaction,
    before: AppointmentRecord,
    after: AppointmentRecord,
    *,
    version: int | None,
    by: UUID,
    at: datetime,
) -> bool:
    """Move an appointment. Returns ``False`` if the doctor's rules no longer have ``version`` (if given).

    Raises ``slot_taken`` or ``patient_busy`` if the time is not free. The transaction cannot be continued then, so the
    appointment keeps its old time. Both calendars must be locked: unlike an INSERT, an UPDATE has no ``ON CONFLICT DO
    NOTHING``.
    """
    unchanged = None
    if version is not None:
        # Compared by the UPDATE itself, as by the INSERT (ADR 0003).
        unchanged = exists().where(Doctor.id == before.doctor_id, Doctor.schedule_version == version)
    return await _change_if_free(
        transaction,
        before,
        by=by,
        at=at,
        only_if=unchanged,
        start_time=after.start_time,
        end_time=after.end_time,
        busy_start=after.busy_start,
        busy_end=after.busy_end,
        visit_type_id=after.visit_type_id,
        agreed_local_start=after.agreed_local_start,
        agreed_time_zone=after.agreed_time_zone,
        status=after.status,
    )


async def restore_if_free(
    transaction: Transaction, before: AppointmentRecord, *, status: AppointmentStatus, by: UUID, at: datetime
) -> None:
    """Set an appointment back to an earlier status in which it occupies its time.

    Raises ``slot_taken`` or ``patient_busy`` if the time is not free. Both calendars must be locked (see
    ``move_if_free``).
    """
    await _change_if_free(
        transaction, before, by=by, at=at, status=status, cancelled_at=None, cancelled_by=None, cancel_reason=None
    )


async def _change_if_free(transaction: Transaction, before: AppointmentRecord, **changes: Any) -> bool:
    try:
        return await change_appointment(transaction, before, **changes)
    except IntegrityError as error:
        if refusal := _GUARDS.get(violated_guard(error) or ""):
            raise DomainError(refusal) from error
        raise


async def find_conflict(
    transaction: Transaction,
    *,
    doctor_id: UUID,
    patient_id: UUID,
    family: Collection[UUID] = (),
    visit: Interval,
    busy: Interval,
    now: datetime,
) -> Refusal | None:
    """Return which constraint a visit would violate, or ``None``; the doctor's comes first.

    Expired holds do not count, nor do those of the patient and of ``family``.
    """
    doctors = set(
        await transaction.scalars(
            select(Appointment.doctor_id).where(
                _OCCUPIES_TIME,
                _is_in_the_way(now, {patient_id, *family}),
                or_(
                    and_(Appointment.doctor_id == doctor_id, _is_busy_in(busy)),
                    and_(Appointment.patient_id == patient_id, _takes_place_in(visit)),
                ),
            )
        )
    )
    if doctor_id in doctors:
        return Refusal.SLOT_TAKEN
    return Refusal.PATIENT_BUSY if doctors else None


def _time(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=Appointment.start_time.type)


def _around(span: Interval) -> dict[str, datetime]:
    first, last = map(from_instant, span)
    return {"first": first, "last": last, "earliest": first - _MAX_BUSY, "latest": last + _MAX_BUFFER}


_BUSY_PERIODS = select(
    Appointment.busy_start, Appointment.busy_end, Appointment.start_time, Appointment.visit_type_id
).where(
    _OCCUPIES_TIME,
    Appointment.busy_end > _time("first"),
    Appointment.busy_start < _time("last"),
    # For the index, as in _is_busy_in.
    Appointment.start_time > _time("earliest"),
    Appointment.start_time < _time("latest"),
    not_(and_(IS_HOLD, or_(Appointment.expires_at <= _time("now"), Appointment.expires_at > _time("beyond")))),
)
_BUSY = Prepared(
    _BUSY_PERIODS.where(
        Appointment.doctor_id == bindparam("doctor_id"),
        # NULL-safe: with `=` and `!=`, a missing `viewer` or `without` would make the condition NULL and drop rows.
        not_(and_(IS_HOLD, Appointment.patient_id.is_not_distinct_from(bindparam("viewer", type_=Uuid())))),
        Appointment.id.is_distinct_from(bindparam("without", type_=Uuid())),
    )
)
_BUSY_OF = _BUSY_PERIODS.add_columns(Appointment.doctor_id, case((IS_HOLD, Appointment.patient_id)))


async def list_busy(
    transaction: Transaction,
    doctor_id: UUID,
    span: Interval,
    now: datetime,
    *,
    viewer: UUID | None = None,
    without: UUID | None = None,
) -> Sequence[BusyPeriod]:
    """Return the doctor's busy periods that overlap ``span``.

    Expired holds and the holds of ``viewer`` are left out, and so is the appointment with the id ``without``, for
    example because it is to be moved.
    """
    return list(await fetch_busy(transaction, doctor_id, span, now, viewer=viewer, without=without))


async def fetch_busy(
    transaction: Transaction,
    doctor_id: UUID,
    span: Interval,
    now: datetime,
    *,
    viewer: UUID | None = None,
    without: UUID | None = None,
) -> Iterator[BusyPeriod]:
    """Return the busy periods of ``list_busy`` as an iterator that converts each row when it is consumed.

    All rows have been fetched, so the connection is not needed any more.
    """
    conditions = {"doctor_id": doctor_id, "viewer": viewer, "without": without}
    values = {"now": now, "beyond": now + MAX_HOLD, **_around(span), **conditions}
    return (
        BusyPeriod(to_instant(busy_start), to_instant(busy_end), to_instant(start), visit_type_id)
        for busy_start, busy_end, start, visit_type_id in await transaction.fetch_lazily(_BUSY, values)
    )


async def fetch_busy_of(
    transaction: Transaction, doctor_ids: Collection[UUID], span: Interval, now: datetime
) -> Iterator[tuple[UUID, BusyPeriod, UUID | None]]:
    """Return the busy periods of doctors that overlap ``span``, except expired holds, as ``fetch_busy`` does.

    Each item is the doctor's id, the busy period, and the patient's id if it is a hold.
    """
    ids = id_values(doctor_ids)
    values = {"now": now, "beyond": now + MAX_HOLD, **_around(span), **ids}
    return (
        (doctor_id, BusyPeriod(to_instant(busy_start), to_instant(busy_end), to_instant(start), visit_type_id), holder)
        for busy_start, busy_end, start, visit_type_id, doctor_id, holder in await transaction.fetch_lazily(
            _busy_of(len(ids)), values
        )
    )


@cache
def _busy_of(count: int) -> Prepared:
    return Prepared(_BUSY_OF.where(Appointment.doctor_id.in_(id_params(count))))


async def lock_calendars(transaction: Transaction, doctor_id: UUID, *patient_ids: UUID) -> None:
    """Lock the calendars of a doctor and of patients until the transaction ends.

    Needed where rows must be read before they are written, or time is released before other time is occupied: moving,
    holding, daily limits. The doctors with whom the patients have holds are locked as well, because those holds may be
    released. A booking of free time needs no lock.
    """
    held_with = await transaction.scalars(
        select(Appointment.doctor_id).where(IS_HOLD, Appointment.patient_id.in_(patient_ids))
    )
    await lock_ids(transaction, doctor_id, *patient_ids, *held_with)


async def release_holds(
    transaction: Transaction,
    *,
    doctor_id: UUID,
    patient_id: UUID,
    family: Collection[UUID] = (),
    now: datetime,
    against: tuple[Interval, Interval] | None,
) -> bool:
    """Delete the doctor's expired holds, and those of the patient and the family; return whether there were any.

    If ``against``, a visit and its busy time, is given, only the holds that are in its way are deleted. The calendars
    must be locked: two transactions that release time and occupy each other's could deadlock.
    """
    own: ColumnElement[bool] = Appointment.patient_id.in_({patient_id, *family})
    if against is not None:
        visit, busy = against
        own = or_(
            and_(Appointment.patient_id == patient_id, _takes_place_in(visit)),
            and_(own, Appointment.doctor_id == doctor_id, _is_busy_in(busy)),
        )
    deleted = await transaction.scalars(
        delete(Appointment)
        .where(IS_HOLD, or_(own, and_(Appointment.doctor_id == doctor_id, _is_expired(now))))
        .returning(Appointment.id)
    )
    return bool(deleted.all())


def _is_in_the_way(now: datetime, patient_ids: Collection[UUID]) -> ColumnElement[bool]:
    """Match everything except expired holds and holds of these patients."""
    return not_(and_(IS_HOLD, or_(_is_expired(now), Appointment.patient_id.in_(patient_ids))))


def _is_expired(now: datetime) -> ColumnElement[bool]:
    """Match expired holds. A hold that expires too late was created by a clock that was ahead (see ``MAX_HOLD``)."""
    return or_(Appointment.expires_at <= now, Appointment.expires_at > now + MAX_HOLD)


def _is_busy_in(span: Interval) -> ColumnElement[bool]:
    first, last = map(from_instant, span)
    return and_(
        Appointment.busy_end > first,
        Appointment.busy_start < last,
        # These conditions follow from the others. They let the index skip the past and the future.
        Appointment.start_time > first - _MAX_BUSY,
        Appointment.start_time < last + _MAX_BUFFER,
    )


def _takes_place_in(span: Interval) -> ColumnElement[bool]:
    first, last = map(from_instant, span)
    return and_(Appointment.end_time > first, Appointment.start_time < last, Appointment.start_time > first - _MAX_BUSY)
