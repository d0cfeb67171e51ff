"""Routes of the API name their caller, their transaction and their idempotency key as docs/architecture.md says."""

from app.core import dependencies
from app.http.audit import open_audit
from app.http.idempotency import reserve_key
from app.http.requests import StrictRoute
from app.http.routes import list_dependencies
from app.web.kit import auth
from app.web.kit.forms import answer_once
from tests.access.table import TABLE
from tests.routing import every_dependency, get_caller, list_all_routes, list_api_routes, list_operations

CALLERS: dict[str, set[str]] = {
    "public": {"Public"},
    "viewer": {"Viewer"},
    "account": {"AccountActor"},
    "fresh account": {"FreshAccountActor"},
    "fresh": {"FreshActor"},
    "any": {"AnyActor"},
    "members": {"MemberActor", "ManagerActor", "FreshManagerActor", "PatientsActor"},
    "makers of clinics": {"MakingClinicsActor"},
    "patients": {"BookingActor", "OwnRecordActor"},
    "doctors": {"CalendarActor", "HoursActor", "ProfileActor", "ChangeForPatientsActor", "VisitTypesActor"},
    "admins": {"AccountsActor", "AuditTrailActor", "InvitationsActor"},
    "fresh admins": {"BreakGlassActor", "AppointingActor", "DecidingActor", "InvitingActor", "SuspendedDoctorsActor"},
    "parties": {"AnyActor"},
    "its patient": {"HoldingActor", "OwnRecordActor"},
    "its doctor": {"AttendanceActor", "HoursActor", "VisitTypesActor"},
    "its session": {"AccountActor"},
}
"""The callers of which a route must name one, by the pattern of its row in tests/access/table.py."""

NOT_IN_THE_DOCUMENT = {"GET /docs", "GET /metrics", "GET /static/{name}"}
"""They have no row in the table, so they must be public."""


def test_every_route_names_the_caller_that_the_access_table_says() -> None:
    named = {operation: get_caller(route) for route in list_api_routes() for operation in list_operations(route)}
    expected = {operation: CALLERS[row.pattern] for operation, row in TABLE.items()}
    expected |= dict.fromkeys(NOT_IN_THE_DOCUMENT, CALLERS["public"])
    assert named.keys() == expected.keys()
    assert not {operation: caller for operation, caller in named.items() if caller not in expected[operation]}


def test_a_route_that_hashes_holds_no_transaction() -> None:
    holding = {dependencies.find_caller, auth.find_visitor, open_audit, reserve_key, answer_once}
    for route in list_all_routes():
        called = set(every_dependency(route))
        assert dependencies.get_passwords not in called or not called & holding, route.path


def test_a_route_that_opens_its_own_transactions_does_not_use_that_of_the_request() -> None:
    for route in list_all_routes():
        called = set(every_dependency(route))
        assert not {dependencies.get_transaction, dependencies.find_brief_caller} <= called, route.path
        assert not {dependencies.get_transaction, auth.find_brief_visitor} <= called, route.path


def test_a_route_that_uses_the_transaction_of_the_request_is_strict() -> None:
    for route in list_all_routes():
        if dependencies.get_transaction in every_dependency(route):
            assert isinstance(route, StrictRoute), route.path


WITHOUT_A_KEY = {
    "a code that was sent by mail works once, and mails are limited": {
        "POST /auth/confirm-email",
        "POST /auth/resend-confirmation",
        "POST /auth/email",
        "POST /auth/email/confirm",
    },
    "the response contains a secret, which must not be stored": {
        "POST /auth/second-factor",
        "POST /auth/second-factor/confirm",
        "POST /auth/second-factor/recovery-codes",
        "POST /admin/invitations",
        "POST /clinics/{clinic_id}/invitations",
        "POST /admin/clinics/{clinic_id}/manager",
    },
    "the route opens its own transactions, and the old password is wrong the second time": {
        "POST /auth/change-password"
    },
    "the route opens its own transactions, and the token works once": {"POST /auth/accept-invitation"},
    "the route ends the session, so a second request is not authenticated": {"POST /auth/logout"},
    "the route changes nothing": {"POST /admin/break-glass"},
}
"""By the reason. Public routes are not listed: they have no caller whose key it could be."""


def test_every_other_post_takes_an_idempotency_key() -> None:
    without = {
        operation
        for route in list_api_routes()
        for operation in list_operations(route)
        if operation.startswith("POST ")
        and get_caller(route) != "Public"
        and reserve_key not in list_dependencies(route)
    }
    assert without == set.union(*WITHOUT_A_KEY.values())
