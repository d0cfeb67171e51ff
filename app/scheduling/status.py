"""The states of an appointment, in the words of FHIR R5 ``AppointmentStatus``, and how it goes from one to another."""

from dataclasses import dataclass
from enum import StrEnum

from app.scheduling.intervals import HOUR


class AppointmentStatus(StrEnum):
    """Where an appointment stands."""

    PENDING = "pending"
    """A hold: time that is kept for a patient who is about to book."""
    BOOKED = "booked"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NOSHOW = "noshow"

    @property
    def occupies_time(self) -> bool:
        """Whether nobody else can have the time. The guard in the database is built from this."""
        return self not in {AppointmentStatus.CANCELLED, AppointmentStatus.NOSHOW}

    @property
    def is_active(self) -> bool:
        """Whether the visit has been agreed and its outcome is still open; a hold is not an appointment yet."""
        return self in {AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED}


ACTIVE = frozenset(status for status in AppointmentStatus if status.is_active)
"""What a query for appointments that are still to take place asks for."""


class Action(StrEnum):
    """What is done with an appointment."""

    RESCHEDULE = "reschedule"
    CANCEL = "cancel"
    ARRIVE = "arrive"
    COMPLETE = "complete"
    NO_SHOW = "no-show"


@dataclass(frozen=True, slots=True)
class Transition:
    """Which states an action takes an appointment from, and to which."""

    sources: frozenset[AppointmentStatus]
    target: AppointmentStatus
    earliest: int | None = None
    """Microseconds after the start of the visit, from which on it makes sense; at any time unless given."""


EARLIEST_ARRIVAL = 12 * HOUR

TRANSITIONS = {
    Action.RESCHEDULE: Transition(ACTIVE, AppointmentStatus.BOOKED),
    Action.CANCEL: Transition(ACTIVE, AppointmentStatus.CANCELLED),
    Action.ARRIVE: Transition(
        frozenset({AppointmentStatus.BOOKED}), AppointmentStatus.ARRIVED, earliest=-EARLIEST_ARRIVAL
    ),
    Action.COMPLETE: Transition(ACTIVE, AppointmentStatus.FULFILLED, earliest=0),
    Action.NO_SHOW: Transition(ACTIVE, AppointmentStatus.NOSHOW, earliest=0),
}
"""The state machine. What is not in it cannot be done."""
