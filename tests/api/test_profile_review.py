"""Approval of doctors, and reviews of their names and specialties."""

from uuid import UUID

import httpx2
import pytest

from app.core.permissions import Actor, Role
from app.core.settings import Settings
from app.db.database import Database
from app.services import accounts, doctor_profile
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem

REASON = {"reason": "The licence was checked"}
NEW = {"name": "Prof Amara Okafor", "specialty": "Neurosurgery"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"doctor_approval": "required"})


@pytest.fixture
async def doctor(admin: Person, doctor: Person) -> Person:
    """A doctor who is approved."""
    response = await admin.post(f"/admin/users/{doctor.id}/approve", REASON)
    assert response.status_code == 200
    return doctor


async def read_public_profile(doctor: Person) -> dict[str, str | None]:
    shown = (await doctor.client.get(f"/doctors/{doctor.id}")).json()
    return {name: shown[name] for name in NEW}


async def list_pending_changes(admin: Person) -> list[dict[str, str]]:
    changes: list[dict[str, str]] = (await admin.get("/admin/profile-changes")).json()
    return changes


async def decide(admin: Person, change: dict[str, str], decision: str) -> httpx2.Response:
    return await admin.post(f"/admin/users/{change['doctor_id']}/profile-changes/{change['id']}/{decision}", REASON)


BEFORE = {"name": "Dr Amara Okafor", "specialty": "Dermatology"}


async def test_unapproved_doctor_sees_the_pending_approval(register: Register, admin: Person) -> None:
    newcomer = await register("doctor")
    assert (await newcomer.get("/doctors/me")).json()["approved_at"] is None
    await newcomer.update_profile(**NEW)
    assert (await newcomer.get("/doctors/me")).json()["name"] == NEW["name"], "before the approval there is no review"
    await admin.post(f"/admin/users/{newcomer.id}/approve", REASON)
    assert (await newcomer.get("/doctors/me")).json()["approved_at"] == "2026-12-01T08:00:00Z"


async def test_new_name_and_specialty_are_shown_once_accepted(doctor: Person, admin: Person) -> None:
    changed = await doctor.update_profile(**NEW, bio="Skin, hair, nails")
    assert changed["bio"] == "Skin, hair, nails", "fields that are not reviewed change at once"
    pending = changed["pending_change"]
    assert {name: pending[name] for name in NEW} == NEW
    assert (await doctor.get("/doctors/me")).json()["pending_change"] == pending
    assert await read_public_profile(doctor) == BEFORE
    [change] = await list_pending_changes(admin)
    current = {"current_name": BEFORE["name"], "current_specialty": BEFORE["specialty"]}
    assert change == pending | current | {"doctor_id": doctor.id}
    assert (await decide(admin, change, "accept")).json()["name"] == NEW["name"]
    assert await read_public_profile(doctor) == NEW
    assert await list_pending_changes(admin) == []
    assert [each["id"] for each in (await doctor.client.get("/doctors?q=prof")).json()] == [doctor.id]
    assert_problem(await decide(admin, change, "accept"), 404, "not_found")
    assert_problem(await decide(admin, change, "decline"), 404, "not_found")


async def test_declined_change_does_not_change_the_public_profile(doctor: Person, admin: Person) -> None:
    await doctor.update_profile(specialty=None)
    [change] = await list_pending_changes(admin)
    assert change["specialty"] is None
    assert (await decide(admin, change, "decline")).status_code == 200
    assert await read_public_profile(doctor) == BEFORE
    assert (await doctor.get("/doctors/me")).json()["pending_change"] is None


async def test_name_changed_in_the_account_is_reviewed(doctor: Person, admin: Person, patient: Person) -> None:
    response = await doctor.patch("/auth/me", {"name": NEW["name"]})
    assert response.json()["name"] == BEFORE["name"]
    assert await read_public_profile(doctor) == BEFORE
    [change] = await list_pending_changes(admin)
    await decide(admin, change, "accept")
    assert (await doctor.get("/auth/me")).json()["name"] == NEW["name"]
    assert (await patient.patch("/auth/me", {"name": "Ann Lee-Moss"})).json()["name"] == "Ann Lee-Moss"


async def test_decision_about_a_replaced_change_is_not_found(doctor: Person, admin: Person) -> None:
    await doctor.update_profile(name="Prof Amara Okafor")
    [first] = await list_pending_changes(admin)
    await doctor.update_profile(name="Prof Amara Okafor")
    assert await list_pending_changes(admin) == [first], "repeating the change does not replace it"
    await doctor.update_profile(specialty="Neurosurgery")
    [second] = await list_pending_changes(admin)
    assert (second["name"], second["specialty"]) == tuple(NEW.values())
    assert_problem(await decide(admin, first, "accept"), 404, "not_found")
    assert_problem(await decide(admin, first, "decline"), 404, "not_found")
    assert await read_public_profile(doctor) == BEFORE
    await doctor.update_profile(**BEFORE)
    assert await list_pending_changes(admin) == [], "changing back withdraws the change"


async def test_pending_change_is_exported_and_erased(doctor: Person, admin: Person) -> None:
    await doctor.update_profile(**NEW)
    export = (await doctor.get("/auth/me/export")).json()
    assert export["practice"]["pending_change"]["name"] == NEW["name"]
    [change] = await list_pending_changes(admin)
    assert (await doctor.delete("/auth/me")).status_code == 204
    assert await list_pending_changes(admin) == []
    assert_problem(await decide(admin, change, "accept"), 404, "not_found")


async def test_pending_changes_are_paged(register: Register, admin: Person) -> None:
    doctors = [await register("doctor") for _ in range(3)]
    for each in doctors:
        await admin.post(f"/admin/users/{each.id}/approve", REASON)
        await each.update_profile(**NEW)
    first = await admin.get("/admin/profile-changes?limit=2")
    rest = await admin.get(first.links["next"]["url"])
    found = [change["doctor_id"] for change in (*first.json(), *rest.json())]
    assert found == [each.id for each in doctors]


class TestWithoutDoctorApproval:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"doctor_approval": "open"})

    async def test_new_name_is_shown_at_once_without_review(self, doctor: Person) -> None:
        assert (await doctor.update_profile(**NEW))["pending_change"] is None
        assert await read_public_profile(doctor) == NEW
        assert (await doctor.patch("/auth/me", {"name": "Dr Amara Okafor"})).json()["name"] == "Dr Amara Okafor"


def test_production_requires_approval_and_confirmation_by_default() -> None:
    def make(environment: str, **changes: str) -> Settings:
        return Settings.model_validate(
            {"environment": environment, "secret_key": "0123456789abcdef0123456789abcdef", **changes}
        )

    production, development = make("production"), make("development")
    assert production.requires_doctor_approval
    assert production.requires_confirmed_email
    assert not production.lists_new_doctors
    assert not development.requires_doctor_approval
    assert not development.requires_confirmed_email
    assert development.lists_new_doctors
    explicit = make("production", doctor_approval="open", email_confirmation="optional")
    assert explicit.lists_new_doctors


@pytest.mark.parametrize("path", ["/doctors/me", "/auth/me"])
async def test_version_includes_the_pending_change(doctor: Person, path: str) -> None:
    async def change(name: str, tag: str) -> httpx2.Response:
        return await doctor.client.patch(path, json={"name": name}, headers=doctor.headers | {"If-Match": tag})

    etag = (await doctor.get(path)).headers["ETag"]
    first = await change(NEW["name"], etag)
    assert first.status_code == 200
    assert first.json()["name"] == BEFORE["name"], "patients see the published name"
    assert first.headers["ETag"] == (await doctor.get(path)).headers["ETag"] != etag
    assert_problem(await change("Dr Other", etag), 412, "version_mismatch")
    second = await change("Dr Other", first.headers["ETag"])
    assert second.status_code == 200
    assert second.headers["ETag"] == (await doctor.get(path)).headers["ETag"]
    assert (await doctor.get("/doctors/me")).json()["pending_change"]["name"] == "Dr Other"


async def test_approval_of_an_outdated_name_or_specialty_is_refused(register: Register, admin: Person) -> None:
    newcomer = await register("doctor")
    account = f"/admin/users/{newcomer.id}"

    async def approve(tag: str) -> httpx2.Response:
        return await admin.client.post(f"{account}/approve", json=REASON, headers=admin.headers | {"If-Match": tag})

    shown = await admin.get(account)
    assert shown.json()["specialty"] == (await newcomer.get("/doctors/me")).json()["specialty"]
    for changes in ({"specialty": "Neurosurgery"}, {"name": "Prof Amara Okafor"}):
        etag = (await admin.get(account)).headers["ETag"]
        await newcomer.update_profile(**changes)
        assert_problem(await approve(etag), 412, "version_mismatch")
        assert (await admin.get(account)).json()["status"] == "unapproved"
    etag = (await admin.get(account)).headers["ETag"]
    await newcomer.update_profile(bio="Not reviewed")
    assert (await approve(etag)).status_code == 200


async def test_change_without_review_replaces_the_pending_one(
    doctor: Person, database: Database, clock: SetClock
) -> None:
    actor = Actor(UUID(doctor.id), Role.DOCTOR, doctor.name)
    await doctor.update_profile(**NEW)
    for name in ("Dr Other", NEW["name"]):
        async with database.write() as transaction:
            await accounts.change_name(transaction, actor, name, clock.time)
        pending = (await doctor.get("/doctors/me")).json()["pending_change"]
        assert (pending["name"], pending["specialty"]) == (name, NEW["specialty"])
        assert (await read_public_profile(doctor))["name"] == name
    async with database.write() as transaction:
        await doctor_profile.change_profile(transaction, actor.id, {"specialty": "Surgery"}, clock.time)
    assert (await doctor.get("/doctors/me")).json()["pending_change"] is None
    assert await read_public_profile(doctor) == {"name": NEW["name"], "specialty": "Surgery"}
    async with database.write() as transaction:
        await accounts.change_name(transaction, actor, "Dr Last", clock.time)
    assert (await doctor.get("/doctors/me")).json()["pending_change"] is None


async def test_erased_doctor_cannot_be_approved(register: Register, admin: Person) -> None:
    newcomer = await register("doctor")
    tag = (await admin.get(f"/admin/users/{newcomer.id}")).headers["ETag"]
    assert (await newcomer.delete("/auth/me")).status_code == 204
    for headers in ({}, {"If-Match": tag}):
        response = await admin.client.post(
            f"/admin/users/{newcomer.id}/approve", json=REASON, headers=admin.headers | headers
        )
        assert_problem(response, 404, "not_found")
