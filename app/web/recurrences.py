"""How a recurrence (RFC 5545) is said in words, if it can be."""

from collections.abc import Mapping
from datetime import date

from babel.dates import get_day_names
from babel.lists import format_list

from app.scheduling.availability import FOR_EVER, Availability
from app.scheduling.hours import WEEKDAY_CODES
from app.web.languages import N_
from app.web.words import Words

_LASTING = frozenset({"COUNT", "UNTIL"})
"""Parts that say how long a rule goes on. That is kept as the end of its last occurrence."""
_WEEKS: Mapping[int, str] = {1: N_("Every week"), 2: N_("Every second week"), 4: N_("Every fourth week")}
_ORDINALS: Mapping[str, str] = {
    "1": N_("the first %(day)s"),
    "2": N_("the second %(day)s"),
    "3": N_("the third %(day)s"),
    "4": N_("the fourth %(day)s"),
    "5": N_("the fifth %(day)s"),
    "-1": N_("the last %(day)s"),
}


def last_day(rule: Availability) -> date | None:
    """The last day on which a rule may recur, on the doctor's clock; ``None`` if it goes on without end."""
    return None if rule.last_ends == FOR_EVER else (rule.last_ends - (rule.ends - rule.starts)).date()


def say_recurrence(words: Words, rule: Availability) -> str | None:
    """How often a rule recurs; ``None`` if that cannot be said in few words."""
    if rule.recurrence is None:
        return words.gettext("Once")
    parts = dict(part.split("=") for part in rule.recurrence.split(";"))
    every = int(parts.get("INTERVAL", "1"))
    # On which day a week begins makes a difference only where weeks are left out.
    narrowed = parts.keys() - _LASTING - {"FREQ", "INTERVAL"} - ({"WKST"} if every == 1 else set())
    said = None
    match parts["FREQ"], sorted(narrowed):
        case "DAILY", []:
            said = _every_day(words, every)
        case ("DAILY", ["BYDAY"]) if every == 1:
            said = _every_week(words, 1, parts["BYDAY"], rule)
        case "WEEKLY", [] | ["BYDAY"]:
            said = _every_week(words, every, parts.get("BYDAY", ""), rule)
        case "MONTHLY", [] | ["BYMONTHDAY"]:
            said = _every_month(words, every, _days_of_month(words, parts.get("BYMONTHDAY", str(rule.starts.day))))
        case "MONTHLY", ["BYDAY"]:
            said = _every_month(words, every, _weekdays_of_month(words, parts["BYDAY"]))
    return said


def _every_day(words: Words, every: int) -> str:
    if every == 1:
        return words.gettext("Every day")
    return words.ngettext("Every %(num)d day", "Every %(num)d days", every)


def _every_week(words: Words, every: int, codes: str, rule: Availability) -> str:
    """Without the days, if that is the one on which it begins: it stands beside."""
    weekdays = sorted({WEEKDAY_CODES.index(code) for code in codes.split(",")} if codes else {rule.starts.weekday()})
    if every == 1 and len(weekdays) == len(WEEKDAY_CODES):
        return words.gettext("Every day")
    often = words.ngettext("Every %(num)d week", "Every %(num)d weeks", every)
    if every in _WEEKS:
        often = words.gettext(_WEEKS[every])
    if weekdays == [rule.starts.weekday()]:
        return often
    return words.gettext(
        "%(often)s on %(days)s", often=often, days=_join(words, [_name(words, day) for day in weekdays])
    )


def _every_month(words: Words, every: int, days: list[str] | None) -> str | None:
    if days is None:
        return None
    often = words.ngettext("Every %(num)d month", "Every %(num)d months", every)
    if every == 1:
        often = words.gettext("Every month")
    return words.gettext("%(often)s: %(days)s", often=often, days=_join(words, days))


def _days_of_month(words: Words, numbers: str) -> list[str] | None:
    """Day 1 and the last day; ``None`` for others that are counted from the end."""
    days = sorted({int(number) for number in numbers.split(",")}, key=lambda day: (day < 0, day))
    if any(day < -1 for day in days):
        return None
    return [words.gettext("day %(number)d", number=day) if day > 0 else words.gettext("the last day") for day in days]


def _weekdays_of_month(words: Words, codes: str) -> list[str] | None:
    """The first Monday and the last Friday; ``None`` for those that are not counted, or otherwise."""
    said = []
    for code in dict.fromkeys(codes.split(",")):
        ordinal, weekday = code[:-2].removeprefix("+"), WEEKDAY_CODES.index(code[-2:])
        if ordinal not in _ORDINALS:
            return None
        said.append(words.gettext(_ORDINALS[ordinal], day=_name(words, weekday)))
    return said


def _name(words: Words, weekday: int) -> str:
    return str(get_day_names("wide", locale=words.locale)[weekday])


def _join(words: Words, names: list[str]) -> str:
    return format_list(names, locale=words.locale)
