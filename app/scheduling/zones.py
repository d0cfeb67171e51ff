"""Wall clocks and instants.

A wall time is a naive datetime with its ``fold`` (PEP 495): what the clock in a doctor's room shows.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from app.scheduling.intervals import from_instant, to_instant


def resolve(wall: datetime, zone: ZoneInfo) -> int:
    """The instant at which the clock in ``zone`` shows ``wall`` (RFC 5545 section 3.3.5).

    A wall time that occurs twice is its first occurrence, or its second where ``fold`` is 1. One that never occurs,
    in the gap when clocks go forward, is read with the offset in force before the gap.
    """
    # The detour over UTC matters: arithmetic between datetimes of one zone would ignore its offsets.
    return to_instant(wall.replace(tzinfo=zone))


def wall_time(instant: int, zone: ZoneInfo) -> datetime:
    """What the clock in ``zone`` shows at ``instant``; ``fold`` tells the second occurrence from the first."""
    return from_instant(instant).astimezone(zone).replace(tzinfo=None)
