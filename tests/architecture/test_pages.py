"""Page routes name their caller and check their forms as docs/architecture.md says."""

from app.web.kit.forms import receive_form
from tests.routing import every_dependency, get_caller, list_operations, list_pages

AREAS = {
    "GET /visit/": "HoldingPage",
    "POST /visit/": "HoldingPage",
    "GET /visit/done/": "OwnVisitsPage",
    "GET /my/appointments": "OwnVisitsPage",
    "POST /my/appointments": "ChangeOwnVisitPage",
    "GET /my/account": "AccountPage",
    "POST /my/account": "AccountPage",
    "POST /my/account/second-factor": "FreshAccountPage",
    "GET /my/account/details": "OwnRecordPage",
    "POST /my/account/details": "OwnRecordPage",
    "GET /my/family": "OwnRecordPage",
    "POST /my/family": "OwnRecordPage",
    "GET /practice/day": "CalendarPage",
    "GET /practice/week": "CalendarPage",
    "GET /practice/visits/": "CalendarPage",
    "POST /practice/visits/": "AttendancePage",
    "GET /practice/hours": "HoursPage",
    "POST /practice/hours": "HoursPage",
    "GET /practice/hours/clock-changes": "CalendarPage",
    "POST /practice/hours/clock-changes": "ChangeForPatientsPage",
    "GET /practice/hours/conflicts": "CalendarPage",
    "GET /practice/hours/explain": "CalendarPage",
    "GET /practice/profile": "ProfilePage",
    "POST /practice/profile": "ProfilePage",
    "GET /practice/profile/visit-types": "VisitTypesPage",
    "POST /practice/profile/visit-types": "VisitTypesPage",
    "GET /clinic": "AnyPage",
    "GET /clinic/{clinic_id}/people": "ManagerPage",
    "POST /clinic/{clinic_id}/people": "ManagerPage",
    "GET /office/clinics": "ClinicsPage",
    "POST /office/clinics": "AppointingPage",
    "GET /office/users": "AccountsPage",
    "POST /office/users": "DecidingPage",
    "GET /office/invitations": "InvitationsPage",
    "POST /office/invitations": "InvitingPage",
    "GET /office/trail": "AuditTrailPage",
}
"""Who may use the pages of an area. If more than one applies, the longest decides."""

EXCEPTIONS = {
    # Patients book here, so the operator may require a confirmed address.
    "GET /visit/pick": "BookingPage",
    "POST /visit/pick": "BookingPage",
    "POST /visit/{hold_id}": "BookingPage",
    # Staff without their second factor may only do what helps them to set it up.
    "POST /my/account": "AnyPage",
    "GET /my/account/data": "AnyPage",
    # A passer-by at an unlocked screen must not take or delete the data of an account.
    "POST /my/account/data": "FreshPage",
    "GET /my/account/export.json": "FreshPage",
    # Before a patient or a doctor moves or cancels a visit.
    "GET /my/appointments/{appointment_id}/cancel": "ChangeOwnVisitPage",
    "GET /my/appointments/{appointment_id}/move": "ChangeOwnVisitPage",
    "GET /practice/visits/{appointment_id}/move": "ChangeForPatientsPage",
    "POST /practice/visits/{appointment_id}/move": "ChangeForPatientsPage",
    "POST /practice/visits/{appointment_id}/cancel": "ChangeForPatientsPage",
    # Cancelling an invitation grants nothing, but sending one does.
    "POST /clinic/{clinic_id}/people": "FreshManagerPage",
    "POST /clinic/{clinic_id}/people/{user_id}": "FreshManagerPage",
    "POST /office/invitations/{invitation_id}/cancel": "InvitationsPage",
    # Visits of patients, shown to an administrator.
    "POST /office/users/{user_id}/break-glass": "BreakGlassPage",
    "GET /office/users/{user_id}/visits": "PatientVisitsPage",
    "GET /office/users/{user_id}/appointments": "SuspendedDoctorsPage",
    "GET /office/users/{user_id}/appointments/{appointment_id}": "SuspendedDoctorsPage",
    "POST /office/users/{user_id}/appointments/{appointment_id}/cancel": "SuspendedDoctorsPage",
}

OUTSIDE = {
    "GET /": "PublicPage",
    "GET /with/{doctor_id}": "PublicPage",
    "GET /sign-in": "PublicPage",
    "POST /sign-in": "PublicPage",
    "GET /sign-in/code": "PublicPage",
    "POST /sign-in/code": "PublicPage",
    "GET /register": "PublicPage",
    "POST /register": "PublicPage",
    "GET /forgotten": "PublicPage",
    "POST /forgotten": "PublicPage",
    "GET /reset": "PublicPage",
    "POST /reset": "PublicPage",
    "GET /invitation": "PublicPage",
    "POST /invitation": "PublicPage",
    "POST /invitation/join": "AccountPage",
    "GET /preferences": "PublicPage",
    "POST /preferences": "PublicPage",
    "POST /language": "PublicPage",
    "GET /start": "AnyPage",
    "POST /sign-out": "AccountPage",
    "GET /confirm-email": "AccountPage",
    "POST /confirm-email": "AccountPage",
    "POST /confirm-email/resend": "AccountPage",
}
"""Pages outside of the areas, among them every page that is open to all."""


def expected_caller(operation: str) -> str | None:
    """Return who may use the page; ``None`` if the tables do not say."""
    if caller := (EXCEPTIONS | OUTSIDE).get(operation):
        return caller
    areas = [area for area in AREAS if operation.startswith(area)]
    return AREAS[max(areas, key=len)] if areas else None


def test_every_page_names_the_caller_of_its_area() -> None:
    named = {operation: get_caller(page) for page in list_pages() for operation in list_operations(page)}
    assert named == {operation: expected_caller(operation) for operation in named}
    assert named.keys() >= EXCEPTIONS.keys() | OUTSIDE.keys()


def test_every_post_checks_its_form_and_no_get_does() -> None:
    for page in list_pages():
        assert page.methods in ({"GET"}, {"POST"}), page.path
        assert (receive_form in every_dependency(page)) == (page.methods == {"POST"}), page.path
