"""What went wrong, as sentences for people: what happened, and what to do next."""

from collections.abc import Mapping

from app.core.errors import FieldError
from app.core.permissions import Role
from app.web.kit.formatting import Formatter
from app.web.kit.languages import N_

SENTENCES: Mapping[str, str] = {
    "not_authenticated": N_("Your session has ended. Sign in to go on."),
    "invalid_credentials": N_("The e-mail address or the password is wrong. Try again, or choose a new password."),
    "second_factor_required": N_("This account asks for a code as well. Type your password and the code."),
    "invalid_second_factor": N_("The code is wrong, or was used before. Wait for the next one."),
    "invalid_refresh_token": N_("Your session has ended. Sign in to go on."),
    "log_in_again": N_("To be sure that it is you, sign in again."),
    "set_up_second_factor": N_("Your account needs a second factor. Set it up first."),
    "email_not_confirmed": N_("Confirm your e-mail address first, with the code that we sent to it."),
    "too_many_attempts": N_("There were too many attempts to sign in. Wait a while, or choose a new password."),
    "wrong_role": N_("This page is not for your kind of account."),
    "not_found": N_("There is nothing here, or it is not yours. It may have been removed."),
    "second_factor_exists": N_("You have a second factor already. Remove it before you set up another."),
    "email_taken": N_("There is an account with this e-mail address already. Sign in, or choose a new password."),
    "name_taken": N_("You offer a kind of visit with this name already. Choose another name."),
    "availability_overlaps": N_("This overlaps other hours of yours. Change one of them."),
    "slot_taken": N_("This time has just been taken. Choose another one."),
    "outside_availability": N_("The doctor has no hours at this time. Choose another one."),
    "time_off": N_("The doctor is away at this time. Choose another one."),
    "in_the_past": N_("This time has passed. Choose a later one."),
    "too_soon": N_("The doctor needs more notice than this. Choose a later time."),
    "too_far_ahead": N_("The doctor cannot be booked so far ahead yet. Choose an earlier time."),
    "off_grid": N_("Visits do not start at this time. Choose one of the times shown."),
    "day_full": N_("The doctor takes no more visits on this day. Choose another day."),
    "unknown_time_zone": N_(
        "The time zone of this practice is not known here, so its times cannot be shown. The doctor can choose another "
        "one in the profile."
    ),
    "doctor_unavailable": N_(
        "This doctor takes no bookings at the moment. You can cancel the visit and find another doctor."
    ),
    "visit_type_required": N_("Choose what kind of visit you need."),
    "wrong_length": N_("The visit has another length by now. Choose a time again."),
    "patient_busy": N_("You have another appointment at this time. Choose another time, or move that one."),
    "too_many_visits": N_("You have as many upcoming visits as can be booked online. Cancel one first."),
    "too_many_cancellations": N_("You have cancelled too many visits to book online today. Try again tomorrow."),
    "already_started": N_("The visit has begun, so you can no longer change it online."),
    "too_late": N_("It is too late to change this online."),
    "too_early": N_("It is too early for this; the visit lies ahead."),
    "wrong_status": N_("This is not possible any more: the appointment has changed since. Here is how it is now."),
    "doctor_not_confirmed": N_("This doctor has not confirmed their e-mail address yet. Wait until they have."),
    "doctor_not_suspended": N_(
        "This is possible only while the doctor is suspended. Otherwise the doctor cancels the visits."
    ),
    "not_yourself": N_("You cannot do this to your own account."),
    "has_appointments": N_("Patients have upcoming visits with this doctor. Cancel these first."),
    "too_many": N_("There are as many of these as there may be. Remove some first."),
    "request_in_flight": N_("This is being worked on. Wait a moment, then look at your appointments."),
    "version_mismatch": N_("This has changed since you looked at it. Here is how it is now; decide again."),
    "key_reused": N_("This form was sent before. Look whether it has been done, before you send another one."),
    "invalid_request": N_("Something is missing or cannot be right. Look at what is marked."),
    "invalid_confirmation_token": N_("This code is wrong, too old, or was replaced by a newer one. Ask for a new one."),
    "invalid_invitation_token": N_(
        "This invitation does not work any more: it was used, replaced or cancelled, or it is older than seven days. "
        "Ask for a new one."
    ),
    "invalid_reset_token": N_("This code is wrong, was used, or is too old. Ask for a new one."),
    "too_many_requests": N_("That was a lot at once. Wait a few seconds, then try again."),
    "too_many_messages": N_(
        "Several messages were sent to this address already. Look in its mailbox and the spam folder, or try again in "
        "an hour."
    ),
    "foreign_form": N_(
        "This form is too old, or your browser keeps no cookies for us. Go back, load the page, and send it again."
    ),
    "busy": N_("We are very busy at the moment. Try again in a few seconds."),
    "no_such_path": N_("There is no such page. The address may be wrong, or the page has moved."),
    "method_not_allowed": N_("There is no such page. The address may be wrong, or the page has moved."),
    "body_too_slow": N_("Your message took too long to arrive. Try again."),
    "head_too_slow": N_("Your request took too long to arrive. Try again."),
    "head_too_large": N_("Your browser sent too much. Delete the cookies of this site, then try again."),
    "body_too_large": N_("This is too much text. Shorten it, and send it again."),
    "internal_error": N_("Something went wrong on our side. Check whether your change was saved, then try again."),
}
"""For each code of ``PROBLEMS``."""

UNMARKED = N_("This form cannot be sent as it is. Load the page again, then try once more.")
"""For ``invalid_request`` where no field is marked."""

_FOR_DOCTORS: Mapping[str, str] = {
    "slot_taken": N_("This time has been taken meanwhile. Nothing was changed."),
    "patient_busy": N_("The patient has another appointment at this time. Nothing was changed."),
    "too_late": N_("The day of this visit is over, so this can no longer be undone."),
}
"""What a doctor reads instead."""

_FOR_ADMINISTRATORS: Mapping[str, str] = {
    "email_taken": N_("This address has an account already. You find it in the list of accounts."),
    "too_many": N_("As many invitations are open as may be. Cancel one first."),
}
"""What an administrator reads instead."""

_FOR_ROLES = {Role.DOCTOR: _FOR_DOCTORS, Role.ADMIN: _FOR_ADMINISTRATORS}

FIELD_TEXTS: Mapping[str, str] = {
    "missing": N_("Fill this in."),
    "string_too_short": N_("This has fewer than %(bound)s characters."),
    "string_too_long": N_("At most %(bound)s characters."),
    "too_short": N_("This has fewer than %(bound)s characters."),
    "too_long": N_("At most %(bound)s characters."),
    "greater_than_equal": N_("At least %(bound)s."),
    "less_than_equal": N_("At most %(bound)s."),
    "int_parsing": N_("Type a whole number."),
    "whole_number": N_("Type a whole number."),
    "composed_too_long": N_("At most %(bound)s characters."),
    "email_too_long": N_("At most %(bound)s characters."),
    "email_format": N_("Type an e-mail address, like ann@example.com."),
    "no_letter_or_digit": N_("Type at least one letter or digit."),
    "unknown_time_zone": N_("Choose a time zone from the list."),
    "account_reference": N_("There is no account with this address or number."),
    "not_in_list": N_("Choose one from the list."),
    "unsafe_character": N_("There is a character in it that cannot be read. Type it again."),
    "one_end_only": N_("Give both times, or leave both empty."),
    "overlaps_earlier_window": N_("Two windows overlap here. Change one of them."),
    "empty_window": N_("It must not end when it starts."),
    "in_the_past": N_("This has passed. Choose a later day."),
    "before_valid_from": N_("This is before the first day."),
    "with_valid_to": N_("Leave the last day empty to replace all later plans."),
    "after_start": N_("The end must come after the start."),
    "span_too_long": N_("At most %(bound)s days at a time."),
    "until_before_start": N_("This is before the first day."),
    "recurs_before_end": N_("It would begin again before it has ended."),
    "string_pattern_mismatch": N_("This is not written as it should be. Type it again."),
    "date_format": N_("Choose a day."),
    "no_such_date": N_("Choose a day that exists."),
    "wrong_password": N_("This is not your password."),
    "wrong_code": N_("This is not the code that your app should show now. Wait for the next one."),
    "password_common": N_("This password is one of the most common ones."),
    "password_obvious": N_("This password is made of nothing but words that everybody would try here."),
    "password_personal": N_("The password must differ from your name and your e-mail address."),
}
"""By code: the types of pydantic's errors, and the codes of ``FIELD_ERRORS``. Any other gets ``ANY_FIELD_TEXT``."""
ANY_FIELD_TEXT = N_("This cannot be right. Type it again.")


def explain(formatter: Formatter, code: str, role: Role | None = None) -> str:
    """What went wrong, in words for this role."""
    own = _FOR_ROLES.get(role) if role else None
    return formatter.gettext((own or SENTENCES).get(code, SENTENCES[code]))


def explain_field(formatter: Formatter, error: FieldError) -> str:
    """What is wrong with a field."""
    is_empty = error.code in {"string_too_short", "too_short"} and error.bound == "1"
    text = FIELD_TEXTS.get("missing" if is_empty else error.code, ANY_FIELD_TEXT)
    return formatter.gettext(text, bound=error.bound)
