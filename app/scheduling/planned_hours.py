"""A doctor's weekly hours over time, read from the availabilities that store them."""

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
    """Weekly hours that apply from ``first`` to ``last``, both included, or indefinitely if ``last`` is ``None``.

    If the period is shorter than a week, ``hours`` is complete only for the days of the week that occur in it.
    """

    first: date
    last: date | None
    hours: WeeklyHours

    @property
    def is_closed(self) -> bool:
        """Whether there are no hours on any day."""
        return not any(self.hours.values())

    @property
    def is_closed_for_good(self) -> bool:
        """Whether there are no hours on or after ``first``."""
        return self.last is None and self.is_closed


def to_planned_hours(availabilities: Iterable[Availability], first: date) -> list[PlannedHours]:
    """Return the weekly hours that availabilities were created from, in order and without gaps from ``first`` on.

    Periods without availabilities are returned as closed. Neighbouring periods with the same hours are joined.
    """
    periods: list[PlannedHours] = []
    for each in _read_periods(availabilities, first):
        if periods and _continues(periods[-1], each):
            periods[-1] = replace(periods[-1], last=each.last)
        # A period of less than a week has hours only for its own days, so both directions are tried.
        elif periods and _continues(each, periods[-1]):
            periods[-1] = replace(each, first=periods[-1].first)
        else:
            periods.append(each)
    return periods


def days_to_replace(periods: Sequence[PlannedHours], first: date) -> list[tuple[date, date | None]]:
    """Return the periods that new hours from ``first`` on replace; periods with other hours planned later are kept.

    The new hours apply until the next period starts, and again wherever the replaced hours were to return after it.
    """
    replaced, *later = [period for period in periods if period.last is None or period.last >= first]
    # The hours end and nothing is planned after them, so the new ones apply indefinitely (docs/time.md).
    if [period.is_closed_for_good for period in later] == [True]:
        return [(first, None)]
    returning = (period for period in later if _continues(replaced, period))
    return [(first, replaced.last), *((period.first, period.last) for period in returning)]


def _continues(period: PlannedHours, other: PlannedHours) -> bool:
    """Return whether ``other`` has the hours of ``period`` on each of its days."""
    length = 7 if other.last is None else min(7, (other.last - other.first).days + 1)
    weekdays = [(other.first + timedelta(days=number)).weekday() for number in range(length)]
    is_same = all(period.hours[weekday] == other.hours[weekday] for weekday in weekdays)
    # A short closed period, such as a holiday, may match on its few days. It is still not part of the usual hours.
    return is_same and period.is_closed == other.is_closed


def _read_periods(availabilities: Iterable[Availability], first: date) -> Iterator[PlannedHours]:
    # Periods do not overlap, and all availabilities of a period end on its last day.
    current = sorted((each for each in availabilities if _last_day(each) >= first), key=_last_day)
    for last, group in groupby(current, key=_last_day):
        hours: dict[int, list[DayWindow]] = {weekday: [] for weekday in range(7)}
        period_start = last
        for each in group:
            # Hours from before `plan_begins` was stored begin on the first day on which they open (ADR 0036).
            period_start = min(period_start, each.plan_begins or each.starts.date())
            day_start = midnight(each.starts.date())
            window = (each.starts - day_start) // _MINUTE, (each.ends - day_start) // _MINUTE
            for weekday in _weekdays(each):
                hours[weekday].append(window)
        if period_start > first:
            yield _closed(first, period_start - _DAY)
            first = period_start
        yield PlannedHours(first, None if last == _NEVER else last, {day: sorted(hours[day]) for day in hours})
        if last == _NEVER:
            return
        first = last + _DAY
    yield _closed(first, None)


def _closed(first: date, last: date | None) -> PlannedHours:
    return PlannedHours(first, last, {weekday: [] for weekday in range(7)})


def _weekdays(availability: Availability) -> list[int]:
    # `to_availabilities` has made the rule, so BYDAY is its last part.
    _, _, days = (availability.recurrence or "").partition(";BYDAY=")
    return [WEEKDAY_CODES.index(day) for day in days.split(",")]


def _last_day(availability: Availability) -> date:
    """Return the last day on which an occurrence may start."""
    if availability.last_ends == NO_END:
        return _NEVER
    return (availability.last_ends - (availability.ends - availability.starts)).date()
