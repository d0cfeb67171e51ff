"""The rules that open and close a doctor's calendar, and the windows that follow from them."""

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
    """A rule that opens a window, once or recurring, in wall time of the doctor's zone (see ``zones``)."""

    starts: datetime
    ends: datetime
    """The end of the first occurrence. All occurrences have the same length on the clock, even if the clock changes
    during one of them."""
    recurrence: str | None = None
    """An RFC 5545 rule, as ``recurrence.read_recurrence`` returns it; ``None`` for a single window."""
    last_ends: datetime = NO_END
    """The latest wall time at which an occurrence may end."""
    plan_begins: date | None = None
    """The first day of the weekly hours that this is part of, if it is known (see ``planned_hours``)."""


@dataclass(frozen=True, slots=True)
class TimeOff:
    """A single window in which the doctor is closed, in wall time of the doctor's zone. It overrides availabilities."""

    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that decides when a doctor can be booked, except existing appointments."""

    zone: ZoneInfo
    availabilities: tuple[Availability, ...]
    time_off: tuple[TimeOff, ...] = ()
    limits: BookingLimits = NO_BOOKING_LIMITS


def window(rule: Availability | TimeOff, zone: ZoneInfo) -> Interval:
    """Return the window that a rule opens or closes; the first one if the rule recurs."""
    return resolve(rule.starts, zone), resolve(rule.ends, zone)


def windows_between(rules: Rules, span: Interval) -> list[Interval]:
    """Return all occurrences of availabilities that overlap ``span``: not clipped, and regardless of time off."""
    first, last = span
    # A change of the clock is never larger than a day.
    around = wall_time(first, rules.zone) - _DAY, wall_time(last, rules.zone) + _DAY
    return [
        (start, end)
        for availability in rules.availabilities
        for start, end in _windows(availability, rules.zone, around)
        if start < last and end > first
    ]


def open_windows(rules: Rules, span: Interval) -> list[Interval]:
    """Return the open windows inside ``span``, sorted and merged: a window that ends at midnight joins the next one."""
    return merge(clip(windows_between(rules, span), span))


def is_open_after(rules: Rules, after: int, until: int) -> Iterator[bool]:
    """Yield whether the doctor is open after ``after``: first for the first window of each rule, then for each month.

    Recurring availabilities are searched until ``until``. The caller may stop at the first true value, and may do
    other work between two months.
    """
    yield any(window(each, rules.zone)[1] > after for each in rules.availabilities)
    for begin in range(after, until, _MONTH):
        yield bool(windows_between(rules, (begin, min(begin + _MONTH, until))))


def time_off_windows(rules: Rules, span: Interval) -> list[Interval]:
    """Return the time off inside ``span``, sorted and merged."""
    return merge(clip((window(each, rules.zone) for each in rules.time_off), span))


def _windows(availability: Availability, zone: ZoneInfo, around: tuple[datetime, datetime]) -> Iterable[Interval]:
    """Return all windows of an availability that overlap the time between two wall times, and possibly others."""
    if availability.recurrence is None:
        return [window(availability, zone)]
    length = availability.ends - availability.starts
    latest = availability.last_ends - length
    first, last = max(availability.starts, around[0] - length), min(latest, around[1])
    return chain.from_iterable(
        _windows_of_block(
            availability.recurrence,
            # Moved to shortly before the block, so that doctors with the same hours share cached windows (ADR 0012).
            move_start(availability.recurrence, availability.starts, block),
            length,
            zone,
            block,
            min(latest, block + _BLOCK - _MICROSECOND),
        )
        for block in _blocks(first, last)
    )


def _blocks(first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield the starts of the blocks of days that cover the wall times from ``first`` to ``last``."""
    days = _BLOCK.days
    # Aligned to the calendar instead of the request, so that other requests find the same blocks in the cache.
    for number in range(first.toordinal() // days, last.toordinal() // days + 1):
        yield midnight(date.fromordinal(number * days))


# Rules rarely change, resemble each other and are read all the time, so the calendar arithmetic is cached in blocks.
@lru_cache(maxsize=8192)
def _windows_of_block(
    recurrence: str, starts: datetime, length: timedelta, zone: ZoneInfo, first: datetime, last: datetime
) -> tuple[Interval, ...]:
    return tuple(
        (resolve(each, zone), resolve(each + length, zone)) for each in starts_between(recurrence, starts, first, last)
    )
