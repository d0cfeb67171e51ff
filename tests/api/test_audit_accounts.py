"""Audit events of accounts: registration, log-in, changes and decisions of administrators."""

from dataclasses import replace

import httpx2
import pytest
from sqlalchemy import func, select

from app.adapters.mail import Mail
from app.db.database import Database
from app.models import AuditEvent
from tests.api.conftest import ReadNewEvents, RecordedEvent
from tests.conftest import SetClock
from tests.people import PASSWORD, Person, get_tokens

TEN = "2026-12-08T15:00:00Z"


@pytest.fixture(autouse=True)
async def published_window(doctor: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")


async def test_registration_and_log_ins_are_recorded(
    client: httpx2.AsyncClient, patient: Person, admin: Person
) -> None:
    """The account of a failed log-in is the object of the event, because the actor is unknown."""
    for password in ("a wrong one", PASSWORD):
        await client.post("/auth/login", data={"username": patient.email, "password": password})
    await client.post("/auth/login", data={"username": "nobody@example.com", "password": PASSWORD})
    events = (await admin.get("/admin/audit", params={"action": "log_in", "limit": 3})).json()
    assert [(each["actor_id"], each["object_id"] == patient.id, each["outcome"]) for each in events] == [
        (None, False, "invalid_credentials"),
        (patient.id, True, "ok"),
        (None, True, "invalid_credentials"),
    ]
    [joined] = (await admin.get("/admin/audit", params={"action": "register", "patient_id": patient.id})).json()
    assert (joined["actor_id"], joined["object_id"], joined["address"]) == (patient.id, patient.id, "127.0.0.1")


async def test_blocked_log_ins_are_not_recorded(
    client: httpx2.AsyncClient, patient: Person, database: Database
) -> None:
    for _ in range(15):
        await client.post("/auth/login", data={"username": patient.email, "password": "a wrong one"})
    async with database.read() as transaction:
        failed = select(func.count()).where(AuditEvent.outcome == "invalid_credentials")
        assert await transaction.scalar(failed) == 10


async def test_changes_of_an_account_are_recorded(
    client: httpx2.AsyncClient, patient: Person, read_new_events: ReadNewEvents, mails: list[Mail], clock: SetClock
) -> None:
    stolen = await get_tokens(client, patient.email)
    for status in (200, 401):
        body = {"refresh_token": stolen["refresh_token"]}
        assert (await client.post("/auth/refresh", json=body)).status_code == status
        clock.advance(seconds=11)  # a repeated refresh is allowed for ten seconds
    await patient.post("/auth/change-password", {"current_password": "a wrong one", "new_password": "another horse"})
    await patient.post("/auth/change-password", {"current_password": PASSWORD, "new_password": "another horse"})
    await client.post("/auth/forgot-password", json={"email": patient.email})
    body = {"token": mails[-1].text.split("\n\n")[1], "new_password": PASSWORD}
    assert (await client.post("/auth/reset-password", json=body)).status_code == 204
    patient = await patient.log_in_again()
    await patient.post("/auth/second-factor", None)
    await patient.patch("/auth/me", {"name": "Ann Lee-Moss"})
    for password in ("a wrong one", PASSWORD):
        await patient.post("/auth/email", {"new_email": "ann.lee@example.net", "current_password": password})
    await patient.post("/auth/email/confirm", {"token": "a wrong one"})
    await patient.post("/auth/email/confirm", {"token": mails[-2].text.split("\n\n")[1]})
    await patient.get("/auth/me/export")
    await patient.client.post("/auth/logout", headers=patient.headers)
    patient = await replace(patient, email="ann.lee@example.net").log_in_again()
    await patient.delete("/auth/me")
    assert await read_new_events() == [
        RecordedEvent("refresh", None, None, patient.id, "invalid_refresh_token"),
        RecordedEvent("change_password", None, None, patient.id, "invalid_credentials"),
        RecordedEvent("change_password", patient.id, None, patient.id),
        RecordedEvent("reset_password", None, None, patient.id),
        RecordedEvent("set_up_second_factor", patient.id, patient.id),
        RecordedEvent("change_name", patient.id, patient.id),
        RecordedEvent("request_email_change", None, None, patient.id, "invalid_credentials"),
        RecordedEvent("request_email_change", patient.id, None, patient.id),
        RecordedEvent("change_email", patient.id, patient.id),
        RecordedEvent("export_account", patient.id, patient.id),
        RecordedEvent("logout", patient.id, patient.id),
        RecordedEvent("erase_account", patient.id, patient.id),
    ]


async def test_decisions_of_administrators_are_recorded_with_their_reason(
    doctor: Person, patient: Person, admin: Person, read_new_events: ReadNewEvents, database: Database
) -> None:
    await patient.book(doctor, TEN)
    await read_new_events()
    reason = {"reason": "The practice burned down"}
    await admin.get(f"/admin/users/{patient.id}")
    await admin.get("/admin/users?role=patient")
    await admin.get("/admin/users?role=doctor")
    await admin.post("/admin/break-glass", reason | {"patient_id": patient.id})
    await admin.post(f"/admin/users/{doctor.id}/suspend", reason)
    await admin.post(f"/admin/users/{doctor.id}/reinstate", reason)
    await admin.post(f"/admin/users/{doctor.id}/approve", reason)
    await admin.delete(f"/admin/users/{patient.id}/sessions")
    await admin.delete(f"/admin/users/{doctor.id}/second-factor")
    assert await read_new_events() == [
        RecordedEvent("get_account", admin.id, patient.id, patient.id),
        RecordedEvent("list_users", admin.id, patient.id, patient.id),
        RecordedEvent("list_users", admin.id, None, doctor.id),
        RecordedEvent("break_glass", admin.id, patient.id),
        RecordedEvent("suspend_user", admin.id, None, doctor.id),
        RecordedEvent("reinstate_user", admin.id, None, doctor.id),
        RecordedEvent("approve_doctor", admin.id, None, doctor.id),
        RecordedEvent("end_sessions_of_user", admin.id, patient.id, patient.id),
        RecordedEvent("remove_second_factor_of_user", admin.id, None, doctor.id),
    ]
    async with database.read() as transaction:
        reasons = (await transaction.scalars(select(AuditEvent.reason).where(AuditEvent.reason.is_not(None)))).all()
    assert reasons == [reason["reason"]] * 4


async def test_audit_events_outlive_the_account(
    doctor: Person, patient: Person, admin: Person, read_new_events: ReadNewEvents
) -> None:
    await patient.book(doctor, TEN)
    before = await read_new_events()
    assert (await patient.delete("/auth/me")).status_code == 204
    events = (await admin.get("/admin/audit", params={"patient_id": patient.id})).json()
    assert [each["action"] for each in reversed(events)] == [
        "register",
        *(each.action for each in before),
        "erase_account",
    ]
