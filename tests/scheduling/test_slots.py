"""Which visits are offered: the grid, on usual days and on those on which clocks change."""

from dataclasses import replace

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
    available,
    away,
    in_utc,
    instant,
    span,
    starts_in,
)
from tests.scheduling.examples import HALF_HOUR, LONG_AGO, MONDAY, NINE, WHOLE_MONDAY, around, booked


@pytest.mark.parametrize(("step", "last"), [(5, "16:25"), (15, "16:15"), (30, "16:00"), (35, "16:00"), (None, "16:00")])
def test_the_last_visit_ends_before_the_doctor_closes(step: int | None, last: str) -> None:
    visit_type = VisitType(35 * MINUTE, step=step and step * MINUTE)
    found = slots(MONDAY, visit_type, (), WHOLE_MONDAY, LONG_AGO)
    assert starts_in(NEW_YORK, found)[-1] == last


def test_the_grid_begins_where_the_doctor_opens_whatever_is_taken_or_off() -> None:
    rules = replace(MONDAY, time_off=(away("2026-06-01T12:00", "2026-06-01T16:10"),))
    taken = [BusyPeriod(NINE, NINE + 10 * MINUTE, NINE)]
    found = slots(rules, VisitType(20 * MINUTE, step=30 * MINUTE), taken, WHOLE_MONDAY, NINE + 45 * MINUTE)
    assert starts_in(NEW_YORK, found) == ["10:00", "10:30", "11:00", "11:30", "16:30"]


def test_every_opening_has_its_own_grid() -> None:
    rules = Rules(
        NEW_YORK, (available("2026-06-01T09:00", "2026-06-01T10:30"), available("2026-06-01T10:10", "2026-06-01T11:00"))
    )
    found = slots(rules, HALF_HOUR, (), WHOLE_MONDAY, LONG_AGO)
    # The last one of the first grid ends in the second opening.
    assert starts_in(NEW_YORK, found) == ["09:00", "09:30", "10:00", "10:10"]
    longer = replace(HALF_HOUR, duration=40 * MINUTE)
    assert starts_in(NEW_YORK, slots(rules, longer, (), WHOLE_MONDAY, LONG_AGO)) == ["09:00", "09:30", "10:00", "10:10"]


def test_grids_that_meet_offer_a_start_once() -> None:
    rules = Rules(
        NEW_YORK, (available("2026-06-01T10:00", "2026-06-01T11:00"), available("2026-06-01T09:00", "2026-06-01T11:00"))
    )
    found = slots(rules, HALF_HOUR, (), WHOLE_MONDAY, LONG_AGO)
    assert starts_in(NEW_YORK, found) == ["09:00", "09:30", "10:00", "10:30"]


def test_a_start_off_the_grid_is_refused_and_only_there() -> None:
    off_grid = NINE + 10 * MINUTE, NINE + 40 * MINUTE
    assert explain(MONDAY, HALF_HOUR, off_grid, (), LONG_AGO) == [Refusal.OFF_GRID]
    assert explain(MONDAY, replace(HALF_HOUR, step=None), off_grid, (), LONG_AGO) == []
    before_nine = NINE - 10 * MINUTE, NINE + 20 * MINUTE
    assert explain(MONDAY, HALF_HOUR, before_nine, (), LONG_AGO) == [Refusal.OUTSIDE_AVAILABILITY]


def test_slots_are_those_that_start_in_the_span() -> None:
    eleven = NINE + 2 * HOUR
    found = slots(MONDAY, HALF_HOUR, (), (eleven - MINUTE, eleven + 30 * MINUTE), LONG_AGO)
    assert found == [(eleven, eleven + 30 * MINUTE)]
    assert slots(MONDAY, HALF_HOUR, (), (eleven, eleven + 1), LONG_AGO) == found
    assert slots(MONDAY, HALF_HOUR, (), (eleven + 1, eleven + 30 * MINUTE), LONG_AGO) == []


def test_an_hour_that_does_not_exist_has_no_slots() -> None:
    rules = Rules(NEW_YORK, (available("2026-03-01T01:00", "2026-03-01T04:00", "FREQ=WEEKLY"),))
    found = slots(rules, HALF_HOUR, (), around("2026-03-08", rules), LONG_AGO)
    assert starts_in(NEW_YORK, found) == ["01:00", "01:30", "03:00", "03:30"]


def test_an_hour_that_comes_twice_has_its_slots_twice_and_each_books_once() -> None:
    rules = Rules(NEW_YORK, (available("2026-10-25T00:00", "2026-10-25T04:00", "FREQ=WEEKLY"),))
    night = around("2026-11-01", rules)
    found = slots(rules, HALF_HOUR, (), night, LONG_AGO)
    assert starts_in(NEW_YORK, found) == [
        *("00:00", "00:30", "01:00", "01:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30")
    ]
    first, second = instant("2026-11-01T05:30Z"), instant("2026-11-01T06:30Z")
    assert {first, second} < {start for start, _ in found}
    for taken in (first, second):
        left = slots(rules, HALF_HOUR, [booked(HALF_HOUR, taken)], night, LONG_AGO)
        assert set(found) - set(left) == {(taken, taken + 30 * MINUTE)}


@pytest.mark.parametrize(
    ("rules", "day", "expected"),
    [
        # Clocks go forward and back by half an hour.
        (
            Rules(LORD_HOWE, (available("2026-10-04T01:00", "2026-10-04T03:00"),)),
            "2026-10-04",
            ["01:00", "01:30", "02:30"],
        ),
        (
            Rules(LORD_HOWE, (available("2026-04-05T01:00", "2026-04-05T03:00"),)),
            "2026-04-05",
            ["01:00", "01:30", "01:30", "02:00", "02:30"],
        ),
        # There is no midnight; midnight comes twice.
        (
            Rules(CAIRO, (available("2026-04-23T23:00", "2026-04-24T02:00"),)),
            "2026-04-24",
            ["23:00", "23:30", "01:00", "01:30"],
        ),
        (
            Rules(HAVANA, (available("2025-11-01T23:30", "2025-11-02T01:00"),)),
            "2025-11-02",
            ["23:30", "00:00", "00:30", "00:00", "00:30"],
        ),
        # 23:01 comes again a minute after midnight.
        (
            Rules(ST_JOHNS, (available("2010-11-06T23:00", "2010-11-07T00:30"),)),
            "2010-11-07",
            ["23:00", "23:30", "00:00", "23:30", "00:00"],
        ),
        (
            Rules(KOLKATA, (available("2026-12-08T09:00", "2026-12-08T10:30"),)),
            "2026-12-08",
            ["09:00", "09:30", "10:00"],
        ),
    ],
)
def test_the_grid_counts_time_as_it_goes_by(rules: Rules, day: str, expected: list[str]) -> None:
    found = slots(rules, HALF_HOUR, (), around(day, rules), LONG_AGO)
    assert starts_in(rules.zone, found) == expected
    for visit in found:
        assert explain(rules, HALF_HOUR, visit, (), LONG_AGO) == []


def test_slots_begin_when_the_doctor_does_not_at_full_hours_of_utc() -> None:
    rules = Rules(KOLKATA, (available("2026-12-07T09:00", "2026-12-07T10:00", "FREQ=DAILY"),))
    found = slots(rules, HALF_HOUR, (), span("2026-12-08T00:00Z", "2026-12-09T00:00Z"), LONG_AGO)
    assert in_utc(found) == ["2026-12-08 03:30–04:00Z", "2026-12-08 04:00–04:30Z"]


@pytest.mark.parametrize(("evening", "count"), [("2026-03-07", 14), ("2026-06-06", 16), ("2026-10-31", 18)])
def test_a_night_has_the_slots_of_its_hours(evening: str, count: int) -> None:
    rules = Rules(NEW_YORK, (available("2026-01-03T22:00", "2026-01-04T06:00", "FREQ=WEEKLY"),))
    begin = instant(f"{evening}T12:00Z")
    assert len(slots(rules, HALF_HOUR, (), (begin, begin + DAY), LONG_AGO)) == count
