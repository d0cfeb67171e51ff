"""Lookup of time zones by their stored names."""

import logging
from datetime import UTC, date, datetime
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.errors import DomainError

log = logging.getLogger(__name__)


def find_zone(name: str) -> ZoneInfo | None:
    """Return the zone of that name, or ``None`` if the time-zone data do not have it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a valid name; a folder of zones
        return None


def get_clinic_day(name: str, now: datetime) -> date:
    """Return the day in the time zone of a clinic.

    If the time-zone data do not have the zone, it is the day in UTC, so that a manager can still choose another zone.
    """
    return now.astimezone(find_zone(name) or UTC).date()


def has_zone(doctor_id: UUID, name: str) -> bool:
    """Return whether the time-zone data have the zone of a doctor. A missing zone is logged once per doctor.

    A process with newer data may have stored it, or it may have been removed from the data since.
    """
    if find_zone(name):
        return True
    _warn(doctor_id)
    return False


def get_zone(doctor_id: UUID, name: str) -> ZoneInfo:
    """Return the zone of a doctor. Raises ``unknown_time_zone`` if the time-zone data do not have it."""
    if not has_zone(doctor_id, name):
        raise DomainError("unknown_time_zone")
    return ZoneInfo(name)


@lru_cache(1024)
def _warn(doctor_id: UUID) -> None:
    log.warning("the time zone of doctor %s is unknown: no times are shown until the doctor changes it", doctor_id)
