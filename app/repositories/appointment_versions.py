"""The history of appointments: a version for each state from one change to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from uuid import UUID

from sqlalchemy import select

from app.db.database import Transaction
from app.db.records import read_record
from app.models import AppointmentVersion
from app.repositories.appointments import MAX_IDS, AppointmentRecord
from app.scheduling.status import AppointmentStatus


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """The state of an appointment from one change to the next."""

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


async def page_versions(
    transaction: Transaction, appointment: AppointmentRecord, *, after: int | None, limit: int
) -> Sequence[VersionRecord]:
    """Return the history of an appointment, oldest first. The last version is the current state."""
    stored = (
        _VERSION.where(AppointmentVersion.appointment_id == appointment.id, AppointmentVersion.version > (after or 0))
        .order_by(AppointmentVersion.version)
        .limit(limit)
    )
    found = [read_record(VersionRecord, row) for row in await transaction.execute(stored)]
    if len(found) < limit and (after or 0) < appointment.version:
        found.append(_newest_version(appointment))
    return found


async def find_status_before(transaction: Transaction, appointment: AppointmentRecord) -> AppointmentStatus | None:
    """Return the status of an appointment in its previous version; ``None`` if that version is not stored."""
    return await transaction.scalar(
        select(AppointmentVersion.status).where(
            AppointmentVersion.appointment_id == appointment.id, AppointmentVersion.version == appointment.version - 1
        )
    )


async def list_versions(
    transaction: Transaction, found: Sequence[AppointmentRecord]
) -> dict[UUID, list[VersionRecord]]:
    """Return the history of each appointment by its id, oldest first."""
    versions: dict[UUID, list[VersionRecord]] = {each.id: [] for each in found}
    for ids in batched(versions, MAX_IDS):
        stored = _VERSION.add_columns(AppointmentVersion.appointment_id).where(
            AppointmentVersion.appointment_id.in_(ids)
        )
        for row in await transaction.execute(stored.order_by(AppointmentVersion.version)):
            versions[row.appointment_id].append(read_record(VersionRecord, row))
    for each in found:
        # If it was changed after it was read, its history has newer versions by now.
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
        appointment.changed_by or appointment.booked_by,
    )
