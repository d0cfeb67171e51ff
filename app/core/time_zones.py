"""Lookup of time zones by their stored names."""

import logging
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
