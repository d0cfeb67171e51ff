"""Appointments. Every query for a reader is scoped to the visits that they may see."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, exists, false, func, insert, or_, select, tuple_, update
from sqlalchemy.orm import aliased

from app.core.errors import DomainError
from app.core.permissions import Scope
from app.core.time_zones import get_zone
from app.db.database import Transaction
from app.db.records import read_record
from app.models import Appointment, AppointmentVersion, Doctor, Patient, User, VisitType
from app.repositories.doctors import is_listed
from app.repositories.guardians import list_dependant_ids
from app.repositories.search_bounds import lower_bounds
from app.scheduling.decisions import MAX_VISIT
from app.scheduling.intervals import Interval, to_instant
from app.scheduling.status import ACTIVE, AppointmentStatus
from app.scheduling.visits import VisitMode

_MAX_VISIT = timedelta(microseconds=MAX_VISIT)
MAX_IDS = 500
"""Ids in one ``IN``."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The id and the name of a related record."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class AppointmentRecord:
    """An appointment as the doctor and the patient see it."""

    id: UUID
    doctor: Reference
    patient: Reference
    visit_type: Reference | None
    start_time: datetime
    end_time: datetime
    busy_start: datetime
    busy_end: datetime
    time_zone: str
    status: AppointmentStatus
    reason: str | None
    created_at: datetime
    booked_by: UUID
    cancelled_at: datetime | None = None
    cancelled_by: UUID | None = None
    cancel_reason: str | None = None
    version: int = 1
    changed_at: datetime | None = None
    changed_by: UUID | None = None
    cancel_cutoff_minutes: int = 0
    """How long before the start a patient can still cancel or move it; set by the doctor."""
    visit_mode: VisitMode | None = None
    """The mode of its visit type, if it has one."""
    doctor_is_listed: bool = True
    """Whether the doctor can be booked: approved, and neither suspended nor erased."""
    agreed_local_start: datetime | None = None
    agreed_time_zone: str | None = None
    """The wall time of the start, and its zone, when the time was agreed (ADR 0040)."""

    @property
    def zone(self) -> ZoneInfo:
        """The doctor's time zone. Raises ``unknown_time_zone`` if the time-zone data do not contain it."""
        return get_zone(self.doctor.id, self.time_zone)

    @property
    def doctor_id(self) -> UUID:
        """The id of the doctor."""
        return self.doctor.id

    @property
    def patient_id(self) -> UUID:
        """The id of the patient."""
        return self.patient.id

    @property
    def visit_type_id(self) -> UUID | None:
        """The id of its visit type, if the doctor has visit types."""
        return self.visit_type.id if self.visit_type else None

    def is_over(self, now: datetime) -> bool:
        """Return whether its end has passed, regardless of its status."""
        return self.end_time <= now


_DOCTOR = aliased(User, name="doctor")
_RECORD = (
    select(
        Appointment.id,
        _DOCTOR.id.label("doctor_id"),
        _DOCTOR.name.label("doctor_name"),
        Patient.id.label("patient_id"),
        Patient.name.label("patient_name"),
        VisitType.id.label("visit_type_id"),
        VisitType.name.label("visit_type_name"),
        Appointment.start_time,
        Appointment.end_time,
        Appointment.busy_start,
        Appointment.busy_end,
        Doctor.time_zone,
        Appointment.status,
        Appointment.reason,
        Appointment.created_at,
        func.coalesce(Appointment.booked_by, Appointment.patient_id).label("booked_by"),
        Appointment.cancelled_at,
        Appointment.cancelled_by,
        Appointment.cancel_reason,
        Appointment.version,
        Appointment.changed_at,
        Appointment.changed_by,
        Doctor.cancel_cutoff_minutes,
        VisitType.mode.label("visit_mode"),
        is_listed(_DOCTOR).label("doctor_is_listed"),
        Appointment.agreed_local_start,
        Appointment.agreed_time_zone,
    )
    .join(Doctor, Doctor.id == Appointment.doctor_id)
    .join(_DOCTOR, _DOCTOR.id == Appointment.doctor_id)
    .join(Patient, Patient.id == Appointment.patient_id)
    .outerjoin(VisitType, VisitType.id == Appointment.visit_type_id)
    # No reader sees a hold as an appointment (ADR 0009).
    .where(Appointment.status != AppointmentStatus.PENDING)
)


def _record(row: Any) -> AppointmentRecord:
    return read_record(
        AppointmentRecord,
        row,
        doctor=Reference(row.doctor_id, row.doctor_name),
        patient=Reference(row.patient_id, row.patient_name),
        visit_type=Reference(row.visit_type_id, row.visit_type_name) if row.visit_type_id else None,
    )


def _within(scope: Scope) -> ColumnElement[bool]:
    """Match the visits of a scope: none if it is empty."""
    conditions = []
    if scope.doctor_id:
        conditions.append(Appointment.doctor_id == scope.doctor_id)
    if scope.patient_id:
        conditions.append(Appointment.patient_id == scope.patient_id)
    if scope.dependants:
        conditions.append(Appointment.patient_id.in_(list_dependant_ids(scope.dependants)))
    return or_(false(), *conditions)


async def get_appointment(
    transaction: Transaction, scope: Scope, appointment_id: UUID, *, for_update: bool = False
) -> AppointmentRecord:
    """Return an appointment. Raises ``not_found`` if it does not exist or is outside of the scope."""
    found = _RECORD.where(Appointment.id == appointment_id, _within(scope))
    if for_update:
        # Not the joined rows: others may change them, and PostgreSQL cannot lock the nullable side of an outer join.
        found = found.with_for_update(of=Appointment)
    row = (await transaction.execute(found)).one_or_none()
    if row is None:
        raise DomainError("not_found")
    return _record(row)


async def change_appointment(
    transaction: Transaction,
    before: AppointmentRecord,
    *,
    by: UUID,
    at: datetime,
    only_if: ColumnElement[bool] | None = None,
    **values: Any,
) -> bool:
    """Change an appointment, and store how it was ``before`` as a version.

    Returns whether it was changed: nothing happens if it no longer has the version that was read, or if ``only_if`` is
    false. Lowers the lower bounds of the search index if time becomes free.
    """
    unchanged = and_(Appointment.id == before.id, Appointment.version == before.version)
    condition = unchanged if only_if is None else and_(unchanged, only_if)
    values |= {"version": before.version + 1, "changed_at": at, "changed_by": by}
    if not await _update_appointments(transaction, [condition], values, [(before.doctor_id, before.start_time)]):
        return False
    await transaction.execute(
        insert(AppointmentVersion).values(
            appointment_id=before.id,
            version=before.version,
            status=before.status,
            start_time=before.start_time,
            end_time=before.end_time,
            visit_type_id=before.visit_type_id,
            changed_at=before.changed_at or before.created_at,
            changed_by=before.changed_by or before.booked_by,
        )
    )
    return True


async def _update_appointments(
    transaction: Transaction,
    conditions: Iterable[ColumnElement[bool]],
    values: Mapping[str, Any],
    occupied: Collection[tuple[UUID, datetime]],
) -> bool:
    """Update the appointments that fulfil one of ``conditions``; return whether there are any.

    ``occupied`` is the doctor and the start of each appointment before the change. If the change frees that time, the
    lower bounds of the search index are lowered. So that this is never forgotten, no other function updates the time
    or the status of appointments (``tests/repositories/test_freed_time.py``).
    """
    is_updated = False
    for condition in conditions:
        statement = update(Appointment).where(condition).values(values).returning(Appointment.id)
        is_updated = bool((await transaction.scalars(statement)).all()) or is_updated
    if is_updated and ("start_time" in values or not values["status"].occupies_time):
        # The earliest start for all of them: a bound that is too early costs time, but hides no slot (ADR 0022).
        await lower_bounds(transaction, {doctor_id for doctor_id, _ in occupied}, min(start for _, start in occupied))
    return is_updated


async def list_upcoming(
    transaction: Transaction, doctor_id: UUID, *, since: datetime, until: datetime | None = None
) -> Sequence[tuple[UUID, Interval]]:
    """Return the id and the time of a doctor's active appointments that overlap ``[since, until)``, by start."""
    found = select(Appointment.id, Appointment.start_time, Appointment.end_time).where(
        Appointment.doctor_id == doctor_id,
        Appointment.status.in_(ACTIVE),
        Appointment.end_time > since,
        # For the index: this follows from the condition before it.
        Appointment.start_time > since - _MAX_VISIT,
    )
    if until is not None:
        found = found.where(Appointment.start_time < until)
    rows = await transaction.execute(found.order_by(Appointment.start_time, Appointment.id))
    return [(row.id, (to_instant(row.start_time), to_instant(row.end_time))) for row in rows]


async def has_upcoming(transaction: Transaction, scope: Scope, *, since: datetime) -> bool:
    """Return whether the scope has active appointments that end after ``since``."""
    found = exists().where(_within(scope), Appointment.status.in_(ACTIVE), Appointment.end_time > since)
    return bool(await transaction.scalar(select(found)))


async def list_next(transaction: Transaction, scope: Scope, *, since: datetime) -> Sequence[AppointmentRecord]:
    """Return for each patient of the scope the first active appointment that ends after ``since``, by start."""
    order = Appointment.start_time, Appointment.id
    ranked = (
        select(
            Appointment.id,
            func.row_number().over(partition_by=Appointment.patient_id, order_by=order).label("rank"),
        )
        .where(
            _within(scope),
            Appointment.status.in_(ACTIVE),
            Appointment.end_time > since,
            Appointment.start_time > since - _MAX_VISIT,
        )
        .subquery()
    )
    first = select(ranked.c.id).where(ranked.c.rank == 1)
    rows = await transaction.execute(_RECORD.where(Appointment.id.in_(first)).order_by(*order))
    return [_record(row) for row in rows]


class ChangedAppointment(NamedTuple):
    """An appointment that was changed together with others."""

    id: UUID
    patient_id: UUID


async def change_active(
    transaction: Transaction, scope: Scope, *, since: datetime, by: UUID, at: datetime, **values: Any
) -> Sequence[ChangedAppointment]:
    """Change all active appointments of the scope that start at ``since`` or later, and store a version of each.

    Lowers the lower bounds of the search index if time becomes free.
    """
    active = and_(_within(scope), Appointment.status.in_(ACTIVE), Appointment.start_time >= since)
    # Locked in one order, to avoid deadlocks. Both statements below name the locked ids, so an appointment that is
    # booked meanwhile is in neither of them.
    locked = (
        select(Appointment.id, Appointment.patient_id, Appointment.doctor_id, Appointment.start_time)
        .where(active)
        .order_by(Appointment.id)
    )
    rows = (await transaction.execute(locked.with_for_update())).all()
    batches = [Appointment.id.in_(ids) for ids in batched([row.id for row in rows], MAX_IDS)]
    for batch in batches:
        versions = select(
            Appointment.id,
            Appointment.version,
            Appointment.status,
            Appointment.start_time,
            Appointment.end_time,
            Appointment.visit_type_id,
            func.coalesce(Appointment.changed_at, Appointment.created_at),
            func.coalesce(Appointment.changed_by, Appointment.booked_by, Appointment.patient_id),
        ).where(batch)
        columns = [column.name for column in AppointmentVersion.__table__.columns]
        await transaction.execute(insert(AppointmentVersion).from_select(columns, versions))
    values |= {"version": Appointment.version + 1, "changed_at": at, "changed_by": by}
    await _update_appointments(transaction, batches, values, [(row.doctor_id, row.start_time) for row in rows])
    return [ChangedAppointment(row.id, row.patient_id) for row in rows]


class PageKey(NamedTuple):
    """The cursor of a list whose first page was requested at ``as_of``."""

    as_of: datetime
    over: bool
    start_time: datetime
    id: UUID


def page_key(appointment: AppointmentRecord, as_of: datetime) -> PageKey:
    """Return the cursor after an appointment in the list as it was at ``as_of``."""
    return PageKey(as_of, appointment.is_over(as_of), appointment.start_time, appointment.id)


async def page_appointments(
    transaction: Transaction,
    scope: Scope,
    *,
    as_of: datetime,
    since: datetime | None,
    until: datetime | None,
    statuses: Collection[AppointmentStatus],
    after: PageKey | None,
    limit: int,
    among: Collection[UUID] | None = None,
) -> Sequence[AppointmentRecord]:
    """Return a page of the appointments of the scope that overlap ``[since, until)``, in two parts.

    First those that have not ended at ``as_of``, the next one first; then those that have, the latest one first. If
    ``among`` is given, only appointments with these ids.
    """
    own = _RECORD.where(_within(scope))
    if since is not None:
        own = own.where(Appointment.end_time > since, Appointment.start_time > since - _MAX_VISIT)
    if until is not None:
        own = own.where(Appointment.start_time < until)
    if statuses:
        own = own.where(Appointment.status.in_(statuses))
    if among is not None:
        own = own.where(Appointment.id.in_(among))
    position = tuple_(Appointment.start_time, Appointment.id)

    found: list[AppointmentRecord] = []
    if after is None or not after.over:
        # The second condition follows from the first. It lets the index skip the past.
        upcoming = own.where(Appointment.end_time > as_of, Appointment.start_time > as_of - _MAX_VISIT)
        if after is not None:
            upcoming = upcoming.where(position > (after.start_time, after.id))
        upcoming = upcoming.order_by(Appointment.start_time, Appointment.id).limit(limit)
        found += map(_record, await transaction.execute(upcoming))
    # With a later ``since``, there are none in the second part.
    if len(found) < limit and (since is None or since < as_of):
        over = own.where(Appointment.end_time <= as_of)
        if after is not None and after.over:
            over = over.where(position < (after.start_time, after.id))
        over = over.order_by(Appointment.start_time.desc(), Appointment.id.desc()).limit(limit - len(found))
        found += map(_record, await transaction.execute(over))
    return found
