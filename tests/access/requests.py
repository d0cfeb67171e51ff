"""A request for each operation that is valid for whoever may send it."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.access.world import REASON, Caller, World
from tests.people import PASSWORD

type Ids = dict[str, str]
type Options = dict[str, Any]
"""What httpx wants beside the method and the path."""

DECISION = {"json": {"reason": REASON}}
NEW_VISIT_TYPE = {"name": "Consultation", "duration_minutes": 45}
SOON = {"start_time": "2026-12-09T08:00:00Z", "end_time": "2026-12-09T12:00:00Z"}


def visit(start: str) -> Callable[[Ids], Options]:
    return lambda ids: {
        "json": {"doctor_id": ids["doctor_id"], "visit_type_id": ids["visit_type_id"], "start_time": start}
    }


def in_query(**query: str) -> Callable[[Ids], Options]:
    return lambda ids: {"params": query | {"visit_type_id": ids["visit_type_id"]}}


def just(**options: Any) -> Callable[[Ids], Options]:
    return lambda _: options


CONTENTS: dict[str, Callable[[Ids], Options]] = {
    "POST /auth/register": just(
        json={"email": "new@example.com", "password": PASSWORD, "name": "Somebody new", "role": "patient"}
    ),
    "POST /auth/accept-invitation": lambda ids: {
        "json": {
            "token": ids["invitation_token"],
            "password": PASSWORD,
            "name": "Dr Invited",
            "time_zone": "Europe/Berlin",
        }
    },
    "POST /admin/invitations": just(json={"email": "another.guest@example.com"}),
    "POST /auth/change-password": just(json={"current_password": PASSWORD, "new_password": "another horse"}),
    "PATCH /auth/me": just(json={"name": "Somebody else"}),
    "GET /doctors/{doctor_id}/slots": in_query(),
    "GET /doctors/{doctor_id}/next-slot": in_query(),
    "GET /doctors/{doctor_id}/explain": in_query(start_time="2026-12-05T10:00:00Z"),
    "PATCH /doctors/me": just(json={"bio": "Has seen it all"}),
    "PUT /doctors/me/hours": just(json={"monday": [["09:00", "12:00"]]}),
    "POST /doctors/availability": just(json=SOON),
    "POST /doctors/me/clock-changes": just(json={"keep": "instant"}),
    "POST /doctors/me/time-off": just(json=SOON),
    "POST /doctors/me/visit-types": just(json=NEW_VISIT_TYPE),
    "PATCH /doctors/me/visit-types/{visit_type_id}": just(json=NEW_VISIT_TYPE),
    "POST /appointments": visit("2026-12-05T10:00:00Z"),
    "POST /holds": visit("2026-12-05T10:00:00Z"),
    "POST /appointments/{appointment_id}/cancel": just(json={"reason": REASON}),
    "POST /appointments/{appointment_id}/reschedule": just(json={"start_time": "2026-12-05T10:00:00Z"}),
    "POST /admin/users/{user_id}/approve": just(**DECISION),
    "POST /admin/users/{user_id}/profile-changes/{change_id}/accept": just(**DECISION),
    "POST /admin/users/{user_id}/profile-changes/{change_id}/decline": just(**DECISION),
    "POST /admin/users/{user_id}/suspend": just(**DECISION),
    "POST /admin/users/{user_id}/reinstate": just(**DECISION),
    "POST /admin/users/{user_id}/erase": just(**DECISION),
    "POST /admin/users/{user_id}/appointments/{appointment_id}/cancel": just(**DECISION),
    "POST /admin/break-glass": lambda ids: {"json": {"patient_id": ids["patient_id"], "reason": REASON}},
}
"""What is sent, where it does not depend on who sends it."""


async def new_password(world: World, caller: Caller) -> Options:
    return {"json": {"token": await world.forget(caller.person), "new_password": "another horse"}}


async def first_code(world: World, caller: Caller) -> Options:
    return {"json": {"otp": await world.enrol(caller.person, confirmed=False)}}


async def confirmation_code(world: World, caller: Caller) -> Options:
    return {"json": {"token": await world.ask_to_confirm(caller.person)}}


async def nothing_confirmed(world: World, caller: Caller) -> Options:
    await world.unconfirm(caller.person)
    return {}


async def second_factor(world: World, caller: Caller) -> Options:
    await world.enrol(caller.person, confirmed=True)
    return {}


PREPARED: dict[str, Callable[[World, Caller], Awaitable[Options]]] = {
    "POST /auth/reset-password": new_password,
    "POST /auth/confirm-email": confirmation_code,
    "POST /auth/resend-confirmation": nothing_confirmed,
    "POST /auth/second-factor/confirm": first_code,
    "POST /auth/second-factor/recovery-codes": second_factor,
    "DELETE /auth/second-factor": second_factor,
}
"""What is sent, where something has to be there for it beforehand."""

OF_CALLER: dict[str, Callable[[Caller], Options]] = {
    "POST /auth/login": lambda caller: {"data": {"username": caller.person.email, "password": PASSWORD}},
    "POST /auth/refresh": lambda caller: {"json": {"refresh_token": caller.refresh_token}},
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


async def fill(operation: str, world: World, caller: Caller) -> Options:
    """What the caller sends; makes what has to be there for it."""
    if prepare := PREPARED.get(operation):
        return await prepare(world, caller)
    if of_caller := OF_CALLER.get(operation):
        return of_caller(caller)
    if contents := CONTENTS.get(operation):
        return contents(world.ids)
    return {}


def path_of(operation: str, ids: Ids) -> tuple[str, str]:
    """Method and path, with the ids of the objects in it."""
    method, path = operation.split()
    named = {"user_id": "patient_id"} | OTHER_OBJECT.get(operation, {})
    return method, path.format_map(ids | {name: ids[other] for name, other in named.items()})
