"""Which pages a caller may see, and the audit events of pages."""

from dataclasses import replace

import httpx2
import pytest
from fastapi import FastAPI

from app.core.dependencies import Resources
from app.core.rate_limits import RateLimiter
from app.edge import rate_limits as edge_limits
from tests.conftest import Register
from tests.people import PASSWORD, Person
from tests.web.clinic import Clinic, open_clinic
from tests.web.conftest import Forms

START = "2026-12-08T15:30:00Z"


@pytest.fixture
async def clinic(register: Register) -> Clinic:
    return await open_clinic(register)


async def test_actions_on_pages_are_recorded_as_those_of_the_api(
    forms: Forms, client: httpx2.AsyncClient, clinic: Clinic, patient: Person, admin: Person
) -> None:
    await forms.sign_in(patient)
    slot = {"doctor": clinic.doctor.id, "type": clinic.visit_type, "start": START}
    held = await forms.send("/visit/pick", on="/my/account", **slot)
    booked = await forms.send(held.headers["location"], **slot, reason="A mole", form_key="once")
    visit = booked.headers["location"].rpartition("/")[2]
    await client.get(f"/my/appointments/{visit}")
    recorded = (await admin.get(f"/admin/audit?patient_id={patient.id}")).json()
    done = [(each["action"], each["outcome"]) for each in recorded][::-1]
    assert done[-4:] == [(each, "ok") for each in ("hold_time", "show_hold", "book_appointment", "get_appointment")]
    assert {each["actor_id"] for each in recorded} == {patient.id}
    assert recorded[0]["object_id"] == visit


async def test_visits_of_others_are_not_found_and_pages_of_other_roles_are_refused(
    forms: Forms, client: httpx2.AsyncClient, clinic: Clinic, patient: Person, register: Register, admin: Person
) -> None:
    body = {"doctor_id": clinic.doctor.id, "visit_type_id": clinic.visit_type, "start_time": START}
    visit = (await patient.post("/appointments", body)).json()["id"]
    client.headers["Accept"] = "text/html"
    await forms.sign_in(await register("patient"))
    for path in ("", "/cancel", "/move", "/calendar.ics"):
        assert (await client.get(f"/my/appointments/{visit}{path}")).status_code == 404
    refused = await forms.send(f"/my/appointments/{visit}/cancel", on="/my/account", version="1", form_key="once")
    assert refused.status_code == 404
    assert "Not found, or you do not have access to it." in refused.text
    await forms.sign_in(clinic.doctor)
    refused = await client.get("/my/appointments")
    assert refused.status_code == 403
    assert "You do not have access to this page. If you have another account, sign in with it." in refused.text
    recorded = (await admin.get("/admin/audit")).json()
    assert [(each["action"], each["outcome"]) for each in recorded[:2]] == [
        ("list_appointments", "wrong_role"),
        ("log_in", "ok"),
    ]
    assert ("cancel_appointment_with_reason", "not_found") in {(each["action"], each["outcome"]) for each in recorded}


async def test_required_second_factor_must_be_set_up_first(
    app: FastAPI, forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    resources: Resources = app.state.resources
    demanding = resources.settings.model_copy(update={"require_second_factor": "everybody"})
    app.state.resources = replace(resources, settings=demanding)
    await forms.sign_in(patient)
    assert (await client.get("/my/appointments")).headers["location"] == "/my/account/second-factor"
    assert (await client.get("/my/account/second-factor")).status_code == 200


async def test_rate_limited_request_shows_a_page(
    app: FastAPI, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_limits, "REFUSAL_DELAY", 0)
    resources: Resources = app.state.resources
    strict = resources.settings.model_copy(update={"rate_limit_login": "1/hour"})
    app.state.resources = replace(resources, settings=strict, limits=RateLimiter(strict))
    client.headers["Accept"] = "text/html"
    responses = [await client.post("/sign-in", data={"username": "ann", "password": PASSWORD}) for _ in range(2)]
    assert [response.status_code for response in responses] == [403, 429]
    assert int(responses[1].headers["retry-after"]) > 0
    assert "One moment, please" in responses[1].text
    assert (await client.get("/sign-in")).status_code == 200
