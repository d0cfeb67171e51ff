"""The guarded calendar: whatever takes a doctor's and a patient's time goes through here.

The constraints of the table decide (docs/booking.md). A hold is a row like any other under the same guard; the only
thing that sets it apart is that it ends by itself.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
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
    type_coerce,
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
# Spelt as in the index of the holds, which a parameter would hide from.
MAX_HOLD = timedelta(minutes=10)
"""No hold lasts longer, even if the clocks of two servers differ."""
_IS_HOLD: ColumnElement[bool] = literal_column("status = 'pending'")

_GUARDS = {
    "appointments_doctor_busy": Refusal.SLOT_TAKEN,
    "appointments_patient_busy": Refusal.PATIENT_BUSY,
}


_DOCTORS, _APPOINTMENTS = table_of(Doctor), table_of(Appointment)
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
    """Books, or holds until ``expires_at``, if both sides are free and the rules still have ``version``; one statement.

    The constraints of the table decide, so of any number who try at once exactly one is told ``True``.
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
    """Moves an appointment, if the doctor's rules still have ``version`` (where it is given); says whether they had.

    ``slot_taken`` or ``patient_busy`` if the time is not free; then the transaction is of no more use, and the old
    time is still held. An UPDATE cannot give way as an INSERT can, so both calendars must be locked.
    """
    unchanged = None
    if version is not None:
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
    """Gives an appointment an earlier status, in which it takes its time again.

    ``slot_taken`` or ``patient_busy`` if the time is not free; both calendars must be locked (see ``move_if_free``).
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
    transaction: Transaction, *, doctor_id: UUID, patient_id: UUID, visit: Interval, busy: Interval, now: datetime
) -> Refusal | None:
    """Which guard stands against a visit, if any does; the doctor's comes first. Holds that give way do not count."""
    doctors = await transaction.scalars(
        select(Appointment.doctor_id).where(
            _OCCUPIES_TIME,
            _stands(now, patient_id),
            or_(
                and_(Appointment.doctor_id == doctor_id, _is_busy_in(busy)),
                and_(Appointment.patient_id == patient_id, _takes_place_in(visit)),
            ),
        )
    )
    found = set(doctors)
    if doctor_id in found:
        return Refusal.SLOT_TAKEN
    return Refusal.PATIENT_BUSY if found else None


def _time(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=Appointment.start_time.type)


def _around(span: Interval) -> dict[str, datetime]:
    first, last = map(from_instant, span)
    return {"first": first, "last": last, "earliest": first - _MAX_BUSY, "latest": last + _MAX_BUFFER}


_TAKES = select(Appointment.busy_start, Appointment.busy_end, Appointment.start_time, Appointment.visit_type_id).where(
    _OCCUPIES_TIME,
    Appointment.busy_end > _time("first"),
    Appointment.busy_start < _time("last"),
    # As in _is_busy_in.
    Appointment.start_time > _time("earliest"),
    Appointment.start_time < _time("latest"),
    not_(and_(_IS_HOLD, or_(Appointment.expires_at <= _time("now"), Appointment.expires_at > _time("beyond")))),
)
_BUSY = Prepared(
    _TAKES.where(
        Appointment.doctor_id == bindparam("doctor_id"),
        not_(and_(_IS_HOLD, Appointment.patient_id.is_not_distinct_from(bindparam("viewer", type_=Uuid())))),
        Appointment.id.is_distinct_from(bindparam("without", type_=Uuid())),
    )
)
_BUSY_OF = _TAKES.add_columns(Appointment.doctor_id, case((_IS_HOLD, Appointment.patient_id)))


async def list_busy(
    transaction: Transaction,
    doctor_id: UUID,
    span: Interval,
    now: datetime,
    *,
    viewer: UUID | None = None,
    without: UUID | None = None,
) -> Sequence[BusyPeriod]:
    """What takes the doctor's time inside ``span``.

    Leaves out holds that are over, the ``viewer``'s own holds, which are not in her own way, and the appointment that
    is to be moved.
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
    """What ``list_busy`` lists; the rows have been fetched, and each is converted when it is asked for."""
    whose = {"doctor_id": doctor_id, "viewer": viewer, "without": without}
    asked = {"now": now, "beyond": now + MAX_HOLD, **_around(span), **whose}
    return (
        BusyPeriod(to_instant(busy_start), to_instant(busy_end), to_instant(start), visit_type_id)
        for busy_start, busy_end, start, visit_type_id in await transaction.fetch_lazily(_BUSY, asked)
    )


async def fetch_busy_of(
    transaction: Transaction, doctor_ids: Collection[UUID], span: Interval, now: datetime
) -> Iterator[tuple[UUID, BusyPeriod, UUID | None]]:
    """What takes these doctors' time inside ``span``: the doctor, and whose hold it is if it is one; none that is over.

    The rows have been fetched, and each is converted when it is asked for.
    """
    whose = id_values(doctor_ids)
    asked = {"now": now, "beyond": now + MAX_HOLD, **_around(span), **whose}
    return (
        (doctor_id, BusyPeriod(to_instant(busy_start), to_instant(busy_end), to_instant(start), visit_type_id), holder)
        for busy_start, busy_end, start, visit_type_id, doctor_id, holder in await transaction.fetch_lazily(
            _busy_of(len(whose)), asked
        )
    )


@cache
def _busy_of(count: int) -> Prepared:
    return Prepared(_BUSY_OF.where(Appointment.doctor_id.in_(id_params(count))))


async def lock_calendars(transaction: Transaction, doctor_id: UUID, *patient_ids: UUID) -> None:
    """Keeps everybody else who does the same off these calendars, until the transaction ends.

    For those who must look before they write, or give up time before they take other time: moving, holding, limits
    for a day. What the patient holds with other doctors may be given up, too, so their calendars are locked with it.
    A booking that finds its time free needs no lock.
    """
    held_with = await transaction.scalars(
        select(Appointment.doctor_id).where(_IS_HOLD, Appointment.patient_id.in_(patient_ids))
    )
    await lock_ids(transaction, doctor_id, *patient_ids, *held_with)


async def release_holds(
    transaction: Transaction,
    *,
    doctor_id: UUID,
    patient_id: UUID,
    now: datetime,
    against: tuple[Interval, Interval] | None,
) -> bool:
    """Ends the doctor's holds that are over, and the patient's own; says whether there were any.

    Only those of her own that stand ``against`` a visit, given as what it takes of her time and of the doctor's, or
    all of them. Both calendars must be locked: whoever gives up time and takes other time could otherwise wait for
    somebody who does so the other way round.
    """
    own = Appointment.patient_id == patient_id
    if against is not None:
        visit, busy = against
        own = and_(own, or_(_takes_place_in(visit), and_(Appointment.doctor_id == doctor_id, _is_busy_in(busy))))
    ended = await transaction.scalars(
        delete(Appointment)
        .where(_IS_HOLD, or_(own, and_(Appointment.doctor_id == doctor_id, _is_over(now))))
        .returning(Appointment.id)
    )
    return bool(ended.all())


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """Time that is kept for a patient until ``expires_at``."""

    id: UUID
    doctor_id: UUID
    visit_type_id: UUID | None
    start_time: datetime
    end_time: datetime
    busy_start: datetime
    busy_end: datetime
    created_at: datetime
    expires_at: datetime


async def find_hold(transaction: Transaction, hold_id: UUID, patient_id: UUID) -> HoldRecord | None:
    """One of a patient's holds, whether or not it is over; there may be none any more."""
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
                type_coerce(Appointment.expires_at, Appointment.created_at.type),
            ).where(Appointment.id == hold_id, Appointment.patient_id == patient_id, _IS_HOLD)
        )
    ).one_or_none()
    return HoldRecord(*row) if row else None


async def delete_hold(transaction: Transaction, hold_id: UUID, patient_id: UUID) -> bool:
    """Ends one of a patient's holds; says whether there was one."""
    ended = await transaction.scalar(
        delete(Appointment)
        .where(Appointment.id == hold_id, Appointment.patient_id == patient_id, _IS_HOLD)
        .returning(Appointment.id)
    )
    return ended is not None


def _stands(now: datetime, viewer: UUID | None) -> ColumnElement[bool]:
    """Whether it is in the way of this patient: holds are not, when they are over or her own."""
    return not_(and_(_IS_HOLD, or_(_is_over(now), Appointment.patient_id == viewer)))


def _is_over(now: datetime) -> ColumnElement[bool]:
    """Whether a hold is over; one that would last too long was made by a clock that was ahead."""
    return or_(Appointment.expires_at <= now, Appointment.expires_at > now + MAX_HOLD)


def _is_busy_in(span: Interval) -> ColumnElement[bool]:
    first, last = map(from_instant, span)
    return and_(
        Appointment.busy_end > first,
        Appointment.busy_start < last,
        # Says nothing new, but lets the index skip the past and the future.
        Appointment.start_time > first - _MAX_BUSY,
        Appointment.start_time < last + _MAX_BUFFER,
    )


def _takes_place_in(span: Interval) -> ColumnElement[bool]:
    first, last = map(from_instant, span)
    return and_(Appointment.end_time > first, Appointment.start_time < last, Appointment.start_time > first - _MAX_BUSY)
