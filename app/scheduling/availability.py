"""A doctor's rules for being open, and the windows that follow from them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import chain
from zoneinfo import ZoneInfo

from app.scheduling.intervals import DAY, Interval, clip, merge
from app.scheduling.recurrence import move_start, starts_between
from app.scheduling.visits import NO_BOOKING_LIMITS, BookingLimits
from app.scheduling.zones import midnight, resolve, wall_time

NO_END = midnight(date.max)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_BLOCK = 14 * _DAY
_MONTH = 31 * DAY


@dataclass(frozen=True, slots=True)
class Availability:
    """A stretch of being open, in wall time of the doctor's zone (see ``zones``), once or again and again."""

    starts: datetime
    ends: datetime
    """Of the first occurrence. Every other has the same length on the clock, whatever clocks do meanwhile."""
    recurrence: str | None = None
    """An RFC 5545 rule, as ``recurrence.read_recurrence`` returns it; none is a single stretch."""
    last_ends: datetime = NO_END
    """No occurrence ends later, on the clock."""
    plan_begins: date | None = None
    """The first day of the weekly plan that it is part of, if it is known (see ``plans``)."""


@dataclass(frozen=True, slots=True)
class TimeOff:
    """A stretch of being away, in wall time of the doctor's zone. It closes what is open."""

    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Rules:
    """All that decides when a doctor may be booked, but for what is booked already."""

    zone: ZoneInfo
    availabilities: tuple[Availability, ...]
    time_off: tuple[TimeOff, ...] = ()
    limits: BookingLimits = NO_BOOKING_LIMITS


def window(stretch: Availability | TimeOff, zone: ZoneInfo) -> Interval:
    """The (first) stretch of time that a rule opens or closes."""
    return resolve(stretch.starts, zone), resolve(stretch.ends, zone)


def openings_between(rules: Rules, span: Interval) -> list[Interval]:
    """Every occurrence of every availability that touches ``span``, whole, whether or not the doctor is away then."""
    first, last = span
    # No clock is put forward or back by more than a day.
    around = wall_time(first, rules.zone) - _DAY, wall_time(last, rules.zone) + _DAY
    return [
        (start, end)
        for availability in rules.availabilities
        for start, end in _windows(availability, rules.zone, around)
        if start < last and end > first
    ]


def open_windows(rules: Rules, span: Interval) -> list[Interval]:
    """When the doctor is open inside ``span``: merged and sorted, so a day's end at midnight runs into the next."""
    return merge(clip(openings_between(rules, span), span))


def openings_after(rules: Rules, after: int, until: int) -> Iterator[bool]:
    """Whether the doctor is open at ``after`` or later: by ``until`` if it recurs, else at any time.

    Yields once for each month that it looks through, as the caller may do something else in between.
    """
    yield any(window(each, rules.zone)[1] > after for each in rules.availabilities)
    for begin in range(after, until, _MONTH):
        yield bool(openings_between(rules, (begin, min(begin + _MONTH, until))))


def away_windows(rules: Rules, span: Interval) -> list[Interval]:
    """When the doctor is away inside ``span``: merged and sorted."""
    return merge(clip((window(each, rules.zone) for each in rules.time_off), span))


def _windows(availability: Availability, zone: ZoneInfo, around: tuple[datetime, datetime]) -> Iterable[Interval]:
    """All that touch what lies between two wall times, and more."""
    if availability.recurrence is None:
        return [window(availability, zone)]
    length = availability.ends - availability.starts
    latest = availability.last_ends - length
    first, last = max(availability.starts, around[0] - length), min(latest, around[1])
    return chain.from_iterable(
        _windows_of_block(
            availability.recurrence,
            move_start(availability.recurrence, availability.starts, begins),
            length,
            zone,
            begins,
            min(latest, begins + _BLOCK - _MICROSECOND),
        )
        for begins in _blocks(first, last)
    )


def _blocks(first: datetime, last: datetime) -> Iterator[datetime]:
    """When the blocks begin in which a stretch of wall time lies."""
    days = _BLOCK.days
    for number in range(first.toordinal() // days, last.toordinal() // days + 1):
        yield midnight(date.fromordinal(number * days))


# Rules change seldom, are much alike, and are asked for all the time, so the calendar arithmetic of some weeks is kept.
@lru_cache(maxsize=8192)
def _windows_of_block(
    recurrence: str, starts: datetime, length: timedelta, zone: ZoneInfo, first: datetime, last: datetime
) -> tuple[Interval, ...]:
    return tuple(
        (resolve(each, zone), resolve(each + length, zone)) for each in starts_between(recurrence, starts, first, last)
    )
