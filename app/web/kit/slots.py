"""Slots, grouped for display by day and by morning, afternoon and evening."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from babel import Locale

from app.scheduling.intervals import Interval, from_instant
from app.scheduling.zones import day_span

DAYS = 7
MAX_TIMES = 160
"""A week with more slots is shown day by day, because the page would be too heavy."""

_NOON, _EVENING = 12, 17


@dataclass(frozen=True, slots=True)
class Slot:
    """A start and an end that can be booked."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, visit: Interval) -> "Slot":
        """Return the slot of an interval of instants."""
        return cls(*map(from_instant, visit))

    @property
    def value(self) -> str:
        """The start in UTC (RFC 3339), as forms send it."""
        return f"{self.start:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Day:
    """A day with its slots, by part of the day."""

    date: date
    parts: Sequence[tuple[str, Sequence[Slot]]]


def part_of(moment: datetime, zone: ZoneInfo) -> str:
    """Return the part of the day in a zone: ``morning``, ``afternoon`` or ``evening``."""
    hour = moment.astimezone(zone).hour
    return "morning" if hour < _NOON else "afternoon" if hour < _EVENING else "evening"


def lay_out(visits: Iterable[Interval], days: Iterable[date], zone: ZoneInfo) -> list[Day]:
    """Return these days, each with the slots that start on it. The slots must be sorted."""
    slots = [Slot.of(visit) for visit in visits]
    found = {
        day: [(part, list(each)) for part, each in groupby(on_day, key=lambda slot: part_of(slot.start, zone))]
        for day, on_day in groupby(slots, key=lambda slot: slot.start.astimezone(zone).date())
    }
    return [Day(day, found.get(day, [])) for day in days]


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days in a zone, starting on the first day of the week of the reader's locale."""

    first: date
    zone: ZoneInfo

    @classmethod
    def around(cls, day: date, zone: ZoneInfo, locale: Locale) -> "Week":
        """Return the week that contains a day."""
        return cls(day - timedelta(days=(day.weekday() - locale.first_week_day) % DAYS), zone)

    @property
    def days(self) -> list[date]:
        """All seven days."""
        return [self.first + timedelta(days=number) for number in range(DAYS)]

    @property
    def last(self) -> date:
        """The seventh day."""
        return self.first + timedelta(days=DAYS - 1)

    @property
    def before(self) -> date:
        """A day of the previous week."""
        return self.first - timedelta(days=1)

    @property
    def after(self) -> date:
        """A day of the next week."""
        return self.first + timedelta(days=DAYS)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The instants at which the first day starts and the last day ends."""
        return from_instant(day_span(self.first, self.zone)[0]), from_instant(day_span(self.last, self.zone)[1])
