"""Invitations on pages: an administrator sends one, and a doctor joins with it."""

import re

import httpx2
from fastapi import FastAPI

from app.adapters.mail import Mail
from app.core.settings import Settings
from app.main import open_resources
from tests.api.clinics import invite as invite_member
from tests.api.clinics import make_clinic
from tests.conftest import SetClock, read_token
from tests.people import PASSWORD, Person, assert_problem
from tests.web.conftest import Forms
from tests.web.markup import read_text

INVITATIONS = "/office/invitations"
GUEST = "guest@example.com"
DOCTOR = {"name": "Dr Guest", "specialty": "Dermatology", "time_zone": "Europe/Berlin", "password": PASSWORD}


async def invite(admin: Person, **fields: str) -> dict[str, str]:
    response = await admin.post("/admin/invitations", {"email": GUEST, **fields})
    assert response.status_code == 201, response.text
    sent: dict[str, str] = response.json()
    return sent


async def accept(forms: Forms, sent: dict[str, str], **fields: str) -> httpx2.Response:
    return await forms.send("/invitation", on=sent["path"], token=sent["token"], **DOCTOR | fields)


def read_selected(page: str) -> str:
    [value] = re.findall(r'<option value="([^"]*)" selected>', page)
    return str(value)


async def test_doctor_accepts_an_invitation(
    forms: Forms, client: httpx2.AsyncClient, admin: Person, mails: list[Mail]
) -> None:
    await forms.sign_in(admin)
    assert f'href="{INVITATIONS}"' in (await client.get("/office/users")).text
    response = await forms.send(INVITATIONS, email=GUEST, name="Dr G", time_zone="Europe/Madrid")
    assert response.status_code == 200
    path = read_token(mails[0])
    assert f"{client.base_url}{path}" in response.text.replace("&#39;", "'")
    assert "Dr G" in (await client.get(INVITATIONS)).text

    client.cookies.clear()
    shown = await client.get(path)
    assert read_selected(shown.text) == "Europe/Madrid"
    assert 'value="Dr G"' in shown.text
    assert GUEST in shown.text
    response = await accept(forms, {"path": path, "token": path.partition("=")[2]})
    assert (response.status_code, response.headers["Location"]) == (303, "/start")
    start = await client.get("/start")
    assert start.headers["Location"] == "/practice/day"
    profile = (await client.get("/practice/profile")).text
    assert read_selected(profile) == "Europe/Berlin"


async def test_pages_do_not_promise_mail_that_is_only_printed(
    forms: Forms, client: httpx2.AsyncClient, admin: Person, app: FastAPI, settings: Settings, clock: SetClock
) -> None:
    async def send(_: Mail) -> None:
        pass

    await forms.sign_in(admin)
    pages = (INVITATIONS, "/forgotten", "/reset", f"/office/users/{admin.id}?decision=remove-second-factor")
    for mailer in (send, None):
        async with open_resources(settings, clock, mailer) as app.state.resources:
            shown = [read_text(await client.get(page)) for page in pages]
            shown.append(read_text(await forms.send(INVITATIONS, email=GUEST)))
        assert [("server does not send email" in text) for text in shown] == [mailer is None] * len(shown)
        assert "/invitation?token=" in shown[-1]
        assert ("We are sending" in shown[-1]) == (mailer is not None)


async def test_used_invitation_leads_its_doctor_to_the_start_page(
    forms: Forms, client: httpx2.AsyncClient, admin: Person
) -> None:
    sent = await invite(admin)
    assert (await accept(forms, sent)).status_code == 303
    shown = await client.get(sent["path"])
    assert (shown.status_code, shown.headers.get("location")) == (303, "/start")
    again = await forms.send("/invitation", on="/my/account", token=sent["token"], **DOCTOR)
    assert (again.status_code, again.headers.get("location")) == (303, "/start")
    await forms.send("/sign-out", on="/my/account")
    await forms.sign_in(admin)
    assert (await client.get(sent["path"])).status_code == 422, "an administrator is told that it is used"


async def test_opening_an_invitation_changes_nothing(client: httpx2.AsyncClient, admin: Person) -> None:
    sent = await invite(admin)
    for _ in range(2):
        assert (await client.get(sent["path"])).status_code == 200
    assert len((await admin.get("/admin/invitations")).json()) == 1


async def test_time_zone_is_preselected_only_if_the_country_has_one(
    forms: Forms, client: httpx2.AsyncClient, admin: Person
) -> None:
    sent = await invite(admin)
    for languages, zone in (
        ("de-DE,de;q=0.9,en-US;q=0.8", "Europe/Berlin"),
        ("en-US", ""),
        ("es-ES", ""),
        ("de", ""),
        ("en-XX", ""),
        ("", ""),
    ):
        shown = await client.get(sent["path"], headers={"Accept-Language": languages})
        assert read_selected(shown.text) == zone, languages
    response = await accept(forms, sent, time_zone="")
    assert response.status_code == 422
    assert 'id="time_zone-error"' in response.text
    assert (await accept(forms, sent)).status_code == 303


async def test_refused_acceptance_keeps_the_invitation(forms: Forms, client: httpx2.AsyncClient, admin: Person) -> None:
    sent = await invite(admin)
    response = await accept(forms, sent, password="short", name="Dr Long")
    assert response.status_code == 422
    assert 'id="password-error"' in response.text
    assert 'value="Dr Long"' in response.text
    assert sent["token"] in response.text
    assert (await accept(forms, sent)).status_code == 303
    client.cookies.clear()
    for response in (await client.get(sent["path"]), await client.get("/invitation")):
        assert response.status_code == 422
        assert "This invitation is no longer valid" in response.text


async def test_invitation_used_while_the_form_is_open_is_refused(
    forms: Forms, client: httpx2.AsyncClient, admin: Person
) -> None:
    sent, page = await invite(admin), "/sign-in"
    body = {"token": sent["token"], "name": "Dr Guest", "password": PASSWORD, "time_zone": "UTC"}
    assert (await client.post("/auth/accept-invitation", json=body)).status_code == 201
    response = await forms.send("/invitation", on=page, token=sent["token"], **DOCTOR)
    assert response.status_code == 422
    assert "This invitation is no longer valid" in response.text


async def test_administrator_sees_why_an_invitation_was_not_sent(
    forms: Forms, admin: Person, patient: Person, mails: list[Mail]
) -> None:
    await forms.sign_in(admin)
    response = await forms.send(INVITATIONS, email=patient.email, name="Dr Ann")
    assert response.status_code == 409
    assert "There is already an account with this address." in response.text
    assert 'value="Dr Ann"' in response.text
    assert (await forms.send(INVITATIONS, email="nobody")).status_code == 422
    assert mails == []


async def test_administrator_pages_through_invitations_and_cancels_one(
    forms: Forms, client: httpx2.AsyncClient, admin: Person
) -> None:
    for number in range(21):
        sent = await invite(admin, email=f"guest{number}@example.com")
    await forms.sign_in(admin)
    first = (await client.get(INVITATIONS)).text
    assert "guest20@" in first
    assert "guest0@" not in first
    more = re.search(rf'href="({INVITATIONS}\?after=[^"]+)"', first)
    assert more
    assert "guest0@" in (await client.get(more[1])).text
    response = await forms.send(f"{INVITATIONS}/{sent['id']}/cancel", on=INVITATIONS)
    assert response.headers["Location"] == f"{INVITATIONS}#open"
    assert "guest20@" not in (await client.get(INVITATIONS)).text
    body = {"token": sent["token"], "name": "Dr Guest", "password": PASSWORD, "time_zone": "UTC"}
    assert_problem(await client.post("/auth/accept-invitation", json=body), 422, "invalid_invitation_token")


async def invite_to_clinic(doctor: Person, role: str = "receptionist") -> dict[str, str]:
    clinic = await make_clinic(doctor, name="Okafor and Colleagues")
    return await invite_member(doctor, clinic["id"], GUEST, role)


async def test_page_creates_an_account_for_the_staff_of_a_clinic(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, confirmations: list[Mail]
) -> None:
    sent = await invite_to_clinic(doctor)
    shown = (await client.get(sent["path"])).text
    assert "Okafor and Colleagues" in shown
    assert "Receptionist" in shown
    assert 'name="time_zone"' not in shown
    refused = await forms.send("/invitation", on=sent["path"], token=sent["token"], name="Bea", password="short")
    assert refused.status_code == 422
    assert "Okafor and Colleagues" in refused.text
    response = await forms.send("/invitation", on=sent["path"], token=sent["token"], name="Bea", password=PASSWORD)
    assert (response.status_code, response.headers["Location"]) == (303, "/start")
    assert [mail.to for mail in confirmations if mail.to == GUEST] == [GUEST]
    assert "Bea" in (await client.get("/my/account")).text


async def test_page_requires_the_place_of_a_doctor_whom_a_clinic_invites(forms: Forms, doctor: Person) -> None:
    sent = await invite_to_clinic(doctor, "doctor")
    without = {name: value for name, value in DOCTOR.items() if name != "time_zone"}
    refused = await forms.send("/invitation", on=sent["path"], token=sent["token"], **without, time_zone="")
    assert "This field is required." in read_text(refused)
    assert (await accept(forms, sent)).status_code == 303


async def test_account_that_exists_joins_a_clinic(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    sent = await invite_to_clinic(doctor)
    assert "/sign-in?next=%2Finvitation%3Ftoken" in (await client.get(sent["path"])).text
    await forms.sign_in(patient)
    assert patient.name in (await client.get(sent["path"])).text
    response = await forms.send("/invitation/join", on=sent["path"], token=sent["token"])
    assert (response.status_code, response.headers["Location"]) == (303, "/clinic")
    shown = await client.get("/clinic")
    assert "Okafor and Colleagues" in shown.text
    assert "Receptionist" in shown.text
    [clinic] = (await patient.get("/clinics")).json()
    assert clinic["roles"] == ["receptionist"]
    assert (await client.get(sent["path"])).status_code == 422


async def test_page_refuses_an_account_that_cannot_join(forms: Forms, doctor: Person, patient: Person) -> None:
    sent = await invite_to_clinic(doctor, "doctor")
    await forms.sign_in(patient)
    refused = await forms.send("/invitation/join", on=sent["path"], token=sent["token"])
    assert refused.status_code == 409
    assert "Only a doctor can accept this invitation" in refused.text
    assert (await patient.get("/clinics")).json() == []
