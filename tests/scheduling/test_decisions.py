"""Which times can be booked, and the reasons why others cannot."""

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
from tests.scheduling.clocks import (
    CAIRO,
    NEW_YORK,
    format_in_utc,
    instant,
    local_starts,
    make_availability,
    make_time_off,
    span,
    wall,
)
from tests.scheduling.examples import (
    CHECK_UP,
    HALF_HOUR,
    LONG_AGO,
    NEW_PATIENT,
    NINE,
    OPEN_MONDAY,
    WHOLE_MONDAY,
    days_around,
    make_busy_period,
)


def test_window_until_midnight_has_a_slot_in_its_last_hour() -> None:
    rules = Rules(NEW_YORK, tuple(to_availabilities({0: [(22 * 60, 24 * 60)]}, wall("2026-06-01").date(), None)))
    hour = VisitType(HOUR, step=HOUR)
    found = slots(rules, hour, (), span("2026-06-01T12:00Z", "2026-06-02T12:00Z"), LONG_AGO)
    assert format_in_utc(found) == ["2026-06-02 02:00–03:00Z", "2026-06-02 03:00–04:00Z"]


def test_visit_can_span_two_windows_that_touch_at_midnight() -> None:
    monday, tuesday = (
        make_availability("2026-06-01T23:00", "2026-06-02T00:00"),
        make_availability("2026-06-02T00:00", "2026-06-02T01:00"),
    )
    rules = Rules(NEW_YORK, (monday, tuesday))
    over_midnight = span("2026-06-02T03:30Z", "2026-06-02T04:30Z")
    half_hourly = VisitType(HOUR, step=30 * MINUTE)
    assert check_booking(rules, half_hourly, over_midnight, (), LONG_AGO) is None
    assert over_midnight in slots(rules, half_hourly, (), days_around("2026-06-01", rules), LONG_AGO)


def test_day_off_ends_the_window_of_the_night_before_at_midnight() -> None:
    rules = Rules(
        NEW_YORK,
        (make_availability("2026-06-02T22:00", "2026-06-03T02:00", "FREQ=WEEKLY;BYDAY=TU,WE"),),
        (make_time_off("2026-06-03T00:00", "2026-06-04T00:00"),),
    )
    found = slots(rules, HALF_HOUR, (), span("2026-06-02T12:00Z", "2026-06-05T00:00Z"), LONG_AGO)
    assert local_starts(NEW_YORK, found) == ["22:00", "22:30", "23:00", "23:30", "00:00", "00:30", "01:00", "01:30"]
    assert found[3][1] == instant("2026-06-03T04:00Z")
    assert found[4][0] == instant("2026-06-04T04:00Z")
    over_midnight = span("2026-06-03T03:30Z", "2026-06-03T04:30Z")
    assert explain(rules, VisitType(HOUR), over_midnight, (), LONG_AGO) == [Refusal.TIME_OFF]


@pytest.mark.parametrize("day", ["2026-04-24", "2026-10-29"])
def test_day_off_covers_the_whole_day_when_clocks_change_at_midnight(day: str) -> None:
    begin = wall(day) - timedelta(days=1)
    rules = Rules(CAIRO, (make_availability(begin.isoformat(), wall(day).isoformat(), "FREQ=DAILY"),))
    closed = replace(rules, time_off=(make_time_off(day, (wall(day) + timedelta(days=1)).isoformat()),))
    nearby = days_around(day, rules)
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
    ids=str,
)
def test_visit_must_lie_inside_the_window(minutes: Interval, refusal: Refusal | None) -> None:
    visit = NINE + minutes[0] * MINUTE, NINE + minutes[1] * MINUTE
    assert check_booking(OPEN_MONDAY, VisitType(30 * MINUTE), visit, (), LONG_AGO) == refusal


def test_doctor_without_availability_has_no_slots() -> None:
    assert slots(Rules(NEW_YORK, ()), HALF_HOUR, (), WHOLE_MONDAY, LONG_AGO) == []
    assert free_windows(Rules(NEW_YORK, ()), HALF_HOUR, (), WHOLE_MONDAY, LONG_AGO) == []


def test_year_of_time_off_has_no_slots() -> None:
    rules = Rules(
        NEW_YORK,
        (make_availability("2026-01-01T00:00", "2026-01-02T00:00", "FREQ=DAILY"),),
        (make_time_off("2026-01-01T00:00", "2027-01-01T00:00"),),
    )
    year = span("2026-01-01T05:00Z", "2027-01-01T05:00Z")
    assert slots(rules, HALF_HOUR, (), year, LONG_AGO) == []


def test_visit_in_progress_blocks_its_time() -> None:
    now = NINE + 10 * MINUTE
    hour = VisitType(HOUR, step=30 * MINUTE)
    found = slots(OPEN_MONDAY, hour, [make_busy_period(hour, NINE)], WHOLE_MONDAY, now)
    assert found[0][0] == NINE + HOUR
    half_past = NINE + 30 * MINUTE, NINE + 90 * MINUTE
    assert explain(OPEN_MONDAY, hour, half_past, [make_busy_period(hour, NINE)], now) == [Refusal.SLOT_TAKEN]


def test_long_visit_blocks_all_starts_that_it_covers() -> None:
    quarterly = VisitType(15 * MINUTE, step=15 * MINUTE)
    found = slots(
        OPEN_MONDAY, quarterly, [make_busy_period(VisitType(70 * MINUTE), NINE + HOUR)], WHOLE_MONDAY, LONG_AGO
    )
    assert local_starts(NEW_YORK, found)[3:5] == ["09:45", "11:15"]


def test_visits_that_touch_do_not_conflict() -> None:
    busy = [make_busy_period(HALF_HOUR, NINE), make_busy_period(HALF_HOUR, NINE + HOUR)]
    between = NINE + 30 * MINUTE, NINE + HOUR
    assert explain(OPEN_MONDAY, HALF_HOUR, between, busy, LONG_AGO) == []
    assert free_windows(OPEN_MONDAY, HALF_HOUR, busy, WHOLE_MONDAY, LONG_AGO)[0] == between


def test_gap_between_two_visits_is_the_buffer_after_the_first_and_before_the_second() -> None:
    check_up = VisitType(30 * MINUTE, CHECK_UP, buffer_after=10 * MINUTE)
    new_patient = VisitType(30 * MINUTE, NEW_PATIENT)
    ten = NINE + HOUR
    busy = [make_busy_period(check_up, ten)]
    assert free_windows(OPEN_MONDAY, new_patient, busy, WHOLE_MONDAY, LONG_AGO) == [
        (NINE, ten),
        (ten + 40 * MINUTE, NINE + 8 * HOUR),
    ]
    busy = [make_busy_period(new_patient, ten)]
    assert free_windows(OPEN_MONDAY, check_up, busy, WHOLE_MONDAY, LONG_AGO) == [
        (NINE, ten - 10 * MINUTE),
        (ten + 30 * MINUTE, NINE + 8 * HOUR),
    ]
    careful = VisitType(30 * MINUTE, buffer_before=20 * MINUTE)
    busy = [make_busy_period(check_up, ten)]
    assert free_windows(OPEN_MONDAY, careful, busy, WHOLE_MONDAY, LONG_AGO) == [
        (NINE, ten),
        (ten + 60 * MINUTE, NINE + 8 * HOUR),
    ]


def test_buffers_may_lie_outside_the_windows_in_time_off_and_before_now() -> None:
    buffered = VisitType(HOUR, buffer_before=30 * MINUTE, buffer_after=30 * MINUTE, step=HOUR)
    rules = replace(OPEN_MONDAY, time_off=(make_time_off("2026-06-01T11:00", "2026-06-01T12:00"),))
    found = slots(rules, buffered, (), WHOLE_MONDAY, NINE)
    assert local_starts(NEW_YORK, found) == ["09:00", "10:00", "12:00", "13:00", "14:00", "15:00", "16:00"]


def test_buffer_of_a_visit_outside_the_span_blocks_time_inside() -> None:
    eleven = NINE + 2 * HOUR
    hour = eleven, eleven + HOUR
    before = make_busy_period(VisitType(30 * MINUTE, buffer_after=15 * MINUTE), eleven - 30 * MINUTE)
    after = make_busy_period(VisitType(30 * MINUTE, buffer_before=15 * MINUTE), eleven + HOUR)
    buffered = VisitType(15 * MINUTE, buffer_before=5 * MINUTE, buffer_after=5 * MINUTE, step=5 * MINUTE)
    assert relevant_span(OPEN_MONDAY, buffered, hour) == (eleven - 5 * MINUTE, eleven + HOUR + 5 * MINUTE)
    assert free_windows(OPEN_MONDAY, buffered, [before, after], hour, LONG_AGO) == [
        (eleven + 20 * MINUTE, eleven + 40 * MINUTE)
    ]
    found = slots(OPEN_MONDAY, buffered, [before, after], hour, LONG_AGO)
    assert local_starts(NEW_YORK, found) == ["11:20", "11:25"]


def test_explain_returns_every_refusal_in_order_of_weight() -> None:
    rules = Rules(
        NEW_YORK,
        (make_availability("2026-06-01T09:00", "2026-06-01T17:00"),),
        (make_time_off("2026-06-01T10:00", "2026-06-01T11:00"),),
        BookingLimits(min_notice=DAY, max_advance_days=0, per_day=1),
    )
    visit = NINE + 70 * MINUTE, NINE + 100 * MINUTE
    busy = [make_busy_period(HALF_HOUR, NINE + 90 * MINUTE)]
    assert explain(rules, HALF_HOUR, visit, busy, now=NINE) == [
        Refusal.TOO_SOON,
        Refusal.TIME_OFF,
        Refusal.OFF_GRID,
        Refusal.DAY_FULL,
        Refusal.SLOT_TAKEN,
    ]
    assert check_booking(rules, HALF_HOUR, visit, busy, now=NINE) is Refusal.TOO_SOON
    assert explain(rules, HALF_HOUR, visit, (), now=NINE + 80 * MINUTE) == [
        Refusal.IN_THE_PAST,
        Refusal.TOO_SOON,
        Refusal.TIME_OFF,
        Refusal.OFF_GRID,
    ]
    at_night = NINE + 10 * HOUR, NINE + 10 * HOUR + 30 * MINUTE
    assert explain(rules, HALF_HOUR, at_night, busy, now=NINE - 2 * DAY) == [
        Refusal.TOO_FAR_AHEAD,
        Refusal.OUTSIDE_AVAILABILITY,
        Refusal.DAY_FULL,
    ]


def test_booked_visit_keeps_its_instant_when_the_time_zone_changes() -> None:
    rules = Rules(NEW_YORK, (make_availability("2026-06-01T09:00", "2026-06-01T17:00", "FREQ=DAILY"),))
    busy = [make_busy_period(HALF_HOUR, NINE)]
    in_cairo = replace(rules, zone=CAIRO)  # 09:00 in New York is 16:00 in Cairo
    found = slots(in_cairo, HALF_HOUR, busy, span("2026-06-01T00:00Z", "2026-06-02T00:00Z"), LONG_AGO)
    assert local_starts(CAIRO, found)[0] == "09:00"
    assert "15:30" in local_starts(CAIRO, found)
    assert "16:00" not in local_starts(CAIRO, found)


def test_visits_outside_the_windows_conflict_regardless_of_limits() -> None:
    rules = Rules(
        NEW_YORK,
        (make_availability("2026-06-01T09:00", "2026-06-01T17:00", "FREQ=DAILY"),),
        (make_time_off("2026-07-06T12:00", "2026-07-07T00:00"),),
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


def test_visit_inside_the_windows_never_conflicts() -> None:
    rules = Rules(NEW_YORK, (make_availability("2026-06-01T00:00", "2026-06-02T00:00", "FREQ=DAILY"),))
    visits = [(start, start + 12 * HOUR) for start in range(NINE, NINE + 70 * DAY, 6 * HOUR)]
    assert find_conflicting(rules, [(visit, visit) for visit in visits]) == []


def test_visit_that_ends_after_the_window_always_conflicts() -> None:
    for end in range(NINE, NINE + 70 * DAY, HOUR):
        until_end = Availability(wall_time(end - HOUR, NEW_YORK), wall_time(end, NEW_YORK))
        visit = end - 30 * MINUTE, end + 30 * MINUTE
        assert find_conflicting(Rules(NEW_YORK, (until_end,)), [("over the end", visit)]) == ["over the end"]
