"""Texts for the actions and outcomes of the audit trail."""

from collections.abc import Mapping

from app.core.audit_actions import AuditAction
from app.core.text import search_key
from app.web.kit.formatting import Formatter
from app.web.kit.languages import N_

ACTIONS: Mapping[AuditAction, str] = {
    AuditAction.ACCEPT_INVITATION: N_("Accepted an invitation"),
    AuditAction.ACCEPT_PROFILE_CHANGE: N_("Accepted a doctor's new name or specialty"),
    AuditAction.ADD_DEPENDANT: N_("Added a child"),
    AuditAction.APPROVE_DOCTOR: N_("Approved a doctor"),
    AuditAction.ARRIVE: N_("Checked a patient in"),
    AuditAction.BOOK_APPOINTMENT: N_("Booked an appointment"),
    AuditAction.BREAK_GLASS: N_("Opened a patient's visits in an emergency"),
    AuditAction.CANCEL_APPOINTMENT: N_("Cancelled an appointment"),
    AuditAction.CANCEL_APPOINTMENT_WITH_REASON: N_("Cancelled an appointment with a reason"),
    AuditAction.CANCEL_INVITATION: N_("Cancelled an invitation"),
    AuditAction.CANCEL_PLANNED_HOURS: N_("Cancelled planned hours"),
    AuditAction.CANCEL_VISIT_OF_SUSPENDED_DOCTOR: N_("Cancelled a visit of a suspended doctor"),
    AuditAction.CHANGE_DEPENDANT: N_("Changed the details of a dependant"),
    AuditAction.CHANGE_EMAIL: N_("Changed their email address"),
    AuditAction.CHANGE_NAME: N_("Changed their own name"),
    AuditAction.CHANGE_OWN_RECORD: N_("Changed their contact details"),
    AuditAction.CHANGE_PASSWORD: N_("Changed their password"),
    AuditAction.CHANGE_PRACTICE: N_("Changed a doctor's profile"),
    AuditAction.CHANGE_VISIT_TYPE: N_("Changed a visit type"),
    AuditAction.COMPLETE: N_("Marked a visit as completed"),
    AuditAction.CONFIRM_EMAIL: N_("Confirmed their email address"),
    AuditAction.CONFIRM_SECOND_FACTOR: N_("Turned on their second factor"),
    AuditAction.DECLINE_PROFILE_CHANGE: N_("Declined a doctor's new name or specialty"),
    AuditAction.END_SESSION: N_("Ended one of their sessions"),
    AuditAction.END_SESSIONS: N_("Ended their other sessions"),
    AuditAction.END_SESSIONS_OF_USER: N_("Signed an account out everywhere"),
    AuditAction.END_TIME_OFF: N_("Removed time off"),
    AuditAction.ERASE_ACCOUNT: N_("Deleted their account"),
    AuditAction.ERASE_USER: N_("Deleted an account"),
    AuditAction.EXPLAIN_TIME: N_("Checked why a time can or cannot be booked"),
    AuditAction.EXPORT_ACCOUNT: N_("Downloaded their data"),
    AuditAction.GET_ACCOUNT: N_("Opened an account"),
    AuditAction.GET_APPOINTMENT: N_("Opened an appointment"),
    AuditAction.GET_CALENDAR_FILE: N_("Downloaded a calendar file"),
    AuditAction.GET_DEPENDANT: N_("Opened the details of a dependant"),
    AuditAction.GET_OWN_PRACTICE: N_("Opened a doctor's profile"),
    AuditAction.GET_OWN_RECORD: N_("Opened their contact details"),
    AuditAction.GET_SECOND_FACTOR: N_("Opened the second factor page"),
    AuditAction.GET_VISIT_TYPE: N_("Opened a visit type"),
    AuditAction.GET_WEEKLY_HOURS: N_("Opened weekly hours"),
    AuditAction.HOLD_TIME: N_("Reserved a time"),
    AuditAction.INVITE_DOCTOR: N_("Invited a doctor"),
    AuditAction.LIST_APPOINTMENTS: N_("Listed their appointments"),
    AuditAction.LIST_CLOCK_CHANGES: N_("Listed visits whose local time has changed"),
    AuditAction.SETTLE_CLOCK_CHANGES: N_("Settled visits whose local time has changed"),
    AuditAction.LIST_AUDIT_EVENTS: N_("Read the audit trail"),
    AuditAction.LIST_DEPENDANTS: N_("Listed their dependants"),
    AuditAction.LIST_DEPENDANTS_APPOINTMENTS: N_("Listed the appointments of a dependant"),
    AuditAction.LIST_DOCTORS_APPOINTMENTS: N_("Listed a doctor's appointments"),
    AuditAction.LIST_INVITATIONS: N_("Listed open invitations"),
    AuditAction.LIST_OWN_AVAILABILITY: N_("Listed extra hours"),
    AuditAction.LIST_OWN_VISIT_TYPES: N_("Listed visit types"),
    AuditAction.LIST_PROFILE_CHANGES: N_("Reviewed the changes of names and specialties"),
    AuditAction.LIST_SESSIONS: N_("Listed their sessions"),
    AuditAction.LIST_TIME_OFF: N_("Listed time off"),
    AuditAction.LIST_USERS: N_("Listed accounts"),
    AuditAction.LIST_VERSIONS: N_("Opened the history of an appointment"),
    AuditAction.LIST_VISITS_BEHIND_GLASS: N_("Read a patient's visits in an emergency"),
    AuditAction.LIST_VISITS_OF_SUSPENDED_DOCTOR: N_("Listed the visits of a suspended doctor"),
    AuditAction.LOG_IN: N_("Sign-in"),
    AuditAction.LOGOUT: N_("Signed out"),
    AuditAction.ME: N_("Opened their account"),
    AuditAction.NO_SHOW: N_("Marked a visit as a no-show"),
    AuditAction.OFFER_VISIT_TYPE: N_("Added a visit type"),
    AuditAction.PREVIEW_TIME_OFF: N_("Checked which visits are booked during planned time off"),
    AuditAction.PUBLISH_AVAILABILITY: N_("Added extra hours"),
    AuditAction.REFRESH: N_("Extended a session"),
    AuditAction.REGISTER: N_("Created an account"),
    AuditAction.REINSTATE_USER: N_("Lifted the suspension of an account"),
    AuditAction.RELEASE_HOLD: N_("Released a reserved time"),
    AuditAction.REMOVE_DEPENDANT: N_("Removed a dependant"),
    AuditAction.REMOVE_SECOND_FACTOR: N_("Removed their second factor"),
    AuditAction.REMOVE_SECOND_FACTOR_OF_USER: N_("Removed the second factor of an account"),
    AuditAction.RENEW_RECOVERY_CODES: N_("Renewed their recovery codes"),
    AuditAction.REQUEST_EMAIL_CHANGE: N_("Requested a change of their email address"),
    AuditAction.RESCHEDULE_APPOINTMENT: N_("Moved an appointment"),
    AuditAction.RESEND_CONFIRMATION: N_("Requested a new code to confirm their address"),
    AuditAction.RESET_PASSWORD: N_("Reset a password"),
    AuditAction.SET_UP_SECOND_FACTOR: N_("Started setting up a second factor"),
    AuditAction.SET_WEEKLY_HOURS: N_("Changed weekly hours"),
    AuditAction.SHOW_BOOKED: N_("Opened the confirmation of an appointment"),
    AuditAction.SHOW_CANCELLING: N_("Opened an appointment to cancel it"),
    AuditAction.SHOW_DATA: N_("Opened the page with their data"),
    AuditAction.SHOW_EMAIL_CHANGE: N_("Opened the page to change their email address"),
    AuditAction.SHOW_EMAIL_CONFIRMATION: N_("Opened the page to confirm their address"),
    AuditAction.SHOW_FREE_TIMES: N_("Opened a patient's appointment to move it"),
    AuditAction.SHOW_HOLD: N_("Opened a reserved time"),
    AuditAction.SHOW_MOVING: N_("Opened their appointment to move it"),
    AuditAction.SHOW_NEW_VISIT_TYPE: N_("Opened the form for a visit type"),
    AuditAction.SHOW_PASSWORD: N_("Opened the page to change the password"),
    AuditAction.SHOW_PROFILE_CHANGE: N_("Opened a change of a doctor's name or specialty"),
    AuditAction.SHOW_PICK: N_("Picked a time"),
    AuditAction.SHOW_VISIT_OF_SUSPENDED_DOCTOR: N_("Opened a visit of a suspended doctor"),
    AuditAction.START: N_("Opened the home page"),
    AuditAction.SUSPEND_USER: N_("Suspended an account"),
    AuditAction.TAKE_TIME_OFF: N_("Added time off"),
    AuditAction.WITHDRAW_AVAILABILITY: N_("Removed extra hours"),
    AuditAction.WITHDRAW_VISIT_TYPE: N_("Stopped offering a visit type"),
    AuditAction.UNDO_STATUS_CHANGE: N_("Undid the last change of a visit's status"),
}
"""The text of each action that can be recorded, whether it was done or refused."""


_OUTCOMES: Mapping[str, str] = {
    "foreign_form": N_("form from another site"),
    "invalid_credentials": N_("wrong address or password"),
    "invalid_refresh_token": N_("token used a second time"),
    "invalid_second_factor": N_("wrong code"),
    "log_in_again": N_("sign-in too long ago"),
    "not_found": N_("not found, or no access"),
    "second_factor_required": N_("code missing"),
    "set_up_second_factor": N_("second factor missing"),
    "too_many_attempts": N_("too many attempts"),
    "wrong_role": N_("no permission"),
}


def describe_outcome(formatter: Formatter, outcome: str) -> str:
    """Return why an action was refused; the error code itself if there is no text for it."""
    return formatter.gettext(_OUTCOMES[outcome]) if outcome in _OUTCOMES else outcome


def list_actions(formatter: Formatter) -> dict[str, str]:
    """Return the texts of all actions by action, in alphabetical order of the texts."""
    return dict(
        sorted(
            ((action, formatter.gettext(text)) for action, text in ACTIONS.items()),
            key=lambda each: search_key(each[1]),
        )
    )
