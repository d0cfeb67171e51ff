"""The order of doctors whose next slots start together."""

from collections import Counter
from uuid import UUID

from app.scheduling.intervals import HOUR
from app.scheduling.tie_break import RING_SIZE, ring_position, tie_break_at

# Consecutive ids, as version 7 makes them within a millisecond.
POSITIONS = [ring_position(UUID(int=(0x019ABCDEF0127345 << 64) + number)) for number in range(10)]


def test_tie_breaks_are_distinct_and_inside_the_ring() -> None:
    tie_breaks = [tie_break_at(position, 9 * HOUR) for position in POSITIONS]
    assert len(set(tie_breaks)) == 10
    assert all(0 <= tie_break < RING_SIZE for tie_break in tie_breaks)


def test_share_of_first_places_is_the_gap_before_the_position() -> None:
    hours = 4000
    firsts = Counter(min(POSITIONS, key=lambda each: tie_break_at(each, hour * HOUR)) for hour in range(hours))
    ring = sorted(POSITIONS)
    for before, position in zip([ring[-1] - RING_SIZE, *ring], ring, strict=False):
        assert abs(firsts[position] / hours - (position - before) / RING_SIZE) < 0.03


def test_tie_breaks_keep_the_order_of_the_ring() -> None:
    in_order = sorted(POSITIONS, key=lambda position: tie_break_at(position, HOUR))
    ring = sorted(POSITIONS)
    first = ring.index(in_order[0])
    assert in_order == ring[first:] + ring[:first]
