"""Texts for the actions and outcomes of the audit trail."""

from collections.abc import Mapping

from app.web.kit.formatting import Formatter
from app.web.kit.languages import N_

ACTIONS: Mapping[str, str] = {
    "accept_invitation": N_("Accepted an invitation"),
    "accept_profile_change": N_("Accepted a doctor's new name or specialty"),
    "approve_doctor": N_("Approved a doctor"),
    "arrive": N_("Checked a patient in"),
    "book_appointment": N_("Booked an appointment"),
    "break_glass": N_("Opened a patient's visits in an emergency"),
    "cancel_appointment": N_("Cancelled an appointment"),
    "cancel_appointment_with_reason": N_("Cancelled an appointment with a reason"),
    "cancel_invitation": N_("Cancelled an invitation"),
    "cancel_planned_hours": N_("Cancelled planned hours"),
    "cancel_visit_of_suspended_doctor": N_("Cancelled a visit of a suspended doctor"),
    "change_name": N_("Changed their own name"),
    "change_password": N_("Changed their password"),
    "change_practice": N_("Changed a doctor's profile"),
    "change_visit_type": N_("Changed a visit type"),
    "complete": N_("Marked a visit as completed"),
    "confirm_email": N_("Confirmed their e-mail address"),
    "confirm_second_factor": N_("Turned on their second factor"),
    "decline_profile_change": N_("Declined a doctor's new name or specialty"),
    "end_session": N_("Ended one of their sessions"),
    "end_sessions": N_("Ended their other sessions"),
    "end_sessions_of_user": N_("Signed an account out everywhere"),
    "end_time_off": N_("Removed time off"),
    "erase_account": N_("Deleted their account"),
    "erase_user": N_("Deleted an account"),
    "explain_time": N_("Checked why a time can or cannot be booked"),
    "export_account": N_("Downloaded their data"),
    "get_account": N_("Opened an account"),
    "get_appointment": N_("Opened an appointment"),
    "get_calendar_file": N_("Downloaded a calendar file"),
    "get_own_practice": N_("Opened a doctor's profile"),
    "get_second_factor": N_("Opened the page of the second factor"),
    "get_visit_type": N_("Opened a visit type"),
    "get_weekly_hours": N_("Opened weekly hours"),
    "hold_time": N_("Reserved a time"),
    "invite_doctor": N_("Invited a doctor"),
    "list_appointments": N_("Listed their appointments"),
    "list_clock_changes": N_("Listed visits whose local time has changed"),
    "settle_clock_changes": N_("Settled visits whose local time has changed"),
    "list_audit_events": N_("Read the audit trail"),
    "list_doctors_appointments": N_("Listed a doctor's appointments"),
    "list_invitations": N_("Listed open invitations"),
    "list_own_availability": N_("Listed extra hours"),
    "list_own_visit_types": N_("Listed visit types"),
    "list_profile_changes": N_("Reviewed the changes of names and specialties"),
    "list_sessions": N_("Listed their sessions"),
    "list_time_off": N_("Listed time off"),
    "list_users": N_("Listed accounts"),
    "list_versions": N_("Opened the history of an appointment"),
    "list_visits_behind_glass": N_("Read a patient's visits in an emergency"),
    "list_visits_of_suspended_doctor": N_("Listed the visits of a suspended doctor"),
    "log_in": N_("Sign-in"),
    "logout": N_("Signed out"),
    "me": N_("Opened their account"),
    "no_show": N_("Marked a visit as a no-show"),
    "offer_visit_type": N_("Added a visit type"),
    "preview_time_off": N_("Checked which visits time off would affect"),
    "publish_availability": N_("Added extra hours"),
    "refresh": N_("Extended a session"),
    "register": N_("Created an account"),
    "reinstate_user": N_("Lifted the suspension of an account"),
    "release_hold": N_("Released a reserved time"),
    "remove_second_factor": N_("Removed their second factor"),
    "remove_second_factor_of_user": N_("Removed the second factor of an account"),
    "renew_recovery_codes": N_("Renewed their recovery codes"),
    "reschedule_appointment": N_("Moved an appointment"),
    "resend_confirmation": N_("Requested a new code to confirm their address"),
    "reset_password": N_("Reset a password"),
    "set_up_second_factor": N_("Started to set up a second factor"),
    "set_weekly_hours": N_("Changed weekly hours"),
    "show_booked": N_("Opened the confirmation of an appointment"),
    "show_cancelling": N_("Opened an appointment to cancel it"),
    "show_data": N_("Opened the page of their data"),
    "show_email_confirmation": N_("Opened the page that confirms their address"),
    "show_free_times": N_("Opened a patient's appointment to move it"),
    "show_hold": N_("Opened a reserved time"),
    "show_moving": N_("Opened their appointment to move it"),
    "show_new_visit_type": N_("Opened the form for a visit type"),
    "show_password": N_("Opened the page to change the password"),
    "show_profile_change": N_("Opened a change of a doctor's name or specialty"),
    "show_pick": N_("Picked a time"),
    "show_visit_of_suspended_doctor": N_("Opened a visit of a suspended doctor"),
    "start": N_("Opened the home page"),
    "suspend_user": N_("Suspended an account"),
    "take_time_off": N_("Added time off"),
    "withdraw_availability": N_("Removed extra hours"),
    "withdraw_visit_type": N_("Stopped offering a visit type"),
    "undo_status_change": N_("Undid the last change of a visit's status"),
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
        sorted(((action, formatter.gettext(text)) for action, text in ACTIONS.items()), key=lambda each: each[1])
    )
