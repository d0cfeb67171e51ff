"""Wall clocks on the days when they are changed. The instants were checked against the IANA database."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.intervals import HOUR, MINUTE, from_instant, to_instant
from app.scheduling.zones import resolve, wall_time

NEW_YORK = ZoneInfo("America/New_York")


def instant(text: str) -> int:
    return to_instant(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("zone", "wall", "expected"),
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
        # Twice: the first occurrence.
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30Z"),
        ("Africa/Cairo", "2026-10-29T23:30", "2026-10-29T20:30Z"),
    ],
)
def test_wall_time_in_a_zone(zone: str, wall: str, expected: str) -> None:
    assert resolve(datetime.fromisoformat(wall), ZoneInfo(zone)) == instant(expected)


def test_the_second_occurrence_has_a_fold() -> None:
    second = wall_time(instant("2026-11-01T06:30Z"), NEW_YORK)
    assert (second.hour, second.minute, second.fold) == (1, 30, 1)
    assert resolve(second, NEW_YORK) == instant("2026-11-01T06:30Z")


@pytest.mark.parametrize(("night", "hours"), [("2026-03-07", 7), ("2026-10-31", 9), ("2026-06-06", 8)])
def test_a_night_is_as_long_as_the_clock_makes_it(night: str, hours: int) -> None:
    evening = datetime.fromisoformat(f"{night}T22:00")
    morning = (
        evening.replace(day=evening.day + 1, hour=6) if evening.day < 31 else datetime.fromisoformat("2026-11-01T06:00")
    )
    assert resolve(morning, NEW_YORK) - resolve(evening, NEW_YORK) == hours * HOUR


@given(
    st.integers(instant("1990-01-01T00:00Z") // MINUTE, instant("2090-01-01T00:00Z") // MINUTE),
    st.sampled_from(
        [
            "America/New_York",
            "Africa/Cairo",
            "Asia/Kolkata",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "Europe/Dublin",
            "UTC",
        ]
    ),
)
def test_every_instant_survives_the_way_over_a_wall_clock(minute: int, zone: str) -> None:
    moment = minute * MINUTE
    wall = wall_time(moment, ZoneInfo(zone))
    assert resolve(wall, ZoneInfo(zone)) == moment
    assert wall == from_instant(moment).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
