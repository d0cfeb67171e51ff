"""Days on which clocks change, days that begin elsewhere than in UTC, and a whole year of a doctor's real week."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import httpx2
import pytest

from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_reasons, get_slots, get_windows

NEW_YORK = ZoneInfo("America/New_York")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@pytest.fixture
def clock() -> SetClock:
    """Before clocks go forward in 2026."""
    clock = SetClock()
    clock.time = datetime(2026, 2, 1, 12, tzinfo=UTC)
    return clock


def daily(*windows: tuple[str, str]) -> dict[str, list[tuple[str, str]]]:
    return {weekday: list(windows) for weekday in WEEKDAYS}


def on_the_clock(found: list[tuple[str, str, str]]) -> list[str]:
    """When slots start, as the doctor's clock shows it."""
    return [local_start[11:16] for _, _, local_start in found]


async def test_windows_keep_their_wall_times_when_clocks_change(
    client: httpx2.AsyncClient, doctor: Person, register: Register
) -> None:
    other = await register("doctor", time_zone="America/New_York")
    afternoons = [("2026-03-07T18:00:00Z", "2026-03-07T23:00:00Z"), ("2026-03-08T17:00:00Z", "2026-03-08T22:00:00Z")]
    mornings = [
        ("2026-10-31T13:00:00Z", "2026-10-31T14:00:00Z"),
        ("2026-11-01T14:00:00Z", "2026-11-01T15:00:00Z"),
        ("2026-11-02T14:00:00Z", "2026-11-02T15:00:00Z"),
    ]
    tuesdays = [("2026-10-27T14:00:00Z", "2026-10-27T15:00:00Z"), ("2026-11-03T15:00:00Z", "2026-11-03T16:00:00Z")]
    for week, start, end, recurrence, expected in (
        (daily(("13:00", "18:00")), "2026-02-01T13:00:00-05:00", "2026-02-01T18:00:00-05:00", "FREQ=DAILY", afternoons),
        (daily(("09:00", "10:00")), "2026-02-02T09:00:00-05:00", "2026-02-02T10:00:00-05:00", "FREQ=DAILY", mornings),
        (
            {"tuesday": [("10:00", "11:00")]},
            "2026-02-03T10:00:00-05:00",
            "2026-02-03T11:00:00-05:00",
            "FREQ=WEEKLY",
            tuesdays,
        ),
    ):
        asked = {"from": expected[0][0], "to": expected[-1][1]}
        await doctor.set_hours(**week)
        assert await get_windows(client, doctor, **asked) == expected
        published = await other.publish(start, end, recurrence)
        assert await get_windows(client, other, **asked) == expected
        await other.delete(f"/doctors/availability/{published['id']}")


async def test_skipped_hour_is_not_offered(client: httpx2.AsyncClient, doctor: Person, patient: Person) -> None:
    await doctor.set_hours(sunday=[("01:00", "04:00")])
    day = "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00"
    found = await get_slots(client, doctor, *day)
    assert found == [
        ("2026-03-08T06:00:00Z", "2026-03-08T06:30:00Z", "2026-03-08T01:00:00-05:00"),
        ("2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z", "2026-03-08T01:30:00-05:00"),
        ("2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z", "2026-03-08T03:00:00-04:00"),
        ("2026-03-08T07:30:00Z", "2026-03-08T08:00:00Z", "2026-03-08T03:30:00-04:00"),
    ]
    for start, _, _ in found:
        await patient.book(doctor, start)
    assert await get_slots(client, doctor, *day) == []
    assert await get_windows(client, doctor, **{"from": day[0], "to": day[1]}) == []


async def test_repeated_hour_is_offered_twice(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register
) -> None:
    await doctor.set_hours(sunday=[("00:00", "04:00")])
    found = await get_slots(client, doctor, "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00")
    assert on_the_clock(found) == [
        "00:00", "00:30", "01:00", "01:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30",
    ]  # fmt: skip
    assert [slot for slot in found if slot[2][11:16] == "01:30"] == [
        ("2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T01:30:00-04:00"),
        ("2026-11-01T06:30:00Z", "2026-11-01T07:00:00Z", "2026-11-01T01:30:00-05:00"),
    ]
    late = await register()
    for start, end, local_start in found:
        assert (await patient.book(doctor, local_start))["end_time"] == end
        assert_problem(await late.try_to_book(doctor, start), 409, "slot_taken")


async def test_repeated_half_hour_is_offered_twice(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await register("doctor", time_zone="Australia/Lord_Howe")
    await doctor.set_hours(sunday=[("01:00", "02:30")])
    found = await get_slots(client, doctor, "2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z")
    assert [local_start for _, _, local_start in found] == [
        "2026-04-05T01:00:00+11:00",
        "2026-04-05T01:30:00+11:00",
        "2026-04-05T01:30:00+10:30",
        "2026-04-05T02:00:00+10:30",
    ]


async def test_night_windows_last_seven_to_nine_hours_when_clocks_change(
    client: httpx2.AsyncClient, doctor: Person
) -> None:
    await doctor.set_hours(saturday=[("22:00", "06:00")])
    for start, end, hours in (
        ("2026-02-08T03:00:00Z", "2026-02-08T11:00:00Z", 8),
        ("2026-03-08T03:00:00Z", "2026-03-08T10:00:00Z", 7),
        ("2026-11-01T02:00:00Z", "2026-11-01T11:00:00Z", 9),
    ):
        day = start[:11] + "00:00:00Z", start[:11] + "23:59:59Z"
        assert await get_windows(client, doctor, **{"from": day[0], "to": day[1]}) == [(start, end)]
        found = await get_slots(client, doctor, *day)
        assert len(found) == hours * 2
        assert (on_the_clock(found)[0], on_the_clock(found)[-1]) == ("22:00", "05:30")


async def test_days_of_23_and_25_hours_are_offered_in_full(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await register("doctor", time_zone="Africa/Cairo")
    await doctor.set_hours(**daily(("00:00", "24:00")))
    for day, first, last, length in (
        ("2026-04-24", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z", 23),
        ("2026-10-29", "2026-10-28T21:00:00Z", "2026-10-29T22:00:00Z", 25),
    ):
        around = f"{first[:11]}12:00:00Z", f"{last[:8]}30T12:00:00Z"
        found = [slot for slot in await get_slots(client, doctor, *around) if slot[2].startswith(day)]
        assert (found[0][0], found[-1][1], len(found)) == (first, last, length * 2)
        off = await doctor.take_time_off(first, last)
        assert await get_windows(client, doctor, **dict(zip(("from", "to"), around, strict=True))) == [
            (around[0], first),
            (last, around[1]),
        ]
        left = await get_slots(client, doctor, *around)
        assert not [slot for slot in left if slot[2].startswith(day)]
        assert any(end == first for _, end, _ in left)
        assert any(start == last for start, _, _ in left)
        await doctor.delete(f"/doctors/me/time-off/{off['id']}")


async def test_daily_limit_applies_to_days_of_23_and_25_hours(
    client: httpx2.AsyncClient, patient: Person, register: Register
) -> None:
    other = await register()
    for taken, full in (
        # 01:00, the first half hour, and 23:30 of the day without midnight
        (("2026-04-23T22:00:00Z", "2026-04-24T20:30:00Z"), ("2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z")),
        # both 23:30 of the day on which clocks go back at midnight
        (("2026-10-29T20:30:00Z", "2026-10-29T21:30:00Z"), ("2026-10-28T21:00:00Z", "2026-10-29T22:00:00Z")),
    ):
        doctor = await register("doctor", time_zone="Africa/Cairo")
        await doctor.set_hours(**daily(("00:00", "24:00")))
        await doctor.update_profile(daily_limit=2)
        for start in taken:
            await patient.book(doctor, start)
        assert await get_slots(client, doctor, *full) == []
        both = ["day_full", "slot_taken"]
        assert await get_reasons(client, doctor, full[0]) == (both if full[0] in taken else ["day_full"])
        [after, *_] = await get_slots(client, doctor, full[1], full[1][:8] + "30T23:00:00Z")
        assert (after[0], after[2][11:16]) == (full[1], "00:00")
        assert_problem(await other.try_to_book(doctor, full[1][:11] + "12:00:00Z"), 409, "day_full")
        await patient.book(doctor, full[1])


async def test_slots_of_a_zone_with_a_half_hour_offset_stay_on_the_grid(
    client: httpx2.AsyncClient, register: Register
) -> None:
    doctor = await register("doctor", time_zone="Asia/Kolkata")
    await doctor.set_hours(monday=[("09:00", "13:00")])
    await doctor.update_profile(default_visit_minutes=60)
    found = await get_slots(client, doctor, "2026-02-02T00:00:00Z", "2026-02-03T00:00:00Z")
    assert found[0] == ("2026-02-02T03:30:00Z", "2026-02-02T04:30:00Z", "2026-02-02T09:00:00+05:30")
    assert on_the_clock(found) == ["09:00", "10:00", "11:00", "12:00"]
    # Asked from the middle of an hour on, the grid is still the doctor's.
    rest = await get_slots(client, doctor, "2026-02-02T04:10:00Z", "2026-02-03T00:00:00Z")
    assert rest == found[1:]


async def test_edit_after_a_clock_change_moves_nothing(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.set_hours(friday=[("09:00", "12:00")], saturday=[("22:00", "06:00")])
    await doctor.publish("2026-02-07T09:00:00-05:00", "2026-02-07T13:00:00-05:00", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SA")
    await doctor.publish("2026-03-25T09:00:00-04:00", "2026-03-25T10:00:00-04:00")
    await doctor.take_time_off("2026-03-27T10:00:00-04:00", "2026-03-27T11:00:00-04:00")
    await patient.book(doctor, "2026-03-27T09:00:00-04:00")
    clock.time = datetime(2026, 3, 9, 12, tzinfo=UTC)
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()

    async def seen() -> list[object]:
        return [
            await get_slots(client, doctor, "2026-03-09T12:00:00Z", "2026-05-10T00:00:00Z"),
            *[
                (await doctor.get(path)).json()
                for path in (
                    "/doctors/me/availability",
                    "/doctors/me/hours",
                    "/doctors/me/time-off",
                    "/doctors/me/appointments",
                )
            ],
        ]

    before = await seen()
    assert before[0]
    for edit in ({"bio": "Skin, hair and nails."}, {}, {"cancel_cutoff_minutes": 60, "languages": ["en"]}):
        await doctor.update_profile(**edit)
        assert await seen() == before
    # The hour that clocks took away in between is in no rule: the same wall times as before.
    assert (await doctor.set_hours(friday=[("09:00", "12:00")], saturday=[("22:00", "06:00")]))["affected"] == []
    assert (await seen())[0] == before[0]


async def test_new_time_zone_keeps_wall_times_and_booked_instants(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.set_hours(friday=[("09:00", "12:00")])
    await doctor.publish("2026-02-07T09:00:00-05:00", "2026-02-07T13:00:00-05:00", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SA")
    await doctor.take_time_off("2026-02-06T11:00:00-05:00", "2026-02-06T12:00:00-05:00")
    early = await patient.book(doctor, "2026-03-06T09:00:00-05:00")
    late = await patient.book(doctor, "2026-03-13T11:30:00-04:00")
    changed = await doctor.update_profile(time_zone="America/Chicago")
    assert changed["time_zone"] == "America/Chicago"
    # 09:00 in New York is 08:00 in Chicago; 11:30 is 10:30.
    assert changed["affected_count"] == 1
    assert changed["affected"] == [early | {"time_zone": "America/Chicago"}]
    for booked in (early, late):
        now = (await patient.get(f"/appointments/{booked['id']}")).json()
        assert now == booked | {"time_zone": "America/Chicago"}
    assert (await doctor.get("/doctors/me/hours")).json()["friday"] == [["09:00", "12:00"]]
    assert await get_windows(client, doctor, **{"from": "2026-02-06T00:00:00Z", "to": "2026-02-08T00:00:00Z"}) == [
        ("2026-02-06T15:00:00Z", "2026-02-06T17:00:00Z"),
        ("2026-02-07T15:00:00Z", "2026-02-07T19:00:00Z"),
    ]
    assert [each["start_time"] for each in (await doctor.get("/doctors/me/time-off")).json()] == [
        "2026-02-06T17:00:00Z"
    ]
    assert (await doctor.update_profile(time_zone="America/New_York"))["affected"] == []


async def test_window_until_midnight_offers_its_last_hour(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.set_hours(monday=[("21:00", "24:00")])
    await doctor.update_profile(default_visit_minutes=60)
    found = await get_slots(client, doctor, "2026-02-02T12:00:00Z", "2026-02-09T00:00:00Z")
    assert on_the_clock(found) == ["21:00", "22:00", "23:00"]
    booked = await patient.book(doctor, "2026-02-02T23:00:00-05:00")
    assert booked["end_time"] == "2026-02-03T05:00:00Z"


async def test_windows_that_touch_at_midnight_are_merged(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.set_hours(monday=[("22:30", "24:00")], tuesday=[("00:00", "01:30")])
    visit_type = await doctor.add_visit_type(duration_minutes=60, slot_step_minutes=30)
    found = await get_slots(client, doctor, "2026-02-02T12:00:00Z", "2026-02-09T00:00:00Z", visit_type["id"])
    assert on_the_clock(found) == ["22:30", "23:00", "23:30", "00:00", "00:30"]
    booked = await patient.book(doctor, "2026-02-02T23:30:00-05:00", visit_type_id=visit_type["id"])
    assert booked["end_time"] == "2026-02-03T05:30:00Z"


async def test_time_off_cuts_the_night_window_before_it(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.set_hours(tuesday=[("22:00", "06:00")])
    await doctor.take_time_off("2026-02-04T00:00:00-05:00", "2026-02-05T00:00:00-05:00")
    night = "2026-02-03T12:00:00Z", "2026-02-05T12:00:00Z"
    found = await get_slots(client, doctor, *night)
    assert on_the_clock(found) == ["22:00", "22:30", "23:00", "23:30"]
    assert await get_windows(client, doctor, **{"from": night[0], "to": night[1]}) == [
        ("2026-02-04T03:00:00Z", "2026-02-04T05:00:00Z")
    ]
    assert_problem(await patient.try_to_book(doctor, "2026-02-03T23:45:00-05:00"), 409, "time_off")
    await patient.book(doctor, "2026-02-03T23:30:00-05:00")


async def test_daily_limit_counts_days_of_the_doctors_zone(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register
) -> None:
    await doctor.set_hours(**daily(("08:00", "23:00")))
    await doctor.update_profile(daily_limit=2)
    await patient.book(doctor, "2026-02-10T09:00:00-05:00")
    # In UTC, this is on the next day.
    evening = await patient.book(doctor, "2026-02-10T20:30:00-05:00")
    tenth = "2026-02-10T00:00:00-05:00", "2026-02-11T00:00:00-05:00"
    assert await get_slots(client, doctor, *tenth) == []
    assert await get_windows(client, doctor, **{"from": tenth[0], "to": tenth[1]}) == []
    other = await register()
    for start in ("2026-02-10T08:00:00-05:00", "2026-02-11T03:00:00Z"):
        assert await get_reasons(client, doctor, start) == ["day_full"]
        assert_problem(await other.try_to_book(doctor, start), 409, "day_full")
    await other.book(doctor, "2026-02-11T08:00:00-05:00")
    await other.book(doctor, "2026-02-11T22:30:00-05:00")
    assert (await patient.delete(f"/appointments/{evening['id']}")).status_code == 200
    assert len(await get_slots(client, doctor, *tenth)) == 29
    await other.book(doctor, "2026-02-10T22:30:00-05:00")
    assert await get_reasons(client, doctor, "2026-02-10T08:00:00-05:00") == ["day_full"]


async def test_minimum_notice_is_exact_to_the_microsecond(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.set_hours(monday=[("09:00", "10:00")])
    await doctor.update_profile(min_notice_minutes=240)
    day = "2026-02-02T00:00:00Z", "2026-02-03T00:00:00Z"
    nine, half_past = "2026-02-02T14:00:00Z", "2026-02-02T14:30:00Z"
    clock.time = datetime(2026, 2, 2, 10, 0, 0, 1, tzinfo=UTC)
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    assert [start for start, _, _ in await get_slots(client, doctor, *day)] == [half_past]
    assert await get_windows(client, doctor, **{"from": day[0], "to": day[1]}) == [
        ("2026-02-02T14:00:00.000001Z", "2026-02-02T15:00:00Z")
    ]
    assert await get_reasons(client, doctor, nine) == ["too_soon"]
    assert_problem(await patient.try_to_book(doctor, nine), 409, "too_soon")
    clock.advance(microseconds=-1)
    patient = await patient.log_in_again()
    assert [start for start, _, _ in await get_slots(client, doctor, *day)] == [nine, half_past]
    assert await get_reasons(client, doctor, nine) == []
    await patient.book(doctor, nine)


async def test_minimum_notice_is_elapsed_time_and_advance_days_are_calendar_days(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.set_hours(**daily(("09:00", "24:00")))
    await doctor.update_profile(min_notice_minutes=24 * 60, max_advance_days=2)
    clock.time = datetime(2026, 3, 7, 17, tzinfo=UTC)  # 12:00; in 24 hours the clock will show 13:00
    patient = await patient.log_in_again()
    found = await get_slots(client, doctor, "2026-03-07T17:00:00Z", "2026-03-20T00:00:00Z")
    assert (found[0][2], found[-1][2]) == ("2026-03-08T13:00:00-04:00", "2026-03-09T23:30:00-04:00")
    assert_problem(await patient.try_to_book(doctor, "2026-03-08T12:30:00-04:00"), 409, "too_soon")
    assert_problem(await patient.try_to_book(doctor, "2026-03-10T09:00:00-04:00"), 409, "too_far_ahead")
    await patient.book(doctor, "2026-03-09T23:30:00-04:00")
    # Shortly before midnight it is still the same day, whatever day it is in UTC.
    clock.time = datetime(2026, 3, 8, 4, 59, 59, tzinfo=UTC)
    assert await get_reasons(client, doctor, "2026-03-10T09:00:00-04:00") == ["too_far_ahead"]
    clock.time = datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert await get_reasons(client, doctor, "2026-03-10T09:00:00-04:00") == []


REAL_WEEK = {
    "monday": [("09:00", "12:00"), ("13:00", "17:00")],
    "tuesday": [("08:00", "12:00"), ("13:00", "19:00")],
    "wednesday": [("09:00", "12:30")],
    "thursday": [("09:00", "12:00"), ("13:00", "17:00")],
    "friday": [("09:00", "12:00"), ("13:00", "15:00")],
    "saturday": [("22:00", "04:00")],  # on call
}
OPEN_SATURDAY, SATURDAY_HOURS = date(2026, 2, 7), ("09:00", "13:00")
CONFERENCE = date(2026, 3, 16), date(2026, 3, 21)
NOTICE, DAYS_AHEAD, VISITS_A_DAY = timedelta(hours=4), 90, 14
VISITS = {
    "Check-up": (timedelta(minutes=20), timedelta(minutes=10)),
    "New patient": (timedelta(minutes=45), timedelta()),
}
"""How long they are, and the time after."""


def at(day: date, shown: str | time) -> datetime:
    """The instant at which the clock in New York shows this."""
    shown = time.fromisoformat(shown) if isinstance(shown, str) else shown
    return datetime.combine(day, shown, NEW_YORK).astimezone(UTC)


def day_at(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()


class RealCalendar:
    """What follows from a doctor's real week, worked out with nothing but a calendar and a clock."""

    def __init__(self) -> None:
        self.busy: list[tuple[datetime, datetime]] = []
        self.visits: Counter[date] = Counter()

    def book(self, start: datetime, kind: str) -> None:
        length, after = VISITS[kind]
        self.busy.append((start, start + length + after))
        self.visits[day_at(start)] += 1

    def starts(self, day: date, kind: str) -> Iterator[datetime]:
        """When a visit of this kind could start on a day, if nothing spoke against it."""
        windows = [*REAL_WEEK.get(WEEKDAYS[day.weekday()], ())]
        if (day - OPEN_SATURDAY).days % 14 == 0:
            windows.append(SATURDAY_HOURS)
        length, after = VISITS[kind]
        for opens, closes in sorted(windows):
            start, end = at(day, opens), at(day + timedelta(days=closes < opens), closes)
            while start + length <= end:
                yield start
                start += length + after

    def faults(self, start: datetime, kind: str, now: datetime) -> list[str]:
        """What speaks against such a start."""
        length, after = VISITS[kind]
        end = start + length
        away, back = (at(day, "00:00") for day in CONFERENCE)
        # A full day is closed for whatever would still take some of it.
        days = {day_at(start), day_at(end - timedelta(microseconds=1))}
        found = {
            "in_the_past": start < now,
            "too_soon": now < end and start < now + NOTICE,
            "too_far_ahead": end > at(day_at(now) + timedelta(days=DAYS_AHEAD + 1), "00:00"),
            "time_off": start < back and end > away,
            "day_full": any(self.visits[day] >= VISITS_A_DAY for day in days),
            "slot_taken": any(begin < end + after and start < until for begin, until in self.busy),
        }
        return [code for code, applies in found.items() if applies]


async def test_schedule_agrees_with_a_model_for_a_year(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    calendar, chance, met = RealCalendar(), random.Random(7), Counter[str]()
    await doctor.update_profile(
        min_notice_minutes=NOTICE // timedelta(minutes=1), max_advance_days=DAYS_AHEAD, daily_limit=VISITS_A_DAY
    )
    await doctor.set_hours(**REAL_WEEK)
    opens, closes = (at(OPEN_SATURDAY, hour).isoformat() for hour in SATURDAY_HOURS)
    await doctor.publish(opens, closes, "FREQ=WEEKLY;INTERVAL=2;BYDAY=SA")
    away, back = (at(day, "00:00").isoformat() for day in CONFERENCE)
    await doctor.take_time_off(away, back, "A conference")
    kinds: dict[str, str] = {}
    for kind, lengths in VISITS.items():
        duration, after = (length // timedelta(minutes=1) for length in lengths)
        offered = await doctor.add_visit_type(name=kind, duration_minutes=duration, buffer_after_minutes=after)
        kinds[kind] = offered["id"]

    async def compare(start: datetime, kind: str) -> None:
        faults = calendar.faults(start, kind, clock())
        assert await get_reasons(client, doctor, start.isoformat(), kinds[kind]) == faults, start
        met.update(faults)

    async def try_to_book(start: datetime, kind: str) -> None:
        response = await patient.try_to_book(doctor, start.isoformat(), visit_type_id=kinds[kind])
        if faults := calendar.faults(start, kind, clock()):
            assert_problem(response, 409, faults[0])
        else:
            assert response.status_code == 201, response.text
            calendar.book(start, kind)

    full_day, nights = date(2026, 3, 10), {date(2026, 3, 7), date(2026, 10, 31)}
    for month in range(12):
        now = clock.time = datetime(2026, 2, 1, 13, 7, tzinfo=UTC) + timedelta(days=31 * month)
        patient = await patient.log_in_again()
        days = [day_at(now) + timedelta(days=offset) for offset in range(31)]
        if full_day in days:
            for start in list(calendar.starts(full_day, "Check-up"))[:VISITS_A_DAY]:
                await try_to_book(start, "Check-up")
        for kind, visit_type_id in kinds.items():
            for ahead, until in ((0, 32), (85, 96)):
                first, last = now + timedelta(days=ahead), now + timedelta(days=until)
                grid = [
                    start
                    for offset in range(ahead - 1, until + 1)
                    for start in calendar.starts(day_at(now) + timedelta(days=offset), kind)
                    if first <= start < last
                ]
                listed = await get_slots(client, doctor, first.isoformat(), last.isoformat(), visit_type_id)
                assert [datetime.fromisoformat(start) for start, _, _ in listed] == [
                    start for start in grid if not calendar.faults(start, kind, now)
                ]
                await compare(grid[-1], kind)
                await try_to_book(chance.choice(grid), kind)
            past = calendar.starts(days[0] - timedelta(days=4), kind) if month else ()
            for start in list(past)[:1]:
                await compare(start, kind)
            off_grid = (chance.choice(grid) + timedelta(minutes=chance.choice([-5, 5, 7]))).isoformat()
            [reason, *_] = await get_reasons(client, doctor, off_grid, visit_type_id)
            assert_problem(await patient.try_to_book(doctor, off_grid, visit_type_id=visit_type_id), 409, reason)
        for day in sorted({*days[::3], *nights.union({full_day}).intersection(days)}):
            starts = [(start, kind) for kind in kinds for start in calendar.starts(day, kind)]
            for start, kind in starts if day in nights else chance.sample(starts, min(1, len(starts))):
                await compare(start, kind)
    assert len(calendar.busy) > VISITS_A_DAY + 24
    assert met.keys() == {"in_the_past", "too_soon", "too_far_ahead", "time_off", "day_full", "slot_taken"}
