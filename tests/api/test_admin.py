"""Decisions of administrators about accounts."""

from dataclasses import replace

import httpx2
import pyotp
import pytest

from app.adapters.mail import Mail
from app.core.settings import Settings
from tests.conftest import ConfirmEmail, Register, SetClock
from tests.people import PASSWORD, Person, assert_problem, get_tokens, log_in, next_page

REASON = {"reason": "Asked for by the clinic"}
NOON = "2026-12-08T17:00:00Z"


@pytest.fixture
async def doctor(admin: Person, register: Register, clock: SetClock) -> Person:
    """Registered a minute after the administrator."""
    clock.advance(minutes=1)
    assert admin.token
    return await register("doctor", name="Dr Amara Okafor", specialty="Dermatology")


@pytest.fixture
async def patient(doctor: Person, register: Register, clock: SetClock) -> Person:
    """Registered a minute after the doctor."""
    clock.advance(minutes=1)
    assert doctor.token
    return await register("patient", name="Ann Lee")


async def test_accounts_are_listed_newest_first(admin: Person, doctor: Person, patient: Person) -> None:
    listed = (await admin.get("/admin/users")).json()
    assert [each["id"] for each in listed] == [patient.id, doctor.id, admin.id]
    assert listed[1] == {
        "id": doctor.id,
        "email": doctor.email,
        "name": "Dr Amara Okafor",
        "role": "doctor",
        "specialty": "Dermatology",
        "status": "active",
        "created_at": "2026-12-01T08:01:00Z",
        "approved_at": "2026-12-01T08:01:00Z",
        "email_confirmed_at": None,
        "suspended_at": None,
        "erased_at": None,
        "second_factor": False,
    }
    assert (await admin.get(f"/admin/users/{doctor.id}")).json() == listed[1]


async def test_accounts_are_filtered_and_paged(admin: Person, doctor: Person, patient: Person) -> None:
    for query, found in {
        "role=doctor": [doctor],
        "role=patient&status=active": [patient],
        "status=suspended": [],
        f"email={doctor.email.upper()}": [doctor],
        "email=nobody@example.com": [],
    }.items():
        listed = (await admin.get(f"/admin/users?{query}")).json()
        assert [each["id"] for each in listed] == [person.id for person in found], query
    first = await admin.get("/admin/users?limit=2")
    url = next_page(first)
    assert url
    assert [each["id"] for each in first.json() + (await admin.get(url)).json()] == [patient.id, doctor.id, admin.id]


async def test_suspension_takes_effect_at_once(
    client: httpx2.AsyncClient, admin: Person, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, NOON)
    suspended = await admin.post(f"/admin/users/{doctor.id}/suspend", REASON)
    assert suspended.json()["status"] == "suspended"
    assert suspended.json()["suspended_at"] == "2026-12-01T08:02:00Z"
    assert_problem(await doctor.get("/doctors/me"), 401, "not_authenticated")
    assert_problem(
        await client.post("/auth/login", data={"username": doctor.email, "password": PASSWORD}),
        401,
        "invalid_credentials",
    )
    assert (await client.get("/doctors")).json() == []
    assert_problem(await client.get(f"/doctors/{doctor.id}"), 404, "not_found")
    assert_problem(await client.get(f"/doctors/{doctor.id}/availability"), 404, "not_found")
    assert_problem(await patient.try_to_book(doctor, "2026-12-08T18:00:00Z"), 404, "not_found")
    assert (await patient.get(f"/appointments/{booked['id']}")).json()["status"] == "booked", "the appointment stays"
    assert [each["id"] for each in (await admin.get("/admin/users?status=suspended")).json()] == [doctor.id]

    assert (await admin.post(f"/admin/users/{doctor.id}/reinstate", REASON)).json()["status"] == "active"
    assert_problem(await doctor.get("/doctors/me"), 401, "not_authenticated")  # the session has ended
    assert (await (await doctor.log_in_again()).get("/doctors/me")).status_code == 200
    assert len((await client.get("/doctors")).json()) == 1


async def test_suspending_again_changes_nothing(admin: Person, patient: Person, clock: SetClock) -> None:
    first = (await admin.post(f"/admin/users/{patient.id}/suspend", REASON)).json()
    clock.advance(minutes=1)
    assert (await admin.post(f"/admin/users/{patient.id}/suspend", REASON)).json() == first


async def test_administrator_cannot_suspend_themselves(admin: Person) -> None:
    assert_problem(await admin.post(f"/admin/users/{admin.id}/suspend", REASON), 409, "not_yourself")


async def test_decision_without_a_reason_is_refused(admin: Person, doctor: Person) -> None:
    bodies: list[dict[str, str | None]] = [
        {},
        {"reason": ""},
        {"reason": "     because     "},
        {"reason": None},
    ]
    for body in bodies:
        for decision in ("approve", "suspend", "reinstate"):
            response = await admin.post(f"/admin/users/{doctor.id}/{decision}", body)
            assert_problem(response, 422, "invalid_request")
        response = await admin.post("/admin/break-glass", body | {"patient_id": doctor.id})
        assert_problem(response, 422, "invalid_request")
    assert (await admin.get(f"/admin/users/{doctor.id}")).json()["status"] == "active"


async def test_decision_about_an_unknown_account_is_not_found(admin: Person, patient: Person) -> None:
    unknown = "019abcde-f012-7345-8678-9abcdef01234"
    for decision in ("approve", "suspend", "reinstate"):
        assert_problem(await admin.post(f"/admin/users/{unknown}/{decision}", REASON), 404, "not_found")
    assert_problem(await admin.post(f"/admin/users/{patient.id}/approve", REASON), 404, "not_found")
    assert_problem(await admin.get(f"/admin/users/{unknown}"), 404, "not_found")
    for resource in ("sessions", "second-factor"):
        assert_problem(await admin.delete(f"/admin/users/{unknown}/{resource}"), 404, "not_found")
    assert_problem(await admin.post("/admin/break-glass", REASON | {"patient_id": unknown}), 404, "not_found")


async def test_administrator_ends_all_sessions_of_an_account(admin: Person, patient: Person) -> None:
    other = await patient.log_in_again()
    assert (await admin.delete(f"/admin/users/{patient.id}/sessions")).status_code == 204
    for session in (patient, other):
        assert_problem(await session.get("/auth/me"), 401, "not_authenticated")
    assert (await (await patient.log_in_again()).get("/auth/me")).status_code == 200


async def test_administrator_removes_a_lost_second_factor(
    client: httpx2.AsyncClient,
    admin: Person,
    patient: Person,
    confirm_email: ConfirmEmail,
    clock: SetClock,
    mails: list[Mail],
) -> None:
    await confirm_email(patient)
    assert (await admin.delete(f"/admin/users/{patient.id}/second-factor")).status_code == 204
    assert mails == [], "there was nothing to remove"
    patient = await patient.log_in_again()
    secret = (await patient.post("/auth/second-factor", None)).json()["secret"]
    await patient.post("/auth/second-factor/confirm", {"otp": pyotp.TOTP(secret).at(clock.time)})
    assert (await admin.get(f"/admin/users/{patient.id}")).json()["second_factor"]
    assert (await admin.delete(f"/admin/users/{patient.id}/second-factor")).status_code == 204
    assert_problem(await patient.get("/auth/me"), 401, "not_authenticated")
    assert await log_in(client, patient.email)
    assert [(mail.to, mail.subject) for mail in mails] == [
        (patient.email, "A second factor was set up"),
        (patient.email, "Your second factor was removed"),
    ]


async def test_administrator_cannot_remove_their_own_second_factor_without_a_fresh_log_in(
    admin: Person, clock: SetClock
) -> None:
    secret = (await admin.post("/auth/second-factor", None)).json()["secret"]
    await admin.post("/auth/second-factor/confirm", {"otp": pyotp.TOTP(secret).at(clock.time)})
    clock.advance(minutes=11)
    assert_problem(await admin.delete("/auth/second-factor"), 403, "log_in_again")
    assert_problem(await admin.delete(f"/admin/users/{admin.id}/second-factor"), 403, "log_in_again")
    granted = await get_tokens(admin.client, admin.email, otp=pyotp.TOTP(secret).at(clock.time))
    admin = replace(admin, token=granted["access_token"])
    assert_problem(await admin.delete(f"/admin/users/{admin.id}/second-factor"), 409, "not_yourself")
    assert (await admin.get("/auth/second-factor")).json()["enabled"]


async def test_break_glass_shows_the_patient_and_their_appointments(
    admin: Person, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    booked = await patient.book(doctor, NOON, reason="A mole")
    assert_problem(await admin.get(f"/appointments/{booked['id']}"), 404, "not_found")
    record = (await admin.post("/admin/break-glass", REASON | {"patient_id": patient.id})).json()
    assert record["patient"] == (await patient.get("/auth/me")).json()
    assert record["appointments"] == [booked]
    assert_problem(await admin.post("/admin/break-glass", REASON | {"patient_id": doctor.id}), 404, "not_found")


class TestWithDoctorApproval:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"doctor_approval": "required"})

    async def test_unapproved_doctor_is_hidden_until_approval(
        self, client: httpx2.AsyncClient, admin: Person, doctor: Person, patient: Person
    ) -> None:
        await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
        assert (await doctor.get("/doctors/me")).json()["name"] == "Dr Amara Okafor"
        await doctor.set_hours(monday=[["09:00", "12:00"]])
        assert (await doctor.get("/doctors/me/appointments?conflicting=true")).json() == []
        assert (await client.get("/doctors")).json() == []
        for path in ("", "/availability", "/slots", "/next-slot", f"/explain?start_time={NOON}", "/visit-types"):
            assert_problem(await client.get(f"/doctors/{doctor.id}{path}"), 404, "not_found")
        assert_problem(await patient.try_to_book(doctor, NOON), 404, "not_found")
        assert_problem(await patient.post("/holds", {"doctor_id": doctor.id, "start_time": NOON}), 404, "not_found")
        assert [each["id"] for each in (await admin.get("/admin/users?status=unapproved")).json()] == [doctor.id]

        approved = (await admin.post(f"/admin/users/{doctor.id}/approve", REASON)).json()
        assert (approved["status"], approved["approved_at"]) == ("active", "2026-12-01T08:02:00Z")
        assert len((await client.get("/doctors")).json()) == 1
        await patient.book(doctor, NOON)

    async def test_patient_needs_no_approval(self, patient: Person, register: Register) -> None:
        assert (await patient.get("/appointments")).json() == []
        assert (await (await register()).get("/auth/me")).status_code == 200


async def test_decisions_require_a_fresh_log_in(admin: Person, patient: Person, clock: SetClock) -> None:
    clock.advance(minutes=11)
    account = f"/admin/users/{patient.id}"
    for decision in ("approve", "suspend", "reinstate"):
        assert_problem(await admin.post(f"{account}/{decision}", REASON), 403, "log_in_again")
    for resource in ("sessions", "second-factor"):
        assert_problem(await admin.delete(f"{account}/{resource}"), 403, "log_in_again")
    assert_problem(await admin.post("/admin/break-glass", REASON | {"patient_id": patient.id}), 403, "log_in_again")
    assert (await admin.get(account)).json()["status"] == "active"
    assert (await (await admin.log_in_again()).post(f"{account}/suspend", REASON)).status_code == 200
