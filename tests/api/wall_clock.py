"""Weekly hours and slots in the wall time of a doctor."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.conftest import SetClock

NEW_YORK = ZoneInfo("America/New_York")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def daily(*windows: Any) -> dict[str, list[Any]]:
    """Weekly hours with the same windows on every day."""
    return {weekday: list(windows) for weekday in WEEKDAYS}


def local_starts(slots: list[tuple[str, str, str]]) -> list[str]:
    """When slots start on the doctor's clock, as ``HH:MM``."""
    return [local_start[11:16] for _, _, local_start in slots]


def make_winter_clock() -> SetClock:
    """A clock that shows a time before clocks go forward in 2026."""
    clock = SetClock()
    clock.time = datetime(2026, 2, 1, 12, tzinfo=UTC)
    return clock
