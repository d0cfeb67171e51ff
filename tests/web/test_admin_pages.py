"""The administrator's pages."""

import re
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx2
import pyotp
import pytest

from app.adapters.mail import Mail
from app.core.settings import Settings
from tests.conftest import ConfirmEmail, Register, SetClock
from tests.people import PASSWORD, Person
from tests.web.conftest import DESK, Forms, OpenTab

WHY = "Asked for by the clinic"


@pytest.fixture
async def office(forms: Forms, admin: Person) -> Forms:
    """An administrator has signed in."""
    await forms.sign_in(admin)
    return forms


async def decide(office: Forms, person: Person, act: str, **fields: str) -> httpx2.Response:
    where = f"/office/users/{person.id}"
    shown = await office.client.get(f"{where}?action={act}")
    key = re.search(r'name="form_key" value="([^"]+)"', shown.text)
    fields |= {"form_key": key[1]} if key else {}
    return await office.send(f"{where}/{act}", on=f"{where}?action={act}", **fields)


async def recorded(admin: Person, action: str) -> list[tuple[Any, ...]]:
    events = (await admin.get("/admin/audit", params={"action": action})).json()
    return [(event["patient_id"] or event["object_id"], event["outcome"], event["reason"]) for event in events]


class TestApproval:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"doctor_approval": "required"})

    async def test_a_doctor_who_waits_comes_first(self, office: Forms, admin: Person, register: Register) -> None:
        waiting = await register("doctor", name="Dr Helena Brandvold", specialty="Cardiology")
        await register("patient", name="Ann Lee")
        shown = (await office.client.get("/office/users")).text
        assert "1 doctor is waiting for approval" in shown
        assert shown.index("Dr Helena Brandvold") < shown.index("Ann Lee")
        assert "1 doctor is waiting" not in (await office.client.get("/office/users?role=doctor")).text

        refused = await decide(office, waiting, "approve", reason="Too short")
        assert refused.status_code == 422
        assert "Must have at least 10 characters." in refused.text
        assert ">Too short</textarea>" in refused.text
        done = await decide(office, waiting, "approve", reason=WHY)
        assert (done.status_code, done.headers["location"]) == (303, f"/office/users/{waiting.id}#decide")
        assert "Patients can now find this doctor" in (await office.client.get(done.headers["location"])).text
        assert [each["id"] for each in (await office.client.get("/doctors")).json()] == [waiting.id]
        assert await recorded(admin, "approve_doctor") == [(waiting.id, "ok", WHY)]


async def test_a_suspension_is_done_once_and_undone(office: Forms, admin: Person, patient: Person) -> None:
    for _ in range(2):  # the second submission
        done = await office.send(
            f"/office/users/{patient.id}/suspend",
            f"/office/users/{patient.id}?action=suspend",
            reason=WHY,
            form_key="k",
        )
        assert done.headers["location"] == f"/office/users/{patient.id}#decide"
    assert (await patient.get("/auth/me")).status_code == 401
    assert [each["status"] for each in (await admin.get("/admin/users?role=patient")).json()] == ["suspended"]
    assert (patient.id, "ok", WHY) in await recorded(admin, "suspend_user")
    assert "Lift the suspension" in (await office.client.get(f"/office/users/{patient.id}")).text
    assert (await decide(office, patient, "reinstate", reason=WHY)).status_code == 303
    assert (await (await patient.log_in_again()).get("/auth/me")).status_code == 200


async def test_what_a_decision_means_is_said_for_the_role(
    office: Forms, admin: Person, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(doctor, "2026-12-08T17:00:00Z")

    async def read(person: Person, act: str) -> str:
        return (await office.client.get(f"/office/users/{person.id}?action={act}")).text

    for act in ("erase", "suspend", "reinstate"):
        assert "doctor" not in (await read(patient, act)).partition("<main")[2].partition("</main>")[0]
        assert "patient&#39;s visits" not in await read(doctor, act)
    assert "hours and time off" in await read(doctor, "erase")
    shown = await read(doctor, "suspend")
    assert "This doctor has 1 upcoming visit." in shown
    assert "They stay booked after the suspension." in shown
    assert "1 visit" not in await read(patient, "suspend")
    assert "Booked visits" not in await read(admin, "suspend")


async def test_nobody_suspends_herself(office: Forms, admin: Person) -> None:
    assert "act=suspend" not in (await office.client.get(f"/office/users/{admin.id}")).text
    refused = await decide(office, admin, "suspend", reason=WHY)
    assert refused.status_code == 409
    assert "You cannot do this with your own account." in refused.text
    assert WHY in refused.text


async def test_a_lost_second_factor_is_removed(
    office: Forms, patient: Person, confirm_email: ConfirmEmail, clock: SetClock, mails: list[Mail]
) -> None:
    await confirm_email(patient)
    secret = (await patient.post("/auth/second-factor", None)).json()["secret"]
    await patient.post("/auth/second-factor/confirm", {"otp": pyotp.TOTP(secret).at(clock.time)})
    assert (await decide(office, patient, "end-sessions")).status_code == 303
    assert (await patient.get("/auth/me")).status_code == 401
    assert (await decide(office, patient, "remove-second-factor")).status_code == 303
    assert mails[-1].subject == "Your second factor was removed"
    assert "act=remove-second-factor" not in (await office.client.get(f"/office/users/{patient.id}")).text


async def test_the_glass_is_broken_for_a_reason_and_for_a_while(
    office: Forms, admin: Person, doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(doctor, "2026-12-08T17:00:00Z", reason="A mole")
    visits, asks = f"/office/users/{patient.id}/visits", f"/office/users/{patient.id}?action=break-glass"
    assert (await office.client.get(visits)).headers["location"] == asks
    assert (await decide(office, patient, "break-glass")).status_code == 422
    assert (await decide(office, doctor, "break-glass", reason=WHY)).status_code == 404

    assert (await decide(office, patient, "break-glass", reason=WHY)).headers["location"] == visits
    shown = (await office.client.get(visits)).text
    assert "Tuesday 8 December, 12:00" in shown, "on the doctor's clock"
    assert "A mole" in shown
    assert (patient.id, "ok", WHY) in await recorded(admin, "break_glass")
    assert (patient.id, "ok", WHY) in await recorded(admin, "list_visits_behind_glass")
    other = await register("patient")
    assert (await office.client.get(visits.replace(patient.id, other.id))).status_code == 303
    clock.advance(minutes=11)
    assert (await office.client.get(visits)).headers["location"] == asks


async def test_what_only_leads_elsewhere_is_not_recorded(office: Forms, admin: Person, patient: Person) -> None:
    answer = await office.client.get(f"/office/users/{patient.id}/visits")
    assert answer.headers["location"] == f"/office/users/{patient.id}?action=break-glass"
    assert await recorded(admin, "list_visits_behind_glass") == []
    answer = await office.client.get(f"/office/users/{patient.id}/profile-change")
    assert answer.status_code == 404
    assert [outcome for _, outcome, _ in await recorded(admin, "show_profile_change")] == ["not_found"]
    for _ in range(2):
        done = await office.send(
            f"/office/users/{patient.id}/suspend",
            f"/office/users/{patient.id}?action=suspend",
            reason=WHY,
            form_key="k",
        )
        assert done.status_code == 303
    assert await recorded(admin, "suspend_user") == [(patient.id, "ok", WHY)], "sent twice, done once"


async def test_the_trail_names_staff_and_only_the_patient_who_is_asked_for(
    office: Forms, admin: Person, doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    for each, hour in (patient, "15"), (await register("patient", name="Bea Moss"), "17"):
        await each.book(doctor, f"2026-12-08T{hour}:00:00Z")
    clock.advance(minutes=20)
    await doctor.get("/doctors/me/appointments")
    shown = (await office.client.get("/office/trail?action=list_doctors_appointments")).text
    assert "Dr Amara Okafor" in shown
    assert "2 patients" in shown, "who were looked at at once"
    assert "Ann Lee" not in shown
    assert patient.id.replace("-", "")[-6:] in shown
    asked = (await office.client.get("/office/trail", params={"patient": patient.email.upper()})).text
    assert "Ann Lee" in asked
    assert "Bea Moss" not in asked
    assert (patient.id, "ok", None) in await recorded(admin, "list_audit_events")

    await office.send("/preferences", zone="Asia/Kolkata")
    late = {"from": "2026-12-01T13:50", "to": "2026-12-01T13:51", "actor": doctor.id}
    shown = (await office.client.get("/office/trail", params=late)).text
    assert "13:50" in shown, "when it is 08:20 UTC"
    assert "Listed a doctor&#39;s appointments</a>" in shown
    early = (await office.client.get("/office/trail", params=late | {"from": "2026-12-01T13:51"})).text
    assert "No events match." in early
    unknown = await office.client.get("/office/trail", params={"patient": "nobody@example.com"})
    assert unknown.status_code == 422
    assert "There is no account with this address or number." in unknown.text
    for wrong in ({"patient": str(uuid4())}, {"action": "book"}, {"action": "no_such_thing"}):
        refused = await office.client.get("/office/trail", params=wrong)
        assert refused.status_code == 422, "a wrong filter is said to be wrong, instead of finding nothing"
        assert "No events match." not in refused.text


async def test_the_trail_says_which_account_was_decided_on(
    office: Forms, admin: Person, register: Register, client: httpx2.AsyncClient
) -> None:
    doctor = await register("doctor", name="Dr Amara Okafor")
    for act in ("suspend", "reinstate", "approve"):
        assert (await decide(office, doctor, act, reason=WHY)).status_code == 303
    await client.post("/auth/login", data={"username": doctor.email, "password": "a wrong one"})
    await admin.patch("/auth/me", {"name": "Root"})
    page = (await office.client.get("/office/trail")).text
    assert re.search(r">Sign-in</a>\s+<span class=\"badge refused\">Refused", page), "with a gap"
    assert "Not signed in" in page
    shown = rows_of(page)
    for expected in (
        "Suspended an account Dr Amara Okafor",
        "Lifted the suspension of an account Dr Amara Okafor",
        "Approved a doctor Dr Amara Okafor",
        "Sign-in Refused: wrong address or password Dr Amara Okafor",
        "Changed their own name",
    ):
        assert any(expected in row for row in shown), expected


def rows_of(page: str) -> list[str]:
    """Return the text of the rows of a list."""
    rows = re.findall(r'<li class="row trail-row">(.*?)</li>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


async def test_accounts_and_events_are_paged(office: Forms, register: Register) -> None:
    for _ in range(2):
        await register("patient")
    found: list[str] = []
    where: str | None = "/office/users?role=patient&limit=1"
    while where:
        shown = (await office.client.get(where)).text
        found += re.findall(r'class="row account-row" href="/office/users/([^"]+)"', shown)
        more = re.search(r'<p class="more"><a class="button quiet" href="([^"]+)"', shown)
        where = more[1].replace("&amp;", "&") if more else None
    assert len(found) == len(set(found)) == 2
    assert (await office.client.get("/office/users?cursor=abc")).status_code == 422


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("where", ["/office/users", "/office/trail"])
async def test_filters_are_folded_on_a_phone_unless_one_is_set(open_tab: OpenTab, admin: Person, where: str) -> None:
    tab = await open_tab()
    await tab.sign_in(admin.email)
    button = tab.page.locator(".filters button")
    await tab.go(where)
    assert not await button.is_visible()
    await tab.page.get_by_text("Filters").click()
    assert await button.is_visible()
    await tab.go(f"{where}?role=patient&action=log_in")
    assert await button.is_visible()
    await tab.page.set_viewport_size(DESK)
    await tab.go(where)
    assert await button.is_visible()


@pytest.mark.parametrize("act", ["suspend", "break-glass"])
async def test_a_decision_goes_on_after_signing_in_again(
    office: Forms, admin: Person, patient: Person, clock: SetClock, act: str
) -> None:
    clock.advance(minutes=11)
    account = f"/office/users/{patient.id}"
    form = f"{account}?action={act}"
    shown = (await office.client.get(form)).text
    token = re.search(r'name="form_token" value="([^"]+)"', shown)
    sent_to = re.search(rf'action="({re.escape(account)}/[^"]+)"', shown)
    assert token
    assert sent_to
    typed = {"form_token": token[1], "reason": WHY}
    # From the page itself, and from the page that shows the refused form again.
    for on in (form, sent_to[1]):
        headers = {"Referer": str(office.client.base_url.join(on))}
        asked = await office.client.post(sent_to[1], data=typed, headers=headers)
        assert (asked.status_code, asked.headers["location"]) == (303, f"/sign-in?{urlencode({'next': form})}")
    signed_in = await office.send(
        "/sign-in", asked.headers["location"], username=admin.email, password=PASSWORD, next=form
    )
    assert signed_in.headers["location"] == form
    assert f">{WHY}</textarea>" in (await office.client.get(form)).text
    assert (await decide(office, patient, act, reason=WHY)).status_code == 303
    assert WHY not in (await office.client.get(form)).text


async def test_a_doctor_with_visits_is_suspended_and_then_erased(
    office: Forms, admin: Person, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(doctor, "2026-12-08T17:00:00Z")
    assert "act=erase" not in (await office.client.get(f"/office/users/{admin.id}")).text
    refused = await decide(office, doctor, "erase", reason=WHY)
    assert refused.status_code == 409
    assert "This doctor has 1 upcoming visit." in refused.text
    assert (await decide(office, doctor, "suspend", reason=WHY)).status_code == 303
    assert (
        "Deleting the account cancels them" in (await office.client.get(f"/office/users/{doctor.id}?action=erase")).text
    )
    assert (await decide(office, doctor, "erase", reason=WHY)).status_code == 303
    shown = (await office.client.get(f"/office/users/{doctor.id}")).text
    assert "The account has been deleted." in shown
    assert "act=erase" not in shown
    assert (doctor.id, "ok", WHY) in await recorded(admin, "erase_user")


async def test_accounts_are_found_by_a_part_of_the_name(office: Forms, patient: Person, doctor: Person) -> None:
    shown = (await office.client.get("/office/users", params={"q": "lee a"})).text
    assert patient.id in shown
    assert doctor.id not in shown
    assert (await office.client.get("/office/users", params={"q": "le"})).status_code == 422
