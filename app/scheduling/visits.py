"""Visit types, booking limits and busy periods."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class VisitMode(StrEnum):
    """How the doctor and the patient meet."""

    IN_PERSON = "in_person"
    VIDEO = "video"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class BookingLimits:
    """Limits of a doctor or of one visit type. Where both have limits, both apply."""

    min_notice: int = 0
    """Shortest time between booking and start, in microseconds."""
    max_advance_days: int | None = None
    """How many days ahead of today can be booked, in the doctor's zone; 0 means today only."""
    per_day: int | None = None
    """How many visits may start on one day, in the doctor's zone."""


NO_BOOKING_LIMITS = BookingLimits()


@dataclass(frozen=True, slots=True)
class VisitType:
    """A visit type. All lengths are microseconds of elapsed time."""

    duration: int
    id: UUID | None = None
    """``None`` for the visits of a doctor who has no visit types."""
    buffer_before: int = 0
    buffer_after: int = 0
    """Time that the doctor needs around the visit. Other visits may not overlap it. It may lie outside the hours."""
    step: int | None = None
    """Visits start a whole number of steps after the start of the window; ``None`` if they may start at any time."""
    limits: BookingLimits = NO_BOOKING_LIMITS


@dataclass(frozen=True, slots=True)
class BusyPeriod:
    """A span in which a doctor cannot be booked, because of an appointment or a hold."""

    busy_start: int
    busy_end: int
    """The visit with its buffers."""
    start: int
    """The start of the visit itself. It decides on which day the visit counts."""
    visit_type_id: UUID | None = None
