"""The windows of availabilities and time off, as instants."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from app.scheduling import availability
from app.scheduling.availability import (
    Availability,
    Rules,
    is_open_after,
    open_windows,
    time_off_windows,
    window,
    windows_between,
)
from app.scheduling.intervals import DAY, HOUR, from_instant, overlaps, to_instant
from app.scheduling.zones import wall_time
from tests.scheduling.clocks import (
    APIA,
    CAIRO,
    HAVANA,
    KOLKATA,
    LORD_HOWE,
    NEW_YORK,
    ST_JOHNS,
    format_in_utc,
    instant,
    make_availability,
    make_time_off,
    span,
    wall,
)
from tests.scheduling.reference import at, list_windows


def test_daily_window_keeps_its_wall_time_when_clocks_change() -> None:
    rules = Rules(NEW_YORK, (make_availability("2026-01-03T13:00", "2026-01-03T18:00", "FREQ=DAILY"),))
    assert format_in_utc(open_windows(rules, span("2026-03-07T00:00Z", "2026-03-09T00:00Z"))) == [
        "2026-03-07 18:00–23:00Z",
        "2026-03-08 17:00–22:00Z",
    ]
    rules = Rules(NEW_YORK, (make_availability("2026-01-03T09:00", "2026-01-03T10:00", "FREQ=DAILY"),))
    assert format_in_utc(open_windows(rules, span("2026-10-31T00:00Z", "2026-11-03T00:00Z"))) == [
        "2026-10-31 13:00–14:00Z",
        "2026-11-01 14:00–15:00Z",
        "2026-11-02 14:00–15:00Z",
    ]


def test_weekly_window_keeps_its_wall_time_when_clocks_change() -> None:
    rules = Rules(NEW_YORK, (make_availability("2026-01-06T10:00", "2026-01-06T11:00", "FREQ=WEEKLY"),))
    assert format_in_utc(open_windows(rules, span("2026-10-27T00:00Z", "2026-11-04T00:00Z"))) == [
        "2026-10-27 14:00–15:00Z",
        "2026-11-03 15:00–16:00Z",
    ]


@pytest.mark.parametrize(("evening", "hours"), [("2026-03-07", 7), ("2026-06-06", 8), ("2026-10-31", 9)])
def test_window_over_a_night_is_an_hour_shorter_or_longer_when_clocks_change(evening: str, hours: int) -> None:
    rules = Rules(NEW_YORK, (make_availability("2026-01-03T22:00", "2026-01-04T06:00", "FREQ=WEEKLY"),))
    begin = instant(f"{evening}T12:00Z")
    [(opens, closes)] = open_windows(rules, (begin, begin + 24 * HOUR))
    assert closes - opens == hours * HOUR


@pytest.mark.parametrize(
    ("zone", "starts", "ends", "expected"),
    [
        # Clocks go forward inside, at the start and at the end of the window.
        (NEW_YORK, "2026-03-08T01:00", "2026-03-08T04:00", "2026-03-08 06:00–08:00Z"),
        (NEW_YORK, "2026-03-08T02:00", "2026-03-08T04:00", "2026-03-08 07:00–08:00Z"),
        (NEW_YORK, "2026-03-08T01:00", "2026-03-08T02:00", "2026-03-08 06:00–07:00Z"),
        (NEW_YORK, "2026-03-08T01:00", "2026-03-08T02:30", "2026-03-08 06:00–07:30Z"),
        (LORD_HOWE, "2026-10-04T01:00", "2026-10-04T03:00", "2026-10-03 14:30–16:00Z"),
        (CAIRO, "2026-04-24T00:00", "2026-04-24T02:00", "2026-04-23 22:00–23:00Z"),
        # Clocks go back.
        (NEW_YORK, "2026-11-01T00:00", "2026-11-01T04:00", "2026-11-01 04:00–09:00Z"),
        (LORD_HOWE, "2026-04-05T01:00", "2026-04-05T03:00", "2026-04-04 14:00–16:30Z"),
        (CAIRO, "2026-10-29T22:00", "2026-10-30T00:00", "2026-10-29 19:00–22:00Z"),
        (KOLKATA, "2026-12-08T09:00", "2026-12-08T12:00", "2026-12-08 03:30–06:30Z"),
    ],
    ids=str,
)
@pytest.mark.parametrize("recurrence", [None, "FREQ=WEEKLY"])
def test_window_on_the_day_of_a_clock_change(
    zone: ZoneInfo, starts: str, ends: str, expected: str, recurrence: str | None
) -> None:
    rules = Rules(zone, (make_availability(starts, ends, recurrence),))
    whole_day = instant(f"{starts[:10]}T00:00Z")
    assert format_in_utc(open_windows(rules, (whole_day - 12 * HOUR, whole_day + 36 * HOUR))) == [expected]


def test_window_that_clocks_skip_is_left_out() -> None:
    # 02:30 is read as 03:30, which is later than 03:15.
    skipped = make_availability("2026-03-08T02:30", "2026-03-08T03:15")
    assert open_windows(Rules(NEW_YORK, (skipped,)), span("2026-03-08T00:00Z", "2026-03-09T00:00Z")) == []


def test_single_window_can_begin_or_end_at_the_second_occurrence_of_a_wall_time() -> None:
    first, second = wall("2026-11-01T01:30"), wall("2026-11-01T01:30").replace(fold=1)
    assert window(Availability(first, second), NEW_YORK) == span("2026-11-01T05:30Z", "2026-11-01T06:30Z")
    end = wall("2026-11-01T02:00")
    assert window(Availability(second, end), NEW_YORK) == span("2026-11-01T06:30Z", "2026-11-01T07:00Z")


@pytest.mark.parametrize("minutes", [0, 30, 60, 90, 120])
def test_window_survives_the_conversion_to_wall_times(minutes: int) -> None:
    start = instant("2026-11-01T05:00Z") + minutes * HOUR // 60
    availability = Availability(wall_time(start, NEW_YORK), wall_time(start + HOUR, NEW_YORK))
    assert window(availability, NEW_YORK) == (start, start + HOUR)


def test_windows_keep_their_wall_times_when_the_time_zone_changes() -> None:
    rules = Rules(NEW_YORK, (make_availability("2026-01-05T09:00", "2026-01-05T10:00", "FREQ=WEEKLY"),))
    week = span("2026-12-07T00:00Z", "2026-12-14T00:00Z")
    assert format_in_utc(open_windows(rules, week)) == ["2026-12-07 14:00–15:00Z"]
    assert format_in_utc(open_windows(replace(rules, zone=KOLKATA), week)) == ["2026-12-07 03:30–04:30Z"]


def test_windows_recur_from_the_first_to_the_last_occurrence() -> None:
    daily = replace(
        make_availability("2026-06-02T09:00", "2026-06-02T10:00", "FREQ=DAILY"), last_ends=wall("2026-06-04T10:00")
    )
    assert format_in_utc(open_windows(Rules(NEW_YORK, (daily,)), span("2026-01-01T00:00Z", "2026-12-31T00:00Z"))) == [
        "2026-06-02 13:00–14:00Z",
        "2026-06-03 13:00–14:00Z",
        "2026-06-04 13:00–14:00Z",
    ]
    shorter = replace(daily, last_ends=wall("2026-06-04T09:59"))
    assert len(open_windows(Rules(NEW_YORK, (shorter,)), span("2026-06-01T00Z", "2026-07-01T00Z"))) == 2


def test_window_of_a_week_is_found_from_each_of_its_days() -> None:
    rules = Rules(NEW_YORK, (make_availability("2026-06-01T00:00", "2026-06-08T00:00", "FREQ=WEEKLY"),))
    day = span("2027-06-03T00:00Z", "2027-06-04T00:00Z")
    assert open_windows(rules, day) == [day]
    assert len(windows_between(rules, day)) == 1


def test_openings_are_returned_whole_and_unmerged() -> None:
    morning, overlapping = (
        make_availability("2026-06-01T09:00", "2026-06-01T12:00"),
        make_availability("2026-06-01T11:00", "2026-06-01T13:00"),
    )
    rules = Rules(KOLKATA, (morning, overlapping))
    part = span("2026-06-01T06:00Z", "2026-06-01T06:30Z")
    assert format_in_utc(windows_between(rules, part)) == ["2026-06-01 03:30–06:30Z", "2026-06-01 05:30–07:30Z"]
    assert open_windows(rules, part) == [part]


def test_window_that_only_touches_the_span_is_not_returned() -> None:
    rules = Rules(KOLKATA, (make_availability("2026-06-01T09:00", "2026-06-01T12:00"),))
    assert windows_between(rules, span("2026-06-01T06:30Z", "2026-06-01T07:00Z")) == []
    assert windows_between(rules, span("2026-06-01T03:00Z", "2026-06-01T03:30Z")) == []


def test_day_off_is_as_long_as_the_day() -> None:
    spring, autumn = (
        make_time_off("2026-04-24T00:00", "2026-04-25T00:00"),
        make_time_off("2026-10-29T00:00", "2026-10-30T00:00"),
    )
    rules = Rules(CAIRO, (), (spring, autumn))
    [short, long] = time_off_windows(rules, span("2026-01-01T00:00Z", "2027-01-01T00:00Z"))
    assert short == span("2026-04-23T22:00Z", "2026-04-24T21:00Z")
    assert long == span("2026-10-28T21:00Z", "2026-10-29T22:00Z")


def test_time_off_windows_are_merged_and_clipped() -> None:
    rules = Rules(
        KOLKATA,
        (),
        (make_time_off("2026-06-02T00:00", "2026-06-03T00:00"), make_time_off("2026-06-01T00:00", "2026-06-02T00:00")),
    )
    assert time_off_windows(rules, span("2026-06-01T00:00Z", "2026-06-09T00:00Z")) == [
        span("2026-06-01T00:00Z", "2026-06-02T18:30Z")
    ]


@pytest.fixture(params=[1, 28])
def block_days(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    days: int = request.param
    # The cached blocks have another length.
    availability._windows_of_block.cache_clear()
    monkeypatch.setattr(availability, "_BLOCK", timedelta(days=days))
    yield days
    availability._windows_of_block.cache_clear()


@pytest.mark.usefixtures("block_days")
@pytest.mark.parametrize(
    ("zone", "around"),
    [
        (NEW_YORK, "2026-03-08T07:00Z"),
        (CAIRO, "2026-10-29T21:00Z"),
        (HAVANA, "2025-11-02T05:00Z"),
        (ST_JOHNS, "2010-11-07T02:31Z"),
        (APIA, "2011-12-30T10:00Z"),
    ],
    ids=str,
)
@pytest.mark.parametrize("times", ["00:00 24", "23:45 1", "00:15 30", "01:30 72"])
def test_openings_do_not_depend_on_the_length_of_the_cached_blocks(zone: ZoneInfo, around: str, times: str) -> None:
    change = instant(around)
    clock, hours = times.split()
    starts = wall(f"{from_instant(change - 9 * DAY):%Y-%m-%d}T{clock}")
    rules = Rules(zone, (Availability(starts, starts + timedelta(hours=int(hours)), "FREQ=DAILY"),))
    days = change - 3 * DAY, change + 3 * DAY
    expected = [(to_instant(first), to_instant(last)) for first, last in list_windows(rules, *map(at, days))]
    for begin in range(*days, HOUR // 2):
        half_hour = begin, begin + HOUR // 2
        assert windows_between(rules, half_hour) == [each for each in expected if overlaps(half_hour, [each])]


def test_equal_weekly_rules_share_cached_windows() -> None:
    availability._windows_of_block.cache_clear()
    days = span("2026-06-03T00:00Z", "2026-06-04T00:00Z")
    for days_later in range(300):
        starts = wall("2024-01-01T09:00") + timedelta(days=days_later)
        if starts.weekday() in {0, 2, 4}:
            rules = Rules(NEW_YORK, (Availability(starts, starts + timedelta(hours=8), "FREQ=WEEKLY;BYDAY=MO,WE,FR"),))
            assert windows_between(rules, days) == [span("2026-06-03T13:00Z", "2026-06-03T21:00Z")]
    cache = availability._windows_of_block.cache_info()
    # One for each weekday on which a rule begins.
    assert cache.misses == 3
    assert cache.hits > 100


def test_rules_for_alternate_weeks_do_not_share_cached_windows() -> None:
    even, odd = (
        Rules(NEW_YORK, (make_availability(f"{day}T09:00", f"{day}T17:00", "FREQ=WEEKLY;INTERVAL=2"),))
        for day in ("2024-01-01", "2024-01-08")
    )
    days = span("2026-06-01T00:00Z", "2026-06-15T00:00Z")
    assert [windows_between(rules, days) for rules in (even, odd)] == [
        [span("2026-06-01T13:00Z", "2026-06-01T21:00Z")],
        [span("2026-06-08T13:00Z", "2026-06-08T21:00Z")],
    ]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2028-06-01T12:00Z", True),  # before the window
        ("2028-06-01T15:00Z", True),  # inside it
        ("2028-06-01T21:00Z", False),  # at its end
    ],
)
def test_window_is_open_until_its_end(after: str, expected: bool) -> None:
    rules = Rules(NEW_YORK, (make_availability("2028-06-01T09:00", "2028-06-01T17:00"),))
    begin, until = span(after, "2027-12-01T00:00Z")
    assert any(is_open_after(rules, begin, until)) is expected
