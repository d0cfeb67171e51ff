"""Appointments and slots of visit types: lengths, buffers, steps and limits."""

from typing import Any

import httpx2

from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_reasons, get_slots, get_windows

NINE, FIVE = "2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z"
UNKNOWN = "019abcde-f012-7345-8678-9abcdef01234"


async def list_starts(client: httpx2.AsyncClient, doctor: Person, visit_type_id: str) -> list[str]:
    """When slots start on 8 December, as ``HH:MM`` in UTC."""
    return [start[11:16] for start, _, _ in await get_slots(client, doctor, NINE, FIVE, visit_type_id)]


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
    other = await (await register("doctor")).add_visit_type(duration_minutes=45)
    for unknown in (other["id"], UNKNOWN):
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
    other = await (await register("doctor")).add_visit_type()
    for query in ("slots?", "next-slot?", f"explain?start_time={NINE}&"):
        path = f"/doctors/{doctor.id}/{query}"
        assert_problem(await client.get(path.rstrip("?&")), 409, "visit_type_required")
        for unknown in (other["id"], UNKNOWN):
            assert_problem(await client.get(f"{path}visit_type_id={unknown}"), 404, "not_found")
        assert_problem(await client.get(f"{path}visit_type_id=x"), 422, "invalid_request")
        assert (await client.get(f"{path}visit_type_id={offered['id']}")).status_code == 200
    assert (await client.get(f"/doctors/{doctor.id}/availability")).status_code == 200


async def test_withdrawn_visit_type_cannot_be_booked_but_stays_readable(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.publish(NINE, FIVE)
    offered, remaining = await doctor.add_visit_type(name="Call", duration_minutes=40), await doctor.add_visit_type()
    booked = await patient.book(doctor, NINE, visit_type_id=offered["id"])
    path = f"/doctors/me/visit-types/{offered['id']}"
    response = await doctor.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    assert (await client.get(f"/doctors/{doctor.id}/visit-types")).json() == [remaining]
    assert (await doctor.get("/doctors/me/visit-types")).json() == [remaining]
    assert_problem(await doctor.delete(path), 404, "not_found")
    assert_problem(await doctor.patch(path, {"name": "Back"}), 404, "not_found")
    assert_problem(
        await patient.try_to_book(doctor, "2026-12-08T15:20:00Z", visit_type_id=offered["id"]), 404, "not_found"
    )
    assert_problem(await client.get(f"/doctors/{doctor.id}/slots?visit_type_id={offered['id']}"), 404, "not_found")
    for person in (patient, doctor):
        assert (await person.get(f"/appointments/{booked['id']}")).json() == booked
        assert (await person.get("/appointments")).json() == [booked]
    # The appointment can still be moved, keeps its visit type and blocks its time.
    assert "14:00" not in await list_starts(client, doctor, remaining["id"])
    moved = await patient.post(f"/appointments/{booked['id']}/reschedule", {"start_time": "2026-12-08T14:40:00Z"})
    assert (moved.status_code, moved.json()["visit_type"]["name"]) == (200, "Call")
    assert moved.json()["end_time"] == "2026-12-08T15:20:00Z"
    # A doctor without visit types is booked by start and end.
    await doctor.delete(f"/doctors/me/visit-types/{remaining['id']}")
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
    assert await list_starts(client, doctor, offered["id"]) == ["14:00"]
    shorter = {"duration_minutes": 5, "slot_step_minutes": 5}
    assert (await doctor.patch(f"/doctors/me/visit-types/{offered['id']}", shorter)).status_code == 200
    # The buffer of ten minutes after it is still blocked.
    found = await list_starts(client, doctor, offered["id"])
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
    # Buffers may lie outside of the window.
    assert (await list_starts(client, doctor, buffered["id"]))[0] == "14:00"
    assert (await list_starts(client, doctor, buffered["id"]))[-1] == "16:40"
    await patient.book(doctor, "2026-12-08T15:00:00Z", visit_type_id=buffered["id"])

    found = await list_starts(client, doctor, bare["id"])
    assert (found[found.index("14:45") + 1], found[found.index("15:45") - 1]) == ("15:45", "14:45")
    found = await list_starts(client, doctor, buffered["id"])
    # 25 minutes after the one before and 10 before the next, not both.
    assert (found[found.index("14:05") + 1], found[found.index("15:55") - 1]) == ("15:55", "14:05")
    other = await register()
    for start, visit_type in (("14:50", bare), ("15:40", bare), ("14:10", buffered), ("15:50", buffered)):
        start_time = f"2026-12-08T{start}:00Z"
        assert await get_reasons(client, doctor, start_time, visit_type["id"]) == ["slot_taken"]
        assert_problem(await other.try_to_book(doctor, start_time, visit_type_id=visit_type["id"]), 409, "slot_taken")
    for start, visit_type in (("14:45", bare), ("15:55", buffered)):
        await other.book(doctor, f"2026-12-08T{start}:00Z", visit_type_id=visit_type["id"])
    # Free windows exclude buffers.
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
    # The appointment ends at 14:30, its buffer at 18:30.
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
    default_step = await doctor.add_visit_type(duration_minutes=20, buffer_before_minutes=5, buffer_after_minutes=10)
    short_step = await doctor.add_visit_type(duration_minutes=40, slot_step_minutes=15)
    long_step = await doctor.add_visit_type(duration_minutes=20, slot_step_minutes=50)
    assert await list_starts(client, doctor, default_step["id"]) == ["14:10", "14:45", "15:20"]
    assert await list_starts(client, doctor, short_step["id"]) == ["14:10", "14:25", "14:40", "14:55", "15:10", "15:25"]
    assert await list_starts(client, doctor, long_step["id"]) == ["14:10", "15:00", "15:50"]
    for start in ("14:11:00", "14:25:00", "15:00:00.000001"):
        assert await get_reasons(client, doctor, f"2026-12-08T{start}Z", long_step["id"]) == ["off_grid"]
        assert_problem(
            await patient.try_to_book(doctor, f"2026-12-08T{start}Z", visit_type_id=long_step["id"]), 409, "off_grid"
        )
    await patient.book(doctor, "2026-12-08T15:00:00Z", visit_type_id=long_step["id"])
    # Appointments do not move the grid.
    assert await list_starts(client, doctor, long_step["id"]) == ["14:10", "15:50"]
    assert await list_starts(client, doctor, short_step["id"]) == ["14:10", "15:25"]
    await (await register()).book(doctor, "2026-12-08T15:25:00Z", visit_type_id=short_step["id"])


async def list_starts_on_monday(client: httpx2.AsyncClient, doctor: Person, visit_type: dict[str, Any]) -> list[str]:
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

    # It is Tuesday, 1 December, 03:00 in New York; the stricter of both limits applies.
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
    assert await list_starts_on_monday(client, doctor, rare) == []
    assert_problem(await patient.try_to_book(doctor, "2026-12-07T15:00:00Z", visit_type_id=rare["id"]), 409, "day_full")
    assert len(await list_starts_on_monday(client, doctor, early)) == 15
    await book("15:00", early)
    await book("16:00", early)
    assert await list_starts_on_monday(client, doctor, early) == []
    assert_problem(
        await patient.try_to_book(doctor, "2026-12-07T17:00:00Z", visit_type_id=early["id"]), 409, "day_full"
    )
    # A moved appointment is not counted twice.
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
    body = {"doctor_id": doctor.id, "start_time": NINE, "visit_type_id": offered["id"]}
    held = await patient.post("/holds", body)
    assert held.status_code == 201, held.text
    assert held.json()["visit_type_id"] == offered["id"]
    other = await register()
    assert_problem(
        await other.try_to_book(doctor, "2026-12-08T16:00:00Z", visit_type_id=offered["id"]), 409, "day_full"
    )
    assert_problem(await patient.try_to_book(doctor, NINE, hold_id=held.json()["id"]), 409, "visit_type_required")
    await patient.book(doctor, NINE, visit_type_id=offered["id"], hold_id=held.json()["id"])
