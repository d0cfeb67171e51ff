import json
from datetime import UTC, datetime

import httpx2
from sqlalchemy import text

from app.db.database import Database
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_windows

TEN, HALF_PAST, ELEVEN = "2026-12-08T15:00:00Z", "2026-12-08T15:30:00Z", "2026-12-08T16:00:00Z"


async def test_booking_without_an_end_takes_the_doctors_default_length(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T09:00:00-05:00", "2026-12-08T17:00:00-05:00")
    appointment = await patient.book(doctor, "2026-12-08T10:00:00-05:00", reason="A mole")
    assert appointment == {
        "id": appointment["id"],
        "doctor_id": doctor.id,
        "patient_id": patient.id,
        "visit_type_id": None,
        "start_time": TEN,
        "end_time": HALF_PAST,
        "time_zone": "America/New_York",
        "status": "booked",
        "reason": "A mole",
        "doctor": {"id": doctor.id, "name": "Dr Amara Okafor"},
        "patient": {"id": patient.id, "name": "Ann Lee"},
        "visit_type": None,
        "created_at": "2026-12-01T08:00:00Z",
        "booked_by": patient.id,
        "cancelled_at": None,
        "cancelled_by": None,
        "cancel_reason": None,
        "version": 1,
    }
    assert (await patient.get(f"/appointments/{appointment['id']}")).json() == appointment
    assert (await doctor.get(f"/appointments/{appointment['id']}")).json() == appointment
    assert (await patient.get("/appointments")).json() == [appointment]
    assert (await doctor.get("/appointments")).json() == [appointment]
    assert (await doctor.get("/doctors/me/appointments")).json() == [appointment]


async def test_booked_time_is_no_longer_free(client: httpx2.AsyncClient, doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(doctor, TEN, ELEVEN)
    assert await get_windows(client, doctor) == [("2026-12-08T14:00:00Z", TEN), (ELEVEN, "2026-12-08T22:00:00Z")]


async def test_times_with_offsets_are_returned_in_utc(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T09:00:00-05:00", "2026-12-08T17:00:00-05:00")
    appointment = await patient.book(doctor, "2026-12-08T20:30:00+05:30", "2026-12-08T16:00:00.000Z")
    assert (appointment["start_time"], appointment["end_time"]) == (TEN, ELEVEN)


async def test_microseconds_are_kept(client: httpx2.AsyncClient, doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T15:00:00.123456Z", "2026-12-08T16:00:00.654321Z")
    appointment = await patient.book(doctor, "2026-12-08T15:00:00.123456Z", "2026-12-08T15:30:00.000001Z")
    assert appointment["start_time"] == "2026-12-08T15:00:00.123456Z"
    assert await get_windows(client, doctor) == [("2026-12-08T15:30:00.000001Z", "2026-12-08T16:00:00.654321Z")]


async def test_booked_time_cannot_be_booked_again(doctor: Person, patient: Person, register: Register) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(doctor, TEN, HALF_PAST)
    other = await register()
    for start, end in (
        (TEN, HALF_PAST),
        ("2026-12-08T15:15:00Z", "2026-12-08T15:45:00Z"),
        ("2026-12-08T14:45:00Z", ELEVEN),
    ):
        assert_problem(await other.try_to_book(doctor, start, end), 409, "slot_taken")
    assert (await other.get("/appointments")).json() == []


async def test_appointments_may_touch_but_not_overlap(doctor: Person, patient: Person, register: Register) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(doctor, TEN, HALF_PAST)
    await patient.book(doctor, HALF_PAST, ELEVEN)
    assert_problem(await (await register()).try_to_book(doctor, TEN, ELEVEN), 409, "slot_taken")


async def test_patient_cannot_book_two_doctors_at_once(doctor: Person, patient: Person, register: Register) -> None:
    other = await register("doctor")
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await other.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(doctor, TEN, ELEVEN)
    assert_problem(await patient.try_to_book(other, HALF_PAST), 409, "patient_busy")
    assert_problem(await patient.try_to_book(doctor, HALF_PAST), 409, "slot_taken")
    await patient.book(other, ELEVEN)


async def test_closed_or_past_time_cannot_be_booked(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    failures = []
    for start, end, code in (
        ("2026-12-08T13:45:00Z", None, "outside_availability"),
        ("2026-12-08T21:45:00Z", None, "outside_availability"),
        ("2026-12-09T15:00:00Z", None, "outside_availability"),
        ("2026-12-08T10:00:00Z", "2026-12-08T22:00:00Z", "outside_availability"),
        ("2999-12-31T23:59:59Z", None, "outside_availability"),
        ("2026-12-01T07:59:59Z", None, "in_the_past"),
        ("1900-01-01T00:00:00Z", None, "in_the_past"),
    ):
        response = await patient.try_to_book(doctor, start, end)
        if (response.status_code, response.json().get("code")) != (409, code):
            failures.append((start, end, response.text))
    assert not failures


async def test_appointment_takes_five_minutes_to_twelve_hours(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T00:00:00Z", "2026-12-10T00:00:00Z")
    for end in (
        "2026-12-08T15:04:59.999999Z",
        "2026-12-09T03:00:00.000001Z",
        TEN,
        "2026-12-08T14:00:00Z",
    ):
        problem = assert_problem(await patient.try_to_book(doctor, TEN, end), 422, "invalid_request")
        assert problem["errors"][0]["field"] == "end_time", end
    for end in ("2026-12-08T15:05:00Z", "2026-12-09T03:00:00Z"):
        booked = await patient.book(doctor, TEN, end)
        await doctor.delete(f"/appointments/{booked['id']}")


async def test_appointment_may_span_adjacent_windows(patient: Person, register: Register) -> None:
    # In the doctor's zone the second window opens on the next day.
    doctor = await register("doctor", time_zone="Pacific/Kiritimati")
    await doctor.publish("2026-12-08T00:00:00Z", "2026-12-08T11:00:00Z")
    await doctor.publish("2026-12-08T11:00:00Z", "2026-12-08T12:00:00Z")
    await patient.book(doctor, "2026-12-08T00:30:00Z", "2026-12-08T11:30:00Z")


async def test_unknown_doctor_cannot_be_booked(patient: Person, register: Register) -> None:
    response = await patient.post(
        "/appointments", {"doctor_id": "019abcde-f012-7345-8678-9abcdef01234", "start_time": TEN}
    )
    unknown = assert_problem(response, 404, "not_found")
    other_patient = await register()
    assert assert_problem(await patient.try_to_book(other_patient, TEN), 404, "not_found") == unknown


async def test_cancelled_appointment_frees_its_time(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock, register: Register
) -> None:
    await doctor.publish("2026-12-08T15:00:00Z", "2026-12-08T16:00:00Z")
    booked = await patient.book(doctor, TEN)
    clock.advance(minutes=5)
    response = await patient.delete(f"/appointments/{booked['id']}")
    assert response.status_code == 200
    cancelled = booked | {
        "status": "cancelled",
        "cancelled_at": "2026-12-01T08:05:00Z",
        "cancelled_by": patient.id,
        "version": 2,
    }
    assert response.json() == cancelled
    clock.advance(minutes=5)
    assert (await patient.delete(f"/appointments/{booked['id']}")).json() == cancelled
    assert (await doctor.delete(f"/appointments/{booked['id']}")).json() == cancelled
    assert (await doctor.get("/appointments")).json() == [cancelled]
    assert await get_windows(client, doctor) == [(TEN, ELEVEN)]
    await (await register()).book(doctor, TEN)


async def test_started_appointment_is_cancelled_by_the_doctor_only(
    doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.publish("2026-12-08T15:00:00Z", "2026-12-08T16:00:00Z")
    booked = await patient.book(doctor, TEN)
    clock.time = datetime(2026, 12, 8, 15, tzinfo=UTC)
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    assert_problem(await patient.delete(f"/appointments/{booked['id']}"), 409, "already_started")
    assert (await patient.get(f"/appointments/{booked['id']}")).json() == booked
    cancelled = (await doctor.delete(f"/appointments/{booked['id']}")).json()
    assert (cancelled["status"], cancelled["cancelled_by"]) == ("cancelled", doctor.id)


async def test_appointment_of_others_is_not_found(doctor: Person, patient: Person, register: Register) -> None:
    await doctor.publish("2026-12-08T15:00:00Z", "2026-12-08T16:00:00Z")
    booked = await patient.book(doctor, TEN)
    for stranger in (await register("patient"), await register("doctor")):
        for call in (stranger.get, stranger.delete):
            hidden = assert_problem(await call(f"/appointments/{booked['id']}"), 404, "not_found")
            assert hidden == assert_problem(
                await call("/appointments/019abcde-f012-7345-8678-9abcdef01234"), 404, "not_found"
            )
        assert (await stranger.get("/appointments")).json() == []
    assert (await patient.get(f"/appointments/{booked['id']}")).json() == booked


async def test_routes_of_one_role_refuse_the_other(doctor: Person, patient: Person) -> None:
    window = {"start_time": "2026-12-08T15:00:00Z", "end_time": "2026-12-08T16:00:00Z"}
    assert_problem(await patient.post("/doctors/availability", window), 403, "wrong_role")
    assert_problem(await patient.get("/doctors/me/availability"), 403, "wrong_role")
    assert_problem(await patient.get("/doctors/me/appointments"), 403, "wrong_role")
    assert_problem(
        await patient.delete("/doctors/availability/019abcde-f012-7345-8678-9abcdef01234"), 403, "wrong_role"
    )
    assert_problem(await doctor.try_to_book(doctor, TEN), 403, "wrong_role")


async def test_invalid_booking_is_refused(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    headers = patient.headers | {"Content-Type": "application/json"}
    failures = []
    for field, value in (
        ("patient_id", "019abcde-f012-7345-8678-9abcdef01234"),
        ("status", "fulfilled"),
        ("id", "019abcde-f012-7345-8678-9abcdef01234"),
        ("reason", "a\x00b"),
        ("reason", "a\u202eb"),
        ("reason", "a\ud800b"),
        ("reason", "x" * 501),
        ("reason", ["a"]),
        ("doctor_id", "2147483648"),
        ("doctor_id", 9223372036854775808),
        ("doctor_id", None),
        ("start_time", "2026-12-08T15:00:00"),
        ("start_time", "2026-12-08"),
        ("start_time", 1796742000),
        ("start_time", "9999-12-31T23:59:59Z"),
        ("start_time", "0001-01-01T00:00:00+14:00"),
        ("start_time", "2026-12-08T15:00:00+23:59"),
        ("end_time", "9999-12-31T23:59:59Z"),
    ):
        body = json.dumps({"doctor_id": doctor.id, "start_time": TEN, field: value})
        response = await patient.client.post("/appointments", content=body, headers=headers)
        named = [error["field"] for error in response.json().get("errors", [])]
        if (response.status_code, named) != (422, [field]):
            failures.append((field, value, response.text))
    assert not failures
    assert (await doctor.get("/appointments")).json() == []


async def test_reason_is_trimmed_and_optional(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    for hour, (reason, stored) in enumerate(
        [("  A mole\n", "A mole"), ("", None), (None, None), ("李 🙂", "李 🙂")], start=14
    ):
        assert (await patient.book(doctor, f"2026-12-08T{hour}:00:00Z", reason=reason))["reason"] == stored


async def test_administrator_has_no_appointments(admin: Person, doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, TEN)
    assert (await admin.get("/auth/me")).json()["role"] == "admin"
    assert (await admin.get("/appointments")).json() == []
    assert_problem(await admin.get(f"/appointments/{booked['id']}"), 404, "not_found")
    assert_problem(await admin.delete(f"/appointments/{booked['id']}"), 404, "not_found")
    assert_problem(await admin.try_to_book(doctor, HALF_PAST), 403, "wrong_role")


async def test_token_of_a_suspended_or_deleted_account_is_refused(register: Register, database: Database) -> None:
    for change in (
        "UPDATE users SET suspended_at = created_at",
        "DELETE FROM login_sessions",
        "DELETE FROM users",
    ):
        patient = await register()
        assert (await patient.get("/appointments")).status_code == 200
        async with database.write() as transaction:
            await transaction.execute(text(change))
        assert_problem(await patient.get("/appointments"), 401, "not_authenticated")


async def test_changed_role_applies_to_an_existing_token(patient: Person, doctor: Person, database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE users SET role = 'doctor'"))
    assert_problem(await patient.try_to_book(doctor, TEN), 403, "wrong_role")
