"""An empty list of doctors or slots says why it is empty and what to try instead."""

import re
from html import unescape

import httpx2
import pytest

from app.services import search
from tests.conftest import Register
from tests.web.conftest import on_both_databases
from tests.web.markup import read_text


def read_filter_links(page: httpx2.Response) -> dict[str, str]:
    """Return the texts and the targets of the links that change or remove a filter."""
    found = re.findall(
        r'<li><a href="(/[^"]*)">(?:<bdi>)?([^<]+)(?:</bdi>)?</a></li>', page.text.partition('class="empty"')[2]
    )
    return {text: unescape(address) for address, text in found}


async def test_clinic_without_doctors_says_so(client: httpx2.AsyncClient) -> None:
    for path in ("/", "/?part=morning&day=2026-12-08"):
        page = await client.get(path)
        assert "No doctors can be booked here yet." in read_text(page)
        assert not read_filter_links(page)


async def test_clinic_without_slots_says_so(client: httpx2.AsyncClient, register: Register) -> None:
    await register("doctor")
    page = await client.get("/")
    assert "No doctor has any free times in the next two months." in read_text(page)
    assert not read_filter_links(page)


@on_both_databases
async def test_search_without_results_offers_to_remove_each_filter(
    client: httpx2.AsyncClient, register: Register
) -> None:
    doctor = await register("doctor", name="Dr Amara Okafor", specialty="Dermatology")
    await doctor.set_hours(tuesday=[["09:00", "12:00"]])
    page = await client.get("/?specialty=Dermatology&part=evening&mode=in_person&language=")
    assert "No free times in the next two months match your filters." in read_text(page)
    found = read_filter_links(page)
    assert found == {
        "Any specialty": "/?mode=in_person&part=evening",
        "Any visit mode": "/?specialty=Dermatology&part=evening",
        "Any time of day": "/?specialty=Dermatology&mode=in_person",
    }
    assert "Dr Amara Okafor" in read_text(await client.get(found["Any time of day"]))


@on_both_databases
async def test_search_for_a_specialty_or_language_that_no_doctor_has_says_so(
    client: httpx2.AsyncClient, register: Register
) -> None:
    for specialty in ("Dermatology", "Cardiology", "Pediatric cardiology"):
        await register("doctor", specialty=specialty)
    page = await client.get("/?specialty=neurology&part=evening")
    assert "No doctor here has this specialty: neurology." in read_text(page)
    links = {"Any specialty": "/?part=evening", "Any time of day": "/?specialty=neurology"}
    names = ("Cardiology", "Dermatology", "Pediatric cardiology")
    others = {name: f"/?specialty={name.replace(' ', '+')}&part=evening" for name in names}
    assert read_filter_links(page) == links | others
    page = await client.get("/?specialty=Cardiolgy")
    assert read_filter_links(page) == {"Any specialty": "/", "Cardiology": "/?specialty=Cardiology"}
    # The wanted specialty exists in another spelling.
    assert "No doctor here" not in read_text(await client.get("/?specialty=CARDIOLOGY"))
    page = await client.get("/?language=eo")
    assert "No doctor here speaks this language: Esperanto." in read_text(page)
    assert read_filter_links(page) == {"Any language": "/"}


async def test_search_from_a_day_years_ahead_names_the_day(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await register("doctor", name="Dr Amara Okafor")
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    page = await client.get("/?day=2030-01-01")
    text = read_text(page)
    assert "No free times in the two months from Tuesday 1 January 2030 match your filters." in text
    assert text.count("2030") == 1
    assert read_filter_links(page) == {"From today": "/"}
    assert "Dr Amara Okafor" in read_text(await client.get("/?day=2020-01-01")), "a day that has passed is no obstacle"


async def test_page_after_the_last_slot_links_to_the_first(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await register("doctor")
    await doctor.update_profile(default_visit_minutes=5)
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:25:00Z")
    more = re.search(r'class="more"><a class="button quiet" href="([^"]+)"', (await client.get("/")).text)
    assert more
    await doctor.take_time_off("2026-12-08T08:00:00Z", "2026-12-08T13:00:00Z")
    assert read_filter_links(await client.get(unescape(more[1]))) == {"From the earliest time": "/"}


async def test_search_stopped_early_says_so(
    client: httpx2.AsyncClient, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor = await register("doctor")
    await doctor.set_hours(tuesday=[["09:00", "12:00"]])
    monkeypatch.setattr(search, "MAX_SCANS", 1)
    page = await client.get("/?part=evening")
    assert "The search took too long and was stopped." in read_text(page)


async def test_week_without_slots_names_the_next_one(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await register("doctor")
    week = f"/with/{doctor.id}?week="
    assert "This doctor has not published any hours yet." in read_text(await client.get(week + "2026-12-08"))
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T09:30:00Z")
    text = read_text(await client.get(week + "2026-12-01"))
    assert "No free times this week. The next one is Tuesday 8 December, 09:00." in text
    page = await client.get(week + "2030-01-01")
    assert "in the year after it. The earliest is Tuesday 8 December, 09:00." in read_text(page)
    assert f'href="{week}2026-12-08"' in page.text
    await (await register("patient")).book(doctor, "2026-12-08T09:00:00Z")
    assert "No free times within a year: all times are booked" in read_text(await client.get(week + "2026-12-08"))
