"""A refused form shows its page again. If the page has a patient's data, the access is recorded."""

from typing import Any

import httpx2
import pytest

from app.core.errors import DomainError
from app.services import audit
from tests.conftest import Register, SetClock
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.doctor import fill_day, open_practice


@pytest.fixture
async def doctor(register: Register) -> Person:
    return await open_practice(register)


@pytest.fixture
async def visit(doctor: Person, patient: Person) -> dict[str, Any]:
    [booked] = await fill_day(doctor, patient)
    return booked


async def list_events(admin: Person, patient: Person) -> list[tuple[str, ...]]:
    """Return the audit events of a patient, newest first, without those of this query."""
    recorded = (await admin.get(f"/admin/audit?patient_id={patient.id}")).json()
    events = [tuple(each[name] for name in ("action", "outcome", "actor_id", "object_id")) for each in recorded]
    return [event for event in events if event[0] != "list_audit_events"]


@pytest.mark.parametrize(
    ("action", "typed", "status", "shown_by"),
    [
        ("cancel", {"version": "7"}, 412, "get_appointment"),
        ("cancel", {"version": "1", "reason": "x" * 501}, 422, "get_appointment"),
        ("complete", {}, 409, "get_appointment"),
        ("move", {"version": "7", "start": "2026-12-01T10:00:00Z"}, 412, "show_free_times"),
        ("move", {"version": "1", "start": "2026-12-01T20:00:00Z"}, 409, "show_free_times"),
    ],
)
async def test_refused_form_of_a_doctor_is_recorded_as_access(
    forms: Forms,
    client: httpx2.AsyncClient,
    doctor: Person,
    patient: Person,
    admin: Person,
    visit: dict[str, Any],
    clock: SetClock,
    action: str,
    typed: dict[str, str],
    status: int,
    shown_by: str,
) -> None:
    await forms.sign_in(doctor)
    address = f"/practice/visits/{visit['id']}"
    await client.get(address if shown_by == "get_appointment" else f"{address}/{action}")
    before = await list_events(admin, patient)
    seen = (shown_by, "ok", doctor.id, visit["id"])
    assert before[0] == seen
    clock.advance(minutes=11)  # within ten minutes the access would not be recorded again
    refused = await forms.send(f"{address}/{action}", on="/practice/profile", form_key="once", **typed)
    assert refused.status_code == status
    assert "Ann Lee" in refused.text
    assert await list_events(admin, patient) == [seen, *before]


async def test_refused_form_of_a_patient_is_recorded_as_access(
    forms: Forms, patient: Person, admin: Person, visit: dict[str, Any]
) -> None:
    await forms.sign_in(patient)
    address = f"/my/appointments/{visit['id']}"
    for action, shown_by in (("cancel", "show_cancelling"), ("move", "show_moving")):
        typed = {"version": "7", "start": "2026-12-01T10:00:00Z", "form_key": action}
        assert (await forms.send(f"{address}/{action}", on="/my/account", **typed)).status_code == 412
        assert (await list_events(admin, patient))[0] == (shown_by, "ok", patient.id, visit["id"])


async def test_refused_form_of_an_administrator_is_recorded_as_access(
    forms: Forms, patient: Person, admin: Person
) -> None:
    await forms.sign_in(admin)
    on = "/office/users?role=doctor"
    for action in ("suspend", "break-glass"):
        refused = await forms.send(f"/office/users/{patient.id}/{action}", on=on, reason="", form_key=action)
        assert refused.status_code == 422
        assert (await list_events(admin, patient))[0] == ("get_account", "ok", admin.id, patient.id)


async def test_refused_form_is_not_shown_if_it_cannot_be_recorded(
    forms: Forms, doctor: Person, visit: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await forms.sign_in(doctor)

    async def fail(*_: object, **__: object) -> None:
        raise DomainError("busy", retry_after=1)

    monkeypatch.setattr(audit, "record_unless_repeated", fail)
    typed = {"version": "7", "form_key": "once"}
    refused = await forms.send(f"/practice/visits/{visit['id']}/cancel", on="/practice/profile", **typed)
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert "Ann Lee" not in refused.text
