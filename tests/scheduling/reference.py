"""What the engine promises, as one would write it first: with datetimes, asking about every start one by one.

It shares nothing with the engine but the words that a doctor's rules are said in. The property tests hold the engine
against it, and the benchmark compares the two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from app.scheduling.availability import Availability, Rules, TimeOff
from app.scheduling.visits import BusyPeriod, VisitType

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

type Visit = tuple[datetime, datetime]
"""Both in UTC: datetimes of one zone would be compared and subtracted as wall clocks."""


@dataclass(frozen=True, slots=True)
class Booking:
    busy_start: datetime
    busy_end: datetime
    start: datetime
    visit_type_id: UUID | None


@dataclass(frozen=True, slots=True)
class Diary:
    rules: Rules
    visit_type: VisitType
    bookings: Sequence[Booking]
    now: datetime


def to_bookings(taken: Sequence[BusyPeriod]) -> list[Booking]:
    return [Booking(at(each.busy_start), at(each.busy_end), at(each.start), each.visit_type_id) for each in taken]


def at(instant: int) -> datetime:
    return EPOCH + timedelta(microseconds=instant)


def slots(diary: Diary, first: datetime, last: datetime) -> list[Visit]:
    """Goes through the openings, and through the grid of each."""
    length = timedelta(microseconds=diary.visit_type.duration)
    step = timedelta(microseconds=diary.visit_type.step or diary.visit_type.duration)
    openings = list_openings(diary.rules, first, last + length)
    found = set()
    for opens, closes in openings:
        start = opens
        while start < min(closes, last):
            if start >= first and next(objections(diary, (start, start + length), openings), None) is None:
                found.add((start, start + length))
            start += step
    return sorted(found)


def explain(diary: Diary, visit: Visit) -> set[str]:
    return set(objections(diary, visit, list_openings(diary.rules, *visit)))


def check(diary: Diary, visit: Visit) -> str | None:
    return next(objections(diary, visit, list_openings(diary.rules, *visit)), None)


def objections(diary: Diary, visit: Visit, openings: Sequence[Visit]) -> Iterator[str]:
    """Rule by rule; those that many a start fails, or that are soon asked, come first."""
    rules, visit_type, now = diary.rules, diary.visit_type, diary.now
    start, end = visit
    if start < now:
        yield "in_the_past"
    notice = timedelta(microseconds=max(rules.limits.min_notice, visit_type.limits.min_notice))
    if start < now + notice and end > now and notice:
        yield "too_soon"
    for limits in (rules.limits, visit_type.limits):
        if limits.max_advance_days is not None:
            last_day = day_of(now, rules.zone) + limits.max_advance_days * DAY
            if end > midnight(last_day + DAY, rules.zone):
                yield "too_far_ahead"
    if not is_covered(visit, openings):
        yield "outside_availability"
    elif not is_on_grid(start, visit_type.step, openings):
        yield "off_grid"
    for away in rules.time_off:
        begins, ends = in_utc(away, rules.zone)
        if max(begins, start) < min(ends, end):
            yield "time_off"
    before = timedelta(microseconds=visit_type.buffer_before)
    after = timedelta(microseconds=visit_type.buffer_after)
    for booking in diary.bookings:
        if booking.busy_start < end + after and start - before < booking.busy_end:
            yield "slot_taken"
    if rules.limits.per_day is not None or visit_type.limits.per_day is not None:
        yield from full_days(diary, visit)


def full_days(diary: Diary, visit: Visit) -> Iterator[str]:
    zone = diary.rules.zone
    day = day_of(visit[0], zone)
    while midnight(day, zone) < visit[1]:
        those = [booking for booking in diary.bookings if day_of(booking.start, zone) == day]
        alike = [booking for booking in those if booking.visit_type_id == diary.visit_type.id]
        for limit, counted in ((diary.rules.limits.per_day, those), (diary.visit_type.limits.per_day, alike)):
            if limit is not None and len(counted) >= limit:
                yield "day_full"
        day += DAY


def list_openings(rules: Rules, first: datetime, last: datetime) -> list[Visit]:
    return [
        (opens, closes)
        for availability in rules.availabilities
        for opens, closes in occurrences(availability, rules.zone, first, last)
        if opens < last and closes > first
    ]


def occurrences(availability: Availability, zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[Visit]:
    if availability.recurrence is None:
        yield in_utc(availability, zone)
        return
    length = availability.ends - availability.starts
    # A day more than needed on both sides: clocks change.
    begin = first.astimezone(zone).replace(tzinfo=None) - length - DAY
    end = min(last.astimezone(zone).replace(tzinfo=None) + DAY, availability.last_ends - length)
    for starts in rrulestr(availability.recurrence, dtstart=availability.starts).between(begin, end, inc=True):
        yield in_utc(Availability(starts, starts + length), zone)


def in_utc(stretch: Availability | TimeOff, zone: ZoneInfo) -> Visit:
    return stretch.starts.replace(tzinfo=zone).astimezone(UTC), stretch.ends.replace(tzinfo=zone).astimezone(UTC)


def is_covered(visit: Visit, openings: Sequence[Visit]) -> bool:
    """Maybe by one opening that goes on where another ends."""
    reached, end = visit
    while reached < end:
        further = [closes for opens, closes in openings if opens <= reached < closes]
        if not further:
            return False
        reached = max(further)
    return True


def is_on_grid(start: datetime, step: int | None, openings: Sequence[Visit]) -> bool:
    if step is None:
        return True
    return any(
        opens <= start < closes and not (start - opens) % timedelta(microseconds=step) for opens, closes in openings
    )


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first one, if clocks are put back across it; the moment of the change, if there is none."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    shown = moment.astimezone(zone).date()
    days = (shown - DAY, shown, shown + DAY)
    return next(day for day in days if midnight(day, zone) <= moment < midnight(day + DAY, zone))
