"""Who comes first where several could."""

from collections import Counter
from uuid import UUID

from app.scheduling.intervals import HOUR
from app.scheduling.tie_break import RING_SIZE, ring_position, tie_break_at

# Ids as they come: one after the other.
PLACES = [ring_position(UUID(int=(0x019ABCDEF0127345 << 64) + number)) for number in range(10)]


def test_everybody_has_another_turn_and_keeps_it() -> None:
    turns = [tie_break_at(place, 9 * HOUR) for place in PLACES]
    assert len(set(turns)) == 10
    assert all(0 <= turn < RING_SIZE for turn in turns)
    assert turns == [tie_break_at(place, 9 * HOUR) for place in PLACES]


def test_everybody_is_the_first_as_often_as_the_gap_before_her_place_says() -> None:
    hours = 4000
    firsts = Counter(min(PLACES, key=lambda place: tie_break_at(place, hour * HOUR)) for hour in range(hours))
    ring = sorted(PLACES)
    for before, place in zip([ring[-1] - RING_SIZE, *ring], ring, strict=False):
        assert abs(firsts[place] / hours - (place - before) / RING_SIZE) < 0.03


def test_they_come_in_the_order_of_the_ring() -> None:
    turns = sorted(PLACES, key=lambda place: tie_break_at(place, HOUR))
    ring = sorted(PLACES)
    begins = ring.index(turns[0])
    assert turns == ring[begins:] + ring[:begins]
