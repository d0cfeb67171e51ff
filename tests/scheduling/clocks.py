"""Short ways to write instants, wall times and rules, and to show intervals."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from app.scheduling.availability import Availability, TimeOff
from app.scheduling.intervals import Interval, from_instant, to_instant

NEW_YORK = ZoneInfo("America/New_York")
CAIRO = ZoneInfo("Africa/Cairo")
KOLKATA = ZoneInfo("Asia/Kolkata")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
HAVANA = ZoneInfo("America/Havana")
ST_JOHNS = ZoneInfo("America/St_Johns")
APIA = ZoneInfo("Pacific/Apia")


def instant(text: str) -> int:
    return to_instant(datetime.fromisoformat(text))


def span(first: str, last: str) -> Interval:
    return instant(first), instant(last)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def make_availability(starts: str, ends: str, recurrence: str | None = None) -> Availability:
    return Availability(wall(starts), wall(ends), recurrence)


def make_time_off(starts: str, ends: str) -> TimeOff:
    return TimeOff(wall(starts), wall(ends))


def format_in_utc(intervals: Iterable[Interval]) -> list[str]:
    return [f"{from_instant(start):%Y-%m-%d %H:%M}–{from_instant(end):%H:%M}Z" for start, end in intervals]


def local_starts(zone: ZoneInfo, intervals: Iterable[Interval]) -> list[str]:
    return [f"{from_instant(start).astimezone(zone):%H:%M}" for start, _ in intervals]
