"""The time zones to choose from, with the names of their places in the reader's language."""

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
# Aliases are left out, so that a place is listed once, by its current name.
_ZONES = sorted(
    name for name in TIME_ZONES.difference(get_global("zone_aliases")) if name.partition("/")[0] in _CONTINENTS
)

type Choice = tuple[str, str]
"""A value, and its text."""


def list_time_zones(formatter: Formatter, chosen: str, *others: Choice) -> list[tuple[str, list[Choice]]]:
    """Return the time zones by continent or ocean, sorted by place. The values are IANA names.

    The first group has no heading. It has ``others``, and the ``chosen`` zone if that is not in the list.
    """
    first = [*others]
    if chosen in TIME_ZONES and chosen not in _ZONES and chosen not in dict(others):
        # An alias that was chosen earlier must stay selected, or saving the form would change it.
        first.append((chosen, chosen))
    found: dict[str, list[Choice]] = defaultdict(list)
    for zone in _ZONES:
        found[_CONTINENTS[zone.partition("/")[0]]].append((zone, formatter.place(ZoneInfo(zone))))
    return [("", first)] + [
        (formatter.gettext(continent), sorted(places, key=lambda place: search_key(place[1])))
        for continent, places in found.items()
    ]


def guess_time_zone(country: str | None, now: datetime) -> str | None:
    """Return a zone of a country if all its zones have the same time, now and half a year later; else ``None``."""
    zones = [name for name in get_global("territory_zones").get(country or "", ()) if name in TIME_ZONES]
    # Zones can agree in winter and differ in summer.
    clocks = {tuple(moment.astimezone(ZoneInfo(name)).utcoffset() for moment in _half_years(now)) for name in zones}
    return zones[0] if len(clocks) == 1 else None


def _half_years(now: datetime) -> tuple[datetime, datetime]:
    return now, now + timedelta(days=182)
