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
from tests.web.conftest import DESK, PHONE, Forms, OpenTab, on_both_databases
from tests.web.markup import read_hidden

REASON = "Asked for by the clinic"


@pytest.fixture
async def admin_forms(forms: Forms, admin: Person) -> Forms:
    """The forms of an administrator who has signed in."""
    await forms.sign_in(admin)
    return forms


async def decide(admin_forms: Forms, person: Person, decision: str, **fields: str) -> httpx2.Response:
    account = f"/office/users/{person.id}"
    shown = await admin_forms.client.get(f"{account}?decision={decision}")
    key = re.search(r'name="form_key" value="([^"]+)"', shown.text)
    fields |= {"form_key": key[1]} if key else {}
    return await admin_forms.send(f"{account}/{decision}", on=f"{account}?decision={decision}", **fields)


async def list_events(admin: Person, action: str) -> list[tuple[Any, ...]]:
    events = (await admin.get("/admin/audit", params={"action": action})).json()
    return [(event["patient_id"] or event["object_id"], event["outcome"], event["reason"]) for event in events]


class TestApproval:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"doctor_approval": "required"})

    async def test_doctor_waiting_for_approval_is_listed_first_and_approved(
        self, admin_forms: Forms, admin: Person, register: Register
    ) -> None:
        waiting = await register("doctor", name="Dr Helena Brandvold", specialty="Cardiology")
        await register("patient", name="Ann Lee")
        shown = (await admin_forms.client.get("/office/users")).text
        assert "1 doctor is waiting for approval" in shown
        assert shown.index("Dr Helena Brandvold") < shown.index("Ann Lee")
        assert "1 doctor is waiting" not in (await admin_forms.client.get("/office/users?role=doctor")).text

        refused = await decide(admin_forms, waiting, "approve", reason="Too short")
        assert refused.status_code == 422
        assert "Must have at least 10 characters." in refused.text
        assert ">Too short</textarea>" in refused.text
        done = await decide(admin_forms, waiting, "approve", reason=REASON)
        assert (done.status_code, done.headers["location"]) == (303, f"/office/users/{waiting.id}#decide")
        assert "Patients can now find this doctor" in (await admin_forms.client.get(done.headers["location"])).text
        assert [each["id"] for each in (await admin_forms.client.get("/doctors")).json()] == [waiting.id]
        assert await list_events(admin, "approve_doctor") == [(waiting.id, "ok", REASON)]


async def test_repeated_suspension_succeeds_and_can_be_lifted(
    admin_forms: Forms, admin: Person, patient: Person
) -> None:
    for _ in range(2):  # the second submission
        done = await admin_forms.send(
            f"/office/users/{patient.id}/suspend",
            f"/office/users/{patient.id}?decision=suspend",
            reason=REASON,
            form_key="k",
        )
        assert done.headers["location"] == f"/office/users/{patient.id}#decide"
    assert (await patient.get("/auth/me")).status_code == 401
    assert [each["status"] for each in (await admin.get("/admin/users?role=patient")).json()] == ["suspended"]
    assert (patient.id, "ok", REASON) in await list_events(admin, "suspend_user")
    assert "Lift the suspension" in (await admin_forms.client.get(f"/office/users/{patient.id}")).text
    assert (await decide(admin_forms, patient, "reinstate", reason=REASON)).status_code == 303
    assert (await (await patient.log_in_again()).get("/auth/me")).status_code == 200


async def test_decision_page_explains_the_effects_for_the_role(
    admin_forms: Forms, admin: Person, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(doctor, "2026-12-08T17:00:00Z")

    async def read(person: Person, decision: str) -> str:
        return (await admin_forms.client.get(f"/office/users/{person.id}?decision={decision}")).text

    for decision in ("erase", "suspend", "reinstate"):
        assert "doctor" not in (await read(patient, decision)).partition("<main")[2].partition("</main>")[0]
        assert "patient&#39;s visits" not in await read(doctor, decision)
    assert "hours and time off" in await read(doctor, "erase")
    shown = await read(doctor, "suspend")
    assert "This doctor has 1 upcoming visit." in shown
    assert "They stay booked after the suspension." in shown
    assert "1 visit" not in await read(patient, "suspend")
    assert "Booked visits" not in await read(admin, "suspend")


async def test_administrator_cannot_suspend_their_own_account(admin_forms: Forms, admin: Person) -> None:
    assert "decision=suspend" not in (await admin_forms.client.get(f"/office/users/{admin.id}")).text
    refused = await decide(admin_forms, admin, "suspend", reason=REASON)
    assert refused.status_code == 409
    assert "You cannot do this with your own account." in refused.text
    assert REASON in refused.text


async def test_administrator_removes_a_lost_second_factor(
    admin_forms: Forms, patient: Person, confirm_email: ConfirmEmail, clock: SetClock, mails: list[Mail]
) -> None:
    await confirm_email(patient)
    secret = (await patient.post("/auth/second-factor", None)).json()["secret"]
    await patient.post("/auth/second-factor/confirm", {"otp": pyotp.TOTP(secret).at(clock.time)})
    assert (await decide(admin_forms, patient, "end-sessions")).status_code == 303
    assert (await patient.get("/auth/me")).status_code == 401
    assert (await decide(admin_forms, patient, "remove-second-factor")).status_code == 303
    assert mails[-1].subject == "Your second factor was removed"
    assert "decision=remove-second-factor" not in (await admin_forms.client.get(f"/office/users/{patient.id}")).text


async def test_break_glass_access_needs_a_reason_and_expires(
    admin_forms: Forms, admin: Person, doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(doctor, "2026-12-08T17:00:00Z", reason="A mole")
    visits, reason_form = f"/office/users/{patient.id}/visits", f"/office/users/{patient.id}?decision=break-glass"
    assert (await admin_forms.client.get(visits)).headers["location"] == reason_form
    assert (await decide(admin_forms, patient, "break-glass")).status_code == 422
    assert (await decide(admin_forms, doctor, "break-glass", reason=REASON)).status_code == 404

    assert (await decide(admin_forms, patient, "break-glass", reason=REASON)).headers["location"] == visits
    shown = (await admin_forms.client.get(visits)).text
    assert "Tuesday 8 December, 12:00" in shown, "on the doctor's clock"
    assert "A mole" in shown
    assert (patient.id, "ok", REASON) in await list_events(admin, "break_glass")
    assert (patient.id, "ok", REASON) in await list_events(admin, "list_visits_behind_glass")
    other = await register("patient")
    assert (await admin_forms.client.get(visits.replace(patient.id, other.id))).status_code == 303
    clock.advance(minutes=11)
    assert (await admin_forms.client.get(visits)).headers["location"] == reason_form


async def test_redirects_are_not_recorded_as_access(admin_forms: Forms, admin: Person, patient: Person) -> None:
    response = await admin_forms.client.get(f"/office/users/{patient.id}/visits")
    assert response.headers["location"] == f"/office/users/{patient.id}?decision=break-glass"
    assert await list_events(admin, "list_visits_behind_glass") == []
    response = await admin_forms.client.get(f"/office/users/{patient.id}/profile-change")
    assert response.status_code == 404
    assert [outcome for _, outcome, _ in await list_events(admin, "show_profile_change")] == ["not_found"]
    for _ in range(2):
        done = await admin_forms.send(
            f"/office/users/{patient.id}/suspend",
            f"/office/users/{patient.id}?decision=suspend",
            reason=REASON,
            form_key="k",
        )
        assert done.status_code == 303
    assert await list_events(admin, "suspend_user") == [(patient.id, "ok", REASON)], "a repeated form is recorded once"


async def test_audit_trail_names_staff_and_only_the_patient_searched_for(
    admin_forms: Forms, admin: Person, doctor: Person, patient: Person, register: Register, clock: SetClock
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    for each, hour in (patient, "15"), (await register("patient", name="Bea Moss"), "17"):
        await each.book(doctor, f"2026-12-08T{hour}:00:00Z")
    clock.advance(minutes=20)
    await doctor.get("/doctors/me/appointments")
    shown = (await admin_forms.client.get("/office/trail?action=list_doctors_appointments")).text
    assert "Dr Amara Okafor" in shown
    assert "2 patients" in shown, "the patients of one event"
    assert "Ann Lee" not in shown
    assert patient.id.replace("-", "")[-6:] in shown
    searched = (await admin_forms.client.get("/office/trail", params={"patient": patient.email.upper()})).text
    assert "Ann Lee" in searched
    assert "Bea Moss" not in searched
    assert (patient.id, "ok", None) in await list_events(admin, "list_audit_events")

    await admin_forms.send("/preferences", zone="Asia/Kolkata")
    late = {"from": "2026-12-01T13:50", "to": "2026-12-01T13:51", "actor": doctor.id}
    shown = (await admin_forms.client.get("/office/trail", params=late)).text
    assert "13:50" in shown, "when it is 08:20 UTC"
    assert "Listed a doctor&#39;s appointments</a>" in shown
    early = (await admin_forms.client.get("/office/trail", params=late | {"from": "2026-12-01T13:51"})).text
    assert "No events match." in early
    unknown = await admin_forms.client.get("/office/trail", params={"patient": "nobody@example.com"})
    assert unknown.status_code == 422
    assert "There is no account with this address or number." in unknown.text
    for wrong in ({"patient": str(uuid4())}, {"action": "book"}, {"action": "no_such_thing"}):
        refused = await admin_forms.client.get("/office/trail", params=wrong)
        assert refused.status_code == 422, "a wrong filter is an error, not an empty list"
        assert "No events match." not in refused.text


async def test_audit_trail_names_the_account_of_a_decision(
    admin_forms: Forms, admin: Person, register: Register, client: httpx2.AsyncClient
) -> None:
    doctor = await register("doctor", name="Dr Amara Okafor")
    for decision in ("suspend", "reinstate", "approve"):
        assert (await decide(admin_forms, doctor, decision, reason=REASON)).status_code == 303
    await client.post("/auth/login", data={"username": doctor.email, "password": "a wrong one"})
    await admin.patch("/auth/me", {"name": "Root"})
    page = (await admin_forms.client.get("/office/trail")).text
    assert re.search(r">Sign-in</a>\s+<span class=\"badge refused\">Refused", page), "with a gap"
    assert "Not signed in" in page
    shown = read_rows(page)
    for expected in (
        "Suspended an account Dr Amara Okafor",
        "Lifted the suspension of an account Dr Amara Okafor",
        "Approved a doctor Dr Amara Okafor",
        "Sign-in Refused: wrong address or password Dr Amara Okafor",
        "Changed their own name",
    ):
        assert any(expected in row for row in shown), expected


def read_rows(page: str) -> list[str]:
    """Return the text of the rows of a list."""
    rows = re.findall(r'<li class="row trail-row">(.*?)</li>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


@on_both_databases
async def test_accounts_are_paged(admin_forms: Forms, register: Register) -> None:
    for _ in range(2):
        await register("patient")
    found: list[str] = []
    page: str | None = "/office/users?role=patient&limit=1"
    while page:
        shown = (await admin_forms.client.get(page)).text
        found += re.findall(r'class="row account-row" href="/office/users/([^"]+)"', shown)
        more = re.search(r'<p class="more"><a class="button quiet" href="([^"]+)"', shown)
        page = more[1].replace("&amp;", "&") if more else None
    assert len(found) == len(set(found)) == 2
    assert (await admin_forms.client.get("/office/users?cursor=abc")).status_code == 422


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_filters_are_collapsed_on_a_phone_unless_one_is_set(open_tab: OpenTab, admin: Person) -> None:
    tab = await open_tab()
    await tab.sign_in(admin.email)
    button = tab.page.locator(".filters button")
    for page in ("/office/users", "/office/trail"):
        await tab.page.set_viewport_size(PHONE)
        await tab.go(page)
        assert not await button.is_visible(), page
        await tab.page.get_by_text("Filters").click()
        assert await button.is_visible(), page
        await tab.go(f"{page}?role=patient&action=log_in")
        assert await button.is_visible(), page
        await tab.page.set_viewport_size(DESK)
        await tab.go(page)
        assert await button.is_visible(), page


@pytest.mark.parametrize("decision", ["suspend", "break-glass"])
async def test_decision_is_restored_after_signing_in_again(
    admin_forms: Forms, admin: Person, patient: Person, clock: SetClock, decision: str
) -> None:
    clock.advance(minutes=11)
    account = f"/office/users/{patient.id}"
    form = f"{account}?decision={decision}"
    shown = (await admin_forms.client.get(form)).text
    token = read_hidden(shown, "form_token")
    sent_to = re.search(rf'action="({re.escape(account)}/[^"]+)"', shown)
    assert sent_to
    typed = {"form_token": token, "reason": REASON}
    # From the page itself, and from the page that shows the refused form again.
    for referrer in (form, sent_to[1]):
        headers = {"Referer": str(admin_forms.client.base_url.join(referrer))}
        refused = await admin_forms.client.post(sent_to[1], data=typed, headers=headers)
        assert (refused.status_code, refused.headers["location"]) == (303, f"/sign-in?{urlencode({'next': form})}")
    signed_in = await admin_forms.send(
        "/sign-in", refused.headers["location"], username=admin.email, password=PASSWORD, next=form
    )
    assert signed_in.headers["location"] == form
    assert f">{REASON}</textarea>" in (await admin_forms.client.get(form)).text
    assert (await decide(admin_forms, patient, decision, reason=REASON)).status_code == 303
    assert REASON not in (await admin_forms.client.get(form)).text


async def test_doctor_with_visits_is_erased_only_after_suspension(
    admin_forms: Forms, admin: Person, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    await patient.book(doctor, "2026-12-08T17:00:00Z")
    assert "decision=erase" not in (await admin_forms.client.get(f"/office/users/{admin.id}")).text
    refused = await decide(admin_forms, doctor, "erase", reason=REASON)
    assert refused.status_code == 409
    assert "This doctor has 1 upcoming visit." in refused.text
    assert (await decide(admin_forms, doctor, "suspend", reason=REASON)).status_code == 303
    assert (
        "Deleting the account cancels them"
        in (await admin_forms.client.get(f"/office/users/{doctor.id}?decision=erase")).text
    )
    assert (await decide(admin_forms, doctor, "erase", reason=REASON)).status_code == 303
    shown = (await admin_forms.client.get(f"/office/users/{doctor.id}")).text
    assert "The account has been deleted." in shown
    assert "decision=erase" not in shown
    assert (doctor.id, "ok", REASON) in await list_events(admin, "erase_user")


async def test_accounts_are_found_by_part_of_the_name(admin_forms: Forms, patient: Person, doctor: Person) -> None:
    shown = (await admin_forms.client.get("/office/users", params={"q": "lee a"})).text
    assert patient.id in shown
    assert doctor.id not in shown
    assert (await admin_forms.client.get("/office/users", params={"q": "le"})).status_code == 422
