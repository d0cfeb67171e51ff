"""What may be booked and what may be cancelled: one engine for what is offered and what is accepted.

Pure functions over instants (microseconds since the epoch, UTC). ``now`` is always an argument. A refusal that is to
be expected is a value, never an exception.
"""

from collections.abc import Iterable
from enum import StrEnum

from app.scheduling.availability import Rules, open_windows
from app.scheduling.intervals import DAY, HOUR, MINUTE, Interval, merge, subtract
from app.scheduling.status import AppointmentStatus

SHORTEST_VISIT = 5 * MINUTE
LONGEST_VISIT = 12 * HOUR
LONGEST_AVAILABILITY = 7 * DAY


class Refusal(StrEnum):
    """Why something cannot be done; the values are the API's stable error codes."""

    IN_THE_PAST = "in_the_past"
    OUTSIDE_AVAILABILITY = "outside_availability"
    SLOT_TAKEN = "slot_taken"
    PATIENT_BUSY = "patient_busy"
    ALREADY_STARTED = "already_started"
    WRONG_STATUS = "wrong_status"


def bookable_windows(rules: Rules, span: Interval, now: int) -> list[Interval]:
    """When the rules allow a visit inside ``span``: open, and not yet past. The listing and the booking share this."""
    return open_windows(rules, (max(span[0], now), span[1]))


def free_windows(rules: Rules, busy: Iterable[Interval], span: Interval, now: int) -> list[Interval]:
    """What is offered: the bookable windows less the time that is taken, merged and sorted."""
    return subtract(bookable_windows(rules, span, now), merge(busy))


def check_booking(rules: Rules, visit: Interval, now: int) -> Refusal | None:
    """Whether the rules accept a visit. Whether the time is still free is for the database to say, at the insert.

    ``rules`` need only hold what lies around the visit.
    """
    if visit[0] < now:
        return Refusal.IN_THE_PAST
    if bookable_windows(rules, visit, now) != [visit]:
        return Refusal.OUTSIDE_AVAILABILITY
    return None


def check_cancel(status: AppointmentStatus, start: int, now: int, *, by_patient: bool) -> Refusal | None:
    """Whether a booked visit may be cancelled: by the doctor at any time, by the patient until it starts."""
    if status is not AppointmentStatus.BOOKED:
        return Refusal.WRONG_STATUS
    if by_patient and start <= now:
        return Refusal.ALREADY_STARTED
    return None
