"""What a patient may come for, and how much of it there may be."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class VisitMode(StrEnum):
    """How doctor and patient meet."""

    IN_PERSON = "in_person"
    VIDEO = "video"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class BookingLimits:
    """How early, how late and how often; of a doctor as a whole, or of one of her visit types. Both apply."""

    min_notice: int = 0
    """Microseconds from now to the earliest start."""
    max_advance_days: int | None = None
    """The last day that can be booked is so many days after today, in the doctor's zone."""
    per_day: int | None = None
    """Visits that may start on one day of the doctor's zone."""


NO_BOOKING_LIMITS = BookingLimits()


@dataclass(frozen=True, slots=True)
class VisitType:
    """A visit type. All lengths are microseconds of elapsed time."""

    duration: int
    id: UUID | None = None
    """None for the visits of a doctor who has no visit types."""
    buffer_before: int = 0
    buffer_after: int = 0
    """What the doctor needs around the visit. It keeps other visits away, and may lie outside her hours."""
    step: int | None = None
    """Visits start at a whole number of steps after the doctor opens; without one, anywhere."""
    limits: BookingLimits = NO_BOOKING_LIMITS


@dataclass(frozen=True, slots=True)
class BusyPeriod:
    """Time of the doctor's that a visit takes, or a hold."""

    busy_start: int
    busy_end: int
    start: int
    """Of the visit itself: the day on which it counts."""
    visit_type_id: UUID | None = None
