"""Appointments. Who asks sees her own, and nothing else."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.core.errors import DomainError
from app.core.permissions import Actor, Role
from app.db.guards import insert_unless_taken
from app.models import Appointment, Doctor, User
from app.scheduling.decisions import LONGEST_VISIT, Refusal
from app.scheduling.intervals import Interval, from_instant, to_instant
from app.scheduling.status import AppointmentStatus

_LONGEST_VISIT = timedelta(microseconds=LONGEST_VISIT)
_OCCUPIES_TIME = Appointment.status.not_in([status for status in AppointmentStatus if not status.occupies_time])


@dataclass(frozen=True, slots=True)
class Party:
    """One side of an appointment."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class AppointmentRecord:
    """An appointment as both sides see it."""

    id: UUID
    doctor: Party
    patient: Party
    start_time: datetime
    end_time: datetime
    time_zone: str
    status: AppointmentStatus
    reason: str | None
    created_at: datetime
    cancelled_at: datetime | None = None
    cancelled_by: UUID | None = None

    @property
    def doctor_id(self) -> UUID:
        """Whose calendar it stands in."""
        return self.doctor.id

    @property
    def patient_id(self) -> UUID:
        """Whose visit it is."""
        return self.patient.id


async def insert_if_free(
    session: AsyncSession, appointment: AppointmentRecord, *, busy: Interval, version: int
) -> bool:
    """Books, if both sides are free and the doctor's rules still have ``version``; one statement.

    The constraints of the table decide, so of any number who try at once exactly one is told ``True``.
    """
    row = select(
        literal(appointment.id, Appointment.id.type).label("id"),
        Doctor.id.label("doctor_id"),
        literal(appointment.patient.id, Appointment.patient_id.type).label("patient_id"),
        literal(appointment.start_time, Appointment.start_time.type).label("start_time"),
        literal(appointment.end_time, Appointment.end_time.type).label("end_time"),
        literal(from_instant(busy[0]), Appointment.busy_start.type).label("busy_start"),
        literal(from_instant(busy[1]), Appointment.busy_end.type).label("busy_end"),
        literal(appointment.status, Appointment.status.type).label("status"),
        literal(appointment.reason, Appointment.reason.type).label("reason"),
        literal(appointment.created_at, Appointment.created_at.type).label("created_at"),
    ).where(Doctor.id == appointment.doctor.id, Doctor.schedule_version == version)
    return await insert_unless_taken(session, Appointment, row)


async def find_conflict(
    session: AsyncSession, *, doctor_id: UUID, patient_id: UUID, visit: Interval, busy: Interval
) -> Refusal | None:
    """Which guard stands against a visit, if any does; the doctor's comes first."""
    start, end = map(from_instant, visit)
    busy_start, busy_end = map(from_instant, busy)
    # Says nothing new, but lets the index skip the past.
    not_long_ago = Appointment.start_time > busy_start - 2 * _LONGEST_VISIT
    doctors = await session.scalars(
        select(Appointment.doctor_id).where(
            _OCCUPIES_TIME,
            not_long_ago,
            or_(
                and_(
                    Appointment.doctor_id == doctor_id,
                    Appointment.busy_end > busy_start,
                    Appointment.busy_start < busy_end,
                ),
                and_(
                    Appointment.patient_id == patient_id,
                    Appointment.end_time > start,
                    Appointment.start_time < end,
                ),
            ),
        )
    )
    found = set(doctors)
    if doctor_id in found:
        return Refusal.SLOT_TAKEN
    return Refusal.PATIENT_BUSY if found else None


async def list_busy(session: AsyncSession, doctor_id: UUID, span: Interval) -> Sequence[Interval]:
    """The doctor's time that is taken inside ``span``."""
    first, last = map(from_instant, span)
    rows = await session.execute(
        select(Appointment.busy_start, Appointment.busy_end).where(
            Appointment.doctor_id == doctor_id,
            _OCCUPIES_TIME,
            Appointment.busy_end > first,
            Appointment.busy_start < last,
            # Says nothing new, but lets the index skip the past.
            Appointment.start_time > first - 2 * _LONGEST_VISIT,
        )
    )
    return [(to_instant(start), to_instant(end)) for start, end in rows]


_DOCTOR = aliased(User, name="doctor")
_PATIENT = aliased(User, name="patient")
_RECORD = (
    select(
        Appointment.id,
        _DOCTOR.id.label("doctor_id"),
        _DOCTOR.name.label("doctor_name"),
        _PATIENT.id.label("patient_id"),
        _PATIENT.name.label("patient_name"),
        Appointment.start_time,
        Appointment.end_time,
        Doctor.time_zone,
        Appointment.status,
        Appointment.reason,
        Appointment.created_at,
        Appointment.cancelled_at,
        Appointment.cancelled_by,
    )
    .join(Doctor, Doctor.id == Appointment.doctor_id)
    .join(_DOCTOR, _DOCTOR.id == Appointment.doctor_id)
    .join(_PATIENT, _PATIENT.id == Appointment.patient_id)
)


def _record(row: Sequence[Any]) -> AppointmentRecord:
    appointment_id, doctor_id, doctor_name, patient_id, patient_name, *rest = row
    return AppointmentRecord(appointment_id, Party(doctor_id, doctor_name), Party(patient_id, patient_name), *rest)


def _own(actor: Actor) -> ColumnElement[bool]:
    match actor.role:
        case Role.DOCTOR:
            return Appointment.doctor_id == actor.id
        case Role.PATIENT:
            return Appointment.patient_id == actor.id
        case Role.ADMIN:
            return false()


async def get_appointment(
    session: AsyncSession, actor: Actor, appointment_id: UUID, *, for_update: bool = False
) -> AppointmentRecord:
    """One of the actor's own appointments; ``not_found`` if it is not hers or not there."""
    found = _RECORD.where(Appointment.id == appointment_id, _own(actor))
    if for_update:
        found = found.with_for_update(of=Appointment)
    row = (await session.execute(found)).one_or_none()
    if row is None:
        raise DomainError("not_found")
    return _record(row)


async def update_cancelled(session: AsyncSession, appointment_id: UUID, *, by: UUID, at: datetime) -> None:
    """Marks a booked appointment as cancelled; its time is free from the commit on."""
    await session.execute(
        update(Appointment)
        .where(Appointment.id == appointment_id)
        .values(status=AppointmentStatus.CANCELLED, cancelled_at=at, cancelled_by=by)
    )


class PageKey(NamedTuple):
    """Where an appointment stands in a list that was first asked for at ``as_of``."""

    as_of: datetime
    over: bool
    start_time: datetime
    id: UUID


def page_key(appointment: AppointmentRecord, as_of: datetime) -> PageKey:
    """Where an appointment stands in the list as it was at ``as_of``."""
    return PageKey(as_of, appointment.end_time <= as_of, appointment.start_time, appointment.id)


async def page_appointments(
    session: AsyncSession,
    actor: Actor,
    *,
    as_of: datetime,
    since: datetime | None,
    until: datetime | None,
    statuses: Collection[AppointmentStatus],
    after: PageKey | None,
    limit: int,
) -> Sequence[AppointmentRecord]:
    """The actor's own appointments that touch ``[since, until)``.

    First those that are not over at ``as_of``, the next one first; then those that are, the last one first.
    """
    own = _RECORD.where(_own(actor))
    if since is not None:
        own = own.where(Appointment.end_time > since, Appointment.start_time > since - _LONGEST_VISIT)
    if until is not None:
        own = own.where(Appointment.start_time < until)
    if statuses:
        own = own.where(Appointment.status.in_(statuses))
    place = tuple_(Appointment.start_time, Appointment.id)

    found: list[AppointmentRecord] = []
    if after is None or not after.over:
        # The second bound says nothing new, but lets the index skip the past.
        coming = own.where(Appointment.end_time > as_of, Appointment.start_time > as_of - _LONGEST_VISIT)
        if after is not None:
            coming = coming.where(place > (after.start_time, after.id))
        coming = coming.order_by(Appointment.start_time, Appointment.id).limit(limit)
        found += map(_record, await session.execute(coming))
    if len(found) < limit:
        over = own.where(Appointment.end_time <= as_of)
        if after is not None and after.over:
            over = over.where(place < (after.start_time, after.id))
        over = over.order_by(Appointment.start_time.desc(), Appointment.id.desc()).limit(limit - len(found))
        found += map(_record, await session.execute(over))
    return found
