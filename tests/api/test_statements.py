"""How many statements a request takes. A number may go down; a higher one needs a reason.

Requests with patient data take one statement for the audit trail.
"""

from typing import Any

import httpx2
import pytest

from tests.conftest import CountStatements
from tests.people import PASSWORD, Person

TEN = "2026-12-08T15:00:00Z"


@pytest.fixture
async def appointment(doctor: Person, patient: Person) -> str:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    for day in range(9, 14):
        await doctor.publish(f"2026-12-{day:02}T14:00:00Z", f"2026-12-{day:02}T22:00:00Z")
        await patient.book(doctor, f"2026-12-{day:02}T15:00:00Z")
    booked: str = (await patient.book(doctor, TEN))["id"]
    await patient.get("/search/slots")  # so that the search offers exist
    return booked


async def test_reads_of_a_patient_take_few_statements(
    doctor: Person, patient: Person, appointment: str, backend: str, count_statements: CountStatements
) -> None:
    failures = []
    for path, expected in (
        ("/livez", 0),
        ("/auth/me", 2),
        ("/doctors", 4),
        (f"/doctors/{doctor.id}", 1),
        (f"/doctors/{doctor.id}/availability", 4),
        (f"/doctors/{doctor.id}/slots", 4),
        (f"/doctors/{doctor.id}/next-slot", 3),
        (f"/doctors/{doctor.id}/explain?start_time=2026-12-08T16:00:00Z", 3),
        (f"/doctors/{doctor.id}/visit-types", 2),
        ("/search/slots?limit=5", 5 if backend == "postgresql" else 4),  # on PostgreSQL one sets how it is planned
        ("/appointments?limit=4", 3),
        ("/appointments?limit=100", 4),
        (f"/appointments/{appointment}", 3),
        (f"/appointments/{appointment}/history", 4),
    ):
        count_statements()
        response = await patient.get(path)
        assert response.status_code == 200, response.text
        if (counted := count_statements()) != expected:
            failures.append((path, counted, expected))
    assert not failures


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("POST /appointments", 4),
        ("POST /holds", 6),
        ("POST /appointments/{appointment}/reschedule", 10),
        ("POST /appointments/{appointment}/cancel", 6),
        ("DELETE /appointments/{appointment}", 6),
    ],
)
async def test_changes_of_a_patient_take_few_statements(
    doctor: Person,
    patient: Person,
    appointment: str,
    backend: str,
    count_statements: CountStatements,
    request_line: str,
    expected: int,
) -> None:
    method, path = request_line.replace("{appointment}", appointment).split()
    body = None
    if path in {"/appointments", "/holds"}:
        body = {"doctor_id": doctor.id, "start_time": "2026-12-08T16:00:00Z"}
    elif method == "POST":
        body = {} if path.endswith("cancel") else {"start_time": "2026-12-08T16:00:00Z"}
    if path.endswith(("reschedule", "holds")) and backend == "postgresql":
        expected += 1  # the lock on both calendars
    count_statements()
    response = await patient.client.request(method, path, headers=patient.headers, json=body)
    assert response.status_code < 300, response.text
    assert count_statements() == expected


async def test_anonymous_requests_take_one_statement_less(
    client: httpx2.AsyncClient, doctor: Person, appointment: str, count_statements: CountStatements
) -> None:
    assert appointment
    listed = ("availability?to=2026-12-15T00:00:00Z", "slots?to=2026-12-15T00:00:00Z")
    for path in (*listed, "next-slot", "explain?start_time=2026-12-08T16:00:00Z"):
        count_statements()
        assert (await client.get(f"/doctors/{doctor.id}/{path}")).status_code == 200
        assert count_statements() == 2
    for path in ("availability", "slots"):
        count_statements()
        assert (await client.get(f"/doctors/{doctor.id}/{path}")).status_code == 200
        assert count_statements() == 3, "one looks for a next page"


async def test_requests_of_a_doctor_take_few_statements(doctor: Person, count_statements: CountStatements) -> None:
    async def send(method: str, path: str, **options: Any) -> httpx2.Response:
        count_statements()
        response = await doctor.client.request(method, path, headers=doctor.headers, **options)
        assert response.status_code < 300, response.text
        return response

    window = {"start_time": "2026-12-08T14:00:00Z", "end_time": "2026-12-08T22:00:00Z"}
    published = await send("POST", "/doctors/availability", json=window)
    assert count_statements() == 7
    await send("GET", "/doctors/me/availability")
    assert count_statements() == 3
    await send("GET", "/doctors/me/appointments")
    assert count_statements() == 3
    await send("GET", "/doctors/me/appointments?conflicting=true")
    assert count_statements() == 3
    await send("DELETE", f"/doctors/availability/{published.json()['id']}")
    assert count_statements() == 5
    await send("PUT", "/doctors/me/hours", json={"monday": [["09:00", "12:00"], ["13:00", "17:00"]]})
    assert count_statements() == 10
    await send("GET", "/doctors/me/hours")
    assert count_statements() == 3
    time_off = await send("POST", "/doctors/me/time-off", json=window)
    assert count_statements() == 9
    await send("DELETE", f"/doctors/me/time-off/{time_off.json()['id']}")
    assert count_statements() == 5
    await send("PATCH", "/doctors/me", json={"min_notice_minutes": 5})
    assert count_statements() == 8
    await send("POST", "/doctors/me/visit-types", json={"name": "Check-up", "duration_minutes": 20})
    assert count_statements() == 12


@pytest.mark.parametrize(("path", "expected"), [("/auth/login", 12), ("/auth/forgot-password", 4)])
async def test_log_in_and_reset_take_few_statements(
    client: httpx2.AsyncClient, patient: Person, count_statements: CountStatements, path: str, expected: int
) -> None:
    count_statements()
    if path == "/auth/login":
        await client.post(path, data={"username": patient.email, "password": PASSWORD})
    else:
        await client.post(path, json={"email": patient.email})
    assert count_statements() == expected


async def test_refused_booking_takes_few_statements(
    doctor: Person, patient: Person, appointment: str, count_statements: CountStatements
) -> None:
    assert appointment
    count_statements()
    assert (await patient.try_to_book(doctor, TEN)).status_code == 409
    assert count_statements() == 4


async def test_idempotency_key_takes_two_more_statements(
    doctor: Person, patient: Person, appointment: str, count_statements: CountStatements
) -> None:
    assert appointment
    body = {"doctor_id": doctor.id, "start_time": "2026-12-08T16:00:00Z"}
    for expected in (6, 4):
        count_statements()
        headers = patient.headers | {"Idempotency-Key": "k"}
        assert (await patient.client.post("/appointments", headers=headers, json=body)).status_code == 201
        assert count_statements() == expected


async def test_daily_limit_takes_two_more_statements(
    doctor: Person, patient: Person, appointment: str, backend: str, count_statements: CountStatements
) -> None:
    assert appointment
    await doctor.client.patch("/doctors/me", headers=doctor.headers, json={"daily_limit": 5})
    count_statements()
    await patient.book(doctor, "2026-12-08T16:00:00Z")
    assert count_statements() == (7 if backend == "postgresql" else 6), "on PostgreSQL one takes the lock"
