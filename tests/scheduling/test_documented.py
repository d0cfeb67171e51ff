"""The tables of docs/time.md, row by row."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.scheduling.availability import Availability, Rules, window
from app.scheduling.decisions import free_windows, slots
from app.scheduling.hours import when_shown
from app.scheduling.intervals import DAY, HOUR, MINUTE, Interval
from app.scheduling.recurrence import find_error, find_last, read_recurrence, starts_between
from app.scheduling.visits import BookingLimits, BusyPeriod, VisitType
from app.scheduling.zones import day_span
from tests.scheduling.clocks import NEW_YORK, instant, local_starts, make_availability, span, wall

PAGE = (Path(__file__).parents[2] / "docs/time.md").read_text()
LONG_AGO = instant("2010-01-01T00:00Z")


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the table of docs/time.md that has these columns first."""
    table = PAGE.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip(" `") for cell in row.strip("| ").split(" | ")] for row in table.splitlines()[2:]]


def both_ends(text: str) -> tuple[str, str]:
    """Return the start and the end; an end without a day is on the day of the start."""
    first, last = text.split(" – ")
    return first, last if last[:2] == "20" else f"{first[:10]} {last}"


def read_availability(text: str) -> Availability:
    first, last = both_ends(text)
    return Availability(wall(first), wall(last[:16]).replace(fold="(second)" in last))


def read_interval(text: str) -> Interval:
    return span(*both_ends(text))


@pytest.mark.parametrize("row", rows("Zone | Open on the clock | Open, as instants"), ids=" ".join)
def test_documented_window_on_the_clock_and_as_instants(row: list[str]) -> None:
    zone, on_the_clock, expected, *_ = row
    assert window(read_availability(on_the_clock), ZoneInfo(zone)) == read_interval(expected)


@pytest.mark.parametrize("row", rows("Zone | Requested on the clock | Matches, as instants"), ids=" ".join)
def test_documented_search_hours(row: list[str]) -> None:
    zone, on_the_clock, expected, *_ = row
    first, last = map(wall, both_ends(on_the_clock))
    hours = {first.weekday(): [(first.hour * 60 + first.minute, last.hour * 60 + last.minute)]}
    found = when_shown(hours, ZoneInfo(zone), day_span(first.date(), ZoneInfo(zone)))
    assert found == [read_interval(each) for each in expected.split(", ") if each != "nothing"]


@pytest.mark.parametrize("row", rows("Rule | First | Then"), ids=" ".join)
def test_documented_recurrence(row: list[str]) -> None:
    rule, first, then = row
    starts = wall(f"{first} 09:00")
    recurrence = read_recurrence(rule)
    assert find_error(recurrence, starts) is None
    last = find_last(recurrence, starts, NEW_YORK)
    _, *found = starts_between(recurrence, starts, starts, last or starts.replace(year=starts.year + 1))
    days = [f"{each:%m-%d}" for each in found]
    assert (days if last else [*days[:3], "…"]) == then.split(", ")


@pytest.mark.parametrize("row", rows("Zone | Day | As instants | Hours"), ids=" ".join)
def test_documented_length_of_a_day(row: list[str]) -> None:
    zone, day, expected, hours, *_ = row
    first, last = day_span(date.fromisoformat(day), ZoneInfo(zone))
    assert (first, last) == read_interval(expected)
    assert last - first == float(hours) * HOUR


@pytest.mark.parametrize("row", rows("Zone | Now | Limit | Can be booked"), ids=" ".join)
def test_documented_booking_limit(row: list[str]) -> None:
    zone, now, limit, booked = row
    number = int(limit.split()[0])
    limits = BookingLimits(min_notice=number * HOUR) if "notice" in limit else BookingLimits(max_advance_days=number)
    always = make_availability("2010-01-01T00:00", "2010-01-02T00:00", "FREQ=DAILY")
    week = instant(now), instant(now) + 7 * DAY
    [free] = free_windows(Rules(ZoneInfo(zone), (always,), (), limits), VisitType(HOUR), (), week, week[0])
    side, moment = booked.split(" ", 1)
    assert free == ((instant(moment), week[1]) if side == "from" else (week[0], instant(moment)))


@pytest.mark.parametrize("row", rows("Zone | Open on the clock | Half-hour visits start on the clock at"), ids=" ".join)
def test_documented_slot_grid(row: list[str]) -> None:
    zone, on_the_clock, starts = row
    rules = Rules(ZoneInfo(zone), (read_availability(on_the_clock),))
    visit_type = VisitType(30 * MINUTE, step=30 * MINUTE)
    found = slots(rules, visit_type, (), window(rules.availabilities[0], rules.zone), LONG_AGO)
    assert local_starts(rules.zone, found) == starts.split(", ")


VISIT_TYPES = {
    name: VisitType(30 * MINUTE, buffer_before=int(before) * MINUTE, buffer_after=int(after) * MINUTE)
    for name, before, after in rows("Visit type | Minutes before | Minutes after")
}


@pytest.mark.parametrize("row", rows("First | Then | Minutes between"), ids=" ".join)
def test_documented_buffers(row: list[str]) -> None:
    first, then = (VISIT_TYPES[name] for name in row[:2])
    noon, between = instant("2026-06-01T16:00Z"), int(row[2]) * MINUTE
    day = noon - 4 * HOUR, noon + 4 * HOUR
    rules = Rules(NEW_YORK, (make_availability("2026-06-01T08:00", "2026-06-01T16:00"),))
    busy = BusyPeriod(noon - first.buffer_before, noon + first.duration + first.buffer_after, noon)
    assert free_windows(rules, then, [busy], day, LONG_AGO)[1][0] == noon + first.duration + between
    # The same with the second visit booked and the first one wanted.
    busy = replace(busy, busy_start=noon - then.buffer_before, busy_end=noon + then.duration + then.buffer_after)
    assert free_windows(rules, first, [busy], day, LONG_AGO)[0][1] == noon - between
