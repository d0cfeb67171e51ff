"""Time zones by the names that are stored."""

import logging
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.errors import DomainError

log = logging.getLogger(__name__)


def find_zone(name: str) -> ZoneInfo | None:
    """The zone of that name; ``None`` if the time-zone data do not have it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; not a name at all; a folder of zones
        return None


def has_zone(doctor_id: UUID, name: str) -> bool:
    """Whether the time-zone data have the zone of a doctor; that they do not is logged once.

    It may have been stored by a process with newer data, or been removed from the data since.
    """
    if find_zone(name):
        return True
    _warn(doctor_id)
    return False


def get_zone(doctor_id: UUID, name: str) -> ZoneInfo:
    """The zone of a doctor; ``unknown_time_zone`` if the time-zone data do not have it."""
    if not has_zone(doctor_id, name):
        raise DomainError("unknown_time_zone")
    return ZoneInfo(name)


@lru_cache(1024)
def _warn(doctor_id: UUID) -> None:
    log.warning("the time zone of doctor %s is not known here: no times are shown until it is changed", doctor_id)
