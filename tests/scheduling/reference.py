"""A plain implementation of the rules, with datetimes, that tries every start.

It shares nothing with the engine but the classes of a doctor's rules. The property tests compare the engine with it,
and the benchmark compares their speed.
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

type Interval = tuple[datetime, datetime]
"""Both in UTC: Python compares and subtracts datetimes of one zone as wall times."""


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


def to_bookings(busy_periods: Sequence[BusyPeriod]) -> list[Booking]:
    return [
        Booking(at(each.busy_start), at(each.busy_end), at(each.start), each.visit_type_id) for each in busy_periods
    ]


def at(instant: int) -> datetime:
    return EPOCH + timedelta(microseconds=instant)


def slots(diary: Diary, first: datetime, last: datetime) -> list[Interval]:
    length = timedelta(microseconds=diary.visit_type.duration)
    step = timedelta(microseconds=diary.visit_type.step or diary.visit_type.duration)
    windows = list_windows(diary.rules, first, last + length)
    found = set()
    for opens, closes in windows:
        start = opens
        while start < min(closes, last):
            if start >= first and next(find_refusals(diary, (start, start + length), windows), None) is None:
                found.add((start, start + length))
            start += step
    return sorted(found)


def explain(diary: Diary, visit: Interval) -> set[str]:
    return set(find_refusals(diary, visit, list_windows(diary.rules, *visit)))


def check(diary: Diary, visit: Interval) -> str | None:
    return next(find_refusals(diary, visit, list_windows(diary.rules, *visit)), None)


def find_refusals(diary: Diary, visit: Interval, windows: Sequence[Interval]) -> Iterator[str]:
    """Yield the codes of all rules that the visit violates; cheap and often violated rules are checked first."""
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
    if not is_covered(visit, windows):
        yield "outside_availability"
    elif not is_on_grid(start, visit_type.step, windows):
        yield "off_grid"
    for time_off in rules.time_off:
        begins, ends = in_utc(time_off, rules.zone)
        if max(begins, start) < min(ends, end):
            yield "time_off"
    before = timedelta(microseconds=visit_type.buffer_before)
    after = timedelta(microseconds=visit_type.buffer_after)
    for booking in diary.bookings:
        if booking.busy_start < end + after and start - before < booking.busy_end:
            yield "slot_taken"
    if rules.limits.per_day is not None or visit_type.limits.per_day is not None:
        yield from find_full_days(diary, visit)


def find_full_days(diary: Diary, visit: Interval) -> Iterator[str]:
    zone = diary.rules.zone
    day = day_of(visit[0], zone)
    while midnight(day, zone) < visit[1]:
        on_day = [booking for booking in diary.bookings if day_of(booking.start, zone) == day]
        of_type = [booking for booking in on_day if booking.visit_type_id == diary.visit_type.id]
        for limit, counted in ((diary.rules.limits.per_day, on_day), (diary.visit_type.limits.per_day, of_type)):
            if limit is not None and len(counted) >= limit:
                yield "day_full"
        day += DAY


def list_windows(rules: Rules, first: datetime, last: datetime) -> list[Interval]:
    return [
        (opens, closes)
        for availability in rules.availabilities
        for opens, closes in occurrences(availability, rules.zone, first, last)
        if opens < last and closes > first
    ]


def occurrences(availability: Availability, zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[Interval]:
    if availability.recurrence is None:
        yield in_utc(availability, zone)
        return
    length = availability.ends - availability.starts
    # A day more than needed on both sides, because clocks change.
    begin = first.astimezone(zone).replace(tzinfo=None) - length - DAY
    end = min(last.astimezone(zone).replace(tzinfo=None) + DAY, availability.last_ends - length)
    for starts in rrulestr(availability.recurrence, dtstart=availability.starts).between(begin, end, inc=True):
        yield in_utc(Availability(starts, starts + length), zone)


def in_utc(rule: Availability | TimeOff, zone: ZoneInfo) -> Interval:
    return rule.starts.replace(tzinfo=zone).astimezone(UTC), rule.ends.replace(tzinfo=zone).astimezone(UTC)


def is_covered(visit: Interval, windows: Sequence[Interval]) -> bool:
    """Whether the windows cover the visit together, even if none of them does so alone."""
    covered_until, end = visit
    while covered_until < end:
        further = [closes for opens, closes in windows if opens <= covered_until < closes]
        if not further:
            return False
        covered_until = max(further)
    return True


def is_on_grid(start: datetime, step: int | None, windows: Sequence[Interval]) -> bool:
    if step is None:
        return True
    return any(
        opens <= start < closes and not (start - opens) % timedelta(microseconds=step) for opens, closes in windows
    )


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first midnight of a day that has two; the moment of the change on a day that has none."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    shown = moment.astimezone(zone).date()
    days = (shown - DAY, shown, shown + DAY)
    return next(day for day in days if midnight(day, zone) <= moment < midnight(day + DAY, zone))
