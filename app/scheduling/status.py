"""The states of an appointment, named as in FHIR R5 ``AppointmentStatus``, and the transitions between them."""

from dataclasses import dataclass
from enum import StrEnum

from app.scheduling.intervals import HOUR


class AppointmentStatus(StrEnum):
    """The state of an appointment, as in FHIR R5."""

    PENDING = "pending"
    """A hold: time reserved for a patient who is about to book."""
    BOOKED = "booked"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NOSHOW = "noshow"

    @property
    def occupies_time(self) -> bool:
        """Whether others cannot have the time. The exclusion constraints of the database are built from this."""
        return self not in {AppointmentStatus.CANCELLED, AppointmentStatus.NOSHOW}

    @property
    def is_active(self) -> bool:
        """Whether the visit is agreed and has no outcome yet. A hold is not active: it is not agreed."""
        return self in {AppointmentStatus.BOOKED, AppointmentStatus.ARRIVED}


ACTIVE = frozenset(status for status in AppointmentStatus if status.is_active)
"""The states of appointments that have no outcome yet, for queries."""


class Action(StrEnum):
    """An action that changes an appointment."""

    RESCHEDULE = "reschedule"
    CANCEL = "cancel"
    ARRIVE = "arrive"
    COMPLETE = "complete"
    NO_SHOW = "no-show"


@dataclass(frozen=True, slots=True)
class Transition:
    """The states from which an action is allowed, and the state to which it leads."""

    sources: frozenset[AppointmentStatus]
    target: AppointmentStatus
    earliest: int | None = None
    """When the action becomes possible, in microseconds after the start of the visit; ``None`` if it always is."""


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
"""The state machine. All other changes of state are refused."""
