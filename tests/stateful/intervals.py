"""Intervals and days of the model. Instants are datetimes in UTC, wall times are naive."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)

type Interval = tuple[datetime, datetime]
"""``[start, end)``, two instants. It is empty if it does not end after its start."""


def overlap(one: Interval, other: Interval) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def is_covered(visit: Interval, windows: Sequence[Interval]) -> bool:
    """Whether the windows cover the visit together, even if none of them does so alone."""
    covered_until, end = visit
    while covered_until < end:
        further = [closes for opens, closes in windows if opens <= covered_until < closes]
        if not further:
            return False
        covered_until = max(further)
    return True


def instant(wall: datetime, zone: str) -> datetime:
    return wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def shown(moment: datetime, zone: str) -> datetime:
    """Return the wall time; the second occurrence of a repeated one has a ``fold``."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@lru_cache(maxsize=10_000)
def midnight(day: date, zone: str) -> datetime:
    """The start of a day: the first midnight, if it has two."""
    return instant(datetime.combine(day, time()), zone)


def day_of(moment: datetime, zone: str) -> date:
    around = (shown(moment, zone).date() + days * DAY for days in (0, 1, -1))
    return next(day for day in around if midnight(day, zone) <= moment < midnight(day + DAY, zone))


def days_between(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += DAY
