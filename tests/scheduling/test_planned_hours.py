"""Weekly hours of consecutive periods, as they are read from the stored availabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.availability import Availability
from app.scheduling.hours import DayWindow, cut, to_availabilities
from app.scheduling.planned_hours import PlannedHours, days_to_replace, to_planned_hours
from app.scheduling.zones import midnight
from tests.scheduling.weeks import MONDAY, NINE_TO_FIVE, SATURDAY, TUESDAY, WEDNESDAY, days, quarters

TODAY = date(2026, 6, 1)

weeks = st.dictionaries(st.integers(0, 6), st.lists(quarters, max_size=3, unique=True))


def fill_week(hours: Mapping[int, Sequence[DayWindow]]) -> dict[int, list[DayWindow]]:
    return {weekday: sorted(hours.get(weekday, ())) for weekday in range(7)}


@given(weeks, days, st.integers(0, 400))
def test_stored_weekly_hours_are_read_unchanged(
    hours: dict[int, list[DayWindow]], valid_from: date, later: int
) -> None:
    day = valid_from + timedelta(days=later)
    assert to_planned_hours(to_availabilities(hours, valid_from, None), day) == [
        PlannedHours(day, None, fill_week(hours))
    ]


class HoursCalendar:
    """The weekly hours that were set, newest last, and the availabilities that are stored."""

    def __init__(self) -> None:
        self.hours_set: list[PlannedHours] = []
        self.stored: list[Availability] = []

    def set(self, hours: Mapping[int, Sequence[DayWindow]], first: date, last: date | None) -> None:
        self.hours_set.append(PlannedHours(first, last, hours))
        self.stored = [part for each in self.stored for part in cut(each, first, last)]
        self.stored += to_availabilities(hours, first, last)

    def list_windows(self, day: date) -> list[DayWindow]:
        found = [each for each in self.hours_set if each.first <= day and (each.last is None or day <= each.last)]
        return sorted(found[-1].hours.get(day.weekday(), ())) if found else []


def test_period_with_the_hours_of_the_next_period_is_merged_with_it() -> None:
    calendar = HoursCalendar()
    hours = {MONDAY: [NINE_TO_FIVE], TUESDAY: [NINE_TO_FIVE]}
    calendar.set({MONDAY: [NINE_TO_FIVE]}, TODAY, TODAY)
    calendar.set(hours, TODAY + timedelta(days=1), None)
    assert to_planned_hours(calendar.stored, TODAY) == [PlannedHours(TODAY, None, fill_week(hours))]


soon = st.integers(0, 40).map(lambda number: TODAY + timedelta(days=number))
periods = st.tuples(weeks, soon, st.none() | st.integers(0, 30))


@given(st.lists(periods, max_size=6), soon)
def test_planned_hours_match_the_hours_set_for_each_day(
    periods: list[tuple[dict[int, list[DayWindow]], date, int | None]], today: date
) -> None:
    calendar = HoursCalendar()
    for hours, first, length in periods:
        calendar.set(hours, first, None if length is None else first + timedelta(days=length))
    planned_periods = to_planned_hours((each for each in calendar.stored if each.last_ends > midnight(today)), today)
    assert (planned_periods[0].first, planned_periods[-1].last) == (today, None)
    assert all(later.first - timedelta(days=1) == earlier.last for earlier, later in pairwise(planned_periods))
    assert all(earlier.hours != later.hours for earlier, later in pairwise(planned_periods))
    for number in range(100):
        day = today + timedelta(days=number)
        *_, period = (each for each in planned_periods if each.first <= day)
        assert period.hours[day.weekday()] == calendar.list_windows(day), day


@given(st.lists(periods, max_size=6), soon)
def test_saving_unchanged_hours_changes_nothing(
    periods: list[tuple[dict[int, list[DayWindow]], date, int | None]], day: date
) -> None:
    calendar = HoursCalendar()
    for hours, first, length in periods:
        calendar.set(hours, first, None if length is None else first + timedelta(days=length))
    before = to_planned_hours(calendar.stored, TODAY)
    *_, period = (each for each in before if each.first <= day)
    followed = [each for each in before if each.first > day and not each.is_closed_for_good]
    # The page saves the last period together with its last day.
    ranges = days_to_replace(before, period.first) if followed else [(period.first, period.last)]
    for first, last in ranges:
        calendar.set(period.hours, first, last)
    assert to_planned_hours(calendar.stored, TODAY) == before


OFFICE, SUMMER = {MONDAY: [NINE_TO_FIVE], SATURDAY: [NINE_TO_FIVE]}, {TUESDAY: [NINE_TO_FIVE]}


def planned(*periods: tuple[dict[int, list[DayWindow]], str, str | None]) -> list[PlannedHours]:
    calendar = HoursCalendar()
    for hours, first, last in periods:
        calendar.set(hours, date.fromisoformat(first), date.fromisoformat(last) if last else None)
    return to_planned_hours(calendar.stored, TODAY)


@pytest.mark.parametrize(
    ("planned_periods", "expected"),
    [
        ([], [("2026-06-01", None)]),
        ([(OFFICE, "2026-06-01", None)], [("2026-06-01", None)]),
        # New hours without a last day replace the last period and all days after it.
        ([(OFFICE, "2026-06-01", "2026-06-30")], [("2026-06-01", None)]),
        ([(OFFICE, "2026-06-01", None), (SUMMER, "2026-07-01", None)], [("2026-06-01", "2026-06-30")]),
        (
            [(OFFICE, "2026-06-01", None), (SUMMER, "2026-07-01", "2026-08-31")],
            [("2026-06-01", "2026-06-30"), ("2026-09-01", None)],
        ),
        (
            [(OFFICE, "2026-06-01", None), ({}, "2026-07-01", "2026-08-31")],
            [("2026-06-01", "2026-06-30"), ("2026-09-01", None)],
        ),
        # The usual hours have no window on the four days between the other two periods, so these days count as closed.
        (
            [
                (OFFICE, "2026-06-01", "2026-12-31"),
                (SUMMER, "2026-07-01", "2026-08-31"),
                ({WEDNESDAY: [NINE_TO_FIVE]}, "2026-09-05", None),
            ],
            [("2026-06-01", "2026-06-30")],
        ),
        (
            [
                (OFFICE, "2026-06-01", None),
                (SUMMER, "2026-07-01", "2026-08-31"),
                ({WEDNESDAY: [NINE_TO_FIVE]}, "2026-09-08", None),
            ],
            [("2026-06-01", "2026-06-30"), ("2026-09-01", "2026-09-07")],
        ),
        ([(SUMMER, "2026-07-01", "2026-08-31")], [("2026-06-01", "2026-06-30"), ("2026-09-01", None)]),
    ],
)
def test_days_to_replace_leave_later_periods_unchanged(
    planned_periods: list[tuple[dict[int, list[DayWindow]], str, str | None]], expected: list[tuple[str, str | None]]
) -> None:
    days = days_to_replace(planned(*planned_periods), TODAY)
    assert [(first.isoformat(), last and last.isoformat()) for first, last in days] == expected


def test_period_shorter_than_a_week_has_only_the_windows_of_its_days() -> None:
    longer = OFFICE | SUMMER | {WEDNESDAY: [(600, 660)]}
    [before, holiday, _] = planned((OFFICE, "2026-06-01", None), (longer, "2026-06-08", "2026-06-09"))
    assert (before.hours, before.last) == (fill_week(OFFICE), date(2026, 6, 7))
    assert holiday == PlannedHours(date(2026, 6, 8), date(2026, 6, 9), fill_week(OFFICE | SUMMER))


def test_period_begins_on_its_first_day_even_if_that_day_is_closed() -> None:
    weekdays: dict[int, list[DayWindow]] = {day: [NINE_TO_FIVE] for day in range(5)}
    planned_periods = planned((OFFICE, "2026-06-01", "2026-06-08"), (weekdays, "2026-06-13", None))
    begins = [date(2026, 6, 1), date(2026, 6, 9), date(2026, 6, 13)]
    assert [period.first for period in planned_periods] == begins
    # Old availabilities were stored without their first day, so these hours begin on the first day with a window.
    stored = to_availabilities(weekdays, date(2026, 6, 13), None)
    old = [replace(each, plan_begins=None) for each in stored]
    assert [period.first for period in to_planned_hours(old, TODAY)] == [TODAY, date(2026, 6, 15)]
    [rest] = [part for each in old for part in cut(each, TODAY, date(2026, 7, 3))]
    assert rest.plan_begins == date(2026, 7, 6)


def test_doctor_is_closed_after_the_last_day_of_the_weekly_hours() -> None:
    hours = {MONDAY: [(22 * 60, 26 * 60)], TUESDAY: [NINE_TO_FIVE]}
    period = to_availabilities(hours, date(2026, 6, 2), date(2026, 6, 15))
    closed: dict[int, list[DayWindow]] = {weekday: [] for weekday in range(7)}
    week = closed | hours
    assert to_planned_hours(period, date(2026, 6, 2)) == [
        PlannedHours(date(2026, 6, 2), date(2026, 6, 15), week),
        PlannedHours(date(2026, 6, 16), None, closed),
    ]
    assert to_planned_hours(period, date(2026, 6, 16)) == [PlannedHours(date(2026, 6, 16), None, closed)]
