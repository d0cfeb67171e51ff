import asyncio
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from app.db.database import Database
from app.models import VisitType
from app.scheduling.visits import VisitMode
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_reasons, get_slots, get_windows, next_page

NINE, FIVE = "2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z"
NOBODY = "019abcde-f012-7345-8678-9abcdef01234"
PLAIN = {
    "buffer_before_minutes": 0,
    "buffer_after_minutes": 0,
    "slot_step_minutes": None,
    "mode": "in_person",
    "min_notice_minutes": 0,
    "max_advance_days": None,
    "daily_limit": None,
}
FULL = {
    "buffer_before_minutes": 5,
    "buffer_after_minutes": 10,
    "slot_step_minutes": 15,
    "mode": "video",
    "min_notice_minutes": 60,
    "max_advance_days": 30,
    "daily_limit": 3,
}


async def send(person: Person, method: str, path: str, body: str) -> httpx2.Response:
    """Sends a body that a JSON library would not write."""
    headers = person.headers | {"Content-Type": "application/json"}
    return await person.client.request(method, path, content=body, headers=headers)


async def starts(client: httpx2.AsyncClient, doctor: Person, visit_type_id: str) -> list[str]:
    """The clock times at which visits can start on 8 December, in UTC."""
    return [start[11:16] for start, _, _ in await get_slots(client, doctor, NINE, FIVE, visit_type_id)]


async def test_visit_types_are_created_and_listed(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register
) -> None:
    path = f"/doctors/{doctor.id}/visit-types"
    assert (await client.get(path)).json() == []
    plain = await doctor.add_visit_type(name="  Check-up ", duration_minutes=20)
    assert plain == {"id": plain["id"], "doctor_id": doctor.id, "name": "Check-up", "duration_minutes": 20} | PLAIN
    full = await doctor.add_visit_type(name="Call", duration_minutes=25, **FULL)
    assert full == {"id": full["id"], "doctor_id": doctor.id, "name": "Call", "duration_minutes": 25} | FULL
    for caller in (client, patient, doctor):
        assert (await caller.get(path)).json() == [plain, full]
    assert (await doctor.get("/doctors/me/visit-types")).json() == [plain, full]
    other = await register("doctor")
    assert (await other.get("/doctors/me/visit-types")).json() == []
    assert (await client.get(f"/doctors/{other.id}/visit-types")).json() == []
    for nobody in (NOBODY, patient.id):
        assert_problem(await client.get(f"/doctors/{nobody}/visit-types"), 404, "not_found")


async def test_fields_left_out_of_a_change_stay(doctor: Person) -> None:
    offered = await doctor.add_visit_type(name="Call", duration_minutes=25, **FULL)
    path = f"/doctors/me/visit-types/{offered['id']}"
    expected = dict(offered)
    for change in (
        {},
        {"name": "Video call"},
        {"duration_minutes": 5},
        {"duration_minutes": 720, "buffer_before_minutes": 240, "buffer_after_minutes": 0},
        {"slot_step_minutes": None},
        {"slot_step_minutes": 1440},
        {"daily_limit": None, "max_advance_days": None},
        {"max_advance_days": 0, "min_notice_minutes": 0},
        {"mode": "phone"},
    ):
        response = await doctor.patch(path, change)
        expected |= change
        assert (response.status_code, response.json()) == (200, expected), change
    assert (await doctor.get("/doctors/me/visit-types")).json() == [expected]


async def test_invalid_visit_type_is_refused(doctor: Person) -> None:
    offered = await doctor.add_visit_type(name="Call", duration_minutes=25, **FULL)
    path = f"/doctors/me/visit-types/{offered['id']}"
    wrong = ["true", '"20"', "20.0", "20.5", "-1", "9223372036854775808", "99999999999999999999999", "[20]", "{}"]
    bounds = {
        "duration_minutes": ["0", "4", "721", "null"],
        "buffer_before_minutes": ["241", "null"],
        "buffer_after_minutes": ["241", "null"],
        "slot_step_minutes": ["0", "4", "1441"],
        "min_notice_minutes": ["86401", "null"],
        "max_advance_days": ["3651"],
        "daily_limit": ["0", "501"],
        "name": ["null", '""', '" "', '"."', '"a\\u0000"', '"\\u202ea"', '"\\ud800"', f'"{"x" * 101}"', "5"],
        "mode": ["null", '"fax"', '"VIDEO"', "1", '""'],
        "id": [f'"{NOBODY}"'],
        "doctor_id": [f'"{NOBODY}"'],
        "withdrawn_at": ["null"],
        "created_at": ['"2026-12-01T08:00:00Z"'],
    }
    for field, values in bounds.items():
        for value in values + (wrong if "minutes" in field or field in {"max_advance_days", "daily_limit"} else []):
            whole = {"name": '"Call"', "duration_minutes": "20"} | {field: value}
            body = "{" + ",".join(f'"{name}": {each}' for name, each in whole.items()) + "}"
            change = f'{{"{field}": {value}}}'
            for method, where, content in (("POST", "/doctors/me/visit-types", body), ("PATCH", path, change)):
                response = await send(doctor, method, where, content)
                assert [each["field"] for each in assert_problem(response, 422, "invalid_request")["errors"]] == [
                    field
                ], content
    for content in ('{"duration_minutes": 1e999}', '{"duration_minutes": NaN}', '{"name": "a", "name": "b"}'):
        assert_problem(await send(doctor, "PATCH", path, content), 422, "invalid_request")
    for given, missing in (({"name": "Call"}, "duration_minutes"), ({"mode": "phone", "duration_minutes": 20}, "name")):
        response = await doctor.post("/doctors/me/visit-types", given)
        assert assert_problem(response, 422, "invalid_request")["errors"][0]["field"] == missing
    assert (await doctor.get("/doctors/me/visit-types")).json() == [offered]


async def test_visit_type_of_another_doctor_is_not_found(doctor: Person, patient: Person, register: Register) -> None:
    offered = await doctor.add_visit_type()
    other = await register("doctor")
    for visit_type_id in (offered["id"], NOBODY):
        path = f"/doctors/me/visit-types/{visit_type_id}"
        assert_problem(await other.patch(path, {"name": "Mine"}), 404, "not_found")
        assert_problem(await other.patch(path, {}), 404, "not_found")
        assert_problem(await other.delete(path), 404, "not_found")
        assert_problem(await patient.delete(path), 403, "wrong_role")
    assert (await doctor.get("/doctors/me/visit-types")).json() == [offered]


async def test_visit_types_are_paged_and_bounded(
    client: httpx2.AsyncClient, doctor: Person, database: Database
) -> None:
    offered = [await doctor.add_visit_type(name=name) for name in ("C", "A", "B")]
    for listed in (f"/doctors/{doctor.id}/visit-types", "/doctors/me/visit-types"):
        seen: list[object] = []
        path: str | None = f"{listed}?limit=2"
        while path:
            response = await doctor.get(path)
            seen += response.json()
            path = next_page(response)
        assert seen == offered
    row = {"doctor_id": UUID(doctor.id), "name": "X", "duration_minutes": 20, "mode": VisitMode.PHONE}
    buffers = dict.fromkeys(("buffer_before_minutes", "buffer_after_minutes", "min_notice_minutes"), 0)
    async with database.read() as transaction:
        created_at = await transaction.scalar(VisitType.__table__.select().with_only_columns(VisitType.created_at))
    async with database.write() as transaction:
        rows = [row | buffers | {"id": uuid7(), "created_at": created_at} for _ in range(96)]
        await transaction.execute(insert(VisitType), rows)
    last = await doctor.add_visit_type(name="The hundredth")
    one_more = {"name": "One more", "duration_minutes": 20}
    assert_problem(await doctor.post("/doctors/me/visit-types", one_more), 409, "too_many")
    await doctor.delete(f"/doctors/me/visit-types/{last['id']}")
    assert (await doctor.post("/doctors/me/visit-types", one_more)).status_code == 201
    assert len((await client.get(f"/doctors/{doctor.id}/visit-types?limit=100")).json()) == 100


async def test_appointment_is_as_long_as_its_visit_type(doctor: Person, patient: Person, register: Register) -> None:
    await doctor.publish(NINE, FIVE)
    offered = await doctor.add_visit_type(name="New patient", duration_minutes=45)
    booked = await patient.book(doctor, NINE, visit_type_id=offered["id"])
    assert booked["end_time"] == "2026-12-08T14:45:00Z"
    assert booked["visit_type_id"] == offered["id"]
    assert booked["visit_type"] == {"id": offered["id"], "name": "New patient"}
    assert (await doctor.get("/appointments")).json() == [booked]
    again = await patient.try_to_book(
        doctor, "2026-12-08T14:45:00Z", "2026-12-08T15:30:00Z", visit_type_id=offered["id"]
    )
    assert again.status_code == 201, again.text
    for end in ("2026-12-08T16:00:00Z", "2026-12-08T16:14:59.999999Z", "2026-12-08T16:30:00Z"):
        response = await patient.try_to_book(doctor, "2026-12-08T15:30:00Z", end, visit_type_id=offered["id"])
        assert_problem(response, 409, "wrong_length")
    for end in ("2026-12-08T15:30:00Z", "2026-12-08T15:34:59Z", "2026-12-09T03:30:00.000001Z"):
        response = await patient.try_to_book(doctor, "2026-12-08T15:30:00Z", end, visit_type_id=offered["id"])
        assert_problem(response, 422, "invalid_request")
    assert_problem(await patient.try_to_book(doctor, "2026-12-08T15:30:00Z"), 409, "visit_type_required")
    assert_problem(
        await patient.try_to_book(doctor, "2026-12-08T15:30:00Z", "2026-12-08T16:15:00Z"), 409, "visit_type_required"
    )
    elsewhere = await (await register("doctor")).add_visit_type(duration_minutes=45)
    for unknown in (elsewhere["id"], NOBODY):
        assert_problem(
            await patient.try_to_book(doctor, "2026-12-08T15:30:00Z", visit_type_id=unknown), 404, "not_found"
        )
    assert_problem(
        await patient.try_to_book(doctor, "2026-12-08T15:30:00Z", visit_type_id="45"), 422, "invalid_request"
    )


async def test_slot_queries_require_a_visit_type(
    client: httpx2.AsyncClient, doctor: Person, register: Register
) -> None:
    offered = await doctor.add_visit_type()
    elsewhere = await (await register("doctor")).add_visit_type()
    for path in ("slots?", "next-slot?", f"explain?start_time={NINE}&"):
        asked = f"/doctors/{doctor.id}/{path}"
        assert_problem(await client.get(asked.rstrip("?&")), 409, "visit_type_required")
        for unknown in (elsewhere["id"], NOBODY):
            assert_problem(await client.get(f"{asked}visit_type_id={unknown}"), 404, "not_found")
        assert_problem(await client.get(f"{asked}visit_type_id=x"), 422, "invalid_request")
        assert (await client.get(f"{asked}visit_type_id={offered['id']}")).status_code == 200
    assert (await client.get(f"/doctors/{doctor.id}/availability")).status_code == 200


async def test_withdrawn_visit_type_cannot_be_booked_but_stays_readable(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.publish(NINE, FIVE)
    offered, kept = await doctor.add_visit_type(name="Call", duration_minutes=40), await doctor.add_visit_type()
    booked = await patient.book(doctor, NINE, visit_type_id=offered["id"])
    path = f"/doctors/me/visit-types/{offered['id']}"
    response = await doctor.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    assert (await client.get(f"/doctors/{doctor.id}/visit-types")).json() == [kept]
    assert (await doctor.get("/doctors/me/visit-types")).json() == [kept]
    assert_problem(await doctor.delete(path), 404, "not_found")
    assert_problem(await doctor.patch(path, {"name": "Back"}), 404, "not_found")
    assert_problem(
        await patient.try_to_book(doctor, "2026-12-08T15:20:00Z", visit_type_id=offered["id"]), 404, "not_found"
    )
    assert_problem(await client.get(f"/doctors/{doctor.id}/slots?visit_type_id={offered['id']}"), 404, "not_found")
    for person in (patient, doctor):
        assert (await person.get(f"/appointments/{booked['id']}")).json() == booked
        assert (await person.get("/appointments")).json() == [booked]
    # It can still be moved, as what it is, and its time is still taken.
    assert "14:00" not in await starts(client, doctor, kept["id"])
    moved = await patient.post(f"/appointments/{booked['id']}/reschedule", {"start_time": "2026-12-08T14:40:00Z"})
    assert (moved.status_code, moved.json()["visit_type"]["name"]) == (200, "Call")
    assert moved.json()["end_time"] == "2026-12-08T15:20:00Z"
    # Without any visit type, she is booked as before she had any.
    await doctor.delete(f"/doctors/me/visit-types/{kept['id']}")
    await patient.book(doctor, "2026-12-08T15:25:00Z", "2026-12-08T15:37:00Z")


async def test_booked_appointment_keeps_its_length_and_buffers(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register
) -> None:
    await doctor.publish(NINE, "2026-12-08T16:00:00Z")
    offered = await doctor.add_visit_type(duration_minutes=20, buffer_after_minutes=10)
    booked = await patient.book(doctor, "2026-12-08T15:00:00Z", visit_type_id=offered["id"])
    change = {"name": "Long", "duration_minutes": 60, "buffer_after_minutes": 0, "slot_step_minutes": 10}
    assert (await doctor.patch(f"/doctors/me/visit-types/{offered['id']}", change)).status_code == 200
    now = (await patient.get(f"/appointments/{booked['id']}")).json()
    assert now == booked | {"visit_type": {"id": offered["id"], "name": "Long"}}
    assert await starts(client, doctor, offered["id"]) == ["14:00"]
    shorter = {"duration_minutes": 5, "slot_step_minutes": 5}
    assert (await doctor.patch(f"/doctors/me/visit-types/{offered['id']}", shorter)).status_code == 200
    # The old ten minutes after it are still hers.
    found = await starts(client, doctor, offered["id"])
    assert found[found.index("14:55") + 1] == "15:30"
    await (await register()).book(doctor, "2026-12-08T15:30:00Z", visit_type_id=offered["id"])


async def test_buffers_separate_adjacent_appointments(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register
) -> None:
    await doctor.publish(NINE, "2026-12-08T17:00:00Z")
    buffered = await doctor.add_visit_type(
        name="With buffers",
        duration_minutes=20,
        buffer_before_minutes=10,
        buffer_after_minutes=25,
        slot_step_minutes=5,
    )
    bare = await doctor.add_visit_type(name="Without", duration_minutes=5, slot_step_minutes=5)
    # Buffers may lie outside of the hours.
    assert (await starts(client, doctor, buffered["id"]))[0] == "14:00"
    assert (await starts(client, doctor, buffered["id"]))[-1] == "16:40"
    await patient.book(doctor, "2026-12-08T15:00:00Z", visit_type_id=buffered["id"])

    found = await starts(client, doctor, bare["id"])
    assert (found[found.index("14:45") + 1], found[found.index("15:45") - 1]) == ("15:45", "14:45")
    found = await starts(client, doctor, buffered["id"])
    # 25 minutes after the one before and 10 before the next, not both.
    assert (found[found.index("14:05") + 1], found[found.index("15:55") - 1]) == ("15:55", "14:05")
    other = await register()
    for start, visit_type in (("14:50", bare), ("15:40", bare), ("14:10", buffered), ("15:50", buffered)):
        asked = f"2026-12-08T{start}:00Z"
        assert await get_reasons(client, doctor, asked, visit_type["id"]) == ["slot_taken"]
        assert_problem(await other.try_to_book(doctor, asked, visit_type_id=visit_type["id"]), 409, "slot_taken")
    for start, visit_type in (("14:45", bare), ("15:55", buffered)):
        await other.book(doctor, f"2026-12-08T{start}:00Z", visit_type_id=visit_type["id"])
    # What is free is free of buffers too.
    assert await get_windows(client, doctor) == [
        ("2026-12-08T14:00:00Z", "2026-12-08T14:45:00Z"),
        ("2026-12-08T16:40:00Z", "2026-12-08T17:00:00Z"),
    ]


async def test_buffer_of_an_appointment_outside_the_requested_span_counts(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.publish(NINE, "2026-12-08T19:00:00Z")
    long = await doctor.add_visit_type(duration_minutes=30, buffer_after_minutes=240, slot_step_minutes=30)
    before = await doctor.add_visit_type(duration_minutes=30, buffer_before_minutes=60, slot_step_minutes=30)
    await patient.book(doctor, NINE, visit_type_id=long["id"])
    # The visit ends at 14:30, what comes after it at 18:30.
    for first, last, expected in (
        ("18:00", "18:30", []),
        ("18:00", "18:31", ["2026-12-08T18:30:00Z"]),
        ("18:30", "19:00", ["2026-12-08T18:30:00Z"]),
    ):
        found = await get_slots(client, doctor, f"2026-12-08T{first}:00Z", f"2026-12-08T{last}:00Z", long["id"])
        assert [start for start, _, _ in found] == expected
    found = await get_slots(client, doctor, "2026-12-08T18:30:00Z", "2026-12-08T19:00:00Z", before["id"])
    assert found == []
    assert await get_reasons(client, doctor, "2026-12-08T18:30:00Z", before["id"]) == ["slot_taken"]


async def test_buffers_do_not_block_the_patient(doctor: Person, patient: Person, register: Register) -> None:
    other = await register("doctor")
    await doctor.publish(NINE, FIVE)
    await other.publish(NINE, FIVE)
    offered = await doctor.add_visit_type(
        duration_minutes=20, buffer_before_minutes=30, buffer_after_minutes=30, slot_step_minutes=5
    )
    await patient.book(doctor, "2026-12-08T15:00:00Z", visit_type_id=offered["id"])
    await patient.book(other, "2026-12-08T15:20:00Z", "2026-12-08T15:50:00Z")
    await patient.book(other, "2026-12-08T14:50:00Z", "2026-12-08T15:00:00Z")
    assert_problem(
        await patient.try_to_book(other, "2026-12-08T15:10:00Z", "2026-12-08T15:20:00Z"), 409, "patient_busy"
    )


async def test_appointments_start_on_the_slot_step(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register
) -> None:
    await doctor.publish("2026-12-08T14:10:00Z", "2026-12-08T16:10:00Z")
    by_itself = await doctor.add_visit_type(duration_minutes=20, buffer_before_minutes=5, buffer_after_minutes=10)
    shorter = await doctor.add_visit_type(duration_minutes=40, slot_step_minutes=15)
    longer = await doctor.add_visit_type(duration_minutes=20, slot_step_minutes=50)
    assert await starts(client, doctor, by_itself["id"]) == ["14:10", "14:45", "15:20"]
    assert await starts(client, doctor, shorter["id"]) == ["14:10", "14:25", "14:40", "14:55", "15:10", "15:25"]
    assert await starts(client, doctor, longer["id"]) == ["14:10", "15:00", "15:50"]
    for start in ("14:11:00", "14:25:00", "15:00:00.000001"):
        assert await get_reasons(client, doctor, f"2026-12-08T{start}Z", longer["id"]) == ["off_grid"]
        assert_problem(
            await patient.try_to_book(doctor, f"2026-12-08T{start}Z", visit_type_id=longer["id"]), 409, "off_grid"
        )
    await patient.book(doctor, "2026-12-08T15:00:00Z", visit_type_id=longer["id"])
    # What is booked does not move the grid.
    assert await starts(client, doctor, longer["id"]) == ["14:10", "15:50"]
    assert await starts(client, doctor, shorter["id"]) == ["14:10", "15:25"]
    await (await register()).book(doctor, "2026-12-08T15:25:00Z", visit_type_id=shorter["id"])


async def starts_of_the_seventh(client: httpx2.AsyncClient, doctor: Person, visit_type: dict[str, Any]) -> list[str]:
    day = "2026-12-07T00:00:00Z", "2026-12-08T00:00:00Z"
    return [start for start, _, _ in await get_slots(client, doctor, *day, visit_type["id"])]


async def test_stricter_limit_of_visit_type_and_doctor_applies(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.set_hours(monday=[["09:00", "17:00"]], tuesday=[["09:00", "17:00"]], wednesday=[["09:00", "17:00"]])
    await doctor.update_profile(min_notice_minutes=8 * 60, max_advance_days=8, daily_limit=3)
    rare = await doctor.add_visit_type(name="Rare", daily_limit=1, max_advance_days=7, min_notice_minutes=60)
    early = await doctor.add_visit_type(name="Early", min_notice_minutes=9 * 60, max_advance_days=30)

    async def first_and_last(visit_type: dict[str, Any]) -> tuple[str, str]:
        found = await get_slots(client, doctor, f"{clock():%FT%TZ}", "2026-12-31T00:00:00Z", visit_type["id"])
        return found[0][0], found[-1][0]

    # It is Tuesday, 1 December, 03:00 in New York; the stricter of both limits holds.
    assert await first_and_last(rare) == ("2026-12-01T16:00:00Z", "2026-12-08T21:30:00Z")
    assert await first_and_last(early) == ("2026-12-01T17:00:00Z", "2026-12-09T21:30:00Z")
    assert_problem(
        await patient.try_to_book(doctor, "2026-12-01T16:30:00Z", visit_type_id=early["id"]), 409, "too_soon"
    )
    assert_problem(
        await patient.try_to_book(doctor, "2026-12-09T15:00:00Z", visit_type_id=rare["id"]), 409, "too_far_ahead"
    )

    async def book(start: str, visit_type: dict[str, Any]) -> dict[str, Any]:
        return await patient.book(doctor, f"2026-12-07T{start}:00Z", visit_type_id=visit_type["id"])

    only = await book("14:00", rare)
    assert await starts_of_the_seventh(client, doctor, rare) == []
    assert_problem(await patient.try_to_book(doctor, "2026-12-07T15:00:00Z", visit_type_id=rare["id"]), 409, "day_full")
    assert len(await starts_of_the_seventh(client, doctor, early)) == 15
    await book("15:00", early)
    await book("16:00", early)
    assert await starts_of_the_seventh(client, doctor, early) == []
    assert_problem(
        await patient.try_to_book(doctor, "2026-12-07T17:00:00Z", visit_type_id=early["id"]), 409, "day_full"
    )
    # To move one within its day, or to another, is not to have one more.
    for start in ("2026-12-07T18:00:00Z", "2026-12-08T18:00:00Z"):
        moved = await patient.post(f"/appointments/{only['id']}/reschedule", {"start_time": start})
        assert moved.status_code == 200, moved.text
    assert_problem(await patient.try_to_book(doctor, "2026-12-08T15:00:00Z", visit_type_id=rare["id"]), 409, "day_full")
    await book("14:00", rare)
    back = await patient.post(f"/appointments/{only['id']}/reschedule", {"start_time": "2026-12-07T18:00:00Z"})
    assert_problem(back, 409, "day_full")
    assert (await patient.get(f"/appointments/{only['id']}")).json()["start_time"] == "2026-12-08T18:00:00Z"


async def test_hold_counts_for_the_limit_of_its_visit_type(doctor: Person, patient: Person, register: Register) -> None:
    await doctor.publish(NINE, FIVE)
    offered = await doctor.add_visit_type(daily_limit=1)
    wanted = {"doctor_id": doctor.id, "start_time": NINE, "visit_type_id": offered["id"]}
    held = await patient.post("/holds", wanted)
    assert held.status_code == 201, held.text
    assert held.json()["visit_type_id"] == offered["id"]
    other = await register()
    assert_problem(
        await other.try_to_book(doctor, "2026-12-08T16:00:00Z", visit_type_id=offered["id"]), 409, "day_full"
    )
    assert_problem(await patient.try_to_book(doctor, NINE, hold_id=held.json()["id"]), 409, "visit_type_required")
    await patient.book(doctor, NINE, visit_type_id=offered["id"], hold_id=held.json()["id"])


async def test_names_of_visit_types_are_unique(doctor: Person, register: Register) -> None:
    first = await doctor.add_visit_type(name="Check-up Anna")
    path = "/doctors/me/visit-types"
    for name in (
        "Check-up Anna",
        " check-up  ANNA ",
        "Check-up \N{CYRILLIC CAPITAL LETTER A}nna",
        "Check-up\u00a0Anna",
    ):
        assert_problem(await doctor.post(path, {"name": name, "duration_minutes": 20}), 409, "name_taken")
    other = await doctor.add_visit_type(name="Check-up Hanna")
    assert_problem(await doctor.patch(f"{path}/{other['id']}", {"name": "CHECK-UP ANNA"}), 409, "name_taken")
    assert (await doctor.get(path)).json() == [first, other]
    # Its own name is in nobody's way, in another spelling neither; and other doctors have names of their own.
    changed = await doctor.patch(f"{path}/{first['id']}", {"name": "check-up Anna", "duration_minutes": 25})
    assert changed.json()["name"] == "check-up Anna"
    await (await register("doctor")).add_visit_type(name="Check-up Anna")
    # What is withdrawn has given its name back.
    assert (await doctor.delete(f"{path}/{first['id']}")).status_code == 204
    await doctor.add_visit_type(name="Check-up Anna")


async def test_name_of_a_visit_type_without_a_key_is_taken(doctor: Person, database: Database) -> None:
    """Of two with the same name the later one had no key; here the earlier one has been withdrawn since."""
    await doctor.add_visit_type(name="Check-up")
    other = await doctor.add_visit_type(name="Vaccination")
    async with database.write() as transaction:
        await transaction.execute(update(VisitType).where(VisitType.name == "Check-up").values(name_key=None))
    path = "/doctors/me/visit-types"
    assert_problem(await doctor.post(path, {"name": "CHECK-UP", "duration_minutes": 20}), 409, "name_taken")
    assert_problem(await doctor.patch(f"{path}/{other['id']}", {"name": "check-up"}), 409, "name_taken")


async def test_duplicates_without_a_key_can_be_changed(doctor: Person, database: Database) -> None:
    first, second = await doctor.add_visit_type(name="Check-up"), await doctor.add_visit_type(name="Vaccination")
    async with database.write() as transaction:
        later = update(VisitType).where(VisitType.name == "Vaccination")
        await transaction.execute(later.values(name="Check-up", name_key=None))
    path = "/doctors/me/visit-types"
    for each in (first, second):
        response = await doctor.patch(f"{path}/{each['id']}", {"name": "Check-up", "duration_minutes": 25})
        assert response.status_code == 200, response.text
    assert_problem(await doctor.patch(f"{path}/{second['id']}", {"name": "check-up"}), 409, "name_taken")


async def test_one_of_several_concurrent_equal_visit_types_is_created(doctor: Person) -> None:
    responses = await asyncio.gather(
        *(doctor.post("/doctors/me/visit-types", {"name": "Check-up", "duration_minutes": 20}) for _ in range(6))
    )
    assert sorted(response.status_code for response in responses) == [201, 409, 409, 409, 409, 409]


async def test_database_refuses_a_duplicate_name(doctor: Person, database: Database, clock: SetClock) -> None:
    await doctor.add_visit_type(name="Check-up")
    taken = PLAIN | {"mode": VisitMode.VIDEO, "doctor_id": UUID(doctor.id), "name": "CHECK-UP", "name_key": "check-up"}
    with pytest.raises(IntegrityError):
        async with database.write() as transaction:
            await transaction.execute(
                insert(VisitType).values(taken | {"id": uuid7(), "duration_minutes": 20, "created_at": clock()})
            )


async def test_single_visit_type_is_read_by_its_doctor_only(doctor: Person, register: Register) -> None:
    offered = await doctor.add_visit_type()
    path = f"/doctors/me/visit-types/{offered['id']}"
    assert (await doctor.get(path)).json() == offered
    assert_problem(await (await register("doctor")).get(path), 404, "not_found")
    await doctor.delete(path)
    assert_problem(await doctor.get(path), 404, "not_found")
