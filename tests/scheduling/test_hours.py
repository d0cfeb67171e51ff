"""Weekly hours and the availabilities that they are stored as, and hours of a day in a search."""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.availability import Availability, Rules, open_windows
from app.scheduling.hours import DayWindow, cut, find_overlap, to_availabilities, when_shown
from app.scheduling.intervals import DAY, MINUTE, Interval, from_instant
from app.scheduling.recurrence import find_error, starts_between
from app.scheduling.zones import day_span, midnight
from tests.scheduling.clocks import NEW_YORK, format_in_utc, instant, local_starts, span, wall
from tests.scheduling.weeks import (
    HOUR,
    MONDAY,
    NINE_TO_FIVE,
    SATURDAY,
    SUNDAY,
    TUESDAY,
    WEDNESDAY,
    WEEK,
    days,
    weekly_hours,
)


@pytest.mark.parametrize(
    ("hours", "weekday"),
    [
        ({}, None),
        ({MONDAY: []}, None),
        ({MONDAY: [NINE_TO_FIVE]}, None),
        ({MONDAY: [(540, 720), (720, 1020)]}, None),
        ({MONDAY: [(720, 1020), (540, 721)]}, MONDAY),
        ({MONDAY: [NINE_TO_FIVE, NINE_TO_FIVE]}, MONDAY),
        ({MONDAY: [(0, 1440)], TUESDAY: [(0, 60)]}, None),
        # Over midnight, and over the end of the week.
        ({MONDAY: [(22 * HOUR, 30 * HOUR)], TUESDAY: [(6 * HOUR, 7 * HOUR)]}, None),
        ({MONDAY: [(22 * HOUR, 30 * HOUR)], TUESDAY: [(5 * HOUR, 7 * HOUR)]}, TUESDAY),
        ({SUNDAY: [(22 * HOUR, 30 * HOUR)], MONDAY: [(6 * HOUR, 7 * HOUR)]}, None),
        ({SUNDAY: [(22 * HOUR, 30 * HOUR)], MONDAY: [(5 * HOUR, 7 * HOUR)]}, MONDAY),
        ({SUNDAY: [(22 * HOUR, 47 * HOUR)]}, None),
    ],
    ids=str,
)
def test_find_overlap_returns_the_weekday_of_the_later_window(
    hours: dict[int, list[DayWindow]], weekday: int | None
) -> None:
    assert find_overlap(hours) == weekday


@given(weekly_hours)
def test_find_overlap_finds_quarter_hours_in_more_than_one_window(hours: dict[int, list[DayWindow]]) -> None:
    quarter_counts = Counter(
        (weekday * 24 * HOUR + minute) % WEEK
        for weekday, windows in hours.items()
        for start, end in windows
        for minute in range(start, end, 15)
    )
    assert (find_overlap(hours) is not None) == any(count > 1 for count in quarter_counts.values())


def test_equal_windows_of_several_weekdays_are_stored_as_one_availability() -> None:
    hours = {MONDAY: [(540, 720), NINE_TO_FIVE], WEDNESDAY: [NINE_TO_FIVE]}
    begins = date(2026, 6, 2)
    assert to_availabilities(hours, begins, None) == [
        Availability(wall("2026-06-08T09:00"), wall("2026-06-08T12:00"), "FREQ=WEEKLY;BYDAY=MO", plan_begins=begins),
        Availability(wall("2026-06-03T09:00"), wall("2026-06-03T17:00"), "FREQ=WEEKLY;BYDAY=MO,WE", plan_begins=begins),
    ]


def test_window_until_midnight_continues_in_the_window_of_the_next_day() -> None:
    availabilities = to_availabilities(
        {SATURDAY: [(23 * HOUR, 24 * HOUR)], SUNDAY: [(0, HOUR)]}, date(2026, 6, 1), None
    )
    assert format_in_utc(
        open_windows(Rules(NEW_YORK, tuple(availabilities)), span("2026-06-06T12:00Z", "2026-06-07T12:00Z"))
    ) == ["2026-06-07 03:00–05:00Z"]


def test_weekly_hours_apply_from_their_first_to_their_last_day() -> None:
    hours = {MONDAY: [(22 * HOUR, 26 * HOUR)], TUESDAY: [NINE_TO_FIVE]}
    availabilities = to_availabilities(hours, date(2026, 6, 2), date(2026, 6, 15))
    # The window that begins on the last day is not cut at midnight.
    assert format_in_utc(
        open_windows(Rules(NEW_YORK, tuple(availabilities)), span("2026-05-01T00:00Z", "2026-08-01T00:00Z"))
    ) == [
        "2026-06-02 13:00–21:00Z",
        "2026-06-09 02:00–06:00Z",
        "2026-06-09 13:00–21:00Z",
        "2026-06-16 02:00–06:00Z",
    ]


def test_weekly_hours_without_any_occurrence_are_not_stored() -> None:
    assert to_availabilities({MONDAY: [NINE_TO_FIVE]}, date(2026, 6, 2), date(2026, 6, 7)) == []


@given(weekly_hours, days)
def test_availabilities_of_weekly_hours_begin_with_their_first_occurrence(
    hours: dict[int, list[DayWindow]], start: date
) -> None:
    for each in to_availabilities(hours, start, None):
        assert find_error(each.recurrence or "", each.starts) is None


def list_windows(availabilities: list[Availability]) -> list[tuple[datetime, datetime]]:
    """Return the windows of two years, in wall time."""
    found = []
    for each in availabilities:
        length = each.ends - each.starts
        last = min(wall("2027-12-31T00:00"), each.last_ends - length)
        assert each.recurrence
        found += [
            (start, start + length)
            for start in starts_between(each.recurrence, each.starts, wall("2025-12-01T00:00"), last)
        ]
    return sorted(found)


@given(weekly_hours, days, st.none() | st.integers(0, 100), days, st.none() | st.integers(0, 100))
def test_cut_removes_only_the_windows_that_begin_on_its_days(
    hours: dict[int, list[DayWindow]], valid_from: date, valid_for: int | None, first: date, length: int | None
) -> None:
    valid_to = None if valid_for is None else valid_from + timedelta(days=valid_for)
    last = None if length is None else first + timedelta(days=length)
    availabilities = to_availabilities(hours, valid_from, valid_to)
    left = [part for each in availabilities for part in cut(each, first, last)]
    kept = [
        each
        for each in list_windows(availabilities)
        if each[0].date() < first or (last is not None and each[0].date() > last)
    ]
    assert list_windows(left) == kept
    assert all(list_windows([each]) for each in left)
    assert all(each.starts.date() < first or (last and each.starts.date() > last) for each in left)


def test_parts_of_cut_availabilities_can_be_cut_again() -> None:
    [whole] = to_availabilities({MONDAY: [NINE_TO_FIVE]}, date(2026, 6, 1), None)
    [before, after] = cut(whole, date(2026, 7, 1), date(2026, 7, 31))
    assert before == replace(
        whole, last_ends=midnight(date(2026, 7, 1)) - timedelta(microseconds=1) + timedelta(hours=8)
    )
    assert after == replace(
        whole, starts=wall("2026-08-03T09:00"), ends=wall("2026-08-03T17:00"), plan_begins=date(2026, 8, 1)
    )
    assert cut(before, date(2026, 7, 1), None) == [before]
    assert cut(after, date(2026, 1, 1), None) == []
    assert cut(after, date(2026, 1, 1), date(2026, 2, 1)) == [after]


def sunday(day: date) -> Interval:
    return day_span(day, NEW_YORK)


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 6, 7), 24), (date(2026, 11, 1), 25)], ids=str
)
def test_window_of_a_whole_day_is_as_long_as_the_day(day: date, hours: int) -> None:
    availabilities = to_availabilities({SUNDAY: [(0, 1440)]}, date(2026, 1, 1), None)
    assert open_windows(Rules(NEW_YORK, tuple(availabilities)), (sunday(day)[0] - DAY, sunday(day)[1] + DAY)) == [
        sunday(day)
    ]
    assert (sunday(day)[1] - sunday(day)[0]) * 24 == hours * DAY


def test_window_of_sunday_night_ends_on_monday() -> None:
    availabilities = to_availabilities({SUNDAY: [(22 * HOUR, 30 * HOUR)]}, date(2026, 6, 1), None)
    windows = open_windows(Rules(NEW_YORK, tuple(availabilities)), span("2026-06-08T00:00Z", "2026-06-09T00:00Z"))
    assert format_in_utc(windows) == ["2026-06-08 02:00–10:00Z"]
    assert local_starts(NEW_YORK, windows) == ["22:00"]


# Days on which clocks change: at night, at midnight in either direction, by half an hour, and by a whole day.
CHANGES = [
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("America/Santiago", "2026-04-04"),
    ("America/Santiago", "2026-09-05"),
    ("Asia/Beirut", "2026-03-28"),
    ("Asia/Beirut", "2026-10-24"),
    ("Africa/Cairo", "2026-04-23"),
    ("Africa/Cairo", "2026-10-29"),
    ("America/Havana", "2026-03-08"),
    ("America/Havana", "2025-11-01"),
    ("Australia/Lord_Howe", "2026-04-04"),
    ("Australia/Lord_Howe", "2026-10-03"),
    ("Europe/Berlin", "2026-03-28"),
    ("Pacific/Apia", "2011-12-29"),
    ("America/St_Johns", "2010-11-06"),
    ("Asia/Kolkata", "2026-12-08"),
]


def is_in_hours(hours: dict[int, list[DayWindow]], shown: datetime) -> bool:
    """Whether a wall time lies in the windows of its day or of the day before."""
    minute = shown.hour * 60 + shown.minute
    today = hours.get(shown.weekday(), [])
    yesterday = hours.get((shown.weekday() - 1) % 7, [])
    return any(start <= minute < end for start, end in today) or any(minute < end - 24 * HOUR for _, end in yesterday)


@given(st.sampled_from(CHANGES), weekly_hours, st.integers(-12 * 60, 12 * 60), st.integers(1, 4 * 24 * 60))
def test_search_hours_are_the_instants_at_which_the_clock_shows_them(
    change: tuple[str, str], hours: dict[int, list[DayWindow]], begin: int, minutes: int
) -> None:
    zone = ZoneInfo(change[0])
    first = instant(f"{change[1]}T00:00Z") + begin * MINUTE
    found = when_shown(hours, zone, (first, first + minutes * MINUTE))
    assert all(start < end for start, end in found)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(found))
    for minute in range(minutes):
        moment = first + minute * MINUTE
        expected = is_in_hours(hours, from_instant(moment).astimezone(zone))
        assert any(start <= moment < end for start, end in found) is expected, from_instant(moment)


@pytest.mark.parametrize(
    ("zone", "day", "between", "expected"),
    [
        # 02:00 to 03:00 does not occur.
        ("America/New_York", "2026-03-08", (135, 165), []),
        ("America/New_York", "2026-03-08", (150, 195), ["2026-03-08 07:00–07:15Z"]),
        ("America/New_York", "2026-03-08", (60, 180), ["2026-03-08 06:00–07:00Z"]),
        # 01:00 to 02:00 occurs twice.
        ("America/New_York", "2026-11-01", (75, 105), ["2026-11-01 05:15–05:45Z", "2026-11-01 06:15–06:45Z"]),
        ("America/New_York", "2026-11-01", (90, 150), ["2026-11-01 05:30–06:00Z", "2026-11-01 06:30–07:30Z"]),
        # Midnight to one o'clock does not occur; the hour before midnight occurs twice.
        ("America/Santiago", "2026-09-06", (15, 45), []),
        ("America/Santiago", "2026-09-06", (30, 75), ["2026-09-06 04:00–04:15Z"]),
        ("America/Santiago", "2026-04-04", (1395, 1425), ["2026-04-05 02:15–02:45Z", "2026-04-05 03:15–03:45Z"]),
        # Over midnight.
        ("Asia/Beirut", "2026-03-28", (1410, 1530), ["2026-03-28 21:30–22:30Z"]),
        ("America/Havana", "2025-11-01", (1430, 1450), ["2025-11-02 03:50–04:10Z", "2025-11-02 05:00–05:10Z"]),
    ],
    ids=str,
)
def test_search_hours_in_the_night_of_a_clock_change(
    zone: str, day: str, between: DayWindow, expected: list[str]
) -> None:
    weekday = date.fromisoformat(day).weekday()
    first = instant(f"{day}T00:00Z") - DAY
    assert format_in_utc(when_shown({weekday: [between]}, ZoneInfo(zone), (first, first + 4 * DAY))) == expected
