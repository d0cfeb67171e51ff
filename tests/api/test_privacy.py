"""Export and erasure of accounts."""

from datetime import timedelta
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text

from app.adapters.mail import Mail
from app.core.audit_actions import AuditAction
from app.db.database import Database
from app.models import User
from app.services import privacy
from app.services.audit import Event, record
from tests.conftest import CountStatements, SetClock
from tests.people import PASSWORD, Person, assert_problem, get_tokens, log_in

NOON, ONE = "2026-12-08T17:00:00Z", "2026-12-08T18:00:00Z"


@pytest.fixture
async def booked(doctor: Person, patient: Person) -> str:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    id_: str = (await patient.book(doctor, NOON, reason="A mole on the left arm"))["id"]
    return id_


async def read_database(database: Database) -> str:
    """All rows of the database, as text."""
    async with database.read() as transaction:
        rows = [row for table in User.metadata.sorted_tables for row in await transaction.execute(table.select())]
        return "\n".join(map(str, rows))


async def test_export_contains_the_data_of_the_patient(patient: Person, booked: str) -> None:
    await patient.post(f"/appointments/{booked}/reschedule", {"start_time": ONE})
    response = await patient.get("/auth/me/export")
    assert response.status_code == 200
    assert response.headers["content-disposition"] == 'attachment; filename="export.json"'
    export = response.json()
    assert export["exported_at"] == "2026-12-01T08:00:00Z"
    assert export["account"] == (await patient.get("/auth/me")).json()
    assert export["sessions"] == (await patient.get("/auth/sessions")).json()
    [appointment] = export["appointments"]
    assert appointment.pop("history") == (await patient.get(f"/appointments/{booked}/history")).json()
    assert appointment == (await patient.get(f"/appointments/{booked}")).json()
    assert appointment["reason"] == "A mole on the left arm"
    assert export["practice"] is None
    assert export["known_devices"] == [{"last_at": "2026-12-01T08:00:00Z"}]
    assert export["second_factor"] == (await patient.get("/auth/second-factor")).json()


async def test_export_contains_all_access_with_reasons(
    admin: Person, doctor: Person, patient: Person, booked: str, clock: SetClock
) -> None:
    clock.advance(minutes=1)
    assert (await doctor.get(f"/appointments/{booked}")).status_code == 200
    clock.advance(minutes=1)
    body = {"patient_id": patient.id, "reason": "Unconscious in the waiting room"}
    assert (await admin.post("/admin/break-glass", body)).status_code == 200
    access = (await patient.get("/auth/me/export")).json()["access"]
    assert [each["action"] for each in access] == ["register", "book_appointment", "get_appointment", "break_glass"]
    assert access[2] == {
        "at": "2026-12-01T08:01:00Z",
        "actor_id": doctor.id,
        "actor_role": "doctor",
        "action": "get_appointment",
        "outcome": "ok",
        "object_id": booked,
        "reason": None,
    }
    assert (access[3]["actor_id"], access[3]["reason"]) == (admin.id, "Unconscious in the waiting room")
    assert (await patient.get("/auth/me/export")).json()["access"][-1]["action"] == "export_account"
    assert (await doctor.get("/auth/me/export")).json()["access"] == []


@pytest.mark.parametrize(("added", "pages"), [(990, 1), (1990, 2)])
async def test_export_contains_thousands_of_events(
    patient: Person, database: Database, clock: SetClock, count_statements: CountStatements, added: int, pages: int
) -> None:
    count_statements()
    before = (await patient.get("/auth/me/export")).json()["access"]
    one_page = count_statements()
    event = Event(AuditAction.GET_APPOINTMENT, patient_id=UUID(patient.id))
    async with database.write() as transaction:
        for minutes in (1, 0):
            await record(transaction, *[event] * (added // 2), now=clock.time + timedelta(minutes=minutes))
    count_statements()
    access = (await patient.get("/auth/me/export")).json()["access"]
    assert count_statements() == one_page + pages - 1
    assert len(access) == len(before) + added + 1
    assert [each["at"] for each in access] == sorted(each["at"] for each in access)


async def test_export_contains_every_appointment(
    patient: Person, doctor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "_BATCH", 2)
    await doctor.publish("2026-12-08T00:00:00Z", "2026-12-14T00:00:00Z")
    for number in range(3):
        await patient.book(doctor, f"2026-12-08T{number:02}:00:00Z")
    exported = (await patient.get("/auth/me/export")).json()["appointments"]
    assert [each["id"] for each in exported] == [
        each["id"] for each in (await patient.get("/appointments?limit=100")).json()
    ]
    assert len(exported) == 3


async def test_export_of_a_doctor_contains_the_schedule_but_no_patients(
    doctor: Person, patient: Person, booked: str
) -> None:
    await doctor.add_visit_type(name="Check-up")
    await doctor.take_time_off("2026-12-20T00:00:00Z", "2026-12-21T00:00:00Z", "Conference")
    response = await doctor.get("/auth/me/export")
    export = response.json()
    assert export["practice"] == {
        "doctor": (await doctor.client.get(f"/doctors/{doctor.id}")).json(),
        "pending_change": None,
        "availabilities": (await doctor.get("/doctors/me/availability")).json(),
        "time_off": (await doctor.get("/doctors/me/time-off")).json(),
        "visit_types": (await doctor.get("/doctors/me/visit-types")).json(),
    }
    assert all(len(export["practice"][name]) == 1 for name in ("availabilities", "time_off", "visit_types"))
    assert export["appointments"] == []
    assert patient.id not in response.text
    assert booked not in response.text


@pytest.mark.usefixtures("booked")
async def test_erasure_leaves_no_personal_data(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, database: Database, mails: list[Mail]
) -> None:
    # Leave personal data in a cancellation by the doctor, stored responses, a password reset, a hold and sessions.
    cancelled = (await patient.book(doctor, ONE, reason="Itching"))["id"]
    body, headers = {"reason": "Ann Lee is no patient of mine"}, doctor.headers | {"Idempotency-Key": "k"}
    await client.post(f"/appointments/{cancelled}/cancel", headers=headers, json=body)
    key = patient.headers | {"Idempotency-Key": "k"}
    await client.post("/appointments", headers=key, json={"doctor_id": doctor.id, "start_time": ONE, "reason": "Rash"})
    await client.post("/auth/forgot-password", json={"email": patient.email})
    await patient.post("/holds", {"doctor_id": doctor.id, "start_time": "2026-12-08T20:00:00Z"})
    await get_tokens(client, patient.email)
    traces = (patient.email, "Ann", "mole", "Itching", "Rash")
    before = await read_database(database)
    assert all(trace in before for trace in traces)

    assert (await patient.delete("/auth/me")).status_code == 204
    after = await read_database(database)
    assert not [trace for trace in traces if trace in after]
    assert_problem(await patient.get("/auth/me"), 401, "not_authenticated")
    assert_problem(
        await client.post("/auth/login", data={"username": patient.email, "password": PASSWORD}),
        401,
        "invalid_credentials",
    )
    reset = {"token": mails[-1].text.split("\n\n")[1], "new_password": "another horse"}
    assert_problem(await client.post("/auth/reset-password", json=reset), 422, "invalid_reset_token")


async def test_past_appointments_survive_an_erasure_without_names(
    doctor: Person, patient: Person, booked: str, clock: SetClock
) -> None:
    clock.advance(days=7, hours=10)
    assert (await doctor.post(f"/appointments/{booked}/complete", None)).status_code == 401  # the token has ended
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    assert (await doctor.post(f"/appointments/{booked}/complete", None)).status_code == 200
    before = (await doctor.get(f"/appointments/{booked}")).json()
    assert (await patient.delete("/auth/me")).status_code == 204
    after = (await doctor.get(f"/appointments/{booked}")).json()
    assert after == before | {"reason": None, "patient": {"id": patient.id, "name": "Erased account"}}
    assert len((await doctor.get(f"/appointments/{booked}/history")).json()) == 2


async def test_erasure_cancels_upcoming_appointments(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, booked: str, clock: SetClock
) -> None:
    await doctor.update_profile(cancel_cutoff_minutes=1440)
    clock.advance(days=7)  # too late for the patient to cancel
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    assert_problem(await patient.delete(f"/appointments/{booked}"), 409, "too_late")
    assert (await patient.delete("/auth/me")).status_code == 204
    cancelled = (await doctor.get(f"/appointments/{booked}")).json()
    assert (cancelled["status"], cancelled["cancelled_by"]) == ("cancelled", patient.id)
    free = (await client.get(f"/doctors/{doctor.id}/availability")).json()
    assert free == [{"start_time": "2026-12-08T14:00:00Z", "end_time": "2026-12-08T22:00:00Z"}]


async def test_erasure_cancels_an_arrived_appointment(
    doctor: Person, patient: Person, booked: str, clock: SetClock
) -> None:
    clock.advance(days=7)
    doctor, patient = await doctor.log_in_again(), await patient.log_in_again()
    assert (await doctor.post(f"/appointments/{booked}/arrive", None)).status_code == 200
    assert (await patient.delete("/auth/me")).status_code == 204
    cancelled = (await doctor.get(f"/appointments/{booked}")).json()
    assert (cancelled["status"], cancelled["cancelled_by"]) == ("cancelled", patient.id)


async def test_doctor_with_an_arrived_patient_cannot_be_erased(doctor: Person, booked: str, clock: SetClock) -> None:
    clock.advance(days=7)
    doctor = await doctor.log_in_again()
    assert (await doctor.post(f"/appointments/{booked}/arrive", None)).status_code == 200
    assert_problem(await doctor.delete("/auth/me"), 409, "has_appointments")


async def test_erased_address_can_be_registered_again(client: httpx2.AsyncClient, patient: Person) -> None:
    assert (await patient.delete("/auth/me")).status_code == 204
    body = {"email": patient.email, "password": PASSWORD, "name": "Ann Lee", "role": "patient"}
    response = await client.post("/auth/register", json=body)
    assert response.status_code == 201
    assert response.json()["id"] != patient.id


async def test_several_accounts_can_be_erased(patient: Person, doctor: Person, database: Database) -> None:
    for person in (patient, doctor):
        assert (await person.delete("/auth/me")).status_code == 204
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM users WHERE erased_at IS NOT NULL")) == 2


async def test_doctor_with_upcoming_appointments_cannot_be_erased(
    client: httpx2.AsyncClient, doctor: Person, patient: Person, booked: str, database: Database
) -> None:
    await doctor.update_profile(bio="Twenty years of skin", languages=["en", "ig"])
    await doctor.add_visit_type(name="Check-up")
    await doctor.take_time_off("2026-12-20T00:00:00Z", "2026-12-21T00:00:00Z", "Conference")
    assert_problem(await doctor.delete("/auth/me"), 409, "has_appointments")
    assert (await doctor.delete(f"/appointments/{booked}")).status_code == 200
    assert (await doctor.delete("/auth/me")).status_code == 204
    assert (await client.get("/doctors")).json() == []
    assert_problem(await client.get(f"/doctors/{doctor.id}"), 404, "not_found")
    after = await read_database(database)
    for trace in (doctor.email, "Amara", "okafor", "Dermatology", "Twenty years", "Conference"):
        assert trace not in after
    appointment = (await patient.get(f"/appointments/{booked}")).json()
    assert appointment["doctor"] == {"id": doctor.id, "name": "Erased account"}


async def test_administrator_cannot_be_erased(admin: Person) -> None:
    assert_problem(await admin.delete("/auth/me"), 403, "wrong_role")
    assert (await admin.get("/auth/me/export")).status_code == 200


async def test_export_and_erasure_require_a_fresh_log_in(patient: Person, clock: SetClock) -> None:
    clock.advance(minutes=11)
    assert_problem(await patient.delete("/auth/me"), 403, "log_in_again")
    assert_problem(await patient.get("/auth/me/export"), 403, "log_in_again")
    assert await log_in(patient.client, patient.email)


async def test_erased_account_cannot_log_in(client: httpx2.AsyncClient, patient: Person, admin: Person) -> None:
    await patient.delete("/auth/me")
    for address in (f"erased {patient.id}", patient.id):
        response = await client.post("/auth/login", data={"username": address, "password": "x"})
        assert_problem(response, 401, "invalid_credentials")
        response = await client.post("/auth/forgot-password", json={"email": address})
        assert response.status_code == 422
    account = (await admin.get(f"/admin/users/{patient.id}")).json()
    assert (account["status"], account["name"]) == ("erased", "Erased account")
