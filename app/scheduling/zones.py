"""Conversion between wall times and instants.

A wall time is a naive datetime with its ``fold`` (PEP 495): what a clock in the time zone shows.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from app.scheduling.intervals import DAY, Interval, from_instant, to_instant

_MICROSECOND = timedelta(microseconds=1)


MAX_SETTLED = 100
"""The maximum number of visits with a changed wall time that one request settles."""


class KeptTime(StrEnum):
    """What a doctor keeps of an agreed visit after the rules of its time zone have changed."""

    LOCAL_TIME = "local_time"
    """The wall time: the visit moves to another instant."""
    INSTANT = "instant"
    """The instant: the clock shows another time."""


def resolve(wall: datetime, zone: ZoneInfo) -> int:
    """Return the instant at which the clock in ``zone`` shows ``wall`` (RFC 5545 section 3.3.5).

    A wall time that occurs twice means its first occurrence, or its second one if ``fold`` is 1. A wall time that the
    clock skips is read with the offset in force before the gap.
    """
    # Not with arithmetic between datetimes of the zone: Python ignores the offset if both have the same zone.
    return to_instant(wall.replace(tzinfo=zone))


# Many doctors share a zone, so the same instants are converted again and again.
@lru_cache(maxsize=4096)
def wall_time(instant: int, zone: ZoneInfo) -> datetime:
    """Return what the clock in ``zone`` shows at ``instant``; ``fold`` is 1 for the second occurrence."""
    return from_instant(instant).astimezone(zone).replace(tzinfo=None)


def midnight(day: date) -> datetime:
    """Return the wall time 00:00 of a day."""
    return datetime.combine(day, time())


@lru_cache(maxsize=4096)
def day_span(day: date, zone: ZoneInfo) -> Interval:
    """Return the span from the first midnight of ``day`` to the first midnight of the next day.

    It usually lasts 24 hours, and 23 or 25 if the clock changes.
    """
    # A midnight that occurs twice counts from its first occurrence. One that is skipped resolves to the change.
    return resolve(midnight(day), zone), resolve(midnight(day + timedelta(days=1)), zone)


def day_of(instant: int, zone: ZoneInfo) -> date:
    """Return the day whose ``day_span`` contains an instant."""
    shown = wall_time(instant, zone).date()
    # If the clock goes back across midnight, it shows the old date again although the new day has started.
    return shown if instant < day_span(shown, zone)[1] else shown + timedelta(days=1)


def offset_at(instant: int, zone: ZoneInfo) -> int:
    """Return how far the clock in ``zone`` is ahead of UTC at ``instant``, in microseconds."""
    offset = from_instant(instant).astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101 - every zone has an offset
    return offset // _MICROSECOND


def constant_offsets(zone: ZoneInfo, span: Interval) -> Iterator[tuple[Interval, int]]:
    """Split ``span`` at each change of the clock, and yield every part with its offset (see ``offset_at``)."""
    first, last = span
    changes = (_find_change(day, zone) for day in range(first // DAY, -(-last // DAY)))
    inside = [change for change in changes if change is not None and first < change < last]
    for part in pairwise([first, *inside, last]):
        yield part, offset_at(part[0], zone)


@lru_cache(maxsize=8192)
def _find_change(utc_day: int, zone: ZoneInfo) -> int | None:
    """Return the instant within a day of UTC at which the offset changes, or ``None``.

    No zone has two changes within 24 hours.
    """
    first, last = utc_day * DAY, (utc_day + 1) * DAY
    before = offset_at(first, zone)
    if offset_at(last, zone) == before:
        return None
    return first + bisect_left(range(first, last), True, key=lambda instant: offset_at(instant, zone) != before)
