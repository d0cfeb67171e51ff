"""Members of clinics: their roles, scopes and days; leaving; and races between managers."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import func, select

from app.db.database import Database
from app.models import Clinic, ClinicDoctor, MemberScope
from tests.api.clinics import get_roles, invite, join, make_clinic
from tests.conftest import CountStatements, Register, SetClock
from tests.people import Person, assert_problem, next_page


@pytest.fixture
async def clinic_id(doctor: Person) -> str:
    """The clinic of a doctor, who is its only manager. It is in Berlin."""
    return str((await make_clinic(doctor))["id"])


@pytest.fixture
async def nurse(doctor: Person, patient: Person, clinic_id: str) -> Person:
    await join(doctor, clinic_id, patient, "nurse")
    return patient


def member_path(clinic_id: str, person: Person) -> str:
    return f"/clinics/{clinic_id}/members/{person.id}"


def role(name: str, **days: str) -> dict[str, str | None]:
    return {"role": name, "valid_from": None, "valid_until": None, **days}


async def test_members_are_listed_with_roles_and_scopes(
    doctor: Person, nurse: Person, register: Register, clinic_id: str
) -> None:
    await join(doctor, clinic_id, await register("patient", name="Cleo"), "auditor", valid_until="2026-12-31")
    first = await doctor.get(f"/clinics/{clinic_id}/members?limit=2")
    path = next_page(first)
    assert path
    found = {each["name"]: each["roles"] for each in first.json() + (await doctor.get(path)).json()}
    assert found == {
        doctor.name: [role("manager"), role("doctor")],
        nurse.name: [role("nurse")],
        "Cleo": [role("auditor", valid_until="2026-12-31")],
    }
    [shown] = [each for each in first.json() if each["user_id"] == nurse.id]
    assert (await doctor.get(member_path(clinic_id, nurse))).json() == shown
    assert shown == {
        "user_id": nurse.id,
        "name": nurse.name,
        "email": nurse.email,
        "roles": [role("nurse")],
        "doctors": [],
    }


async def test_change_takes_effect_with_the_next_request(doctor: Person, nurse: Person, clinic_id: str) -> None:
    path = member_path(clinic_id, nurse)
    changed = await doctor.patch(path, {"roles": [{"role": "manager"}, {"role": "nurse"}], "doctors": [doctor.id]})
    assert changed.json()["roles"] == [role("manager"), role("nurse")]
    assert changed.json()["doctors"] == [doctor.id]
    assert (await nurse.get(f"/clinics/{clinic_id}/members")).status_code == 200
    changed = await doctor.patch(path, {"roles": [{"role": "nurse"}]})
    assert changed.json()["doctors"] == [doctor.id], "a change of roles leaves the scope as it is"
    assert_problem(await nurse.get(f"/clinics/{clinic_id}/members"), 403, "wrong_role")
    assert (await doctor.patch(path, {"doctors": []})).json()["doctors"] == []
    assert (await doctor.patch(path, {})).json()["roles"] == [role("nurse")]


async def test_change_of_a_member_needs_its_version(doctor: Person, nurse: Person, clinic_id: str) -> None:
    path = member_path(clinic_id, nurse)
    headers = doctor.headers | {"If-Match": (await doctor.get(path)).headers["ETag"]}
    body = {"roles": [{"role": "auditor"}]}
    first, second = [await doctor.client.patch(path, json=body, headers=headers) for _ in range(2)]
    assert first.status_code == 200
    assert_problem(second, 412, "version_mismatch")


@pytest.mark.parametrize(
    "roles",
    [
        [],
        [{"role": "nurse"}, {"role": "nurse", "valid_until": "2026-12-31"}],
        [{"role": "owner"}],
        [{"role": "nurse", "valid_from": "2026-12-31", "valid_until": "2026-12-30"}],
        None,
    ],
)
async def test_invalid_roles_are_refused(doctor: Person, nurse: Person, clinic_id: str, roles: object) -> None:
    assert_problem(await doctor.patch(member_path(clinic_id, nurse), {"roles": roles}), 422, "invalid_request")


async def test_scope_names_doctors_of_the_clinic(
    doctor: Person, nurse: Person, register: Register, clinic_id: str
) -> None:
    path, stranger = member_path(clinic_id, nurse), await register("doctor", name="Dr B")
    problem = assert_problem(await doctor.patch(path, {"doctors": [doctor.id, stranger.id]}), 422, "invalid_request")
    assert [each["field"] for each in problem["errors"]] == ["doctors"]


async def test_scope_does_not_widen_when_a_doctor_leaves(
    doctor: Person, nurse: Person, register: Register, clinic_id: str, database: Database
) -> None:
    colleague = await register("doctor", name="Dr B")
    await join(doctor, clinic_id, colleague, "doctor")
    path = member_path(clinic_id, nurse)
    await doctor.patch(path, {"doctors": [colleague.id]})
    assert (await colleague.delete(member_path(clinic_id, colleague))).status_code == 204
    assert (await doctor.get(path)).json()["doctors"] == [colleague.id]
    assert (await doctor.patch(path, {"doctors": [colleague.id, doctor.id]})).status_code == 200
    async with database.read() as transaction:
        assert await transaction.scalar(select(func.count()).select_from(ClinicDoctor)) == 1
        assert await transaction.scalar(select(func.count()).select_from(MemberScope)) == 2


async def test_doctor_joins_only_by_an_invitation(
    doctor: Person, register: Register, clinic_id: str, database: Database
) -> None:
    colleague = await register("doctor", name="Dr B")
    await join(doctor, clinic_id, colleague, "nurse")
    path = member_path(clinic_id, colleague)
    both = {"roles": [{"role": "doctor", "valid_until": "2026-12-24"}, {"role": "nurse"}]}
    assert_problem(await doctor.patch(path, both), 409, "invitation_required")
    await join(doctor, clinic_id, colleague, "doctor")
    assert (await doctor.patch(path, both)).status_code == 200
    async with database.read() as transaction:
        days = set(await transaction.scalars(select(ClinicDoctor.valid_until)))
    assert {str(each) for each in days} == {"None", "2026-12-24"}
    await doctor.patch(path, {"roles": [{"role": "nurse"}]})
    async with database.read() as transaction:
        assert await transaction.scalar(select(func.count()).select_from(ClinicDoctor)) == 1


async def test_last_day_ends_in_the_time_zone_of_the_clinic(
    doctor: Person, patient: Person, clinic_id: str, clock: SetClock
) -> None:
    await join(doctor, clinic_id, patient, "nurse", valid_until="2026-12-01")
    clock.time = datetime(2026, 12, 1, 22, 59, 59, tzinfo=UTC)
    patient = await patient.log_in_again()
    assert await get_roles(patient) == ["nurse"]
    clock.time += timedelta(seconds=1)  # midnight in Berlin
    assert await get_roles(patient) == []
    assert_problem(await patient.get(f"/clinics/{clinic_id}"), 404, "not_found")


async def test_former_member_joins_again(doctor: Person, nurse: Person, clinic_id: str) -> None:
    assert (await nurse.delete(member_path(clinic_id, nurse))).status_code == 204
    assert_problem(await nurse.get(f"/clinics/{clinic_id}"), 404, "not_found")
    assert_problem(await doctor.get(member_path(clinic_id, nurse)), 404, "not_found")
    assert_problem(await doctor.delete(member_path(clinic_id, nurse)), 404, "not_found")
    await join(doctor, clinic_id, nurse, "nurse", valid_until="2026-12-31")
    assert (await doctor.get(member_path(clinic_id, nurse))).json()["roles"] == [
        role("nurse", valid_until="2026-12-31")
    ]


async def test_members_who_are_not_managers_remove_nobody_but_themselves(
    doctor: Person, nurse: Person, clinic_id: str
) -> None:
    assert_problem(await nurse.delete(member_path(clinic_id, doctor)), 403, "wrong_role")
    assert (await nurse.delete(member_path(clinic_id, nurse))).status_code == 204
    assert await get_roles(nurse) == []


async def test_last_manager_cannot_leave(doctor: Person, nurse: Person, clinic_id: str) -> None:
    path = member_path(clinic_id, doctor)
    assert_problem(await doctor.delete(path), 409, "last_manager")
    for roles in ([role("doctor")], [role("manager", valid_until="2026-12-24"), role("doctor")]):
        assert_problem(await doctor.patch(path, {"roles": roles}), 409, "last_manager")
    # One whose role has a last day is not enough.
    await doctor.patch(member_path(clinic_id, nurse), {"roles": [role("manager", valid_until="2030-01-01")]})
    assert_problem(await doctor.delete(path), 409, "last_manager")
    await doctor.patch(member_path(clinic_id, nurse), {"roles": [role("manager")]})
    assert (await doctor.delete(path)).status_code == 204
    assert await get_roles(nurse) == ["manager"]


async def test_suspended_manager_does_not_count(admin: Person, doctor: Person, nurse: Person, clinic_id: str) -> None:
    await doctor.patch(member_path(clinic_id, nurse), {"roles": [role("manager")]})
    await admin.post(f"/admin/users/{nurse.id}/suspend", {"reason": "Has left the practice"})
    assert_problem(await doctor.delete(member_path(clinic_id, doctor)), 409, "last_manager")


async def test_of_two_managers_who_remove_each_other_one_stays(
    doctor: Person, nurse: Person, register: Register, clinic_id: str
) -> None:
    third = await register("patient")
    await join(doctor, clinic_id, third, "manager")
    await doctor.patch(member_path(clinic_id, nurse), {"roles": [role("manager")]})
    responses = await asyncio.gather(
        doctor.delete(member_path(clinic_id, nurse)), nurse.delete(member_path(clinic_id, doctor))
    )
    assert sorted(each.status_code for each in responses) == [204, 404]
    assert sorted([len(await get_roles(each)) > 0 for each in (doctor, nurse)]) == [False, True]


async def test_of_two_managers_who_leave_at_once_one_stays(doctor: Person, nurse: Person, clinic_id: str) -> None:
    await doctor.patch(member_path(clinic_id, nurse), {"roles": [role("manager")]})
    responses = await asyncio.gather(*(each.delete(member_path(clinic_id, each)) for each in (doctor, nurse)))
    assert sorted(each.status_code for each in responses) == [204, 409]


async def test_open_invitations_of_a_former_manager_are_void(
    client: httpx2.AsyncClient, doctor: Person, nurse: Person, clinic_id: str
) -> None:
    path = member_path(clinic_id, nurse)
    for is_removed in (False, True):
        await join(doctor, clinic_id, nurse, "manager")
        sent = await invite(nurse, clinic_id, "bea@example.com", "manager")
        changed = await (doctor.delete(path) if is_removed else doctor.patch(path, {"roles": [role("nurse")]}))
        assert changed.is_success
        body = {"token": sent["token"], "name": "Bea", "password": "correct horse battery"}
        assert_problem(await client.post("/auth/accept-invitation", json=body), 422, "invalid_invitation_token")


async def test_erased_account_leaves_its_clinics(
    doctor: Person, nurse: Person, clinic_id: str, database: Database
) -> None:
    assert_problem(await doctor.delete("/auth/me"), 409, "last_manager")
    assert (await nurse.delete("/auth/me")).status_code == 204
    assert [each["user_id"] for each in (await doctor.get(f"/clinics/{clinic_id}/members")).json()] == [doctor.id]
    # Nobody is left after this.
    assert (await doctor.delete("/auth/me")).status_code == 204
    async with database.read() as transaction:
        assert await transaction.scalar(select(Clinic.closed_at)) is not None
        assert await transaction.scalar(select(func.count()).select_from(ClinicDoctor)) == 0


async def test_export_contains_the_roles_in_clinics(doctor: Person, nurse: Person, clinic_id: str) -> None:
    await join(doctor, clinic_id, nurse, "auditor", valid_until="2026-12-31")
    await doctor.patch(member_path(clinic_id, nurse), {"roles": [{"role": "nurse"}]})
    shared = {"clinic_id": clinic_id, "clinic": "Skin and More", "valid_from": None}
    now = "2026-12-01T08:00:00Z"
    assert (await nurse.get("/auth/me/export")).json()["memberships"] == [
        shared | {"role": "auditor", "valid_until": "2026-12-31", "created_at": now, "ended_at": now},
        shared | {"role": "nurse", "valid_until": None, "created_at": now, "ended_at": None},
    ]
    assert (await doctor.get("/auth/me/export")).json()["memberships"] == [
        shared | {"role": role, "valid_until": None, "created_at": now, "ended_at": None}
        for role in ("doctor", "manager")
    ]


async def test_administrator_can_erase_the_last_manager(
    admin: Person, doctor: Person, nurse: Person, clinic_id: str
) -> None:
    response = await admin.post(f"/admin/users/{doctor.id}/erase", {"reason": "Asked for it by letter"})
    assert response.status_code == 200, response.text
    assert await get_roles(nurse) == ["nurse"]
    response = await admin.post(f"/admin/clinics/{clinic_id}/manager", {"email": "manager@example.com"})
    assert response.status_code == 201


async def test_one_statement_finds_the_member(
    doctor: Person, clinic_id: str, count_statements: CountStatements
) -> None:
    await doctor.get(f"/clinics/{clinic_id}")
    count_statements()
    assert (await doctor.get(f"/clinics/{clinic_id}")).status_code == 200
    # The member, the clinic, and the repeated read in the audit trail.
    assert count_statements() == 3
