"""Pages of clinics: who works there, and the clinics of administrators."""

import re

import httpx2
import pytest

from app.adapters.mail import Mail
from tests.api.clinics import accept_as, get_roles, invite, join, make_clinic
from tests.conftest import Register, SetClock, read_token
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.markup import read_text

OFFICE = "/office/clinics"
NEW = {
    "name": "Skin and More",
    "time_zone": "Europe/Berlin",
    "country": "DE",
    "locale": "de",
    "manager_email": "bea@example.com",
}


@pytest.fixture
async def people(doctor: Person) -> str:
    """The path of the page with the people of a doctor's clinic."""
    return f"/clinic/{(await make_clinic(doctor))['id']}/people"


async def test_manager_invites_and_removes_people(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person, people: str, mails: list[Mail]
) -> None:
    await forms.sign_in(doctor)
    assert f'href="{people}"' in (await client.get("/clinic")).text
    response = await forms.send(people, email=patient.email, role="receptionist", valid_until="2026-12-31")
    assert response.status_code == 200
    path = read_token(mails[-1])
    assert f"{client.base_url}{path}" in response.text.replace("&#39;", "'")
    assert patient.email in (await client.get(people)).text
    assert (await accept_as(patient, path.partition("=")[2])).status_code == 201
    shown = read_text(await client.get(people))
    assert f"{patient.name} {patient.email} · Receptionist until" in shown
    response = await forms.send(f"{people}/{patient.id}/remove", on=people)
    assert (response.status_code, response.headers["Location"]) == (303, people)
    assert await get_roles(patient) == []
    assert patient.email not in (await client.get(people)).text


async def test_invitation_is_cancelled(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person, people: str
) -> None:
    sent = await invite(doctor, people.split("/")[2], patient.email, "nurse")
    await forms.sign_in(doctor)
    response = await forms.send(f"{people}/invitations/{sent['id']}/cancel", on=people)
    assert response.status_code == 303
    assert "There are no open invitations." in (await client.get(people)).text
    assert (await accept_as(patient, sent["token"])).status_code == 422


async def test_invalid_invitation_is_shown_again(forms: Forms, doctor: Person, people: str) -> None:
    await forms.sign_in(doctor)
    refused = await forms.send(people, email="nobody", role="nurse")
    assert refused.status_code == 422
    assert "Enter an email address" in refused.text
    assert '<option value="nurse" selected>' in refused.text
    gone = await forms.send(f"{people}/019abcde-f012-7345-8678-9abcdef01234/remove", on=people)
    assert gone.status_code == 404


async def test_page_is_for_managers_only(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person, people: str
) -> None:
    client.headers["Accept"] = "text/html"
    assert (await client.get(people)).headers["Location"].startswith("/sign-in")
    await forms.sign_in(patient)
    assert (await client.get(people)).status_code == 404
    await join(doctor, people.split("/")[2], patient, "receptionist")
    assert (await client.get(people)).status_code == 403
    shown = (await client.get("/clinic")).text
    assert "Receptionist" in shown
    assert people not in shown


async def test_inviting_needs_a_recent_sign_in(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, people: str, clock: SetClock, mails: list[Mail]
) -> None:
    await forms.sign_in(doctor)
    clock.advance(minutes=11)
    assert (await client.get(people)).status_code == 200
    response = await forms.send(people, email="bea@example.com", role="nurse")
    assert response.status_code in {303, 403}
    assert mails == []


async def test_visitor_who_works_for_no_clinic_is_told_so(
    forms: Forms, client: httpx2.AsyncClient, patient: Person
) -> None:
    await forms.sign_in(patient)
    assert "You work for no clinic." in (await client.get("/clinic")).text


async def test_administrator_makes_a_clinic_once(
    forms: Forms, client: httpx2.AsyncClient, admin: Person, mails: list[Mail]
) -> None:
    await forms.sign_in(admin)
    assert "There are no clinics yet." in (await client.get(OFFICE)).text
    [key] = re.findall(r'name="form_key" value="([^"]+)"', (await client.get(OFFICE)).text)
    for _ in range(2):
        response = await forms.send(OFFICE, form_key=key, **NEW)
        assert (response.status_code, response.headers["Location"]) == (303, OFFICE)
    assert [mail.to for mail in mails] == [NEW["manager_email"]]
    assert (await client.get(OFFICE)).text.count("Skin and More") == 2  # the name, and the label of the button
    [clinic] = (await admin.get("/clinics")).json()
    assert (clinic["country"], clinic["locale"], clinic["public_name"]) == ("DE", "de", "Skin and More")


@pytest.mark.parametrize("field", ["name", "time_zone", "country", "manager_email"])
async def test_clinic_without_a_field_is_refused(forms: Forms, admin: Person, field: str) -> None:
    await forms.sign_in(admin)
    refused = await forms.send(OFFICE, **NEW | {field: ""})
    assert refused.status_code == 422
    assert f'id="{field}-error"' in refused.text
    assert (await admin.get("/clinics")).json() == []


async def test_administrator_invites_a_manager_where_there_is_none(
    forms: Forms, client: httpx2.AsyncClient, admin: Person, patient: Person
) -> None:
    clinic = await make_clinic(admin, manager_email="lost@example.com")
    path = f"{OFFICE}/{clinic['id']}/manager"
    await forms.sign_in(admin)
    response = await forms.send(path, on=OFFICE, email=patient.email)
    [token] = re.findall(r"/invitation\?token=([\w-]+)", response.text)
    assert (await accept_as(patient, token)).status_code == 201
    assert path not in (await client.get(OFFICE)).text
    refused = await forms.send(path, on=OFFICE, email="other@example.com")
    assert refused.status_code == 409
    assert "This clinic has a manager" in refused.text


async def test_manager_changes_roles_and_scope(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person, people: str
) -> None:
    clinic_id = people.split("/")[2]
    await join(doctor, clinic_id, patient, "nurse", valid_until="2026-12-24")
    await forms.sign_in(doctor)
    path = f"{people}/{patient.id}"
    assert f'href="{path}"' in (await client.get(people)).text
    shown = (await client.get(path)).text
    assert re.search(r'name="role_nurse" value="yes" checked', shown)
    assert 'value="2026-12-24"' in shown
    assert 'name="role_doctor"' not in shown
    [version] = re.findall(r'name="content_version" value="([^"]+)"', shown)
    changes = {"role_receptionist": "yes", "until_receptionist": "2026-12-31", f"sees_{doctor.id}": "yes"}
    response = await forms.send(path, content_version=version, **changes)
    assert (response.status_code, response.headers["Location"]) == (303, people)
    member = (await doctor.get(f"/clinics/{clinic_id}/members/{patient.id}")).json()
    assert member["roles"] == [{"role": "receptionist", "valid_from": None, "valid_until": "2026-12-31"}]
    assert member["doctors"] == [doctor.id]
    outdated = await forms.send(path, content_version=version, role_nurse="yes")
    assert outdated.status_code == 412
    assert re.search(r'name="role_receptionist" value="yes" checked', outdated.text), "the current state is shown"
    assert not re.search(r'name="role_nurse" value="yes" checked', outdated.text)


async def test_refused_change_of_roles_is_shown_again(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, people: str
) -> None:
    await forms.sign_in(doctor)
    path = f"{people}/{doctor.id}"
    [version] = re.findall(r'name="content_version" value="([^"]+)"', (await client.get(path)).text)
    refused = await forms.send(path, content_version=version, role_doctor="yes")
    assert refused.status_code == 409
    assert "A clinic needs a manager" in refused.text
    assert not re.search(r'name="role_manager" value="yes" checked', refused.text)
    assert (await forms.send(path, content_version=version)).status_code == 422
    assert await get_roles(doctor) == ["manager", "doctor"]


async def test_doctor_who_has_left_stays_in_a_scope_that_is_shown(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person, register: Register, people: str
) -> None:
    clinic_id, colleague = people.split("/")[2], await register("doctor", name="Dr B")
    await join(doctor, clinic_id, colleague, "doctor")
    await join(doctor, clinic_id, patient, "nurse")
    await doctor.patch(f"/clinics/{clinic_id}/members/{patient.id}", {"doctors": [colleague.id]})
    await colleague.delete(f"/clinics/{clinic_id}/members/{colleague.id}")
    await forms.sign_in(doctor)
    shown = (await client.get(f"{people}/{patient.id}")).text
    assert "A doctor who has left" in shown
    assert f'name="sees_{colleague.id}" value="yes" checked' in shown
