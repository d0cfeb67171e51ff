"""Time zones are chosen by place names in the reader's language."""

import re
from collections import Counter
from datetime import date
from html import unescape

import httpx2
import pytest
from babel import Locale

from app.schemas.fields import TIME_ZONES
from app.web.kit.formatting import Formatter
from app.web.kit.languages import LANGUAGES
from app.web.kit.time_zone_names import list_time_zones
from tests.people import Person
from tests.web.conftest import Forms


def make_formatter(language: str) -> Formatter:
    return Formatter(Locale(language), date(2026, 12, 1))


@pytest.mark.parametrize(
    ("language", "named"),
    [
        ("en", {"Europe/Vienna": ("Europe", "Vienna"), "Africa/Cairo": ("Africa", "Cairo")}),
        ("de", {"Europe/Vienna": ("Europa", "Wien"), "Asia/Kolkata": ("Asien", "Kolkata")}),
        ("es", {"Europe/London": ("Europa", "Londres"), "America/Argentina/Tucuman": ("América", "Tucumán")}),
    ],
)
def test_places_are_named_in_the_language_of_the_reader(language: str, named: dict[str, tuple[str, str]]) -> None:
    names = {
        zone: (continent, place)
        for continent, places in list_time_zones(make_formatter(language), "")
        for zone, place in places
    }
    assert {zone: names[zone] for zone in named} == named


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_place_is_listed_once_under_its_current_name(language: str) -> None:
    (heading, first), *continents = list_time_zones(make_formatter(language), "")
    assert (heading, first) == ("", [])
    listed = [(continent, place) for continent, places in continents for _, place in places]
    assert not [place for place, count in Counter(listed).items() if count > 1]
    zones = {zone for _, places in continents for zone, _ in places}
    assert zones < TIME_ZONES
    assert {"Europe/Berlin", "Europe/Kyiv", "Asia/Kolkata", "America/New_York", "Pacific/Apia"} < zones
    assert not {"Europe/Kiev", "Asia/Calcutta", "US/Eastern", "Etc/GMT+3", "UTC"} & zones


@pytest.mark.parametrize(
    ("chosen", "first"), [("Europe/Berlin", []), ("US/Eastern", [("US/Eastern", "US/Eastern")]), ("Nowhere/Land", [])]
)
def test_zone_without_a_place_is_listed_if_it_is_chosen(chosen: str, first: list[tuple[str, str]]) -> None:
    assert list_time_zones(make_formatter("en"), chosen)[0] == ("", first)
    assert list_time_zones(make_formatter("en"), chosen, ("", "None"))[0] == ("", [("", "None"), *first])


async def test_doctor_changes_their_time_zone(forms: Forms, client: httpx2.AsyncClient, doctor: Person) -> None:
    client.headers["Accept-Language"] = "de"
    await forms.sign_in(doctor)

    async def chosen() -> list[str]:
        shown = unescape((await client.get("/practice/profile")).text)
        return re.findall(r'<option value="([^"]+)" selected>', shown)

    profile = {
        "name": doctor.name,
        "default_visit_minutes": "30",
        "min_notice_minutes": "0",
        "cancel_cutoff_minutes": "0",
    }
    assert await chosen() == ["America/New_York"]
    for zone in ("Europe/Vienna", "UTC"):
        changed = await forms.send("/practice/profile", **profile, time_zone=zone)
        assert changed.status_code == 303
        assert (await doctor.get("/doctors/me")).json()["time_zone"] == zone
        assert await chosen() == [zone]
    await doctor.update_profile(time_zone="US/Eastern")
    assert await chosen() == ["US/Eastern"]
    refused = await forms.send("/practice/profile", **profile, time_zone="Nowhere/Land")
    assert refused.status_code == 422
    assert "Wien" in refused.text


async def test_preferences_name_places_in_the_language_of_the_reader(client: httpx2.AsyncClient) -> None:
    shown = (await client.get("/preferences", headers={"Accept-Language": "es"})).text
    assert '<optgroup label="Europa">' in shown
    assert '<option value="Europe/London">Londres' in shown
