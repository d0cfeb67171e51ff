"""What may be booked, and everything that speaks against it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.scheduling.availability import Availability, Rules
from app.scheduling.decisions import (
    Refusal,
    check_booking,
    explain,
    find_conflicting,
    free_windows,
    relevant_span,
    slots,
)
from app.scheduling.hours import to_availabilities
from app.scheduling.intervals import DAY, HOUR, MINUTE, Interval
from app.scheduling.visits import BookingLimits, VisitType
from app.scheduling.zones import day_span, wall_time
from tests.scheduling.clocks import CAIRO, NEW_YORK, available, away, in_utc, instant, span, starts_in, wall
from tests.scheduling.examples import (
    CHECK_UP,
    HALF_HOUR,
    LONG_AGO,
    MONDAY,
    NEW_PATIENT,
    NINE,
    WHOLE_MONDAY,
    around,
    booked,
)


def test_a_window_until_midnight_offers_its_last_hour() -> None:
    rules = Rules(NEW_YORK, tuple(to_availabilities({0: [(22 * 60, 24 * 60)]}, wall("2026-06-01").date(), None)))
    hour = VisitType(HOUR, step=HOUR)
    found = slots(rules, hour, (), span("2026-06-01T12:00Z", "2026-06-02T12:00Z"), LONG_AGO)
    assert in_utc(found) == ["2026-06-02 02:00–03:00Z", "2026-06-02 03:00–04:00Z"]


def test_windows_that_touch_at_midnight_are_one() -> None:
    monday, tuesday = (
        available("2026-06-01T23:00", "2026-06-02T00:00"),
        available("2026-06-02T00:00", "2026-06-02T01:00"),
    )
    rules = Rules(NEW_YORK, (monday, tuesday))
    over_midnight = span("2026-06-02T03:30Z", "2026-06-02T04:30Z")
    half_hourly = VisitType(HOUR, step=30 * MINUTE)
    assert check_booking(rules, half_hourly, over_midnight, (), LONG_AGO) is None
    assert over_midnight in slots(rules, half_hourly, (), around("2026-06-01", rules), LONG_AGO)


def test_a_day_off_cuts_the_night_before_at_midnight() -> None:
    rules = Rules(
        NEW_YORK,
        (available("2026-06-02T22:00", "2026-06-03T02:00", "FREQ=WEEKLY;BYDAY=TU,WE"),),
        (away("2026-06-03T00:00", "2026-06-04T00:00"),),
    )
    found = slots(rules, HALF_HOUR, (), span("2026-06-02T12:00Z", "2026-06-05T00:00Z"), LONG_AGO)
    assert starts_in(NEW_YORK, found) == ["22:00", "22:30", "23:00", "23:30", "00:00", "00:30", "01:00", "01:30"]
    assert found[3][1] == instant("2026-06-03T04:00Z")
    assert found[4][0] == instant("2026-06-04T04:00Z")
    over_midnight = span("2026-06-03T03:30Z", "2026-06-03T04:30Z")
    assert explain(rules, VisitType(HOUR), over_midnight, (), LONG_AGO) == [Refusal.TIME_OFF]


@pytest.mark.parametrize("day", ["2026-04-24", "2026-10-29"])
def test_a_day_off_takes_the_whole_day_where_midnight_is_special(day: str) -> None:
    begin = wall(day) - timedelta(days=1)
    rules = Rules(CAIRO, (available(begin.isoformat(), wall(day).isoformat(), "FREQ=DAILY"),))
    closed = replace(rules, time_off=(away(day, (wall(day) + timedelta(days=1)).isoformat()),))
    nearby = around(day, rules)
    free = free_windows(closed, VisitType(HOUR), (), nearby, LONG_AGO)
    first, last = day_span(wall(day).date(), CAIRO)
    assert free == [(nearby[0], first), (last, nearby[1])]


@pytest.mark.parametrize(
    ("minutes", "refusal"),
    [
        ((0, 30), None),
        ((450, 480), None),
        ((-1, 29), Refusal.OUTSIDE_AVAILABILITY),
        ((451, 481), Refusal.OUTSIDE_AVAILABILITY),
        ((480, 510), Refusal.OUTSIDE_AVAILABILITY),
        ((-600, -540), Refusal.OUTSIDE_AVAILABILITY),
    ],
)
def test_a_visit_must_lie_in_the_open_time(minutes: Interval, refusal: Refusal | None) -> None:
    visit = NINE + minutes[0] * MINUTE, NINE + minutes[1] * MINUTE
    assert check_booking(MONDAY, VisitType(30 * MINUTE), visit, (), LONG_AGO) == refusal


def test_a_doctor_without_hours_offers_nothing() -> None:
    assert slots(Rules(NEW_YORK, ()), HALF_HOUR, (), WHOLE_MONDAY, LONG_AGO) == []
    assert free_windows(Rules(NEW_YORK, ()), HALF_HOUR, (), WHOLE_MONDAY, LONG_AGO) == []


def test_a_year_in_which_nothing_is_free_is_soon_looked_through() -> None:
    rules = Rules(
        NEW_YORK,
        (available("2026-01-01T00:00", "2026-01-02T00:00", "FREQ=DAILY"),),
        (away("2026-01-01T00:00", "2027-01-01T00:00"),),
    )
    year = span("2026-01-01T05:00Z", "2027-01-01T05:00Z")
    assert slots(rules, HALF_HOUR, (), year, LONG_AGO) == []


def test_a_visit_that_is_going_on_still_blocks() -> None:
    now = NINE + 10 * MINUTE
    hour = VisitType(HOUR, step=30 * MINUTE)
    found = slots(MONDAY, hour, [booked(hour, NINE)], WHOLE_MONDAY, now)
    assert found[0][0] == NINE + HOUR
    half_past = NINE + 30 * MINUTE, NINE + 90 * MINUTE
    assert explain(MONDAY, hour, half_past, [booked(hour, NINE)], now) == [Refusal.SLOT_TAKEN]


def test_a_long_visit_blocks_all_the_starts_that_it_covers() -> None:
    quarterly = VisitType(15 * MINUTE, step=15 * MINUTE)
    found = slots(MONDAY, quarterly, [booked(VisitType(70 * MINUTE), NINE + HOUR)], WHOLE_MONDAY, LONG_AGO)
    assert starts_in(NEW_YORK, found)[3:5] == ["09:45", "11:15"]


def test_visits_that_touch_are_no_conflict() -> None:
    taken = [booked(HALF_HOUR, NINE), booked(HALF_HOUR, NINE + HOUR)]
    between = NINE + 30 * MINUTE, NINE + HOUR
    assert explain(MONDAY, HALF_HOUR, between, taken, LONG_AGO) == []
    assert free_windows(MONDAY, HALF_HOUR, taken, WHOLE_MONDAY, LONG_AGO)[0] == between


def test_between_two_visits_lie_the_buffers_of_both_in_their_order() -> None:
    check_up = VisitType(30 * MINUTE, CHECK_UP, buffer_after=10 * MINUTE)
    new_patient = VisitType(30 * MINUTE, NEW_PATIENT)
    ten = NINE + HOUR
    taken = [booked(check_up, ten)]
    assert free_windows(MONDAY, new_patient, taken, WHOLE_MONDAY, LONG_AGO) == [
        (NINE, ten),
        (ten + 40 * MINUTE, NINE + 8 * HOUR),
    ]
    taken = [booked(new_patient, ten)]
    assert free_windows(MONDAY, check_up, taken, WHOLE_MONDAY, LONG_AGO) == [
        (NINE, ten - 10 * MINUTE),
        (ten + 30 * MINUTE, NINE + 8 * HOUR),
    ]
    careful = VisitType(30 * MINUTE, buffer_before=20 * MINUTE)
    taken = [booked(check_up, ten)]
    assert free_windows(MONDAY, careful, taken, WHOLE_MONDAY, LONG_AGO) == [
        (NINE, ten),
        (ten + 60 * MINUTE, NINE + 8 * HOUR),
    ]


def test_buffers_may_lie_outside_the_hours_in_time_off_and_before_now() -> None:
    buffered = VisitType(HOUR, buffer_before=30 * MINUTE, buffer_after=30 * MINUTE, step=HOUR)
    rules = replace(MONDAY, time_off=(away("2026-06-01T11:00", "2026-06-01T12:00"),))
    found = slots(rules, buffered, (), WHOLE_MONDAY, NINE)
    assert starts_in(NEW_YORK, found) == ["09:00", "10:00", "12:00", "13:00", "14:00", "15:00", "16:00"]


def test_a_neighbour_outside_the_span_reaches_into_it_with_its_buffer() -> None:
    eleven = NINE + 2 * HOUR
    asked = eleven, eleven + HOUR
    before = booked(VisitType(30 * MINUTE, buffer_after=15 * MINUTE), eleven - 30 * MINUTE)
    after = booked(VisitType(30 * MINUTE, buffer_before=15 * MINUTE), eleven + HOUR)
    buffered = VisitType(15 * MINUTE, buffer_before=5 * MINUTE, buffer_after=5 * MINUTE, step=5 * MINUTE)
    assert relevant_span(MONDAY, buffered, asked) == (eleven - 5 * MINUTE, eleven + HOUR + 5 * MINUTE)
    assert free_windows(MONDAY, buffered, [before, after], asked, LONG_AGO) == [
        (eleven + 20 * MINUTE, eleven + 40 * MINUTE)
    ]
    found = slots(MONDAY, buffered, [before, after], asked, LONG_AGO)
    assert starts_in(NEW_YORK, found) == ["11:20", "11:25"]


def test_every_reason_is_told_the_weightiest_first() -> None:
    rules = Rules(
        NEW_YORK,
        (available("2026-06-01T09:00", "2026-06-01T17:00"),),
        (away("2026-06-01T10:00", "2026-06-01T11:00"),),
        BookingLimits(min_notice=DAY, max_advance_days=0, per_day=1),
    )
    visit = NINE + 70 * MINUTE, NINE + 100 * MINUTE
    taken = [booked(HALF_HOUR, NINE + 90 * MINUTE)]
    assert explain(rules, HALF_HOUR, visit, taken, now=NINE) == [
        Refusal.TOO_SOON,
        Refusal.TIME_OFF,
        Refusal.OFF_GRID,
        Refusal.DAY_FULL,
        Refusal.SLOT_TAKEN,
    ]
    assert check_booking(rules, HALF_HOUR, visit, taken, now=NINE) is Refusal.TOO_SOON
    assert explain(rules, HALF_HOUR, visit, (), now=NINE + 80 * MINUTE) == [
        Refusal.IN_THE_PAST,
        Refusal.TOO_SOON,
        Refusal.TIME_OFF,
        Refusal.OFF_GRID,
    ]
    at_night = NINE + 10 * HOUR, NINE + 10 * HOUR + 30 * MINUTE
    assert explain(rules, HALF_HOUR, at_night, taken, now=NINE - 2 * DAY) == [
        Refusal.TOO_FAR_AHEAD,
        Refusal.OUTSIDE_AVAILABILITY,
        Refusal.DAY_FULL,
    ]


def test_what_is_booked_keeps_its_instant_when_the_doctor_moves() -> None:
    rules = Rules(NEW_YORK, (available("2026-06-01T09:00", "2026-06-01T17:00", "FREQ=DAILY"),))
    taken = [booked(HALF_HOUR, NINE)]
    moved = replace(rules, zone=CAIRO)  # 09:00 in New York is 16:00 in Cairo
    found = slots(moved, HALF_HOUR, taken, span("2026-06-01T00:00Z", "2026-06-02T00:00Z"), LONG_AGO)
    assert starts_in(CAIRO, found)[0] == "09:00"
    assert "15:30" in starts_in(CAIRO, found)
    assert "16:00" not in starts_in(CAIRO, found)


def test_visits_that_are_left_outside_of_the_hours_are_found_whatever_the_limits() -> None:
    rules = Rules(
        NEW_YORK,
        (available("2026-06-01T09:00", "2026-06-01T17:00", "FREQ=DAILY"),),
        (away("2026-07-06T12:00", "2026-07-07T00:00"),),
        BookingLimits(min_notice=DAY, max_advance_days=1, per_day=1),
    )
    visits = {
        "inside": span("2026-06-01T13:00Z", "2026-06-01T14:00Z"),
        "until the end": span("2026-06-01T20:00Z", "2026-06-01T21:00Z"),
        "over the end": span("2026-06-01T20:30Z", "2026-06-01T21:30Z"),
        "over the beginning": span("2026-07-06T12:30Z", "2026-07-06T13:30Z"),
        "before time off": span("2026-07-06T15:00Z", "2026-07-06T16:00Z"),
        "into time off": span("2026-07-06T15:30Z", "2026-07-06T16:30Z"),
        "at night": span("2027-07-06T02:00Z", "2027-07-06T03:00Z"),
    }
    assert find_conflicting(rules, visits.items()) == [
        "over the end",
        "over the beginning",
        "into time off",
        "at night",
    ]
    assert find_conflicting(rules, ()) == []


def test_a_visit_inside_of_the_hours_never_conflicts_wherever_it_lies() -> None:
    rules = Rules(NEW_YORK, (available("2026-06-01T00:00", "2026-06-02T00:00", "FREQ=DAILY"),))
    visits = [(start, start + 12 * HOUR) for start in range(NINE, NINE + 70 * DAY, 6 * HOUR)]
    assert find_conflicting(rules, [(visit, visit) for visit in visits]) == []


def test_a_visit_over_the_end_of_the_hours_conflicts_wherever_it_lies() -> None:
    for end in range(NINE, NINE + 70 * DAY, HOUR):
        hour = Availability(wall_time(end - HOUR, NEW_YORK), wall_time(end, NEW_YORK))
        visit = end - 30 * MINUTE, end + 30 * MINUTE
        assert find_conflicting(Rules(NEW_YORK, (hour,)), [("over the end", visit)]) == ["over the end"]
