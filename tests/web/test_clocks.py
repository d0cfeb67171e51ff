"""Whose clock the pages show, search by, and name."""

import re
from html import unescape

import httpx2
import pytest

from tests.conftest import Join
from tests.people import Person

BROWSERS = ["en-US,en;q=0.9", "de-DE,de;q=0.9", "es-ES,es;q=0.9"]
EARLIEST = re.compile(r'name="start" value="([^"]+)"')
OWN_CLOCK = {"en": "On each doctor's own clock.", "de": "Nach der Uhr der jeweiligen Praxis.", "es": "Según el reloj"}


async def open_everywhere(join: Join) -> dict[str, Person]:
    """Doctors in New York, Berlin and Sydney, each open from 09:00 to 12:00 and from 17:00 to 19:00 on their clock."""
    doctors = {}
    for name, zone in (("York", "America/New_York"), ("Berg", "Europe/Berlin"), ("Sid", "Australia/Sydney")):
        doctor = await join("doctor", name=f"Dr {name}", specialty="Cardiology", time_zone=zone)
        days = ("monday", "tuesday", "wednesday", "thursday", "friday")
        await doctor.plan(**{day: [["09:00", "12:00"], ["17:00", "19:00"]] for day in days})
        doctors[name] = doctor
    return doctors


def clocks_shown(page: httpx2.Response) -> set[str]:
    """The times on the buttons."""
    assert page.status_code == 200
    return set(re.findall(r'name="start" value="[^"]+"[^>]*>(\d\d:\d\d)', page.text))


@pytest.mark.parametrize("browser", BROWSERS)
async def test_a_part_of_the_day_is_meant_on_the_clock_that_is_shown(
    client: httpx2.AsyncClient, join: Join, browser: str
) -> None:
    await open_everywhere(join)
    client.headers["Accept-Language"] = browser
    for part, hours in (("morning", ("09:00", "12:00")), ("evening", ("17:00", "19:00"))):
        page = await client.get("/", params={"part": part, "specialty": "Cardiology"})
        assert all(f"Dr {name}" in page.text for name in ("York", "Berg", "Sid"))
        shown = clocks_shown(page)
        assert shown
        assert all(hours[0] <= each < hours[1] for each in shown)
        assert OWN_CLOCK[browser[:2]] in unescape(page.text)
    page = await client.get("/", params={"part": "afternoon"})
    assert not clocks_shown(page)


@pytest.mark.parametrize("browser", BROWSERS)
async def test_a_chosen_clock_is_the_one_that_filters(client: httpx2.AsyncClient, join: Join, browser: str) -> None:
    await open_everywhere(join)
    client.headers["Accept-Language"] = browser
    client.cookies.set("zone", "Australia/Sydney")
    page = await client.get("/", params={"part": "morning"})
    # It is after midnight there when it is morning in New York, or evening in Berlin.
    assert all(f"Dr {name}" in page.text for name in ("York", "Berg", "Sid"))
    assert all(each < "12:00" for each in clocks_shown(page))
    assert re.search(r'id="part-hint">[^<]+ S[yí]dney\.<', page.text)


async def test_the_first_day_is_meant_on_the_clock_that_is_shown(client: httpx2.AsyncClient, join: Join) -> None:
    await open_everywhere(join)
    starts = EARLIEST.findall((await client.get("/", params={"day": "2026-12-03"})).text)
    # Midnight of 3 December comes first in Sydney.
    assert min(starts) == "2026-12-02T22:00:00Z"
    later = EARLIEST.findall((await client.get("/", params={"day": "2026-12-03", "part": "evening"})).text)
    assert min(later) == "2026-12-03T06:00:00Z"


async def test_a_clinic_in_one_zone_is_not_told_of_clocks(client: httpx2.AsyncClient, join: Join) -> None:
    doctor = await join("doctor", name="Dr York", time_zone="America/New_York")
    await doctor.plan(tuesday=[["09:00", "12:00"]])
    for name in ("Toronto", "Detroit"):  # the same clock by another name
        await join("doctor", name=f"Dr {name}", time_zone=f"America/{name}")
    page = await client.get("/", params={"part": "morning"})
    assert clocks_shown(page) == {"09:00", "09:30", "10:00", "10:30", "11:00", "11:30"}
    assert "part-hint" not in page.text
