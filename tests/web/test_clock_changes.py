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
def changed(doctor: Person, tmp_path: Path) -> Iterator[Person]:
    """Let Vancouver be six hours behind UTC from now on instead of seven."""
    write_zone(tmp_path / "zones", "America/Vancouver", "<-06>6")
    zoneinfo.reset_tzpath([tmp_path / "zones"])
    ZoneInfo.clear_cache()
    yield doctor
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()


async def starts(doctor: Person) -> list[str]:
    return [each["start_time"] for each in (await doctor.get("/doctors/me/appointments")).json()]


async def test_without_a_change_there_is_nothing(forms: Forms, client: httpx2.AsyncClient, doctor: Person) -> None:
    await forms.sign_in(doctor)
    assert "All visits are at the agreed local time" in (await client.get(PATH)).text
    assert PATH not in (await client.get("/practice/day")).text


@pytest.mark.usefixtures("changed")
async def test_the_day_leads_to_them(forms: Forms, client: httpx2.AsyncClient, doctor: Person) -> None:
    await forms.sign_in(doctor)
    assert "2 visits have a different local time" in (await client.get("/practice/day")).text
    shown = (await client.get(PATH)).text
    assert "Agreed: Tuesday 8 December, 09:00" in shown
    assert "Leave at 10:00" in shown


@pytest.mark.usefixtures("changed")
async def test_all_agreed_times_are_kept(forms: Forms, client: httpx2.AsyncClient, doctor: Person) -> None:
    await forms.sign_in(doctor)
    answer = await forms.send(PATH, keep="local_time")
    assert (answer.status_code, answer.headers["Location"]) == (303, PATH)
    assert "2 visits are settled." in (await client.get(PATH)).text
    assert await starts(doctor) == ["2026-12-08T15:00:00Z", "2026-12-08T17:00:00Z"]


@pytest.mark.usefixtures("changed")
async def test_one_is_kept_when_it_is(forms: Forms, client: httpx2.AsyncClient, doctor: Person) -> None:
    [first, _] = (await doctor.get("/doctors/me/clock-changes")).json()
    await forms.sign_in(doctor)
    for _ in range(2):
        await forms.send(f"{PATH}?visit={first['id']}", on=PATH, keep="instant")
    assert "1 visit has a different local time" in (await client.get("/practice/day")).text
    assert await starts(doctor) == ["2026-12-08T16:00:00Z", "2026-12-08T18:00:00Z"]


@pytest.mark.usefixtures("changed")
async def test_what_has_no_room_stays(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, register: Register
) -> None:
    await (await register("patient")).book(doctor, "2026-12-08T15:00:00Z")
    await forms.sign_in(doctor)
    await forms.send(PATH, keep="local_time")
    shown = (await client.get(PATH)).text
    assert "1 visit is settled. 1 visit was not changed: This time has just been taken." in shown
