"""Types of single fields, shared by all bodies and queries."""

import re
import unicodedata
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from app.core.errors import FIELD_ERRORS
from app.core.phone_numbers import read_phone
from app.core.text import (
    DIRECTION_MARKS,
    LINE_BREAKS,
    canonical_email,
    find_unsafe_character,
    normalize_newlines,
)
from app.scheduling.recurrence import read_recurrence

FIRST_YEAR, LAST_YEAR = 1900, 2999
EMAIL_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, less its angle brackets
PASSWORD_LENGTH = 128

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:0\d|1[0-8]):[0-5]\d)", re.ASCII)
# These two names mean the zone that the machine is set to.
TIME_ZONES = frozenset(available_timezones() - {"localtime", "Factory"})


class Body(BaseModel):
    """A request body. Unknown fields are errors, so that a misspelled field is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Query(BaseModel):
    """Query parameters. Unknown parameters are errors, so that a misspelled filter is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResponseBody(BaseModel):
    """A response body, read from the attributes of a record."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


AMARA, ANN = "019abcde-f012-7345-8678-9abcdef01234", "019abcde-f012-7456-8789-abcdef012345"
CHECK_UP, SESSION = "019abcde-f012-7789-89ab-def012345678", "019abcde-f012-789a-8abc-ef0123456789"
"""Ids in examples."""
EXAMPLE_TOKEN = "Zm9yIGV4YW1wbGUgb25seQ"  # noqa: S105 - an example, not a secret


def example(**members: Any) -> ConfigDict:
    """Return the configuration of a schema with this example in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [members]})


def field_error(code: str, **values: str | int) -> PydanticCustomError:
    """Return the error that a validator raises.

    ``code`` is a key of ``FIELD_ERRORS``; ``values`` fill in its message.
    """
    return PydanticCustomError(code, FIELD_ERRORS[code], values)


def _read_instant(value: Any) -> datetime:
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        hint = " (send the + of an offset as %2B)" if isinstance(value, str) and _lost_plus(value) else ""
        raise field_error("instant_format", hint=hint)
    try:
        # RFC 3339 section 5.6 allows a lower-case t and z, which Python does not read.
        moment = datetime.fromisoformat(value.upper())
    except ValueError:  # 30 February, 25 o'clock
        raise field_error("no_such_time") from None
    # Before the conversion, which would overflow in the years 1 and 9999.
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise field_error("year_out_of_range", first=FIRST_YEAR, last=LAST_YEAR)
    return moment.astimezone(UTC)


def _lost_plus(value: str) -> bool:
    # A + in a query that is not percent-encoded arrives as a space.
    return re.fullmatch(r"[^ ]*T[^ ]* \d\d:\d\d", value) is not None


Instant = Annotated[
    datetime,
    BeforeValidator(_read_instant),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339 with an offset, from 1900 to 2999.",
            "examples": ["2026-12-08T10:30:00Z"],
        },
        mode="validation",
    ),
]
"""An instant. Only RFC 3339 with an offset is accepted; the value is a datetime in UTC."""


def _refuse_unsafe(text: str) -> str:
    if unsafe := find_unsafe_character(text):
        raise field_error("unsafe_character", character=unsafe)
    return text


def _refuse_unsafe_line(text: str) -> str:
    if unsafe := find_unsafe_character(text, allowed=DIRECTION_MARKS):
        raise field_error("unsafe_character", character=unsafe)
    return text


def _refuse_unsafe_lines(text: str) -> str:
    if unsafe := find_unsafe_character(text, allowed=DIRECTION_MARKS | LINE_BREAKS):
        raise field_error("unsafe_character", character=unsafe)
    return text


def _normalize_newlines(value: Any) -> Any:
    return normalize_newlines(value) if isinstance(value, str) else value


def _refuse_unsafe_secret(secret: SecretStr) -> SecretStr:
    _refuse_unsafe(secret.get_secret_value())
    return secret


def _refuse_invisible(text: str) -> str:
    if not any(character.isalnum() for character in text):
        raise field_error("no_letter_or_digit")
    return text


def _compose(max_length: int) -> AfterValidator:
    # Stored in one form, so that canonically equivalent texts compare as equal.
    def compose(text: str) -> str:
        composed = unicodedata.normalize("NFC", text)
        if len(composed) > max_length:  # NFC makes a text longer if it contains composition exclusions
            raise field_error("composed_too_long", longest=max_length)
        return composed

    return AfterValidator(compose)


def _read_email(text: str) -> str:
    try:
        # Domains under .test cannot receive mail, but development and tests need addresses too.
        address = validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:  # its message would quote the address
        raise field_error("email_format") from None
    if len(canonical_email(address)) > EMAIL_LENGTH:
        raise field_error("email_too_long", longest=EMAIL_LENGTH)
    return address


def _read_email_if_it_is_one(text: str) -> str:
    # Not an error: an address that cannot be registered gets the same response as an unknown one.
    try:
        return _read_email(text)
    except PydanticCustomError:
        return text


def _read_phone(text: str) -> str:
    number = read_phone(text)
    if number is None:
        raise field_error("phone_format")
    return number


def _find_zone(name: str) -> str:
    if name not in TIME_ZONES:
        raise field_error("unknown_time_zone")
    return name


def _read_digits(value: Any) -> Any:
    # int() also accepts blanks, signs, underscores and digits of other scripts.
    if isinstance(value, str) and not (value.isascii() and value.isdecimal()):
        raise field_error("whole_number")
    return value


def _fold_case(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_refuse_unsafe_line),
    AfterValidator(_refuse_invisible),
    _compose(100),
]
"""A person's name, or a specialty."""

SortKey = Annotated[str, StringConstraints(max_length=200), AfterValidator(_refuse_unsafe_line)]
"""A key made by ``core.text.search_key``, as a cursor contains it."""

SearchText = Annotated[str, StringConstraints(max_length=100), AfterValidator(_refuse_unsafe_line)]
"""A text to search for."""

Note = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=500),
    # Before the length is checked: browsers send a line break as two characters, and it counts once.
    BeforeValidator(_normalize_newlines),
    AfterValidator(_refuse_unsafe_lines),
    _compose(500),
]
"""A short note of a few lines."""

Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=EMAIL_LENGTH),
    AfterValidator(_refuse_unsafe),
    AfterValidator(_read_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": EMAIL_LENGTH, "examples": ["ann@example.com"]}),
]
"""An email address, as it was typed. Its syntax is checked; whether mail can be delivered is not."""

Phone = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=40),
    AfterValidator(_refuse_unsafe),
    AfterValidator(_read_phone),
    WithJsonSchema({"type": "string", "maxLength": 40, "examples": ["+44 20 7183 8750"]}),
]
"""A telephone number with its country code. The value is in the format E.164."""

WrittenPhone = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40), AfterValidator(_refuse_unsafe)
]
"""A telephone number as it was written, perhaps without its country code."""

LoginName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=EMAIL_LENGTH),
    AfterValidator(_refuse_unsafe),
    AfterValidator(_read_email_if_it_is_one),
]
"""The address at log-in. Normalized as at registration, but a text that is not an address is accepted, not an error."""

Secret = Annotated[SecretStr, AfterValidator(_refuse_unsafe_secret)]
"""A password or a token. Checked for unsafe characters, because pydantic accepts lone surrogates in a SecretStr."""


def _drop_white_space(value: Any) -> Any:
    # Pasted text often contains blanks, line breaks and zero-width characters.
    if not isinstance(value, str):
        return value
    return "".join(
        character for character in value if not character.isspace() and unicodedata.category(character) != "Cf"
    )


OneTimeCode = Annotated[Secret, Field(min_length=6, max_length=40), BeforeValidator(_drop_white_space)]
"""A code of an authenticator app, or a recovery code. White space and invisible characters are removed."""

PastedToken = Annotated[Secret, Field(min_length=1, max_length=200), BeforeValidator(_drop_white_space)]
"""A token that a person copies from a message. White space and invisible characters are removed."""

NewPassword = Annotated[Secret, Field(min_length=8, max_length=PASSWORD_LENGTH, examples=["correct horse battery"])]

TimeZone = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(_find_zone),
    WithJsonSchema({"type": "string", "maxLength": 64, "examples": ["America/New_York"]}),
]
"""The name of an IANA time zone."""

SelfChosenRole = Annotated[Literal["doctor", "patient"], BeforeValidator(_fold_case)]
"""A role with which anyone can register, in any letter case."""

Limit = Annotated[
    int, Field(ge=1, le=100, description="The maximum number of items to return."), BeforeValidator(_read_digits)
]
Cursor = Annotated[
    str,
    StringConstraints(max_length=2000),
    Field(description="Where to continue, from the `Link` header of the previous page."),
]


class PageQuery(Query):
    """Which page to list."""

    limit: Limit = 50
    cursor: Cursor | None = None


def absent(**options: Any) -> Any:
    """Return the default for a field that may be left out but must not be null."""
    # A plain default would appear in the OpenAPI document as null, which the field does not accept.
    return Field(default_factory=lambda: None, **options)


class Changes(Body):
    """A change of some fields (RFC 7396). Fields that are left out stay as they are; null clears optional fields."""

    def changes(self) -> dict[str, Any]:
        """Return the fields that were sent."""
        return self.model_dump(exclude_unset=True)


# `date.fromisoformat` alone also reads other forms of ISO 8601, such as 20261208 and 2026-W50-2.
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _read_date(value: Any) -> date:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise field_error("date_format")
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise field_error("no_such_date") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise field_error("year_out_of_range", first=FIRST_YEAR, last=LAST_YEAR)
    return day


LocalDate = Annotated[
    date,
    BeforeValidator(_read_date),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-12-08"]}, mode="validation"),
]
"""A day of the doctor's calendar."""

Recurrence = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=200),
    AfterValidator(read_recurrence),
    WithJsonSchema({"type": "string", "maxLength": 200, "examples": ["FREQ=WEEKLY;INTERVAL=2;BYDAY=SA"]}),
]
"""An RFC 5545 recurrence rule."""

ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A wall time, like 09:30."""
_ClockEnd = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


def _refuse_empty(window: tuple[str, str]) -> tuple[str, str]:
    if window[0] == window[1]:
        raise field_error("empty_window", whole_day="00:00 to 24:00")
    return window


ClockWindow = Annotated[
    tuple[ClockTime, _ClockEnd],
    AfterValidator(_refuse_empty),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"},
            "minItems": 2,
            "maxItems": 2,
            "examples": [["09:00", "12:00"], ["13:00", "24:00"], ["22:00", "06:00"]],
        }
    ),
]
"""The start and the end as wall times. A window that ends before it starts continues into the next day."""

Language = Annotated[
    str,
    StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"),
    WithJsonSchema({"type": "string", "maxLength": 35, "examples": ["en", "pt-BR"]}),
]
"""A language tag of BCP 47."""

Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=2000),
    BeforeValidator(_normalize_newlines),
    AfterValidator(_refuse_unsafe_lines),
    _compose(2000),
]
"""A text of a few paragraphs."""

Notice = Annotated[int, Field(strict=True, ge=0, le=60 * 24 * 60)]
"""Minutes; at most 60 days."""
AdvanceDays = Annotated[int, Field(strict=True, ge=0, le=3650)]
DailyLimit = Annotated[int, Field(strict=True, ge=1, le=500)]
VisitMinutes = Annotated[int, Field(strict=True, ge=5, le=720)]
BufferMinutes = Annotated[int, Field(strict=True, ge=0, le=240)]
StepMinutes = Annotated[int, Field(strict=True, ge=5, le=1440)]
