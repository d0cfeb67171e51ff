"""Half-open intervals of instants, and the few operations that scheduling is made of.

An instant is an integer: microseconds since 1970-01-01T00:00:00Z. Integers compare and subtract exactly,
where two aware datetimes of one zone are subtracted as wall clocks and are an hour wrong across a change of
daylight saving time.
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
    """The instant of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def from_instant(instant: int) -> datetime:
    """The same moment as a datetime in UTC."""
    return _EPOCH + instant * _MICROSECOND


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """The union, sorted, with overlapping and touching intervals joined and empty ones dropped."""
    ordered = sorted([each for each in intervals if each[0] < each[1]])
    if not ordered:
        return []
    merged: list[Interval] = []
    begin, last = ordered[0]
    for start, end in ordered:
        if start > last:
            merged.append((begin, last))
            begin, last = start, end
        elif end > last:
            last = end
    return [*merged, (begin, last)]


def overlaps(interval: Interval, others: Iterable[Interval]) -> bool:
    """Whether ``interval`` shares time with any of the others. Empty ones share none."""
    first, last = interval
    return any(max(start, first) < min(end, last) for start, end in others)


def clip(intervals: Iterable[Interval], span: Interval) -> list[Interval]:
    """The parts that lie inside ``span``, in the given order."""
    first, last = span
    return [(begin, stop) for start, end in intervals if (begin := max(start, first)) < (stop := min(end, last))]


def subtract(intervals: Sequence[Interval], holes: Sequence[Interval]) -> list[Interval]:
    """What is left of ``intervals`` without ``holes``. Both must be as ``merge`` returns them; so is the answer."""
    left: list[Interval] = []
    position = 0
    for start, end in intervals:
        while position < len(holes) and holes[position][1] <= start:
            position += 1
        cursor = start
        at = position
        while at < len(holes) and holes[at][0] < end:
            if cursor < holes[at][0]:
                left.append((cursor, holes[at][0]))
            cursor = holes[at][1]
            at += 1
        if cursor < end:
            left.append((cursor, end))
    return left
