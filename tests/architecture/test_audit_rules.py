"""Every route and page that shows or changes patient data is recorded in the audit trail (docs/audit.md)."""

import json

from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from app.core.audit_actions import AuditAction
from app.http.audit import open_audit
from app.http.idempotency import reserve_key
from app.http.routes import list_dependencies
from app.web.kit.audit_actions import ACTIONS
from app.web.kit.forms import answer_once
from tests.routing import CALLERS, OPEN_TO_ALL, get_caller, list_all_routes, list_operations

UNRECORDED = {
    "the caller's own account": {
        "GET /auth/me",
        "GET /auth/sessions",
        "GET /auth/second-factor",
        "GET /confirm-email",
        "GET /my/account",
        "GET /my/account/email",
        "GET /my/account/password",
        "GET /my/account/sessions",
        "GET /my/account/data",
        "GET /my/account/second-factor",
    },
    "the service records it, in transactions of its own": {
        "POST /auth/change-password",
        "POST /auth/email",
        "POST /my/account/email",
        "POST /my/account/password",
        "POST /invitation/join",
    },
    "a redirect to the first page of the role": {"GET /start"},
    "free time, which shows patients only their own visits": {"GET /visit/pick", "GET /practice/hours/explain"},
    "a doctor's own rules, which concern no patient": {
        "GET /doctors/me",
        "GET /doctors/me/hours",
        "DELETE /doctors/me/hours/{valid_from}",
        "GET /doctors/me/time-off",
        "DELETE /doctors/me/time-off/{time_off_id}",
        "POST /doctors/me/visit-types",
        "GET /doctors/me/visit-types",
        "GET /doctors/me/visit-types/{visit_type_id}",
        "PATCH /doctors/me/visit-types/{visit_type_id}",
        "DELETE /doctors/me/visit-types/{visit_type_id}",
        "POST /doctors/availability",
        "GET /doctors/me/availability",
        "DELETE /doctors/availability/{availability_id}",
        "GET /practice/hours",
        "POST /practice/hours/later/{valid_from}/cancel",
        "GET /practice/hours/extra",
        "POST /practice/hours/extra",
        "POST /practice/hours/extra/{availability_id}/remove",
        "GET /practice/hours/time-off",
        "POST /practice/hours/time-off/{time_off_id}/remove",
        "GET /practice/profile",
        "GET /practice/profile/visit-types",
        "GET /practice/profile/visit-types/new",
        "POST /practice/profile/visit-types/new",
        "GET /practice/profile/visit-types/{visit_type_id}",
        "POST /practice/profile/visit-types/{visit_type_id}",
        "POST /practice/profile/visit-types/{visit_type_id}/withdraw",
    },
}
"""By the reason. Routes that are open to all are not listed."""


def test_every_other_route_that_needs_a_caller_is_recorded() -> None:
    without = {
        operation
        for route in list_all_routes()
        if get_caller(route) not in OPEN_TO_ALL and open_audit not in list_dependencies(route)
        for operation in list_operations(route)
    }
    assert without == set.union(*UNRECORDED.values())


def test_response_that_names_a_patient_is_recorded() -> None:
    for route in list_all_routes():
        if route.response_model is not None and open_audit not in list_dependencies(route):
            shown = json.dumps(TypeAdapter(route.response_model).json_schema())
            assert "patient_id" not in shown, f"{route.path} shows whose data it is and is not recorded"


def test_the_caller_is_known_before_the_audit_trail_and_the_key_need_them() -> None:
    callers = {call for call, name in CALLERS.items() if name.removeprefix("Brief") not in OPEN_TO_ALL}
    for route in list_all_routes():
        called = list_dependencies(route)
        needing = [number for number, call in enumerate(called) if call in {open_audit, reserve_key}]
        assert all(callers & set(called[:number]) for number in needing), route.path


def test_audit_trail_is_open_before_a_stored_response_is_replayed() -> None:
    for route in list_all_routes():
        called = list_dependencies(route)
        for repeating in (reserve_key, answer_once):
            if open_audit in called and repeating in called:
                assert called.index(open_audit) < called.index(repeating), route.path


RECORDED_BY_A_SERVICE = {"accept_invitation", "log_in", "refresh", "register", "reset_password"}
"""Actions of callers who are not signed in."""


def test_every_action_that_can_be_recorded_is_in_the_vocabulary_and_has_a_text() -> None:
    recorded = {route.name for route in list_all_routes() if _may_leave_an_event(route)}
    assert recorded | RECORDED_BY_A_SERVICE == set(AuditAction) == set(ACTIONS)


def _may_leave_an_event(route: APIRoute) -> bool:
    """Return whether the route is recorded, or can refuse a caller who is signed in."""
    return open_audit in list_dependencies(route) or get_caller(route) not in OPEN_TO_ALL
