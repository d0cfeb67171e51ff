"""How many statements a request takes; a number here may go down, and is not to creep up."""

import httpx2
import pytest

from tests.people import PASSWORD, Person

TEN = "2026-12-08T15:00:00Z"


@pytest.fixture
async def appointment(doctor: Person, patient: Person) -> str:
    await doctor.open("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    for day in range(9, 14):
        await doctor.open(f"2026-12-{day:02}T14:00:00Z", f"2026-12-{day:02}T22:00:00Z")
        await patient.book(doctor, f"2026-12-{day:02}T15:00:00Z")
    booked: str = (await patient.book(doctor, TEN))["id"]
    return booked


@pytest.mark.parametrize(
    ("request_", "most"),
    [
        ("GET /livez", 0),
        ("GET /auth/me", 2),
        ("GET /doctors", 1),
        ("GET /doctors/{doctor}", 1),
        ("GET /doctors/{doctor}/availability", 2),
        ("GET /appointments", 2),
        ("GET /appointments?limit=100", 3),
        ("GET /appointments/{appointment}", 2),
        ("POST /appointments", 3),
        ("DELETE /appointments/{appointment}", 3),
    ],
)
async def test_statements(
    doctor: Person, patient: Person, appointment: str, statements: list[str], request_: str, most: int
) -> None:
    method, path = request_.replace("{doctor}", doctor.id).replace("{appointment}", appointment).split()
    body = {"doctor_id": doctor.id, "start_time": "2026-12-08T16:00:00Z"} if method == "POST" else None
    if path == "/appointments" and method == "GET":
        path += "?limit=4"
    statements.clear()
    answer = await patient.client.request(method, path, headers=patient.headers, json=body)
    assert answer.status_code < 300, answer.text
    counted = [each for each in statements if not each.startswith("BEGIN")]
    assert len(counted) == most, counted


async def test_statements_of_a_doctor(doctor: Person, statements: list[str]) -> None:
    def counted() -> int:
        number = len([each for each in statements if not each.startswith("BEGIN")])
        statements.clear()
        return number

    statements.clear()
    window = await doctor.open("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    assert counted() == 4
    await doctor.get("/doctors/me/availability")
    assert counted() == 3
    await doctor.get("/doctors/me/appointments")
    assert counted() == 3
    await doctor.delete(f"/doctors/availability/{window['id']}")
    assert counted() == 3


@pytest.mark.parametrize(("path", "most"), [("/auth/login", 1), ("/auth/forgot-password", 3)])
async def test_statements_of_the_public(
    client: httpx2.AsyncClient, patient: Person, statements: list[str], path: str, most: int
) -> None:
    statements.clear()
    if path == "/auth/login":
        await client.post(path, data={"username": patient.email, "password": PASSWORD})
    else:
        await client.post(path, json={"email": patient.email})
    assert len([each for each in statements if not each.startswith("BEGIN")]) == most


async def test_a_refusal_takes_one_more(
    doctor: Person, patient: Person, appointment: str, statements: list[str]
) -> None:
    statements.clear()
    assert (await patient.ask(doctor, TEN)).status_code == 409
    assert appointment
    assert len([each for each in statements if not each.startswith("BEGIN")]) == 4
