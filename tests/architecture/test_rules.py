"""The rules of the house (docs/architecture.md) that import-linter cannot see."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from app.core import dependencies
from app.core.settings import Settings
from app.http.audit import open_audit
from app.http.idempotency import reserve_key
from app.http.requests import StrictRoute
from app.http.routes import list_dependencies, list_routes
from app.main import create_app
from app.web.kit import auth
from app.web.kit.forms import answer_once, receive_form
from app.web.kit.routes import PageRoute
from tests.routing import every_dependency

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
SOURCES = sorted(APP.rglob("*.py"))
MAX_FILE = 400
MAX_USE_CASES = 10


def calls(path: Path) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def name_of(node: ast.expr) -> str:
    return ast.unparse(node)


def room(path: Path) -> str:
    return path.relative_to(APP).as_posix()


def test_only_the_database_commits() -> None:
    committing = {
        room(path)
        for path in SOURCES
        for call in calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"commit", "rollback", "begin_nested"}
    }
    assert committing == {"db/database.py"}


def test_only_the_clock_reads_the_clock() -> None:
    clocks = (
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "time.time",
        "time.time_ns",
        "func.now",
    )
    reading = {room(path) for path in SOURCES for call in calls(path) if name_of(call.func) in clocks}
    assert reading == {"core/clock.py"}


def test_only_the_database_layer_and_constraints_name_a_dialect() -> None:
    words = ("postgresql", "sqlite", "asyncpg")
    naming = set()
    for path in SOURCES:
        code = ast.parse(path.read_text())
        docstrings = {node.value for node in ast.walk(code) if isinstance(node, ast.Expr)}
        for node in ast.walk(code):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
                said = node.value
            elif isinstance(node, ast.Import | ast.ImportFrom):
                said = ast.unparse(node)
            else:
                continue
            if any(word in said.lower() for word in words):
                naming.add(room(path))
    # The settings know the URLs that an operator may write.
    assert {name for name in naming if not name.startswith("db/")} == {
        "core/settings.py",
        "models/appointment.py",
        "models/audit.py",
        "models/doctor.py",
        "models/user.py",
    }


def test_routers_write_no_sql_and_services_neither() -> None:
    for layer in ("routers", "http", "services", "schemas", "web"):
        for path in (APP / layer).rglob("*.py"):
            called = {name_of(call.func) for call in calls(path)}
            assert not called & {"select", "insert", "update", "delete", "text"}, path


def test_only_repositories_and_the_database_layer_execute() -> None:
    executing = {
        path.relative_to(APP).parts[0]
        for path in SOURCES
        for call in calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"execute", "scalar", "scalars"}
    }
    assert executing == {"repositories", "db"}


@pytest.mark.parametrize("path", SOURCES, ids=room)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_FILE


@pytest.mark.parametrize("path", sorted((APP / "services").glob("*.py")), ids=room)
def test_a_service_has_few_use_cases(path: Path) -> None:
    functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.AsyncFunctionDef)]
    assert len([function for function in functions if not function.name.startswith("_")]) <= MAX_USE_CASES


def test_there_is_no_room_for_odds_and_ends() -> None:
    assert not [
        path for path in SOURCES if path.stem in {"utils", "helpers", "common", "misc", "manager", "base_repository"}
    ]


SETTINGS = Settings(_env_file=None)
MARKERS = {
    marker.__metadata__[0].dependency: name
    for name in (
        "Public",
        "Viewer",
        "PatientActor",
        "BookingActor",
        "DoctorActor",
        "AdminActor",
        "AnyActor",
        "AccountActor",
        "BriefActor",
        "FreshActor",
        "FreshAccountActor",
        "FreshAdminActor",
    )
    for marker in [getattr(dependencies, name)]
}

PAGES = {
    marker.__metadata__[0].dependency: name
    for name in (
        "PublicPage",
        "BriefPublicPage",
        "PatientPage",
        "BookingPage",
        "DoctorPage",
        "AdminPage",
        "AnyPage",
        "AccountPage",
        "BriefPage",
        "FreshPage",
        "FreshAccountPage",
        "FreshAdminPage",
    )
    for marker in [getattr(auth, name)]
}


def routes() -> list[APIRoute]:
    found = list_routes(create_app(SETTINGS))
    return [route for route in found if isinstance(route, APIRoute) and not isinstance(route, PageRoute)]


def pages() -> list[PageRoute]:
    return [route for route in list_routes(create_app(SETTINGS)) if isinstance(route, PageRoute)]


def test_every_page_names_whom_it_is_for() -> None:
    named: dict[str, str] = {}
    for page in pages():
        markers = [PAGES[each] for each in list_dependencies(page) if each in PAGES]
        assert len(markers) == 1, f"{page.methods} {page.path} names {markers or 'nobody'}"
        named |= {f"{method} {page.path}": markers[0] for method in page.methods or ()}
    assert named == {
        "GET /": "PublicPage",
        "GET /with/{doctor_id:uuid}": "PublicPage",
        "GET /visit/pick": "BookingPage",
        "POST /visit/pick": "BookingPage",
        "GET /visit/{hold_id:uuid}": "PatientPage",
        "POST /visit/{hold_id:uuid}": "BookingPage",
        "POST /visit/{hold_id:uuid}/release": "PatientPage",
        "GET /visit/done/{appointment_id:uuid}": "PatientPage",
        "GET /my/appointments": "PatientPage",
        "GET /my/appointments/{appointment_id:uuid}": "PatientPage",
        "GET /my/appointments/{appointment_id:uuid}/calendar.ics": "PatientPage",
        "GET /my/appointments/{appointment_id:uuid}/cancel": "PatientPage",
        "POST /my/appointments/{appointment_id:uuid}/cancel": "PatientPage",
        "GET /my/appointments/{appointment_id:uuid}/move": "PatientPage",
        "POST /my/appointments/{appointment_id:uuid}/move": "PatientPage",
        "GET /my/account": "AccountPage",
        "POST /my/account": "AnyPage",
        "GET /my/account/password": "AccountPage",
        "POST /my/account/password": "BriefPage",
        "GET /my/account/sessions": "AccountPage",
        "POST /my/account/sessions/{session_id:uuid}/end": "AccountPage",
        "POST /my/account/sessions/end": "AccountPage",
        "GET /my/account/data": "AnyPage",
        "POST /my/account/data": "FreshPage",
        "GET /my/account/export.json": "FreshPage",
        "GET /my/account/second-factor": "AccountPage",
        "POST /my/account/second-factor": "FreshAccountPage",
        "POST /my/account/second-factor/confirm": "FreshAccountPage",
        "POST /my/account/second-factor/recovery-codes": "FreshAccountPage",
        "POST /my/account/second-factor/remove": "FreshAccountPage",
        "GET /confirm-email": "AccountPage",
        "POST /confirm-email": "AccountPage",
        "POST /confirm-email/resend": "AccountPage",
        "GET /sign-in": "PublicPage",
        "POST /sign-in": "BriefPublicPage",
        "GET /sign-in/code": "PublicPage",
        "POST /sign-in/code": "BriefPublicPage",
        "GET /start": "AnyPage",
        "GET /register": "PublicPage",
        "POST /register": "BriefPublicPage",
        "POST /sign-out": "AccountPage",
        "GET /forgotten": "PublicPage",
        "POST /forgotten": "BriefPublicPage",
        "GET /reset": "PublicPage",
        "POST /reset": "BriefPublicPage",
        "GET /preferences": "PublicPage",
        "POST /preferences": "PublicPage",
        "POST /language": "PublicPage",
        "GET /practice/day": "DoctorPage",
        "GET /practice/week": "DoctorPage",
        "GET /practice/visits/{appointment_id:uuid}": "DoctorPage",
        "POST /practice/visits/{appointment_id:uuid}/arrive": "DoctorPage",
        "POST /practice/visits/{appointment_id:uuid}/complete": "DoctorPage",
        "POST /practice/visits/{appointment_id:uuid}/no-show": "DoctorPage",
        "POST /practice/visits/{appointment_id:uuid}/undo": "DoctorPage",
        "POST /practice/visits/{appointment_id:uuid}/cancel": "DoctorPage",
        "GET /practice/visits/{appointment_id:uuid}/move": "DoctorPage",
        "POST /practice/visits/{appointment_id:uuid}/move": "DoctorPage",
        "GET /practice/hours": "DoctorPage",
        "POST /practice/hours": "DoctorPage",
        "POST /practice/hours/later/{valid_from}/cancel": "DoctorPage",
        "GET /practice/hours/extra": "DoctorPage",
        "POST /practice/hours/extra": "DoctorPage",
        "POST /practice/hours/extra/{availability_id:uuid}/remove": "DoctorPage",
        "GET /practice/hours/time-off": "DoctorPage",
        "GET /practice/hours/time-off/preview": "DoctorPage",
        "POST /practice/hours/time-off": "DoctorPage",
        "POST /practice/hours/time-off/{time_off_id:uuid}/remove": "DoctorPage",
        "GET /practice/hours/clock-changes": "DoctorPage",
        "POST /practice/hours/clock-changes": "DoctorPage",
        "GET /practice/hours/conflicts": "DoctorPage",
        "GET /practice/hours/explain": "DoctorPage",
        "GET /practice/profile": "DoctorPage",
        "POST /practice/profile": "DoctorPage",
        "GET /practice/profile/visit-types": "DoctorPage",
        "GET /practice/profile/visit-types/new": "DoctorPage",
        "POST /practice/profile/visit-types/new": "DoctorPage",
        "GET /practice/profile/visit-types/{visit_type_id:uuid}": "DoctorPage",
        "POST /practice/profile/visit-types/{visit_type_id:uuid}": "DoctorPage",
        "POST /practice/profile/visit-types/{visit_type_id:uuid}/withdraw": "DoctorPage",
        "GET /invitation": "PublicPage",
        "POST /invitation": "BriefPublicPage",
        "GET /office/invitations": "AdminPage",
        "POST /office/invitations": "FreshAdminPage",
        "POST /office/invitations/{invitation_id:uuid}/cancel": "AdminPage",
        "GET /office/users": "AdminPage",
        "GET /office/users/{user_id:uuid}": "AdminPage",
        "POST /office/users/{user_id:uuid}/approve": "FreshAdminPage",
        "POST /office/users/{user_id:uuid}/suspend": "FreshAdminPage",
        "POST /office/users/{user_id:uuid}/reinstate": "FreshAdminPage",
        "POST /office/users/{user_id:uuid}/erase": "FreshAdminPage",
        "POST /office/users/{user_id:uuid}/end-sessions": "FreshAdminPage",
        "POST /office/users/{user_id:uuid}/remove-second-factor": "FreshAdminPage",
        "POST /office/users/{user_id:uuid}/break-glass": "FreshAdminPage",
        "GET /office/users/{user_id:uuid}/profile-change": "AdminPage",
        "POST /office/users/{user_id:uuid}/profile-change/accept": "FreshAdminPage",
        "POST /office/users/{user_id:uuid}/profile-change/decline": "FreshAdminPage",
        "GET /office/users/{user_id:uuid}/visits": "AdminPage",
        "GET /office/users/{user_id:uuid}/appointments": "FreshAdminPage",
        "GET /office/users/{user_id:uuid}/appointments/{appointment_id:uuid}": "FreshAdminPage",
        "POST /office/users/{user_id:uuid}/appointments/{appointment_id:uuid}/cancel": "FreshAdminPage",
        "GET /office/trail": "AdminPage",
    }


def test_every_form_is_checked_and_nothing_is_changed_by_looking() -> None:
    for page in pages():
        called = set(every_dependency(page))
        assert page.methods in ({"GET"}, {"POST"}), page.path
        assert (receive_form in called) == (page.methods == {"POST"}), page.path


UNRECORDED_PAGES = {
    "where somebody begins": {"GET /start"},
    "her own account": {
        "GET /confirm-email",
        "GET /my/account",
        "GET /my/account/password",
        "GET /my/account/sessions",
        "GET /my/account/data",
        "GET /my/account/second-factor",
    },
    "recorded by the service, which has transactions of its own": {"POST /my/account/password"},
    "free time, which shows a patient nobody but herself": {"GET /visit/pick", "GET /practice/hours/explain"},
    "a doctor's own rules, which tell of no patient": {
        "GET /practice/hours",
        "POST /practice/hours/later/{valid_from}/cancel",
        "GET /practice/hours/extra",
        "POST /practice/hours/extra",
        "POST /practice/hours/extra/{availability_id:uuid}/remove",
        "GET /practice/hours/time-off",
        "POST /practice/hours/time-off/{time_off_id:uuid}/remove",
        "GET /practice/profile",
        "GET /practice/profile/visit-types",
        "GET /practice/profile/visit-types/new",
        "POST /practice/profile/visit-types/new",
        "GET /practice/profile/visit-types/{visit_type_id:uuid}",
        "POST /practice/profile/visit-types/{visit_type_id:uuid}",
        "POST /practice/profile/visit-types/{visit_type_id:uuid}/withdraw",
    },
}


def test_every_page_that_concerns_patients_leaves_a_trail() -> None:
    without = set()
    for page in pages():
        called = list_dependencies(page)
        for_everybody = {PAGES[each] for each in called if each in PAGES} & {"PublicPage", "BriefPublicPage"}
        if open_audit not in called and not for_everybody:
            without |= {f"{method} {page.path}" for method in page.methods or ()}
    assert without == set.union(*UNRECORDED_PAGES.values())


def test_every_route_names_who_may_call_it() -> None:
    named: dict[str, str] = {}
    for route in routes():
        markers = {MARKERS[each] for each in every_dependency(route) if each in MARKERS}
        # An actor is a viewer whose role was asked for; who is fresh looks after her own account.
        markers = markers - {"Viewer"} or markers
        markers = markers & {"FreshActor", "FreshAccountActor", "FreshAdminActor"} or markers
        assert len(markers) == 1, f"{route.methods} {route.path} names {markers or 'nobody'}"
        named |= {f"{method} {route.path}": markers.pop() for method in route.methods or ()}
    assert named == {
        "GET /livez": "Public",
        "GET /readyz": "Public",
        "GET /metrics": "Public",
        "GET /docs": "Public",
        "GET /static/{name}": "Public",
        "POST /auth/register": "Public",
        "POST /auth/login": "Public",
        "POST /auth/forgot-password": "Public",
        "POST /auth/reset-password": "Public",
        "POST /auth/accept-invitation": "Public",
        "GET /auth/me": "AccountActor",
        "PATCH /auth/me": "AnyActor",
        "POST /auth/confirm-email": "AccountActor",
        "POST /auth/resend-confirmation": "AccountActor",
        "POST /auth/refresh": "Public",
        "POST /auth/logout": "AccountActor",
        "POST /auth/change-password": "BriefActor",
        "GET /auth/sessions": "AccountActor",
        "DELETE /auth/sessions": "AccountActor",
        "DELETE /auth/sessions/{session_id:uuid}": "AccountActor",
        "GET /auth/second-factor": "AccountActor",
        "POST /auth/second-factor": "FreshAccountActor",
        "POST /auth/second-factor/confirm": "FreshAccountActor",
        "POST /auth/second-factor/recovery-codes": "FreshAccountActor",
        "DELETE /auth/second-factor": "FreshAccountActor",
        "GET /auth/me/export": "FreshActor",
        "DELETE /auth/me": "FreshActor",
        "GET /admin/users": "AdminActor",
        "GET /admin/users/{user_id:uuid}": "AdminActor",
        "POST /admin/users/{user_id:uuid}/approve": "FreshAdminActor",
        "POST /admin/invitations": "FreshAdminActor",
        "GET /admin/invitations": "AdminActor",
        "DELETE /admin/invitations/{invitation_id:uuid}": "AdminActor",
        "GET /admin/profile-changes": "AdminActor",
        "POST /admin/users/{user_id:uuid}/profile-changes/{change_id:uuid}/accept": "FreshAdminActor",
        "POST /admin/users/{user_id:uuid}/profile-changes/{change_id:uuid}/decline": "FreshAdminActor",
        "POST /admin/users/{user_id:uuid}/suspend": "FreshAdminActor",
        "POST /admin/users/{user_id:uuid}/reinstate": "FreshAdminActor",
        "POST /admin/users/{user_id:uuid}/erase": "FreshAdminActor",
        "GET /admin/users/{user_id:uuid}/appointments": "FreshAdminActor",
        "POST /admin/users/{user_id:uuid}/appointments/{appointment_id:uuid}/cancel": "FreshAdminActor",
        "DELETE /admin/users/{user_id:uuid}/sessions": "FreshAdminActor",
        "DELETE /admin/users/{user_id:uuid}/second-factor": "FreshAdminActor",
        "POST /admin/break-glass": "FreshAdminActor",
        "GET /doctors": "Public",
        "GET /doctors/{doctor_id:uuid}": "Public",
        "GET /doctors/{doctor_id:uuid}/availability": "Viewer",
        "GET /doctors/{doctor_id:uuid}/slots": "Viewer",
        "GET /doctors/{doctor_id:uuid}/next-slot": "Viewer",
        "GET /doctors/{doctor_id:uuid}/explain": "Viewer",
        "GET /doctors/{doctor_id:uuid}/visit-types": "Public",
        "GET /search/slots": "Viewer",
        "GET /doctors/me": "DoctorActor",
        "PATCH /doctors/me": "DoctorActor",
        "PUT /doctors/me/hours": "DoctorActor",
        "GET /doctors/me/hours": "DoctorActor",
        "DELETE /doctors/me/hours/{valid_from}": "DoctorActor",
        "POST /doctors/me/time-off": "DoctorActor",
        "GET /doctors/me/time-off": "DoctorActor",
        "DELETE /doctors/me/time-off/{time_off_id:uuid}": "DoctorActor",
        "POST /doctors/me/visit-types": "DoctorActor",
        "GET /doctors/me/visit-types": "DoctorActor",
        "GET /doctors/me/visit-types/{visit_type_id:uuid}": "DoctorActor",
        "PATCH /doctors/me/visit-types/{visit_type_id:uuid}": "DoctorActor",
        "DELETE /doctors/me/visit-types/{visit_type_id:uuid}": "DoctorActor",
        "POST /doctors/availability": "DoctorActor",
        "GET /doctors/me/availability": "DoctorActor",
        "DELETE /doctors/availability/{availability_id:uuid}": "DoctorActor",
        "GET /doctors/me/appointments": "DoctorActor",
        "GET /doctors/me/clock-changes": "DoctorActor",
        "POST /doctors/me/clock-changes": "DoctorActor",
        "POST /appointments": "BookingActor",
        "GET /appointments": "AnyActor",
        "GET /appointments/{appointment_id:uuid}": "AnyActor",
        "DELETE /appointments/{appointment_id:uuid}": "AnyActor",
        "GET /appointments/{appointment_id:uuid}/history": "AnyActor",
        "POST /appointments/{appointment_id:uuid}/cancel": "AnyActor",
        "POST /appointments/{appointment_id:uuid}/reschedule": "AnyActor",
        "POST /appointments/{appointment_id:uuid}/arrive": "DoctorActor",
        "POST /appointments/{appointment_id:uuid}/complete": "DoctorActor",
        "POST /appointments/{appointment_id:uuid}/no-show": "DoctorActor",
        "POST /appointments/{appointment_id:uuid}/undo": "DoctorActor",
        "POST /holds": "BookingActor",
        "DELETE /holds/{hold_id:uuid}": "PatientActor",
        "GET /admin/audit": "AdminActor",
    }


def test_a_route_that_hashes_finds_its_caller_in_a_transaction_of_its_own() -> None:
    holding = {dependencies.find_viewer, auth.find_visitor, open_audit, reserve_key, answer_once}
    for route in [*routes(), *pages()]:
        called = set(every_dependency(route))
        assert dependencies.get_passwords not in called or not called & holding, route.path


def test_a_route_with_transactions_of_its_own_holds_no_other() -> None:
    for route in [*routes(), *pages()]:
        called = set(every_dependency(route))
        assert not {dependencies.get_transaction, dependencies.find_brief_viewer} <= called, route.path
        assert not {dependencies.get_transaction, auth.find_brief_visitor} <= called, route.path


UNRECORDED = {
    "her own account": {
        "GET /auth/me",
        "GET /auth/sessions",
        "GET /auth/second-factor",
    },
    "recorded by the service, which has transactions of its own": {"POST /auth/change-password"},
    "a doctor's own rules, which tell of no patient": {
        "GET /doctors/me",
        "GET /doctors/me/hours",
        "DELETE /doctors/me/hours/{valid_from}",
        "GET /doctors/me/time-off",
        "DELETE /doctors/me/time-off/{time_off_id:uuid}",
        "POST /doctors/me/visit-types",
        "GET /doctors/me/visit-types",
        "GET /doctors/me/visit-types/{visit_type_id:uuid}",
        "PATCH /doctors/me/visit-types/{visit_type_id:uuid}",
        "DELETE /doctors/me/visit-types/{visit_type_id:uuid}",
        "POST /doctors/availability",
        "GET /doctors/me/availability",
        "DELETE /doctors/availability/{availability_id:uuid}",
    },
    "free time, which shows a patient nobody but herself": {
        "GET /doctors/{doctor_id:uuid}/availability",
        "GET /doctors/{doctor_id:uuid}/slots",
        "GET /doctors/{doctor_id:uuid}/next-slot",
        "GET /doctors/{doctor_id:uuid}/explain",
        "GET /search/slots",
    },
}


def test_every_route_that_concerns_patients_leaves_a_trail() -> None:
    without = set()
    for route in routes():
        called = set(every_dependency(route))
        if dependencies.public in called or open_audit in called:
            continue
        without |= {f"{method} {route.path}" for method in route.methods or ()}
        if route.response_model is not None:
            shown = json.dumps(TypeAdapter(route.response_model).json_schema())
            assert "patient_id" not in shown, f"{route.path} shows whose data it is and names no Trail"
    assert without == set.union(*UNRECORDED.values())


def test_the_caller_is_known_before_the_trail_and_the_key_ask_for_her() -> None:
    callers = {call for call, name in MARKERS.items() if name != "Public"}
    for route in routes():
        called = list_dependencies(route)
        asking = [number for number, call in enumerate(called) if call in {open_audit, reserve_key}]
        assert all(callers & set(called[:number]) for number in asking), route.path


WITHOUT_A_KEY = {
    "public: there is nobody whose key it could be": {
        "POST /auth/register",
        "POST /auth/login",
        "POST /auth/refresh",
        "POST /auth/forgot-password",
        "POST /auth/reset-password",
        "POST /auth/accept-invitation",
    },
    "a code by mail, which works once, and is limited": {"POST /auth/confirm-email", "POST /auth/resend-confirmation"},
    "a secret, which is not to be kept": {
        "POST /auth/second-factor",
        "POST /auth/second-factor/confirm",
        "POST /auth/second-factor/recovery-codes",
        "POST /admin/invitations",
    },
    "transactions of its own, and the old password is wrong the second time": {"POST /auth/change-password"},
    "ends the session that it would be asked in again": {"POST /auth/logout"},
    "changes nothing": {"POST /admin/break-glass"},
}


def test_every_other_post_takes_a_key() -> None:
    without = {
        f"POST {route.path}"
        for route in routes()
        if "POST" in (route.methods or ()) and reserve_key not in list_dependencies(route)
    }
    assert without == set.union(*WITHOUT_A_KEY.values())


def test_the_trail_is_open_before_an_answer_may_be_repeated() -> None:
    for route in routes():
        called = list_dependencies(route)
        if open_audit in called and reserve_key in called:
            assert called.index(open_audit) < called.index(reserve_key), route.path
    for page in pages():
        called = list_dependencies(page)
        if open_audit in called and answer_once in called:
            assert called.index(open_audit) < called.index(answer_once), page.path


def test_every_route_that_names_a_transaction_has_one() -> None:
    for route in [*routes(), *pages()]:
        if dependencies.get_transaction in every_dependency(route):
            assert isinstance(route, StrictRoute), route.path
