"""The status of appointments, moves, versions and history."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from tests.api.appointment_actions import act, path
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_windows

TEN, HALF_PAST, ELEVEN = "2026-12-08T15:00:00Z", "2026-12-08T15:30:00Z", "2026-12-08T16:00:00Z"


async def test_appointment_is_arrived_and_then_fulfilled(
    doctor: Person, booked: dict[str, Any], clock: SetClock
) -> None:
    clock.time = datetime(2026, 12, 8, 14, 50, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    arrived = await act(doctor, booked, "arrive")
    assert arrived.json() == booked | {"status": "arrived", "version": 2}
    clock.advance(minutes=25)
    complete = await act(doctor, booked, "complete")
    assert complete.json() == booked | {"status": "fulfilled", "version": 3}
    assert complete.headers["etag"] == '"3"'


async def test_appointment_is_fulfilled_without_an_arrival(
    doctor: Person, booked: dict[str, Any], clock: SetClock
) -> None:
    clock.time = datetime(2026, 12, 8, 15, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    assert (await act(doctor, booked, "complete")).json()["status"] == "fulfilled"


async def test_rest_of_a_missed_appointment_is_free(
    client: httpx2.AsyncClient, doctor: Person, booked: dict[str, Any], clock: SetClock, register: Register
) -> None:
    clock.time = datetime(2026, 12, 8, 15, 10, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    assert (await act(doctor, booked, "no-show")).json() == booked | {"status": "noshow", "version": 2}
    assert await get_windows(client, doctor, to="2026-12-09T00:00:00Z") == [
        ("2026-12-08T15:10:00Z", "2026-12-08T22:00:00Z")
    ]
    await (await register()).book(doctor, "2026-12-08T15:10:00Z")


async def test_outcome_is_noted_only_in_its_time(clock: SetClock, register: Register) -> None:
    failures = []
    for action, time, code in (
        ("arrive", "2026-12-08T02:59:59.999999+00:00", "too_early"),
        ("arrive", "2026-12-08T03:00:00+00:00", None),
        ("complete", "2026-12-08T14:59:59.999999+00:00", "too_early"),
        ("complete", "2026-12-08T15:00:00+00:00", None),
        ("no-show", "2026-12-08T14:59:59.999999+00:00", "too_early"),
        ("no-show", "2026-12-08T15:00:00+00:00", None),
        ("no-show", "2027-12-08T15:00:00+00:00", None),
    ):
        clock.time = datetime(2026, 12, 1, 8, tzinfo=UTC)
        doctor, patient = await register("doctor"), await register()
        await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
        booked = await patient.book(doctor, TEN)
        clock.time = datetime.fromisoformat(time)
        doctor = await doctor.log_in_again()
        response = await act(doctor, booked, action)
        outcome = response.json().get("code")
        unchanged = (await doctor.get(path(booked))).json() == booked
        if (outcome, unchanged) != (code, code is not None):
            failures.append((action, time, outcome))
    assert not failures


@pytest.mark.parametrize(("action", "status"), [("cancel", "cancelled"), ("no-show", "noshow")])
async def test_arrived_appointment_can_be_cancelled_or_missed(
    client: httpx2.AsyncClient, doctor: Person, booked: dict[str, Any], clock: SetClock, action: str, status: str
) -> None:
    clock.time = datetime(2026, 12, 8, 15, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    await act(doctor, booked, "arrive")
    assert (await act(doctor, booked, action)).json()["status"] == status
    assert await get_windows(client, doctor) == [(TEN, "2026-12-08T22:00:00Z")]


@pytest.mark.parametrize("caller", ["doctor", "patient"])
async def test_arrived_appointment_is_booked_again_when_it_moves(
    doctor: Person, patient: Person, booked: dict[str, Any], clock: SetClock, caller: str
) -> None:
    clock.time = datetime(2026, 12, 8, 14, 50, tzinfo=UTC)
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    await act(doctor, booked, "arrive")
    moved = await act({"doctor": doctor, "patient": patient}[caller], booked, "reschedule", {"start_time": ELEVEN})
    assert (moved.json()["status"], moved.json()["start_time"], moved.json()["version"]) == ("booked", ELEVEN, 3)
    assert (await patient.get(path(booked))).json() == moved.json()


@pytest.mark.parametrize("end", ["complete", "no-show", "cancel"])
async def test_appointment_with_an_outcome_cannot_change(
    doctor: Person, booked: dict[str, Any], clock: SetClock, end: str
) -> None:
    clock.time = datetime(2026, 12, 8, 15, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    ended = await act(doctor, booked, end)
    assert ended.status_code == 200
    failures = []
    for action in ("arrive", "complete", "no-show", "cancel", "reschedule"):
        body = {"start_time": "2026-12-08T18:00:00Z"} if action == "reschedule" else None
        response = await act(doctor, booked, action, body)
        if (end, action) == ("cancel", "cancel"):
            expected = response.json() == ended.json()  # cancelling again returns the same
        else:
            expected = (response.status_code, response.json()["code"]) == (409, "wrong_status")
        if not expected or (await doctor.get(path(booked))).json() != ended.json():
            failures.append((action, response.text))
    assert not failures


async def test_only_the_doctor_of_the_appointment_notes_an_outcome(
    patient: Person, booked: dict[str, Any], clock: SetClock, register: Register
) -> None:
    other = await register("doctor")
    clock.time = datetime(2026, 12, 8, 15, tzinfo=UTC)
    patient, other = await patient.log_in_again(), await other.log_in_again()
    for action in ("arrive", "complete", "no-show"):
        assert_problem(await act(patient, booked, action), 403, "wrong_role")
        assert_problem(await act(other, booked, action), 404, "not_found")
    for action, body in (("cancel", {}), ("reschedule", {"start_time": ELEVEN})):
        assert_problem(await act(other, booked, action, body), 404, "not_found")
    assert_problem(await other.get(path(booked, "history")), 404, "not_found")


async def test_cancellation_keeps_its_reason(doctor: Person, patient: Person, booked: dict[str, Any]) -> None:
    response = await act(patient, booked, "cancel", {"reason": " I am down with a cold "})
    assert response.json()["cancel_reason"] == "I am down with a cold"
    assert (await doctor.get(path(booked))).json() == response.json()


async def test_cancellation_needs_no_reason(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    requests: list[dict[str, Any]] = [{}, {"json": {}}, {"json": {"reason": ""}}, {"json": None}]
    for options in requests:
        booked = await patient.book(doctor, TEN)
        response = await patient.client.post(path(booked, "cancel"), headers=patient.headers, **options)
        assert response.status_code == 200, response.text
        assert (response.json()["status"], response.json()["cancel_reason"]) == ("cancelled", None)


async def test_invalid_cancellation_is_refused(patient: Person, booked: dict[str, Any]) -> None:
    bodies: list[Any] = [{"reason": "x" * 501}, {"reason": "a\x00"}, {"reason": 1}, {"status": "x"}, []]
    responses = [await act(patient, booked, "cancel", body) for body in bodies]
    assert [response.json().get("code") for response in responses] == ["invalid_request"] * len(bodies)
    assert (await patient.get(path(booked))).json() == booked


async def test_cancel_cutoff_binds_the_patient_and_not_the_doctor(
    doctor: Person, patient: Person, booked: dict[str, Any], clock: SetClock
) -> None:
    await doctor.client.patch("/doctors/me", headers=doctor.headers, json={"cancel_cutoff_minutes": 60})
    clock.time = datetime(2026, 12, 8, 14, 0, 0, 1, tzinfo=UTC)
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    assert_problem(await patient.delete(path(booked)), 409, "too_late")
    assert_problem(await act(patient, booked, "reschedule", {"start_time": "2026-12-08T20:00:00Z"}), 409, "too_late")
    moved = await act(doctor, booked, "reschedule", {"start_time": "2026-12-08T20:00:00Z"})
    assert moved.status_code == 200
    assert (await patient.delete(path(booked))).status_code == 200, "the new time is after the cutoff"


@pytest.mark.parametrize("caller", ["doctor", "patient"])
async def test_moved_appointment_frees_its_old_time(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, booked: dict[str, Any], caller: str
) -> None:
    mover = {"doctor": doctor, "patient": patient}[caller]
    moved = await act(mover, booked, "reschedule", {"start_time": "2026-12-08T12:15:00-05:00"})
    expected = booked | {"start_time": "2026-12-08T17:15:00Z", "end_time": "2026-12-08T17:45:00Z", "version": 2}
    assert moved.json() == expected
    assert (await patient.get(path(booked))).json() == expected
    assert await get_windows(client, doctor) == [
        ("2026-12-08T14:00:00Z", "2026-12-08T17:15:00Z"),
        ("2026-12-08T17:45:00Z", "2026-12-08T22:00:00Z"),
    ]


async def test_moved_appointment_keeps_its_length_and_may_overlap_its_old_time(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, TEN, ELEVEN)
    moved = (await act(patient, booked, "reschedule", {"start_time": HALF_PAST})).json()
    assert (moved["start_time"], moved["end_time"]) == (HALF_PAST, "2026-12-08T16:30:00Z")


async def add_visit_type(doctor: Person, name: str, minutes: int) -> str:
    body = {"name": name, "duration_minutes": minutes, "buffer_after_minutes": 10}
    offered: str = (await doctor.post("/doctors/me/visit-types", body)).json()["id"]
    return offered


async def test_move_can_change_the_visit_type(doctor: Person, patient: Person, booked: dict[str, Any]) -> None:
    check_up = await add_visit_type(doctor, "Check-up", 20)
    body = {"start_time": ELEVEN, "visit_type_id": check_up}
    moved = (await act(patient, booked, "reschedule", body)).json()
    assert moved["visit_type"] == {"id": check_up, "name": "Check-up"}
    assert moved["end_time"] == "2026-12-08T16:20:00Z"
    assert_problem(await act(patient, booked, "reschedule", body | {"visit_type_id": patient.id}), 404, "not_found")
    history = (await patient.get(path(booked, "history"))).json()
    assert [each["visit_type_id"] for each in history] == [None, check_up]


async def test_moved_appointment_keeps_a_withdrawn_visit_type(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    check_up, first_visit = (
        await add_visit_type(doctor, "Check-up", 20),
        await add_visit_type(doctor, "First visit", 50),
    )
    booked = await patient.book(doctor, TEN, visit_type_id=check_up)
    assert (await doctor.delete(f"/doctors/me/visit-types/{check_up}")).status_code == 204
    moved = (await act(patient, booked, "reschedule", {"start_time": ELEVEN})).json()
    assert (moved["visit_type"], moved["end_time"]) == (booked["visit_type"], "2026-12-08T16:20:00Z")
    withdrawn = await act(patient, booked, "reschedule", {"start_time": TEN, "visit_type_id": check_up})
    assert_problem(withdrawn, 404, "not_found")
    changed = await act(patient, booked, "reschedule", {"start_time": ELEVEN, "visit_type_id": first_visit})
    assert changed.status_code == 200
    assert_problem(await act(patient, booked, "reschedule", {"start_time": "2026-12-08T16:10:00Z"}), 409, "off_grid")


async def test_moved_appointment_without_a_visit_type_keeps_its_length(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, TEN, "2026-12-08T15:40:00Z")
    await add_visit_type(doctor, "Check-up", 20)
    moved = (await act(patient, booked, "reschedule", {"start_time": "2026-12-08T16:05:00Z"})).json()
    assert (moved["visit_type"], moved["end_time"]) == (None, "2026-12-08T16:45:00Z")


async def test_move_to_the_same_time_changes_nothing(doctor: Person, patient: Person, booked: dict[str, Any]) -> None:
    await doctor.post("/doctors/me/time-off", {"start_time": TEN, "end_time": ELEVEN})
    assert (await act(patient, booked, "reschedule", {"start_time": TEN})).json() == booked
    assert len((await patient.get(path(booked, "history"))).json()) == 1


async def test_failed_move_keeps_the_old_time(
    doctor: Person, patient: Person, booked: dict[str, Any], register: Register
) -> None:
    other_doctor, other_patient = await register("doctor"), await register()
    await other_doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(other_doctor, "2026-12-08T17:15:00Z")
    await other_patient.book(doctor, ELEVEN)
    for start, code in (
        (ELEVEN, "slot_taken"),
        ("2026-12-08T17:00:00Z", "patient_busy"),
        ("2026-12-08T21:45:00Z", "outside_availability"),
        ("2026-11-30T15:00:00Z", "in_the_past"),
    ):
        assert_problem(await act(patient, booked, "reschedule", {"start_time": start}), 409, code)
        assert (await patient.get(path(booked))).json() == booked
        assert_problem(await other_patient.try_to_book(doctor, TEN), 409, "slot_taken")
    assert len((await patient.get(path(booked, "history"))).json()) == 1


async def test_daily_limit_does_not_count_the_moved_appointment_twice(
    doctor: Person, patient: Person, booked: dict[str, Any], register: Register
) -> None:
    await doctor.client.patch("/doctors/me", headers=doctor.headers, json={"daily_limit": 1})
    assert_problem(await (await register()).try_to_book(doctor, ELEVEN), 409, "day_full")
    assert (await act(patient, booked, "reschedule", {"start_time": ELEVEN})).status_code == 200


async def test_invalid_move_is_refused(patient: Person, booked: dict[str, Any]) -> None:
    bodies: list[Any] = [
        {},
        {"start_time": None},
        {"start_time": "2026-12-08"},
        {"start_time": TEN, "end_time": ELEVEN},
    ]
    responses = [await act(patient, booked, "reschedule", body) for body in bodies]
    assert [response.json().get("code") for response in responses] == ["invalid_request"] * len(bodies)
    assert (await patient.get(path(booked))).json() == booked


async def test_hold_is_not_readable_as_an_appointment(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, booked: dict[str, Any]
) -> None:
    hold = (await patient.post("/holds", {"doctor_id": doctor.id, "start_time": ELEVEN})).json()
    for person in (doctor, patient):
        assert (await person.get("/appointments")).json() == [booked]
        for response in (
            await person.get(path(hold)),
            await person.delete(path(hold)),
            await person.get(path(hold, "history")),
            await act(person, hold, "reschedule", {"start_time": TEN}),
        ):
            assert_problem(response, 404, "not_found")
    assert_problem(await patient.get("/appointments?status=pending"), 422, "invalid_request")
    assert (ELEVEN, "2026-12-08T16:30:00Z") not in await get_windows(client, doctor)
