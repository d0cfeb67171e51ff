"""The algebra of intervals, compared with sets of single instants."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.intervals import Interval, clip, from_instant, merge, overlaps, subtract, to_instant

INTERVALS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)))
SPAN = st.tuples(st.integers(0, 30), st.integers(0, 30))


def points(intervals: list[Interval]) -> set[int]:
    return {point for start, end in intervals for point in range(start, end)}


@given(INTERVALS)
def test_merge_keeps_every_point_and_returns_separate_intervals(intervals: list[Interval]) -> None:
    merged = merge(intervals)
    assert points(merged) == points(intervals)
    assert all(start < end for start, end in merged)
    assert all(before[1] < after[0] for before, after in pairwise(merged))


@given(INTERVALS, SPAN)
def test_clip_keeps_the_points_inside(intervals: list[Interval], span: Interval) -> None:
    assert points(clip(intervals, span)) == points(intervals) & points([span])


@given(INTERVALS, SPAN)
def test_clip_keeps_the_order_and_drops_empty_intervals(intervals: list[Interval], span: Interval) -> None:
    inside = [each for each in intervals if points([each]) & points([span])]
    assert clip(intervals, span) == [(max(start, span[0]), min(end, span[1])) for start, end in inside]


@given(INTERVALS, INTERVALS)
def test_subtract_removes_the_points_of_the_holes(intervals: list[Interval], holes: list[Interval]) -> None:
    left = subtract(merge(intervals), merge(holes))
    assert points(left) == points(intervals) - points(holes)
    assert left == merge(left)


@given(SPAN, INTERVALS)
def test_overlaps_is_true_if_a_point_is_shared(interval: Interval, others: list[Interval]) -> None:
    assert overlaps(interval, others) == bool(points([interval]) & points(others))


def test_touching_intervals_are_merged_and_do_not_overlap() -> None:
    assert merge([(5, 9), (1, 5)]) == [(1, 9)]
    assert not overlaps((1, 5), [(5, 9)])
    assert not overlaps((5, 9), [(1, 5)])


def test_one_hole_can_span_several_intervals() -> None:
    assert subtract([(0, 4), (5, 9), (10, 14)], [(3, 11)]) == [(0, 3), (11, 14)]


@given(st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2999-12-31")), st.integers(-840, 840))
def test_instant_is_exact_to_the_microsecond(wall: datetime, offset: int) -> None:
    moment = wall.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert from_instant(to_instant(moment)) == moment
    assert from_instant(to_instant(moment)).tzinfo is UTC
