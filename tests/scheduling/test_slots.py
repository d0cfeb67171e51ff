"""The grid of slots, on usual days and on days on which clocks change."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from app.scheduling.availability import Rules
from app.scheduling.decisions import Refusal, explain, slots
from app.scheduling.intervals import DAY, HOUR, MINUTE
from app.scheduling.visits import BusyPeriod, VisitType
from tests.scheduling.clocks import (
    CAIRO,
    HAVANA,
    KOLKATA,
    LORD_HOWE,
    NEW_YORK,
    ST_JOHNS,
    format_in_utc,
    instant,
    local_starts,
    make_availability,
    make_time_off,
    span,
)
from tests.scheduling.examples import (
    HALF_HOUR,
    LONG_AGO,
    NINE,
    OPEN_MONDAY,
    WHOLE_MONDAY,
    days_around,
    make_busy_period,
)


@pytest.mark.parametrize(("step", "last"), [(5, "16:25"), (15, "16:15"), (30, "16:00"), (35, "16:00"), (None, "16:00")])
def test_last_slot_ends_before_the_window_does(step: int | None, last: str) -> None:
    visit_type = VisitType(35 * MINUTE, step=step and step * MINUTE)
    found = slots(OPEN_MONDAY, visit_type, (), WHOLE_MONDAY, LONG_AGO)
    assert local_starts(NEW_YORK, found)[-1] == last


def test_grid_begins_with_the_window_despite_visits_time_off_and_now() -> None:
    rules = replace(OPEN_MONDAY, time_off=(make_time_off("2026-06-01T12:00", "2026-06-01T16:10"),))
    busy = [BusyPeriod(NINE, NINE + 10 * MINUTE, NINE)]
    found = slots(rules, VisitType(20 * MINUTE, step=30 * MINUTE), busy, WHOLE_MONDAY, NINE + 45 * MINUTE)
    assert local_starts(NEW_YORK, found) == ["10:00", "10:30", "11:00", "11:30", "16:30"]


def test_every_window_has_its_own_grid() -> None:
    rules = Rules(
        NEW_YORK,
        (
            make_availability("2026-06-01T09:00", "2026-06-01T10:30"),
            make_availability("2026-06-01T10:10", "2026-06-01T11:00"),
        ),
    )
    found = slots(rules, HALF_HOUR, (), WHOLE_MONDAY, LONG_AGO)
    # The last slot of the first grid ends in the second window.
    assert local_starts(NEW_YORK, found) == ["09:00", "09:30", "10:00", "10:10"]
    longer = replace(HALF_HOUR, duration=40 * MINUTE)
    assert local_starts(NEW_YORK, slots(rules, longer, (), WHOLE_MONDAY, LONG_AGO)) == [
        "09:00",
        "09:30",
        "10:00",
        "10:10",
    ]


def test_start_on_two_grids_is_listed_once() -> None:
    rules = Rules(
        NEW_YORK,
        (
            make_availability("2026-06-01T10:00", "2026-06-01T11:00"),
            make_availability("2026-06-01T09:00", "2026-06-01T11:00"),
        ),
    )
    found = slots(rules, HALF_HOUR, (), WHOLE_MONDAY, LONG_AGO)
    assert local_starts(NEW_YORK, found) == ["09:00", "09:30", "10:00", "10:30"]


def test_start_off_the_grid_is_refused_for_visit_types_with_a_step() -> None:
    off_grid = NINE + 10 * MINUTE, NINE + 40 * MINUTE
    assert explain(OPEN_MONDAY, HALF_HOUR, off_grid, (), LONG_AGO) == [Refusal.OFF_GRID]
    assert explain(OPEN_MONDAY, replace(HALF_HOUR, step=None), off_grid, (), LONG_AGO) == []
    before_nine = NINE - 10 * MINUTE, NINE + 20 * MINUTE
    assert explain(OPEN_MONDAY, HALF_HOUR, before_nine, (), LONG_AGO) == [Refusal.OUTSIDE_AVAILABILITY]


def test_slots_start_inside_the_span() -> None:
    eleven = NINE + 2 * HOUR
    found = slots(OPEN_MONDAY, HALF_HOUR, (), (eleven - MINUTE, eleven + 30 * MINUTE), LONG_AGO)
    assert found == [(eleven, eleven + 30 * MINUTE)]
    assert slots(OPEN_MONDAY, HALF_HOUR, (), (eleven, eleven + 1), LONG_AGO) == found
    assert slots(OPEN_MONDAY, HALF_HOUR, (), (eleven + 1, eleven + 30 * MINUTE), LONG_AGO) == []


def test_skipped_hour_has_no_slots() -> None:
    rules = Rules(NEW_YORK, (make_availability("2026-03-01T01:00", "2026-03-01T04:00", "FREQ=WEEKLY"),))
    found = slots(rules, HALF_HOUR, (), days_around("2026-03-08", rules), LONG_AGO)
    assert local_starts(NEW_YORK, found) == ["01:00", "01:30", "03:00", "03:30"]


def test_repeated_hour_has_two_slots_of_the_same_wall_time() -> None:
    rules = Rules(NEW_YORK, (make_availability("2026-10-25T00:00", "2026-10-25T04:00", "FREQ=WEEKLY"),))
    night = days_around("2026-11-01", rules)
    found = slots(rules, HALF_HOUR, (), night, LONG_AGO)
    assert local_starts(NEW_YORK, found) == [
        *("00:00", "00:30", "01:00", "01:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30")
    ]
    first, second = instant("2026-11-01T05:30Z"), instant("2026-11-01T06:30Z")
    assert {first, second} < {start for start, _ in found}
    for start in (first, second):
        left = slots(rules, HALF_HOUR, [make_busy_period(HALF_HOUR, start)], night, LONG_AGO)
        assert set(found) - set(left) == {(start, start + 30 * MINUTE)}


@pytest.mark.parametrize(
    ("zone", "starts", "ends", "expected"),
    [
        # Clocks go forward and back by half an hour.
        (LORD_HOWE, "2026-10-04T01:00", "2026-10-04T03:00", ["01:00", "01:30", "02:30"]),
        (LORD_HOWE, "2026-04-05T01:00", "2026-04-05T03:00", ["01:00", "01:30", "01:30", "02:00", "02:30"]),
        # A day without midnight, and a day with two.
        (CAIRO, "2026-04-23T23:00", "2026-04-24T02:00", ["23:00", "23:30", "01:00", "01:30"]),
        (HAVANA, "2025-11-01T23:30", "2025-11-02T01:00", ["23:30", "00:00", "00:30", "00:00", "00:30"]),
        # A minute after midnight clocks go back to 23:01.
        (ST_JOHNS, "2010-11-06T23:00", "2010-11-07T00:30", ["23:00", "23:30", "00:00", "23:30", "00:00"]),
        (KOLKATA, "2026-12-08T09:00", "2026-12-08T10:30", ["09:00", "09:30", "10:00"]),
    ],
    ids=str,
)
def test_grid_counts_elapsed_time_when_clocks_change(
    zone: ZoneInfo, starts: str, ends: str, expected: list[str]
) -> None:
    rules = Rules(zone, (make_availability(starts, ends),))
    found = slots(rules, HALF_HOUR, (), days_around(ends[:10], rules), LONG_AGO)
    assert local_starts(zone, found) == expected
    for visit in found:
        assert explain(rules, HALF_HOUR, visit, (), LONG_AGO) == []


def test_grid_begins_with_the_window_in_a_zone_half_an_hour_off_utc() -> None:
    rules = Rules(KOLKATA, (make_availability("2026-12-07T09:00", "2026-12-07T10:00", "FREQ=DAILY"),))
    found = slots(rules, HALF_HOUR, (), span("2026-12-08T00:00Z", "2026-12-09T00:00Z"), LONG_AGO)
    assert format_in_utc(found) == ["2026-12-08 03:30–04:00Z", "2026-12-08 04:00–04:30Z"]


@pytest.mark.parametrize(("evening", "count"), [("2026-03-07", 14), ("2026-06-06", 16), ("2026-10-31", 18)])
def test_night_has_fewer_or_more_slots_when_clocks_change(evening: str, count: int) -> None:
    rules = Rules(NEW_YORK, (make_availability("2026-01-03T22:00", "2026-01-04T06:00", "FREQ=WEEKLY"),))
    begin = instant(f"{evening}T12:00Z")
    assert len(slots(rules, HALF_HOUR, (), (begin, begin + DAY), LONG_AGO)) == count
