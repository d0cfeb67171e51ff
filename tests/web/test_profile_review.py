"""Pages for the approval of doctors and for reviews of their names and specialties."""

import httpx2
import pytest

from app.core.settings import Settings
from tests.conftest import Register
from tests.people import Person
from tests.web.conftest import Forms, on_both_databases
from tests.web.markup import read_hidden

REASON = "The licence was checked"
PRACTICE = {
    "specialty": "Dermatology",
    "time_zone": "America/New_York",
    "default_visit_minutes": "30",
    "min_notice_minutes": "0",
    "cancel_cutoff_minutes": "0",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"doctor_approval": "required"})


async def approve(admin: Person, doctor: Person) -> None:
    response = await admin.post(f"/admin/users/{doctor.id}/approve", {"reason": REASON})
    assert response.status_code == 200


async def test_doctor_is_told_about_the_approval_until_it_is_given(
    forms: Forms, client: httpx2.AsyncClient, admin: Person, doctor: Person
) -> None:
    await forms.sign_in(doctor)
    assert "An administrator has to approve your account" in (await client.get("/practice/day")).text
    visit_type = {"name": "Check-up", "duration_minutes": "30", "mode": "in_person"}
    more = dict.fromkeys(("buffer_before_minutes", "buffer_after_minutes", "min_notice_minutes"), "0")
    await forms.send("/practice/profile/visit-types/new", **visit_type, **more)
    shown = (await client.get("/practice/profile/visit-types")).text
    assert "Patients can book this visit type once an administrator has approved your account." in shown
    await approve(admin, doctor)
    assert "has to approve your account" not in (await client.get("/practice/day")).text
    await forms.send("/practice/profile/visit-types/new", **visit_type | {"name": "Talk"}, **more)
    assert "Patients can now book this visit type." in (await client.get("/practice/profile/visit-types")).text


@on_both_databases
async def test_administrator_accepts_or_declines_a_new_name(
    forms: Forms, client: httpx2.AsyncClient, admin: Person, doctor: Person
) -> None:
    await approve(admin, doctor)
    review = f"/office/users/{doctor.id}/profile-change"
    for decision, name in (("decline", "Dr Amara Okafor"), ("accept", "Prof Amara Okafor")):
        client.cookies.clear()
        await forms.sign_in(doctor)
        await forms.send("/practice/profile", name="Prof Amara Okafor", **PRACTICE)
        shown = (await client.get("/practice/profile")).text
        assert "An administrator will review your new name or specialty before patients see it." in shown
        assert 'value="Prof Amara Okafor"' in shown
        await forms.send("/practice/profile", name="Prof Amara Okafor", bio="Skin", **PRACTICE)
        assert "Your profile has been saved." in (await client.get("/practice/profile")).text
        client.cookies.clear()
        await forms.sign_in(admin)
        assert review in (await client.get("/office/users")).text
        assert review in (await client.get(f"/office/users/{doctor.id}")).text
        change = read_hidden((await client.get(review)).text, "change")
        refused = await forms.send(f"{review}/{decision}", on=review, change=change, reason="short")
        assert refused.status_code == 422
        assert "Prof Amara Okafor" in refused.text
        decided = await forms.send(f"{review}/{decision}", on=review, change=change, reason=REASON)
        assert decided.headers["location"] == f"/office/users/{doctor.id}"
        assert (await client.get(f"/doctors/{doctor.id}")).json()["name"] == name
        assert (await client.get(review)).headers["location"] == f"/office/users/{doctor.id}"
    stale = {"change": "00000000-0000-7000-8000-000000000001", "reason": REASON}
    gone = await forms.send(f"{review}/accept", on="/office/users", **stale)
    assert gone.status_code == 404


async def test_two_tabs_do_not_overwrite_a_name_under_review(
    forms: Forms, client: httpx2.AsyncClient, admin: Person, doctor: Person
) -> None:
    await approve(admin, doctor)
    await forms.sign_in(doctor)
    page = "/practice/profile"
    opened = read_hidden((await client.get(page)).text, "content_version")
    assert (await forms.send(page, name="Prof Amara Okafor", **PRACTICE)).status_code == 303
    refused = await forms.send(page, name="Dr Amara Okafor-Lee", content_version=opened, **PRACTICE)
    assert refused.status_code == 412
    assert "<bdi>Prof Amara Okafor</bdi>" in refused.text
    assert 'value="Dr Amara Okafor-Lee"' in refused.text
    assert 'value="Prof Amara Okafor"' in (await client.get(page)).text


async def test_approval_of_a_changed_profile_is_refused_and_shows_the_changes(
    forms: Forms, client: httpx2.AsyncClient, admin: Person, register: Register
) -> None:
    doctor = await register("doctor")
    await forms.sign_in(admin)
    question = f"/office/users/{doctor.id}?decision=approve"
    shown = (await client.get(question)).text
    version = read_hidden(shown, "content_version")
    await doctor.update_profile(name="Prof Eminent", specialty="Neurosurgery")
    action = f"/office/users/{doctor.id}/approve"
    refused = await forms.send(action, question, reason=REASON, content_version=version)
    assert refused.status_code == 412
    assert "Prof Eminent" in refused.text
    assert "Neurosurgery" in refused.text
    assert f"{REASON}</textarea>" in refused.text
    again = read_hidden(refused.text, "content_version")
    accepted = await forms.send(action, question, reason=REASON, content_version=again)
    assert accepted.status_code == 303
    assert [each["name"] for each in (await client.get("/doctors")).json()] == ["Prof Eminent"]


async def test_name_changed_on_the_account_page_is_reviewed(
    forms: Forms, client: httpx2.AsyncClient, admin: Person, doctor: Person
) -> None:
    await approve(admin, doctor)
    await forms.sign_in(doctor)
    for name in ("Prof Amara Okafor", "Prof Okafor"):
        assert (await forms.send("/my/account", name=name)).status_code == 303
        shown = (await client.get("/my/account")).text
        assert "An administrator will review your new name." in shown
        assert f'value="{name}"' in shown
        assert f"Waiting for review: <bdi>{name}</bdi>" in shown
