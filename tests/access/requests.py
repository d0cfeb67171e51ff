"""For each operation of the API, a request that is valid if its caller may send it."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.access.clinic import REASON, Caller, Clinic
from tests.openapi import find_body, make_example, read_document
from tests.people import PASSWORD

type Ids = dict[str, str]
type Options = dict[str, Any]
"""Arguments of an ``httpx2`` request other than the method and the path."""


def booking(start: str) -> Callable[[Ids], Options]:
    return lambda ids: {
        "json": {"doctor_id": ids["doctor_id"], "visit_type_id": ids["visit_type_id"], "start_time": start}
    }


def in_query(**query: str) -> Callable[[Ids], Options]:
    return lambda ids: {"params": query | {"visit_type_id": ids["visit_type_id"]}}


def fixed(**options: Any) -> Callable[[Ids], Options]:
    return lambda _: options


CONTENTS: dict[str, Callable[[Ids], Options]] = {
    "POST /auth/accept-invitation": lambda ids: {
        "json": {
            "token": ids["invitation_token"],
            "password": PASSWORD,
            "name": "Dr Invited",
            "time_zone": "Europe/Berlin",
        }
    },
    "POST /auth/change-password": fixed(json={"current_password": PASSWORD, "new_password": "another horse"}),
    "GET /doctors/{doctor_id}/slots": in_query(),
    "GET /doctors/{doctor_id}/next-slot": in_query(),
    "GET /doctors/{doctor_id}/explain": in_query(start_time="2026-12-05T10:00:00Z"),
    "POST /doctors/me/visit-types": fixed(json={"name": "Consultation", "duration_minutes": 45}),
    "POST /appointments": booking("2026-12-05T10:00:00Z"),
    "POST /holds": booking("2026-12-05T10:00:00Z"),
    "POST /appointments/{appointment_id}/reschedule": fixed(json={"start_time": "2026-12-05T10:00:00Z"}),
    "PATCH /clinics/{clinic_id}": fixed(json={"public_name": "Another name"}),
    "PATCH /clinics/{clinic_id}/members/{user_id}": fixed(json={"roles": [{"role": "nurse"}]}),
    "GET /clinics/{clinic_id}/patients": fixed(params={"q": "ann lee"}),
    "POST /clinics/{clinic_id}/patients": fixed(json={"name": "Ann Lee"}),
    "PATCH /clinics/{clinic_id}/patients/{patient_id}": fixed(json={"file_number": "A 1"}),
    "POST /admin/break-glass": lambda ids: {"json": {"patient_id": ids["patient_id"], "reason": REASON}},
}
"""Requests that depend on the clinic. The others are the examples of the OpenAPI document."""


async def issue_reset(clinic: Clinic, caller: Caller) -> Options:
    return {"json": {"token": await clinic.add_password_reset(caller.person), "new_password": "another horse"}}


async def enrol_unconfirmed(clinic: Clinic, caller: Caller) -> Options:
    return {"json": {"otp": await clinic.add_second_factor(caller.person, confirmed=False)}}


async def issue_confirmation(clinic: Clinic, caller: Caller) -> Options:
    return {"json": {"token": await clinic.issue_confirmation_token(caller.person)}}


async def issue_email_change(clinic: Clinic, caller: Caller) -> Options:
    return {"json": {"token": await clinic.add_email_change(caller.person)}}


async def unconfirm(clinic: Clinic, caller: Caller) -> Options:
    await clinic.unconfirm_email(caller.person)
    return {}


async def enrol(clinic: Clinic, caller: Caller) -> Options:
    await clinic.add_second_factor(caller.person, confirmed=True)
    return {}


PREPARED: dict[str, Callable[[Clinic, Caller], Awaitable[Options]]] = {
    "POST /auth/reset-password": issue_reset,
    "POST /auth/confirm-email": issue_confirmation,
    "POST /auth/email/confirm": issue_email_change,
    "POST /auth/resend-confirmation": unconfirm,
    "POST /auth/second-factor/confirm": enrol_unconfirmed,
    "POST /auth/second-factor/recovery-codes": enrol,
    "DELETE /auth/second-factor": enrol,
}
"""Requests that need rows of their own; the function inserts them."""

NEW_CLINIC = {"name": "Skin and More", "time_zone": "Europe/Berlin", "country": "DE"}
OWN_REQUESTS: dict[str, Callable[[Caller], Options]] = {
    "POST /auth/login": lambda caller: {"data": {"username": caller.person.email, "password": PASSWORD}},
    "POST /auth/refresh": lambda caller: {"json": {"refresh_token": caller.refresh_token}},
    "POST /auth/email": lambda caller: {
        "json": {"new_email": f"new.{caller.person.email}", "current_password": PASSWORD}
    },
    "POST /clinics": lambda caller: {
        "json": NEW_CLINIC | ({"manager_email": "bea@example.com"} if caller.person.email.startswith("admin") else {})
    },
    "POST /auth/forgot-password": lambda caller: {"json": {"email": caller.person.email}},
}

OTHER_OBJECT = {
    "POST /appointments/{appointment_id}/arrive": {"appointment_id": "started_id"},
    "POST /appointments/{appointment_id}/complete": {"appointment_id": "started_id"},
    "POST /appointments/{appointment_id}/no-show": {"appointment_id": "started_id"},
    "POST /appointments/{appointment_id}/undo": {"appointment_id": "arrived_id"},
    "POST /admin/users/{user_id}/approve": {"user_id": "newcomer_id"},
    "POST /admin/users/{user_id}/profile-changes/{change_id}/accept": {"user_id": "doctor_id"},
    "POST /admin/users/{user_id}/profile-changes/{change_id}/decline": {"user_id": "doctor_id"},
    "POST /admin/users/{user_id}/reinstate": {"user_id": "suspended_id"},
    "POST /admin/users/{user_id}/erase": {"user_id": "suspended_id"},
    "GET /admin/users/{user_id}/appointments": {"user_id": "suspended_doctor_id"},
    "POST /admin/users/{user_id}/appointments/{appointment_id}/cancel": {
        "user_id": "suspended_doctor_id",
        "appointment_id": "suspended_visit_id",
    },
    "DELETE /admin/users/{user_id}/second-factor": {"user_id": "newcomer_id"},
}


async def prepare_request(operation: str, clinic: Clinic, caller: Caller) -> Options:
    """Return the request of the caller, and insert the rows that it needs."""
    if prepare := PREPARED.get(operation):
        return await prepare(clinic, caller)
    if own_request := OWN_REQUESTS.get(operation):
        return own_request(caller)
    return contents_of(operation, clinic.ids)


def contents_of(operation: str, ids: Ids) -> Options:
    """Return the request for these ids if it is the same for every caller."""
    if contents := CONTENTS.get(operation):
        return contents(ids)
    method, path = operation.split()
    body = find_body(read_document()["paths"][path][method.lower()])
    return {"json": make_example(body)} if body else {}


def target_of(operation: str, ids: Ids) -> tuple[str, str]:
    """Return the method and the path with ids filled in."""
    method, path = operation.split()
    renamed = {"user_id": "patient_id"} | OTHER_OBJECT.get(operation, {})
    return method, path.format_map(ids | {name: ids[other] for name, other in renamed.items()})
