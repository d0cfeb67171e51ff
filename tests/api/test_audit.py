"""Who has read or changed whose data: every answer leaves its record, and nothing else does."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import func, select, text

from app.adapters.mail import Mail
from app.core.settings import Settings
from app.db.database import Database, Transaction
from app.models import AuditEvent
from tests.conftest import CountStatements, Register, SetClock
from tests.databases import settings_for
from tests.people import PASSWORD, Person, assert_problem, get_tokens, next_page

TEN, ELEVEN = "2026-12-08T15:00:00Z", "2026-12-08T16:00:00Z"


JOINING = {"register", "log_in"}


class Seen(NamedTuple):
    """What the tests look at in an event."""

    action: str
    actor: str | None
    patient: str | None
    object: str | None = None
    outcome: str = "ok"


type Trail = Callable[[], Awaitable[list[Seen]]]


def text_of(id_: UUID | None) -> str | None:
    return str(id_) if id_ else None


@pytest.fixture
def trail(database: Database) -> Trail:
    """The events since it was asked before, but for joining and logging in, which all tests begin with."""
    told = 0

    async def read() -> list[Seen]:
        nonlocal told
        async with database.read() as transaction:
            events = (await transaction.execute(select(AuditEvent).order_by(AuditEvent.id))).all()
        new, told = events[told:], len(events)
        return [
            Seen(each.action, text_of(each.actor_id), text_of(each.patient_id), text_of(each.object_id), each.outcome)
            for each in new
            if each.action not in JOINING
        ]

    return read


@pytest.fixture(autouse=True)
async def opened(doctor: Person) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")


async def test_requests_of_a_patient_about_an_appointment_are_recorded(
    doctor: Person, patient: Person, trail: Trail
) -> None:
    booked = (await patient.book(doctor, TEN))["id"]
    path = f"/appointments/{booked}"
    assert await trail() == [Seen("book_appointment", patient.id, patient.id, booked)]
    await patient.get("/appointments")
    await patient.get(path)
    await patient.get(f"{path}/history")
    await patient.post(f"{path}/reschedule", {"start_time": ELEVEN})
    await patient.post(f"{path}/cancel", {})
    await patient.delete(path)
    assert await trail() == [
        Seen(action, patient.id, patient.id, booked)
        for action in (
            "list_appointments",
            "get_appointment",
            "list_versions",
            "reschedule_appointment",
            "cancel_appointment_with_reason",
            "cancel_appointment",
        )
    ]
    held = (await patient.post("/holds", {"doctor_id": doctor.id, "start_time": TEN})).json()["id"]
    await patient.delete(f"/holds/{held}")
    assert await trail() == [
        Seen("hold_time", patient.id, patient.id, held),
        Seen("release_hold", patient.id, patient.id, held),
    ]


async def test_requests_of_a_doctor_about_an_appointment_are_recorded(
    doctor: Person, patient: Person, trail: Trail, clock: SetClock
) -> None:
    booked = [(await patient.book(doctor, start))["id"] for start in (TEN, ELEVEN)]
    await trail()
    clock.advance(days=7, hours=8)
    doctor = await doctor.log_in_again()
    await doctor.get(f"/appointments/{booked[0]}")
    for action, path in (("arrive", booked[0]), ("complete", booked[0]), ("no-show", booked[1])):
        assert (await doctor.post(f"/appointments/{path}/{action}", None)).status_code == 200
    assert await trail() == [
        Seen("get_appointment", doctor.id, patient.id, booked[0]),
        Seen("arrive", doctor.id, patient.id, booked[0]),
        Seen("complete", doctor.id, patient.id, booked[0]),
        Seen("no_show", doctor.id, patient.id, booked[1]),
    ]


async def test_event_contains_time_address_and_request_id(
    doctor: Person, patient: Person, database: Database, clock: SetClock
) -> None:
    await patient.book(doctor, TEN)
    await patient.get("/appointments")
    async with database.read() as transaction:
        recorded = select(AuditEvent).where(AuditEvent.action.not_in(JOINING)).order_by(AuditEvent.id)
        first, second = (await transaction.execute(recorded)).all()
    assert first.occurred_at == clock()
    assert first.actor_role == "patient"
    assert first.address == second.address == "127.0.0.1"
    assert first.request_id
    assert first.request_id != second.request_id
    assert (first.reason, first.position, first.hash) == (None, None, None)


@pytest.mark.parametrize("path", ["/appointments", "/doctors/me/appointments"])
async def test_list_is_recorded_for_each_patient_in_it(
    doctor: Person, register: Register, trail: Trail, count_statements: CountStatements, database: Database, path: str
) -> None:
    people = [await register() for _ in range(3)]
    booked = [
        (await person.book(doctor, f"2026-12-08T{15 + hour}:00:00Z"))["id"]
        for hour, person in enumerate([*people, people[0]])
    ]
    await trail()
    count_statements()
    await doctor.get(path)
    in_one = count_statements()
    action = "list_appointments" if path == "/appointments" else "list_doctors_appointments"
    assert set(await trail()) == {
        Seen(action, doctor.id, people[0].id),  # two of her visits
        Seen(action, doctor.id, people[1].id, booked[1]),
        Seen(action, doctor.id, people[2].id, booked[2]),
    }
    async with database.read() as transaction:
        requests = select(AuditEvent.request_id).where(AuditEvent.action == action)
        assert len(set((await transaction.scalars(requests)).all())) == 1
    count_statements()
    await doctor.get(path, params={"limit": 1})
    assert count_statements() <= in_one, "many events are one statement"
    assert await trail() == [Seen(action, doctor.id, people[0].id, booked[0])], "only what the page shows"


async def test_empty_list_is_recorded_for_the_caller(doctor: Person, patient: Person, trail: Trail) -> None:
    await doctor.get("/doctors/me/appointments")
    await patient.get("/appointments")
    assert await trail() == [
        Seen("list_doctors_appointments", doctor.id, None),
        Seen("list_appointments", patient.id, patient.id),
    ]


async def test_affected_appointments_of_a_schedule_change_are_recorded(
    doctor: Person, patient: Person, trail: Trail
) -> None:
    booked = (await patient.book(doctor, TEN))["id"]
    await trail()
    taken = await doctor.take_time_off("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    for _ in range(3):
        await doctor.set_hours(monday=[["09:00", "12:00"]])
    await doctor.update_profile(time_zone="UTC")
    acts = [
        ("take_time_off", taken["id"]),
        ("set_weekly_hours", None),
        ("set_weekly_hours", None),
        ("set_weekly_hours", None),
        ("change_practice", None),
    ]
    recorded = await trail()
    assert [each for each in recorded if each.patient is None] == [
        Seen(action, doctor.id, None, changed) for action, changed in acts
    ]
    # Each change is recorded, and the visits that its answer lists once.
    assert [each for each in recorded if each.patient] == [
        Seen(action, doctor.id, patient.id, booked)
        for action in ("take_time_off", "set_weekly_hours", "change_practice")
    ]
    other = await doctor.take_time_off("2027-12-08T14:00:00Z", "2027-12-08T22:00:00Z")
    assert await trail() == [Seen("take_time_off", doctor.id, None, other["id"])]
    assert taken["affected_count"] == 1


async def test_replayed_response_is_recorded(doctor: Person, patient: Person, trail: Trail, clock: SetClock) -> None:
    async def twice(person: Person, path: str, body: Any = None) -> list[Seen]:
        headers = person.headers | {"Idempotency-Key": path}
        for replayed in (False, True, True):
            response = await person.client.post(path, headers=headers, json=body)
            assert response.status_code in {200, 201}, response.text
            assert ("idempotency-replayed" in response.headers) == replayed
            if replayed:
                clock.advance(minutes=1)
            else:
                clock.advance(minutes=11)
        return await trail()

    first, again = await twice(patient, "/appointments", {"doctor_id": doctor.id, "start_time": TEN})
    assert first == again == Seen("book_appointment", patient.id, patient.id, first.object)
    held = await twice(patient, "/holds", {"doctor_id": doctor.id, "start_time": ELEVEN})
    assert held[0] == held[1]
    assert held[0].object
    window = {"start_time": "2026-12-08T14:00:00Z", "end_time": "2026-12-08T22:00:00Z"}
    doctor = await doctor.log_in_again()
    taken, *affected = await twice(doctor, "/doctors/me/time-off", window)
    assert (taken.action, taken.patient) == ("take_time_off", None)
    assert affected == [Seen("take_time_off", doctor.id, patient.id, first.object)] * 2
    clock.advance(days=7, hours=7)
    doctor = await doctor.log_in_again()
    arrived = await twice(doctor, f"/appointments/{first.object}/arrive")
    assert arrived == [Seen("arrive", doctor.id, patient.id, first.object)] * 2


async def test_failed_booking_is_not_recorded(
    doctor: Person, patient: Person, register: Register, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_session: Transaction) -> None:
        raise ConnectionResetError

    await (await register()).book(doctor, TEN)
    await trail()
    assert_problem(await patient.try_to_book(doctor, TEN), 409, "slot_taken")
    assert_problem(await patient.try_to_book(doctor, "tomorrow"), 422, "invalid_request")
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "commit", fail)
        assert_problem(await patient.try_to_book(doctor, ELEVEN), 503, "busy")
    assert await trail() == []


async def test_response_is_withheld_if_it_cannot_be_recorded(
    doctor: Person, patient: Person, database: Database
) -> None:
    async def rename(old: str, new: str) -> None:
        async with database.write() as transaction:
            await transaction.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    booked = (await patient.book(doctor, TEN, reason="A mole"))["id"]
    await rename("audit_events", "away")
    try:
        response = await doctor.get(f"/appointments/{booked}")
    finally:
        await rename("away", "audit_events")
    assert_problem(response, 500, "internal_error")
    assert "A mole" not in response.text


async def test_requests_without_patient_data_are_not_recorded(doctor: Person, patient: Person, trail: Trail) -> None:
    for path in ("", "/availability", "/slots", "/next-slot", f"/explain?start_time={TEN}", "/visit-types"):
        assert (await patient.get(f"/doctors/{doctor.id}{path}")).status_code == 200
    for path in ("/doctors/me", "/doctors/me/hours", "/doctors/me/availability", "/doctors/me/time-off", "/auth/me"):
        assert (await doctor.get(path)).status_code == 200
    assert await trail() == []


async def test_refused_access_is_recorded(doctor: Person, patient: Person, register: Register, trail: Trail) -> None:
    booked = (await patient.book(doctor, TEN))["id"]
    held = (await patient.post("/holds", {"doctor_id": doctor.id, "start_time": ELEVEN})).json()["id"]
    await trail()
    stranger, other_doctor, nothing = await register(), await register("doctor"), str(uuid4())
    assert_problem(await stranger.get(f"/appointments/{booked}"), 404, "not_found")
    assert_problem(await other_doctor.delete(f"/appointments/{booked}"), 404, "not_found")
    assert_problem(await stranger.delete(f"/holds/{held}"), 404, "not_found")
    assert_problem(await stranger.get(f"/appointments/{nothing}/history"), 404, "not_found")
    assert_problem(await patient.post(f"/appointments/{booked}/arrive", None), 403, "wrong_role")
    assert_problem(await patient.get("/doctors/me/hours"), 403, "wrong_role")
    assert_problem(await doctor.get("/admin/audit"), 403, "wrong_role")
    assert await trail() == [
        Seen("get_appointment", stranger.id, None, booked, "not_found"),
        Seen("cancel_appointment", other_doctor.id, None, booked, "not_found"),
        Seen("release_hold", stranger.id, None, held, "not_found"),
        Seen("list_versions", stranger.id, None, nothing, "not_found"),
        Seen("arrive", patient.id, None, booked, "wrong_role"),
        Seen("get_weekly_hours", patient.id, None, None, "wrong_role"),
        Seen("list_audit_events", doctor.id, None, None, "wrong_role"),
    ]


async def test_unauthenticated_requests_are_not_recorded(doctor: Person, patient: Person, trail: Trail) -> None:
    booked = (await patient.book(doctor, TEN))["id"]
    await trail()
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        response = await patient.client.get(f"/appointments/{booked}", headers=headers)
        assert_problem(response, 401, "not_authenticated")
    assert_problem(await patient.get(f"/doctors/{uuid4()}"), 404, "not_found")
    assert_problem(await doctor.delete(f"/doctors/availability/{uuid4()}"), 404, "not_found")
    assert_problem(await patient.get("/nowhere"), 404, "no_such_path")
    assert await trail() == []


class TestImpatient:
    """With a database that does not let anybody wait for long."""

    @pytest.fixture
    def settings(self, database_url: str) -> Settings:
        return settings_for(database_url).model_copy(update={"database_timeout_seconds": 1})

    async def test_refusal_is_sent_even_if_it_cannot_be_recorded(
        self,
        patient: Person,
        trail: Trail,
        database: Database,
        backend: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async with database.write() as transaction:
            lock = "LOCK TABLE audit_events" if backend == "postgresql" else "SELECT 1"
            await transaction.execute(text(lock))
            assert_problem(await patient.get("/doctors/me/hours"), 403, "wrong_role")
        assert any("a refusal was not recorded" in message for message in caplog.messages)
        assert await trail() == []


async def test_one_query_lists_all_access_to_a_patient(
    doctor: Person, patient: Person, register: Register, admin: Person, trail: Trail
) -> None:
    other = await register()
    booked = await patient.book(doctor, TEN, reason="A mole")
    await other.book(doctor, ELEVEN)
    await doctor.get("/doctors/me/appointments")
    await trail()
    response = await admin.get("/admin/audit", params={"patient_id": patient.id})
    assert response.status_code == 200
    told = response.json()
    assert [(each["action"], each["actor_id"], each["actor_role"]) for each in told] == [
        ("list_doctors_appointments", doctor.id, "doctor"),
        ("book_appointment", patient.id, "patient"),
        ("register", patient.id, "patient"),
    ]
    assert told[0] == {
        "id": told[0]["id"],
        "occurred_at": "2026-12-01T08:00:00Z",
        "actor_id": doctor.id,
        "actor_role": "doctor",
        "action": "list_doctors_appointments",
        "outcome": "ok",
        "patient_id": patient.id,
        "object_id": booked["id"],
        "address": "127.0.0.1",
        "request_id": told[0]["request_id"],
        "reason": None,
        "position": None,
    }
    assert "mole" not in response.text
    assert await trail() == [Seen("list_audit_events", admin.id, patient.id)]
    await admin.get("/admin/audit")
    assert await trail() == [Seen("list_audit_events", admin.id, None)]


async def test_audit_trail_is_filtered(doctor: Person, patient: Person, admin: Person, clock: SetClock) -> None:
    async def actions(**query: str) -> list[str]:
        response = await admin.get("/admin/audit", params=query)
        assert response.status_code == 200, response.text
        return [each["action"] for each in response.json() if each["action"] not in {"list_audit_events", *JOINING}]

    await patient.book(doctor, TEN)
    clock.advance(minutes=1)
    await patient.get("/appointments")
    clock.advance(minutes=1)
    await doctor.get("/appointments")
    assert await actions() == ["list_appointments", "list_appointments", "book_appointment"]
    assert await actions(actor_id=doctor.id) == ["list_appointments"]
    assert await actions(actor_id=doctor.id, patient_id=doctor.id) == []
    assert await actions(action="book_appointment", patient_id=patient.id) == ["book_appointment"]
    minutes = [f"2026-12-01T08:0{minute}:00Z" for minute in range(3)]
    assert await actions(**{"from": minutes[1]}) == ["list_appointments"] * 2
    assert await actions(to=minutes[1]) == ["book_appointment"], "the end is not part of it"
    assert await actions(**{"from": minutes[1], "to": minutes[2]}, actor_id=patient.id) == ["list_appointments"]
    for query in ({"action": "x y"}, {"cursor": "x"}, {"patient_id": "x"}, {"unknown": "x"}):
        assert_problem(await admin.get("/admin/audit", params=query), 422, "invalid_request")


async def test_audit_trail_is_paged_while_it_grows(
    doctor: Person, patient: Person, admin: Person, clock: SetClock
) -> None:
    await patient.book(doctor, TEN)
    for _ in range(6):
        await patient.get("/appointments")
        clock.advance(minutes=11)
        patient = await patient.log_in_again()
    admin = await admin.log_in_again()
    pages = []
    path: str | None = f"/admin/audit?patient_id={patient.id}&limit=3"
    while path:
        response = await admin.get(path)
        pages.append([each["id"] for each in response.json()])
        path = next_page(response)
    assert [len(page) for page in pages] == [3, 3, 2]
    ids = [id_ for page in pages for id_ in page]
    assert ids == sorted(ids, reverse=True)


async def test_only_administrators_read_the_audit_trail(doctor: Person, patient: Person, admin: Person) -> None:
    for person in (doctor, patient):
        assert_problem(await person.get("/admin/audit"), 403, "wrong_role")
    assert_problem(await admin.client.get("/admin/audit"), 401, "not_authenticated")


async def test_registration_and_log_ins_are_recorded(
    client: httpx2.AsyncClient, patient: Person, admin: Person
) -> None:
    """Under whose name somebody tried in vain is what the attempt was about, not who made it."""
    for password in ("a wrong one", PASSWORD):
        await client.post("/auth/login", data={"username": patient.email, "password": password})
    await client.post("/auth/login", data={"username": "nobody@example.com", "password": PASSWORD})
    told = (await admin.get("/admin/audit", params={"action": "log_in", "limit": 3})).json()
    assert [(each["actor_id"], each["object_id"] == patient.id, each["outcome"]) for each in told] == [
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
    client: httpx2.AsyncClient, patient: Person, trail: Trail, mails: list[Mail], clock: SetClock
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
    await patient.get("/auth/me/export")
    await patient.client.post("/auth/logout", headers=patient.headers)
    patient = await patient.log_in_again()
    await patient.delete("/auth/me")
    assert await trail() == [
        Seen("refresh", None, None, patient.id, "invalid_refresh_token"),
        Seen("change_password", None, None, patient.id, "invalid_credentials"),
        Seen("change_password", patient.id, None, patient.id),
        Seen("reset_password", None, None, patient.id),
        Seen("set_up_second_factor", patient.id, patient.id),
        Seen("change_name", patient.id, patient.id),
        Seen("export_account", patient.id, patient.id),
        Seen("logout", patient.id, patient.id),
        Seen("erase_account", patient.id, patient.id),
    ]


async def test_decisions_of_administrators_are_recorded_with_their_reason(
    doctor: Person, patient: Person, admin: Person, trail: Trail, database: Database
) -> None:
    await patient.book(doctor, TEN)
    await trail()
    why = {"reason": "The practice burned down"}
    await admin.get(f"/admin/users/{patient.id}")
    await admin.get("/admin/users?role=patient")
    await admin.get("/admin/users?role=doctor")
    await admin.post("/admin/break-glass", why | {"patient_id": patient.id})
    await admin.post(f"/admin/users/{doctor.id}/suspend", why)
    await admin.post(f"/admin/users/{doctor.id}/reinstate", why)
    await admin.post(f"/admin/users/{doctor.id}/approve", why)
    await admin.delete(f"/admin/users/{patient.id}/sessions")
    await admin.delete(f"/admin/users/{doctor.id}/second-factor")
    assert await trail() == [
        Seen("get_account", admin.id, patient.id, patient.id),
        Seen("list_users", admin.id, patient.id, patient.id),
        Seen("list_users", admin.id, None, doctor.id),
        Seen("break_glass", admin.id, patient.id),
        Seen("suspend_user", admin.id, None, doctor.id),
        Seen("reinstate_user", admin.id, None, doctor.id),
        Seen("approve_doctor", admin.id, None, doctor.id),
        Seen("end_sessions_of_user", admin.id, patient.id, patient.id),
        Seen("remove_second_factor_of_user", admin.id, None, doctor.id),
    ]
    async with database.read() as transaction:
        reasons = (await transaction.scalars(select(AuditEvent.reason).where(AuditEvent.reason.is_not(None)))).all()
    assert reasons == [why["reason"]] * 4


async def test_audit_events_outlive_the_account(doctor: Person, patient: Person, admin: Person, trail: Trail) -> None:
    await patient.book(doctor, TEN)
    before = await trail()
    assert (await patient.delete("/auth/me")).status_code == 204
    told = (await admin.get("/admin/audit", params={"patient_id": patient.id})).json()
    assert [each["action"] for each in reversed(told)] == [
        "register",
        *(each.action for each in before),
        "erase_account",
    ]
