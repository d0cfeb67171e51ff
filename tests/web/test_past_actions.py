"""Action pages of a visit whose status has changed: the back button and a second tab lead to the visit."""

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


@pytest.mark.parametrize("page", ["cancel", "move", f"move?start={START}"])
async def test_a_cancelled_visit_is_shown_instead(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, visit: str, page: str
) -> None:
    await forms.sign_in(patient)
    await patient.post(f"/appointments/{visit}/cancel", {})
    answer = await client.get(f"/my/appointments/{visit}/{page}")
    assert (answer.status_code, answer.headers.get("location")) == (303, f"/my/appointments/{visit}")
    assert "Cancelled" in (await client.get(answer.headers["location"])).text


@pytest.mark.parametrize("page", ["cancel", "move"])
async def test_a_visit_that_is_over_is_shown_instead(
    forms: Forms, client: httpx2.AsyncClient, patient: Person, visit: str, clock: SetClock, page: str
) -> None:
    clock.time = datetime(2026, 12, 8, 15, 10, tzinfo=UTC)
    await forms.sign_in(patient)
    assert (await client.get(f"/my/appointments/{visit}/{page}")).status_code == 200, "it is going on"
    clock.advance(minutes=30)
    answer = await client.get(f"/my/appointments/{visit}/{page}")
    assert (answer.status_code, answer.headers.get("location")) == (303, f"/my/appointments/{visit}")


@pytest.mark.parametrize(
    ("action", "form", "expected"),
    [
        ("cancel", "cancel", "The visit has been cancelled."),
        ("cancel", "move", CHANGED),
        ("complete", "cancel", CHANGED),
        ("complete", "move", CHANGED),
    ],
)
async def test_a_form_of_a_patient_that_is_too_late_leads_to_the_visit(
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
    answer = await forms.send(f"/my/appointments/{visit}/{form}", on="/my/account", version="1", **fields)
    assert (answer.status_code, answer.headers.get("location")) == (303, f"/my/appointments/{visit}")
    assert expected in (await client.get(answer.headers["location"])).text


async def test_a_doctor_moves_nothing_that_is_cancelled(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person, visit: str
) -> None:
    await forms.sign_in(doctor)
    await patient.post(f"/appointments/{visit}/cancel", {})
    shown = f"/practice/visits/{visit}"
    answer = await client.get(f"{shown}/move")
    assert (answer.status_code, answer.headers.get("location")) == (303, shown)
    answer = await forms.send(f"{shown}/move", on="/my/account", version="1", start="2026-12-08T17:00:00Z")
    assert (answer.status_code, answer.headers.get("location")) == (303, shown)
    assert CHANGED in (await client.get(shown)).text
