"""Domain errors. Each has a stable code and a kind, which each interface translates into its own protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The family of an error. It decides the HTTP status (`app/http/problems.py`)."""

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
    """An error in one field of a request. Never contains the value that was sent."""

    field: str
    code: str
    """A key of ``FIELD_ERRORS``, or the type of a pydantic error."""
    message: str
    """For developers. Pages have their own text for each code."""
    bound: str = ""
    """The bound that was exceeded, or an empty string."""


ERRORS: dict[str, tuple[Kind, str]] = {
    "not_authenticated": (
        Kind.UNAUTHENTICATED,
        "Sign in first: the access token is missing, expired or invalid.",
    ),
    "invalid_credentials": (Kind.UNAUTHENTICATED, "The email address or the password is wrong."),
    "second_factor_required": (Kind.UNAUTHENTICATED, "This account has a second factor. Send its code as otp."),
    "invalid_second_factor": (
        Kind.UNAUTHENTICATED,
        "The code is wrong or has already been used. Wait for the next one.",
    ),
    "invalid_refresh_token": (
        Kind.UNAUTHENTICATED,
        "The session has ended, or this token has already been used. Sign in again.",
    ),
    "log_in_again": (Kind.FORBIDDEN, "Please sign in again to do this."),
    "set_up_second_factor": (Kind.FORBIDDEN, "Your role requires a second factor. Set one up first."),
    "email_not_confirmed": (
        Kind.FORBIDDEN,
        "Confirm your email address first, with the code that was sent to it.",
    ),
    "too_many_attempts": (Kind.THROTTLED, "There were too many attempts to sign in. Wait, or reset the password."),
    "wrong_role": (Kind.FORBIDDEN, "Your role does not allow this."),
    "not_found": (Kind.NOT_FOUND, "Not found."),
    "second_factor_exists": (Kind.CONFLICT, "You already have a second factor. Remove it first."),
    "email_taken": (Kind.CONFLICT, "An account with this email address already exists."),
    "name_taken": (Kind.CONFLICT, "You already offer a visit type with this name. Choose another name."),
    "availability_overlaps": (Kind.CONFLICT, "This overlaps another of your availabilities."),
    "slot_taken": (Kind.CONFLICT, "This time has just been taken. Choose another one."),
    "outside_availability": (Kind.CONFLICT, "The doctor is not available for all of this time."),
    "time_off": (Kind.CONFLICT, "The doctor has time off at this time."),
    "in_the_past": (Kind.CONFLICT, "This time has passed."),
    "too_soon": (Kind.CONFLICT, "The doctor needs more notice than this."),
    "too_far_ahead": (Kind.CONFLICT, "The doctor cannot be booked this far ahead yet."),
    "off_grid": (Kind.CONFLICT, "Visits of this type do not start at this time. Choose one of the doctor's slots."),
    "day_full": (Kind.CONFLICT, "The doctor takes no more visits on this day."),
    "unknown_time_zone": (
        Kind.CONFLICT,
        "This server does not know the doctor's time zone. The doctor can choose another one.",
    ),
    "doctor_unavailable": (
        Kind.CONFLICT,
        "This doctor takes no bookings at the moment. Choose another doctor. Visits can still be cancelled.",
    ),
    "visit_type_required": (Kind.CONFLICT, "Choose a visit type."),
    "wrong_length": (Kind.CONFLICT, "end_time does not match the visit type's duration. Omit it."),
    "patient_busy": (Kind.CONFLICT, "You have another appointment at this time."),
    "too_many_visits": (
        Kind.CONFLICT,
        "You have reached the limit of upcoming visits. Cancel one first.",
    ),
    "too_many_cancellations": (
        Kind.CONFLICT,
        "You have cancelled too many visits to book online today. Try again tomorrow.",
    ),
    "already_started": (Kind.CONFLICT, "The appointment has started. Only the doctor can cancel or move it now."),
    "too_late": (
        Kind.CONFLICT,
        "It is too late for this. After the deadline, only the doctor can cancel or move a visit.",
    ),
    "too_early": (Kind.CONFLICT, "It is too early for this. The visit has not started yet."),
    "wrong_status": (Kind.CONFLICT, "The status of the appointment does not allow this."),
    "doctor_not_confirmed": (Kind.CONFLICT, "The doctor has not confirmed their email address yet."),
    "doctor_not_suspended": (
        Kind.CONFLICT,
        "You can do this only while the doctor is suspended. Otherwise, only the doctor can cancel the visits.",
    ),
    "last_manager": (
        Kind.CONFLICT,
        "A clinic needs a manager whose role has no last day. Give somebody else this role first.",
    ),
    "has_manager": (Kind.CONFLICT, "The clinic has a manager, who can invite others."),
    "already_in_clinic": (Kind.CONFLICT, "You work for a clinic already."),
    "not_a_doctor": (Kind.CONFLICT, "Only a doctor's account can accept this invitation."),
    "invitation_required": (Kind.CONFLICT, "Somebody becomes a doctor of the clinic only by accepting an invitation."),
    "not_yourself": (Kind.CONFLICT, "You cannot do this to your own account."),
    "has_appointments": (
        Kind.CONFLICT,
        "There are upcoming visits. Cancel them first.",
    ),
    "maybe_known": (
        Kind.CONFLICT,
        "The clinic may know this patient already; see candidates. If none of them is the patient, send new: true.",
    ),
    "has_account": (Kind.CONFLICT, "The patient has an account and edits these details themselves."),
    "file_number_taken": (Kind.CONFLICT, "Another patient of the clinic has this file number."),
    "too_many": (Kind.CONFLICT, "You have reached the limit. Remove some first."),
    "request_in_flight": (
        Kind.CONFLICT,
        "The first request with this Idempotency-Key is still in progress. Try again later.",
    ),
    "version_mismatch": (Kind.OUTDATED, "This has changed since you read it. Reload it and try again."),
    "key_reused": (Kind.INVALID, "This Idempotency-Key was used for a different request. Choose a new key."),
    "invalid_request": (Kind.INVALID, "The request is not valid; see the fields named in errors."),
    "invalid_confirmation_token": (
        Kind.INVALID,
        "The confirmation token is wrong, used, replaced or expired. Request a new one.",
    ),
    "invalid_invitation_token": (
        Kind.INVALID,
        "The invitation is wrong, used, replaced, cancelled or expired. Ask for a new one.",
    ),
    "invalid_reset_token": (Kind.INVALID, "The reset token is wrong, used or expired. Request a new one."),
    "too_many_requests": (Kind.THROTTLED, "Too many requests. Try again after the number of seconds in Retry-After."),
    "too_many_messages": (
        Kind.THROTTLED,
        "Several messages were sent to this address within the last hour. Check the mailbox, or try again later.",
    ),
    "foreign_form": (
        Kind.FORBIDDEN,
        "This form was not sent from a page of this site, or it has expired. Reload the page and try again.",
    ),
    "busy": (Kind.BUSY, "The service is busy. Try again in a moment."),
}
"""Every error code of the domain, with its kind and its text. A code is never renamed and never changes its meaning."""


class DomainError(Exception):
    """Raised when a use case refuses or fails. The transaction is rolled back.

    ``code`` is a key of ``ERRORS``. ``errors`` lists the invalid fields, if any. ``candidates`` are the patients that
    ``maybe_known`` is about, as JSON objects with their ``id``. ``retry_after`` is the number of seconds to wait before
    trying again, if known. ``reason`` is written to the log only.
    """

    def __init__(
        self,
        code: str,
        *,
        errors: tuple[FieldError, ...] = (),
        candidates: tuple[Mapping[str, Any], ...] = (),
        retry_after: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.errors = errors
        self.candidates = candidates
        self.retry_after = retry_after
        self.reason = reason

    @property
    def kind(self) -> Kind:
        """The family of the error."""
        return ERRORS[self.code][0]

    @property
    def detail(self) -> str:
        """The text for a person."""
        return ERRORS[self.code][1]


FIELD_ERRORS = {
    "account_reference": "must be the address or the id of an account",
    "after_start": "must be after start_time",
    "before_valid_from": "must not be before valid_from",
    "composed_too_long": "must have at most {longest} characters in the composed form of Unicode (NFC)",
    "cursor": "must be the cursor of a Link header",
    "date_format": "must be a date, like 2026-12-08",
    "days_of_week": "must be days of the week, like tuesday,thursday",
    "doctors_only": "specialty and time_zone are for doctors only",
    "email_format": "must be an email address, like ann@example.com",
    "email_too_long": "must have at most {longest} characters",
    "empty_window": "must not end when it starts; a whole day is {whole_day}",
    "in_the_future": "must not be in the future",
    "in_the_past": "must not be in the past",
    "instant_format": "must be a time with an offset, like 2026-12-08T10:30:00Z (RFC 3339){hint}",
    "listing_span": "must be after from, and at most 62 days after it",
    "name_and_password": "name and password must be given together, for a new account",
    "no_letter_or_digit": "must contain a letter or a digit",
    "no_such_date": "is not a date that exists",
    "no_such_time": "is not a time that exists",
    "not_a_child": "must be that of a child; adults get an account of their own",
    "manager_is_caller": "must be left out, because you will be the manager",
    "manager_required": "must be the address of the first manager",
    "not_in_clinic": "must be doctors of the clinic",
    "not_in_list": "must be in the list",
    "one_end_only": "must have both times or neither",
    "overlaps_earlier_window": "must not overlap the window before",
    "password_common": "This password is one of the most common ones.",
    "password_obvious": "This password consists only of words that are easy to guess here.",
    "password_personal": "The password must differ from your name and your email address.",
    "phone_format": "must be a telephone number with its country code, like +44 20 7183 8750",
    "recurrence": "{reason}",
    "recurs_before_end": "must not recur before its end_time",
    "recurs_in_repeated_hour": "must not lie in an hour that occurs twice, if it recurs",
    "repeated_role": "must not contain a role twice",
    "span_too_long": "must be at most {longest} days after start_time",
    "search_too_short": "must contain three letters or four digits of what you look for",
    "unsafe_character": "must not contain {character}",
    "time_zone_of_doctor": "is required for doctors",
    "until_before_start": "must not have an UNTIL before start_time",
    "unknown_country": "must be the ISO 3166-1 code of a country, like DE",
    "unknown_time_zone": "must be the name of an IANA time zone, like America/New_York",
    "unreadable": "cannot be read",
    "visit_length": "must be 5 minutes to 12 hours after start_time",
    "whole_number": "must be a whole number, written in digits",
    "with_valid_to": "must not be given with valid_to",
    "wrong_code": "is not the code that the authenticator should show now",
    "wrong_password": "is not your password",
    "year_out_of_range": "must lie in the years {first} to {last}",
}
"""The codes and messages of errors in fields that pydantic itself does not report."""


def invalid_field(field: str, code: str, **values: str | int) -> DomainError:
    """Return the ``invalid_request`` error for one field.

    ``code`` is a key of ``FIELD_ERRORS``; ``values`` fill in its message.
    """
    message = FIELD_ERRORS[code].format(**values)
    bound = str(values.get("longest", ""))
    return DomainError("invalid_request", errors=(FieldError(field, code, message, bound),))
