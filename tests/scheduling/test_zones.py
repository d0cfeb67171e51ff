"""Wall times and days around clock changes. The expected instants were checked against the IANA database."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.intervals import DAY, HOUR, MINUTE, from_instant
from app.scheduling.zones import constant_offsets, day_of, day_span, offset_at, resolve, wall_time
from tests.scheduling.clocks import NEW_YORK, instant, span, wall

zones = st.sampled_from(
    [
        "America/New_York",
        "Africa/Cairo",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "America/Havana",
        "America/St_Johns",
        "Pacific/Apia",
        "Europe/Dublin",
        "UTC",
    ]
).map(ZoneInfo)
moments = st.integers(instant("1990-01-01T00:00Z") // MINUTE, instant("2090-01-01T00:00Z") // MINUTE).map(
    lambda minute: minute * MINUTE
)


@pytest.mark.parametrize(
    ("zone", "shown", "expected"),
    [
        ("America/New_York", "2026-03-07T13:00", "2026-03-07T18:00Z"),
        ("America/New_York", "2026-03-08T13:00", "2026-03-08T17:00Z"),
        ("America/New_York", "2026-10-31T09:00", "2026-10-31T13:00Z"),
        ("America/New_York", "2026-11-01T09:00", "2026-11-01T14:00Z"),
        ("America/New_York", "2026-10-27T10:00", "2026-10-27T14:00Z"),
        ("America/New_York", "2026-11-03T10:00", "2026-11-03T15:00Z"),
        ("Asia/Kolkata", "2026-12-08T09:00", "2026-12-08T03:30Z"),
        # In the gap: read with the offset before it (RFC 5545 section 3.3.5).
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:30Z"),
        ("Africa/Cairo", "2026-04-24T00:00", "2026-04-23T22:00Z"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45Z"),
        # Twice: the first occurrence.
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30Z"),
        ("Africa/Cairo", "2026-10-29T23:30", "2026-10-29T20:30Z"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45Z"),
        ("America/Havana", "2025-11-02T00:30", "2025-11-02T04:30Z"),
    ],
)
def test_wall_time_is_resolved_to_an_instant(zone: str, shown: str, expected: str) -> None:
    assert resolve(wall(shown), ZoneInfo(zone)) == instant(expected)


def test_second_occurrence_of_a_wall_time_has_a_fold() -> None:
    second = wall_time(instant("2026-11-01T06:30Z"), NEW_YORK)
    assert (second.hour, second.minute, second.fold) == (1, 30, 1)
    assert resolve(second, NEW_YORK) == instant("2026-11-01T06:30Z")


@pytest.mark.parametrize(
    ("zone", "day", "first", "last", "hours"),
    [
        ("America/New_York", "2026-03-07", "2026-03-07T05:00Z", "2026-03-08T05:00Z", 24),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00Z", "2026-03-09T04:00Z", 23),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00Z", "2026-11-02T05:00Z", 25),
        # No midnight: the day begins at 01:00.
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00Z", "2026-04-24T21:00Z", 23),
        # 23:00 to 24:00 occurs twice.
        ("Africa/Cairo", "2026-10-29", "2026-10-28T21:00Z", "2026-10-29T22:00Z", 25),
        ("Asia/Kolkata", "2026-12-08", "2026-12-07T18:30Z", "2026-12-08T18:30Z", 24),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00Z", "2026-04-05T13:30Z", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30Z", "2026-10-04T13:00Z", 23.5),
        # Midnight occurs twice. The first one begins the day.
        ("America/Havana", "2025-11-01", "2025-11-01T04:00Z", "2025-11-02T04:00Z", 24),
        ("America/Havana", "2025-11-02", "2025-11-02T04:00Z", "2025-11-03T05:00Z", 25),
        ("America/St_Johns", "2010-11-06", "2010-11-06T02:30Z", "2010-11-07T02:30Z", 24),
        ("America/St_Johns", "2010-11-07", "2010-11-07T02:30Z", "2010-11-08T03:30Z", 25),
        # Samoa skipped this day to change to the other side of the date line.
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00Z", "2011-12-30T10:00Z", 0),
    ],
)
def test_day_lasts_from_midnight_to_midnight(zone: str, day: str, first: str, last: str, hours: float) -> None:
    begin, end = day_span(date.fromisoformat(day), ZoneInfo(zone))
    assert (begin, end) == span(first, last)
    assert end - begin == hours * HOUR


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("Africa/Cairo", "2026-04-23T21:59Z", "2026-04-23"),
        ("Africa/Cairo", "2026-04-23T22:00Z", "2026-04-24"),
        ("Africa/Cairo", "2026-10-29T21:59Z", "2026-10-29"),
        ("Africa/Cairo", "2026-10-29T22:00Z", "2026-10-30"),
        # A minute after midnight clocks go back to 23:01 of the day before.
        ("America/St_Johns", "2010-11-07T02:29Z", "2010-11-06"),
        ("America/St_Johns", "2010-11-07T02:30Z", "2010-11-07"),
        ("America/St_Johns", "2010-11-07T02:31Z", "2010-11-07"),
        ("America/St_Johns", "2010-11-07T03:30Z", "2010-11-07"),
        ("Pacific/Apia", "2011-12-30T09:59Z", "2011-12-29"),
        ("Pacific/Apia", "2011-12-30T10:00Z", "2011-12-31"),
    ],
)
def test_instant_belongs_to_a_day(zone: str, moment: str, day: str) -> None:
    assert day_of(instant(moment), ZoneInfo(zone)) == date.fromisoformat(day)


@given(moments, zones)
def test_instant_lies_in_the_span_of_its_day(moment: int, zone: ZoneInfo) -> None:
    first, last = day_span(day_of(moment, zone), zone)
    assert first <= moment < last


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), zones)
def test_day_begins_when_the_day_before_ends(day: date, zone: ZoneInfo) -> None:
    assert day_span(day, zone)[1] == day_span(day + timedelta(days=1), zone)[0]


@given(moments, zones)
def test_instant_survives_the_conversion_to_a_wall_time(moment: int, zone: ZoneInfo) -> None:
    shown = wall_time(moment, zone)
    assert resolve(shown, zone) == moment
    assert shown == from_instant(moment).astimezone(zone).replace(tzinfo=None)


@given(zones, moments, st.integers(1, 400 * 24))
def test_span_is_split_where_the_offset_changes(zone: ZoneInfo, first: int, hours: int) -> None:
    last = first + hours * HOUR
    parts = list(constant_offsets(zone, (first, last)))
    assert parts[0][0][0] == first
    assert parts[-1][0][1] == last
    for ((begin, end), offset), following in zip(parts, [*parts[1:], None], strict=True):
        assert all(offset_at(moment, zone) == offset for moment in (*range(begin, end, DAY), end - 1))
        if following:
            assert following[0][0] == end
            assert offset_at(end, zone) == following[1] != offset
