import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx2

from app.db.database import Database
from app.repositories.availabilities import insert_availabilities
from app.scheduling.availability import Availability
from tests.conftest import SetClock
from tests.people import Person, assert_problem, get_slots, get_windows

NEW_YORK = ZoneInfo("America/New_York")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEK = {
    "monday": [["09:00", "12:00"], ["13:00", "17:00"]],
    "tuesday": [["13:00", "24:00"]],
    "friday": [["22:00", "06:00"]],
}
"""From Monday, 7 December 2026, on."""


def daily(*windows: list[str]) -> dict[str, Any]:
    return {weekday: list(windows) for weekday in WEEKDAYS}


def whole(**days: Any) -> dict[str, Any]:
    return {weekday: days.get(weekday, []) for weekday in WEEKDAYS}


def drop_affected(response: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if not name.startswith("affected")}


async def hours(doctor: Person, first: str | None = None) -> dict[str, Any]:
    response = await doctor.get("/doctors/me/hours", params={"from": first} if first else {})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def open_on(client: httpx2.AsyncClient, doctor: Person, day: str) -> list[str]:
    """What is free on a day in New York, as its clocks show it."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK)
    midnights = (midnight + timedelta(days=number) for number in (0, 1))
    asked = dict(zip(("from", "to"), (each.isoformat() for each in midnights), strict=True))
    return [
        "-".join(f"{datetime.fromisoformat(moment).astimezone(NEW_YORK):%H:%M}" for moment in window)
        for window in await get_windows(client, doctor, **asked)
    ]


async def test_weekly_hours_are_returned_as_they_were_set(client: httpx2.AsyncClient, doctor: Person) -> None:
    said = {"doctor_id": doctor.id, "time_zone": "America/New_York", "valid_from": "2026-12-01"} | whole(**WEEK)
    said |= {"valid_to": None, "later": []}
    assert await doctor.set_hours(**WEEK) == said | {"affected_count": 0, "affected": []}
    assert await hours(doctor) == said
    assert await hours(doctor, "2031-05-01") == said | {"valid_from": "2031-05-01"}
    assert await get_windows(client, doctor, **{"from": "2026-12-05T12:00:00Z", "to": "2026-12-12T12:00:00Z"}) == [
        ("2026-12-07T14:00:00Z", "2026-12-07T17:00:00Z"),
        ("2026-12-07T18:00:00Z", "2026-12-07T22:00:00Z"),
        ("2026-12-08T18:00:00Z", "2026-12-09T05:00:00Z"),
        ("2026-12-12T03:00:00Z", "2026-12-12T11:00:00Z"),
    ]
    # Today is Tuesday, and the plan holds from today on.
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
    assert await hours(doctor, "2026-12-07") | whole(friday=[["22:00", "06:00"]]) == await hours(doctor, "2026-12-07")


async def test_new_weekly_hours_replace_the_old_ones(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(**WEEK)
    await doctor.set_hours(monday=[["10:00", "11:00"]])
    assert await hours(doctor) == await hours(doctor) | whole(monday=[["10:00", "11:00"]])
    assert await open_on(client, doctor, "2026-12-07") == ["10:00-11:00"]
    assert await open_on(client, doctor, "2026-12-08") == []
    assert len((await doctor.get("/doctors/me/availability")).json()) == 1
    await doctor.set_hours()
    assert await hours(doctor) == await hours(doctor) | whole()
    assert (await doctor.get("/doctors/me/availability")).json() == []


async def test_usual_hours_apply_before_and_after_temporary_hours(client: httpx2.AsyncClient, doctor: Person) -> None:
    usual, holidays = [["09:00", "17:00"]], [["10:00", "12:00"]]
    await doctor.set_hours(**daily(*usual))
    # From Tuesday to Monday.
    response = await doctor.set_hours(monday=holidays, friday=holidays, valid_from="2026-12-22", valid_to="2027-01-04")
    assert (response["valid_from"], response["valid_to"]) == ("2026-12-22", "2027-01-04")
    for day, expected in (
        ("2026-12-21", ["09:00-17:00"]),
        ("2026-12-22", []),
        ("2026-12-25", ["10:00-12:00"]),
        ("2026-12-28", ["10:00-12:00"]),
        ("2027-01-04", ["10:00-12:00"]),
        ("2027-01-05", ["09:00-17:00"]),
        ("2027-06-07", ["09:00-17:00"]),
    ):
        assert await open_on(client, doctor, day) == expected, day
    # Four days before the holidays, the usual hours are shown, and not what the next seven days make of both.
    await_holidays = await hours(doctor, "2026-12-18")
    assert await_holidays == await hours(doctor) | {"valid_from": "2026-12-18"}
    assert (await_holidays["valid_to"], await_holidays["friday"]) == ("2026-12-21", usual)
    assert [(each["valid_from"], each["valid_to"], each["monday"]) for each in await_holidays["later"]] == [
        ("2026-12-22", "2027-01-04", holidays),
        ("2027-01-05", None, usual),
    ]
    assert await hours(doctor, "2026-12-22") == drop_affected(response)
    # A third plan inside of the second one.
    await doctor.set_hours(friday=[["20:00", "21:00"]], valid_from="2026-12-25", valid_to="2026-12-25")
    for day, expected in (("2026-12-25", ["20:00-21:00"]), ("2026-12-28", ["10:00-12:00"]), ("2026-12-22", [])):
        assert await open_on(client, doctor, day) == expected, day
    # And one that ends it all.
    await doctor.set_hours(monday=[["12:00", "13:00"]], replace_later=True)
    for day, expected in (("2026-12-21", ["12:00-13:00"]), ("2026-12-25", []), ("2027-01-04", ["12:00-13:00"])):
        assert await open_on(client, doctor, day) == expected, day
    assert len((await doctor.get("/doctors/me/availability")).json()) == 1


JULY = {"valid_from": "2027-07-01", "valid_to": "2027-08-31"}


def dates(response: dict[str, Any]) -> list[tuple[str, str | None, list[list[str]]]]:
    """When each plan holds, and what it has on Mondays."""
    return [(each["valid_from"], each["valid_to"], each["monday"]) for each in (response, *response["later"])]


async def test_new_hours_keep_planned_hours(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.set_hours(monday=[["08:00", "10:00"]], **JULY)
    await doctor.set_hours(monday=[["14:00", "16:00"]], valid_from="2028-01-01")
    expected = [
        ("2026-12-01", "2027-06-30", [["09:00", "13:00"]]),
        ("2027-07-01", "2027-08-31", [["08:00", "10:00"]]),
        # After the summer the hours were to be as before: so they are the new ones.
        ("2027-09-01", "2027-12-31", [["09:00", "13:00"]]),
        ("2028-01-01", None, [["14:00", "16:00"]]),
    ]
    assert dates(await doctor.set_hours(monday=[["09:00", "13:00"]])) == expected == dates(await hours(doctor))
    for day, opened in (
        ("2027-06-28", ["09:00-13:00"]),
        ("2027-07-05", ["08:00-10:00"]),
        ("2027-09-06", ["09:00-13:00"]),
        ("2028-01-03", ["14:00-16:00"]),
    ):
        assert await open_on(client, doctor, day) == opened, day
    # A plan for later is changed by its first day, and no other with it.
    changed = await doctor.set_hours(monday=[["07:00", "10:00"]], valid_from="2027-07-01")
    assert dates(changed) == [(*JULY.values(), [["07:00", "10:00"]]), *expected[2:]]
    assert dates(await hours(doctor))[0] == expected[0]
    # From the middle of it on, its beginning stays.
    await doctor.set_hours(monday=[["06:00", "10:00"]], valid_from="2027-08-01")
    assert [first for first, _, _ in dates(await hours(doctor))] == [
        "2026-12-01", "2027-07-01", "2027-08-01", "2027-09-01", "2028-01-01",
    ]  # fmt: skip
    assert dates(await doctor.set_hours(replace_later=True)) == [("2026-12-01", None, [])]
    assert (await doctor.get("/doctors/me/availability")).json() == []


async def test_unchanged_hours_sent_back_change_nothing(doctor: Person) -> None:
    await doctor.set_hours(**WEEK)
    await doctor.set_hours(monday=[["08:00", "10:00"]], valid_from="2026-12-04", valid_to="2026-12-18")
    await doctor.set_hours(friday=[["08:00", "10:00"]], **JULY)
    before, kept = await hours(doctor), (await doctor.get("/doctors/me/availability")).json()
    week = {weekday: before[weekday] for weekday in WEEKDAYS}
    for sent in ({}, {"valid_to": before["valid_to"]}, {"valid_from": before["valid_from"]}):
        assert (await doctor.set_hours(**week, **sent))["later"] == before["later"]
        assert (await doctor.get("/doctors/me/availability")).json() == kept
    for plan in before["later"]:
        assert dates(await doctor.set_hours(**plan))[0] == dates(plan | {"later": []})[0]
        assert (await doctor.get("/doctors/me/availability")).json() == kept


async def test_planned_hours_are_cancelled(client: httpx2.AsyncClient, doctor: Person, patient: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.set_hours(monday=[["14:00", "16:00"]], **JULY)
    visit = await patient.book(doctor, "2027-07-05T14:00:00-04:00")
    for day in ("2026-12-01", "2027-06-30", "2027-07-02", "2030-01-01"):
        assert_problem(await doctor.delete(f"/doctors/me/hours/{day}"), 404, "not_found")
    assert_problem(await doctor.delete("/doctors/me/hours/soon"), 422, "invalid_request")
    cancelled = await doctor.delete("/doctors/me/hours/2027-07-01")
    assert (cancelled.status_code, cancelled.content) == (204, b"")
    assert (await doctor.get(cancelled.links["related"]["url"])).json() == [visit]
    assert dates(await hours(doctor)) == [("2026-12-01", None, [["09:00", "12:00"]])]
    assert await open_on(client, doctor, "2027-07-12") == ["09:00-12:00"]
    assert_problem(await doctor.delete("/doctors/me/hours/2027-07-01"), 404, "not_found")


async def test_closed_weeks_can_be_planned(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]], tuesday=[["09:00", "12:00"]])
    await doctor.set_hours(**JULY)
    later = [("2027-07-01", "2027-08-31", []), ("2027-09-01", None, [["09:00", "13:00"]])]
    # 1 September is a Wednesday, on which the practice was closed until now.
    changed = await doctor.set_hours(monday=[["09:00", "13:00"]], wednesday=[["09:00", "13:00"]])
    assert dates(changed)[1:] == later
    assert await open_on(client, doctor, "2027-09-01") == ["09:00-13:00"]
    assert await open_on(client, doctor, "2027-08-30") == []
    assert (await doctor.delete("/doctors/me/hours/2027-07-01")).status_code == 204
    assert await open_on(client, doctor, "2027-08-30") == ["09:00-13:00"]
    # After its last day a plan that nothing follows is over; without one, it goes on.
    await doctor.set_hours(monday=[["09:00", "13:00"]], replace_later=True)
    await doctor.set_hours(valid_from="2027-10-01")
    assert dates(await hours(doctor)) == [("2026-12-01", "2027-09-30", [["09:00", "13:00"]])]
    assert dates(await doctor.set_hours(monday=[["09:00", "14:00"]])) == [("2026-12-01", None, [["09:00", "14:00"]])]


async def test_equal_adjacent_hours_are_merged(doctor: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    again = await doctor.set_hours(monday=[["09:00", "12:00"]], valid_from="2027-01-01", valid_to="2027-03-31")
    assert dates(again) == [("2027-01-01", None, [["09:00", "12:00"]])]


async def test_planned_hours_do_not_change_the_current_ones(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]], valid_to="2026-12-14")
    await doctor.set_hours(monday=[["13:00", "15:00"]], valid_from="2026-12-28")
    for day, expected in (
        ("2026-12-07", ["09:00-12:00"]),
        ("2026-12-14", ["09:00-12:00"]),
        ("2026-12-21", []),
        ("2026-12-28", ["13:00-15:00"]),
        ("2027-03-08", ["13:00-15:00"]),
    ):
        assert await open_on(client, doctor, day) == expected, day


async def test_night_window_belongs_to_the_day_on_which_it_starts(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(monday=[["22:00", "06:00"]])
    await doctor.set_hours(
        tuesday=[["05:00", "07:00"], ["20:00", "02:00"]], valid_from="2026-12-15", valid_to="2026-12-15"
    )
    assert await open_on(client, doctor, "2026-12-14") == ["22:00-00:00"]
    await doctor.publish("2026-12-16T02:00:00-05:00", "2026-12-16T03:00:00-05:00")
    assert await get_windows(client, doctor, **{"from": "2026-12-15T00:00:00Z", "to": "2026-12-17T00:00:00Z"}) == [
        ("2026-12-15T03:00:00Z", "2026-12-15T12:00:00Z"),
        ("2026-12-16T01:00:00Z", "2026-12-16T08:00:00Z"),
    ]


async def test_first_valid_day_is_today_in_the_doctors_zone(doctor: Person, clock: SetClock) -> None:
    clock.time = datetime(2026, 12, 2, 4, 59, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    assert (await doctor.set_hours(**WEEK))["valid_from"] == "2026-12-01"
    assert (await hours(doctor))["valid_from"] == "2026-12-01"
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
    assert await hours(doctor) == {name: before[name] for name in await hours(doctor)}


async def test_adjacent_windows_are_merged(client: httpx2.AsyncClient, doctor: Person) -> None:
    round_the_clock = [["00:00", "06:00"], ["06:00", "22:00"], ["22:00", "24:00"]]
    await doctor.set_hours(**daily(*round_the_clock))
    assert await get_windows(client, doctor) == [("2026-12-01T08:00:00Z", "2026-12-15T08:00:00Z")]
    await doctor.set_hours(sunday=[["18:00", "06:00"]], monday=[["06:00", "18:00"]])
    asked = {"from": "2026-12-05T00:00:00Z", "to": "2026-12-09T00:00:00Z"}
    assert await get_windows(client, doctor, **asked) == [("2026-12-06T23:00:00Z", "2026-12-07T23:00:00Z")]


async def test_separate_availability_stays_when_weekly_hours_change(client: httpx2.AsyncClient, doctor: Person) -> None:
    # One crosses the plan, one does not.
    crossing = await doctor.publish("2026-12-07T11:00:00-05:00", "2026-12-07T14:00:00-05:00")
    apart = await doctor.publish("2026-12-12T09:00:00-05:00", "2026-12-12T10:00:00-05:00", "FREQ=WEEKLY;INTERVAL=2")
    await doctor.set_hours(monday=[["09:00", "12:15"]])
    assert await open_on(client, doctor, "2026-12-07") == ["09:00-14:00"]
    # The grid of each begins where it opens.
    found = await get_slots(client, doctor, "2026-12-07T16:30:00Z", "2026-12-07T18:00:00Z")
    assert [start[11:16] for start, _, _ in found] == ["16:30", "17:00", "17:30"]
    await doctor.set_hours()
    assert (await doctor.get("/doctors/me/availability")).json() == [crossing, apart]
    assert await open_on(client, doctor, "2026-12-07") == ["11:00-14:00"]
    assert await open_on(client, doctor, "2026-12-12") == ["09:00-10:00"]


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
    assert await hours(doctor) == {name: before[name] for name in await hours(doctor)}


async def test_hours_apply_until_the_last_supported_day(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(**WEEK, valid_from="2999-12-31", valid_to="2999-12-31")
    assert (await hours(doctor, "2999-12-30"))["monday"] == []
    assert (await hours(doctor, "1900-01-01"))["valid_from"] == "1900-01-01"
    assert (await hours(doctor))["valid_to"] == "2999-12-30"
    await doctor.set_hours(**daily(["09:00", "10:00"]), valid_from="2999-12-31")
    asked = {"from": "2999-12-31T00:00:00Z"}
    assert (await get_windows(client, doctor, **asked))[0] == ("2999-12-31T14:00:00Z", "2999-12-31T15:00:00Z")
    for query in ("from=2026-12-08T00:00:00Z", "from=9999-12-31", "from=tomorrow", "first=2026-12-08", "from="):
        assert_problem(await doctor.get(f"/doctors/me/hours?{query}"), 422, "invalid_request")


async def test_day_has_up_to_twelve_windows(client: httpx2.AsyncClient, doctor: Person) -> None:
    windows = [[f"{hour:02}:00", f"{hour:02}:30"] for hour in range(12)]
    await doctor.set_hours(**daily(*windows))
    assert (await hours(doctor))["sunday"] == windows
    assert len(await get_windows(client, doctor, to="2026-12-08T08:00:00Z")) == 7 * 12


async def test_number_of_availabilities_is_bounded(
    client: httpx2.AsyncClient, doctor: Person, database: Database, clock: SetClock
) -> None:
    single = Availability(datetime(2027, 1, 9, 9), datetime(2027, 1, 9, 10))  # noqa: DTZ001 - wall times
    over = Availability(datetime(2026, 1, 9, 9), datetime(2026, 1, 9, 10))  # noqa: DTZ001
    async with database.write() as transaction:
        await insert_availabilities(transaction, UUID(doctor.id), [single] * 999 + [over] * 10, clock())
    await doctor.set_hours(monday=[["09:00", "10:00"]])
    window = {"start_time": "2026-12-08T14:00:00Z", "end_time": "2026-12-08T15:00:00Z"}
    assert_problem(await doctor.post("/doctors/availability", window), 409, "too_many")
    more = {"monday": [["12:00", "13:00"]], "tuesday": [["09:00", "10:00"]]}
    assert_problem(await doctor.put("/doctors/me/hours", more), 409, "too_many")
    assert await open_on(client, doctor, "2026-12-07") == ["09:00-10:00"]
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
