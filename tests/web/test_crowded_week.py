"""A doctor who is open around the clock, with short visits: hundreds of slots in a week."""

import re

import httpx2
import pytest

from app.web.kit.slots import MAX_TIMES
from tests.conftest import Register
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.markup import find_defects
from tests.web.table import MAX_BYTES, weigh

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@pytest.fixture
async def always(register: Register) -> Person:
    """A doctor who is always open, in the time zone of the tests."""
    doctor = await register("doctor", name="Dr Nadia Always", time_zone="UTC")
    await doctor.add_visit_type(duration_minutes=15)
    await doctor.set_hours(**{day: [["00:00", "24:00"]] for day in DAYS})
    return doctor


def starts(answer: httpx2.Response) -> list[str]:
    return re.findall(r'name="start" value="([^"]+)"', answer.text)


@pytest.mark.parametrize(
    ("minutes", "headers"),
    [(5, {}), (15, {}), (15, {"Accept-Language": "de", "Cookie": "zone=Asia/Kolkata"})],
    ids=["five minutes", "a quarter", "two clocks"],
)
async def test_a_page_stays_light(
    client: httpx2.AsyncClient, always: Person, minutes: int, headers: dict[str, str]
) -> None:
    visit_type = await always.add_visit_type(name="Short", duration_minutes=minutes)
    shown = await client.get(f"/with/{always.id}?type={visit_type['id']}&week=2026-12-09", headers=headers)
    assert len(starts(shown)) == 24 * 60 / minutes
    assert await weigh(client, shown) <= MAX_BYTES
    assert not list(find_defects(shown))


async def test_a_week_is_gone_through_day_by_day(client: httpx2.AsyncClient, always: Person) -> None:
    shown = await client.get(f"/with/{always.id}?week=2026-12-09")
    assert "Wednesday 9 December" in shown.text
    days = re.findall(r'<li><a href="([^"]+)"( aria-current="true")?><span class="option-name">(\w+)', shown.text)
    assert [(name, bool(here)) for _, here, name in days] == [
        (name, name == "Wed") for name in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    ]
    offered = [start for address, _, _ in days for start in starts(await client.get(address.replace("&amp;", "&")))]
    listed = await client.get(
        f"/doctors/{always.id}/slots",
        params={
            "visit_type_id": re.findall(r'name="type" value="([^"]+)"', shown.text)[0],
            "from": "2026-12-07T00:00:00Z",
            "to": "2026-12-14T00:00:00Z",
        },
    )
    assert offered == [each["start_time"] for each in listed.json()]
    assert len(offered) == 7 * 96


async def test_a_day_without_times_gives_way_to_the_next(client: httpx2.AsyncClient, always: Person) -> None:
    await always.take_time_off("2026-12-09T00:00:00Z", "2026-12-10T00:00:00Z")
    await always.take_time_off("2026-12-13T00:00:00Z", "2026-12-14T00:00:00Z")
    for wanted, shown in (("08", "Tuesday 8"), ("09", "Thursday 10"), ("13", "Saturday 12")):
        assert (
            f'<h3 class="day-name">{shown} December</h3>'
            in (await client.get(f"/with/{always.id}?week=2026-12-{wanted}")).text
        )


async def test_a_visit_is_moved_within_such_a_week(
    forms: Forms, client: httpx2.AsyncClient, always: Person, patient: Person
) -> None:
    visit_types = (await client.get(f"/doctors/{always.id}/visit-types")).json()
    booked = await patient.book(always, "2026-12-09T10:00:00Z", visit_type_id=visit_types[0]["id"])
    await forms.sign_in(patient)
    shown = await client.get(f"/my/appointments/{booked['id']}/move")
    assert "Wednesday 9 December" in shown.text
    assert f'href="/my/appointments/{booked["id"]}/move?week=2026-12-11"' in shown.text
    assert await weigh(client, shown) <= MAX_BYTES


async def test_a_week_that_is_not_crowded_is_shown_whole(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await register("doctor", time_zone="UTC")
    await doctor.set_hours(**{day: [["09:00", "17:00"]] for day in DAYS[:5]})
    assert MAX_TIMES == 5 * 8 * 4
    for minutes, times, headings in ((15, 160, 7), (10, 48, 1)):
        await doctor.update_profile(default_visit_minutes=minutes)
        shown = await client.get(f"/with/{doctor.id}?week=2026-12-09")
        assert (len(starts(shown)), shown.text.count('<h3 class="day-name">')) == (times, headings)
        assert await weigh(client, shown) <= MAX_BYTES
