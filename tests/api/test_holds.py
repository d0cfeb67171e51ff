"""Holds: appointments that expire unless they are booked."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from app.db.database import Database
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_windows

TEN, HALF_PAST, ELEVEN = "2026-12-08T15:00:00Z", "2026-12-08T15:30:00Z", "2026-12-08T16:00:00Z"
UNKNOWN = "019abcde-f012-7345-8678-9abcdef01234"


@pytest.fixture(autouse=True)
async def published_window(doctor: Person) -> None:
    await doctor.publish("2026-12-08T15:00:00Z", "2026-12-08T17:00:00Z")


async def hold(person: Person, doctor: Person, start: str, **fields: Any) -> httpx2.Response:
    return await person.post("/holds", {"doctor_id": doctor.id, "start_time": start} | fields)


async def hold_or_fail(person: Person, doctor: Person, start: str, **fields: Any) -> dict[str, Any]:
    response = await hold(person, doctor, start, **fields)
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


async def count_appointments(database: Database) -> int:
    async with database.read() as transaction:
        counted: int = await transaction.scalar(text("SELECT count(*) FROM appointments"))
        return counted


async def test_hold_blocks_other_patients_for_five_minutes(
    doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    other = await register()
    held = await hold_or_fail(patient, doctor, TEN)
    assert held == {
        "id": held["id"],
        "doctor_id": doctor.id,
        "visit_type_id": None,
        "start_time": TEN,
        "end_time": HALF_PAST,
        "expires_at": "2026-12-01T08:05:00Z",
    }
    clock.advance(minutes=4, seconds=59.999999)
    assert_problem(await other.try_to_book(doctor, TEN), 409, "slot_taken")
    assert_problem(await hold(other, doctor, "2026-12-08T15:15:00Z"), 409, "slot_taken")
    clock.advance(seconds=0.000001)
    await other.book(doctor, TEN)
    assert_problem(await patient.try_to_book(doctor, TEN, hold_id=held["id"]), 409, "slot_taken")


@pytest.mark.parametrize("by_id", [True, False])
async def test_holder_books_the_held_time(
    doctor: Person, patient: Person, register: Register, database: Database, by_id: bool
) -> None:
    held = await hold_or_fail(patient, doctor, TEN)
    booked = await patient.book(doctor, TEN, **({"hold_id": held["id"]} if by_id else {}))
    assert booked["status"] == "booked"
    assert await count_appointments(database) == 1, "the hold is used up"
    assert_problem(await (await register()).try_to_book(doctor, TEN), 409, "slot_taken")


async def test_minimum_notice_counts_from_the_hold(
    doctor: Person, patient: Person, clock: SetClock, register: Register
) -> None:
    await doctor.client.patch("/doctors/me", headers=doctor.headers, json={"min_notice_minutes": 240})
    clock.time = datetime(2026, 12, 8, 11, tzinfo=UTC)
    patient, other = await patient.log_in_again(), await register()
    held = await hold_or_fail(patient, doctor, TEN)
    clock.advance(minutes=3)
    assert_problem(await other.try_to_book(doctor, TEN), 409, "too_soon")
    assert_problem(await patient.try_to_book(doctor, TEN), 409, "too_soon")
    assert_problem(await patient.try_to_book(doctor, TEN, hold_id=UNKNOWN), 409, "too_soon")
    await patient.book(doctor, TEN, hold_id=held["id"])


async def test_hold_of_another_time_or_doctor_does_not_waive_the_notice(
    doctor: Person, patient: Person, clock: SetClock, database: Database, register: Register
) -> None:
    other_doctor = await register("doctor")
    await other_doctor.publish(TEN, ELEVEN)
    for each in (doctor, other_doctor):
        await each.update_profile(min_notice_minutes=240)
    clock.time = datetime(2026, 12, 8, 11, tzinfo=UTC)
    patient = await patient.log_in_again()
    held = await hold_or_fail(patient, doctor, HALF_PAST)
    clock.advance(minutes=3)
    # The hold was requested for another time, for which the notice was not checked.
    assert_problem(await patient.try_to_book(doctor, TEN, hold_id=held["id"]), 409, "too_soon")
    await patient.book(doctor, ELEVEN, hold_id=held["id"])
    assert await count_appointments(database) == 2, "the hold stays"
    clock.time = datetime(2026, 12, 8, 11, 30, tzinfo=UTC)
    patient = await patient.log_in_again()
    held = await hold_or_fail(patient, doctor, HALF_PAST)
    clock.advance(minutes=3)
    assert_problem(await patient.try_to_book(other_doctor, HALF_PAST, hold_id=held["id"]), 409, "too_soon")


async def test_expired_hold_does_not_block_its_holder(doctor: Person, patient: Person, clock: SetClock) -> None:
    held = await hold_or_fail(patient, doctor, TEN)
    clock.advance(minutes=5)
    await patient.book(doctor, TEN, hold_id=held["id"])


async def test_expired_hold_does_not_waive_the_notice(doctor: Person, patient: Person, clock: SetClock) -> None:
    await doctor.update_profile(min_notice_minutes=240)
    clock.time = datetime(2026, 12, 8, 11, tzinfo=UTC)
    patient = await patient.log_in_again()
    held = await hold_or_fail(patient, doctor, TEN)
    clock.advance(minutes=5)
    assert_problem(await patient.try_to_book(doctor, TEN, hold_id=held["id"]), 409, "too_soon")


async def test_hold_does_not_waive_time_off(doctor: Person, patient: Person) -> None:
    held = await hold_or_fail(patient, doctor, TEN)
    await doctor.post("/doctors/me/time-off", {"start_time": TEN, "end_time": ELEVEN})
    assert_problem(await patient.try_to_book(doctor, TEN, hold_id=held["id"]), 409, "time_off")


async def test_hold_expires_when_the_appointment_would_start(doctor: Person, patient: Person, clock: SetClock) -> None:
    clock.time = datetime(2026, 12, 8, 14, 58, tzinfo=UTC)
    patient = await patient.log_in_again()
    held = await hold_or_fail(patient, doctor, TEN)
    assert held["expires_at"] == TEN
    clock.advance(minutes=3)
    assert_problem(await patient.try_to_book(doctor, TEN, hold_id=held["id"]), 409, "in_the_past")


async def test_slot_that_starts_now_can_be_booked_but_not_held(
    doctor: Person, patient: Person, clock: SetClock
) -> None:
    clock.time = datetime(2026, 12, 8, 15, tzinfo=UTC)
    patient = await patient.log_in_again()
    assert_problem(await hold(patient, doctor, TEN), 409, "in_the_past")
    await patient.book(doctor, TEN)


async def test_hold_with_another_doctor_survives_a_move_that_does_not_overlap(
    doctor: Person, patient: Person, register: Register, database: Database
) -> None:
    body = {"name": "Long", "duration_minutes": 30, "buffer_after_minutes": 60}
    long = (await doctor.post("/doctors/me/visit-types", body)).json()["id"]
    other_doctor = await register("doctor")
    await other_doctor.publish(TEN, ELEVEN)
    held = await hold_or_fail(patient, other_doctor, HALF_PAST)
    booked = await patient.book(doctor, "2026-12-08T16:30:00Z", visit_type_id=long)
    moved = await patient.post(f"/appointments/{booked['id']}/reschedule", {"start_time": TEN})
    assert moved.status_code == 200
    assert await count_appointments(database) == 2
    assert (await patient.delete(f"/holds/{held['id']}")).status_code == 204


async def test_new_hold_replaces_the_earlier_one(
    doctor: Person, patient: Person, register: Register, database: Database
) -> None:
    first = await hold_or_fail(patient, doctor, TEN)
    await hold_or_fail(patient, doctor, ELEVEN)
    assert await count_appointments(database) == 1
    await (await register()).book(doctor, TEN)
    assert_problem(await patient.delete(f"/holds/{first['id']}"), 404, "not_found")


async def test_refused_hold_leaves_the_earlier_one(
    doctor: Person, patient: Person, register: Register, database: Database
) -> None:
    other = await register()
    await other.book(doctor, ELEVEN)
    await hold_or_fail(patient, doctor, TEN)
    assert_problem(await hold(patient, doctor, ELEVEN), 409, "slot_taken")
    assert_problem(await other.try_to_book(doctor, TEN), 409, "slot_taken")
    assert await count_appointments(database) == 2


async def test_hold_with_one_doctor_does_not_block_a_booking_with_another(
    doctor: Person, patient: Person, register: Register, database: Database
) -> None:
    other = await register("doctor")
    await other.publish(TEN, ELEVEN)
    await hold_or_fail(patient, doctor, TEN)
    await patient.book(other, TEN)
    assert await count_appointments(database) == 1, "the patient cannot be with both doctors"


async def test_busy_patient_cannot_hold(doctor: Person, patient: Person, register: Register) -> None:
    other = await register("doctor")
    await other.publish(TEN, ELEVEN)
    await patient.book(other, TEN)
    assert_problem(await hold(patient, doctor, TEN), 409, "patient_busy")


async def test_released_hold_frees_its_time(doctor: Person, patient: Person, register: Register) -> None:
    other = await register()
    held = await hold_or_fail(patient, doctor, TEN)
    assert_problem(await other.delete(f"/holds/{held['id']}"), 404, "not_found")
    assert (await patient.delete(f"/holds/{held['id']}")).status_code == 204
    assert_problem(await patient.delete(f"/holds/{held['id']}"), 404, "not_found")
    booked = await other.book(doctor, TEN)
    assert_problem(await other.delete(f"/holds/{booked['id']}"), 404, "not_found")


async def test_hold_of_another_patient_cannot_be_used(doctor: Person, patient: Person, register: Register) -> None:
    held = await hold_or_fail(patient, doctor, TEN)
    assert_problem(await (await register()).try_to_book(doctor, TEN, hold_id=held["id"]), 409, "slot_taken")


async def test_expired_holds_are_deleted_by_the_next_hold(
    doctor: Person, patient: Person, register: Register, clock: SetClock, database: Database
) -> None:
    for start in (TEN, HALF_PAST, ELEVEN):
        await hold_or_fail(await register(), doctor, start)
    assert await count_appointments(database) == 3
    clock.advance(minutes=6)
    await hold_or_fail(patient, doctor, "2026-12-08T16:30:00Z")
    assert await count_appointments(database) == 1


async def test_hold_counts_for_the_daily_limit_until_it_expires(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    await doctor.client.patch("/doctors/me", headers=doctor.headers, json={"daily_limit": 1})
    other = await register()
    held = await hold_or_fail(patient, doctor, TEN)
    assert await get_windows(client, doctor) == []
    assert_problem(await other.try_to_book(doctor, ELEVEN), 409, "day_full")
    clock.advance(minutes=5)
    assert await get_windows(client, doctor) == [(TEN, "2026-12-08T17:00:00Z")]
    await other.book(doctor, ELEVEN)
    assert_problem(await patient.try_to_book(doctor, TEN, hold_id=held["id"]), 409, "day_full")


async def test_expired_hold_does_not_block_a_move(
    doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    other = await register()
    booked = await other.book(doctor, TEN)
    await hold_or_fail(patient, doctor, ELEVEN)
    body = {"start_time": ELEVEN}
    assert_problem(await other.post(f"/appointments/{booked['id']}/reschedule", body), 409, "slot_taken")
    clock.advance(minutes=5)
    assert (await other.post(f"/appointments/{booked['id']}/reschedule", body)).status_code == 200


async def test_hold_keeps_its_visit_type(doctor: Person, patient: Person, register: Register) -> None:
    body = {"name": "Check-up", "duration_minutes": 20, "buffer_after_minutes": 10}
    check_up = (await doctor.post("/doctors/me/visit-types", body)).json()["id"]
    assert_problem(await hold(patient, doctor, TEN), 409, "visit_type_required")
    held = await hold_or_fail(patient, doctor, TEN, visit_type_id=check_up)
    assert (held["end_time"], held["visit_type_id"]) == ("2026-12-08T15:20:00Z", check_up)
    assert_problem(
        await (await register()).try_to_book(doctor, "2026-12-08T14:30:00Z", visit_type_id=check_up),
        409,
        "outside_availability",
    )
    await patient.book(doctor, TEN, visit_type_id=check_up, hold_id=held["id"])


async def test_invalid_hold_is_refused(doctor: Person, patient: Person, database: Database) -> None:
    for field, value in (
        ("start_time", "2026-12-08T15:00:00"),
        ("end_time", HALF_PAST),
        ("patient_id", UNKNOWN),
        ("doctor_id", "1"),
        ("visit_type_id", "1"),
        ("expires_at", "2999-12-31T00:00:00Z"),
    ):
        response = await patient.post("/holds", {"doctor_id": doctor.id, "start_time": TEN, field: value})
        assert [error["field"] for error in assert_problem(response, 422, "invalid_request")["errors"]] == [field]
    assert await count_appointments(database) == 0


async def test_only_patients_hold_slots_of_known_doctors(
    client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    assert_problem(await hold(doctor, doctor, TEN), 403, "wrong_role")
    assert_problem(
        await client.post("/holds", json={"doctor_id": doctor.id, "start_time": TEN}), 401, "not_authenticated"
    )
    response = await patient.post("/holds", {"doctor_id": UNKNOWN, "start_time": TEN})
    assert_problem(response, 404, "not_found")
