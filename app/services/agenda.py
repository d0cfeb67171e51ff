"""A doctor's days, as she looks at them: her hours, and what is booked inside and outside of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.permissions import Actor
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
"""As many as fit into a week, were it nothing but visits of five minutes."""


@dataclass(frozen=True, slots=True)
class Agenda:
    """Some days in a row, in the doctor's own zone."""

    doctor: DoctorRecord
    zone: ZoneInfo
    days: Mapping[date, Interval]
    """Each with its span, of 23, 24 or 25 hours, as clocks go."""
    today: date
    open: Sequence[Interval]
    """When the doctor is open and not away: merged and sorted."""
    away: Sequence[Interval]
    visits: Sequence[AppointmentRecord]
    """By their start; those too that have been cancelled or missed."""
    busy: Mapping[int, Interval]
    """By the start of each visit that takes time: all that it takes, with its buffers."""
    held: Sequence[Interval]
    """What somebody keeps who is about to book."""
    conflicting: frozenset[UUID]
    """The visits that lie ahead, outside of the doctor's hours as they are now."""


async def get_agenda(
    transaction: Transaction, actor: Actor, *, day: date | None, week_begins: int | None = None, now: datetime
) -> Agenda:
    """The doctor's own day, today unless given; or the week around it that begins on this weekday, Monday being 0."""
    doctor = await doctors.get_own_profile(transaction, actor.id)
    zone = doctor.zone
    today = day_of(to_instant(now), zone)
    days = {each: day_span(each, zone) for each in _days(day or today, week_begins)}
    spans = list(days.values())
    span = spans[0][0], spans[-1][1]
    # A visit may reach into the first of the days, and out of the last.
    plan = await get_doctor_schedule(transaction, actor.id, (span[0] - MAX_VISIT, span[1] + MAX_VISIT), listed=False)
    visits = await appointments.page_appointments(
        transaction,
        actor,
        as_of=from_instant(span[0]),
        since=from_instant(span[0]),
        until=from_instant(span[1]),
        statuses=(),
        after=None,
        limit=MAX_VISITS,
    )
    taken = await bookings.list_busy(transaction, actor.id, span, now)
    starts = {to_instant(visit.start_time) for visit in visits if visit.status.occupies_time}
    ahead = [
        (visit.id, (to_instant(visit.start_time), to_instant(visit.end_time)))
        for visit in visits
        if visit.status.is_active and visit.end_time > now
    ]
    away = time_off_windows(plan.rules, span)
    return Agenda(
        doctor,
        zone,
        days,
        today,
        subtract(open_windows(plan.rules, span), away),
        away,
        visits,
        {each.start: (each.busy_start, each.busy_end) for each in taken if each.start in starts},
        # A visit whose buffer reaches in from the day before is no hold.
        [(each.start, each.busy_end) for each in taken if each.start not in starts and span[0] <= each.start < span[1]],
        frozenset(find_conflicting(plan.rules, ahead)),
    )


def _days(day: date, week_begins: int | None) -> list[date]:
    if week_begins is None:
        return [day]
    first = day - timedelta(days=(day.weekday() - week_begins) % DAYS_OF_WEEK)
    return [first + timedelta(days=number) for number in range(DAYS_OF_WEEK)]
