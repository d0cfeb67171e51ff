"""Where people are: the zones to choose from, by the names that their places have in a language."""

from collections import defaultdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from babel.core import get_global

from app.core.text import search_key
from app.schemas.fields import TIME_ZONES
from app.web.kit.formatting import Formatter
from app.web.kit.languages import N_

_CONTINENTS = {
    "Africa": N_("Africa"),
    "America": N_("America"),
    "Antarctica": N_("Antarctica"),
    "Asia": N_("Asia"),
    "Atlantic": N_("Atlantic Ocean"),
    "Australia": N_("Australia"),
    "Europe": N_("Europe"),
    "Indian": N_("Indian Ocean"),
    "Pacific": N_("Pacific Ocean"),
}
# A place that has had several names is there once, by its last.
_ZONES = sorted(
    name for name in TIME_ZONES.difference(get_global("zone_aliases")) if name.partition("/")[0] in _CONTINENTS
)

type Choice = tuple[str, str]
"""A value, and what stands there."""


def list_time_zones(formatter: Formatter, chosen: str, *others: Choice) -> list[tuple[str, list[Choice]]]:
    """By continent or ocean, the places whose clocks can be chosen; their values are the names of their zones.

    Before them, under no heading, what is no place: ``others``, and a zone that is ``chosen`` and has none.
    """
    first = [*others]
    if chosen in TIME_ZONES and chosen not in _ZONES and chosen not in dict(others):
        first.append((chosen, chosen))
    found: dict[str, list[Choice]] = defaultdict(list)
    for zone in _ZONES:
        found[_CONTINENTS[zone.partition("/")[0]]].append((zone, formatter.place(ZoneInfo(zone))))
    return [("", first)] + [
        (formatter.gettext(continent), sorted(places, key=lambda place: search_key(place[1])))
        for continent, places in found.items()
    ]


def guess_time_zone(country: str | None, now: datetime) -> str | None:
    """The zone of a country in which all clocks show the same time, now and half a year later; else ``None``."""
    zones = [name for name in get_global("territory_zones").get(country or "", ()) if name in TIME_ZONES]
    clocks = {tuple(moment.astimezone(ZoneInfo(name)).utcoffset() for moment in _half_years(now)) for name in zones}
    return zones[0] if len(clocks) == 1 else None


def _half_years(now: datetime) -> tuple[datetime, datetime]:
    return now, now + timedelta(days=182)
