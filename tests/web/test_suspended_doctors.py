"""Administrators' pages of the upcoming visits of a suspended doctor."""

import re
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from tests.conftest import Register, SetClock
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms
from tests.web.table import RIGHT_TO_LEFT
from tests.web.test_crowded import walk

WHY = "The practice has closed"
NOON = "2026-12-08T17:00:00Z"


@pytest.fixture
async def visit(doctor: Person, patient: Person) -> str:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    check_up = (await doctor.add_visit_type(name="HIV test"))["id"]
    return str((await patient.book(doctor, NOON, visit_type_id=check_up, reason="A mole on the left arm"))["id"])


@pytest.fixture
async def visits(admin: Person, doctor: Person, visit: str, forms: Forms) -> str:  # noqa: ARG001 - booked before
    """The address of the visits of a suspended doctor. An administrator has signed in."""
    assert (await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": WHY})).status_code == 200
    await forms.sign_in(admin)
    return f"/office/users/{doctor.id}/appointments"


async def test_the_account_leads_to_the_visits(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, visits: str, visit: str, admin: Person
) -> None:
    account = f"/office/users/{doctor.id}"
    for where in (account, f"{account}?action=erase"):
        shown = (await client.get(where)).text
        assert "This doctor has 1 upcoming visit." in shown
        assert f'href="{visits}"' in shown
    assert "Ann Lee" not in shown
    listed = (await client.get(visits)).text
    assert "Tuesday 8 December, 12:00" in listed, "on the doctor's clock"
    assert "Ann Lee" in listed
    one = (await client.get(f"{visits}/{visit}")).text
    for text in (listed, one):
        assert "A mole" not in text
        assert "HIV" not in text
    for action in ("list_visits_of_suspended_doctor", "show_visit_of_suspended_doctor"):
        [event] = (await admin.get("/admin/audit", params={"action": action})).json()
        assert (event["patient_id"], event["object_id"]) == (patient.id, visit)
    await admin.post(f"/admin/users/{doctor.id}/reinstate", {"reason": WHY})
    assert visits not in (await client.get(account)).text
    refused = await client.get(visits)
    assert refused.status_code == 409
    assert "only while the doctor is suspended" in refused.text


@pytest.mark.parametrize(
    ("language", "told", "by"),
    [
        ("en", "The visit of Ann Lee has been cancelled.", "by the practice"),
        ("de", "Der Termin von Ann Lee wurde abgesagt.", "von der Praxis"),
        ("es", "La cita de Ann Lee se ha cancelado.", "por la consulta"),
    ],
)
async def test_a_visit_is_cancelled(
    client: httpx2.AsyncClient,
    forms: Forms,
    patient: Person,
    admin: Person,
    visits: str,
    visit: str,
    language: str,
    told: str,
    by: str,
) -> None:
    client.headers["Accept-Language"] = language
    one = f"{visits}/{visit}"
    for text in (told, ""):  # the second submission
        done = await forms.send(f"{one}/cancel", on=one, version="1", reason=WHY, form_key="k")
        assert (done.status_code, done.headers["location"]) == (303, visits)
        listed = (await client.get(visits)).text
        assert text in listed
        assert visit not in listed
    events = (await admin.get("/admin/audit?action=cancel_visit_of_suspended_doctor")).json()
    assert (patient.id, visit, WHY) in [(each["patient_id"], each["object_id"], each["reason"]) for each in events]
    again = (await client.get(one)).text
    assert f"{one}/cancel" not in again
    await forms.sign_in(patient)
    seen = (await client.get(f"/my/appointments/{visit}")).text
    assert f"{by}: <bdi>{WHY}</bdi>" in seen


async def test_what_was_typed_is_shown_again(forms: Forms, visits: str, visit: str, patient: Person) -> None:
    one = f"{visits}/{visit}"
    refused = await forms.send(f"{one}/cancel", on=one, version="1", reason="too short")
    assert refused.status_code == 422
    assert "Must have at least 10 characters." in refused.text
    assert ">too short</textarea>" in refused.text
    refused = await forms.send(f"{one}/cancel", on=one, version="2", reason=WHY)
    assert refused.status_code == 412
    assert f">{WHY}</textarea>" in refused.text
    assert (await patient.get(f"/appointments/{visit}")).json()["status"] == "booked"


async def test_a_visit_that_the_patient_has_just_cancelled(
    client: httpx2.AsyncClient, forms: Forms, visits: str, visit: str, patient: Person
) -> None:
    one = f"{visits}/{visit}"
    await client.get(one)
    await patient.delete(f"/appointments/{visit}")
    assert (await forms.send(f"{one}/cancel", on=visits, version="1", reason=WHY)).status_code == 303
    assert (await patient.get(f"/appointments/{visit}")).json()["cancelled_by"] == patient.id
    shown = (await client.get(one)).text
    assert "This visit can no longer be cancelled here." in shown


async def test_signing_in_again_leads_back_with_what_was_typed(
    client: httpx2.AsyncClient, forms: Forms, admin: Person, visits: str, visit: str, clock: SetClock
) -> None:
    one = f"{visits}/{visit}"
    token = re.findall(r'name="form_token" value="([^"]+)"', (await client.get(one)).text)[0]
    clock.advance(minutes=11)
    for where in (visits, one):
        assert (await client.get(where)).headers["location"].startswith("/sign-in?next=")
    typed = {"form_token": token, "version": "1", "reason": WHY}
    sent = await client.post(f"{one}/cancel", data=typed, headers={"Referer": f"http://testserver{one}"})
    assert sent.headers["location"].startswith("/sign-in?next=")
    signed_in = await forms.send(sent.headers["location"], username=admin.email, password=PASSWORD, next=one)
    assert signed_in.headers["location"] == one
    assert f">{WHY}</textarea>" in (await client.get(one)).text


async def test_a_visit_that_is_over_is_not_found(
    client: httpx2.AsyncClient, forms: Forms, admin: Person, visits: str, visit: str, clock: SetClock
) -> None:
    clock.time = datetime(2026, 12, 8, 18, tzinfo=UTC)
    await forms.sign_in(admin)
    assert (await client.get(f"{visits}/{visit}")).status_code == 404
    assert "This doctor has no upcoming visits." in (await client.get(visits)).text


async def test_a_long_list_goes_on(
    client: httpx2.AsyncClient, forms: Forms, admin: Person, doctor: Person, register: Register
) -> None:
    first = datetime(2026, 12, 8, 14, tzinfo=UTC)
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-09T22:00:00Z")
    patient = await register("patient", name=RIGHT_TO_LEFT)
    for number in range(40):
        start = first + timedelta(minutes=30 * number)
        await patient.book(doctor, start.isoformat(), (start + timedelta(minutes=30)).isoformat())
    await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": WHY})
    await forms.sign_in(admin)
    visits = f"/office/users/{doctor.id}/appointments"
    found = await walk(client, visits, rf'href="{visits}/([^"]+)"')
    assert len(found) == len(set(found)) == 40
