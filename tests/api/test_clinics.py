"""Clinics: who makes them, who is invited, and who joins."""

import asyncio
from datetime import date

import httpx2
import pytest
from sqlalchemy import select

from app.adapters.mail import Mail
from app.core.settings import Settings
from app.db.database import Database
from app.models import AuditEvent, Clinic, ClinicDoctor, Invitation
from tests.api.clinics import CLINIC, MANAGER, accept_as, accept_as_new, get_roles, invite, join, make_clinic
from tests.conftest import ConfirmEmail, Register, SetClock, read_token
from tests.people import PASSWORD, Person, assert_problem, next_page


@pytest.fixture
async def made(doctor: Person) -> dict[str, str]:
    """The clinic of a doctor on their own."""
    return await make_clinic(doctor)


async def test_administrator_makes_a_clinic_and_its_manager_joins_with_the_mailed_link(
    client: httpx2.AsyncClient, admin: Person, mails: list[Mail], confirmations: list[Mail]
) -> None:
    clinic = await make_clinic(admin, manager_email=MANAGER, public_name="The clinic", locale="de", country="de")
    expected = {"name": "Skin and More", "public_name": "The clinic", "country": "DE", "booking": "everybody"}
    assert clinic | expected == clinic
    [mail] = mails
    assert mail.to == MANAGER
    assert clinic["name"] not in mail.subject + mail.text
    manager = await accept_as_new(client, read_token(mail).partition("=")[2])
    me = (await manager.get("/auth/me")).json()
    assert (me["email"], me["role"], me["email_confirmed_at"]) == (MANAGER, "staff", None)
    assert [each.to for each in confirmations] == [MANAGER]
    assert await get_roles(manager) == ["manager"]
    assert (await manager.get(f"/clinics/{clinic['id']}")).json() == clinic
    assert (await admin.get(f"/clinics/{clinic['id']}")).status_code == 404


async def test_administrator_must_name_a_manager_and_a_doctor_must_not(admin: Person, doctor: Person) -> None:
    for maker, fields in ((admin, {}), (doctor, {"manager_email": MANAGER})):
        problem = assert_problem(await maker.post("/clinics", CLINIC | fields), 422, "invalid_request")
        assert [each["field"] for each in problem["errors"]] == ["manager_email"]
    assert (await admin.get("/clinics")).json() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("country", "XX"), ("country", "DEU"), ("time_zone", "Mars/Olympus"), ("locale", "!"), ("name", " ")],
)
async def test_clinic_with_an_invalid_field_is_refused(doctor: Person, field: str, value: str) -> None:
    problem = assert_problem(await doctor.post("/clinics", CLINIC | {field: value}), 422, "invalid_request")
    assert [each["field"] for each in problem["errors"]] == [field]


async def test_doctor_on_their_own_makes_one_clinic(doctor: Person, database: Database) -> None:
    headers = doctor.headers | {"Idempotency-Key": "k"}
    first, again = [await doctor.client.post("/clinics", json=CLINIC, headers=headers) for _ in range(2)]
    assert first.json() == again.json()
    assert await get_roles(doctor) == ["manager", "doctor"]
    assert_problem(await doctor.post("/clinics", CLINIC), 409, "already_in_clinic")
    async with database.read() as transaction:
        assert [str(each) for each in await transaction.scalars(select(ClinicDoctor.doctor_id))] == [doctor.id]


async def test_two_requests_of_a_doctor_at_once_make_one_clinic(doctor: Person, database: Database) -> None:
    responses = await asyncio.gather(*(doctor.post("/clinics", CLINIC) for _ in range(4)))
    assert sorted(each.status_code for each in responses) == [201, 409, 409, 409]
    async with database.read() as transaction:
        assert len((await transaction.scalars(select(Clinic.id))).all()) == 1


async def test_doctor_who_is_not_approved_cannot_make_a_clinic(register: Register, settings: Settings) -> None:
    object.__setattr__(settings, "doctor_approval", "required")
    newcomer = await register("doctor", name="Dr New")
    assert_problem(await newcomer.post("/clinics", CLINIC), 403, "wrong_role")


async def test_change_of_a_clinic_needs_its_version(doctor: Person, made: dict[str, str]) -> None:
    path = f"/clinics/{made['id']}"
    etag = (await doctor.get(path)).headers["ETag"]
    changes = {"booking": "known", "desk_may_overbook": True, "country": "at"}
    first, second = [
        await doctor.client.patch(path, json=changes, headers=doctor.headers | {"If-Match": etag}) for _ in range(2)
    ]
    assert first.json() == made | {"booking": "known", "desk_may_overbook": True, "country": "AT"}
    assert first.headers["ETag"] != etag
    assert_problem(second, 412, "version_mismatch")
    assert (await doctor.patch(path, {})).json() == first.json()
    assert_problem(await doctor.patch(path, {"name": None}), 422, "invalid_request")


async def test_clinics_are_listed_in_pages(admin: Person, doctor: Person, made: dict[str, str]) -> None:
    other = await make_clinic(admin, manager_email=MANAGER)
    first = await admin.get("/clinics?limit=1")
    path = next_page(first)
    assert path
    second = await admin.get(path)
    assert first.json() + second.json() == [made | {"roles": []}, other | {"roles": []}]
    assert next_page(second) is None
    assert (await doctor.get("/clinics")).json() == [made | {"roles": ["manager", "doctor"]}]


async def test_invitation_is_listed_replaced_and_cancelled(
    client: httpx2.AsyncClient, doctor: Person, made: dict[str, str], mails: list[Mail]
) -> None:
    path = f"/clinics/{made['id']}/invitations"
    first = await invite(doctor, made["id"], "bea@example.com", "nurse")
    second = await invite(doctor, made["id"], "Bea@example.com", "receptionist", valid_until="2026-12-31")
    assert [read_token(each) for each in mails] == [first["path"], second["path"]]
    [listed] = (await doctor.get(path)).json()
    assert listed == {name: value for name, value in second.items() if name not in {"token", "path"}}
    assert (listed["role"], listed["valid_until"]) == ("receptionist", "2026-12-31")
    body = {"token": first["token"], "name": "Bea", "password": PASSWORD}
    assert_problem(await client.post("/auth/accept-invitation", json=body), 422, "invalid_invitation_token")
    assert (await doctor.delete(f"{path}/{second['id']}")).status_code == 204
    assert_problem(await doctor.delete(f"{path}/{second['id']}"), 404, "not_found")
    body["token"] = second["token"]
    assert_problem(await client.post("/auth/accept-invitation", json=body), 422, "invalid_invitation_token")


async def test_invitations_of_clinics_and_administrators_are_separate(
    admin: Person, doctor: Person, register: Register, made: dict[str, str]
) -> None:
    colleague = await register("doctor", name="Dr B")
    other = await make_clinic(colleague)
    sent = await invite(doctor, made["id"], "bea@example.com", "nurse")
    await invite(colleague, other["id"], "bea@example.com", "nurse")
    assert (await admin.post("/admin/invitations", {"email": "bea@example.com"})).status_code == 201
    [of_admin] = (await admin.get("/admin/invitations")).json()
    [of_clinic] = (await doctor.get(f"/clinics/{made['id']}/invitations")).json()
    assert of_clinic["id"] == sent["id"]
    assert_problem(await admin.delete(f"/admin/invitations/{sent['id']}"), 404, "not_found")
    assert_problem(await doctor.delete(f"/clinics/{made['id']}/invitations/{of_admin['id']}"), 404, "not_found")
    assert_problem(await doctor.delete(f"/clinics/{other['id']}/invitations/{sent['id']}"), 404, "not_found")


async def test_open_invitations_of_a_clinic_are_bounded(
    doctor: Person, made: dict[str, str], settings: Settings
) -> None:
    object.__setattr__(settings, "max_open_invitations", 2)
    bodies = [{"email": f"{name}@example.com", "role": "nurse"} for name in "abcd"]
    path = f"/clinics/{made['id']}/invitations"
    responses = await asyncio.gather(*(doctor.post(path, body) for body in bodies))
    assert sorted(each.status_code for each in responses) == [201, 201, 409, 409]
    assert {each.json().get("code") for each in responses} == {None, "too_many"}


async def test_invited_doctor_gets_an_account_that_waits_for_approval(
    client: httpx2.AsyncClient, doctor: Person, made: dict[str, str], settings: Settings, database: Database
) -> None:
    object.__setattr__(settings, "doctor_approval", "required")
    sent = await invite(doctor, made["id"], "locum@example.com", "doctor", valid_until="2026-12-31")
    without_zone = {"token": sent["token"], "name": "Dr Locum", "password": PASSWORD}
    problem = assert_problem(await client.post("/auth/accept-invitation", json=without_zone), 422, "invalid_request")
    assert [each["field"] for each in problem["errors"]] == ["time_zone"]
    locum = await accept_as_new(client, sent["token"], name="Dr Locum", time_zone="Europe/Berlin")
    assert await get_roles(locum) == ["doctor"]
    assert [each["id"] for each in (await client.get("/doctors")).json()] == [doctor.id]
    async with database.read() as transaction:
        rows = await transaction.execute(select(ClinicDoctor.doctor_id, ClinicDoctor.valid_until))
        days = {str(row.doctor_id): row.valid_until for row in rows}
    assert days == {doctor.id: None, locum.id: date(2026, 12, 31)}


async def test_existing_account_joins_with_its_log_in_and_keeps_its_role(
    doctor: Person, patient: Person, register: Register, made: dict[str, str], database: Database
) -> None:
    # Whether the invited address has an account makes no difference.
    sent = await invite(doctor, made["id"], patient.email, "receptionist")
    assert (await accept_as(patient, sent["token"])).json()["role"] == "patient"
    assert await get_roles(patient) == ["receptionist"]
    assert (await patient.get("/appointments")).status_code == 200
    # A person may have several roles, and may be invited at another address.
    sent = await invite(doctor, made["id"], "work@example.com", "nurse")
    assert (await accept_as(patient, sent["token"])).status_code == 201
    assert await get_roles(patient) == ["receptionist", "nurse"]
    colleague = await register("doctor", name="Dr B")
    await join(doctor, made["id"], colleague, "doctor")
    assert await get_roles(colleague) == ["doctor"]
    async with database.read() as transaction:
        found = select(AuditEvent.actor_id).where(AuditEvent.action == "accept_invitation")
        assert {str(each) for each in await transaction.scalars(found)} == {patient.id, colleague.id}


async def test_some_accounts_cannot_accept(
    client: httpx2.AsyncClient, admin: Person, doctor: Person, patient: Person, made: dict[str, str]
) -> None:
    sent = await invite(doctor, made["id"], "bea@example.com", "doctor")
    assert_problem(await accept_as(patient, sent["token"]), 409, "not_a_doctor")
    assert_problem(await accept_as(admin, sent["token"]), 403, "wrong_role")
    assert_problem(await accept_as(patient, "wrong"), 422, "invalid_invitation_token")
    nobody = await client.post("/auth/accept-invitation", json={"token": sent["token"]})
    assert_problem(nobody, 401, "not_authenticated")
    half = await client.post("/auth/accept-invitation", json={"token": sent["token"], "name": "Bea"})
    assert_problem(half, 422, "invalid_request")
    of_admin = (await admin.post("/admin/invitations", {"email": "bea@example.com"})).json()
    assert_problem(await accept_as(doctor, of_admin["token"]), 409, "email_taken")
    # None of this has used the invitation up.
    await accept_as_new(client, sent["token"], time_zone="UTC")


async def test_address_with_an_account_must_accept_with_it(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, made: dict[str, str]
) -> None:
    sent = await invite(doctor, made["id"], patient.email, "nurse")
    body = {"token": sent["token"], "name": "Ann", "password": PASSWORD}
    assert_problem(await client.post("/auth/accept-invitation", json=body), 409, "email_taken")
    assert (await accept_as(patient, sent["token"])).status_code == 201


async def test_one_of_several_acceptances_at_once_succeeds(
    doctor: Person, register: Register, made: dict[str, str]
) -> None:
    people = [await register("patient") for _ in range(3)]
    sent = await invite(doctor, made["id"], "bea@example.com", "nurse")
    responses = await asyncio.gather(*(accept_as(each, sent["token"]) for each in people))
    assert sorted(each.status_code for each in responses) == [201, 422, 422]
    assert sum([len(await get_roles(each)) for each in people]) == 1


async def test_administrator_invites_a_manager_only_where_there_is_none(
    client: httpx2.AsyncClient, admin: Person, doctor: Person, made: dict[str, str], clock: SetClock
) -> None:
    path = f"/admin/clinics/{made['id']}/manager"
    assert_problem(await admin.post(path, {"email": MANAGER}), 409, "has_manager")
    response = await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": "Has left the practice"})
    assert response.status_code == 200
    sent = (await admin.post(path, {"email": MANAGER})).json()
    manager = await accept_as_new(client, sent["token"])
    assert await get_roles(manager) == ["manager"]
    assert_problem(await admin.post(path, {"email": MANAGER}), 409, "has_manager")
    clock.advance(minutes=11)
    assert_problem(await admin.post(path, {"email": MANAGER}), 403, "log_in_again")


async def test_suspended_manager_cannot_let_anybody_in(
    admin: Person, doctor: Person, patient: Person, made: dict[str, str], database: Database
) -> None:
    sent = await invite(doctor, made["id"], patient.email, "nurse")
    await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": "Has left the practice"})
    assert_problem(await doctor.get(f"/clinics/{made['id']}"), 401, "not_authenticated")
    assert_problem(await accept_as(patient, sent["token"]), 422, "invalid_invitation_token")
    async with database.read() as transaction:
        assert (await transaction.scalars(select(Invitation.id))).all() == []


async def test_new_account_confirms_its_address_itself(
    client: httpx2.AsyncClient, doctor: Person, made: dict[str, str], confirm_email: ConfirmEmail
) -> None:
    sent = await invite(doctor, made["id"], "bea@example.com", "nurse")
    member = await confirm_email(await accept_as_new(client, sent["token"]))
    assert (await member.get("/auth/me")).json()["email_confirmed_at"] is not None
