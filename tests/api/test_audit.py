"""Audit events of requests about appointments: every response is recorded, and nothing else is."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from app.core.settings import Settings
from app.db.database import Database, Transaction
from app.models import AuditEvent
from tests.api.conftest import SETUP_ACTIONS, ReadNewEvents, RecordedEvent
from tests.conftest import CountStatements, Register, SetClock
from tests.databases import settings_for
from tests.people import Person, assert_problem

TEN, ELEVEN = "2026-12-08T15:00:00Z", "2026-12-08T16:00:00Z"


@pytest.fixture(autouse=True)
async def published_window(doctor: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")


async def test_requests_of_a_patient_about_an_appointment_are_recorded(
    doctor: Person, patient: Person, read_new_events: ReadNewEvents
) -> None:
    booked = (await patient.book(doctor, TEN))["id"]
    path = f"/appointments/{booked}"
    assert await read_new_events() == [RecordedEvent("book_appointment", patient.id, patient.id, booked)]
    await patient.get("/appointments")
    await patient.get(path)
    await patient.get(f"{path}/history")
    await patient.post(f"{path}/reschedule", {"start_time": ELEVEN})
    await patient.post(f"{path}/cancel", {})
    await patient.delete(path)
    assert await read_new_events() == [
        RecordedEvent(action, patient.id, patient.id, booked)
        for action in (
            "list_appointments",
            "get_appointment",
            "list_versions",
            "reschedule_appointment",
            "cancel_appointment_with_reason",
            "cancel_appointment",
        )
    ]
    held = (await patient.post("/holds", {"doctor_id": doctor.id, "start_time": TEN})).json()["id"]
    await patient.delete(f"/holds/{held}")
    assert await read_new_events() == [
        RecordedEvent("hold_time", patient.id, patient.id, held),
        RecordedEvent("release_hold", patient.id, patient.id, held),
    ]


async def test_requests_of_a_doctor_about_an_appointment_are_recorded(
    doctor: Person, patient: Person, read_new_events: ReadNewEvents, clock: SetClock
) -> None:
    booked = [(await patient.book(doctor, start))["id"] for start in (TEN, ELEVEN)]
    await read_new_events()
    clock.advance(days=7, hours=8)
    doctor = await doctor.log_in_again()
    await doctor.get(f"/appointments/{booked[0]}")
    for action, path in (("arrive", booked[0]), ("complete", booked[0]), ("no-show", booked[1])):
        assert (await doctor.post(f"/appointments/{path}/{action}", None)).status_code == 200
    assert await read_new_events() == [
        RecordedEvent("get_appointment", doctor.id, patient.id, booked[0]),
        RecordedEvent("arrive", doctor.id, patient.id, booked[0]),
        RecordedEvent("complete", doctor.id, patient.id, booked[0]),
        RecordedEvent("no_show", doctor.id, patient.id, booked[1]),
    ]


async def test_event_contains_time_address_and_request_id(
    doctor: Person, patient: Person, database: Database, clock: SetClock
) -> None:
    await patient.book(doctor, TEN)
    await patient.get("/appointments")
    async with database.read() as transaction:
        recorded = select(AuditEvent).where(AuditEvent.action.not_in(SETUP_ACTIONS)).order_by(AuditEvent.id)
        first, second = (await transaction.execute(recorded)).all()
    assert first.occurred_at == clock()
    assert first.actor_role == "patient"
    assert first.address == second.address == "127.0.0.1"
    assert first.request_id
    assert first.request_id != second.request_id
    assert (first.reason, first.position, first.hash) == (None, None, None)


@pytest.mark.parametrize("path", ["/appointments", "/doctors/me/appointments"])
async def test_list_is_recorded_for_each_patient_in_it(
    doctor: Person,
    register: Register,
    read_new_events: ReadNewEvents,
    count_statements: CountStatements,
    database: Database,
    path: str,
) -> None:
    people = [await register() for _ in range(3)]
    booked = [
        (await person.book(doctor, f"2026-12-08T{15 + hour}:00:00Z"))["id"]
        for hour, person in enumerate([*people, people[0]])
    ]
    await read_new_events()
    count_statements()
    await doctor.get(path)
    in_one = count_statements()
    action = "list_appointments" if path == "/appointments" else "list_doctors_appointments"
    assert set(await read_new_events()) == {
        RecordedEvent(action, doctor.id, people[0].id),  # two appointments, so none is named
        RecordedEvent(action, doctor.id, people[1].id, booked[1]),
        RecordedEvent(action, doctor.id, people[2].id, booked[2]),
    }
    async with database.read() as transaction:
        requests = select(AuditEvent.request_id).where(AuditEvent.action == action)
        assert len(set((await transaction.scalars(requests)).all())) == 1
    count_statements()
    await doctor.get(path, params={"limit": 1})
    assert count_statements() <= in_one, "many events are inserted with one statement"
    assert await read_new_events() == [RecordedEvent(action, doctor.id, people[0].id, booked[0])], (
        "only the patients on the page are recorded"
    )


async def test_empty_list_is_recorded_for_the_caller(
    doctor: Person, patient: Person, read_new_events: ReadNewEvents
) -> None:
    await doctor.get("/doctors/me/appointments")
    await patient.get("/appointments")
    assert await read_new_events() == [
        RecordedEvent("list_doctors_appointments", doctor.id, None),
        RecordedEvent("list_appointments", patient.id, patient.id),
    ]


async def test_affected_appointments_of_a_schedule_change_are_recorded(
    doctor: Person, patient: Person, read_new_events: ReadNewEvents
) -> None:
    booked = (await patient.book(doctor, TEN))["id"]
    await read_new_events()
    taken = await doctor.take_time_off("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    for _ in range(3):
        await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.update_profile(time_zone="UTC")
    changes = [
        ("take_time_off", taken["id"]),
        ("set_weekly_hours", None),
        ("set_weekly_hours", None),
        ("set_weekly_hours", None),
        ("change_practice", None),
    ]
    recorded = await read_new_events()
    assert [each for each in recorded if each.patient is None] == [
        RecordedEvent(action, doctor.id, None, changed) for action, changed in changes
    ]
    # Each change is recorded. The appointments that its response lists are recorded once per action.
    assert [each for each in recorded if each.patient] == [
        RecordedEvent(action, doctor.id, patient.id, booked)
        for action in ("take_time_off", "set_weekly_hours", "change_practice")
    ]
    other = await doctor.take_time_off("2027-12-08T14:00:00Z", "2027-12-08T22:00:00Z")
    assert await read_new_events() == [RecordedEvent("take_time_off", doctor.id, None, other["id"])]
    assert taken["affected_count"] == 1


async def test_replayed_response_is_recorded(
    doctor: Person, patient: Person, read_new_events: ReadNewEvents, clock: SetClock
) -> None:
    async def send_and_repeat(person: Person, path: str, body: Any = None) -> list[RecordedEvent]:
        headers = person.headers | {"Idempotency-Key": path}
        for replayed in (False, True, True):
            response = await person.client.post(path, headers=headers, json=body)
            assert response.status_code in {200, 201}, response.text
            assert ("idempotency-replayed" in response.headers) == replayed
            if replayed:
                clock.advance(minutes=1)
            else:
                clock.advance(minutes=11)
        return await read_new_events()

    first, again = await send_and_repeat(patient, "/appointments", {"doctor_id": doctor.id, "start_time": TEN})
    assert first == again == RecordedEvent("book_appointment", patient.id, patient.id, first.object)
    held = await send_and_repeat(patient, "/holds", {"doctor_id": doctor.id, "start_time": ELEVEN})
    assert held[0] == held[1]
    assert held[0].object
    window = {"start_time": "2026-12-08T14:00:00Z", "end_time": "2026-12-08T22:00:00Z"}
    doctor = await doctor.log_in_again()
    taken, *affected = await send_and_repeat(doctor, "/doctors/me/time-off", window)
    assert (taken.action, taken.patient) == ("take_time_off", None)
    assert affected == [RecordedEvent("take_time_off", doctor.id, patient.id, first.object)] * 2
    clock.advance(days=7, hours=7)
    doctor = await doctor.log_in_again()
    arrived = await send_and_repeat(doctor, f"/appointments/{first.object}/arrive")
    assert arrived == [RecordedEvent("arrive", doctor.id, patient.id, first.object)] * 2


async def test_failed_booking_is_not_recorded(
    doctor: Person, patient: Person, register: Register, read_new_events: ReadNewEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_transaction: Transaction) -> None:
        raise ConnectionResetError

    await (await register()).book(doctor, TEN)
    await read_new_events()
    assert_problem(await patient.try_to_book(doctor, TEN), 409, "slot_taken")
    assert_problem(await patient.try_to_book(doctor, "tomorrow"), 422, "invalid_request")
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "commit", fail)
        assert_problem(await patient.try_to_book(doctor, ELEVEN), 503, "busy")
    assert await read_new_events() == []


async def test_response_is_withheld_if_it_cannot_be_recorded(
    doctor: Person, patient: Person, database: Database
) -> None:
    async def rename(old: str, new: str) -> None:
        async with database.write() as transaction:
            await transaction.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    booked = (await patient.book(doctor, TEN, reason="A mole"))["id"]
    await rename("audit_events", "renamed")
    try:
        response = await doctor.get(f"/appointments/{booked}")
    finally:
        await rename("renamed", "audit_events")
    assert_problem(response, 500, "internal_error")
    assert "A mole" not in response.text


async def test_requests_without_patient_data_are_not_recorded(
    doctor: Person, patient: Person, read_new_events: ReadNewEvents
) -> None:
    for path in ("", "/availability", "/slots", "/next-slot", f"/explain?start_time={TEN}", "/visit-types"):
        assert (await patient.get(f"/doctors/{doctor.id}{path}")).status_code == 200
    for path in ("/doctors/me", "/doctors/me/hours", "/doctors/me/availability", "/doctors/me/time-off", "/auth/me"):
        assert (await doctor.get(path)).status_code == 200
    assert await read_new_events() == []


async def test_refused_access_is_recorded(
    doctor: Person, patient: Person, register: Register, read_new_events: ReadNewEvents
) -> None:
    booked = (await patient.book(doctor, TEN))["id"]
    held = (await patient.post("/holds", {"doctor_id": doctor.id, "start_time": ELEVEN})).json()["id"]
    await read_new_events()
    stranger, other_doctor, nothing = await register(), await register("doctor"), str(uuid4())
    assert_problem(await stranger.get(f"/appointments/{booked}"), 404, "not_found")
    assert_problem(await other_doctor.delete(f"/appointments/{booked}"), 404, "not_found")
    assert_problem(await stranger.delete(f"/holds/{held}"), 404, "not_found")
    assert_problem(await stranger.get(f"/appointments/{nothing}/history"), 404, "not_found")
    assert_problem(await patient.post(f"/appointments/{booked}/arrive", None), 403, "wrong_role")
    assert_problem(await patient.get("/doctors/me/hours"), 403, "wrong_role")
    assert_problem(await doctor.get("/admin/audit"), 403, "wrong_role")
    assert await read_new_events() == [
        RecordedEvent("get_appointment", stranger.id, None, booked, "not_found"),
        RecordedEvent("cancel_appointment", other_doctor.id, None, booked, "not_found"),
        RecordedEvent("release_hold", stranger.id, None, held, "not_found"),
        RecordedEvent("list_versions", stranger.id, None, nothing, "not_found"),
        RecordedEvent("arrive", patient.id, None, booked, "wrong_role"),
        RecordedEvent("get_weekly_hours", patient.id, None, None, "wrong_role"),
        RecordedEvent("list_audit_events", doctor.id, None, None, "wrong_role"),
    ]


async def test_unauthenticated_requests_are_not_recorded(
    doctor: Person, patient: Person, read_new_events: ReadNewEvents
) -> None:
    booked = (await patient.book(doctor, TEN))["id"]
    await read_new_events()
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        response = await patient.client.get(f"/appointments/{booked}", headers=headers)
        assert_problem(response, 401, "not_authenticated")
    assert_problem(await patient.get(f"/doctors/{uuid4()}"), 404, "not_found")
    assert_problem(await doctor.delete(f"/doctors/availability/{uuid4()}"), 404, "not_found")
    assert_problem(await patient.get("/nowhere"), 404, "no_such_path")
    assert await read_new_events() == []


class TestWithShortDatabaseTimeout:
    @pytest.fixture
    def settings(self, database_url: str) -> Settings:
        return settings_for(database_url).model_copy(update={"database_timeout_seconds": 1})

    async def test_refusal_is_sent_even_if_it_cannot_be_recorded(
        self,
        patient: Person,
        read_new_events: ReadNewEvents,
        database: Database,
        backend: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async with database.write() as transaction:
            lock = "LOCK TABLE audit_events" if backend == "postgresql" else "SELECT 1"
            await transaction.execute(text(lock))
            assert_problem(await patient.get("/doctors/me/hours"), 403, "wrong_role")
        assert any("a refusal was not recorded" in message for message in caplog.messages)
        assert await read_new_events() == []
