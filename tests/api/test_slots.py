import random
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from app.core.errors import ERRORS
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_reasons, get_slots, get_windows, next_page

NINE, FIVE = "2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z"
UNKNOWN = "019abcde-f012-7345-8678-9abcdef01234"
MAX_READS_PER_YEAR = 6
"""A year of the calendar is read in as many parts."""


def starts_of(found: list[tuple[str, str, str]]) -> list[str]:
    """When slots start, as ``HH:MM`` in UTC."""
    return [start[11:16] for start, _, _ in found]


async def get_next_slot(
    caller: httpx2.AsyncClient | Person, doctor: Person, **query: str
) -> tuple[str | None, str, str | None]:
    """Return the start of the next slot, the end of the search, and the reason if there is none."""
    response = await caller.get(f"/doctors/{doctor.id}/next-slot", params=query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    assert (found["slot"] is None) is (found["reason"] is not None)
    slot, reason = found["slot"] or {}, found["reason"] or {}
    return slot.get("start_time"), found["searched_until"], reason.get("code")


async def test_slots_of_the_default_length_follow_each_other(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.publish(NINE, "2026-12-08T15:45:00Z")
    assert await get_slots(client, doctor, "2026-12-08T00:00:00Z", "2026-12-09T00:00:00Z") == [
        (NINE, "2026-12-08T14:30:00Z", "2026-12-08T09:00:00-05:00"),
        ("2026-12-08T14:30:00Z", "2026-12-08T15:00:00Z", "2026-12-08T09:30:00-05:00"),
        ("2026-12-08T15:00:00Z", "2026-12-08T15:30:00Z", "2026-12-08T10:00:00-05:00"),
    ]
    # Without visit types, appointments may start off the grid.
    assert await get_reasons(client, doctor, "2026-12-08T14:10:00Z") == []
    await patient.book(doctor, "2026-12-08T14:10:00Z", "2026-12-08T14:31:00Z")
    assert starts_of(await get_slots(client, doctor, NINE, FIVE)) == ["15:00"]
    await doctor.update_profile(default_visit_minutes=10)
    assert starts_of(await get_slots(client, doctor, NINE, FIVE)) == [
        "14:00",
        "14:40",
        "14:50",
        "15:00",
        "15:10",
        "15:20",
        "15:30",
    ]


async def test_last_slot_ends_when_the_window_closes(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.publish(NINE, FIVE)
    default_step = await doctor.add_visit_type(duration_minutes=35)
    short_step = await doctor.add_visit_type(duration_minutes=35, slot_step_minutes=5)
    assert (await get_slots(client, doctor, NINE, FIVE, default_step["id"]))[-1][2][11:16] == "16:00"
    assert (await get_slots(client, doctor, NINE, FIVE, short_step["id"]))[-1][2][11:16] == "16:25"
    for start in ("2026-12-08T16:30:00-05:00", "2026-12-08T16:35:00-05:00"):
        assert await get_reasons(client, doctor, start, short_step["id"]) == ["outside_availability"]
        response = await patient.try_to_book(doctor, start, visit_type_id=short_step["id"])
        assert_problem(response, 409, "outside_availability")
    await patient.book(doctor, "2026-12-08T16:25:00-05:00", visit_type_id=short_step["id"])


async def test_running_appointment_still_blocks_its_time(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    await doctor.publish("2026-12-01T08:00:00Z", "2026-12-01T12:00:00Z")
    await patient.book(doctor, "2026-12-01T08:30:00Z", "2026-12-01T10:00:00Z")
    clock.time = datetime(2026, 12, 1, 8, 50, tzinfo=UTC)
    assert starts_of(await get_slots(client, doctor, "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z")) == [
        "10:00", "10:30", "11:00", "11:30",
    ]  # fmt: skip
    assert await get_windows(client, doctor) == [("2026-12-01T10:00:00Z", "2026-12-01T12:00:00Z")]
    assert_problem(await (await register()).try_to_book(doctor, "2026-12-01T09:30:00Z"), 409, "slot_taken")


async def test_slot_can_start_now_but_not_in_the_past(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.publish("2026-12-01T08:00:00Z", "2026-12-01T09:00:00Z")
    assert starts_of(await get_slots(client, doctor, "2026-12-01T00:00:00Z", FIVE)) == ["08:00", "08:30"]
    clock.advance(microseconds=1)
    assert starts_of(await get_slots(client, doctor, "2026-12-01T00:00:00Z", FIVE)) == ["08:30"]
    assert await get_reasons(client, doctor, "2026-12-01T08:00:00Z") == ["in_the_past"]
    assert_problem(await patient.try_to_book(doctor, "2026-12-01T08:00:00Z"), 409, "in_the_past")
    clock.advance(microseconds=-1)
    await patient.book(doctor, "2026-12-01T08:00:00Z")


async def test_long_appointment_blocks_every_slot_that_it_overlaps(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register
) -> None:
    await doctor.publish(NINE, "2026-12-08T17:00:00Z")
    long = await doctor.add_visit_type(duration_minutes=60, slot_step_minutes=15)
    short = await doctor.add_visit_type(duration_minutes=15)
    await patient.book(doctor, "2026-12-08T15:15:00Z", visit_type_id=long["id"])
    assert starts_of(await get_slots(client, doctor, NINE, FIVE, short["id"])) == [
        "14:00", "14:15", "14:30", "14:45", "15:00", "16:15", "16:30", "16:45",
    ]  # fmt: skip
    assert starts_of(await get_slots(client, doctor, NINE, FIVE, long["id"])) == ["14:00", "14:15"]
    other = await register()
    for start in ("15:15", "15:30", "15:45", "16:00"):
        start_time = f"2026-12-08T{start}:00Z"
        assert_problem(await other.try_to_book(doctor, start_time, visit_type_id=short["id"]), 409, "slot_taken")
    await other.book(doctor, "2026-12-08T14:30:00Z", visit_type_id=short["id"])
    # The grid is that of the window: an hour with an appointment inside is not offered for a long one.
    assert starts_of(await get_slots(client, doctor, NINE, FIVE, long["id"])) == []


async def test_every_time_is_listed_or_refused_with_the_explained_reason(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register
) -> None:
    generator, other = random.Random(3), await register()
    # Where both are open, the grids of both apply.
    await doctor.publish("2026-12-08T11:35:00-05:00", "2026-12-08T13:00:00-05:00")
    await doctor.set_hours(tuesday=[["09:00", "10:30"], ["10:40", "12:00"]])
    await doctor.take_time_off("2026-12-08T11:05:00-05:00", "2026-12-08T11:15:00-05:00")
    visit_types = [
        await doctor.add_visit_type(
            duration_minutes=15, buffer_before_minutes=5, buffer_after_minutes=10, slot_step_minutes=10
        ),
        await doctor.add_visit_type(duration_minutes=20, buffer_after_minutes=5),
    ]
    day = "2026-12-08T13:30:00Z", "2026-12-08T18:30:00Z"
    begin = datetime.fromisoformat(day[0])
    codes: set[str] = set()
    while True:
        listed = [
            (slot[0], visit_type["id"])
            for visit_type in visit_types
            for slot in await get_slots(client, doctor, *day, visit_type["id"])
        ]
        if not listed:
            break
        for visit_type in visit_types:
            for step in generator.sample(range(60), 5):
                start = f"{begin + timedelta(minutes=5 * step):%FT%TZ}"
                reasons = await get_reasons(client, doctor, start, visit_type["id"])
                assert (not reasons) is ((start, visit_type["id"]) in listed), (start, visit_type)
                if reasons:
                    assert_problem(
                        await other.try_to_book(doctor, start, visit_type_id=visit_type["id"]), 409, reasons[0]
                    )
                    codes |= set(reasons)
        start, visit_type_id = generator.choice(listed)
        await patient.book(doctor, start, visit_type_id=visit_type_id)
    assert codes == {"slot_taken", "outside_availability", "time_off", "off_grid"}


async def test_next_slot_is_the_first_free_one(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, statements: list[str]
) -> None:
    await doctor.set_hours(monday=[["09:00", "10:00"]], thursday=[["09:00", "10:00"]])
    response = await client.get(f"/doctors/{doctor.id}/next-slot")
    assert response.json() == {
        "slot": {
            "start_time": "2026-12-03T14:00:00Z",
            "end_time": "2026-12-03T14:30:00Z",
            "local_start": "2026-12-03T09:00:00-05:00",
        },
        "searched_until": "2027-12-02T08:00:00Z",
        "reason": None,
    }
    await patient.book(doctor, "2026-12-03T14:00:00Z")
    assert (await get_next_slot(client, doctor))[0] == "2026-12-03T14:30:00Z"
    assert (await get_next_slot(client, doctor, **{"from": "2020-01-01T00:00:00Z"}))[0] == "2026-12-03T14:30:00Z"
    assert (await get_next_slot(client, doctor, **{"from": "2026-12-03T14:30:00Z"}))[0] == "2026-12-03T14:30:00Z"
    later = {"from": "2026-12-03T14:30:00.000001Z"}
    assert await get_next_slot(client, doctor, **later) == ("2026-12-07T14:00:00Z", "2027-12-04T14:30:00.000001Z", None)
    await doctor.take_time_off("2026-12-02T00:00:00Z", "2027-11-29T14:00:00Z")
    del statements[:]
    assert (await get_next_slot(client, doctor))[0] == "2027-11-29T14:00:00Z"
    assert len([statement for statement in statements if statement.startswith("SELECT")]) <= 1 + MAX_READS_PER_YEAR


async def test_missing_next_slot_is_explained(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, statements: list[str]
) -> None:
    # Without any window.
    assert await get_next_slot(client, doctor) == (None, "2027-12-02T08:00:00Z", "outside_availability")
    # Open after more than a year.
    published = await doctor.publish("2027-12-02T08:00:00Z", "2027-12-02T09:00:00Z")
    assert await get_next_slot(client, doctor) == (None, "2027-12-02T08:00:00Z", "outside_availability")
    await doctor.delete(f"/doctors/availability/{published['id']}")
    # Open in the last half hour of that year, until it is booked.
    await doctor.publish("2027-12-02T07:30:00Z", "2027-12-02T09:00:00Z")
    assert (await get_next_slot(client, doctor))[0] == "2027-12-02T07:30:00Z"
    await patient.book(doctor, "2027-12-02T07:30:00Z")
    assert await get_next_slot(client, doctor) == (None, "2027-12-02T08:00:00Z", "slot_taken")
    # Always open, and always off: the number of statements does not grow with the number of slots.
    await doctor.set_hours(
        **{day: [["00:00", "24:00"]] for day in ("monday", "tuesday", "thursday", "saturday", "sunday")}
    )
    await doctor.update_profile(default_visit_minutes=5, daily_limit=500)
    await doctor.take_time_off("2026-12-01T08:00:00Z", "2027-12-02T08:00:00Z")
    await doctor.take_time_off("2027-12-02T08:00:00Z", "2028-11-30T08:00:00Z")
    del statements[:]
    assert await get_next_slot(client, doctor) == (None, "2027-12-02T08:00:00Z", "time_off")
    assert len([statement for statement in statements if statement.startswith("SELECT")]) <= 1 + MAX_READS_PER_YEAR
    assert (await get_next_slot(client, doctor, **{"from": "2999-12-31T23:59:59Z"}))[0] == "3000-01-01T00:00:00Z"


async def test_next_slot_respects_the_limits(client: httpx2.AsyncClient, doctor: Person, patient: Person) -> None:
    await doctor.set_hours(monday=[["09:00", "10:00"]])
    await doctor.update_profile(min_notice_minutes=7 * 24 * 60, max_advance_days=20)
    assert (await get_next_slot(client, doctor))[0] == "2026-12-14T14:00:00Z"
    await doctor.update_profile(daily_limit=1)
    await patient.book(doctor, "2026-12-14T14:00:00Z")
    assert (await get_next_slot(client, doctor))[0] == "2026-12-21T14:00:00Z"
    await patient.book(doctor, "2026-12-21T14:30:00Z")
    assert (await get_next_slot(client, doctor))[::2] == (None, "day_full")
    await doctor.update_profile(max_advance_days=3)
    assert (await get_next_slot(client, doctor))[::2] == (None, "too_far_ahead")


async def test_slots_are_paged(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish("2026-12-01T09:00:00.000007Z", "2026-12-08T09:00:00Z")
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-15T09:00:00Z")
    await doctor.update_profile(default_visit_minutes=5)
    path: str | None = f"/doctors/{doctor.id}/slots?to=2026-12-20T00:00:00Z"
    sizes, starts = [], []
    while path:
        response = await client.get(path)
        sizes.append(len(response.json()))
        starts += [slot["start_time"] for slot in response.json()]
        path = next_page(response)
    assert sizes == [2000, 2000, 32]
    assert starts == sorted(set(starts))
    assert (await client.get(f"/doctors/{doctor.id}/slots?to=2026-12-03T00:00:00Z")).links == {}


async def test_explanation_lists_every_reason(client: httpx2.AsyncClient, doctor: Person, patient: Person) -> None:
    await doctor.set_hours(tuesday=[["03:00", "12:00"]])
    visit_type = await doctor.add_visit_type(duration_minutes=30, slot_step_minutes=30)
    for start in ("2026-12-08T14:00:00Z", "2026-12-01T09:00:00Z"):
        await patient.book(doctor, start, visit_type_id=visit_type["id"])
    await doctor.take_time_off("2026-12-01T08:30:00Z", "2026-12-01T10:30:00Z")
    await doctor.update_profile(min_notice_minutes=60, max_advance_days=6, daily_limit=1)
    response = await client.get(
        f"/doctors/{doctor.id}/explain", params={"start_time": NINE, "visit_type_id": visit_type["id"]}
    )
    assert response.json() == {
        "start_time": NINE,
        "end_time": "2026-12-08T14:30:00Z",
        "local_start": "2026-12-08T09:00:00-05:00",
        "bookable": False,
        "reasons": [{"code": code, "detail": ERRORS[code][1]} for code in ("too_far_ahead", "day_full", "slot_taken")],
    }
    for start, reasons in (
        ("2026-12-01T08:00:00Z", ["too_soon", "day_full"]),
        ("2026-12-01T07:45:00Z", ["in_the_past", "too_soon", "outside_availability", "day_full"]),
        ("2026-12-01T07:30:00Z", ["in_the_past", "outside_availability", "day_full"]),
        ("2026-12-01T08:30:00Z", ["too_soon", "time_off", "day_full"]),
        ("2026-12-01T08:45:00Z", ["too_soon", "time_off", "off_grid", "day_full", "slot_taken"]),
        ("2026-12-01T09:00:00Z", ["time_off", "day_full", "slot_taken"]),
        ("2026-12-01T11:10:00Z", ["off_grid", "day_full"]),
        ("2026-12-02T14:00:00Z", ["outside_availability"]),
        ("2026-12-08T13:45:00Z", ["too_far_ahead", "off_grid", "day_full", "slot_taken"]),
        ("2026-12-15T14:00:00Z", ["too_far_ahead"]),
        ("1900-01-01T00:00:00Z", ["in_the_past", "outside_availability"]),
        ("2999-12-31T23:59:59Z", ["too_far_ahead", "outside_availability"]),
    ):
        assert await get_reasons(client, doctor, start, visit_type["id"]) == reasons, start
        refused = await patient.try_to_book(doctor, start, visit_type_id=visit_type["id"])
        assert_problem(refused, 409, reasons[0])


async def test_held_slot_is_listed_for_its_holder_only(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    await doctor.publish(NINE, "2026-12-08T15:00:00Z")
    held = await patient.post("/holds", {"doctor_id": doctor.id, "start_time": NINE})
    assert held.status_code == 201, held.text
    other = await register()
    for caller, expected in (
        (patient, ["14:00", "14:30"]),
        (other, ["14:30"]),
        (doctor, ["14:30"]),
        (client, ["14:30"]),
    ):
        assert starts_of(await get_slots(caller, doctor, NINE, FIVE)) == expected
        assert await get_reasons(caller, doctor, NINE) == ([] if len(expected) == 2 else ["slot_taken"])
        assert (await get_next_slot(caller, doctor))[0] == f"2026-12-08T{expected[0]}:00Z"
        windows = (await caller.get(f"/doctors/{doctor.id}/availability")).json()
        assert windows == [{"start_time": f"2026-12-08T{expected[0]}:00Z", "end_time": "2026-12-08T15:00:00Z"}]
    assert_problem(await other.try_to_book(doctor, NINE), 409, "slot_taken")
    clock.advance(minutes=4, seconds=59, microseconds=999_999)
    assert starts_of(await get_slots(other, doctor, NINE, FIVE)) == ["14:30"]
    clock.advance(microseconds=1)
    assert starts_of(await get_slots(other, doctor, NINE, FIVE)) == ["14:00", "14:30"]
    assert await get_reasons(client, doctor, NINE) == []
    await other.book(doctor, NINE)
    assert_problem(await patient.try_to_book(doctor, NINE, hold_id=held.json()["id"]), 409, "slot_taken")


async def test_span_of_slots_is_bounded(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.set_hours(**{day: [["00:00", "24:00"]] for day in ("monday", "tuesday", "wednesday", "thursday")})
    await doctor.update_profile(default_visit_minutes=60)
    # The start of the span is inclusive, its end exclusive.
    assert starts_of(await get_slots(client, doctor, NINE, "2026-12-08T17:00:00Z")) == ["14:00", "15:00", "16:00"]
    assert starts_of(await get_slots(client, doctor, "2026-12-08T14:00:00.000001Z", "2026-12-08T16:00:00.000001Z")) == [
        "15:00", "16:00",
    ]  # fmt: skip
    assert await get_slots(client, doctor, "2026-12-08T14:10:00Z", "2026-12-08T14:50:00Z") == []
    path = f"/doctors/{doctor.id}/slots"
    usual = (await client.get(path)).json()
    assert (usual[0]["start_time"], usual[-1]["start_time"]) == ("2026-12-01T08:00:00Z", "2026-12-15T07:00:00Z")
    later = (await client.get(f"{path}?from=2026-12-08T08:00:00Z")).json()
    assert (later[0]["start_time"], later[-1]["start_time"]) == ("2026-12-08T08:00:00Z", "2026-12-22T07:00:00Z")
    for query, status in (
        ("from=2026-12-08T00:00:00Z&to=2027-02-08T00:00:00Z", 200),
        ("from=2026-12-08T00:00:00Z&to=2027-02-08T00:00:00.000001Z", 422),
        (f"from={NINE}&to={NINE}", 422),
        (f"from={FIVE}&to={NINE}", 422),
        ("to=2026-12-01T08:00:00Z", 422),
        ("to=2027-02-01T08:00:00Z", 200),
        ("to=2027-02-01T08:00:00.000001Z", 422),
        ("from=1900-01-01T00:00:00Z", 200),
        ("from=2999-12-31T23:59:59Z", 200),
        ("from=2026-12-08", 422),
        ("from=1796724000", 422),
        ("from=2026-12-08T10:00:00", 422),
        ("from=2026-12-08T10:00:00+01:00", 422),
        ("to=9999-12-31T23:59:59Z", 422),
        ("from=", 422),
        (f"from={NINE}&from={NINE}", 422),
        ("limit=10", 422),
        ("visit_type_id=", 422),
    ):
        response = await client.get(f"{path}?{query}")
        assert response.status_code == status, (query, response.text)
    for bad in (
        "",
        "?start_time=",
        "?start_time=now",
        "?start_time=2026-12-08T14:00:00",
        f"?start_time={NINE}&end={FIVE}",
    ):
        assert_problem(await client.get(f"/doctors/{doctor.id}/explain{bad}"), 422, "invalid_request")
    for bad in ("?to=2026-12-08T14:00:00Z", "?from=today"):
        assert_problem(await client.get(f"/doctors/{doctor.id}/next-slot{bad}"), 422, "invalid_request")


async def test_slots_are_public_but_an_invalid_token_is_refused(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    await doctor.publish(NINE, FIVE)
    paths = [
        f"/doctors/{doctor.id}/{name}" for name in ("availability", "slots", "next-slot", f"explain?start_time={NINE}")
    ]
    callers = [patient, doctor, await register("doctor"), await register()]
    for path in paths:
        expected = (await client.get(path)).json()
        assert expected
        for caller in callers:
            assert (await caller.get(path)).json() == expected
        unknown = path.replace(doctor.id, UNKNOWN)
        hidden = assert_problem(await client.get(unknown), 404, "not_found")
        assert assert_problem(await client.get(path.replace(doctor.id, patient.id)), 404, "not_found") == hidden
        for header in ("Bearer x", f"Bearer {patient.token}x", "Bearer "):
            response = await client.get(path, headers={"Authorization": header})
            assert_problem(response, 401, "not_authenticated")
            assert response.headers["www-authenticate"] == "Bearer"
    clock.advance(hours=1)
    for path in paths:
        assert_problem(await patient.get(path), 401, "not_authenticated")
