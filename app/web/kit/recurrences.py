"""Recurrence rules (RFC 5545) in words."""

from collections.abc import Mapping
from datetime import date

from babel.dates import get_day_names
from babel.lists import format_list

from app.scheduling.availability import NO_END, Availability
from app.scheduling.hours import WEEKDAY_CODES
from app.web.kit.formatting import Formatter
from app.web.kit.languages import N_

_LASTING = frozenset({"COUNT", "UNTIL"})
"""Parts that limit a rule. They are ignored here, because the end of the last occurrence is stored separately."""
_WEEKS: Mapping[int, str] = {1: N_("Every week"), 2: N_("Every two weeks"), 4: N_("Every four weeks")}
_ORDINALS: Mapping[str, str] = {
    "1": N_("the first %(day)s"),
    "2": N_("the second %(day)s"),
    "3": N_("the third %(day)s"),
    "4": N_("the fourth %(day)s"),
    "5": N_("the fifth %(day)s"),
    "-1": N_("the last %(day)s"),
}


def last_day(rule: Availability) -> date | None:
    """Return the day of a rule's last occurrence in the doctor's wall time; ``None`` if the rule has no end."""
    return None if rule.last_ends == NO_END else (rule.last_ends - (rule.ends - rule.starts)).date()


def describe_recurrence(formatter: Formatter, rule: Availability) -> str | None:
    """Return how often a rule recurs, in words; ``None`` if it is too complex for that."""
    if rule.recurrence is None:
        return formatter.gettext("Once")
    parts = dict(part.split("=") for part in rule.recurrence.split(";"))
    every = int(parts.get("INTERVAL", "1"))
    # The first day of the week (WKST) matters only if the rule skips weeks.
    narrowed = parts.keys() - _LASTING - {"FREQ", "INTERVAL"} - ({"WKST"} if every == 1 else set())
    text = None
    match parts["FREQ"], sorted(narrowed):
        case "DAILY", []:
            text = _every_day(formatter, every)
        case ("DAILY", ["BYDAY"]) if every == 1:
            text = _every_week(formatter, 1, parts["BYDAY"], rule)
        case "WEEKLY", [] | ["BYDAY"]:
            text = _every_week(formatter, every, parts.get("BYDAY", ""), rule)
        case "MONTHLY", [] | ["BYMONTHDAY"]:
            text = _every_month(
                formatter, every, _days_of_month(formatter, parts.get("BYMONTHDAY", str(rule.starts.day)))
            )
        case "MONTHLY", ["BYDAY"]:
            text = _every_month(formatter, every, _weekdays_of_month(formatter, parts["BYDAY"]))
    return text


def _every_day(formatter: Formatter, every: int) -> str:
    if every == 1:
        return formatter.gettext("Every day")
    return formatter.ngettext("Every %(num)d day", "Every %(num)d days", every)


def _every_week(formatter: Formatter, every: int, codes: str, rule: Availability) -> str:
    """Return the weeks with the weekdays; without them if the only one is the day of the first occurrence."""
    weekdays = sorted({WEEKDAY_CODES.index(code) for code in codes.split(",")} if codes else {rule.starts.weekday()})
    if every == 1 and len(weekdays) == len(WEEKDAY_CODES):
        return formatter.gettext("Every day")
    often = formatter.ngettext("Every %(num)d week", "Every %(num)d weeks", every)
    if every in _WEEKS:
        often = formatter.gettext(_WEEKS[every])
    if weekdays == [rule.starts.weekday()]:
        return often
    return formatter.gettext(
        "%(often)s on %(days)s", often=often, days=_join(formatter, [_name(formatter, day) for day in weekdays])
    )


def _every_month(formatter: Formatter, every: int, days: list[str] | None) -> str | None:
    if days is None:
        return None
    often = formatter.ngettext("Every %(num)d month", "Every %(num)d months", every)
    if every == 1:
        often = formatter.gettext("Every month")
    return formatter.gettext("%(often)s: %(days)s", often=often, days=_join(formatter, days))


def _days_of_month(formatter: Formatter, numbers: str) -> list[str] | None:
    """Return days of the month in words, such as "day 1" and "the last day"; ``None`` for others before the end."""
    days = sorted({int(number) for number in numbers.split(",")}, key=lambda day: (day < 0, day))
    if any(day < -1 for day in days):
        return None
    return [
        formatter.gettext("day %(number)d", number=day) if day > 0 else formatter.gettext("the last day")
        for day in days
    ]


def _weekdays_of_month(formatter: Formatter, codes: str) -> list[str] | None:
    """Return weekdays of the month in words, such as "the first Monday"; ``None`` without one of ``_ORDINALS``."""
    names = []
    for code in dict.fromkeys(codes.split(",")):
        ordinal, weekday = code[:-2].removeprefix("+"), WEEKDAY_CODES.index(code[-2:])
        if ordinal not in _ORDINALS:
            return None
        names.append(formatter.gettext(_ORDINALS[ordinal], day=_name(formatter, weekday)))
    return names


def _name(formatter: Formatter, weekday: int) -> str:
    return str(get_day_names("wide", locale=formatter.locale)[weekday])


def _join(formatter: Formatter, names: list[str]) -> str:
    return format_list(names, locale=formatter.locale)
