"""Weekly hours that apply later or for a few weeks."""

from typing import Any

import httpx2

from tests.api.wall_clock import WEEKDAYS, daily
from tests.api.weekly_hours import WEEK, get_hours, get_local_windows
from tests.people import Person, assert_problem


def drop_affected(response: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if not name.startswith("affected")}


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
        assert await get_local_windows(client, doctor, day) == expected, day
    # Four days before the holidays, the usual hours are returned, not a mixture of both weeks.
    before_holidays = await get_hours(doctor, "2026-12-18")
    assert before_holidays == await get_hours(doctor) | {"valid_from": "2026-12-18"}
    assert (before_holidays["valid_to"], before_holidays["friday"]) == ("2026-12-21", usual)
    assert [(each["valid_from"], each["valid_to"], each["monday"]) for each in before_holidays["later"]] == [
        ("2026-12-22", "2027-01-04", holidays),
        ("2027-01-05", None, usual),
    ]
    assert await get_hours(doctor, "2026-12-22") == drop_affected(response)
    # Other hours on one day within the holidays.
    await doctor.set_hours(friday=[["20:00", "21:00"]], valid_from="2026-12-25", valid_to="2026-12-25")
    for day, expected in (("2026-12-25", ["20:00-21:00"]), ("2026-12-28", ["10:00-12:00"]), ("2026-12-22", [])):
        assert await get_local_windows(client, doctor, day) == expected, day
    # Hours that replace all planned ones.
    await doctor.set_hours(monday=[["12:00", "13:00"]], replace_later=True)
    for day, expected in (("2026-12-21", ["12:00-13:00"]), ("2026-12-25", []), ("2027-01-04", ["12:00-13:00"])):
        assert await get_local_windows(client, doctor, day) == expected, day
    assert len((await doctor.get("/doctors/me/availability")).json()) == 1


JULY_AND_AUGUST = {"valid_from": "2027-07-01", "valid_to": "2027-08-31"}


def list_spans(response: dict[str, Any]) -> list[tuple[str, str | None, list[list[str]]]]:
    """The first day, the last day and the Monday of the current and of all planned hours."""
    return [(each["valid_from"], each["valid_to"], each["monday"]) for each in (response, *response["later"])]


async def test_new_hours_keep_planned_hours(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.set_hours(monday=[["08:00", "10:00"]], **JULY_AND_AUGUST)
    await doctor.set_hours(monday=[["14:00", "16:00"]], valid_from="2028-01-01")
    expected = [
        ("2026-12-01", "2027-06-30", [["09:00", "13:00"]]),
        ("2027-07-01", "2027-08-31", [["08:00", "10:00"]]),
        # After the summer the usual hours return, which are now the new ones.
        ("2027-09-01", "2027-12-31", [["09:00", "13:00"]]),
        ("2028-01-01", None, [["14:00", "16:00"]]),
    ]
    assert (
        list_spans(await doctor.set_hours(monday=[["09:00", "13:00"]]))
        == expected
        == list_spans(await get_hours(doctor))
    )
    for day, windows in (
        ("2027-06-28", ["09:00-13:00"]),
        ("2027-07-05", ["08:00-10:00"]),
        ("2027-09-06", ["09:00-13:00"]),
        ("2028-01-03", ["14:00-16:00"]),
    ):
        assert await get_local_windows(client, doctor, day) == windows, day
    # Planned hours are changed alone if their first day is sent.
    changed = await doctor.set_hours(monday=[["07:00", "10:00"]], valid_from="2027-07-01")
    assert list_spans(changed) == [(*JULY_AND_AUGUST.values(), [["07:00", "10:00"]]), *expected[2:]]
    assert list_spans(await get_hours(doctor))[0] == expected[0]
    # A first day within planned hours splits them.
    await doctor.set_hours(monday=[["06:00", "10:00"]], valid_from="2027-08-01")
    assert [first for first, _, _ in list_spans(await get_hours(doctor))] == [
        "2026-12-01", "2027-07-01", "2027-08-01", "2027-09-01", "2028-01-01",
    ]  # fmt: skip
    assert list_spans(await doctor.set_hours(replace_later=True)) == [("2026-12-01", None, [])]
    assert (await doctor.get("/doctors/me/availability")).json() == []


async def test_unchanged_hours_sent_back_change_nothing(doctor: Person) -> None:
    await doctor.set_hours(**WEEK)
    await doctor.set_hours(monday=[["08:00", "10:00"]], valid_from="2026-12-04", valid_to="2026-12-18")
    await doctor.set_hours(friday=[["08:00", "10:00"]], **JULY_AND_AUGUST)
    before, availabilities = await get_hours(doctor), (await doctor.get("/doctors/me/availability")).json()
    week = {weekday: before[weekday] for weekday in WEEKDAYS}
    for sent in ({}, {"valid_to": before["valid_to"]}, {"valid_from": before["valid_from"]}):
        assert (await doctor.set_hours(**week, **sent))["later"] == before["later"]
        assert (await doctor.get("/doctors/me/availability")).json() == availabilities
    for planned in before["later"]:
        assert list_spans(await doctor.set_hours(**planned))[0] == list_spans(planned | {"later": []})[0]
        assert (await doctor.get("/doctors/me/availability")).json() == availabilities


async def test_planned_hours_are_cancelled(client: httpx2.AsyncClient, doctor: Person, patient: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.set_hours(monday=[["14:00", "16:00"]], **JULY_AND_AUGUST)
    visit = await patient.book(doctor, "2027-07-05T14:00:00-04:00")
    for day in ("2026-12-01", "2027-06-30", "2027-07-02", "2030-01-01"):
        assert_problem(await doctor.delete(f"/doctors/me/hours/{day}"), 404, "not_found")
    assert_problem(await doctor.delete("/doctors/me/hours/soon"), 422, "invalid_request")
    cancelled = await doctor.delete("/doctors/me/hours/2027-07-01")
    assert (cancelled.status_code, cancelled.content) == (204, b"")
    assert (await doctor.get(cancelled.links["related"]["url"])).json() == [visit]
    assert list_spans(await get_hours(doctor)) == [("2026-12-01", None, [["09:00", "12:00"]])]
    assert await get_local_windows(client, doctor, "2027-07-12") == ["09:00-12:00"]
    assert_problem(await doctor.delete("/doctors/me/hours/2027-07-01"), 404, "not_found")


async def test_closed_weeks_can_be_planned(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]], tuesday=[["09:00", "12:00"]])
    await doctor.set_hours(**JULY_AND_AUGUST)
    later = [("2027-07-01", "2027-08-31", []), ("2027-09-01", None, [["09:00", "13:00"]])]
    # 1 September is a Wednesday, on which the practice was closed until now.
    changed = await doctor.set_hours(monday=[["09:00", "13:00"]], wednesday=[["09:00", "13:00"]])
    assert list_spans(changed)[1:] == later
    assert await get_local_windows(client, doctor, "2027-09-01") == ["09:00-13:00"]
    assert await get_local_windows(client, doctor, "2027-08-30") == []
    assert (await doctor.delete("/doctors/me/hours/2027-07-01")).status_code == 204
    assert await get_local_windows(client, doctor, "2027-08-30") == ["09:00-13:00"]
    # Hours without a last day continue after closed weeks are replaced.
    await doctor.set_hours(monday=[["09:00", "13:00"]], replace_later=True)
    await doctor.set_hours(valid_from="2027-10-01")
    assert list_spans(await get_hours(doctor)) == [("2026-12-01", "2027-09-30", [["09:00", "13:00"]])]
    assert list_spans(await doctor.set_hours(monday=[["09:00", "14:00"]])) == [
        ("2026-12-01", None, [["09:00", "14:00"]])
    ]


async def test_equal_adjacent_hours_are_merged(doctor: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "12:00"]])
    again = await doctor.set_hours(monday=[["09:00", "12:00"]], valid_from="2027-01-01", valid_to="2027-03-31")
    assert list_spans(again) == [("2027-01-01", None, [["09:00", "12:00"]])]


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
        assert await get_local_windows(client, doctor, day) == expected, day
