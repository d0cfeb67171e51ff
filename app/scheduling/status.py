"""The states of an appointment, in the words of FHIR R5 ``AppointmentStatus``."""

from enum import StrEnum


class AppointmentStatus(StrEnum):
    """Where an appointment stands."""

    BOOKED = "booked"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NOSHOW = "noshow"

    @property
    def occupies_time(self) -> bool:
        """Whether nobody else can have the time. The guard in the database is built from this."""
        return self not in {AppointmentStatus.CANCELLED, AppointmentStatus.NOSHOW}
