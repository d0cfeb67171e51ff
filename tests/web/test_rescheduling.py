"""The pages offer exactly the times for rescheduling that the API accepts."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.api.wall_clock import WEEKDAYS
from tests.conftest import Register
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.table import MAX_BYTES, weigh

TUESDAY = [["09:00", "11:00"]]
AT_TEN = "2026-12-08T10:00:00Z"


@pytest.fixture
async def doctor(register: Register) -> Person:
    """A doctor who is open on Tuesdays from nine to eleven, in UTC."""
    doctor = await register("doctor", name="Dr Amara Okafor", time_zone="UTC")
    await doctor.set_hours(tuesday=TUESDAY)
    return doctor


class MovePage:
    """The page on which the doctor or the patient moves a visit."""

    def __init__(self, forms: Forms, address: str, week: str) -> None:
        self._forms = forms
        self._address = address
        self._week = f"{address}?{week}=2026-12-08"

    async def list_offered(self) -> list[str]:
        shown = await self._forms.client.get(self._week)
        assert shown.status_code == 200
        return [start[11:16] for start in re.findall(r'name="start" value="(2026-12-08T[^"]+)"', shown.text)]

    async def move(self, clock: str, version: int) -> httpx2.Response:
        typed = {"version": str(version), "start": f"2026-12-08T{clock}:00Z", "form_key": f"{clock} {version}"}
        return await self._forms.send(self._address, on="/my/account", **typed)


type OpenPage = Callable[[dict[str, Any]], Awaitable[MovePage]]


@pytest.fixture(params=["doctor", "patient"])
def role(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
async def open_move_page(forms: Forms, doctor: Person, patient: Person, role: str) -> OpenPage:
    async def open_page(visit: dict[str, Any]) -> MovePage:
        await forms.sign_in(doctor if role == "doctor" else patient)
        if role == "doctor":
            return MovePage(forms, f"/practice/visits/{visit['id']}/move", "day")
        return MovePage(forms, f"/my/appointments/{visit['id']}/move", "week")

    return open_page


async def test_moved_visit_keeps_its_withdrawn_visit_type(
    doctor: Person, patient: Person, open_move_page: OpenPage
) -> None:
    visit_type = await doctor.add_visit_type(name="Check-up", duration_minutes=40)
    await doctor.add_visit_type(name="Results", duration_minutes=15)
    visit = await patient.book(doctor, "2026-12-08T09:40:00Z", visit_type_id=visit_type["id"])
    await doctor.delete(f"/doctors/me/visit-types/{visit_type['id']}")
    page = await open_move_page(visit)
    assert await page.list_offered() == ["09:00", "10:20"]
    assert (await page.move("10:20", 1)).status_code == 303
    moved = (await patient.get(f"/appointments/{visit['id']}")).json()
    assert (moved["start_time"], moved["end_time"]) == ("2026-12-08T10:20:00Z", "2026-12-08T11:00:00Z")
    assert moved["visit_type"]["name"] == "Check-up"


async def test_moved_visit_without_a_visit_type_keeps_its_length(
    doctor: Person, patient: Person, open_move_page: OpenPage
) -> None:
    visit = await patient.book(doctor, AT_TEN, "2026-12-08T10:45:00Z")
    await doctor.add_visit_type(name="Check-up", duration_minutes=20)
    page = await open_move_page(visit)
    offered = await page.list_offered()
    assert offered == ["09:00", "09:30"]
    version = 1
    for clock in (*offered, "10:00"):
        assert (await page.move(clock, version)).status_code == 303
        version += 1
    moved = (await patient.get(f"/appointments/{visit['id']}")).json()
    assert (moved["start_time"], moved["end_time"]) == (AT_TEN, "2026-12-08T10:45:00Z")


async def test_moved_visit_does_not_conflict_with_itself(
    doctor: Person, patient: Person, open_move_page: OpenPage
) -> None:
    await doctor.add_visit_type(name="Check-up", duration_minutes=30, slot_step_minutes=15)
    visit_type = (await doctor.get("/doctors/me/visit-types")).json()[0]["id"]
    visit = await patient.book(doctor, AT_TEN, visit_type_id=visit_type)
    await doctor.update_profile(daily_limit=1)
    page = await open_move_page(visit)
    assert await page.list_offered() == ["09:00", "09:15", "09:30", "09:45", "10:15", "10:30"]
    assert (await page.move("10:15", 1)).status_code == 303


async def test_moved_visit_conflicts_with_other_visits(
    doctor: Person, patient: Person, register: Register, open_move_page: OpenPage
) -> None:
    visit = await patient.book(doctor, AT_TEN)
    await (await register("patient")).book(doctor, "2026-12-08T09:30:00Z")
    page = await open_move_page(visit)
    assert await page.list_offered() == ["09:00", "10:30"]
    assert (await page.move("09:30", 1)).status_code == 409


async def test_doctor_sees_as_many_whole_days_as_fit(
    forms: Forms, client: httpx2.AsyncClient, register: Register, patient: Person
) -> None:
    doctor = await register("doctor", time_zone="UTC")
    await doctor.set_hours(**{day: [["00:00", "24:00"]] for day in WEEKDAYS})
    await forms.sign_in(doctor)
    for minutes, hour, days in ((5, 10, ["8"]), (15, 11, ["8"]), (30, 12, ["8", "9", "10"])):
        await doctor.update_profile(default_visit_minutes=minutes)
        visit = await patient.book(doctor, f"2026-12-08T{hour}:00:00Z")
        shown = await client.get(f"/practice/visits/{visit['id']}/move")
        assert re.findall(r'<h3 class="day-name">\w+ (\d+) December</h3>', shown.text) == days
        span = "8 Dec" if len(days) == 1 else "8 Dec \N{EN DASH} 10 Dec"
        assert f'<h2 class="figures">{span}</h2>' in shown.text
        assert f'href="?day=2026-12-{int(days[-1]) + 1:02}"' in shown.text
        assert await weigh(client, shown) <= MAX_BYTES
        before = await client.get(f"/practice/visits/{visit['id']}/move?day=2026-12-08")
        assert f'href="?day=2026-12-{8 - len(days):02}"' in before.text
