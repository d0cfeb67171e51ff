"""Days on which clocks change, and changes of a doctor's time zone."""

from datetime import UTC, datetime

import httpx2
import pytest

from tests.api.wall_clock import daily, local_starts, make_winter_clock
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_reasons, get_slots, get_windows


@pytest.fixture
def clock() -> SetClock:
    return make_winter_clock()


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
        requested = {"from": expected[0][0], "to": expected[-1][1]}
        await doctor.set_hours(**week)
        assert await get_windows(client, doctor, **requested) == expected
        published = await other.publish(start, end, recurrence)
        assert await get_windows(client, other, **requested) == expected
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
    assert local_starts(found) == [
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
        assert (local_starts(found)[0], local_starts(found)[-1]) == ("22:00", "05:30")


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
        # 01:00, which is the first half hour, and 23:30 of the day without midnight.
        (("2026-04-23T22:00:00Z", "2026-04-24T20:30:00Z"), ("2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z")),
        # 23:30 before and after clocks go back at midnight.
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
    assert local_starts(found) == ["09:00", "10:00", "11:00", "12:00"]
    # The grid does not depend on the start of the requested span.
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

    async def read_schedule() -> list[object]:
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

    before = await read_schedule()
    assert before[0]
    for edit in ({"bio": "Skin, hair and nails."}, {}, {"cancel_cutoff_minutes": 60, "languages": ["en"]}):
        await doctor.update_profile(**edit)
        assert await read_schedule() == before
    # Weekly hours are wall times, so the skipped hour does not shift them.
    assert (await doctor.set_hours(friday=[("09:00", "12:00")], saturday=[("22:00", "06:00")]))["affected"] == []
    assert (await read_schedule())[0] == before[0]


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
