"""A doctor's view of a day or a week: open windows, time off, visits and holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.permissions import Scope
from app.db.database import Transaction
from app.repositories import appointments, bookings, doctors
from app.repositories.appointments import AppointmentRecord
from app.repositories.doctor_schedules import get_doctor_schedule
from app.repositories.doctors import DoctorRecord
from app.scheduling.availability import open_windows, time_off_windows
from app.scheduling.decisions import MAX_VISIT, find_conflicting
from app.scheduling.intervals import Interval, from_instant, subtract, to_instant
from app.scheduling.zones import day_of, day_span

DAYS_OF_WEEK = 7
MAX_VISITS = 2000
"""The number of visits of five minutes that fit into a week, so no visit is ever left out."""


@dataclass(frozen=True, slots=True)
class Agenda:
    """Consecutive days in the doctor's own zone."""

    doctor: DoctorRecord
    zone: ZoneInfo
    days: Mapping[date, Interval]
    """The span of each day (see ``day_span``)."""
    today: date
    open: Sequence[Interval]
    """The open windows without time off, sorted and merged."""
    away: Sequence[Interval]
    """The time off, sorted and merged."""
    visits: Sequence[AppointmentRecord]
    """All visits by their start, including cancelled ones and no-shows."""
    busy: Mapping[int, Interval]
    """The busy period, with buffers, of each visit that occupies time, by the start of the visit."""
    held: Sequence[Interval]
    """The holds of patients who are about to book."""
    conflicting: frozenset[UUID]
    """The upcoming visits outside the doctor's current hours."""


async def get_agenda(
    transaction: Transaction, doctor_id: UUID, *, day: date | None, week_begins: int | None = None, now: datetime
) -> Agenda:
    """Return the doctor's day (default: today), or the week around it.

    ``week_begins`` is the first day of the week (0 is Monday); without it, only the day is returned.
    """
    doctor = await doctors.get_own_profile(transaction, doctor_id)
    zone = doctor.zone
    today = day_of(to_instant(now), zone)
    days = {each: day_span(each, zone) for each in _days(day or today, week_begins)}
    spans = list(days.values())
    span = spans[0][0], spans[-1][1]
    # Visits may extend into the first day and beyond the last one.
    schedule = await get_doctor_schedule(
        transaction, doctor_id, (span[0] - MAX_VISIT, span[1] + MAX_VISIT), listed=False
    )
    visits = await appointments.page_appointments(
        transaction,
        Scope(doctor_id=doctor_id),
        as_of=from_instant(span[0]),
        since=from_instant(span[0]),
        until=from_instant(span[1]),
        statuses=(),
        after=None,
        limit=MAX_VISITS,
    )
    busy = await bookings.list_busy(transaction, doctor_id, span, now)
    starts = {to_instant(visit.start_time) for visit in visits if visit.status.occupies_time}
    ahead = [
        (visit.id, (to_instant(visit.start_time), to_instant(visit.end_time)))
        for visit in visits
        if visit.status.is_active and visit.end_time > now
    ]
    away = time_off_windows(schedule.rules, span)
    return Agenda(
        doctor,
        zone,
        days,
        today,
        subtract(open_windows(schedule.rules, span), away),
        away,
        visits,
        # By the start, which is unique: two visits that occupy time cannot begin together.
        {each.start: (each.busy_start, each.busy_end) for each in busy if each.start in starts},
        # The rest are not all holds: one may be a visit of the day before whose buffer extends into the span.
        [(each.start, each.busy_end) for each in busy if each.start not in starts and span[0] <= each.start < span[1]],
        frozenset(find_conflicting(schedule.rules, ahead)),
    )


def _days(day: date, week_begins: int | None) -> list[date]:
    if week_begins is None:
        return [day]
    first = day - timedelta(days=(day.weekday() - week_begins) % DAYS_OF_WEEK)
    return [first + timedelta(days=number) for number in range(DAYS_OF_WEEK)]
