"""Recurrence rules: which are accepted, when they recur, and when they end."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.scheduling.recurrence import (
    MAX_OCCURRENCES,
    find_error,
    find_last,
    move_start,
    read_recurrence,
    starts_between,
)
from tests.scheduling.clocks import CAIRO, LORD_HOWE, NEW_YORK, wall
from tests.scheduling.scenarios import WEEKDAYS, ZONES, days_of_change


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("FREQ=DAILY", "FREQ=DAILY"),
        ("RRULE:FREQ=DAILY;INTERVAL=31", "FREQ=DAILY;INTERVAL=31"),
        ("freq=daily;byday=mo,tu;bymonth=1,12", "FREQ=DAILY;BYDAY=MO,TU;BYMONTH=1,12"),
        ("INTERVAL=2;FREQ=WEEKLY;BYDAY=SA;WKST=SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SA;WKST=SU"),
        ("FREQ=WEEKLY;INTERVAL=52;BYMONTH=6", "FREQ=WEEKLY;INTERVAL=52;BYMONTH=6"),
        ("FREQ=WEEKLY;COUNT=1000", "FREQ=WEEKLY;COUNT=1000"),
        ("FREQ=WEEKLY;UNTIL=20260301", "FREQ=WEEKLY;UNTIL=20260301"),
        ("FREQ=WEEKLY;UNTIL=29991231T235959", "FREQ=WEEKLY;UNTIL=29991231T235959"),
        ("FREQ=WEEKLY;UNTIL=19000101T000000Z", "FREQ=WEEKLY;UNTIL=19000101T000000Z"),
        ("FREQ=MONTHLY;INTERVAL=24;BYMONTHDAY=1,-1,+31", "FREQ=MONTHLY;INTERVAL=24;BYMONTHDAY=1,-1,+31"),
        ("FREQ=MONTHLY;BYDAY=1MO,-1FR,+2SA,TU", "FREQ=MONTHLY;BYDAY=1MO,-1FR,+2SA,TU"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"),
        ("FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR;BYMONTH=1,2", "FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR;BYMONTH=1,2"),
    ],
)
def test_supported_rules_are_written_canonically(text: str, canonical: str) -> None:
    assert read_recurrence(text) == canonical
    assert read_recurrence(canonical) == canonical


FREQUENCIES = "must be an RFC 5545 rule with FREQ=DAILY, WEEKLY or MONTHLY, like FREQ=WEEKLY;BYDAY=MO,FR"
PARTS_OF_WEEKLY = "may have with FREQ=WEEKLY only INTERVAL, COUNT, UNTIL, WKST, BYMONTH, BYDAY"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", FREQUENCIES),
        ("every Monday", FREQUENCIES),
        ("BYDAY=MO", FREQUENCIES),
        ("FREQ=YEARLY", FREQUENCIES),
        ("FREQ=SECONDLY", FREQUENCIES),
        ("FREQ=WEEKLY\nRRULE:FREQ=DAILY", FREQUENCIES),
        ("FREQ=WEEKLY;FREQ=DAILY", "must not name a part twice"),
        ("FREQ=WEEKLY;BYDAY=MO;BYDAY=TU", "must not name a part twice"),
        ("FREQ=WEEKLY;", PARTS_OF_WEEKLY),
        ("FREQ=WEEKLY;BYMONTHDAY=1", PARTS_OF_WEEKLY),
        ("FREQ=WEEKLY;BYSETPOS=1", PARTS_OF_WEEKLY),
        ("FREQ=WEEKLY;BYHOUR=9", PARTS_OF_WEEKLY),
        ("FREQ=WEEKLY;X-NAME=1", PARTS_OF_WEEKLY),
        ("FREQ=DAILY;BYMONTHDAY=1", "may have with FREQ=DAILY only INTERVAL, COUNT, UNTIL, WKST, BYMONTH, BYDAY"),
        (
            "FREQ=MONTHLY;BYWEEKNO=1",
            "may have with FREQ=MONTHLY only INTERVAL, COUNT, UNTIL, WKST, BYMONTH, BYDAY, BYMONTHDAY, BYSETPOS",
        ),
        ("FREQ=WEEKLY;INTERVAL=0", "has a value that INTERVAL does not take"),
        ("FREQ=WEEKLY;INTERVAL=-1", "has a value that INTERVAL does not take"),
        ("FREQ=WEEKLY;INTERVAL=1,2", "has a value that INTERVAL does not take"),
        ("FREQ=WEEKLY;INTERVAL=99999", "has a value that INTERVAL does not take"),
        ("FREQ=WEEKLY;INTERVAL=٣", "has a value that INTERVAL does not take"),
        ("FREQ=WEEKLY;INTERVAL", "has a value that INTERVAL does not take"),
        ("FREQ=WEEKLY;COUNT=0", "has a value that COUNT does not take"),
        ("FREQ=WEEKLY;BYDAY=", "has a value that BYDAY does not take"),
        ("FREQ=WEEKLY;BYDAY=1MO", "has a value that BYDAY does not take"),
        ("FREQ=WEEKLY;BYDAY=MO, TU", "has a value that BYDAY does not take"),
        ("FREQ=WEEKLY;BYDAY=MO\n", "has a value that BYDAY does not take"),
        ("FREQ=MONTHLY;BYDAY=6MO", "has a value that BYDAY does not take"),
        ("FREQ=MONTHLY;BYDAY=0MO", "has a value that BYDAY does not take"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "has a value that BYMONTHDAY does not take"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "has a value that BYMONTHDAY does not take"),
        ("FREQ=MONTHLY;BYMONTH=13", "has a value that BYMONTH does not take"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0", "has a value that BYSETPOS does not take"),
        ("FREQ=WEEKLY;WKST=XX", "has a value that WKST does not take"),
        ("FREQ=WEEKLY;UNTIL=2026-03-01", "has a value that UNTIL does not take"),
        ("FREQ=WEEKLY;UNTIL=20260301T090000+0100", "has a value that UNTIL does not take"),
        # The offset of a zone would lead out of Python's calendar.
        ("FREQ=WEEKLY;UNTIL=99991231", "has a value that UNTIL does not take"),
        ("FREQ=WEEKLY;UNTIL=00010101T000000Z", "has a value that UNTIL does not take"),
        ("FREQ=WEEKLY;UNTIL=20260230", "has an UNTIL that does not exist"),
        ("FREQ=WEEKLY;UNTIL=20260301T250000Z", "has an UNTIL that does not exist"),
        ("FREQ=WEEKLY;COUNT=2;UNTIL=20260301", "may have COUNT or UNTIL, not both"),
        ("FREQ=WEEKLY;COUNT=1001", "may have a COUNT of at most 1000; omit it to recur indefinitely"),
        ("FREQ=DAILY;INTERVAL=32", "may have an INTERVAL of at most 31 with FREQ=DAILY"),
        ("FREQ=WEEKLY;INTERVAL=53", "may have an INTERVAL of at most 52 with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;INTERVAL=25", "may have an INTERVAL of at most 24 with FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYSETPOS=1", "needs BYDAY or BYMONTHDAY with BYSETPOS"),
    ],
)
def test_unsupported_rules_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared below
        read_recurrence(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("recurrence", "starts", "days"),
    [
        ("FREQ=DAILY;INTERVAL=3", "2026-06-01", "06-01 06-04 06-07 06-10"),
        ("FREQ=DAILY;BYDAY=SA,SU;BYMONTH=6,8", "2026-06-27", "06-27 06-28 08-01 08-02"),
        ("FREQ=WEEKLY", "2026-06-01", "06-01 06-08 06-15 06-22"),
        ("FREQ=WEEKLY;BYDAY=MO,FR", "2026-06-05", "06-05 06-08 06-12 06-15"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU", "2026-06-02", "06-02 06-07 06-16 06-21"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU", "2026-06-02", "06-02 06-14 06-16 06-28"),
        ("FREQ=MONTHLY", "2026-01-31", "01-31 03-31 05-31 07-31"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-01-31", "01-31 02-28 03-31 04-30"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15", "2026-06-15", "06-15 07-01 07-15 08-01"),
        ("FREQ=MONTHLY;BYDAY=1MO", "2026-06-01", "06-01 07-06 08-03 09-07"),
        ("FREQ=MONTHLY;BYDAY=-1FR;INTERVAL=2", "2026-06-26", "06-26 08-28 10-30 12-25"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-05-29", "05-29 06-30 07-31 08-31"),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "2026-02-13", "02-13 03-13 11-13"),
    ],
)
def test_occurrences_of_a_rule(recurrence: str, starts: str, days: str) -> None:
    begin = wall(f"{starts}T09:00")
    found = list(starts_between(recurrence, begin, begin - timedelta(days=60), wall("2026-12-31T00:00")))[:4]
    assert " ".join(f"{each:%m-%d}" for each in found) == days
    assert all(f"{each:%H:%M}" == "09:00" for each in found)
    assert find_error(recurrence, begin) is None


def several[T](values: Sequence[T], most: int = 3) -> st.SearchStrategy[str]:
    lists = st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)
    return lists.map(lambda chosen: ",".join(map(str, chosen)))


@st.composite
def recurrences(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY"]))
    longest = {"DAILY": 31, "WEEKLY": 52, "MONTHLY": 24}[frequency]
    parts = {
        "INTERVAL": st.integers(1, 4).map(str) | st.integers(1, longest).map(str),
        "WKST": st.sampled_from(WEEKDAYS),
        "BYMONTH": several(range(1, 13), most=6),
        "BYDAY": several(WEEKDAYS, most=7),
    }
    if frequency == "MONTHLY":
        parts["BYDAY"] |= several([f"{n}{day}" for n in (1, 2, 4, 5, -1, -2) for day in WEEKDAYS])
        parts["BYMONTHDAY"] = several([*range(1, 32), -1, -2, -30], most=6)
        parts["BYSETPOS"] = several([1, 2, 3, -1, -2])
    names = draw(st.lists(st.sampled_from(list(parts)), unique=True))
    if not {"BYDAY", "BYMONTHDAY"} & set(names):
        names = [name for name in names if name != "BYSETPOS"]
    return read_recurrence(";".join([f"FREQ={frequency}", *(f"{name}={draw(parts[name])}" for name in names)]))


@st.composite
def series(draw: st.DrawFn) -> tuple[str, datetime]:
    recurrence = draw(recurrences())
    begin = draw(st.datetimes(wall("2010-01-01"), wall("2040-12-31"))).replace(second=0, microsecond=0)
    # The Gregorian calendar repeats every 400 years. dateutil follows a rule that never recurs until the year 9999, so
    # the first occurrence is searched in the last centuries.
    late = begin.replace(year=begin.year + 7600)
    first = next(iter(rrulestr(recurrence, dtstart=late)), None)
    assume(first is not None and first.year <= late.year + 5)
    assert first is not None
    first = first.replace(year=first.year - 7600)
    assume(find_error(recurrence, first) is None)
    return recurrence, first


def expand_from_start(recurrence: str, starts: datetime, last: datetime) -> list[datetime]:
    return list(takewhile(lambda occurrence: occurrence <= last, rrulestr(recurrence, dtstart=starts)))


@settings(max_examples=60)
@given(series(), st.integers(-400, 2000), st.integers(0, 400))
def test_expansion_from_a_later_day_gives_the_same_occurrences(
    rule: tuple[str, datetime], after: int, days: int
) -> None:
    recurrence, starts = rule
    first = starts + timedelta(days=after)
    last = first + timedelta(days=days)
    expected = [occurrence for occurrence in expand_from_start(recurrence, starts, last) if occurrence >= first]
    assert list(starts_between(recurrence, starts, first, last)) == expected
    assert list(starts_between(recurrence, move_start(recurrence, starts, first), first, last)) == expected


@settings(max_examples=30)
@given(series(), st.integers(1, 12))
def test_rule_with_a_count_ends_with_its_last_occurrence(rule: tuple[str, datetime], count: int) -> None:
    recurrence, starts = rule
    last = find_last(f"{recurrence};COUNT={count}", starts, NEW_YORK)
    assert last is not None
    found = list(starts_between(f"{recurrence};COUNT={count}", starts, starts, last))
    assert found == list(rrulestr(f"{recurrence};COUNT={count}", dtstart=starts))
    assert found[-1] == last


@given(st.data())
def test_until_in_utc_is_compared_as_an_instant(data: st.DataObject) -> None:
    zone = ZoneInfo(data.draw(st.sampled_from([name for name in ZONES if days_of_change(ZoneInfo(name))])))
    change = datetime.combine(data.draw(st.sampled_from(days_of_change(zone))), datetime.min.time())
    starts = change + timedelta(minutes=data.draw(st.integers(-400, -300)) * 15)
    until = change + timedelta(minutes=data.draw(st.integers(-100, 100)) * 15)
    recurrence = f"FREQ=DAILY;UNTIL={until:%Y%m%dT%H%M%S}Z"
    last = find_last(recurrence, starts, zone)
    assert last is not None
    # dateutil compares aware occurrences with UNTIL as instants.
    expected = [each.replace(tzinfo=None) for each in rrulestr(recurrence, dtstart=starts.replace(tzinfo=zone))]
    assert list(starts_between(recurrence, starts, starts, last)) == expected


@pytest.mark.parametrize(
    ("until", "days"),
    [
        ("20260308", 2),  # the whole day
        ("20260308T013000", 2),  # at this time inclusive
        ("20260308T012959", 1),
        ("20260308T063000Z", 2),
        ("20260308T062959Z", 1),
        ("20260307", 1),
    ],
)
def test_until_as_a_date_a_wall_time_or_an_instant(until: str, days: int) -> None:
    starts = wall("2026-03-07T01:30")
    recurrence = read_recurrence(f"FREQ=DAILY;UNTIL={until}")
    last = find_last(recurrence, starts, NEW_YORK)
    assert last is not None
    assert len(list(starts_between(recurrence, starts, starts, last))) == days


@pytest.mark.parametrize(
    ("zone", "starts", "until", "days"),
    [
        # 01:30 is 05:30Z; at 06:15Z the clock shows 01:15 again.
        (NEW_YORK, "2026-10-31T01:30", "20261101T061500Z", 2),
        (NEW_YORK, "2026-10-31T01:30", "20261101T052900Z", 1),
        # 02:30 does not exist and is read as 03:30, 07:30Z; at 07:15Z the clock shows 03:15.
        (NEW_YORK, "2026-03-07T02:30", "20260308T071500Z", 1),
        (NEW_YORK, "2026-03-07T02:30", "20260308T073000Z", 2),
        (CAIRO, "2026-04-23T00:00", "20260423T220000Z", 2),
        (LORD_HOWE, "2026-04-04T01:45", "20260404T144500Z", 2),
    ],
    ids=str,
)
def test_until_in_utc_when_clocks_change(zone: ZoneInfo, starts: str, until: str, days: int) -> None:
    last = find_last(f"FREQ=DAILY;UNTIL={until}", wall(starts), zone)
    assert last is not None
    assert len(list(starts_between("FREQ=DAILY", wall(starts), wall(starts), last))) == days


def test_until_date_excludes_the_midnight_at_its_end() -> None:
    midnight = wall("2026-03-07T00:00")
    last = find_last("FREQ=DAILY;UNTIL=20260308", midnight, NEW_YORK)
    assert last is not None
    assert len(list(starts_between("FREQ=DAILY", midnight, midnight, last))) == 2


def test_rule_without_count_and_until_has_no_end() -> None:
    starts = wall("2026-06-01T09:00")
    assert find_last("FREQ=DAILY;INTERVAL=2", starts, NEW_YORK) is None
    late = wall("2926-06-01T00:00")
    assert len(list(starts_between("FREQ=DAILY;INTERVAL=2", starts, late, late + timedelta(days=10)))) == 5


def test_monthly_rule_without_a_day_recurs_on_the_day_of_its_start() -> None:
    found = starts_between("FREQ=MONTHLY", wall("2026-01-31T09:00"), wall("2030-02-01T00:00"), wall("2030-06-01T00:00"))
    assert list(found) == [wall("2030-03-31T09:00"), wall("2030-05-31T09:00")]


def test_expansion_ends_with_the_year_9999() -> None:
    last_days = wall("9999-12-30T00:00"), wall("9999-12-31T23:59")
    assert len(list(starts_between("FREQ=DAILY", wall("2026-06-01T09:00"), *last_days))) == 2


def test_rule_with_the_highest_count_has_a_last_occurrence() -> None:
    last = find_last(f"FREQ=MONTHLY;COUNT={MAX_OCCURRENCES}", wall("2026-01-31T09:00"), NEW_YORK)
    assert last == wall("2168-10-31T09:00")


FIRST_OCCURRENCE = "must have start_time as its first occurrence"
FIVE_YEARS = "must recur at least once in five years"


@pytest.mark.parametrize(
    ("recurrence", "starts", "error"),
    [
        ("FREQ=WEEKLY;BYDAY=MO", "2026-06-01T09:00", None),
        ("FREQ=MONTHLY;BYMONTHDAY=29;BYMONTH=2", "2028-02-29T09:00", None),
        ("FREQ=MONTHLY;BYMONTHDAY=31;INTERVAL=12", "2999-01-31T09:00", None),
        ("FREQ=DAILY", "2026-06-01T09:00:00.000001", "needs a start_time in whole seconds"),
        ("FREQ=WEEKLY;BYDAY=MO", "2026-06-02T09:00", FIRST_OCCURRENCE),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=MO", "2026-06-02T09:00", FIRST_OCCURRENCE),
        ("FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2", "2026-02-28T09:00", FIRST_OCCURRENCE),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=31", "2026-06-01T09:00", FIRST_OCCURRENCE),
        # Every 28 years, and never again before Python's calendar ends.
        ("FREQ=MONTHLY;BYMONTHDAY=29;BYMONTH=2;BYDAY=SU", "2032-02-29T09:00", FIVE_YEARS),
        ("FREQ=MONTHLY;BYMONTHDAY=29;BYMONTH=2;BYDAY=SU;INTERVAL=23", "2032-02-29T09:00", FIVE_YEARS),
    ],
)
def test_rule_must_have_its_start_as_first_occurrence_and_recur(
    recurrence: str, starts: str, error: str | None
) -> None:
    assert find_error(recurrence, wall(starts)) == error


def test_rule_cannot_begin_at_the_second_occurrence_of_a_wall_time() -> None:
    assert find_error("FREQ=DAILY", wall("2026-11-01T01:30").replace(fold=1)) == FIRST_OCCURRENCE
