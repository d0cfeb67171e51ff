"""Wall clocks and instants.

A wall time is a naive datetime with its ``fold`` (PEP 495): what the clock in a doctor's room shows.
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


MAX_ACCEPTED_SHIFT = 100
"""Visits whose clock time has changed that are settled at once."""


class KeptTime(StrEnum):
    """What stays as it was agreed when the rules of a zone have changed."""

    LOCAL_TIME = "local_time"
    """What the clock shows; the visit moves."""
    INSTANT = "instant"
    """When it is; the clock shows another time."""


def resolve(wall: datetime, zone: ZoneInfo) -> int:
    """The instant at which the clock in ``zone`` shows ``wall`` (RFC 5545 section 3.3.5).

    A wall time that occurs twice is its first occurrence, or its second where ``fold`` is 1. One that never occurs,
    in the gap when clocks go forward, is read with the offset in force before the gap.
    """
    # The detour over UTC matters: arithmetic between datetimes of one zone would ignore its offsets.
    return to_instant(wall.replace(tzinfo=zone))


# Of many doctors one zone, and one moment, are asked for again and again.
@lru_cache(maxsize=4096)
def wall_time(instant: int, zone: ZoneInfo) -> datetime:
    """What the clock in ``zone`` shows at ``instant``; ``fold`` tells the second occurrence from the first."""
    return from_instant(instant).astimezone(zone).replace(tzinfo=None)


def midnight(day: date) -> datetime:
    """The wall time at which a day begins."""
    return datetime.combine(day, time())


@lru_cache(maxsize=4096)
def day_span(day: date, zone: ZoneInfo) -> Interval:
    """From the first midnight that begins ``day`` to the first that ends it: 23, 24 or 25 hours, as clocks go."""
    return resolve(midnight(day), zone), resolve(midnight(day + timedelta(days=1)), zone)


def day_of(instant: int, zone: ZoneInfo) -> date:
    """The day in whose span an instant lies."""
    shown = wall_time(instant, zone).date()
    # Clocks that go back across midnight show the old date again when the new day has begun.
    return shown if instant < day_span(shown, zone)[1] else shown + timedelta(days=1)


def offset_at(instant: int, zone: ZoneInfo) -> int:
    """How far the clock in ``zone`` is ahead of UTC at ``instant``, in microseconds."""
    offset = from_instant(instant).astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101 - every zone has an offset
    return offset // _MICROSECOND


def constant_offsets(zone: ZoneInfo, span: Interval) -> Iterator[tuple[Interval, int]]:
    """Splits ``span`` at each change of the clock; yields every part with its offset (see ``offset_at``)."""
    first, last = span
    changes = (_find_change(day, zone) for day in range(first // DAY, -(-last // DAY)))
    inside = [change for change in changes if change is not None and first < change < last]
    for part in pairwise([first, *inside, last]):
        yield part, offset_at(part[0], zone)


@lru_cache(maxsize=8192)
def _find_change(utc_day: int, zone: ZoneInfo) -> int | None:
    """The instant within a day of UTC at which the offset changes. No zone has two changes within 24 hours."""
    first, last = utc_day * DAY, (utc_day + 1) * DAY
    before = offset_at(first, zone)
    if offset_at(last, zone) == before:
        return None
    return first + bisect_left(range(first, last), True, key=lambda instant: offset_at(instant, zone) != before)
