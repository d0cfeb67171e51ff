"""Undoing the last change of an appointment's status."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from app.db.database import Database
from tests.api.appointment_actions import act
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_windows

TEN, HALF_PAST = "2026-12-08T15:00:00Z", "2026-12-08T15:30:00Z"
STARTED_AT = datetime(2026, 12, 8, 15, tzinfo=UTC)


@pytest.fixture
async def booked(doctor: Person, patient: Person) -> dict[str, Any]:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    return await patient.book(doctor, TEN)


async def get_appointment(person: Person, appointment: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await person.get(f"/appointments/{appointment['id']}")).json()
    return found


async def test_last_status_change_is_undone(client: httpx2.AsyncClient, clock: SetClock, register: Register) -> None:
    registered_at = clock.time
    for actions, status in (
        (["arrive"], "booked"),
        (["complete"], "booked"),
        (["no-show"], "booked"),
        (["cancel"], "booked"),
        (["arrive", "complete"], "arrived"),
        (["arrive", "no-show"], "arrived"),
        (["arrive", "cancel"], "arrived"),
        (["arrive", "complete", "undo"], "booked"),
    ):
        clock.time = registered_at
        doctor, patient = await register("doctor", time_zone="America/New_York"), await register()
        await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
        booked = await patient.book(doctor, TEN)
        clock.time = STARTED_AT
        doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
        for action in actions:
            assert (await act(doctor, booked, action)).status_code == 200, actions
        undone = await act(doctor, booked, "undo")
        version = len(actions) + 2
        assert undone.json() == booked | {"status": status, "version": version}, actions
        assert undone.headers["etag"] == f'"{version}"'
        assert await get_appointment(patient, booked) == undone.json()
        history = (await patient.get(f"/appointments/{booked['id']}/history")).json()
        assert [each["version"] for each in history] == [*range(1, version + 1)]
        assert (history[-1]["status"], history[-1]["changed_by"]) == (status, doctor.id), actions
        assert await get_windows(client, doctor) == [(HALF_PAST, "2026-12-08T22:00:00Z")], actions


async def test_undo_stops_at_the_booking(doctor: Person, booked: dict[str, Any], clock: SetClock) -> None:
    assert_problem(await act(doctor, booked, "undo"), 409, "wrong_status")
    clock.time = STARTED_AT
    doctor = await doctor.log_in_again()
    for action in ("arrive", "complete", "undo", "undo"):
        assert (await act(doctor, booked, action)).status_code == 200
    assert_problem(await act(doctor, booked, "undo"), 409, "wrong_status")
    assert (await act(doctor, booked, "no-show")).json()["version"] == 6


async def test_move_is_not_undone(doctor: Person, booked: dict[str, Any], clock: SetClock) -> None:
    clock.time = STARTED_AT
    doctor = await doctor.log_in_again()
    await act(doctor, booked, "arrive")
    moved = await doctor.post(f"/appointments/{booked['id']}/reschedule", {"start_time": "2026-12-08T18:00:00Z"})
    assert moved.json()["status"] == "booked"
    assert_problem(await act(doctor, booked, "undo"), 409, "wrong_status")
    assert await get_appointment(doctor, booked) == moved.json()


async def test_undo_is_refused_if_the_time_was_booked_meanwhile(clock: SetClock, register: Register) -> None:
    registered_at = clock.time
    for action in ("cancel", "no-show"):
        for code in ("slot_taken", "patient_busy"):
            clock.time = registered_at
            doctor, patient = await register("doctor"), await register()
            await doctor.publish(TEN, "2026-12-08T22:00:00Z")
            booked = await patient.book(doctor, TEN)
            clock.time = STARTED_AT
            other = await register("doctor" if code == "patient_busy" else "patient")
            doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
            freed = await act(doctor, booked, action)
            assert freed.status_code == 200
            if code == "patient_busy":
                await other.publish(TEN, "2026-12-08T22:00:00Z")
                await patient.book(other, TEN)
            else:
                await other.book(doctor, "2026-12-08T15:15:00Z")
            assert_problem(await act(doctor, booked, "undo"), 409, code)
            assert await get_appointment(doctor, booked) == freed.json(), (action, code)


async def test_hold_blocks_an_undo_until_it_expires(
    doctor: Person, booked: dict[str, Any], register: Register, clock: SetClock
) -> None:
    other = await register()
    await act(doctor, booked, "cancel")
    held = await other.post("/holds", {"doctor_id": doctor.id, "start_time": TEN})
    assert held.status_code == 201
    assert_problem(await act(doctor, booked, "undo"), 409, "slot_taken")
    clock.advance(minutes=5)
    assert (await act(doctor, booked, "undo")).json()["status"] == "booked"


async def test_hold_of_the_same_patient_does_not_block_an_undo(
    doctor: Person, patient: Person, booked: dict[str, Any]
) -> None:
    await act(doctor, booked, "cancel")
    held = await patient.post("/holds", {"doctor_id": doctor.id, "start_time": TEN})
    assert held.status_code == 201
    assert (await act(doctor, booked, "undo")).json()["status"] == "booked"
    assert_problem(await patient.delete(f"/holds/{held.json()['id']}"), 404, "not_found")


async def test_cancellation_by_the_patient_cannot_be_undone(
    doctor: Person, patient: Person, booked: dict[str, Any]
) -> None:
    cancelled = await act(patient, booked, "cancel")
    assert_problem(await act(doctor, booked, "undo"), 409, "wrong_status")
    assert await get_appointment(doctor, booked) == cancelled.json()


async def test_appointment_of_an_erased_patient_is_not_booked_again(
    doctor: Person, patient: Person, booked: dict[str, Any]
) -> None:
    await act(doctor, booked, "cancel")
    assert (await patient.delete("/auth/me")).status_code == 204
    assert_problem(await act(doctor, booked, "undo"), 409, "wrong_status")


async def test_undo_is_possible_until_the_end_of_the_day(clock: SetClock, register: Register) -> None:
    failures = []
    for noted_at, undone_at, code in (
        # Midnight in New York is 5 o'clock UTC.
        ("2026-12-08T15:00:00+00:00", "2026-12-09T04:59:59.999999+00:00", None),
        ("2026-12-08T15:00:00+00:00", "2026-12-09T05:00:00+00:00", "too_late"),
        ("2026-12-08T03:00:00+00:00", "2026-12-09T04:59:59.999999+00:00", None),
        ("2026-12-10T04:00:00+00:00", "2026-12-10T04:59:59.999999+00:00", None),
        ("2026-12-10T04:00:00+00:00", "2026-12-10T05:00:00+00:00", "too_late"),
    ):
        clock.time = datetime(2026, 12, 1, 8, tzinfo=UTC)
        doctor, patient = await register("doctor", time_zone="America/New_York"), await register()
        await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
        booked = await patient.book(doctor, TEN)
        clock.time = datetime.fromisoformat(noted_at)
        arrived = await act(await doctor.log_in_again(), booked, "arrive")
        assert arrived.status_code == 200
        clock.time = datetime.fromisoformat(undone_at)
        doctor = await doctor.log_in_again()
        outcome = (await act(doctor, booked, "undo")).json().get("code")
        status = (await get_appointment(doctor, booked))["status"]
        if (outcome, status) != (code, "arrived" if code else "booked"):
            failures.append((noted_at, undone_at, outcome, status))
    assert not failures


async def test_appointment_that_ends_at_midnight_belongs_to_the_day_before(
    doctor: Person, patient: Person, clock: SetClock
) -> None:
    await doctor.publish("2026-12-09T04:00:00Z", "2026-12-09T05:00:00Z")
    booked = await patient.book(doctor, "2026-12-09T04:30:00Z")
    clock.time = datetime(2026, 12, 9, 4, 30, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    assert (await act(doctor, booked, "complete")).status_code == 200
    clock.time += timedelta(minutes=30)
    assert_problem(await act(await doctor.log_in_again(), booked, "undo"), 409, "too_late")


async def test_only_the_doctor_of_the_appointment_can_undo(
    doctor: Person, patient: Person, booked: dict[str, Any], clock: SetClock, register: Register
) -> None:
    clock.time = STARTED_AT
    other = await register("doctor")
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    await act(doctor, booked, "arrive")
    assert_problem(await act(patient, booked, "undo"), 403, "wrong_role")
    assert_problem(await act(other, booked, "undo"), 404, "not_found")


async def test_undo_of_another_version_is_refused(doctor: Person, booked: dict[str, Any], clock: SetClock) -> None:
    clock.time = STARTED_AT
    doctor = await doctor.log_in_again()
    arrived = await act(doctor, booked, "arrive")
    assert_problem(await act(doctor, booked, "undo", **{"If-Match": '"1"'}), 412, "version_mismatch")
    assert await get_appointment(doctor, booked) == arrived.json()
    assert (await act(doctor, booked, "undo", **{"If-Match": '"2"'})).status_code == 200


async def test_undo_with_a_repeated_key_is_done_once(doctor: Person, booked: dict[str, Any], clock: SetClock) -> None:
    clock.time = STARTED_AT
    doctor = await doctor.log_in_again()
    for action in ("arrive", "complete"):
        await act(doctor, booked, action)
    responses = [await act(doctor, booked, "undo", **{"Idempotency-Key": "tap"}) for _ in range(2)]
    assert [each.json()["status"] for each in responses] == ["arrived", "arrived"]
    assert responses[1].headers["idempotency-replayed"] == "true"


async def test_undo_without_an_earlier_version_returns_to_booked(
    doctor: Person, booked: dict[str, Any], database: Database
) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE appointments SET status = 'noshow'"))
    assert (await act(doctor, booked, "undo")).json()["status"] == "booked"


async def test_search_follows_cancellation_and_undo(
    client: httpx2.AsyncClient, doctor: Person, booked: dict[str, Any]
) -> None:
    await doctor.update_profile(specialty="Dermatology")

    async def first() -> str:
        found = await client.get("/search/slots", params={"specialty": "Dermatology", "from": TEN, "limit": 1})
        start: str = found.json()[0]["start_time"]
        return start

    assert await first() == HALF_PAST
    await act(doctor, booked, "cancel")
    assert await first() == TEN
    await act(doctor, booked, "undo")
    assert await first() == HALF_PAST
    await act(doctor, booked, "cancel")
    assert await first() == TEN
