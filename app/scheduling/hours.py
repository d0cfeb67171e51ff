"""The weekly plan: a doctor's usual hours, as she says them, and as the availabilities that they are kept as."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from app.scheduling.availability import Availability
from app.scheduling.intervals import DAY, MINUTE, Interval, clip, merge
from app.scheduling.recurrence import starts_between
from app.scheduling.zones import constant_offsets, midnight

type DayWindow = tuple[int, int]
"""Minutes after midnight on the clock. One that ends after 24:00 goes on into the next day."""
type WeeklyHours = Mapping[int, Sequence[DayWindow]]
"""By day of the week; Monday is 0."""

MINUTES_OF_DAY = 24 * 60
WEEKDAY_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
"""Of RFC 5545."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEK = timedelta(weeks=1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday."""


def find_overlap(hours: WeeklyHours) -> int | None:
    """A day of the week on which a window begins before the one before has ended; ``None`` if there is none."""
    begins = sorted(
        (weekday * MINUTES_OF_DAY + start, weekday * MINUTES_OF_DAY + end, weekday)
        for weekday, windows in hours.items()
        for start, end in windows
    )
    if not begins:
        return None
    # After Sunday comes Monday again.
    first_start, first_end, first_weekday = begins[0]
    again = first_start + 7 * MINUTES_OF_DAY, first_end, first_weekday
    return next((later[2] for earlier, later in pairwise([*begins, again]) if later[0] < earlier[1]), None)


def to_availabilities(hours: WeeklyHours, valid_from: date, valid_to: date | None) -> list[Availability]:
    """The plan as weekly recurring availabilities, which begin on the days from ``valid_from`` to ``valid_to``."""
    weekdays: dict[DayWindow, list[int]] = defaultdict(list)
    for weekday, windows in sorted(hours.items()):
        for each in windows:
            weekdays[each].append(weekday)
    availabilities = []
    for (start, end), days in sorted(weekdays.items()):
        first = min(valid_from + timedelta(days=(day - valid_from.weekday()) % 7) for day in days)
        begin = midnight(first)
        availability = Availability(
            begin + timedelta(minutes=start),
            begin + timedelta(minutes=end),
            f"FREQ=WEEKLY;BYDAY={','.join(WEEKDAY_CODES[day] for day in days)}",
            plan_begins=valid_from,
        )
        availabilities += _until(availability, valid_to)
    return availabilities


def cut(availability: Availability, first: date, last: date | None) -> list[Availability]:
    """What is left of a weekly availability without what begins on the days from ``first`` to ``last``."""
    left = _until(availability, first - timedelta(days=1))
    if last is not None:
        left += _after(availability, last)
    return left


def when_shown(hours: WeeklyHours, zone: ZoneInfo, span: Interval) -> list[Interval]:
    """When, inside ``span``, the clock in ``zone`` shows a time within ``hours``: sorted and merged.

    Unlike open time, whose two ends are resolved, this goes by what the clock shows at each instant: times that the
    clock skips match nothing, and times that it shows twice match twice.
    """
    found: list[Interval] = []
    for part, offset in constant_offsets(zone, span):
        first, last = ((instant + offset) // DAY for instant in part)
        for day in range(first - 1, last + 1):  # a window may reach into the next day
            begins = day * DAY - offset
            windows = hours.get((day + _EPOCH_WEEKDAY) % 7, ())
            found += clip(((begins + start * MINUTE, begins + end * MINUTE) for start, end in windows), part)
    return merge(found)


def _until(availability: Availability, last: date | None) -> list[Availability]:
    """The part that begins on ``last`` at the latest, if there is one."""
    if last is None:
        return [availability]
    length = availability.ends - availability.starts
    last_ends = min(availability.last_ends, midnight(last + timedelta(days=1)) - _MICROSECOND + length)
    return [replace(availability, last_ends=last_ends)] if availability.ends <= last_ends else []


def _after(availability: Availability, day: date) -> list[Availability]:
    """The part that begins after ``day``, if there is one."""
    after = midnight(day + timedelta(days=1))
    length = availability.ends - availability.starts
    # Whatever recurs weekly recurs within a week.
    for starts in _starts(availability, after, max(after, availability.starts) + _WEEK):
        begins = max(after.date(), availability.plan_begins or starts.date())
        return [replace(availability, starts=starts, ends=starts + length, plan_begins=begins)]
    return []


def _starts(availability: Availability, first: datetime, last: datetime) -> list[datetime]:
    length = availability.ends - availability.starts
    last = min(last, availability.last_ends - length)
    return list(starts_between(availability.recurrence or "", availability.starts, first, last))
