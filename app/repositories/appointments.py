"""Appointments, as their two sides see them. Who asks sees her own, and nothing else."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, false, func, insert, select, tuple_, update
from sqlalchemy.orm import aliased

from app.core.errors import DomainError
from app.core.permissions import Actor, Role
from app.core.time_zones import get_zone
from app.db.database import Transaction
from app.models import Appointment, AppointmentVersion, Doctor, User, VisitType
from app.repositories.doctors import is_listed
from app.repositories.search_bounds import lower_bounds
from app.scheduling.decisions import MAX_VISIT
from app.scheduling.intervals import Interval, to_instant
from app.scheduling.status import ACTIVE, AppointmentStatus
from app.scheduling.visits import VisitMode

_MAX_VISIT = timedelta(microseconds=MAX_VISIT)


@dataclass(frozen=True, slots=True)
class Reference:
    """Something else, by its id and the name that people know it by."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class AppointmentRecord:
    """An appointment as both sides see it."""

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
    cancelled_at: datetime | None = None
    cancelled_by: UUID | None = None
    cancel_reason: str | None = None
    version: int = 1
    changed_at: datetime | None = None
    changed_by: UUID | None = None
    cancel_cutoff_minutes: int = 0
    """The doctor's: how long before the start a patient can still cancel or move it."""
    visit_mode: VisitMode | None = None
    """That of its visit type, if it has one."""
    doctor_is_listed: bool = True
    """Whether the doctor can be booked: not suspended, not erased, and approved."""
    agreed_local_start: datetime | None = None
    agreed_time_zone: str | None = None
    """What the clock of this zone showed at the start when the time was agreed."""

    @property
    def zone(self) -> ZoneInfo:
        """The doctor's; ``unknown_time_zone`` if the time-zone data do not have it."""
        return get_zone(self.doctor.id, self.time_zone)

    @property
    def doctor_id(self) -> UUID:
        """Whose calendar it stands in."""
        return self.doctor.id

    @property
    def patient_id(self) -> UUID:
        """Whose visit it is."""
        return self.patient.id

    @property
    def visit_type_id(self) -> UUID | None:
        """What visit type it is, if the doctor has kinds."""
        return self.visit_type.id if self.visit_type else None

    def is_over(self, now: datetime) -> bool:
        """Whether its time has passed, whatever its status."""
        return self.end_time <= now


_DOCTOR = aliased(User, name="doctor")
_PATIENT = aliased(User, name="patient")
_RECORD = (
    select(
        Appointment.id,
        _DOCTOR.id.label("doctor_id"),
        _DOCTOR.name.label("doctor_name"),
        _PATIENT.id.label("patient_id"),
        _PATIENT.name.label("patient_name"),
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
        Appointment.cancelled_at,
        Appointment.cancelled_by,
        Appointment.cancel_reason,
        Appointment.version,
        Appointment.changed_at,
        Appointment.changed_by,
        Doctor.cancel_cutoff_minutes,
        VisitType.mode,
        is_listed(_DOCTOR),
        Appointment.agreed_local_start,
        Appointment.agreed_time_zone,
    )
    .join(Doctor, Doctor.id == Appointment.doctor_id)
    .join(_DOCTOR, _DOCTOR.id == Appointment.doctor_id)
    .join(_PATIENT, _PATIENT.id == Appointment.patient_id)
    .outerjoin(VisitType, VisitType.id == Appointment.visit_type_id)
    .where(Appointment.status != AppointmentStatus.PENDING)
)


def _record(row: Sequence[Any]) -> AppointmentRecord:
    appointment_id, doctor_id, doctor_name, patient_id, patient_name, visit_type_id, visit_type_name, *rest = row
    return AppointmentRecord(
        appointment_id,
        Reference(doctor_id, doctor_name),
        Reference(patient_id, patient_name),
        Reference(visit_type_id, visit_type_name) if visit_type_id else None,
        *rest,
    )


def _own(actor: Actor) -> ColumnElement[bool]:
    match actor.role:
        case Role.DOCTOR:
            return Appointment.doctor_id == actor.id
        case Role.PATIENT:
            return Appointment.patient_id == actor.id
        case Role.ADMIN:
            return false()


async def get_appointment(
    transaction: Transaction, actor: Actor, appointment_id: UUID, *, for_update: bool = False
) -> AppointmentRecord:
    """One of the actor's own appointments; ``not_found`` if it is not hers or not there."""
    found = _RECORD.where(Appointment.id == appointment_id, _own(actor))
    if for_update:
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
    """Makes a new version of an appointment, and keeps what it was ``before``; one statement decides.

    Says whether there was anything to change: the version as it was read, and what ``only_if`` demands.
    """
    changed = (
        update(Appointment)
        .where(Appointment.id == before.id, Appointment.version == before.version)
        .values(version=before.version + 1, changed_at=at, changed_by=by, **values)
        .returning(Appointment.id)
    )
    if only_if is not None:
        changed = changed.where(only_if)
    if await transaction.scalar(changed) is None:
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
            changed_by=before.changed_by or before.patient_id,
        )
    )
    if "start_time" in values or not values["status"].occupies_time:
        await lower_bounds(transaction, [before.doctor_id], before.start_time)
    return True


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """What an appointment was from one change to the next."""

    version: int
    status: AppointmentStatus
    start_time: datetime
    end_time: datetime
    visit_type_id: UUID | None
    changed_at: datetime
    changed_by: UUID


_VERSION = select(
    AppointmentVersion.version,
    AppointmentVersion.status,
    AppointmentVersion.start_time,
    AppointmentVersion.end_time,
    AppointmentVersion.visit_type_id,
    AppointmentVersion.changed_at,
    AppointmentVersion.changed_by,
)
_MAX_IDS = 500


async def page_versions(
    transaction: Transaction, appointment: AppointmentRecord, *, after: int | None, limit: int
) -> Sequence[VersionRecord]:
    """The history of an appointment, oldest first; the last one is the appointment as it is."""
    kept = (
        _VERSION.where(AppointmentVersion.appointment_id == appointment.id, AppointmentVersion.version > (after or 0))
        .order_by(AppointmentVersion.version)
        .limit(limit)
    )
    found = [VersionRecord(*row) for row in await transaction.execute(kept)]
    if len(found) < limit and (after or 0) < appointment.version:
        found.append(_newest_version(appointment))
    return found


async def find_status_before(transaction: Transaction, appointment: AppointmentRecord) -> AppointmentStatus | None:
    """What status an appointment had in its previous version; ``None`` if that was not kept."""
    return await transaction.scalar(
        select(AppointmentVersion.status).where(
            AppointmentVersion.appointment_id == appointment.id, AppointmentVersion.version == appointment.version - 1
        )
    )


async def list_versions(
    transaction: Transaction, found: Sequence[AppointmentRecord]
) -> dict[UUID, list[VersionRecord]]:
    """The histories of some appointments, each the oldest first."""
    versions: dict[UUID, list[VersionRecord]] = {each.id: [] for each in found}
    for some in batched(versions, _MAX_IDS):
        kept = _VERSION.add_columns(AppointmentVersion.appointment_id).where(
            AppointmentVersion.appointment_id.in_(some)
        )
        for *version, appointment_id in await transaction.execute(kept.order_by(AppointmentVersion.version)):
            versions[appointment_id].append(VersionRecord(*version))
    for each in found:
        # One that was changed since it was read has a version more by now.
        versions[each.id] = [version for version in versions[each.id] if version.version < each.version]
        versions[each.id].append(_newest_version(each))
    return versions


def _newest_version(appointment: AppointmentRecord) -> VersionRecord:
    return VersionRecord(
        appointment.version,
        appointment.status,
        appointment.start_time,
        appointment.end_time,
        appointment.visit_type_id,
        appointment.changed_at or appointment.created_at,
        appointment.changed_by or appointment.patient_id,
    )


async def list_upcoming(
    transaction: Transaction, doctor_id: UUID, *, since: datetime, until: datetime | None = None
) -> Sequence[tuple[UUID, Interval]]:
    """The id and the time of a doctor's active appointments that touch ``[since, until)``, by time."""
    found = select(Appointment.id, Appointment.start_time, Appointment.end_time).where(
        Appointment.doctor_id == doctor_id,
        Appointment.status.in_(ACTIVE),
        Appointment.end_time > since,
        Appointment.start_time > since - _MAX_VISIT,
    )
    if until is not None:
        found = found.where(Appointment.start_time < until)
    rows = await transaction.execute(found.order_by(Appointment.start_time, Appointment.id))
    return [(row.id, (to_instant(row.start_time), to_instant(row.end_time))) for row in rows]


class ChangedAppointment(NamedTuple):
    """One of many appointments that were changed at once."""

    id: UUID
    patient_id: UUID


async def change_active(
    transaction: Transaction, actor: Actor, *, since: datetime, by: UUID, at: datetime, **values: Any
) -> Sequence[ChangedAppointment]:
    """Makes a new version of the actor's active appointments that start at ``since`` or later; frees their time."""
    active = and_(_own(actor), Appointment.status.in_(ACTIVE), Appointment.start_time >= since)
    # Locked in one order; what is booked meanwhile comes too late for both statements alike.
    locked = (
        select(Appointment.id, Appointment.patient_id, Appointment.doctor_id, Appointment.start_time)
        .where(active)
        .order_by(Appointment.id)
    )
    rows = (await transaction.execute(locked.with_for_update())).all()
    for some in batched([row.id for row in rows], _MAX_IDS):
        these = Appointment.id.in_(some)
        kept = select(
            Appointment.id,
            Appointment.version,
            Appointment.status,
            Appointment.start_time,
            Appointment.end_time,
            Appointment.visit_type_id,
            func.coalesce(Appointment.changed_at, Appointment.created_at),
            func.coalesce(Appointment.changed_by, Appointment.patient_id),
        ).where(these)
        columns = [column.name for column in AppointmentVersion.__table__.columns]
        await transaction.execute(insert(AppointmentVersion).from_select(columns, kept))
        changed = update(Appointment).where(these)
        await transaction.execute(
            changed.values(version=Appointment.version + 1, changed_at=at, changed_by=by, **values)
        )
    if rows:
        await lower_bounds(transaction, {row.doctor_id for row in rows}, min(row.start_time for row in rows))
    return [ChangedAppointment(row.id, row.patient_id) for row in rows]


class PageKey(NamedTuple):
    """Where an appointment stands in a list that was first asked for at ``as_of``."""

    as_of: datetime
    over: bool
    start_time: datetime
    id: UUID


def page_key(appointment: AppointmentRecord, as_of: datetime) -> PageKey:
    """Where an appointment stands in the list as it was at ``as_of``."""
    return PageKey(as_of, appointment.is_over(as_of), appointment.start_time, appointment.id)


async def page_appointments(
    transaction: Transaction,
    actor: Actor,
    *,
    as_of: datetime,
    since: datetime | None,
    until: datetime | None,
    statuses: Collection[AppointmentStatus],
    after: PageKey | None,
    limit: int,
    among: Collection[UUID] | None = None,
) -> Sequence[AppointmentRecord]:
    """The actor's own appointments that touch ``[since, until)``, all or only those ``among`` some.

    First those that are not over at ``as_of``, the next one first; then those that are, the last one first.
    """
    own = _RECORD.where(_own(actor))
    if since is not None:
        own = own.where(Appointment.end_time > since, Appointment.start_time > since - _MAX_VISIT)
    if until is not None:
        own = own.where(Appointment.start_time < until)
    if statuses:
        own = own.where(Appointment.status.in_(statuses))
    if among is not None:
        own = own.where(Appointment.id.in_(among))
    place = tuple_(Appointment.start_time, Appointment.id)

    found: list[AppointmentRecord] = []
    if after is None or not after.over:
        # The second bound says nothing new, but lets the index skip the past.
        coming = own.where(Appointment.end_time > as_of, Appointment.start_time > as_of - _MAX_VISIT)
        if after is not None:
            coming = coming.where(place > (after.start_time, after.id))
        coming = coming.order_by(Appointment.start_time, Appointment.id).limit(limit)
        found += map(_record, await transaction.execute(coming))
    if len(found) < limit:
        over = own.where(Appointment.end_time <= as_of)
        if after is not None and after.over:
            over = over.where(place < (after.start_time, after.id))
        over = over.order_by(Appointment.start_time.desc(), Appointment.id.desc()).limit(limit - len(found))
        found += map(_record, await transaction.execute(over))
    return found
