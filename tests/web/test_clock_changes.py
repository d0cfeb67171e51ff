"""A doctor settles the visits whose local time has changed."""

import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx2
import pytest

from tests.conftest import Register
from tests.people import Person
from tests.web.conftest import Forms
from tests.zone_files import write_zone

PATH = "/practice/hours/clock-changes"


@pytest.fixture
async def doctor(register: Register, patient: Person) -> Person:
    doctor = await register("doctor", name="Dr Amara Okafor", time_zone="America/Vancouver")
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T23:00:00Z")
    for hour in (16, 18):
        await patient.book(doctor, f"2026-12-08T{hour}:00:00Z")
    return doctor


@pytest.fixture
def zone_change(doctor: Person, tmp_path: Path) -> Iterator[Person]:
    """Change the rules of Vancouver from seven to six hours behind UTC, after the visits were booked."""
    write_zone(tmp_path / "zones", "America/Vancouver", "<-06>6")
    zoneinfo.reset_tzpath([tmp_path / "zones"])
    ZoneInfo.clear_cache()
    yield doctor
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()


async def list_starts(doctor: Person) -> list[str]:
    return [each["start_time"] for each in (await doctor.get("/doctors/me/appointments")).json()]


async def test_unchanged_zone_needs_no_decisions(forms: Forms, client: httpx2.AsyncClient, doctor: Person) -> None:
    await forms.sign_in(doctor)
    assert "All visits are at the agreed local time" in (await client.get(PATH)).text
    assert PATH not in (await client.get("/practice/day")).text


@pytest.mark.usefixtures("zone_change")
async def test_day_links_to_visits_with_a_changed_local_time(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person
) -> None:
    await forms.sign_in(doctor)
    assert "2 visits have a different local time" in (await client.get("/practice/day")).text
    shown = (await client.get(PATH)).text
    assert "Agreed: Tuesday 8 December, 09:00" in shown
    assert "Keep at 10:00" in shown


@pytest.mark.usefixtures("zone_change")
async def test_agreed_local_times_of_all_visits_are_kept(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person
) -> None:
    await forms.sign_in(doctor)
    response = await forms.send(PATH, keep="local_time")
    assert (response.status_code, response.headers["Location"]) == (303, PATH)
    assert "2 visits are settled." in (await client.get(PATH)).text
    assert await list_starts(doctor) == ["2026-12-08T15:00:00Z", "2026-12-08T17:00:00Z"]


@pytest.mark.usefixtures("zone_change")
async def test_single_visit_keeps_its_instant(forms: Forms, client: httpx2.AsyncClient, doctor: Person) -> None:
    [first, _] = (await doctor.get("/doctors/me/clock-changes")).json()
    await forms.sign_in(doctor)
    for _ in range(2):
        await forms.send(f"{PATH}?visit={first['id']}", on=PATH, keep="instant")
    assert "1 visit has a different local time" in (await client.get("/practice/day")).text
    assert await list_starts(doctor) == ["2026-12-08T16:00:00Z", "2026-12-08T18:00:00Z"]


@pytest.mark.usefixtures("zone_change")
async def test_visit_without_room_at_its_agreed_time_is_not_moved(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, register: Register
) -> None:
    await (await register("patient")).book(doctor, "2026-12-08T15:00:00Z")
    await forms.sign_in(doctor)
    await forms.send(PATH, keep="local_time")
    shown = (await client.get(PATH)).text
    assert "1 visit is settled. 1 visit was not changed: This time has just been taken." in shown
