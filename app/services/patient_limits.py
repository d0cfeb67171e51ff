"""Limits on how much one patient can book and cancel online."""

from dataclasses import dataclass

from app.core.errors import DomainError
from app.repositories.doctor_schedules import PatientVisits

LIMIT_CODES = ("too_many_visits", "too_many_cancellations")


@dataclass(frozen=True, slots=True)
class PatientLimits:
    """The limits of a clinic; 0 means no limit.

    The visits are counted just before the booking, without a lock, so concurrent requests can exceed a limit by a few.
    """

    upcoming_per_doctor: int
    upcoming: int
    cancellations_per_day: int

    @property
    def apply(self) -> bool:
        """Whether there is any limit, so that visits must be counted."""
        return bool(self.upcoming_per_doctor or self.upcoming or self.cancellations_per_day)

    def check(self, visits: PatientVisits) -> None:
        """Raise ``too_many_visits`` or ``too_many_cancellations`` if the patient has reached a limit."""
        if _is_reached(self.upcoming_per_doctor, visits.with_doctor) or _is_reached(self.upcoming, visits.in_all):
            raise DomainError("too_many_visits")
        if _is_reached(self.cancellations_per_day, visits.cancelled):
            raise DomainError("too_many_cancellations")


def _is_reached(limit: int, count: int) -> bool:
    return 0 < limit <= count


NO_PATIENT_LIMITS = PatientLimits(0, 0, 0)
