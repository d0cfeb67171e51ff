"""Windows and limits at midnight, and days that do not start at midnight UTC."""

from datetime import UTC, datetime

import httpx2
import pytest

from tests.api.wall_clock import daily, local_starts, make_winter_clock
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_reasons, get_slots, get_windows


@pytest.fixture
def clock() -> SetClock:
    return make_winter_clock()


async def test_window_until_midnight_offers_its_last_hour(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.set_hours(monday=[("21:00", "24:00")])
    await doctor.update_profile(default_visit_minutes=60)
    found = await get_slots(client, doctor, "2026-02-02T12:00:00Z", "2026-02-09T00:00:00Z")
    assert local_starts(found) == ["21:00", "22:00", "23:00"]
    booked = await patient.book(doctor, "2026-02-02T23:00:00-05:00")
    assert booked["end_time"] == "2026-02-03T05:00:00Z"


async def test_windows_that_touch_at_midnight_are_merged(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.set_hours(monday=[("22:30", "24:00")], tuesday=[("00:00", "01:30")])
    visit_type = await doctor.add_visit_type(duration_minutes=60, slot_step_minutes=30)
    found = await get_slots(client, doctor, "2026-02-02T12:00:00Z", "2026-02-09T00:00:00Z", visit_type["id"])
    assert local_starts(found) == ["22:30", "23:00", "23:30", "00:00", "00:30"]
    booked = await patient.book(doctor, "2026-02-02T23:30:00-05:00", visit_type_id=visit_type["id"])
    assert booked["end_time"] == "2026-02-03T05:30:00Z"


async def test_time_off_cuts_the_night_window_before_it(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.set_hours(tuesday=[("22:00", "06:00")])
    await doctor.take_time_off("2026-02-04T00:00:00-05:00", "2026-02-05T00:00:00-05:00")
    night = "2026-02-03T12:00:00Z", "2026-02-05T12:00:00Z"
    found = await get_slots(client, doctor, *night)
    assert local_starts(found) == ["22:00", "22:30", "23:00", "23:30"]
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
    # Shortly before midnight it is still the same day, although it is the next day in UTC.
    clock.time = datetime(2026, 3, 8, 4, 59, 59, tzinfo=UTC)
    assert await get_reasons(client, doctor, "2026-03-10T09:00:00-04:00") == ["too_far_ahead"]
    clock.time = datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert await get_reasons(client, doctor, "2026-03-10T09:00:00-04:00") == []
