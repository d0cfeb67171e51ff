"""Pages and forms of an action that the visit no longer allows lead to the visit."""

from datetime import UTC, datetime

import httpx2
import pytest

from tests.conftest import SetClock
from tests.people import Person
from tests.web.conftest import Forms

START = "2026-12-08T15:00:00Z"
CHANGED = "the appointment has changed"


@pytest.fixture
async def visit(doctor: Person, patient: Person) -> str:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked: str = (await patient.book(doctor, START))["id"]
    return booked


async def test_action_pages_of_a_cancelled_visit_lead_to_the_visit(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, visit: str
) -> None:
    await forms.sign_in(patient)
    await patient.post(f"/appointments/{visit}/cancel", {})
    for page in ("cancel", "move", f"move?start={START}"):
        response = await client.get(f"/my/appointments/{visit}/{page}")
        assert (response.status_code, response.headers.get("location")) == (303, f"/my/appointments/{visit}"), page
    assert "Cancelled" in (await client.get(response.headers["location"])).text


async def test_action_pages_of_a_past_visit_lead_to_the_visit(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, visit: str, clock: SetClock
) -> None:
    clock.time = datetime(2026, 12, 8, 15, 10, tzinfo=UTC)
    await forms.sign_in(patient)
    pages = [f"/my/appointments/{visit}/{action}" for action in ("cancel", "move")]
    assert [(await client.get(page)).status_code for page in pages] == [200, 200], "during the visit"
    clock.advance(minutes=30)
    for page in pages:
        response = await client.get(page)
        assert (response.status_code, response.headers.get("location")) == (303, f"/my/appointments/{visit}"), page


@pytest.mark.parametrize(
    ("action", "form", "expected"),
    [
        ("cancel", "cancel", "The visit has been cancelled."),
        ("cancel", "move", CHANGED),
        ("complete", "cancel", CHANGED),
        ("complete", "move", CHANGED),
    ],
)
async def test_form_for_a_changed_visit_leads_the_patient_to_the_visit(
    forms: Forms,
    client: httpx2.AsyncClient,
    patient: Person,
    doctor: Person,
    visit: str,
    clock: SetClock,
    action: str,
    form: str,
    expected: str,
) -> None:
    clock.time = datetime(2026, 12, 8, 15, 10, tzinfo=UTC)
    await forms.sign_in(patient)
    assert (await (await doctor.log_in_again()).post(f"/appointments/{visit}/{action}", {})).status_code == 200
    fields = {"start": "2026-12-08T17:00:00Z"} if form == "move" else {}
    response = await forms.send(f"/my/appointments/{visit}/{form}", on="/my/account", version="1", **fields)
    assert (response.status_code, response.headers.get("location")) == (303, f"/my/appointments/{visit}")
    assert expected in (await client.get(response.headers["location"])).text


async def test_doctor_cannot_move_a_cancelled_visit(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person, visit: str
) -> None:
    await forms.sign_in(doctor)
    await patient.post(f"/appointments/{visit}/cancel", {})
    shown = f"/practice/visits/{visit}"
    response = await client.get(f"{shown}/move")
    assert (response.status_code, response.headers.get("location")) == (303, shown)
    response = await forms.send(f"{shown}/move", on="/my/account", version="1", start="2026-12-08T17:00:00Z")
    assert (response.status_code, response.headers.get("location")) == (303, shown)
    assert CHANGED in (await client.get(shown)).text
