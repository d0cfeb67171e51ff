"""What is offered is what is accepted."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.availability import Availability, Rules, open_windows, window
from app.scheduling.decisions import (
    Refusal,
    check_booking,
    check_cancel,
    free_windows,
)
from app.scheduling.intervals import DAY, HOUR, MINUTE, Interval, from_instant, to_instant
from app.scheduling.status import AppointmentStatus
from app.scheduling.zones import wall_time

ZONE = ZoneInfo("America/New_York")
# The night in which New York's clocks go back lies in the middle.
START = to_instant(datetime(2026, 10, 31, tzinfo=UTC))
SPAN = (START, START + 2 * DAY)


def availability(interval: Interval) -> Availability:
    return Availability(wall_time(interval[0], ZONE), wall_time(interval[1], ZONE))


quarters = st.integers(0, 2 * 96).map(lambda quarter: START + quarter * 15 * MINUTE)
stretches = st.tuples(quarters, quarters).filter(lambda stretch: stretch[0] < stretch[1])
worlds = st.tuples(st.lists(stretches, max_size=6), st.lists(stretches, max_size=6), quarters)


@given(worlds, stretches)
def test_every_listed_time_books_and_no_other_does(
    world: tuple[list[Interval], list[Interval], int], visit: Interval
) -> None:
    opened, busy, now = world
    rules = Rules(ZONE, tuple(map(availability, opened)))
    listed = any(start <= visit[0] and visit[1] <= end for start, end in free_windows(rules, busy, SPAN, now))
    # The rules decide here; what is busy is decided by the guard in the database, by this same condition.
    guarded = any(start < visit[1] and visit[0] < end for start, end in busy)
    accepted = check_booking(rules, visit, now) is None and not guarded
    assert listed == accepted


@given(worlds)
def test_free_time_agrees_with_asking_minute_by_minute(world: tuple[list[Interval], list[Interval], int]) -> None:
    opened, busy, now = world
    rules = Rules(ZONE, tuple(map(availability, opened)))
    free = free_windows(rules, busy, SPAN, now)
    for minute in range(SPAN[0], SPAN[1], 15 * MINUTE):
        expected = (
            any(start <= minute < end for start, end in opened)
            and not any(start <= minute < end for start, end in busy)
            and minute >= now
        )
        assert any(start <= minute < end for start, end in free) == expected


def test_windows_that_touch_at_midnight_are_one() -> None:
    midnight = START + 4 * HOUR
    rules = Rules(ZONE, (availability((midnight - HOUR, midnight)), availability((midnight, midnight + HOUR))))
    assert check_booking(rules, (midnight - 30 * MINUTE, midnight + 30 * MINUTE), START) is None


@pytest.mark.parametrize(
    ("visit", "refusal"),
    [
        ((0, 30), None),
        ((450, 480), None),
        ((-1, 29), Refusal.OUTSIDE_AVAILABILITY),
        ((451, 481), Refusal.OUTSIDE_AVAILABILITY),
        ((-600, -540), Refusal.IN_THE_PAST),
        ((480, 510), Refusal.OUTSIDE_AVAILABILITY),
    ],
)
def test_a_visit_must_lie_in_the_open_time(visit: Interval, refusal: Refusal | None) -> None:
    opening = START + 10 * HOUR
    rules = Rules(ZONE, (availability((opening, opening + 8 * HOUR)),))
    minutes = (opening + visit[0] * MINUTE, opening + visit[1] * MINUTE)
    assert check_booking(rules, minutes, now=START + HOUR) == refusal


def test_a_visit_may_start_this_very_moment_but_not_before() -> None:
    rules = Rules(ZONE, (availability((START, START + HOUR)),))
    visit = (START, START + 30 * MINUTE)
    assert check_booking(rules, visit, now=START) is None
    assert check_booking(rules, visit, now=START + 1) is Refusal.IN_THE_PAST


def test_what_is_over_is_not_offered() -> None:
    rules = Rules(ZONE, (availability((START, START + 2 * HOUR)),))
    assert free_windows(rules, [], SPAN, now=START + HOUR) == [(START + HOUR, START + 2 * HOUR)]
    assert free_windows(rules, [], SPAN, now=START + 2 * HOUR) == []


@pytest.mark.parametrize("minutes", [0, 30, 60, 90, 120])
def test_a_window_keeps_its_instants_on_the_night_the_clocks_go_back(minutes: int) -> None:
    start = to_instant(datetime(2026, 11, 1, 5, tzinfo=UTC)) + minutes * MINUTE
    assert window(availability((start, start + HOUR)), ZONE) == (start, start + HOUR)
    assert open_windows(Rules(ZONE, (availability((start, start + HOUR)),)), SPAN) == [(start, start + HOUR)]


def test_a_window_posted_over_the_gap_has_the_hours_that_exist() -> None:
    start = datetime(2026, 3, 8, 6, tzinfo=UTC)  # 01:00 in New York; 03:00 comes an hour later
    opened = window(availability((to_instant(start), to_instant(start + timedelta(hours=2)))), ZONE)
    assert [from_instant(instant).astimezone(ZONE).hour for instant in opened] == [1, 4]


@pytest.mark.parametrize(
    ("status", "by_patient", "minutes_to_start", "refusal"),
    [
        (AppointmentStatus.BOOKED, True, 1, None),
        (AppointmentStatus.BOOKED, True, 0, Refusal.ALREADY_STARTED),
        (AppointmentStatus.BOOKED, True, -60, Refusal.ALREADY_STARTED),
        (AppointmentStatus.BOOKED, False, -60, None),
        (AppointmentStatus.ARRIVED, True, 1, Refusal.WRONG_STATUS),
        (AppointmentStatus.FULFILLED, False, -60, Refusal.WRONG_STATUS),
        (AppointmentStatus.NOSHOW, False, -60, Refusal.WRONG_STATUS),
    ],
)
def test_who_may_cancel_and_until_when(
    status: AppointmentStatus, by_patient: bool, minutes_to_start: int, refusal: Refusal | None
) -> None:
    start = START + minutes_to_start * MINUTE
    assert check_cancel(status, start, START, by_patient=by_patient) == refusal


def test_only_cancelled_and_missed_visits_free_their_time() -> None:
    assert {status for status in AppointmentStatus if not status.occupies_time} == {
        AppointmentStatus.CANCELLED,
        AppointmentStatus.NOSHOW,
    }
