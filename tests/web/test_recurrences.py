"""The texts that describe recurrences."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduling.availability import NO_END, Availability
from app.scheduling.recurrence import find_error, find_last, read_recurrence, starts_between
from app.web.kit.formatting import Formatter
from app.web.kit.recurrences import describe_recurrence, last_day

MONDAY = datetime(2026, 6, 1, 9)  # noqa: DTZ001 - a wall time
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
ORDINALS = ("first", "second", "third", "fourth", "fifth")
ENGLISH, GERMAN, SPANISH = (Formatter(Locale(language), date(2026, 6, 1)) for language in ("en", "de", "es"))
BERLIN = ZoneInfo("Europe/Berlin")


def make_availability(recurrence: str, starts: datetime = MONDAY, zone: ZoneInfo = BERLIN) -> Availability:
    recurrence = read_recurrence(recurrence)
    assert find_error(recurrence, starts) is None
    last = find_last(recurrence, starts, zone)
    return Availability(starts, starts + HOUR, recurrence, NO_END if last is None else last + HOUR)


@pytest.mark.parametrize(
    ("recurrence", "english", "german", "spanish"),
    [
        ("FREQ=DAILY", "Every day", "Jeden Tag", "Cada día"),
        ("FREQ=DAILY;INTERVAL=3", "Every 3 days", "Alle 3 Tage", "Cada 3 días"),
        ("INTERVAL=3;FREQ=DAILY", "Every 3 days", "Alle 3 Tage", "Cada 3 días"),
        ("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR,SA,SU", "Every day", "Jeden Tag", "Cada día"),
        (
            "FREQ=DAILY;BYDAY=FR,MO",
            "Every week on Monday and Friday",
            "Jede Woche: Montag und Freitag",
            "Cada semana: lunes y viernes",
        ),
        ("FREQ=WEEKLY", "Every week", "Jede Woche", "Cada semana"),
        ("FREQ=WEEKLY;BYDAY=MO", "Every week", "Jede Woche", "Cada semana"),
        ("BYDAY=MO;WKST=SU;FREQ=WEEKLY", "Every week", "Jede Woche", "Cada semana"),
        (
            "FREQ=WEEKLY;UNTIL=20270331;BYDAY=MO,WE,FR",
            "Every week on Monday, Wednesday, and Friday",
            "Jede Woche: Montag, Mittwoch und Freitag",
            "Cada semana: lunes, miércoles y viernes",
        ),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=5", "Every two weeks", "Alle zwei Wochen", "Cada dos semanas"),
        (
            "FREQ=WEEKLY;BYDAY=MO,TU;INTERVAL=3",
            "Every 3 weeks on Monday and Tuesday",
            "Alle 3 Wochen: Montag und Dienstag",
            "Cada 3 semanas: lunes y martes",
        ),
        ("FREQ=MONTHLY", "Every month: day 1", "Jeden Monat: am 1.", "Cada mes: el día 1"),
        (
            "FREQ=MONTHLY;BYMONTHDAY=-1,1,+15",
            "Every month: day 1, day 15, and the last day",
            "Jeden Monat: am 1., am 15. und am letzten Tag",
            "Cada mes: el día 1, el día 15 y el último día",
        ),
        (
            "FREQ=MONTHLY;INTERVAL=2;BYDAY=1MO,-1FR",
            "Every 2 months: the first Monday and the last Friday",
            "Alle 2 Monate: am ersten Montag und am letzten Freitag",
            "Cada 2 meses: el primer lunes y el último viernes",
        ),
    ],
)
def test_recurrence_is_described_in_each_language(recurrence: str, english: str, german: str, spanish: str) -> None:
    availability = make_availability(recurrence)
    assert [describe_recurrence(words, availability) for words in (ENGLISH, GERMAN, SPANISH)] == [
        english,
        german,
        spanish,
    ]


@pytest.mark.parametrize(
    "recurrence",
    [
        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
        "FREQ=DAILY;BYMONTH=6",
        "FREQ=WEEKLY;BYMONTH=6,7",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU",
        "FREQ=MONTHLY;BYDAY=MO",
        "FREQ=MONTHLY;BYDAY=-5MO,1MO",
        "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=1",
        "FREQ=MONTHLY;BYMONTHDAY=-2,1",
        "FREQ=MONTHLY;BYMONTHDAY=1,2,3;BYDAY=MO",
        "FREQ=MONTHLY;BYMONTH=6",
    ],
)
def test_complex_recurrence_has_no_description(recurrence: str) -> None:
    assert describe_recurrence(ENGLISH, make_availability(recurrence)) is None


def test_single_window_is_described_as_once() -> None:
    assert describe_recurrence(ENGLISH, Availability(MONDAY, MONDAY + HOUR)) == "Once"


@pytest.mark.parametrize(
    ("recurrence", "zone", "expected"),
    [
        ("FREQ=DAILY", "Europe/Berlin", None),
        ("FREQ=DAILY;UNTIL=20260610", "Europe/Berlin", "2026-06-10"),
        ("FREQ=DAILY;COUNT=3", "Europe/Berlin", "2026-06-03"),
        # In Auckland 9 o'clock on 11 June is 21:00 on 10 June in UTC; in Los Angeles 10 June begins at 07:00.
        ("FREQ=DAILY;UNTIL=20260610T220000Z", "Pacific/Auckland", "2026-06-11"),
        ("FREQ=DAILY;UNTIL=20260610T060000Z", "America/Los_Angeles", "2026-06-09"),
    ],
)
def test_last_day_is_a_date_in_the_doctors_time_zone(recurrence: str, zone: str, expected: str | None) -> None:
    last = last_day(make_availability(recurrence, zone=ZoneInfo(zone)))
    assert (last and last.isoformat()) == expected


def parse_description(text: str, starts: date) -> Callable[[date], bool]:
    """Return a predicate of the days on which a reader of the text would expect an occurrence."""
    match = re.fullmatch(r"Every (?:(\d+|two|four) )?(day|week|month)s?(?:(?: on|:) (.+))?", text)
    assert match, text
    every = {None: 1, "two": 2, "four": 4}.get(match[1]) or int(match[1])
    days = re.split(r", and |, | and ", match[3]) if match[3] else []
    if match[2] == "day":
        return lambda day: (day - starts).days % every == 0
    if match[2] == "week":
        weekdays = {NAMES.index(name) for name in days} or {starts.weekday()}
        monday = starts - starts.weekday() * DAY
        return lambda day: day.weekday() in weekdays and (day - monday).days // 7 % every == 0

    def is_meant(day: date, name: str) -> bool:
        if name == "the last day":
            return (day + DAY).month != day.month
        if name.startswith("day "):
            return day.day == int(name.removeprefix("day "))
        _, ordinal, weekday = name.split()
        if NAMES.index(weekday) != day.weekday():
            return False
        return (day + 7 * DAY).month != day.month if ordinal == "last" else ORDINALS[(day.day - 1) // 7] == ordinal

    months = starts.year * 12 + starts.month
    return lambda day: (day.year * 12 + day.month - months) % every == 0 and any(is_meant(day, name) for name in days)


def join_with_commas(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=7).map(",".join)


weekdays = st.sampled_from(CODES)
numbered = st.builds("{}{}".format, st.sampled_from(["", "1", "+2", "3", "4", "5", "-1", "-2"]), weekdays)
days_of_month = st.integers(-31, 31).filter(bool).map(str)
parts = st.fixed_dictionaries(
    {},
    optional={
        "INTERVAL": st.integers(1, 5).map(str),
        "BYDAY": join_with_commas(weekdays) | join_with_commas(numbered),
        "BYMONTHDAY": join_with_commas(days_of_month),
        "BYSETPOS": st.sampled_from(["1", "-1", "2"]),
        "BYMONTH": join_with_commas(st.integers(1, 12).map(str)),
        "WKST": weekdays,
        "COUNT": st.integers(1, 20).map(str),
        "UNTIL": st.sampled_from(["20260801", "20270101T120000", "20270331T060000Z"]),
    },
)


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY"]), parts, st.randoms(use_true_random=False))
def test_description_matches_the_occurrences(frequency: str, parts: dict[str, str], random: Random) -> None:
    spelt = [f"FREQ={frequency}", *(f"{name}={value}" for name, value in parts.items())]
    random.shuffle(spelt)
    try:
        recurrence = read_recurrence(";".join(spelt))
    except ValueError:
        return
    begins = list(starts_between(recurrence, MONDAY, MONDAY, MONDAY + 366 * DAY))
    if not begins or find_error(recurrence, begins[0]) is not None:
        return
    availability = Availability(begins[0], begins[0] + HOUR, recurrence)
    text = describe_recurrence(ENGLISH, availability)
    if text is None:
        return
    starts = begins[0].date()
    is_meant = parse_description(text, starts)
    meant = [day for day in (starts + number * DAY for number in range(200)) if is_meant(day)]
    last = availability.starts + 199 * DAY
    assert [
        each.date() for each in starts_between(recurrence, availability.starts, availability.starts, last)
    ] == meant, text
    assert all(describe_recurrence(words, availability) for words in (GERMAN, SPANISH))
