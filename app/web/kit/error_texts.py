"""Error messages of the pages. They say what is wrong and what to do."""

from collections.abc import Mapping

from app.core.errors import FieldError
from app.core.permissions import Role
from app.web.kit.formatting import Formatter
from app.web.kit.languages import N_

MESSAGES: Mapping[str, str] = {
    "not_authenticated": N_("Your session has ended. Sign in to continue."),
    "invalid_credentials": N_("The email address or the password is wrong. Try again, or reset your password."),
    "second_factor_required": N_("This account also requires a code. Enter your password and the code."),
    "invalid_second_factor": N_("The code is wrong or has already been used. Wait for the next one."),
    "invalid_refresh_token": N_("Your session has ended. Sign in to continue."),
    "log_in_again": N_("Please sign in again to do this."),
    "set_up_second_factor": N_("Your account needs a second factor. Set it up first."),
    "email_not_confirmed": N_("First confirm your email address with the code that we sent you."),
    "too_many_attempts": N_("There were too many attempts to sign in. Wait a while, or reset your password."),
    "wrong_role": N_("You do not have access to this page. If you have another account, sign in with it."),
    "not_found": N_("Not found, or you do not have access to it. It may have been removed."),
    "second_factor_exists": N_("You already have a second factor. Remove it before you set up another one."),
    "email_taken": N_("There is already an account with this email address. Sign in, or reset your password."),
    "name_taken": N_("You already have a visit type with this name. Choose another name."),
    "availability_overlaps": N_("This overlaps your other hours. Change one of the times."),
    "slot_taken": N_("This time has just been taken. Choose another time."),
    "outside_availability": N_("The doctor has no hours at this time. Choose another time."),
    "time_off": N_("The doctor is away at this time. Choose another time."),
    "in_the_past": N_("This time has passed. Choose a later time."),
    "too_soon": N_("The doctor needs more notice than this. Choose a later time."),
    "too_far_ahead": N_("This doctor cannot be booked this far in advance. Choose an earlier time."),
    "off_grid": N_("Visits do not start at this time. Choose one of the times shown."),
    "day_full": N_("The doctor takes no more visits on this day. Choose another day."),
    "unknown_time_zone": N_(
        "The time zone of this practice is not known here, so its times cannot be shown. The doctor can choose another "
        "one in the profile."
    ),
    "doctor_unavailable": N_(
        "This doctor is not taking bookings at the moment. You can cancel the visit and find another doctor."
    ),
    "visit_type_required": N_("Choose a visit type."),
    "wrong_length": N_("The length of the visit has changed. Choose a time again."),
    "patient_busy": N_(
        "There is another appointment at this time. Choose another time, or move the other appointment."
    ),
    "too_many_visits": N_("You have reached the limit of upcoming visits that can be booked online. Cancel one first."),
    "too_many_cancellations": N_(
        "You cannot book online today because you have cancelled too many visits. Try again tomorrow."
    ),
    "already_started": N_("The visit has begun, so you can no longer change it online."),
    "too_late": N_("It is too late to change this online."),
    "too_early": N_("It is too early for this: the visit is still to come."),
    "wrong_status": N_("This is no longer possible: the appointment has changed. This is its current state."),
    "doctor_not_confirmed": N_("This doctor has not confirmed their email address yet. Wait until they have done so."),
    "doctor_not_suspended": N_(
        "This is possible only while the doctor is suspended. Otherwise, only the doctor can cancel the visits."
    ),
    "last_manager": N_("A clinic needs a manager whose role has no last day. Give somebody else this role first."),
    "has_manager": N_("This clinic has a manager, who can invite others."),
    "already_in_clinic": N_("You work for a clinic already."),
    "not_a_doctor": N_("Only a doctor can accept this invitation. Sign in with the account of a doctor."),
    "invitation_required": N_(
        "Somebody becomes a doctor of the clinic only by accepting an invitation. Send an invitation."
    ),
    "not_yourself": N_("You cannot do this with your own account."),
    "has_appointments": N_("There are upcoming visits. Cancel them first."),
    "maybe_known": N_("You may know this patient already. Choose one of these records, or add a new one."),
    "has_account": N_("This patient has an account and edits these details themselves."),
    "file_number_taken": N_("Another patient has this file number."),
    "too_many": N_("You have reached the limit. Remove some first."),
    "request_in_flight": N_("Your request is being processed. Wait a moment, then check your appointments."),
    "version_mismatch": N_("This has changed since you opened it. This is the current state. Check it and try again."),
    "key_reused": N_("This form was already sent. Check whether it worked before you send another one."),
    "invalid_request": N_("Something is missing or not valid. Check the marked fields."),
    "invalid_confirmation_token": N_(
        "This code is wrong, has expired, or was replaced by a newer one. Request a new code."
    ),
    "invalid_invitation_token": N_(
        "This invitation is no longer valid: it was used, replaced or cancelled, or it is older than seven days. Ask "
        "for a new one."
    ),
    "invalid_reset_token": N_("This code is wrong, has expired, or has already been used. Request a new code."),
    "too_many_requests": N_("There were too many requests at once. Wait a few seconds, then try again."),
    "too_many_messages": N_(
        "Several messages have already been sent to this address. Check the inbox and the spam folder, or try again in "
        "an hour."
    ),
    "foreign_form": N_(
        "This form has expired, or cookies are blocked. Go back, reload the page, and send the form again."
    ),
    "busy": N_("We are very busy at the moment. Try again in a few seconds."),
    "no_such_path": N_("This page does not exist. The address may be wrong, or the page may have moved."),
    "method_not_allowed": N_("This page does not exist. The address may be wrong, or the page may have moved."),
    "body_too_slow": N_("Your message took too long to arrive. Try again."),
    "head_too_slow": N_("Your request took too long to arrive. Try again."),
    "head_too_large": N_("Your browser sent too much data. Delete the cookies of this site, then try again."),
    "body_too_large": N_("The text is too long. Shorten it and send it again."),
    "internal_error": N_("Something went wrong on our side. Check whether your change was saved, then try again."),
}
"""The message for each code of ``PROBLEMS``."""

UNMARKED = N_("This form cannot be sent as it is. Reload the page and try again.")
"""The message for ``invalid_request`` if no field of the page is marked."""

_FOR_DOCTORS: Mapping[str, str] = {
    "slot_taken": N_("This time has been taken in the meantime. Nothing was changed."),
    "patient_busy": N_("The patient has another appointment at this time. Nothing was changed."),
    "too_late": N_("The day of this visit is over, so this can no longer be undone."),
}
"""The messages that differ for doctors."""

_FOR_ADMINISTRATORS: Mapping[str, str] = {
    "email_taken": N_("There is already an account with this address. You can find it in the list of accounts."),
    "too_many": N_("The maximum number of open invitations has been reached. Cancel one first."),
}
"""The messages that differ for administrators."""

_FOR_ROLES = {Role.DOCTOR: _FOR_DOCTORS, Role.ADMIN: _FOR_ADMINISTRATORS}

FIELD_TEXTS: Mapping[str, str] = {
    "missing": N_("This field is required."),
    "string_too_short": N_("Must have at least %(bound)s characters."),
    "string_too_long": N_("At most %(bound)s characters."),
    "too_short": N_("Must have at least %(bound)s characters."),
    "too_long": N_("At most %(bound)s characters."),
    "greater_than_equal": N_("Must be at least %(bound)s."),
    "less_than_equal": N_("Must be at most %(bound)s."),
    "int_parsing": N_("Enter a whole number."),
    "whole_number": N_("Enter a whole number."),
    "composed_too_long": N_("At most %(bound)s characters."),
    "email_too_long": N_("At most %(bound)s characters."),
    "email_format": N_("Enter an email address, like ann@example.com."),
    "no_letter_or_digit": N_("Enter at least one letter or digit."),
    "unknown_time_zone": N_("Choose a time zone from the list."),
    "account_reference": N_("There is no account with this address or number."),
    "not_in_list": N_("Choose one from the list."),
    "unsafe_character": N_("This contains a character that is not allowed. Enter it again."),
    "one_end_only": N_("Enter both times, or leave both empty."),
    "overlaps_earlier_window": N_("Two periods overlap here. Change one of them."),
    "empty_window": N_("The start and the end must be different."),
    "in_the_past": N_("This day is in the past. Choose a later day."),
    "in_the_future": N_("This day is in the future. Choose an earlier day."),
    "not_a_child": N_("You can add children only. Adults create an account of their own."),
    "search_too_short": N_("Enter at least three letters or four digits."),
    "phone_format": N_("Enter the number with its country code, like +44 20 7183 8750."),
    "before_valid_from": N_("The last day must not be before the first day."),
    "with_valid_to": N_("Leave the last day empty to replace all hours planned for later."),
    "after_start": N_("The end must be after the start."),
    "span_too_long": N_("The period can be at most %(bound)s days long."),
    "until_before_start": N_("The last day must not be before the first day."),
    "recurs_before_end": N_("The next repetition would start before this one ends."),
    "string_pattern_mismatch": N_("The format is not valid. Check it and try again."),
    "date_format": N_("Choose a day."),
    "no_such_date": N_("This date does not exist. Choose another day."),
    "manager_required": N_("This field is required."),
    "time_zone_of_doctor": N_("This field is required."),
    "unknown_country": N_("Choose one from the list."),
    "wrong_password": N_("This is not your password."),
    "wrong_code": N_("This is not the code that your app shows now. Wait for the next one."),
    "password_common": N_("This password is too common. Choose another one."),
    "password_obvious": N_("This password consists only of words that are easy to guess here."),
    "password_personal": N_("The password must be different from your name and your email address."),
}
"""The messages for fields, by the type of pydantic's error, or a code of ``FIELD_ERRORS``. Others: see below."""
ANY_FIELD_TEXT = N_("This is not valid. Check it and try again.")


def explain(formatter: Formatter, code: str, role: Role | None = None) -> str:
    """Return the message for an error code, in the reader's language and for this role."""
    own = _FOR_ROLES.get(role) if role else None
    return formatter.gettext((own or MESSAGES).get(code, MESSAGES[code]))


def explain_field(formatter: Formatter, error: FieldError) -> str:
    """Return the message for a field, in the reader's language."""
    is_empty = error.code in {"string_too_short", "too_short"} and error.bound == "1"
    text = FIELD_TEXTS.get("missing" if is_empty else error.code, ANY_FIELD_TEXT)
    return formatter.gettext(text, bound=error.bound)
