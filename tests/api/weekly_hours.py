"""Weekly hours of a doctor in New York, as the API returns them."""

from datetime import datetime, timedelta
from typing import Any

import httpx2

from tests.api.wall_clock import NEW_YORK, WEEKDAYS
from tests.people import Person, get_windows

WEEK = {
    "monday": [["09:00", "12:00"], ["13:00", "17:00"]],
    "tuesday": [["13:00", "24:00"]],
    "friday": [["22:00", "06:00"]],
}


def complete_week(**days: Any) -> dict[str, Any]:
    """Weekly hours in which every day that is not given is closed."""
    return {weekday: days.get(weekday, []) for weekday in WEEKDAYS}


async def get_hours(doctor: Person, first: str | None = None) -> dict[str, Any]:
    response = await doctor.get("/doctors/me/hours", params={"from": first} if first else {})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def get_local_windows(client: httpx2.AsyncClient, doctor: Person, day: str) -> list[str]:
    """The free windows of a day in New York, as ``HH:MM-HH:MM`` of its wall time."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK)
    midnights = (midnight + timedelta(days=number) for number in (0, 1))
    span = dict(zip(("from", "to"), (each.isoformat() for each in midnights), strict=True))
    return [
        "-".join(f"{datetime.fromisoformat(moment).astimezone(NEW_YORK):%H:%M}" for moment in window)
        for window in await get_windows(client, doctor, **span)
    ]
