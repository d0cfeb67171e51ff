"""Requests and responses for a doctor's availabilities, weekly hours and time off."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.scheduling.hours import MINUTES_OF_DAY, WEEKDAYS, DayWindow, WeeklyHours
from app.schemas.appointments import Affected
from app.schemas.fields import (
    AMARA,
    Body,
    ClockWindow,
    Instant,
    LocalDate,
    Note,
    Query,
    Recurrence,
    ResponseBody,
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
    """An availability to publish. It must begin in the future and be at most 7 days long."""

    start_time: Instant
    end_time: Instant
    recurrence: Recurrence | None = Field(
        None,
        description="An RFC 5545 RRULE: `FREQ` `DAILY`, `WEEKLY` or `MONTHLY`, with `INTERVAL`, `BYDAY`, `BYMONTH`, "
        "`BYMONTHDAY`, `BYSETPOS`, `COUNT`, `UNTIL`, `WKST`. `start_time` and `end_time` are the first occurrence. The "
        "wall times in your time zone recur.",
    )

    model_config = example(
        start_time="2026-12-12T09:00:00-05:00",
        end_time="2026-12-12T13:00:00-05:00",
        recurrence="FREQ=WEEKLY;INTERVAL=2;BYDAY=SA",
    )


class Availability(Window):
    """An availability: its first occurrence, and the rule by which it recurs."""

    id: UUID
    doctor_id: UUID
    time_zone: str
    recurrence: str | None
    weekly_hours: bool = Field(description="Whether it belongs to the weekly hours (`PUT /doctors/me/hours`).")

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


class NewWeeklyHours(_Week):
    """Weekly hours, as wall times in your time zone. Days that are left out are closed."""

    valid_from: LocalDate | None = Field(None, description="The first day of these hours. Default: today.")
    valid_to: LocalDate | None = Field(
        None,
        description="The last day of these hours. Default: the day before your next planned hours, or no end.",
    )
    replace_later: bool = Field(
        False,
        strict=True,
        description="Whether to replace all hours planned for later, too. Cannot be combined with `valid_to`.",
    )

    model_config = example(**_WEEK, valid_from="2026-12-07")

    @property
    def hours(self) -> WeeklyHours:
        """The week, in minutes after midnight."""
        return {
            weekday: [to_minutes(window) for window in getattr(self, name)] for weekday, name in enumerate(WEEKDAYS)
        }


class HoursQuery(Query):
    """The day for which to show the weekly hours."""

    from_: LocalDate | None = Field(None, alias="from", description="A day on which the hours apply. Default: today.")


class PlannedHours(ResponseBody):
    """Weekly hours, as wall times in the doctor's time zone."""

    valid_from: date = Field(
        description="The first day of these hours, but not before the day of the request's `from`."
    )
    valid_to: date | None = Field(description="The last day of these hours; null means no end.")
    monday: list[ClockWindow]
    tuesday: list[ClockWindow]
    wednesday: list[ClockWindow]
    thursday: list[ClockWindow]
    friday: list[ClockWindow]
    saturday: list[ClockWindow]
    sunday: list[ClockWindow]

    model_config = example(**_HOLIDAYS)


class Hours(PlannedHours):
    """The weekly hours that apply on a day, and those planned for later."""

    doctor_id: UUID
    time_zone: str
    later: list[PlannedHours] = Field(
        description="The hours that follow, in order. Hours without windows mean that the doctor is closed."
    )

    model_config = example(**_USUAL)


class ChangedHours(Hours, Affected):
    """The weekly hours after a change, and the appointments that are now outside the hours."""

    model_config = example(**_USUAL, affected_count=0, affected=[])


def to_clock(hours: WeeklyHours) -> Mapping[str, list[tuple[str, str]]]:
    """Return the windows of each weekday as wall times, from minutes after midnight."""
    return {name: [_to_clock(window) for window in hours.get(weekday, ())] for weekday, name in enumerate(WEEKDAYS)}


class NewTimeOff(Body):
    """Time off to take, at most 366 days long."""

    start_time: Instant
    end_time: Instant
    reason: Note | None = Field(
        None, description="A note for yourself. Patients do not see it.", examples=["Conference"]
    )

    model_config = example(
        start_time="2027-03-15T00:00:00-04:00", end_time="2027-03-20T00:00:00-04:00", reason="Conference"
    )


class TimeOff(Window):
    """A time at which a doctor cannot be booked."""

    id: UUID
    doctor_id: UUID
    time_zone: str
    reason: str | None

    model_config = example(**_CONFERENCE)


class TakenTimeOff(TimeOff, Affected):
    """The new time off, and the appointments within it."""

    model_config = example(**_CONFERENCE, affected_count=0, affected=[])


def to_minutes(window: tuple[str, str]) -> DayWindow:
    """Return a window of wall times in minutes after midnight. A window over midnight ends after 24 hours."""
    start, end = (int(hour) * 60 + int(minute) for hour, minute in (time.split(":") for time in window))
    return start, end if end > start else end + MINUTES_OF_DAY


def _to_clock(window: DayWindow) -> tuple[str, str]:
    start, end = window
    # Not >=: a whole day is 00:00 to 24:00, and 00:00 to 00:00 would be empty.
    if end > MINUTES_OF_DAY:
        end -= MINUTES_OF_DAY
    return f"{start // 60:02}:{start % 60:02}", f"{end // 60:02}:{end % 60:02}"
