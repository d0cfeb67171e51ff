"""The appointments and holds of the model, and the actions that change an appointment."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tests.stateful.intervals import Interval

HOLD_LENGTH = timedelta(minutes=5)
OCCUPYING = {"booked", "arrived", "fulfilled"}
ACTIVE = {"booked", "arrived"}
ALWAYS = timedelta(days=-100_000)
ACTIONS = {
    "reschedule": (ACTIVE, "booked", ALWAYS),
    "cancel": (ACTIVE, "cancelled", ALWAYS),
    "arrive": ({"booked"}, "arrived", timedelta(hours=-12)),
    "complete": (ACTIVE, "fulfilled", timedelta(0)),
    "no-show": (ACTIVE, "noshow", timedelta(0)),
}
"""The states from which an action is allowed, its target state, and its earliest time relative to the start."""


class Refused(Exception):  # noqa: N818 - it is an expected result, not an error
    def __init__(self, *codes: str) -> None:
        """If there are several codes, the services may refuse with any of them."""
        super().__init__(*codes)
        self.codes = codes


@dataclass(frozen=True)
class Version:
    status: str
    start: datetime
    end: datetime
    visit_type_id: UUID | None
    changed_at: datetime
    changed_by: UUID


@dataclass
class Appointment:
    id: UUID
    doctor_id: UUID
    patient_id: UUID
    busy: Interval
    history: list[Version]
    """The current version is the last one."""

    @property
    def current(self) -> Version:
        return self.history[-1]

    @property
    def version(self) -> int:
        return len(self.history)

    @property
    def visit(self) -> Interval:
        return self.current.start, self.current.end

    @property
    def occupies_time(self) -> bool:
        return self.current.status in OCCUPYING


@dataclass(frozen=True)
class Hold:
    id: UUID
    doctor_id: UUID
    patient_id: UUID
    visit_type_id: UUID | None
    visit: Interval
    busy: Interval
    requested_at: datetime
    expires_at: datetime
