"""Appointments outside a doctor's current rules. They are computed on request and not stored."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.permissions import Scope
from app.db.database import Transaction
from app.repositories import appointments
from app.repositories.appointments import AppointmentRecord, PageKey
from app.repositories.doctor_schedules import get_doctor_schedule
from app.scheduling.decisions import find_conflicting
from app.scheduling.intervals import DAY, from_instant, to_instant
from app.scheduling.status import AppointmentStatus

MAX_AFFECTED = 100


@dataclass(frozen=True, slots=True)
class Affected:
    """The appointments that lie outside the rules after a change: their number, and the first hundred."""

    count: int
    appointments: Sequence[AppointmentRecord]


async def find_affected(
    transaction: Transaction, doctor_id: UUID, *, since: datetime, until: datetime | None = None
) -> Affected:
    """Return the doctor's appointments in ``[since, until)`` that lie outside the current rules."""
    found = await _list_conflicting(transaction, doctor_id, since, until)
    listed = await _page(transaction, doctor_id, found, as_of=since, statuses=(), after=None, limit=MAX_AFFECTED)
    return Affected(len(found), listed)


async def find_booked(transaction: Transaction, doctor_id: UUID, *, since: datetime, until: datetime) -> Affected:
    """Return all appointments of the doctor in ``[since, until)``: those that time off in this span would affect."""
    upcoming = await appointments.list_upcoming(transaction, doctor_id, since=since, until=until)
    found = [(from_instant(visit[0]), appointment_id) for appointment_id, visit in upcoming]
    listed = await _page(transaction, doctor_id, found, as_of=since, statuses=(), after=None, limit=MAX_AFFECTED)
    return Affected(len(found), listed)


async def page_conflicting(
    transaction: Transaction,
    doctor_id: UUID,
    *,
    as_of: datetime,
    since: datetime | None,
    until: datetime | None,
    statuses: Collection[AppointmentStatus],
    after: PageKey | None,
    limit: int,
) -> Sequence[AppointmentRecord]:
    """Return a page of the doctor's appointments that have not ended ``as_of`` and lie outside the current rules."""
    found = await _list_conflicting(transaction, doctor_id, max(as_of, since or as_of), until)
    return await _page(transaction, doctor_id, found, as_of=as_of, statuses=statuses, after=after, limit=limit)


type _Found = Sequence[tuple[datetime, UUID]]


async def _list_conflicting(
    transaction: Transaction, doctor_id: UUID, since: datetime, until: datetime | None
) -> _Found:
    upcoming = await appointments.list_upcoming(transaction, doctor_id, since=since, until=until)
    if not upcoming:
        return ()
    # find_conflicting works month by month, so the rules must cover the whole month of the last appointment.
    span = to_instant(since) - DAY, upcoming[-1][1][0] + 32 * DAY
    schedule = await get_doctor_schedule(transaction, doctor_id, span, listed=False)
    return find_conflicting(
        schedule.rules, [((from_instant(visit[0]), appointment_id), visit) for appointment_id, visit in upcoming]
    )


async def _page(
    transaction: Transaction,
    doctor_id: UUID,
    found: _Found,
    *,
    as_of: datetime,
    statuses: Collection[AppointmentStatus],
    after: PageKey | None,
    limit: int,
) -> Sequence[AppointmentRecord]:
    # Conflicts are computed and not stored, so SQL alone cannot page them.
    remaining = [key for key in found if after is None or key > (after.start_time, after.id)]
    if not remaining:
        return ()
    return await appointments.page_appointments(
        transaction,
        Scope(doctor_id=doctor_id),
        as_of=as_of,
        since=None,
        until=None,
        statuses=statuses,
        after=after,
        limit=limit,
        among=[appointment_id for _, appointment_id in remaining[:limit]],
    )
