"""A doctor's weekly plans, one after the other, as they are read from the availabilities that they are kept as."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby

from app.scheduling.availability import NO_END, Availability
from app.scheduling.hours import WEEKDAY_CODES, DayWindow, WeeklyHours
from app.scheduling.zones import midnight

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_NEVER = date.max


@dataclass(frozen=True, slots=True)
class PlannedHours:
    """Weekly hours that hold from ``first`` to ``last``, both included; without an end if ``last`` is ``None``.

    Of less than a week, ``hours`` has the windows of its days; other days may lack some.
    """

    first: date
    last: date | None
    hours: WeeklyHours

    @property
    def is_closed(self) -> bool:
        """Whether it has no hours at all."""
        return not any(self.hours.values())

    @property
    def is_closed_for_good(self) -> bool:
        """Whether nothing is planned from here on."""
        return self.last is None and self.is_closed


def to_plans(availabilities: Iterable[Availability], first: date) -> list[PlannedHours]:
    """The weekly plans that availabilities were made from, in order: one for each day from ``first`` on.

    Days between two plans, and after the last one, are a plan without hours. Neighbours with the same hours are one
    plan.
    """
    plans: list[PlannedHours] = []
    for each in _read_plans(availabilities, first):
        if plans and _goes_on(plans[-1], each):
            plans[-1] = replace(plans[-1], last=each.last)
        elif plans and _goes_on(each, plans[-1]):
            plans[-1] = replace(each, first=plans[-1].first)
        else:
            plans.append(each)
    return plans


def days_to_replace(plans: Sequence[PlannedHours], first: date) -> list[tuple[date, date | None]]:
    """The days on which new hours from ``first`` on hold, if they leave other plans for later alone.

    Until the next plan begins, and wherever the hours that they replace were to come back after it.
    """
    replaced, *later = [plan for plan in plans if plan.last is None or plan.last >= first]
    if [plan.is_closed_for_good for plan in later] == [True]:
        return [(first, None)]
    again = (plan for plan in later if _goes_on(replaced, plan))
    return [(first, replaced.last), *((plan.first, plan.last) for plan in again)]


def _goes_on(plan: PlannedHours, other: PlannedHours) -> bool:
    """Whether a plan goes on in another one: its days would be the same with these hours."""
    length = 7 if other.last is None else min(7, (other.last - other.first).days + 1)
    weekdays = [(other.first + timedelta(days=number)).weekday() for number in range(length)]
    is_same = all(plan.hours[weekday] == other.hours[weekday] for weekday in weekdays)
    return is_same and plan.is_closed == other.is_closed  # being away is no part of one's hours


def _read_plans(availabilities: Iterable[Availability], first: date) -> Iterator[PlannedHours]:
    # Plans follow each other, and all the availabilities of one end with it.
    current = sorted((each for each in availabilities if _last_day(each) >= first), key=_last_day)
    for last, group in groupby(current, key=_last_day):
        hours: dict[int, list[DayWindow]] = {weekday: [] for weekday in range(7)}
        begins = last
        for each in group:
            begins = min(begins, each.plan_begins or each.starts.date())
            begin = midnight(each.starts.date())
            window = (each.starts - begin) // _MINUTE, (each.ends - begin) // _MINUTE
            for weekday in _weekdays(each):
                hours[weekday].append(window)
        if begins > first:
            yield _closed(first, begins - _DAY)
            first = begins
        yield PlannedHours(first, None if last == _NEVER else last, {day: sorted(hours[day]) for day in hours})
        if last == _NEVER:
            return
        first = last + _DAY
    yield _closed(first, None)


def _closed(first: date, last: date | None) -> PlannedHours:
    return PlannedHours(first, last, {weekday: [] for weekday in range(7)})


def _weekdays(availability: Availability) -> list[int]:
    _, _, days = (availability.recurrence or "").partition(";BYDAY=")
    return [WEEKDAY_CODES.index(day) for day in days.split(",")]


def _last_day(availability: Availability) -> date:
    """The last on which it may begin."""
    if availability.last_ends == NO_END:
        return _NEVER
    return (availability.last_ends - (availability.ends - availability.starts)).date()
