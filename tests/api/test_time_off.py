import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import insert
from uuid_utils.compat import uuid7

from app.db.database import Database
from app.models import TimeOff
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_reasons, get_slots, get_windows, next_page

NINE, FIVE = "2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z"
NOON, ONE = "2026-12-08T17:00:00Z", "2026-12-08T18:00:00Z"


async def list_conflicts(doctor: Person, **query: Any) -> list[dict[str, Any]]:
    response = await doctor.get("/doctors/me/appointments", params={"conflicting": "true"} | query)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


async def test_time_off_closes_windows(client: httpx2.AsyncClient, doctor: Person, patient: Person) -> None:
    await doctor.publish(NINE, FIVE)
    taken = await doctor.take_time_off("2026-12-08T12:00:00-05:00", "2026-12-08T13:00:00-05:00", "Lunch")
    record = {
        "id": taken["id"],
        "doctor_id": doctor.id,
        "start_time": NOON,
        "end_time": ONE,
        "time_zone": "America/New_York",
        "reason": "Lunch",
    }
    assert taken == record | {"affected_count": 0, "affected": []}
    assert (await doctor.get("/doctors/me/time-off")).json() == [record]
    assert await get_windows(client, doctor) == [(NINE, NOON), (ONE, FIVE)]
    found = await get_slots(client, doctor, "2026-12-08T16:30:00Z", "2026-12-08T18:30:00Z")
    assert [start for start, _, _ in found] == ["2026-12-08T16:30:00Z", "2026-12-08T18:00:00Z"]
    for start, end in ((NOON, None), ("2026-12-08T16:45:00Z", None), ("2026-12-08T16:00:00Z", "2026-12-08T19:00:00Z")):
        assert_problem(await patient.try_to_book(doctor, start, end), 409, "time_off")
    assert await get_reasons(client, doctor, "2026-12-08T12:00:00Z") == ["outside_availability"]
    await patient.book(doctor, "2026-12-08T16:30:00Z")
    await patient.book(doctor, ONE)
    assert (await doctor.delete(f"/doctors/me/time-off/{taken['id']}")).status_code == 204
    assert (await doctor.get("/doctors/me/time-off")).json() == []
    await patient.book(doctor, NOON)
    assert_problem(await doctor.delete(f"/doctors/me/time-off/{taken['id']}"), 404, "not_found")


async def test_time_off_may_overlap_and_lie_outside_the_hours(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish(NINE, FIVE)
    time_off = [await doctor.take_time_off(NOON, ONE) for _ in range(2)]
    await doctor.take_time_off("2026-12-08T17:30:00Z", "2026-12-08T18:30:00Z")
    await doctor.take_time_off("2026-12-01T07:00:00Z", "2026-12-01T08:00:00.000001Z")
    assert await get_windows(client, doctor) == [(NINE, NOON), ("2026-12-08T18:30:00Z", FIVE)]
    await doctor.delete(f"/doctors/me/time-off/{time_off[0]['id']}")
    assert await get_windows(client, doctor) == [(NINE, NOON), ("2026-12-08T18:30:00Z", FIVE)]


async def test_arrived_appointment_is_affected(doctor: Person, patient: Person, clock: SetClock) -> None:
    await doctor.publish(NINE, FIVE)
    booked = await patient.book(doctor, "2026-12-08T17:15:00Z")
    clock.time = datetime(2026, 12, 8, 16, 55, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    arrived = (await doctor.post(f"/appointments/{booked['id']}/arrive", None)).json()
    taken = await doctor.take_time_off(NOON, ONE)
    assert (taken["affected_count"], taken["affected"]) == (1, [arrived])
    assert await list_conflicts(doctor) == [arrived]


async def test_time_off_reports_the_appointments_in_it(doctor: Person, patient: Person, register: Register) -> None:
    await doctor.publish(NINE, FIVE)
    other = await register()
    before = await patient.book(doctor, "2026-12-08T16:00:00Z")
    crossing = await patient.book(doctor, "2026-12-08T16:45:00Z")
    inside = await other.book(doctor, "2026-12-08T17:15:00Z", reason="A mole")
    cancelled = await other.book(doctor, "2026-12-08T17:45:00Z", "2026-12-08T17:50:00Z")
    after = await other.book(doctor, ONE)
    await other.delete(f"/appointments/{cancelled['id']}")
    taken = await doctor.take_time_off(NOON, ONE)
    assert (taken["affected_count"], taken["affected"]) == (2, [crossing, inside])
    assert taken["affected"][1]["patient"] == {"id": other.id, "name": other.name}
    for booked in (before, crossing, inside, after):
        assert (await doctor.get(f"/appointments/{booked['id']}")).json() == booked
    # Only the appointments in the new time off, not all conflicts.
    assert (await doctor.take_time_off("2026-12-08T18:15:00Z", FIVE))["affected"] == [after]
    assert await list_conflicts(doctor) == [crossing, inside, after]


async def test_conflicts_follow_changes_of_schedule_and_appointments(doctor: Person, patient: Person) -> None:
    published = await doctor.publish(NINE, FIVE)
    first = await patient.book(doctor, NOON)
    second = await patient.book(doctor, "2026-12-08T20:00:00Z")
    third = await patient.book(doctor, "2026-12-08T21:00:00Z")
    assert await list_conflicts(doctor) == []
    taken = await doctor.take_time_off("2026-12-08T16:00:00Z", "2026-12-08T23:00:00Z")
    assert await list_conflicts(doctor) == [first, second, third]
    response = await patient.post(f"/appointments/{first['id']}/reschedule", {"start_time": NINE})
    assert response.status_code == 200, response.text
    assert await list_conflicts(doctor) == [second, third]
    await doctor.delete(f"/appointments/{second['id']}")
    assert await list_conflicts(doctor) == [third]
    await doctor.delete(f"/doctors/me/time-off/{taken['id']}")
    assert await list_conflicts(doctor) == []
    await doctor.delete(f"/doctors/availability/{published['id']}")
    assert await list_conflicts(doctor) == [response.json(), third]
    await doctor.publish(NINE, "2026-12-08T14:30:00Z")
    assert await list_conflicts(doctor) == [third]
    assert await list_conflicts(doctor, **{"from": FIVE}) == []
    assert await list_conflicts(doctor, to="2026-12-08T21:00:00Z") == []
    assert await list_conflicts(doctor, status="booked") == [third]
    assert await list_conflicts(doctor, status="cancelled") == []
    # Later limits do not make conflicts.
    await doctor.publish("2026-12-08T21:00:00Z", FIVE)
    await doctor.update_profile(daily_limit=1, max_advance_days=0, min_notice_minutes=60 * 24 * 60)
    assert await list_conflicts(doctor) == []


async def test_appointment_is_a_conflict_until_it_ends(doctor: Person, patient: Person, clock: SetClock) -> None:
    published = await doctor.publish("2026-12-01T08:00:00Z", "2026-12-01T12:00:00Z")
    booked = await patient.book(doctor, "2026-12-01T08:00:00Z")
    running = await patient.book(doctor, "2026-12-01T08:30:00Z")
    coming = await patient.book(doctor, "2026-12-01T11:00:00Z")
    arrived = (await doctor.post(f"/appointments/{booked['id']}/arrive", None)).json()
    await doctor.delete(f"/doctors/availability/{published['id']}")
    assert await list_conflicts(doctor) == [arrived, running, coming]
    await doctor.post(f"/appointments/{booked['id']}/complete", None)
    assert await list_conflicts(doctor) == [running, coming]
    clock.time = datetime(2026, 12, 1, 8, 59, 59, 999_999, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    assert await list_conflicts(doctor) == [running, coming]
    clock.advance(microseconds=1)
    assert await list_conflicts(doctor) == [coming]
    assert await list_conflicts(doctor, **{"from": "2026-11-01T00:00:00Z"}) == [coming]


async def test_conflicts_are_paged(doctor: Person, patient: Person, clock: SetClock) -> None:
    # Pages cross the end of a month and a gap of months.
    published = [
        await doctor.publish(f"2027-{month:02}-{day}T14:00:00Z", f"2027-{month:02}-{day}T16:00:00Z")
        for month, day in ((1, 30), (1, 31), (4, 10))
    ]
    booked = [
        await patient.book(doctor, f"{window['start_time'][:11]}{start}Z")
        for window in published
        for start in ("14:00:00", "15:00:00")
    ]
    await doctor.take_time_off("2027-01-30T15:00:00Z", "2027-04-10T15:00:00Z")
    expected = booked[1:5]
    assert await list_conflicts(doctor) == expected
    for limit in range(1, 6):
        paged: list[object] = []
        path: str | None = f"/doctors/me/appointments?conflicting=true&limit={limit}"
        while path:
            response = await doctor.get(path)
            assert 0 < len(response.json()) <= limit
            paged += response.json()
            path = next_page(response)
            clock.advance(seconds=30)
        assert paged == expected


async def test_time_off_is_paged(doctor: Person) -> None:
    days = (9, 8, 12, 10, 8)
    for day in days:
        await doctor.take_time_off(f"2026-12-{day:02}T14:00:00Z", f"2026-12-{day:02}T15:00:00Z")
    whole = (await doctor.get("/doctors/me/time-off")).json()
    assert [int(each["start_time"][8:10]) for each in whole] == sorted(days)
    for limit in (1, 2, 5):
        paged: list[object] = []
        path: str | None = f"/doctors/me/time-off?limit={limit}"
        while path:
            response = await doctor.get(path)
            paged += response.json()
            path = next_page(response)
        assert paged == whole
    for query in ("limit=0", "limit=101", "cursor=x", "from=2026-12-08T00:00:00Z"):
        assert_problem(await doctor.get(f"/doctors/me/time-off?{query}"), 422, "invalid_request")


async def test_invalid_time_off_is_refused(doctor: Person) -> None:
    for change, field in (
        ({"end_time": NOON}, "end_time"),
        ({"end_time": NINE}, "end_time"),
        ({"end_time": "2027-12-09T17:00:00.000001Z"}, "end_time"),
        ({"start_time": "2026-11-30T08:00:00Z", "end_time": "2026-12-01T08:00:00Z"}, "end_time"),
        ({"start_time": "2020-01-01T00:00:00Z", "end_time": "2020-01-02T00:00:00Z"}, "end_time"),
        ({"start_time": "2026-12-08T12:00:00"}, "start_time"),
        ({"start_time": "2026-12-08"}, "start_time"),
        ({"start_time": 1796742000}, "start_time"),
        ({"start_time": "0001-01-01T00:00:00+14:00"}, "start_time"),
        ({"end_time": "9999-12-31T23:59:59Z"}, "end_time"),
        ({"end_time": None}, "end_time"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\x00b"}, "reason"),
        ({"reason": "a\u202eb"}, "reason"),
        ({"reason": "a\ud800b"}, "reason"),
        ({"reason": 5}, "reason"),
        ({"recurrence": "FREQ=DAILY"}, "recurrence"),
        ({"doctor_id": "019abcde-f012-7345-8678-9abcdef01234"}, "doctor_id"),
        ({"id": "019abcde-f012-7345-8678-9abcdef01234"}, "id"),
    ):
        content = json.dumps({"start_time": NOON, "end_time": ONE} | dict(change))
        headers = doctor.headers | {"Content-Type": "application/json"}
        response = await doctor.client.post("/doctors/me/time-off", content=content, headers=headers)
        assert [error["field"] for error in assert_problem(response, 422, "invalid_request")["errors"]] == [field], (
            change
        )
    assert (await doctor.get("/doctors/me/time-off")).json() == []
    # 366 days and time off that has already started are accepted.
    await doctor.take_time_off(NOON, "2027-12-09T17:00:00Z")
    begun = await doctor.take_time_off("2026-11-30T08:00:00Z", "2026-12-01T08:00:00.000001Z", reason="  \n ")
    assert begun["reason"] is None


async def test_time_off_of_another_doctor_is_not_found(doctor: Person, patient: Person, register: Register) -> None:
    taken = await doctor.take_time_off(NOON, ONE)
    path = f"/doctors/me/time-off/{taken['id']}"
    other = await register("doctor")
    hidden = assert_problem(await other.delete(path), 404, "not_found")
    unknown = await other.delete("/doctors/me/time-off/019abcde-f012-7345-8678-9abcdef01234")
    assert assert_problem(unknown, 404, "not_found") == hidden
    assert_problem(await patient.delete(path), 403, "wrong_role")
    assert (await other.get("/doctors/me/time-off")).json() == []
    assert len((await doctor.get("/doctors/me/time-off")).json()) == 1


async def test_reason_of_time_off_is_private(client: httpx2.AsyncClient, doctor: Person, patient: Person) -> None:
    await doctor.publish(NINE, FIVE)
    booked = await patient.book(doctor, NOON)
    await doctor.take_time_off(NOON, ONE, "Chemotherapy")
    public = f"/doctors/{doctor.id}"
    for path in (
        public,
        "/doctors",
        f"{public}/availability",
        f"{public}/slots",
        f"{public}/next-slot",
        f"{public}/explain?start_time={NOON}",
        f"{public}/visit-types",
        "/appointments",
        f"/appointments/{booked['id']}",
        f"/appointments/{booked['id']}/history",
    ):
        for response in (await client.get(path), await patient.get(path)):
            assert response.status_code in {200, 401}
            assert "Chemotherapy" not in response.text
    refused = await patient.try_to_book(doctor, "2026-12-08T17:30:00Z")
    assert_problem(refused, 409, "time_off")
    assert "Chemotherapy" not in refused.text


async def test_number_of_time_off_entries_is_bounded(doctor: Person, database: Database) -> None:
    noon = datetime(2027, 1, 8, 12)  # noqa: DTZ001 - a wall time
    row = {
        "doctor_id": UUID(doctor.id),
        "starts_fold": 0,
        "ends_fold": 0,
        "created_at": datetime(2026, 12, 1, tzinfo=UTC),
    }
    past = noon.replace(year=2026)
    async with database.write() as transaction:
        for day, number in ((noon, 999), (past, 10)):
            each = row | {"starts": day, "ends": day.replace(hour=13)}
            await transaction.execute(insert(TimeOff), [each | {"id": uuid7()} for _ in range(number)])
    last = await doctor.take_time_off(NOON, ONE)
    again = {"start_time": NOON, "end_time": ONE}
    assert_problem(await doctor.post("/doctors/me/time-off", again), 409, "too_many")
    await doctor.delete(f"/doctors/me/time-off/{last['id']}")
    assert (await doctor.post("/doctors/me/time-off", again)).status_code == 201
