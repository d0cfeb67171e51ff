"""Queries and responses of the search across all doctors."""

import re
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from app.scheduling.hours import MINUTES_OF_DAY, WEEKDAYS, WeeklyHours
from app.scheduling.visits import VisitMode
from app.schemas.fields import (
    AMARA,
    CHECK_UP,
    Instant,
    Language,
    PageQuery,
    ResponseBody,
    SearchText,
    TimeZone,
    example,
    field_error,
)
from app.schemas.schedule import to_minutes
from app.schemas.slots import Slot

_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS_PATTERN = rf"^{_CLOCK}-(?:{_CLOCK}|24:00)$"
_WHOLE_DAY = (0, MINUTES_OF_DAY)


def _read_days(text: str) -> str:
    days = text.lower().split(",")
    if not set(days) <= set(WEEKDAYS):
        raise field_error("days_of_week")
    return ",".join(days)


def _refuse_empty(text: str) -> str:
    start, end = text.split("-")
    if start == end:
        raise field_error("empty_window", whole_day="00:00-24:00")
    return text


_Days = Annotated[
    str,
    StringConstraints(max_length=70),
    AfterValidator(_read_days),
    WithJsonSchema({"type": "string", "maxLength": 70, "examples": ["tuesday,thursday"]}),
]
_Between = Annotated[
    str, StringConstraints(pattern=_HOURS_PATTERN), AfterValidator(_refuse_empty), Field(examples=["16:00-24:00"])
]


class SlotSearch(PageQuery):
    """What to search for. All filters are optional, and a slot must match all that are given."""

    specialty: SearchText | None = Field(None, description="The whole specialty, in any letter case.")
    language: Language | None = Field(None, description="A BCP 47 tag. `pt` also finds doctors who speak `pt-BR`.")
    mode: VisitMode | None = None
    visit: SearchText | None = Field(
        None, description="The whole name of the visit type, in any letter case, or its length in minutes."
    )
    from_: Instant | None = Field(None, alias="from", description="Default: now.")
    to: Instant | None = Field(None, description="At most 62 days after `from`, which is the default.")
    days: _Days | None = Field(None, description="Days of the week in `time_zone`, separated by commas.")
    between: _Between | None = Field(
        None,
        description="The hours of the day in which a visit may start, as wall times in `time_zone`. They may continue "
        "after midnight. When clocks change, a time that is skipped matches nothing, and a time that occurs twice "
        "matches twice.",
    )
    time_zone: TimeZone = Field("UTC", description="The IANA time zone of `days` and `between`.")

    @property
    def minutes(self) -> int | None:
        """The length to search for, if `visit` is a number."""
        # Only a few ASCII digits: `int` also accepts other digits, and fails if there are thousands.
        return int(self.visit) if self.visit and re.fullmatch(r"[0-9]{1,4}", self.visit) else None

    @property
    def hours(self) -> WeeklyHours | None:
        """The hours of the week to search for, in minutes after midnight; ``None`` without `days` and `between`."""
        if self.days is None and self.between is None:
            return None
        start, _, end = (self.between or "").partition("-")
        windows = [to_minutes((start, end)) if self.between else _WHOLE_DAY]
        days = self.days.split(",") if self.days else WEEKDAYS
        return {weekday: windows for weekday, name in enumerate(WEEKDAYS) if name in days}


class FoundDoctor(ResponseBody):
    """The doctor of a slot."""

    id: UUID
    name: str
    specialty: str | None
    time_zone: str


class FoundVisitType(ResponseBody):
    """The visit type of a slot."""

    id: UUID
    name: str
    mode: VisitMode
    duration_minutes: int


class FoundSlot(Slot):
    """A slot, with its doctor and visit type."""

    doctor: FoundDoctor
    visit_type: FoundVisitType | None = Field(description="Null if the doctor has no visit types.")

    model_config = example(
        start_time="2026-12-08T21:00:00Z",
        end_time="2026-12-08T21:20:00Z",
        local_start="2026-12-08T16:00:00-05:00",
        doctor={"id": AMARA, "name": "Dr Amara Okafor", "specialty": "Dermatology", "time_zone": "America/New_York"},
        visit_type={"id": CHECK_UP, "name": "Check-up", "mode": "in_person", "duration_minutes": 20},
    )
