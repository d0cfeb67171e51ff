"""Administrators see the upcoming visits of a suspended doctor, and cancel them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, get_windows, next_page

REASON = {"reason": "The practice has closed"}
NOON, TWO = "2026-12-08T17:00:00Z", "2026-12-08T19:00:00Z"
UNKNOWN = "019abcde-f012-7345-8678-9abcdef01234"


@pytest.fixture
async def visit(doctor: Person, patient: Person) -> dict[str, Any]:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    check_up = (await doctor.add_visit_type(name="HIV test"))["id"]
    return await patient.book(doctor, NOON, visit_type_id=check_up, reason="A mole on the left arm")


async def suspend(admin: Person, doctor: Person) -> str:
    """Suspend the doctor. Returns the path of the list of their visits."""
    assert (await admin.post(f"/admin/users/{doctor.id}/suspend", REASON)).status_code == 200
    return f"/admin/users/{doctor.id}/appointments"


async def test_list_contains_no_medical_data(
    admin: Person, doctor: Person, patient: Person, visit: dict[str, Any]
) -> None:
    listed = await admin.get(await suspend(admin, doctor))
    assert listed.json() == [
        {
            "id": visit["id"],
            "patient_id": patient.id,
            "patient": {"id": patient.id, "name": "Ann Lee"},
            "start_time": NOON,
            "end_time": visit["end_time"],
            "time_zone": "America/New_York",
            "status": "booked",
            "version": 1,
        }
    ]
    [event] = (await admin.get("/admin/audit?action=list_visits_of_suspended_doctor")).json()
    assert (event["actor_id"], event["patient_id"], event["object_id"]) == (admin.id, patient.id, visit["id"])


async def test_ended_and_cancelled_visits_are_not_listed(
    admin: Person, doctor: Person, patient: Person, visit: dict[str, Any], clock: SetClock
) -> None:
    visit_type_id = visit["visit_type_id"]
    cancelled = await patient.book(doctor, TWO, visit_type_id=visit_type_id)
    await patient.delete(f"/appointments/{cancelled['id']}")
    clock.time = datetime(2026, 12, 8, 16, 30, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    assert (await doctor.post(f"/appointments/{visit['id']}/arrive", None)).status_code == 200
    admin = await admin.log_in_again()
    visits = await suspend(admin, doctor)
    ends = datetime.fromisoformat(visit["end_time"])
    for now in (clock.time, ends - timedelta(seconds=1)):
        clock.time = now
        admin = await admin.log_in_again()
        assert [(each["id"], each["status"]) for each in (await admin.get(visits)).json()] == [(visit["id"], "arrived")]
    clock.time = ends
    admin = await admin.log_in_again()
    assert (await admin.get(visits)).json() == []
    assert_problem(await admin.post(f"{visits}/{visit['id']}/cancel", REASON), 404, "not_found")
    [event] = (await admin.get("/admin/audit?action=list_visits_of_suspended_doctor&limit=1")).json()
    assert (event["patient_id"], event["object_id"]) == (None, doctor.id)


async def test_administrator_cancels_a_visit(
    client: httpx2.AsyncClient, admin: Person, doctor: Person, patient: Person, visit: dict[str, Any]
) -> None:
    visits = await suspend(admin, doctor)
    cancel = f"{visits}/{visit['id']}/cancel"
    cancelled = await admin.post(cancel, REASON)
    assert (cancelled.status_code, cancelled.headers["ETag"]) == (200, '"2"')
    assert cancelled.json()["status"] == "cancelled"
    assert "reason" not in cancelled.json()
    appointment = (await patient.get(f"/appointments/{visit['id']}")).json()
    assert (appointment["status"], appointment["cancelled_by"], appointment["cancel_reason"]) == (
        "cancelled",
        admin.id,
        REASON["reason"],
    )
    assert (await admin.get(visits)).json() == []
    [event] = (await admin.get("/admin/audit?action=cancel_visit_of_suspended_doctor")).json()
    assert (event["actor_id"], event["patient_id"], event["object_id"]) == (admin.id, patient.id, visit["id"])
    assert event["reason"] == REASON["reason"]

    again = await admin.post(cancel, {"reason": "Another reason than before"})
    assert again.json() == cancelled.json(), "cancelling again changes nothing"
    assert (await patient.get(f"/appointments/{visit['id']}")).json() == appointment
    history = (await patient.get(f"/appointments/{visit['id']}/history")).json()
    assert [(each["status"], each["changed_by"]) for each in history] == [
        ("booked", patient.id),
        ("cancelled", admin.id),
    ]

    await admin.post(f"/admin/users/{doctor.id}/reinstate", REASON)
    doctor = await doctor.log_in_again()
    assert len(await get_windows(client, doctor, **{"from": "2026-12-08T00:00:00Z"})) == 1
    assert_problem(await doctor.post(f"/appointments/{visit['id']}/undo", None), 409, "wrong_status")


async def test_cancel_cutoff_does_not_bind_administrators(
    admin: Person, doctor: Person, visit: dict[str, Any], clock: SetClock
) -> None:
    await doctor.update_profile(cancel_cutoff_minutes=600)
    clock.time = datetime(2026, 12, 8, 16, 55, tzinfo=UTC)
    admin = await admin.log_in_again()
    visits = await suspend(admin, doctor)
    assert (await admin.post(f"{visits}/{visit['id']}/cancel", REASON)).json()["status"] == "cancelled"


async def test_visit_with_an_outcome_cannot_be_cancelled(
    admin: Person, doctor: Person, visit: dict[str, Any], clock: SetClock
) -> None:
    clock.time = datetime(2026, 12, 8, 17, 5, tzinfo=UTC)
    doctor, admin = await doctor.log_in_again(), await admin.log_in_again()
    assert (await doctor.post(f"/appointments/{visit['id']}/complete", None)).status_code == 200
    visits = await suspend(admin, doctor)
    assert (await admin.get(visits)).json() == []
    assert_problem(await admin.post(f"{visits}/{visit['id']}/cancel", REASON), 409, "wrong_status")


async def test_visits_of_other_doctors_cannot_be_listed_or_cancelled(
    admin: Person, doctor: Person, patient: Person, visit: dict[str, Any], register: Register
) -> None:
    visits = f"/admin/users/{doctor.id}/appointments"
    cancel = f"{visits}/{visit['id']}/cancel"
    assert_problem(await admin.get(visits), 409, "doctor_not_suspended")
    assert_problem(await admin.post(cancel, REASON), 409, "doctor_not_suspended")
    await suspend(admin, doctor)
    await admin.post(f"/admin/users/{doctor.id}/reinstate", REASON)
    assert_problem(await admin.post(cancel, REASON), 409, "doctor_not_suspended")
    assert_problem(await admin.get(f"/admin/users/{patient.id}/appointments"), 404, "not_found")
    assert_problem(await admin.get(f"/admin/users/{UNKNOWN}/appointments"), 404, "not_found")
    await suspend(admin, patient)
    assert_problem(await admin.get(f"/admin/users/{patient.id}/appointments"), 404, "not_found")

    colleague = await register("doctor")
    other_visits = await suspend(admin, colleague)
    assert_problem(await admin.post(f"{other_visits}/{visit['id']}/cancel", REASON), 404, "not_found")
    await suspend(admin, doctor)
    assert_problem(await admin.post(f"{visits}/{UNKNOWN}/cancel", REASON), 404, "not_found")
    assert (await admin.get(visits)).json()[0]["status"] == "booked"


async def test_erased_doctor_has_no_visits(
    admin: Person, doctor: Person, patient: Person, visit: dict[str, Any]
) -> None:
    visits = await suspend(admin, doctor)
    assert (await admin.post(f"/admin/users/{doctor.id}/erase", REASON)).json()["status"] == "erased"
    assert (await patient.get(f"/appointments/{visit['id']}")).json()["status"] == "cancelled"
    assert_problem(await admin.get(visits), 404, "not_found")
    assert_problem(await admin.post(f"{visits}/{visit['id']}/cancel", REASON), 404, "not_found")


async def test_cancellation_requires_a_reason_and_a_fresh_log_in(
    admin: Person, doctor: Person, visit: dict[str, Any], clock: SetClock
) -> None:
    visits = await suspend(admin, doctor)
    cancel = f"{visits}/{visit['id']}/cancel"
    for body in ({}, {"reason": "too short"}, {"reason": " " * 20}, REASON | {"version": 1}):
        assert_problem(await admin.post(cancel, body), 422, "invalid_request")
    clock.advance(minutes=11)
    assert_problem(await admin.get(visits), 403, "log_in_again")
    assert_problem(await admin.post(cancel, REASON), 403, "log_in_again")


async def test_cancellation_accepts_a_key_and_a_version(admin: Person, doctor: Person, visit: dict[str, Any]) -> None:
    visits = await suspend(admin, doctor)
    cancel = f"{visits}/{visit['id']}/cancel"

    async def send(**headers: str) -> httpx2.Response:
        return await admin.client.post(cancel, json=REASON, headers=admin.headers | headers)

    assert_problem(await send(**{"If-Match": '"2"'}), 412, "version_mismatch")
    first = await send(**{"If-Match": '"1"', "Idempotency-Key": "k"})
    second = await send(**{"If-Match": '"1"', "Idempotency-Key": "k"})
    assert first.status_code == 200
    assert (second.json(), second.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert second.headers["ETag"] == '"2"'


async def test_visits_are_paged(admin: Person, doctor: Person, register: Register) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = [
        (await (await register("patient")).book(doctor, f"2026-12-08T{hour}:00:00Z"))["id"]
        for hour in (19, 15, 17, 16, 18)
    ]
    page: str | None = f"{await suspend(admin, doctor)}?limit=2"
    listed: list[str] = []
    pages = 0
    while page:
        response = await admin.get(page)
        listed += [each["id"] for each in response.json()]
        page, pages = next_page(response), pages + 1
    assert (listed, pages) == ([booked[number] for number in (1, 3, 2, 4, 0)], 3)
    assert_problem(await admin.get(f"/admin/users/{doctor.id}/appointments?cursor=abc"), 422, "invalid_request")
