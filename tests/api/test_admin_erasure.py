"""Administrators erase the accounts of patients and doctors."""

import httpx2
import pytest
from sqlalchemy import text

from app.db.database import Database
from tests.conftest import Register, SetClock
from tests.people import PASSWORD, Person, assert_problem

REASON = {"reason": "Asked for in a letter"}
NOON = "2026-12-08T17:00:00Z"


@pytest.fixture
async def booked(doctor: Person, patient: Person) -> str:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    id_: str = (await patient.book(doctor, NOON, reason="A mole on the left arm"))["id"]
    return id_


async def test_suspended_patient_is_erased(
    client: httpx2.AsyncClient, admin: Person, doctor: Person, patient: Person, booked: str, database: Database
) -> None:
    account = f"/admin/users/{patient.id}"
    await admin.post(f"{account}/suspend", REASON)
    erased = await admin.post(f"{account}/erase", REASON)
    assert erased.status_code == 200
    assert (erased.json()["status"], erased.json()["name"]) == ("erased", "Erased account")
    cancelled = (await doctor.get(f"/appointments/{booked}")).json()
    assert (cancelled["status"], cancelled["cancelled_by"], cancelled["reason"]) == ("cancelled", admin.id, None)
    async with database.read() as transaction:
        for table in ("login_sessions", "known_devices", "password_resets"):
            left = text(f"SELECT count(*) FROM {table} JOIN users ON users.id = user_id WHERE erased_at IS NOT NULL")
            assert await transaction.scalar(left) == 0, table
    body = {"email": patient.email, "password": PASSWORD, "name": "Ann Lee", "role": "patient"}
    assert (await client.post("/auth/register", json=body)).status_code == 201
    [event] = (await admin.get("/admin/audit?action=erase_user")).json()
    assert (event["actor_id"], event["patient_id"], event["object_id"]) == (admin.id, patient.id, patient.id)
    assert event["reason"] == REASON["reason"]
    assert (await admin.post(f"{account}/erase", REASON)).json() == erased.json(), "erasing again changes nothing"


async def test_doctor_with_upcoming_visits_must_be_suspended_before_erasure(
    admin: Person, doctor: Person, patient: Person, booked: str
) -> None:
    account = f"/admin/users/{doctor.id}"
    assert_problem(await admin.post(f"{account}/erase", REASON), 409, "has_appointments")
    assert (await patient.get(f"/appointments/{booked}")).json()["status"] == "booked"
    await admin.post(f"{account}/suspend", REASON)
    assert (await admin.post(f"{account}/erase", REASON)).json()["status"] == "erased"
    cancelled = (await patient.get(f"/appointments/{booked}")).json()
    assert (cancelled["status"], cancelled["cancelled_by"]) == ("cancelled", admin.id)
    events = (await admin.get("/admin/audit?action=erase_user&limit=10")).json()
    assert {(each["patient_id"], each["object_id"]) for each in events if each["outcome"] == "ok"} == {
        (None, doctor.id),
        (patient.id, booked),
    }


async def test_doctor_without_visits_is_erased(admin: Person, doctor: Person) -> None:
    assert (await admin.post(f"/admin/users/{doctor.id}/erase", REASON)).json()["status"] == "erased"
    assert_problem(await doctor.get("/auth/me"), 401, "not_authenticated")


async def test_administrators_and_unknown_accounts_cannot_be_erased(
    admin: Person, patient: Person, register: Register, database: Database, clock: SetClock
) -> None:
    colleague = await register("patient")
    async with database.write() as transaction:
        await transaction.execute(
            text("UPDATE users SET role = 'admin' WHERE email = :email"), {"email": colleague.email}
        )
    assert_problem(await admin.post(f"/admin/users/{admin.id}/erase", REASON), 409, "not_yourself")
    assert_problem(await admin.post(f"/admin/users/{colleague.id}/erase", REASON), 403, "wrong_role")
    unknown = "019abcde-f012-7345-8678-9abcdef01234"
    assert_problem(await admin.post(f"/admin/users/{unknown}/erase", REASON), 404, "not_found")
    assert_problem(
        await admin.post(f"/admin/users/{patient.id}/erase", {"reason": "too short"}), 422, "invalid_request"
    )
    clock.advance(minutes=11)
    assert_problem(await admin.post(f"/admin/users/{patient.id}/erase", REASON), 403, "log_in_again")
    assert (await patient.get("/auth/me")).status_code == 200


async def test_accounts_are_found_by_parts_of_names_and_addresses(admin: Person, register: Register) -> None:
    jose = await register("patient", name="Jos\u00e9 O\u2019Brien", email="pepe.brien@example.com")
    lena = await register("doctor", name="Dr Lena M\u00fcller", email="lena_100%@example.com")
    for q, found in {
        "brien jos": [jose],
        "OBRIEN": [jose],
        "muller": [lena],
        "pepe.b": [jose],
        "_100%": [lena],
        "e_b": [],
        "xyz": [],
        "...": [],
    }.items():
        listed = (await admin.get("/admin/users", params={"q": q})).json()
        assert [each["id"] for each in listed] == [person.id for person in found], q
    assert_problem(await admin.get("/admin/users?q=ab"), 422, "invalid_request")
    await jose.patch("/auth/me", {"name": "Pepe Garc\u00eda"})
    await lena.patch("/auth/me", {"name": "Dr Lena Vogt"})
    for q, found in {"obrien": [], "garcia": [jose], "vogt": [lena]}.items():
        listed = (await admin.get("/admin/users", params={"q": q})).json()
        assert [each["id"] for each in listed] == [person.id for person in found], q
    await jose.delete("/auth/me")
    assert (await admin.get("/admin/users", params={"q": "garcia"})).json() == []
