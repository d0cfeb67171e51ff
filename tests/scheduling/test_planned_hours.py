"""Weekly plans, one after the other, as they are read from what is kept of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduling.availability import Availability
from app.scheduling.hours import DayWindow, cut, to_availabilities
from app.scheduling.planned_hours import PlannedHours, days_to_replace, to_planned_hours
from app.scheduling.zones import midnight
from tests.scheduling.test_hours import MONDAY, NINE_TO_FIVE, SATURDAY, TUESDAY, WEDNESDAY, days, quarters

TODAY = date(2026, 6, 1)

weeks = st.dictionaries(st.integers(0, 6), st.lists(quarters, max_size=3, unique=True))


def whole(hours: Mapping[int, Sequence[DayWindow]]) -> dict[int, list[DayWindow]]:
    return {weekday: sorted(hours.get(weekday, ())) for weekday in range(7)}


@given(weeks, days, st.integers(0, 400))
def test_a_plan_is_read_as_it_was_said(hours: dict[int, list[DayWindow]], valid_from: date, later: int) -> None:
    day = valid_from + timedelta(days=later)
    assert to_planned_hours(to_availabilities(hours, valid_from, None), day) == [PlannedHours(day, None, whole(hours))]


class Calendar:
    """What was planned for each day, the newest plan last; and the availabilities that it is kept as."""

    def __init__(self) -> None:
        self.said: list[PlannedHours] = []
        self.kept: list[Availability] = []

    def set(self, hours: Mapping[int, Sequence[DayWindow]], first: date, last: date | None) -> None:
        self.said.append(PlannedHours(first, last, hours))
        self.kept = [part for each in self.kept for part in cut(each, first, last)]
        self.kept += to_availabilities(hours, first, last)

    def on(self, day: date) -> list[DayWindow]:
        found = [plan for plan in self.said if plan.first <= day and (plan.last is None or day <= plan.last)]
        return sorted(found[-1].hours.get(day.weekday(), ())) if found else []


def test_a_day_whose_hours_are_those_of_the_plan_after_it_is_part_of_that_plan() -> None:
    calendar = Calendar()
    hours = {MONDAY: [NINE_TO_FIVE], TUESDAY: [NINE_TO_FIVE]}
    calendar.set({MONDAY: [NINE_TO_FIVE]}, TODAY, TODAY)
    calendar.set(hours, TODAY + timedelta(days=1), None)
    assert to_planned_hours(calendar.kept, TODAY) == [PlannedHours(TODAY, None, whole(hours))]


soon = st.integers(0, 40).map(lambda number: TODAY + timedelta(days=number))
stretches = st.tuples(weeks, soon, st.none() | st.integers(0, 30))


@settings(deadline=None)
@given(st.lists(stretches, max_size=6), soon)
def test_plans_are_what_was_said_for_each_day(
    stretches: list[tuple[dict[int, list[DayWindow]], date, int | None]], today: date
) -> None:
    calendar = Calendar()
    for hours, first, length in stretches:
        calendar.set(hours, first, None if length is None else first + timedelta(days=length))
    plans = to_planned_hours((each for each in calendar.kept if each.last_ends > midnight(today)), today)
    assert (plans[0].first, plans[-1].last) == (today, None)
    assert all(later.first - timedelta(days=1) == earlier.last for earlier, later in pairwise(plans))
    assert all(earlier.hours != later.hours for earlier, later in pairwise(plans))
    for number in range(100):
        day = today + timedelta(days=number)
        *_, plan = (each for each in plans if each.first <= day)
        assert plan.hours[day.weekday()] == calendar.on(day), day


@settings(deadline=None)
@given(st.lists(stretches, max_size=6), soon)
def test_a_plan_that_is_saved_as_it_is_changes_nothing(
    stretches: list[tuple[dict[int, list[DayWindow]], date, int | None]], day: date
) -> None:
    calendar = Calendar()
    for hours, first, length in stretches:
        calendar.set(hours, first, None if length is None else first + timedelta(days=length))
    before = to_planned_hours(calendar.kept, TODAY)
    *_, plan = (each for each in before if each.first <= day)
    followed = [each for each in before if each.first > day and not each.is_closed_for_good]
    # As the page does: the last plan is saved with its last day.
    ranges = days_to_replace(before, plan.first) if followed else [(plan.first, plan.last)]
    for first, last in ranges:
        calendar.set(plan.hours, first, last)
    assert to_planned_hours(calendar.kept, TODAY) == before


OFFICE, SUMMER = {MONDAY: [NINE_TO_FIVE], SATURDAY: [NINE_TO_FIVE]}, {TUESDAY: [NINE_TO_FIVE]}


def planned(*stretches: tuple[dict[int, list[DayWindow]], str, str | None]) -> list[PlannedHours]:
    calendar = Calendar()
    for hours, first, last in stretches:
        calendar.set(hours, date.fromisoformat(first), date.fromisoformat(last) if last else None)
    return to_planned_hours(calendar.kept, TODAY)


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        ([], [("2026-06-01", None)]),
        ([(OFFICE, "2026-06-01", None)], [("2026-06-01", None)]),
        # The last plan goes on without end, if the new one is given none.
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
        # Four days between two other plans are the usual ones.
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
def test_new_hours_leave_other_plans_for_later_alone(
    plans: list[tuple[dict[int, list[DayWindow]], str, str | None]], expected: list[tuple[str, str | None]]
) -> None:
    days = days_to_replace(planned(*plans), TODAY)
    assert [(first.isoformat(), last and last.isoformat()) for first, last in days] == expected


def test_a_plan_for_less_than_a_week_has_the_windows_of_its_days() -> None:
    longer = OFFICE | SUMMER | {WEDNESDAY: [(600, 660)]}
    [before, holiday, _] = planned((OFFICE, "2026-06-01", None), (longer, "2026-06-08", "2026-06-09"))
    assert (before.hours, before.last) == (whole(OFFICE), date(2026, 6, 7))
    assert holiday == PlannedHours(date(2026, 6, 8), date(2026, 6, 9), whole(OFFICE | SUMMER))


def test_a_plan_begins_on_its_first_day_even_if_that_is_closed() -> None:
    weekdays: dict[int, list[DayWindow]] = {day: [NINE_TO_FIVE] for day in range(5)}
    plans = planned((OFFICE, "2026-06-01", "2026-06-08"), (weekdays, "2026-06-13", None))
    begins = [date(2026, 6, 1), date(2026, 6, 9), date(2026, 6, 13)]
    assert [plan.first for plan in plans] == begins
    # Of one that was kept without it, the first day on which it opens is known.
    kept = to_availabilities(weekdays, date(2026, 6, 13), None)
    old = [replace(each, plan_begins=None) for each in kept]
    assert [plan.first for plan in to_planned_hours(old, TODAY)] == [TODAY, date(2026, 6, 15)]
    [cut_twice] = [part for each in old for part in cut(each, TODAY, date(2026, 7, 3))]
    assert cut_twice.plan_begins == date(2026, 7, 6)


def test_a_plan_is_over_after_its_last_day() -> None:
    hours = {MONDAY: [(22 * 60, 26 * 60)], TUESDAY: [NINE_TO_FIVE]}
    plan = to_availabilities(hours, date(2026, 6, 2), date(2026, 6, 15))
    closed: dict[int, list[DayWindow]] = {weekday: [] for weekday in range(7)}
    held = closed | hours
    assert to_planned_hours(plan, date(2026, 6, 2)) == [
        PlannedHours(date(2026, 6, 2), date(2026, 6, 15), held),
        PlannedHours(date(2026, 6, 16), None, closed),
    ]
    assert to_planned_hours(plan, date(2026, 6, 16)) == [PlannedHours(date(2026, 6, 16), None, closed)]
