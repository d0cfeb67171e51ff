"""Half-open intervals of instants, and the operations on them that scheduling needs.

An instant is an integer: microseconds since 1970-01-01T00:00:00Z. Integers compare and subtract exactly. Python
subtracts two aware datetimes of the same zone as wall times, which is an hour wrong across a change of daylight
saving time.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

type Interval = tuple[int, int]
"""``[start, end)``: intervals that touch do not overlap."""

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_instant(moment: datetime) -> int:
    """Return the instant of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def from_instant(instant: int) -> datetime:
    """Return an instant as an aware datetime in UTC."""
    return _EPOCH + instant * _MICROSECOND


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the union: sorted, with overlapping and touching intervals joined and empty ones dropped."""
    ordered = sorted([each for each in intervals if each[0] < each[1]])
    if not ordered:
        return []
    merged: list[Interval] = []
    first, last = ordered[0]
    for start, end in ordered:
        if start > last:
            merged.append((first, last))
            first, last = start, end
        elif end > last:
            last = end
    return [*merged, (first, last)]


def overlaps(interval: Interval, others: Iterable[Interval]) -> bool:
    """Return whether ``interval`` shares time with any of the others. Empty intervals overlap nothing."""
    first, last = interval
    return any(max(start, first) < min(end, last) for start, end in others)


def clip(intervals: Iterable[Interval], span: Interval) -> list[Interval]:
    """Return the parts of ``intervals`` that lie inside ``span``, in the given order."""
    first, last = span
    return [(lower, upper) for start, end in intervals if (lower := max(start, first)) < (upper := min(end, last))]


def subtract(intervals: Sequence[Interval], holes: Sequence[Interval]) -> list[Interval]:
    """Return ``intervals`` without ``holes``. Arguments and result are as ``merge`` returns them: sorted, disjoint."""
    remaining: list[Interval] = []
    position = 0
    for start, end in intervals:
        while position < len(holes) and holes[position][1] <= start:
            position += 1
        rest = start
        at = position
        while at < len(holes) and holes[at][0] < end:
            if rest < holes[at][0]:
                remaining.append((rest, holes[at][0]))
            rest = holes[at][1]
            at += 1
        if rest < end:
            remaining.append((rest, end))
    return remaining
