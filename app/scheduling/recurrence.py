"""Recurrence rules (RFC 5545 section 3.3.10) over wall times, expanded by python-dateutil.

A rule is a string like ``FREQ=WEEKLY;INTERVAL=2;BYDAY=SA``. Its end (COUNT, UNTIL) is computed once, when the rule is
created. So an expansion can start at any time instead of counting from the first occurrence.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from app.scheduling.intervals import to_instant
from app.scheduling.zones import midnight, resolve, wall_time

MAX_OCCURRENCES = 1000
MAX_GAP = timedelta(days=5 * 366)
"""The longest time between two occurrences. It bounds the search for the next one."""

_DAY = timedelta(days=1)
_SAMPLE = 10
_LAST_CENTURY = 9900

_NUMBER = r"[1-9]\d{0,3}"
_WEEKDAY = "(?:MO|TU|WE|TH|FR|SA|SU)"
_UNTIL = re.compile(r"((?:19|2\d)\d{6})(?:T(\d{6})(Z?))?")
_COMMON = {
    "INTERVAL": _NUMBER,
    "COUNT": _NUMBER,
    "UNTIL": _UNTIL.pattern,
    "WKST": _WEEKDAY,
    "BYMONTH": r"(?:[1-9]|1[0-2])",
}
_PARTS = {
    "DAILY": _COMMON | {"BYDAY": _WEEKDAY},
    "WEEKLY": _COMMON | {"BYDAY": _WEEKDAY},
    "MONTHLY": _COMMON
    | {
        "BYDAY": rf"(?:[+-]?[1-5])?{_WEEKDAY}",
        "BYMONTHDAY": r"[+-]?(?:[1-9]|[12]\d|3[01])",
        "BYSETPOS": r"[+-]?(?:[1-9]|[12]\d|3[01])",
    },
}
_LISTS = {"BYMONTH", "BYDAY", "BYMONTHDAY", "BYSETPOS"}
_MAX_INTERVAL = {"DAILY": 31, "WEEKLY": 52, "MONTHLY": 24}


def read_recurrence(text: str) -> str:
    """Return a rule in canonical form.

    Raises ``ValueError`` for a rule that is not supported. Its message completes a sentence about the field and is
    shown to clients.
    """
    found: dict[str, str] = {}
    for part in text.upper().removeprefix("RRULE:").split(";"):
        name, _, value = part.partition("=")
        if name in found:
            raise ValueError("must not name a part twice")
        found[name] = value
    allowed = _PARTS.get(found.pop("FREQ", ""))
    if allowed is None:
        raise ValueError("must be an RFC 5545 rule with FREQ=DAILY, WEEKLY or MONTHLY, like FREQ=WEEKLY;BYDAY=MO,FR")
    frequency = next(frequency for frequency, parts in _PARTS.items() if parts is allowed)
    if not found.keys() <= allowed.keys():
        raise ValueError(f"may have with FREQ={frequency} only {', '.join(allowed)}")
    for name, value in found.items():
        values = value.split(",") if name in _LISTS else [value]
        # ASCII, because \d also matches the digits of other scripts.
        if not all(re.fullmatch(allowed[name], each, re.ASCII) for each in values):
            raise ValueError(f"has a value that {name} does not take")
    if "COUNT" in found and "UNTIL" in found:
        raise ValueError("may have COUNT or UNTIL, not both")
    if int(found.get("COUNT", 1)) > MAX_OCCURRENCES:
        raise ValueError(f"may have a COUNT of at most {MAX_OCCURRENCES}; omit it to recur indefinitely")
    if int(found.get("INTERVAL", 1)) > _MAX_INTERVAL[frequency]:
        raise ValueError(f"may have an INTERVAL of at most {_MAX_INTERVAL[frequency]} with FREQ={frequency}")
    if "UNTIL" in found:
        _until(found["UNTIL"])
    if "BYSETPOS" in found and not {"BYDAY", "BYMONTHDAY"} & found.keys():
        raise ValueError("needs BYDAY or BYMONTHDAY with BYSETPOS")
    return ";".join([f"FREQ={frequency}", *(f"{name}={value}" for name, value in found.items())])


def find_last(recurrence: str, starts: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the latest wall time in ``zone`` at which an occurrence can start; ``None`` if the rule has no end."""
    parts = _parts(recurrence)
    if "UNTIL" in parts:
        until, in_utc = _until(parts["UNTIL"])
        if not in_utc:
            return until
        instant = to_instant(until.replace(tzinfo=UTC))
        shown = wall_time(instant, zone)
        # When clocks go back, a later wall time can be an earlier instant, so instants are compared.
        near = starts_between(recurrence, starts, shown - _DAY, shown + _DAY)
        return max((each for each in near if resolve(each, zone) <= instant), default=shown - _DAY)
    if "COUNT" in parts:
        *_, last = islice(_expand(parts, starts), int(parts["COUNT"]))
        return last
    return None


def find_error(recurrence: str, starts: datetime) -> str | None:
    """Return why a rule cannot start at the wall time ``starts``, to complete a sentence; ``None`` if it can."""
    # RFC 5545 has whole seconds, and dateutil drops the rest.
    if starts.microsecond:
        return "needs a start_time in whole seconds"
    # The Gregorian calendar repeats every 400 years, so the same rule is checked in the last century that Python
    # supports. There, the search for a rule that never recurs ends soon; from today on it would take a second.
    late = starts.replace(year=starts.year + (_LAST_CENTURY - starts.year) // 400 * 400)
    first = list(islice(_expand(_parts(recurrence), late), _SAMPLE))
    # Occurrences are wall times without a fold, so none starts in the second one of a repeated hour.
    if not first or first[0] != late or starts.fold:
        return "must have start_time as its first occurrence"
    if len(first) < _SAMPLE or any(later - earlier > MAX_GAP for earlier, later in pairwise(first)):
        return "must recur at least once in five years"
    return None


def starts_between(recurrence: str, starts: datetime, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield the occurrences in ``[first, last]`` of the rule that starts at ``starts``, ignoring its end.

    All are wall times.
    """
    parts, start = _parts(recurrence), move_start(recurrence, starts, first)
    if parts["FREQ"] == "MONTHLY":
        parts, start = _start_in_month(parts, starts, first)
    for occurrence in _expand(parts, start):
        if occurrence > last:
            return
        if occurrence >= first:
            yield occurrence


def move_start(recurrence: str, starts: datetime, first: datetime) -> datetime:
    """Return a start that gives the same occurrences from ``first`` on as ``starts`` does.

    For a daily or weekly rule it is shortly before ``first``. So similar rules share their start, and with it the
    cached windows. The start of a monthly rule is returned unchanged.
    """
    step = _step(recurrence)
    return starts + max(0, (first - starts) // step) * step if step else starts


@lru_cache(maxsize=1024)
def _step(recurrence: str) -> timedelta | None:
    """Return the period after which a rule repeats; ``None`` for monthly rules, as months differ in length."""
    parts = _parts(recurrence)
    interval = int(parts.get("INTERVAL", 1))
    return {"DAILY": timedelta(days=interval), "WEEKLY": timedelta(weeks=interval)}.get(parts["FREQ"])


def _parts(recurrence: str) -> Mapping[str, str]:
    return {name: value for name, _, value in (part.partition("=") for part in recurrence.split(";"))}


def _expand(parts: Mapping[str, str], starts: datetime) -> Iterator[datetime]:
    rule = ";".join(f"{name}={value}" for name, value in parts.items() if name not in {"COUNT", "UNTIL"})
    return iter(rrulestr(rule, dtstart=starts))


def _start_in_month(parts: Mapping[str, str], starts: datetime, first: datetime) -> tuple[Mapping[str, str], datetime]:
    """Return an equivalent monthly rule that starts in the last month of its interval before ``first``."""
    interval = int(parts.get("INTERVAL", 1))
    months = (first.year - starts.year) * 12 + first.month - starts.month
    steps = max(0, months // interval)
    if steps == 0:
        return parts, starts
    if not {"BYDAY", "BYMONTHDAY"} & parts.keys():
        # Otherwise the day follows from the start, which is moved to the first of a month, a day that every month has.
        parts = {**parts, "BYMONTHDAY": str(starts.day)}
    month = starts.year * 12 + starts.month - 1 + steps * interval
    return parts, starts.replace(year=month // 12, month=month % 12 + 1, day=1)


def _until(value: str) -> tuple[datetime, bool]:
    """Return the last time that UNTIL includes, and whether it is in UTC. A date includes the whole day."""
    match = _UNTIL.fullmatch(value)
    assert match is not None  # noqa: S101 - checked by read_recurrence
    day, clock, utc = match.groups()
    try:
        until = datetime.strptime(day + (clock or "000000"), "%Y%m%d%H%M%S")  # noqa: DTZ007 - a wall time
    except ValueError:
        raise ValueError("has an UNTIL that does not exist") from None
    if clock is None:
        until = midnight(until.date() + _DAY) - timedelta(microseconds=1)
    return until, bool(utc)
