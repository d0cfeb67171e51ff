"""The errors of the domain: a stable code each, and the kind that every edge translates into its own protocol."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The family of an error; for HTTP it decides the status."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    OUTDATED = "outdated"
    INVALID = "invalid"
    BUSY = "busy"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request; never holds the value that was sent."""

    field: str
    message: str


ERRORS: dict[str, tuple[Kind, str]] = {
    "not_authenticated": (
        Kind.UNAUTHENTICATED,
        "Log in first: the access token is missing, expired or not valid.",
    ),
    "invalid_credentials": (Kind.UNAUTHENTICATED, "The e-mail address or the password is wrong."),
    "second_factor_required": (Kind.UNAUTHENTICATED, "This account has a second factor. Send its code as otp."),
    "invalid_second_factor": (Kind.UNAUTHENTICATED, "The code is wrong, or was used before. Wait for the next one."),
    "invalid_refresh_token": (Kind.UNAUTHENTICATED, "The session has ended, or this token was used before. Log in."),
    "log_in_again": (Kind.FORBIDDEN, "This asks for a log-in within the last ten minutes. Log in again first."),
    "set_up_second_factor": (Kind.FORBIDDEN, "Your role asks for a second factor. Set one up first."),
    "email_not_confirmed": (
        Kind.FORBIDDEN,
        "Confirm your e-mail address first, with the code that was sent to it.",
    ),
    "too_many_attempts": (Kind.THROTTLED, "There were too many attempts to log in. Wait, or reset the password."),
    "wrong_role": (Kind.FORBIDDEN, "Your role does not allow this."),
    "not_found": (Kind.NOT_FOUND, "There is no such thing, or it is not yours."),
    "second_factor_exists": (Kind.CONFLICT, "There is a second factor already. Remove it first."),
    "email_taken": (Kind.CONFLICT, "An account with this e-mail address exists already."),
    "name_taken": (Kind.CONFLICT, "You offer a visit type of this name already. Choose another name."),
    "availability_overlaps": (Kind.CONFLICT, "This overlaps another availability of yours."),
    "slot_taken": (Kind.CONFLICT, "This time has just been taken. Choose another one."),
    "outside_availability": (Kind.CONFLICT, "The doctor is not available for all of this time."),
    "time_off": (Kind.CONFLICT, "The doctor is away at this time."),
    "in_the_past": (Kind.CONFLICT, "This time has passed."),
    "too_soon": (Kind.CONFLICT, "The doctor needs more notice than this."),
    "too_far_ahead": (Kind.CONFLICT, "The doctor cannot be booked so far ahead yet."),
    "off_grid": (Kind.CONFLICT, "Visits of this type do not start at this time. Choose one of the doctor's slots."),
    "day_full": (Kind.CONFLICT, "The doctor takes no more visits on this day."),
    "unknown_time_zone": (
        Kind.CONFLICT,
        "The doctor's time zone is not known here. The doctor can choose another.",
    ),
    "doctor_unavailable": (
        Kind.CONFLICT,
        "This doctor takes no bookings at the moment. Look for another doctor; visits can still be cancelled.",
    ),
    "visit_type_required": (Kind.CONFLICT, "This doctor is booked by visit type. Choose one of hers."),
    "wrong_length": (Kind.CONFLICT, "The end does not fit the length of this visit type. Leave it out."),
    "patient_busy": (Kind.CONFLICT, "You have another appointment at this time."),
    "too_many_visits": (
        Kind.CONFLICT,
        "You have as many upcoming visits as can be booked online. Cancel one first.",
    ),
    "too_many_cancellations": (
        Kind.CONFLICT,
        "You have cancelled too many visits to book online today. Try again tomorrow.",
    ),
    "already_started": (Kind.CONFLICT, "The appointment has started. Only the doctor can still cancel or move it."),
    "too_late": (Kind.CONFLICT, "It is too late to change this. The doctor can still change a visit that is not over."),
    "too_early": (Kind.CONFLICT, "It is too early for this; the visit lies ahead."),
    "wrong_status": (Kind.CONFLICT, "The appointment is in a state that does not allow this."),
    "doctor_not_confirmed": (Kind.CONFLICT, "The doctor has not confirmed their e-mail address yet."),
    "doctor_not_suspended": (
        Kind.CONFLICT,
        "This is possible only while the doctor is suspended. Otherwise the doctor cancels the visits.",
    ),
    "not_yourself": (Kind.CONFLICT, "You cannot do this to your own account."),
    "has_appointments": (
        Kind.CONFLICT,
        "Patients have upcoming visits with this doctor. Cancel these first.",
    ),
    "too_many": (Kind.CONFLICT, "There are as many of these as there may be. Remove some first."),
    "request_in_flight": (Kind.CONFLICT, "The first request with this key is still being worked on. Try again."),
    "version_mismatch": (Kind.OUTDATED, "It has changed since you read it. Read it again and decide anew."),
    "key_reused": (Kind.INVALID, "This Idempotency-Key was sent before, with another request. Choose a new one."),
    "invalid_request": (Kind.INVALID, "The request is not valid; see the fields named in errors."),
    "invalid_confirmation_token": (
        Kind.INVALID,
        "The confirmation token is wrong, used, replaced or expired. Ask for a new one.",
    ),
    "invalid_invitation_token": (
        Kind.INVALID,
        "The invitation is wrong, used, replaced, cancelled or expired. Ask an administrator for a new one.",
    ),
    "invalid_reset_token": (Kind.INVALID, "The reset token is wrong, used or expired. Ask for a new one."),
    "too_many_requests": (Kind.THROTTLED, "Too many requests. Try again later; Retry-After says when."),
    "too_many_messages": (
        Kind.THROTTLED,
        "Several of these messages were sent to the address within the hour. Look in its mailbox, or try again later.",
    ),
    "foreign_form": (Kind.FORBIDDEN, "The form is not one that our pages have given to this browser."),
    "busy": (Kind.BUSY, "The service is busy. Try again in a moment."),
}
"""Every code there is, with its kind and its sentence. Codes are never renamed and never change their meaning."""


class DomainError(Exception):
    """A use case could not do what was asked; the transaction is rolled back.

    ``code`` is a key of ``ERRORS``. ``errors`` names the fields at fault, where there are any. ``retry_after`` is the
    number of seconds after which it may be tried again, where that is known. ``reason`` is for the log alone.
    """

    def __init__(
        self,
        code: str,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.errors = errors
        self.retry_after = retry_after
        self.reason = reason

    @property
    def kind(self) -> Kind:
        """The family of the error."""
        return ERRORS[self.code][0]

    @property
    def detail(self) -> str:
        """One sentence for a person."""
        return ERRORS[self.code][1]


def invalid_field(field: str, message: str) -> DomainError:
    """The error for one field whose value cannot be accepted."""
    return DomainError("invalid_request", errors=(FieldError(field, message),))
