"""Minimum notice, maximum advance and daily limits, in the doctor's zone."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from app.scheduling.availability import Rules
from app.scheduling.decisions import (
    Refusal,
    check_booking,
    explain,
    free_windows,
    has_daily_limit,
    relevant_span,
    slots,
)
from app.scheduling.intervals import DAY, HOUR, MINUTE
from app.scheduling.visits import BookingLimits, VisitType
from app.scheduling.zones import day_span
from tests.scheduling.clocks import (
    CAIRO,
    HAVANA,
    KOLKATA,
    LORD_HOWE,
    NEW_YORK,
    ST_JOHNS,
    instant,
    local_starts,
    make_availability,
    span,
    wall,
)
from tests.scheduling.examples import (
    CHECK_UP,
    HALF_HOUR,
    LONG_AGO,
    NEW_PATIENT,
    NINE,
    OPEN_MONDAY,
    WHOLE_MONDAY,
    days_around,
    make_busy_period,
)


def test_visit_may_start_now_but_not_earlier() -> None:
    visit = NINE, NINE + 30 * MINUTE
    assert explain(OPEN_MONDAY, HALF_HOUR, visit, (), now=NINE) == []
    assert explain(OPEN_MONDAY, HALF_HOUR, visit, (), now=NINE + 1) == [Refusal.IN_THE_PAST]
    assert explain(OPEN_MONDAY, HALF_HOUR, visit, (), now=NINE + DAY) == [Refusal.IN_THE_PAST]


def test_past_time_is_not_free() -> None:
    five = NINE + 8 * HOUR
    assert free_windows(OPEN_MONDAY, HALF_HOUR, (), WHOLE_MONDAY, now=five - HOUR) == [(five - HOUR, five)]
    assert free_windows(OPEN_MONDAY, HALF_HOUR, (), WHOLE_MONDAY, now=five) == []
    assert free_windows(OPEN_MONDAY, HALF_HOUR, (), WHOLE_MONDAY, now=five + DAY) == []


@pytest.mark.parametrize(
    ("doctor_notice", "visit_type_notice", "first"),
    [(0, 0, "09:30"), (60, 0, "10:30"), (0, 90, "11:00"), (60, 90, "11:00"), (90, 60, "11:00"), (61, 0, "11:00")],
)
def test_longer_notice_of_doctor_and_visit_type_applies(doctor_notice: int, visit_type_notice: int, first: str) -> None:
    rules = replace(OPEN_MONDAY, limits=BookingLimits(min_notice=doctor_notice * MINUTE))
    visit_type = replace(HALF_HOUR, limits=BookingLimits(min_notice=visit_type_notice * MINUTE))
    now = NINE + 30 * MINUTE
    found = slots(rules, visit_type, (), WHOLE_MONDAY, now)
    assert local_starts(NEW_YORK, found)[0] == first
    refused = found[0][0] - 30 * MINUTE, found[0][0]
    assert check_booking(rules, visit_type, refused, (), now) == (
        Refusal.IN_THE_PAST if first == "09:30" else Refusal.TOO_SOON
    )


def test_notice_is_elapsed_time_when_clocks_change() -> None:
    rules = Rules(
        NEW_YORK,
        (make_availability("2026-10-31T00:00", "2026-11-02T00:00"),),
        limits=BookingLimits(min_notice=12 * HOUR),
    )
    eight_in_the_evening = instant("2026-11-01T00:00Z")
    [(first, _)] = free_windows(
        rules, HALF_HOUR, (), span("2026-10-31T04:00Z", "2026-11-02T05:00Z"), eight_in_the_evening
    )
    assert first == instant("2026-11-01T12:00Z")  # 07:00 in New York


@pytest.mark.parametrize(
    ("zone", "now", "days", "last"),
    [
        (NEW_YORK, "2026-10-30T12:00Z", 0, "2026-10-31T04:00Z"),
        (NEW_YORK, "2026-10-30T12:00Z", 2, "2026-11-02T05:00Z"),
        # In New York it is still the 30th.
        (NEW_YORK, "2026-10-31T03:59Z", 2, "2026-11-02T05:00Z"),
        (NEW_YORK, "2026-10-31T04:00Z", 2, "2026-11-03T05:00Z"),
        (KOLKATA, "2026-10-30T19:00Z", 1, "2026-11-01T18:30Z"),
        (CAIRO, "2026-04-22T12:00Z", 1, "2026-04-23T22:00Z"),
        (CAIRO, "2026-04-22T12:00Z", 2, "2026-04-24T21:00Z"),
        (CAIRO, "2026-10-28T12:00Z", 1, "2026-10-29T22:00Z"),
        (HAVANA, "2025-10-31T12:00Z", 1, "2025-11-02T04:00Z"),
        (ST_JOHNS, "2010-11-07T02:45Z", 0, "2010-11-08T03:30Z"),
    ],
    ids=str,
)
def test_last_bookable_day_is_a_day_in_the_doctors_zone(zone: ZoneInfo, now: str, days: int, last: str) -> None:
    begin = instant(now)
    always = make_availability("2010-01-01T00:00", "2010-01-02T00:00", "FREQ=DAILY")
    rules = Rules(zone, (always,), limits=BookingLimits(max_advance_days=days))
    assert free_windows(rules, HALF_HOUR, (), (begin, begin + 9 * DAY), begin) == [(begin, instant(last))]
    assert explain(rules, VisitType(HOUR), (instant(last) - HOUR, instant(last)), (), begin) == []
    over_its_end = instant(last) - HOUR + 1, instant(last) + 1
    assert explain(rules, VisitType(HOUR), over_its_end, (), begin) == [Refusal.TOO_FAR_AHEAD]


def test_shorter_advance_of_doctor_and_visit_type_applies() -> None:
    rules = replace(OPEN_MONDAY, limits=BookingLimits(max_advance_days=3))
    far, near = (replace(HALF_HOUR, limits=BookingLimits(max_advance_days=days)) for days in (30, 2))
    three_days_before = NINE - 3 * DAY
    assert slots(rules, far, (), WHOLE_MONDAY, three_days_before)
    assert not slots(rules, near, (), WHOLE_MONDAY, three_days_before)
    assert not slots(rules, far, (), WHOLE_MONDAY, NINE - 4 * DAY)


def always_open(zone: ZoneInfo, per_day: int) -> Rules:
    always = make_availability("2010-01-01T00:00", "2010-01-02T00:00", "FREQ=DAILY")
    return Rules(zone, (always,), limits=BookingLimits(per_day=per_day))


@pytest.mark.parametrize(
    ("zone", "visits", "full"),
    [
        # On two days in UTC, on one day in New York.
        (NEW_YORK, ["2026-06-01T15:00Z", "2026-06-02T02:00Z"], "2026-06-01"),
        # On one day in UTC, on two days in New York.
        (NEW_YORK, ["2026-06-02T02:00Z", "2026-06-02T15:00Z"], None),
        (KOLKATA, ["2026-06-01T19:00Z", "2026-06-02T06:00Z"], "2026-06-02"),
        # The first and the last minutes of a day that begins at 01:00.
        (CAIRO, ["2026-04-23T22:00Z", "2026-04-24T20:30Z"], "2026-04-24"),
        (CAIRO, ["2026-04-23T21:30Z", "2026-04-23T22:00Z"], None),
        # 23:30 comes twice on one day.
        (CAIRO, ["2026-10-29T20:30Z", "2026-10-29T21:30Z"], "2026-10-29"),
        (CAIRO, ["2026-10-29T21:30Z", "2026-10-29T22:00Z"], None),
        (HAVANA, ["2025-11-02T04:15Z", "2025-11-02T05:15Z"], "2025-11-02"),
        (HAVANA, ["2025-11-02T03:45Z", "2025-11-02T04:00Z"], None),
        # The clock shows the 6th again after the 7th has begun.
        (ST_JOHNS, ["2010-11-07T02:30Z", "2010-11-07T02:45Z"], "2010-11-07"),
        (ST_JOHNS, ["2010-11-07T02:00Z", "2010-11-07T02:45Z"], None),
        (LORD_HOWE, ["2026-04-04T13:00Z", "2026-04-05T13:00Z"], "2026-04-05"),
    ],
    ids=str,
)
def test_daily_limit_counts_days_in_the_doctors_zone(zone: ZoneInfo, visits: list[str], full: str | None) -> None:
    rules = always_open(zone, per_day=2)
    quarter = VisitType(15 * MINUTE)
    busy = [make_busy_period(quarter, instant(visit)) for visit in visits]
    day = visits[0][:10] if full is None else full
    nearby = days_around(day, rules)
    free = free_windows(rules, quarter, busy, nearby, LONG_AGO)
    without_limit = free_windows(replace(rules, limits=BookingLimits()), quarter, busy, nearby, LONG_AGO)
    if full is None:
        assert free == without_limit
    else:
        first, last = day_span(wall(full).date(), rules.zone)
        assert all(end <= first or last <= begin for begin, end in free)
        assert free[0] == (nearby[0], first)
        assert free[-1] == (last, nearby[1])


def test_visit_counts_on_the_day_of_its_start_and_must_not_end_on_a_full_day() -> None:
    rules = always_open(NEW_YORK, per_day=1)
    midnight = instant("2026-06-02T04:00Z")
    hour = VisitType(HOUR)
    over_midnight = make_busy_period(hour, midnight - 30 * MINUTE)
    tuesday = midnight + 10 * HOUR, midnight + 11 * HOUR
    assert explain(rules, hour, tuesday, [over_midnight], LONG_AGO) == []
    full_tuesday = [make_busy_period(hour, tuesday[0])]
    into_tuesday = midnight - 30 * MINUTE, midnight + 30 * MINUTE
    assert explain(rules, hour, into_tuesday, full_tuesday, LONG_AGO) == [Refusal.DAY_FULL]
    assert explain(rules, hour, (midnight - HOUR, midnight), full_tuesday, LONG_AGO) == []
    # The buffer of this visit is on the day before.
    buffered = VisitType(HOUR, buffer_before=2 * HOUR)
    assert explain(rules, hour, tuesday, [make_busy_period(buffered, midnight + HOUR)], LONG_AGO) == [Refusal.DAY_FULL]


def test_daily_limit_of_a_visit_type_counts_only_visits_of_that_type() -> None:
    check_up = VisitType(30 * MINUTE, CHECK_UP, limits=BookingLimits(per_day=1))
    new_patient = VisitType(30 * MINUTE, NEW_PATIENT)
    free = NINE + HOUR, NINE + 90 * MINUTE
    assert explain(OPEN_MONDAY, check_up, free, [make_busy_period(new_patient, NINE)], LONG_AGO) == []
    assert explain(OPEN_MONDAY, check_up, free, [make_busy_period(check_up, NINE)], LONG_AGO) == [Refusal.DAY_FULL]
    assert explain(OPEN_MONDAY, new_patient, free, [make_busy_period(check_up, NINE)], LONG_AGO) == []
    limited_doctor = replace(OPEN_MONDAY, limits=BookingLimits(per_day=1))
    assert explain(limited_doctor, new_patient, free, [make_busy_period(check_up, NINE)], LONG_AGO) == [
        Refusal.DAY_FULL
    ]


def test_relevant_span_is_the_whole_day_if_there_is_a_daily_limit() -> None:
    limited = replace(OPEN_MONDAY, limits=BookingLimits(per_day=1))
    buffered = VisitType(30 * MINUTE, buffer_before=5 * MINUTE, buffer_after=10 * MINUTE)
    visit = NINE, NINE + 30 * MINUTE
    assert not has_daily_limit(OPEN_MONDAY, buffered)
    assert relevant_span(OPEN_MONDAY, buffered, visit) == (NINE - 5 * MINUTE, NINE + 40 * MINUTE)
    for rules, visit_type in ((limited, buffered), (OPEN_MONDAY, replace(buffered, limits=BookingLimits(per_day=3)))):
        assert has_daily_limit(rules, visit_type)
        assert relevant_span(rules, visit_type, visit) == (WHOLE_MONDAY[0] - 5 * MINUTE, WHOLE_MONDAY[1] + 10 * MINUTE)
    over_midnight = WHOLE_MONDAY[1] - HOUR, WHOLE_MONDAY[1] + HOUR
    assert relevant_span(limited, HALF_HOUR, over_midnight) == (WHOLE_MONDAY[0], WHOLE_MONDAY[1] + DAY)
