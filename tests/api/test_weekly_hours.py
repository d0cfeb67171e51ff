import json
from datetime import UTC, datetime
from uuid import UUID

import httpx2

from app.db.database import Database
from app.repositories.availabilities import insert_availabilities
from app.scheduling.availability import Availability
from tests.api.wall_clock import daily
from tests.api.weekly_hours import WEEK, complete_week, get_hours, get_local_windows
from tests.conftest import SetClock
from tests.people import Person, assert_problem, get_slots, get_windows


async def test_weekly_hours_are_returned_as_they_were_set(client: httpx2.AsyncClient, doctor: Person) -> None:
    weekly_hours = {
        "doctor_id": doctor.id,
        "time_zone": "America/New_York",
        "valid_from": "2026-12-01",
    } | complete_week(**WEEK)
    weekly_hours |= {"valid_to": None, "later": []}
    assert await doctor.set_hours(**WEEK) == weekly_hours | {"affected_count": 0, "affected": []}
    assert await get_hours(doctor) == weekly_hours
    assert await get_hours(doctor, "2031-05-01") == weekly_hours | {"valid_from": "2031-05-01"}
    assert await get_windows(client, doctor, **{"from": "2026-12-05T12:00:00Z", "to": "2026-12-12T12:00:00Z"}) == [
        ("2026-12-07T14:00:00Z", "2026-12-07T17:00:00Z"),
        ("2026-12-07T18:00:00Z", "2026-12-07T22:00:00Z"),
        ("2026-12-08T18:00:00Z", "2026-12-09T05:00:00Z"),
        ("2026-12-12T03:00:00Z", "2026-12-12T11:00:00Z"),
    ]
    # Today is Tuesday, and the hours apply from today.
    assert (await get_windows(client, doctor))[0] == ("2026-12-01T18:00:00Z", "2026-12-02T05:00:00Z")


async def test_weekly_hours_are_listed_with_the_availabilities(doctor: Person) -> None:
    single = await doctor.publish("2026-12-12T14:00:00Z", "2026-12-12T15:00:00Z")
    await doctor.set_hours(monday=[["09:00", "12:00"]], wednesday=[["09:00", "12:00"]], friday=[["22:00", "06:00"]])
    listed = (await doctor.get("/doctors/me/availability")).json()
    assert [(each["start_time"], each["end_time"], each["recurrence"], each["weekly_hours"]) for each in listed] == [
        ("2026-12-02T14:00:00Z", "2026-12-02T17:00:00Z", "FREQ=WEEKLY;BYDAY=MO,WE", True),
        ("2026-12-05T03:00:00Z", "2026-12-05T11:00:00Z", "FREQ=WEEKLY;BYDAY=FR", True),
        ("2026-12-12T14:00:00Z", "2026-12-12T15:00:00Z", None, False),
    ]
    assert listed[2] == single
    assert (await doctor.delete(f"/doctors/availability/{listed[0]['id']}")).status_code == 204
    assert await get_hours(doctor, "2026-12-07") | complete_week(friday=[["22:00", "06:00"]]) == await get_hours(
        doctor, "2026-12-07"
    )


async def test_new_weekly_hours_replace_the_old_ones(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(**WEEK)
    await doctor.set_hours(monday=[["10:00", "11:00"]])
    assert await get_hours(doctor) == await get_hours(doctor) | complete_week(monday=[["10:00", "11:00"]])
    assert await get_local_windows(client, doctor, "2026-12-07") == ["10:00-11:00"]
    assert await get_local_windows(client, doctor, "2026-12-08") == []
    assert len((await doctor.get("/doctors/me/availability")).json()) == 1
    await doctor.set_hours()
    assert await get_hours(doctor) == await get_hours(doctor) | complete_week()
    assert (await doctor.get("/doctors/me/availability")).json() == []


async def test_night_window_belongs_to_the_day_on_which_it_starts(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(monday=[["22:00", "06:00"]])
    await doctor.set_hours(
        tuesday=[["05:00", "07:00"], ["20:00", "02:00"]], valid_from="2026-12-15", valid_to="2026-12-15"
    )
    assert await get_local_windows(client, doctor, "2026-12-14") == ["22:00-00:00"]
    await doctor.publish("2026-12-16T02:00:00-05:00", "2026-12-16T03:00:00-05:00")
    assert await get_windows(client, doctor, **{"from": "2026-12-15T00:00:00Z", "to": "2026-12-17T00:00:00Z"}) == [
        ("2026-12-15T03:00:00Z", "2026-12-15T12:00:00Z"),
        ("2026-12-16T01:00:00Z", "2026-12-16T08:00:00Z"),
    ]


async def test_first_valid_day_is_today_in_the_doctors_zone(doctor: Person, clock: SetClock) -> None:
    clock.time = datetime(2026, 12, 2, 4, 59, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    assert (await doctor.set_hours(**WEEK))["valid_from"] == "2026-12-01"
    assert (await get_hours(doctor))["valid_from"] == "2026-12-01"
    for valid_from, status in (("2026-11-30", 422), ("2026-12-01", 200)):
        assert (await doctor.put("/doctors/me/hours", {"valid_from": valid_from})).status_code == status


async def test_overlapping_windows_are_refused_with_their_weekday(doctor: Person) -> None:
    before = await doctor.set_hours(**WEEK)
    for week, weekday in (
        ({"monday": [["09:00", "12:00"], ["11:59", "13:00"]]}, "monday"),
        ({"wednesday": [["13:00", "17:00"], ["09:00", "13:01"]]}, "wednesday"),
        ({"friday": [["09:00", "12:00"], ["09:00", "12:00"]]}, "friday"),
        ({"friday": [["00:00", "24:00"], ["23:00", "24:00"]]}, "friday"),
        ({"tuesday": [["22:00", "06:00"], ["23:00", "24:00"]]}, "tuesday"),
        ({"tuesday": [["22:00", "06:00"]], "wednesday": [["05:00", "08:00"]]}, "wednesday"),
        ({"sunday": [["22:00", "06:00"]], "monday": [["05:59", "08:00"]]}, "monday"),
        ({"sunday": [["22:00", "06:00"]], "monday": [["00:00", "00:01"]]}, "monday"),
    ):
        response = await doctor.put("/doctors/me/hours", week)
        assert assert_problem(response, 422, "invalid_request")["errors"][0]["field"] == weekday, week
    assert await get_hours(doctor) == {name: before[name] for name in await get_hours(doctor)}


async def test_adjacent_windows_are_merged(client: httpx2.AsyncClient, doctor: Person) -> None:
    round_the_clock = [["00:00", "06:00"], ["06:00", "22:00"], ["22:00", "24:00"]]
    await doctor.set_hours(**daily(*round_the_clock))
    assert await get_windows(client, doctor) == [("2026-12-01T08:00:00Z", "2026-12-15T08:00:00Z")]
    await doctor.set_hours(sunday=[["18:00", "06:00"]], monday=[["06:00", "18:00"]])
    requested = {"from": "2026-12-05T00:00:00Z", "to": "2026-12-09T00:00:00Z"}
    assert await get_windows(client, doctor, **requested) == [("2026-12-06T23:00:00Z", "2026-12-07T23:00:00Z")]


async def test_separate_availability_stays_when_weekly_hours_change(client: httpx2.AsyncClient, doctor: Person) -> None:
    # The first availability overlaps the weekly hours, the second one does not.
    overlapping = await doctor.publish("2026-12-07T11:00:00-05:00", "2026-12-07T14:00:00-05:00")
    separate = await doctor.publish("2026-12-12T09:00:00-05:00", "2026-12-12T10:00:00-05:00", "FREQ=WEEKLY;INTERVAL=2")
    await doctor.set_hours(monday=[["09:00", "12:15"]])
    assert await get_local_windows(client, doctor, "2026-12-07") == ["09:00-14:00"]
    # The grid of each window starts at its opening.
    found = await get_slots(client, doctor, "2026-12-07T16:30:00Z", "2026-12-07T18:00:00Z")
    assert [start[11:16] for start, _, _ in found] == ["16:30", "17:00", "17:30"]
    await doctor.set_hours()
    assert (await doctor.get("/doctors/me/availability")).json() == [overlapping, separate]
    assert await get_local_windows(client, doctor, "2026-12-07") == ["11:00-14:00"]
    assert await get_local_windows(client, doctor, "2026-12-12") == ["09:00-10:00"]


async def test_change_reports_appointments_outside_the_new_hours(doctor: Person, patient: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"], ["13:00", "17:00"]], tuesday=[["09:00", "12:00"]])
    late = await patient.book(doctor, "2026-12-14T16:30:00-05:00")
    crossing = await patient.book(doctor, "2026-12-07T11:30:00-05:00")
    await patient.book(doctor, "2026-12-07T09:00:00-05:00")
    cancelled = await patient.book(doctor, "2026-12-07T16:30:00-05:00")
    await patient.delete(f"/appointments/{cancelled['id']}")
    shorter = await doctor.set_hours(monday=[["09:00", "11:45"]], tuesday=[["09:00", "12:00"]])
    assert (shorter["affected_count"], shorter["affected"]) == (2, [crossing, late])
    assert (await patient.get(f"/appointments/{late['id']}")).json() == late
    conflicting = await doctor.get("/doctors/me/appointments?conflicting=true")
    assert conflicting.json() == [crossing, late]
    longer = await doctor.set_hours(monday=[["08:00", "18:00"]], valid_to="2026-12-13")
    assert longer["affected"] == [late]
    assert (await doctor.set_hours(monday=[["08:00", "18:00"]], replace_later=True))["affected"] == []


async def test_ended_appointment_is_not_affected(doctor: Person, patient: Person, clock: SetClock) -> None:
    await doctor.set_hours(tuesday=[["09:00", "12:00"]])
    await patient.book(doctor, "2026-12-01T09:00:00-05:00")
    running = await patient.book(doctor, "2026-12-01T09:30:00-05:00")
    clock.time = datetime(2026, 12, 1, 14, 40, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    assert (await doctor.set_hours())["affected"] == [running]


async def test_invalid_weekly_hours_are_refused(doctor: Person) -> None:
    before = await doctor.set_hours(**WEEK)

    async def refused(content: str, field: str) -> None:
        headers = doctor.headers | {"Content-Type": "application/json"}
        response = await doctor.client.put("/doctors/me/hours", content=content, headers=headers)
        fields = [error["field"] for error in assert_problem(response, 422, "invalid_request")["errors"]]
        assert fields[0].startswith(field), (content, fields)

    for window in (
        ["9:00", "12:00"],
        ["09:00", "12:0"],
        ["09:00:00", "12:00:00"],
        ["25:00", "26:00"],
        ["09:60", "12:00"],
        ["24:00", "06:00"],
        ["09:00", "24:01"],
        ["09:00", "09:00"],
        ["00:00", "00:00"],
        ["09:00", "12:00", "13:00"],
        ["09:00"],
        [],
        ["09:00", None],
        [9, 12],
        [540, 720],
        [" 09:00", "12:00"],
        ["09:00\n", "12:00"],
        ["٠٩:00", "12:00"],
        ["09:00Z", "12:00Z"],
        ["-9:00", "12:00"],
        {"start": "09:00", "end": "12:00"},
        "09:00-12:00",
        None,
    ):
        await refused(json.dumps({"monday": [window]}), "monday.0")
    for body, field in (
        ({"monday": None}, "monday"),
        ({"monday": "closed"}, "monday"),
        ({"monday": {}}, "monday"),
        ({"monday": [["09:00", "12:00"], None]}, "monday.1"),
        ({"monday": [[f"{hour:02}:00", f"{hour:02}:30"] for hour in range(13)]}, "monday"),
        ({"Monday": []}, "Monday"),
        ({"holiday": []}, "holiday"),
        ({"doctor_id": "019abcde-f012-7345-8678-9abcdef01234"}, "doctor_id"),
        ({"time_zone": "UTC"}, "time_zone"),
        ({"valid_from": "2026-11-30"}, "valid_from"),
        ({"valid_from": "2026-13-01"}, "valid_from"),
        ({"valid_from": "2027-02-29"}, "valid_from"),
        ({"valid_from": "2026-12-08T00:00:00Z"}, "valid_from"),
        ({"valid_from": 1796724000}, "valid_from"),
        ({"valid_from": "1796724000"}, "valid_from"),
        ({"valid_from": "9999-12-31"}, "valid_from"),
        ({"valid_from": "0001-01-01"}, "valid_from"),
        ({"valid_from": "20261208"}, "valid_from"),
        ({"valid_from": "2026-W50-1"}, "valid_from"),
        ({"valid_from": ""}, "valid_from"),
        ({"valid_from": "2026-12-08", "valid_to": "2026-12-07"}, "valid_to"),
        ({"valid_to": "2026-11-30"}, "valid_to"),
        ({"valid_to": "3000-01-01"}, "valid_to"),
        ({"valid_to": True}, "valid_to"),
        ({"valid_to": "2026-12-31", "replace_later": True}, "replace_later"),
        ({"replace_later": "yes"}, "replace_later"),
        ({"replace_later": 1}, "replace_later"),
        ({"replace_later": None}, "replace_later"),
        ([], "body"),
        (None, "body"),
    ):
        await refused(json.dumps(body), field)
    for content in ('{"monday": [], "monday": []}', '{"monday": [["09:00", 1e999]]}', '{"monday": [["09:00", NaN]]}'):
        await refused(content, "body")
    assert await get_hours(doctor) == {name: before[name] for name in await get_hours(doctor)}


async def test_hours_apply_until_the_last_supported_day(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(**WEEK, valid_from="2999-12-31", valid_to="2999-12-31")
    assert (await get_hours(doctor, "2999-12-30"))["monday"] == []
    assert (await get_hours(doctor, "1900-01-01"))["valid_from"] == "1900-01-01"
    assert (await get_hours(doctor))["valid_to"] == "2999-12-30"
    await doctor.set_hours(**daily(["09:00", "10:00"]), valid_from="2999-12-31")
    requested = {"from": "2999-12-31T00:00:00Z"}
    assert (await get_windows(client, doctor, **requested))[0] == ("2999-12-31T14:00:00Z", "2999-12-31T15:00:00Z")
    for query in ("from=2026-12-08T00:00:00Z", "from=9999-12-31", "from=tomorrow", "first=2026-12-08", "from="):
        assert_problem(await doctor.get(f"/doctors/me/hours?{query}"), 422, "invalid_request")


async def test_day_has_up_to_twelve_windows(client: httpx2.AsyncClient, doctor: Person) -> None:
    windows = [[f"{hour:02}:00", f"{hour:02}:30"] for hour in range(12)]
    await doctor.set_hours(**daily(*windows))
    assert (await get_hours(doctor))["sunday"] == windows
    assert len(await get_windows(client, doctor, to="2026-12-08T08:00:00Z")) == 7 * 12


async def test_number_of_availabilities_is_bounded(
    client: httpx2.AsyncClient, doctor: Person, database: Database, clock: SetClock
) -> None:
    single = Availability(datetime(2027, 1, 9, 9), datetime(2027, 1, 9, 10))  # noqa: DTZ001 - wall times
    past = Availability(datetime(2026, 1, 9, 9), datetime(2026, 1, 9, 10))  # noqa: DTZ001
    async with database.write() as transaction:
        await insert_availabilities(transaction, UUID(doctor.id), [single] * 999 + [past] * 10, clock())
    await doctor.set_hours(monday=[["09:00", "10:00"]])
    window = {"start_time": "2026-12-08T14:00:00Z", "end_time": "2026-12-08T15:00:00Z"}
    assert_problem(await doctor.post("/doctors/availability", window), 409, "too_many")
    more = {"monday": [["12:00", "13:00"]], "tuesday": [["09:00", "10:00"]]}
    assert_problem(await doctor.put("/doctors/me/hours", more), 409, "too_many")
    assert await get_local_windows(client, doctor, "2026-12-07") == ["09:00-10:00"]
    await doctor.set_hours(monday=[["12:00", "13:00"]])
    await doctor.set_hours()
    assert (await doctor.post("/doctors/availability", window)).status_code == 201


async def test_number_of_recurring_availabilities_is_bounded(
    doctor: Person, database: Database, clock: SetClock
) -> None:
    weekly = Availability(datetime(2027, 1, 9, 9), datetime(2027, 1, 9, 10), "FREQ=WEEKLY")  # noqa: DTZ001 - wall times
    async with database.write() as transaction:
        await insert_availabilities(transaction, UUID(doctor.id), [weekly] * 200, clock())
    window = {"start_time": "2026-12-08T14:00:00Z", "end_time": "2026-12-08T15:00:00Z"}
    assert_problem(
        await doctor.post("/doctors/availability", window | {"recurrence": "FREQ=DAILY;COUNT=2"}), 409, "too_many"
    )
    assert_problem(await doctor.put("/doctors/me/hours", {"monday": [["09:00", "10:00"]]}), 409, "too_many")
    assert (await doctor.post("/doctors/availability", window)).status_code == 201
