"""Times that can be booked, as they are laid out: by day, and by morning, afternoon and evening."""

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
    """A visit that can be booked."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, visit: Interval) -> "Slot":
        """The same, as people's clocks can show it."""
        return cls(*map(from_instant, visit))

    @property
    def value(self) -> str:
        """The start, as forms send it."""
        return f"{self.start:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Day:
    """A day, with what can be booked on it, by its parts."""

    date: date
    parts: Sequence[tuple[str, Sequence[Slot]]]


def part_of(moment: datetime, zone: ZoneInfo) -> str:
    """Which part of the day it is on the clock of a zone."""
    hour = moment.astimezone(zone).hour
    return "morning" if hour < _NOON else "afternoon" if hour < _EVENING else "evening"


def lay_out(visits: Iterable[Interval], days: Iterable[date], zone: ZoneInfo) -> list[Day]:
    """These days, with what of the visits, which are sorted, begins on each."""
    slots = [Slot.of(visit) for visit in visits]
    found = {
        day: [(part, list(each)) for part, each in groupby(on_day, key=lambda slot: part_of(slot.start, zone))]
        for day, on_day in groupby(slots, key=lambda slot: slot.start.astimezone(zone).date())
    }
    return [Day(day, found.get(day, [])) for day in days]


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days on the clock of a zone, from the day on which a week begins where the language is spoken."""

    first: date
    zone: ZoneInfo

    @classmethod
    def around(cls, day: date, zone: ZoneInfo, locale: Locale) -> "Week":
        """The week that a day lies in."""
        return cls(day - timedelta(days=(day.weekday() - locale.first_week_day) % DAYS), zone)

    @property
    def days(self) -> list[date]:
        """All of them."""
        return [self.first + timedelta(days=number) for number in range(DAYS)]

    @property
    def last(self) -> date:
        """The seventh day."""
        return self.first + timedelta(days=DAYS - 1)

    @property
    def before(self) -> date:
        """A day of the week before."""
        return self.first - timedelta(days=1)

    @property
    def after(self) -> date:
        """A day of the week after."""
        return self.first + timedelta(days=DAYS)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the first midnight to the last."""
        return from_instant(day_span(self.first, self.zone)[0]), from_instant(day_span(self.last, self.zone)[1])
