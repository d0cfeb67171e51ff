"""Weekly hours: a doctor's usual week, and its conversion to the availabilities that are stored."""

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
"""Start and end in minutes after midnight on the clock. An end after 24:00 lies on the next day."""
type WeeklyHours = Mapping[int, Sequence[DayWindow]]
"""Windows by day of the week; Monday is 0."""

MINUTES_OF_DAY = 24 * 60
WEEKDAY_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
"""The codes of RFC 5545, from Monday on."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEK = timedelta(weeks=1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday."""


def find_overlap(hours: WeeklyHours) -> int | None:
    """Return a day of the week on which a window starts before the previous one has ended, or ``None``."""
    ordered = sorted(
        (weekday * MINUTES_OF_DAY + start, weekday * MINUTES_OF_DAY + end, weekday)
        for weekday, windows in hours.items()
        for start, end in windows
    )
    if not ordered:
        return None
    # Sunday may run into Monday, so the first window is compared once more, a week later.
    first_start, first_end, first_weekday = ordered[0]
    next_week = first_start + 7 * MINUTES_OF_DAY, first_end, first_weekday
    return next((later[2] for earlier, later in pairwise([*ordered, next_week]) if later[0] < earlier[1]), None)


def to_availabilities(hours: WeeklyHours, valid_from: date, valid_to: date | None) -> list[Availability]:
    """Return weekly hours as recurring availabilities whose occurrences start from ``valid_from`` to ``valid_to``."""
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
    """Return a weekly availability without the occurrences that start from ``first`` to ``last``.

    Without ``last``, all later occurrences are removed.
    """
    remaining = _until(availability, first - timedelta(days=1))
    if last is not None:
        remaining += _after(availability, last)
    return remaining


def when_shown(hours: WeeklyHours, zone: ZoneInfo, span: Interval) -> list[Interval]:
    """Return when, inside ``span``, the clock in ``zone`` shows a time within ``hours``: sorted and merged.

    For the windows of a doctor, only start and end are resolved. Here every instant is matched by what the clock shows
    then: a time that the clock skips matches nothing, and a time that it shows twice matches twice.
    """
    found: list[Interval] = []
    for part, offset in constant_offsets(zone, span):
        first, last = ((instant + offset) // DAY for instant in part)
        for day in range(first - 1, last + 1):  # a window of the day before may extend into the first day
            day_start = day * DAY - offset
            windows = hours.get((day + _EPOCH_WEEKDAY) % 7, ())
            found += clip(((day_start + start * MINUTE, day_start + end * MINUTE) for start, end in windows), part)
    return merge(found)


def _until(availability: Availability, last: date | None) -> list[Availability]:
    """Return the availability without occurrences that start after the day ``last``; empty if none is left."""
    if last is None:
        return [availability]
    length = availability.ends - availability.starts
    last_ends = min(availability.last_ends, midnight(last + timedelta(days=1)) - _MICROSECOND + length)
    return [replace(availability, last_ends=last_ends)] if availability.ends <= last_ends else []


def _after(availability: Availability, day: date) -> list[Availability]:
    """Return the availability from its first occurrence after ``day`` on; empty if there is none."""
    after = midnight(day + timedelta(days=1))
    length = availability.ends - availability.starts
    # A weekly rule recurs within a week, so searching further is pointless.
    for starts in _starts(availability, after, max(after, availability.starts) + _WEEK):
        plan_begins = max(after.date(), availability.plan_begins or starts.date())
        return [replace(availability, starts=starts, ends=starts + length, plan_begins=plan_begins)]
    return []


def _starts(availability: Availability, first: datetime, last: datetime) -> list[datetime]:
    length = availability.ends - availability.starts
    last = min(last, availability.last_ends - length)
    return list(starts_between(availability.recurrence or "", availability.starts, first, last))
