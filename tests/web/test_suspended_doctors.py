"""Pages on which administrators see the upcoming visits of a suspended doctor."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from tests.conftest import Register, SetClock
from tests.people import PASSWORD, Person
from tests.web.conftest import Forms
from tests.web.long_lists import collect_rows
from tests.web.markup import read_hidden
from tests.web.table import RIGHT_TO_LEFT

REASON = "The practice has closed"
NOON = "2026-12-08T17:00:00Z"


@pytest.fixture
async def visit(doctor: Person, patient: Person) -> str:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    check_up = (await doctor.add_visit_type(name="HIV test"))["id"]
    return str((await patient.book(doctor, NOON, visit_type_id=check_up, reason="A mole on the left arm"))["id"])


@pytest.fixture
async def visits(admin: Person, doctor: Person, visit: str, forms: Forms) -> str:  # noqa: ARG001 - booked before
    """The page of the visits of a suspended doctor. An administrator has signed in."""
    assert (await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": REASON})).status_code == 200
    await forms.sign_in(admin)
    return f"/office/users/{doctor.id}/appointments"


async def test_account_links_to_the_upcoming_visits(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, visits: str, visit: str, admin: Person
) -> None:
    account = f"/office/users/{doctor.id}"
    for page in (account, f"{account}?decision=erase"):
        shown = (await client.get(page)).text
        assert "This doctor has 1 upcoming visit." in shown
        assert f'href="{visits}"' in shown
    assert "Ann Lee" not in shown
    listed = (await client.get(visits)).text
    assert "Tuesday 8 December, 12:00" in listed, "on the doctor's clock"
    assert "Ann Lee" in listed
    shown = (await client.get(f"{visits}/{visit}")).text
    for text in (listed, shown):
        assert "A mole" not in text
        assert "HIV" not in text
    for action in ("list_visits_of_suspended_doctor", "show_visit_of_suspended_doctor"):
        [event] = (await admin.get("/admin/audit", params={"action": action})).json()
        assert (event["patient_id"], event["object_id"]) == (patient.id, visit)
    await admin.post(f"/admin/users/{doctor.id}/reinstate", {"reason": REASON})
    assert visits not in (await client.get(account)).text
    refused = await client.get(visits)
    assert refused.status_code == 409
    assert "only while the doctor is suspended" in refused.text


@pytest.mark.parametrize(
    ("language", "message", "by"),
    [
        ("en", "The visit of Ann Lee has been cancelled.", "by the practice"),
        ("de", "Der Termin von Ann Lee wurde abgesagt.", "von der Praxis"),
        ("es", "La cita de Ann Lee se ha cancelado.", "por la consulta"),
    ],
)
async def test_administrator_cancels_a_visit(
    client: httpx2.AsyncClient,
    forms: Forms,
    patient: Person,
    admin: Person,
    visits: str,
    visit: str,
    language: str,
    message: str,
    by: str,
) -> None:
    client.headers["Accept-Language"] = language
    page = f"{visits}/{visit}"
    for text in (message, ""):  # the repeated form shows no message
        done = await forms.send(f"{page}/cancel", on=page, version="1", reason=REASON, form_key="k")
        assert (done.status_code, done.headers["location"]) == (303, visits)
        listed = (await client.get(visits)).text
        assert text in listed
        assert visit not in listed
    events = (await admin.get("/admin/audit?action=cancel_visit_of_suspended_doctor")).json()
    assert (patient.id, visit, REASON) in [(each["patient_id"], each["object_id"], each["reason"]) for each in events]
    again = (await client.get(page)).text
    assert f"{page}/cancel" not in again
    await forms.sign_in(patient)
    seen = (await client.get(f"/my/appointments/{visit}")).text
    assert f"{by}: <bdi>{REASON}</bdi>" in seen


async def test_refused_cancellation_keeps_the_reason(forms: Forms, visits: str, visit: str, patient: Person) -> None:
    page = f"{visits}/{visit}"
    refused = await forms.send(f"{page}/cancel", on=page, version="1", reason="too short")
    assert refused.status_code == 422
    assert "Must have at least 10 characters." in refused.text
    assert ">too short</textarea>" in refused.text
    refused = await forms.send(f"{page}/cancel", on=page, version="2", reason=REASON)
    assert refused.status_code == 412
    assert f">{REASON}</textarea>" in refused.text
    assert (await patient.get(f"/appointments/{visit}")).json()["status"] == "booked"


async def test_visit_just_cancelled_by_the_patient_is_not_cancelled_again(
    client: httpx2.AsyncClient, forms: Forms, visits: str, visit: str, patient: Person
) -> None:
    page = f"{visits}/{visit}"
    await client.get(page)
    await patient.delete(f"/appointments/{visit}")
    assert (await forms.send(f"{page}/cancel", on=visits, version="1", reason=REASON)).status_code == 303
    assert (await patient.get(f"/appointments/{visit}")).json()["cancelled_by"] == patient.id
    shown = (await client.get(page)).text
    assert "This visit can no longer be cancelled here." in shown


async def test_cancellation_is_restored_after_signing_in_again(
    client: httpx2.AsyncClient, forms: Forms, admin: Person, visits: str, visit: str, clock: SetClock
) -> None:
    page = f"{visits}/{visit}"
    token = read_hidden((await client.get(page)).text, "form_token")
    clock.advance(minutes=11)
    for address in (visits, page):
        assert (await client.get(address)).headers["location"].startswith("/sign-in?next=")
    typed = {"form_token": token, "version": "1", "reason": REASON}
    sent = await client.post(f"{page}/cancel", data=typed, headers={"Referer": f"http://testserver{page}"})
    assert sent.headers["location"].startswith("/sign-in?next=")
    signed_in = await forms.send(sent.headers["location"], username=admin.email, password=PASSWORD, next=page)
    assert signed_in.headers["location"] == page
    assert f">{REASON}</textarea>" in (await client.get(page)).text


async def test_past_visit_is_not_found(
    client: httpx2.AsyncClient, forms: Forms, admin: Person, visits: str, visit: str, clock: SetClock
) -> None:
    clock.time = datetime(2026, 12, 8, 18, tzinfo=UTC)
    await forms.sign_in(admin)
    assert (await client.get(f"{visits}/{visit}")).status_code == 404
    assert "This doctor has no upcoming visits." in (await client.get(visits)).text


async def test_long_list_of_visits_is_complete(
    client: httpx2.AsyncClient, forms: Forms, admin: Person, doctor: Person, register: Register
) -> None:
    first = datetime(2026, 12, 8, 14, tzinfo=UTC)
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-09T22:00:00Z")
    patient = await register("patient", name=RIGHT_TO_LEFT)
    for number in range(40):
        start = first + timedelta(minutes=30 * number)
        await patient.book(doctor, start.isoformat(), (start + timedelta(minutes=30)).isoformat())
    await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": REASON})
    await forms.sign_in(admin)
    visits = f"/office/users/{doctor.id}/appointments"
    found = await collect_rows(client, visits, rf'href="{visits}/([^"]+)"')
    assert len(found) == len(set(found)) == 40
