"""The messages for fields depend on error codes, not on the messages of the API."""

from typing import get_args

from pydantic_core.core_schema import ErrorType

from app.core.errors import FIELD_ERRORS
from app.web.kit.error_texts import FIELD_TEXTS

# Forms cannot cause these errors, or the general message is the best that can be said.
CODES_WITHOUT_TEXT = {
    "cursor",
    "days_of_week",
    "doctors_only",
    "instant_format",
    "listing_span",
    "manager_is_caller",
    "name_and_password",
    "no_such_time",
    "not_in_clinic",
    "recurrence",
    "recurs_in_repeated_hour",
    "repeated_role",
    "unreadable",
    "visit_length",
    "year_out_of_range",
}


def test_every_text_belongs_to_a_code() -> None:
    assert set(FIELD_TEXTS) <= {*FIELD_ERRORS, *get_args(ErrorType)}


def test_every_code_has_a_text_or_needs_none() -> None:
    assert set(FIELD_ERRORS) - set(FIELD_TEXTS) == CODES_WITHOUT_TEXT
