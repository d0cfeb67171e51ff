"""A doctor's hours and time off, on the wire."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.scheduling.hours import MINUTES_OF_DAY, WEEKDAYS, DayWindow, WeeklyHours
from app.schemas.appointments import Affected
from app.schemas.fields import (
    AMARA,
    Answer,
    Body,
    ClockWindow,
    Instant,
    LocalDate,
    Note,
    Query,
    Recurrence,
    example,
)
from app.schemas.slots import Window

_CONFERENCE = {
    "id": "019abcde-f012-789a-89ab-ef0123456789",
    "doctor_id": AMARA,
    "time_zone": "America/New_York",
    "start_time": "2027-03-15T04:00:00Z",
    "end_time": "2027-03-20T04:00:00Z",
    "reason": "Conference",
}
_WEEK = {
    "monday": [["09:00", "12:00"], ["13:00", "17:00"]],
    "tuesday": [["09:00", "12:00"], ["13:00", "17:00"]],
    "wednesday": [],
    "thursday": [["13:00", "24:00"]],
    "friday": [["22:00", "06:00"]],
    "saturday": [],
    "sunday": [],
}
_HOLIDAYS = {"valid_from": "2027-07-01", "valid_to": None, **_WEEK, "tuesday": []}
_USUAL = {
    "doctor_id": AMARA,
    "time_zone": "America/New_York",
    "valid_from": "2026-12-07",
    "valid_to": "2027-06-30",
    **_WEEK,
    "later": [_HOLIDAYS],
}


class NewAvailability(Body):
    """When a doctor is open: at most 7 days at a time, beginning in the future."""

    start_time: Instant
    end_time: Instant
    recurrence: Recurrence | None = Field(
        None,
        description="An RFC 5545 RRULE: `FREQ` `DAILY`, `WEEKLY` or `MONTHLY`, with `INTERVAL`, `BYDAY`, `BYMONTH`, "
        "`BYMONTHDAY`, `BYSETPOS`, `COUNT`, `UNTIL`, `WKST`. The times given are the first occurrence; their wall "
        "times in your zone are what recurs.",
    )

    model_config = example(
        start_time="2026-12-12T09:00:00-05:00",
        end_time="2026-12-12T13:00:00-05:00",
        recurrence="FREQ=WEEKLY;INTERVAL=2;BYDAY=SA",
    )


class Availability(Window):
    """When a doctor is open: the first occurrence, and the rule by which it recurs."""

    id: UUID
    doctor_id: UUID
    time_zone: str
    recurrence: str | None
    weekly_hours: bool = Field(description="Whether it is part of the weekly plan (`PUT /doctors/me/hours`).")

    model_config = example(
        id="019abcde-f012-7567-889a-bcdef0123456",
        doctor_id=AMARA,
        start_time="2026-12-12T14:00:00Z",
        end_time="2026-12-12T18:00:00Z",
        time_zone="America/New_York",
        recurrence="FREQ=WEEKLY;INTERVAL=2;BYDAY=SA",
        weekly_hours=False,
    )


type _Day = Annotated[tuple[ClockWindow, ...], Field(max_length=12)]


class _Week(Body):
    monday: _Day = ()
    tuesday: _Day = ()
    wednesday: _Day = ()
    thursday: _Day = ()
    friday: _Day = ()
    saturday: _Day = ()
    sunday: _Day = ()


class NewHours(_Week):
    """A week, as wall times; a day that is left out is closed."""

    valid_from: LocalDate | None = Field(None, description="The first day it holds; today, unless given.")
    valid_to: LocalDate | None = Field(
        None, description="The last day it holds. Unless given, it holds until your next plan begins, or without end."
    )
    replace_later: bool = Field(
        False, strict=True, description="Whether it replaces all later plans, too. Not together with `valid_to`."
    )

    model_config = example(**_WEEK, valid_from="2026-12-07")

    @property
    def hours(self) -> WeeklyHours:
        """The week in minutes after midnight."""
        return {
            weekday: [to_minutes(window) for window in getattr(self, name)] for weekday, name in enumerate(WEEKDAYS)
        }


class HoursQuery(Query):
    """Which plan to show."""

    from_: LocalDate | None = Field(None, alias="from", description="A day on which it holds; today, unless given.")


class PlannedHours(Answer):
    """A weekly plan, as wall times of the doctor's zone."""

    valid_from: date = Field(description="The first day it holds; not before the day that was asked for.")
    valid_to: date | None = Field(description="The last day it holds; null is without end.")
    monday: list[ClockWindow]
    tuesday: list[ClockWindow]
    wednesday: list[ClockWindow]
    thursday: list[ClockWindow]
    friday: list[ClockWindow]
    saturday: list[ClockWindow]
    sunday: list[ClockWindow]

    model_config = example(**_HOLIDAYS)


class Hours(PlannedHours):
    """The weekly plan that holds on a day, and what is planned for later."""

    doctor_id: UUID
    time_zone: str
    later: list[PlannedHours] = Field(description="The plans that follow, in order. One without windows is closed.")

    model_config = example(**_USUAL)


class ChangedHours(Hours, Affected):
    """The weekly plan after a change, and the appointments outside of the hours as they are now."""

    model_config = example(**_USUAL, affected_count=0, affected=[])


def to_clock(hours: WeeklyHours) -> Mapping[str, list[tuple[str, str]]]:
    """A week in minutes after midnight, as it is written on the wire."""
    return {name: [_to_clock(window) for window in hours.get(weekday, ())] for weekday, name in enumerate(WEEKDAYS)}


class NewTimeOff(Body):
    """When a doctor is away: at most 366 days at a time."""

    start_time: Instant
    end_time: Instant
    reason: Note | None = Field(None, description="For yourself; patients do not see it.", examples=["Conference"])

    model_config = example(
        start_time="2027-03-15T00:00:00-04:00", end_time="2027-03-20T00:00:00-04:00", reason="Conference"
    )


class TimeOff(Window):
    """When a doctor is away."""

    id: UUID
    doctor_id: UUID
    time_zone: str
    reason: str | None

    model_config = example(**_CONFERENCE)


class TakenTimeOff(TimeOff, Affected):
    """New time off, and the appointments that are booked in it."""

    model_config = example(**_CONFERENCE, affected_count=0, affected=[])


def to_minutes(window: tuple[str, str]) -> DayWindow:
    """A window as it is written on the wire, in minutes after midnight."""
    start, end = (int(hour) * 60 + int(minute) for hour, minute in (time.split(":") for time in window))
    return start, end if end > start else end + MINUTES_OF_DAY


def _to_clock(window: DayWindow) -> tuple[str, str]:
    start, end = window
    if end > MINUTES_OF_DAY:
        end -= MINUTES_OF_DAY
    return f"{start // 60:02}:{start % 60:02}", f"{end // 60:02}:{end % 60:02}"
