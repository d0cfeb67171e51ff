"""Reading the audit trail."""

import pytest

from tests.api.conftest import SETUP_ACTIONS, ReadNewEvents, RecordedEvent
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem, next_page

TEN, ELEVEN = "2026-12-08T15:00:00Z", "2026-12-08T16:00:00Z"


@pytest.fixture(autouse=True)
async def published_window(doctor: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")


async def test_one_query_lists_all_access_to_a_patient(
    doctor: Person, patient: Person, register: Register, admin: Person, read_new_events: ReadNewEvents
) -> None:
    other = await register()
    booked = await patient.book(doctor, TEN, reason="A mole")
    await other.book(doctor, ELEVEN)
    await doctor.get("/doctors/me/appointments")
    await read_new_events()
    response = await admin.get("/admin/audit", params={"patient_id": patient.id})
    assert response.status_code == 200
    events = response.json()
    assert [(each["action"], each["actor_id"], each["actor_role"]) for each in events] == [
        ("list_doctors_appointments", doctor.id, "doctor"),
        ("book_appointment", patient.id, "patient"),
        ("register", patient.id, "patient"),
    ]
    assert events[0] == {
        "id": events[0]["id"],
        "occurred_at": "2026-12-01T08:00:00Z",
        "actor_id": doctor.id,
        "actor_role": "doctor",
        "action": "list_doctors_appointments",
        "outcome": "ok",
        "patient_id": patient.id,
        "object_id": booked["id"],
        "address": "127.0.0.1",
        "request_id": events[0]["request_id"],
        "reason": None,
        "position": None,
    }
    assert "mole" not in response.text
    assert await read_new_events() == [RecordedEvent("list_audit_events", admin.id, patient.id)]
    await admin.get("/admin/audit")
    assert await read_new_events() == [RecordedEvent("list_audit_events", admin.id, None)]


async def test_audit_trail_is_filtered(doctor: Person, patient: Person, admin: Person, clock: SetClock) -> None:
    async def actions(**query: str) -> list[str]:
        response = await admin.get("/admin/audit", params=query)
        assert response.status_code == 200, response.text
        return [
            each["action"] for each in response.json() if each["action"] not in {"list_audit_events", *SETUP_ACTIONS}
        ]

    await patient.book(doctor, TEN)
    clock.advance(minutes=1)
    await patient.get("/appointments")
    clock.advance(minutes=1)
    await doctor.get("/appointments")
    assert await actions() == ["list_appointments", "list_appointments", "book_appointment"]
    assert await actions(actor_id=doctor.id) == ["list_appointments"]
    assert await actions(actor_id=doctor.id, patient_id=doctor.id) == []
    assert await actions(action="book_appointment", patient_id=patient.id) == ["book_appointment"]
    minutes = [f"2026-12-01T08:0{minute}:00Z" for minute in range(3)]
    assert await actions(**{"from": minutes[1]}) == ["list_appointments"] * 2
    assert await actions(to=minutes[1]) == ["book_appointment"], "the end is exclusive"
    assert await actions(**{"from": minutes[1], "to": minutes[2]}, actor_id=patient.id) == ["list_appointments"]
    for query in ({"action": "x y"}, {"cursor": "x"}, {"patient_id": "x"}, {"unknown": "x"}):
        assert_problem(await admin.get("/admin/audit", params=query), 422, "invalid_request")


async def test_audit_trail_is_paged_while_it_grows(
    doctor: Person, patient: Person, admin: Person, clock: SetClock
) -> None:
    await patient.book(doctor, TEN)
    for _ in range(6):
        await patient.get("/appointments")
        clock.advance(minutes=11)
        patient = await patient.log_in_again()
    admin = await admin.log_in_again()
    pages = []
    path: str | None = f"/admin/audit?patient_id={patient.id}&limit=3"
    while path:
        response = await admin.get(path)
        pages.append([each["id"] for each in response.json()])
        path = next_page(response)
    assert [len(page) for page in pages] == [3, 3, 2]
    ids = [id_ for page in pages for id_ in page]
    assert ids == sorted(ids, reverse=True)


async def test_only_administrators_read_the_audit_trail(doctor: Person, patient: Person, admin: Person) -> None:
    for person in (doctor, patient):
        assert_problem(await person.get("/admin/audit"), 403, "wrong_role")
    assert_problem(await admin.client.get("/admin/audit"), 401, "not_authenticated")
