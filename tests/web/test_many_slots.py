"""A doctor who is open around the clock, with short visits: hundreds of slots in a week."""

import re

import httpx2
import pytest

from app.web.kit.slots import MAX_TIMES
from tests.api.wall_clock import WEEKDAYS
from tests.conftest import Register
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.markup import find_defects
from tests.web.table import MAX_BYTES, weigh


@pytest.fixture
async def doctor(register: Register) -> Person:
    """A doctor who is open around the clock, in UTC."""
    doctor = await register("doctor", name="Dr Nadia Always", time_zone="UTC")
    await doctor.add_visit_type(duration_minutes=15)
    await doctor.set_hours(**{day: [["00:00", "24:00"]] for day in WEEKDAYS})
    return doctor


def read_starts(response: httpx2.Response) -> list[str]:
    return re.findall(r'name="start" value="([^"]+)"', response.text)


async def test_page_with_hundreds_of_slots_stays_light(client: httpx2.AsyncClient, doctor: Person) -> None:
    two_zones = {"Accept-Language": "de", "Cookie": "zone=Asia/Kolkata"}
    for minutes in (5, 15):
        visit_type = await doctor.add_visit_type(name=f"{minutes} minutes", duration_minutes=minutes)
        for headers in ({}, two_zones):
            shown = await client.get(f"/with/{doctor.id}?type={visit_type['id']}&week=2026-12-09", headers=headers)
            assert len(read_starts(shown)) == 24 * 60 / minutes
            assert await weigh(client, shown) <= MAX_BYTES, (minutes, headers)
            assert not list(find_defects(shown)), (minutes, headers)


async def test_crowded_week_is_shown_day_by_day(client: httpx2.AsyncClient, doctor: Person) -> None:
    shown = await client.get(f"/with/{doctor.id}?week=2026-12-09")
    assert "Wednesday 9 December" in shown.text
    days = re.findall(r'<li><a href="([^"]+)"( aria-current="true")?><span class="option-name">(\w+)', shown.text)
    assert [(name, bool(here)) for _, here, name in days] == [
        (name, name == "Wed") for name in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    ]
    offered = [
        start for address, _, _ in days for start in read_starts(await client.get(address.replace("&amp;", "&")))
    ]
    listed = await client.get(
        f"/doctors/{doctor.id}/slots",
        params={
            "visit_type_id": re.findall(r'name="type" value="([^"]+)"', shown.text)[0],
            "from": "2026-12-07T00:00:00Z",
            "to": "2026-12-14T00:00:00Z",
        },
    )
    assert offered == [each["start_time"] for each in listed.json()]
    assert len(offered) == 7 * 96


async def test_day_without_slots_is_skipped(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.take_time_off("2026-12-09T00:00:00Z", "2026-12-10T00:00:00Z")
    await doctor.take_time_off("2026-12-13T00:00:00Z", "2026-12-14T00:00:00Z")
    for wanted, shown in (("08", "Tuesday 8"), ("09", "Thursday 10"), ("13", "Saturday 12")):
        assert (
            f'<h3 class="day-name">{shown} December</h3>'
            in (await client.get(f"/with/{doctor.id}?week=2026-12-{wanted}")).text
        )


async def test_visit_is_moved_within_a_crowded_week(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    visit_types = (await client.get(f"/doctors/{doctor.id}/visit-types")).json()
    booked = await patient.book(doctor, "2026-12-09T10:00:00Z", visit_type_id=visit_types[0]["id"])
    await forms.sign_in(patient)
    shown = await client.get(f"/my/appointments/{booked['id']}/move")
    assert "Wednesday 9 December" in shown.text
    assert f'href="/my/appointments/{booked["id"]}/move?week=2026-12-11"' in shown.text
    assert await weigh(client, shown) <= MAX_BYTES


async def test_week_with_few_slots_is_shown_at_once(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await register("doctor", time_zone="UTC")
    await doctor.set_hours(**{day: [["09:00", "17:00"]] for day in WEEKDAYS[:5]})
    assert MAX_TIMES == 5 * 8 * 4
    for minutes, times, headings in ((15, 160, 7), (10, 48, 1)):
        await doctor.update_profile(default_visit_minutes=minutes)
        shown = await client.get(f"/with/{doctor.id}?week=2026-12-09")
        assert (len(read_starts(shown)), shown.text.count('<h3 class="day-name">')) == (times, headings)
        assert await weigh(client, shown) <= MAX_BYTES
