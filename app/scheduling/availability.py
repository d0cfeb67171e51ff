"""A doctor's rules for being open, and the windows that follow from them."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from app.scheduling.intervals import Interval, clip, merge
from app.scheduling.zones import resolve


@dataclass(frozen=True, slots=True)
class Availability:
    """One stretch of being open, in wall time of the doctor's zone (see ``zones``)."""

    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Rules:
    """All that decides when a doctor may be booked, but for what is booked already."""

    zone: ZoneInfo
    availabilities: tuple[Availability, ...]


def window(availability: Availability, zone: ZoneInfo) -> Interval:
    """The stretch of time that an availability opens."""
    return resolve(availability.starts, zone), resolve(availability.ends, zone)


def open_windows(rules: Rules, span: Interval) -> list[Interval]:
    """When the doctor is open inside ``span``: merged and sorted, so a day's end at midnight runs into the next."""
    return merge(clip((window(each, rules.zone) for each in rules.availabilities), span))
