"""A week with a full day: the rows keep their height, and a link leads to the visits that do not fit."""

import re
from datetime import UTC, datetime

import httpx2
import pytest

from tests.conftest import Register, SetClock
from tests.people import Person
from tests.web.axe import find_violations
from tests.web.conftest import DESK, PHONE, Forms, OpenTab
from tests.web.doctor import FROM_RIGHT, MAX_NAME, open_practice

WEEK = "/practice/week?day=2026-12-02"
HALF_HOUR_PIXELS = 48
# Links to visits that are too low, or that overlap the next one.
CUT_OFF = """() => [...document.querySelectorAll("a.patient")].filter(each => {
  if (!each.checkVisibility()) return false;
  const own = each.getBoundingClientRect(), next = each.nextElementSibling?.getBoundingClientRect();
  return own.height < 23.9 || (next && next.height && next.top < own.bottom - 1);
}).map(each => each.outerHTML)"""


@pytest.fixture
def backend() -> str:
    """Use one database, because the tests do not depend on it."""
    return "sqlite"


async def fill_week(doctor: Person, register: Register, *, number: int, minutes: int) -> None:
    """Book this many visits on Wednesday, from 8 o'clock in Berlin."""
    await doctor.set_hours(**{day: [["08:00", "18:00"]] for day in ("tuesday", "wednesday", "thursday")})
    visit_type = await doctor.add_visit_type(name="Check-up of the skin", duration_minutes=minutes)
    patients = [await register("patient", name=name) for name in ("Ann Lee", MAX_NAME, FROM_RIGHT)]
    for index in range(number):
        minute = 7 * 60 + index * minutes
        start = f"2026-12-02T{minute // 60:02}:{minute % 60:02}:00Z"
        await patients[index % len(patients)].book(doctor, start, visit_type_id=visit_type["id"])
    await patients[0].book(doctor, "2026-12-03T09:00:00Z", visit_type_id=visit_type["id"])


async def read_full_day(client: httpx2.AsyncClient) -> str:
    """Return the column of Wednesday in the week."""
    return (await client.get(WEEK)).text.partition('id="d2026-12-02"')[2].partition("</section>")[0]


async def test_full_day_does_not_stretch_the_week(register: Register, open_tab: OpenTab) -> None:
    failures = []
    for minutes in (5, 10, 15):
        doctor = await open_practice(register)
        await fill_week(doctor, register, number=40, minutes=minutes)
        tab = await open_tab(java_script_enabled=True, reduced_motion="reduce")
        await tab.sign_in(doctor.email)
        await tab.go(WEEK)
        for size, max_height in ((DESK, 22 * HALF_HOUR_PIXELS + 300), (PHONE, 1800)):
            await tab.page.set_viewport_size(size)
            height = await tab.page.evaluate("document.documentElement.scrollHeight")
            found = [f"{height} px high"] if height > max_height else []
            found += [f"cut off: {link}" for link in await tab.page.evaluate(CUT_OFF)]
            found += await find_violations(tab.page)
            failures += [f"{minutes} minutes at {size['width']} px: {fault}" for fault in found]
    assert not failures


async def test_short_visits_share_a_link_to_the_day(
    register: Register, forms: Forms, client: httpx2.AsyncClient
) -> None:
    doctor = await open_practice(register)
    await fill_week(doctor, register, number=13, minutes=10)
    await forms.sign_in(doctor)
    column = await read_full_day(client)
    assert re.findall(r"<time>([\d:]+)</time> (\d+) visit", column) == [
        ("08:00", "3"), ("08:30", "3"), ("09:00", "3"), ("09:30", "3"),
    ]  # fmt: skip
    days = re.findall(r'href="(/practice/day\?day=2026-12-02#row-([0-9a-f-]+))"', column)
    day = (await client.get("/practice/day?day=2026-12-02")).text
    assert all(f'id="row-{row}"' in day for _, row in days)


async def test_combined_visits_show_the_status_that_they_share(
    register: Register, forms: Forms, client: httpx2.AsyncClient, clock: SetClock
) -> None:
    doctor = await open_practice(register)
    await fill_week(doctor, register, number=13, minutes=10)
    clock.time = datetime(2026, 12, 2, 8, 0, tzinfo=UTC)
    doctor = await doctor.log_in_again()
    visits = [
        each for each in (await doctor.get("/appointments?limit=50")).json() if each["start_time"] < "2026-12-02T08:30"
    ]
    for number, visit in enumerate(sorted(visits, key=lambda each: each["start_time"])):
        # The first four visits are completed, two stay booked, and the others have arrived.
        action = "complete" if number < 4 else "arrive" if number >= 6 else None
        if action:
            done = await doctor.post(f"/appointments/{visit['id']}/{action}", json=None)
            assert done.status_code == 200, done.text
    await doctor.take_time_off("2026-12-02T08:50:00Z", "2026-12-02T09:00:00Z")
    await forms.sign_in(doctor)
    column = await read_full_day(client)
    combined = re.findall(r'<a class="patient ([a-z ]*)u\d+[^>]*><time>[\d:]+</time> 3 visits(.*?)</a>', column)
    assert combined == [
        ("fulfilled ", " <em>Completed</em>"),
        (" ", ""),
        ("arrived ", " <em>Arrived</em>"),
        ("booked outside ", " <em>1 outside your hours</em>"),
    ]


async def test_phone_lists_the_next_visits_and_links_to_all(register: Register, open_tab: OpenTab) -> None:
    doctor = await open_practice(register)
    await fill_week(doctor, register, number=12, minutes=20)
    tab = await open_tab()
    await tab.sign_in(doctor.email)
    await tab.go(WEEK)
    visits = tab.page.locator("#d2026-12-02 .patient:visible")
    assert await visits.count() == 8
    await tab.press("All 12 visits")
    assert tab.path == "/practice/day?day=2026-12-02"
    await tab.page.set_viewport_size(DESK)
    await tab.go(WEEK)
    assert await visits.count() == 12
    assert not await tab.page.get_by_role("link", name="All 12 visits").is_visible()


async def test_column_of_today_lists_no_visits_that_are_over(
    register: Register, forms: Forms, client: httpx2.AsyncClient, clock: SetClock
) -> None:
    doctor = await open_practice(register)
    await fill_week(doctor, register, number=12, minutes=20)
    clock.time = datetime(2026, 12, 2, 8, 30, tzinfo=UTC)
    await forms.sign_in(doctor)
    shown = (await client.get(WEEK)).text
    listed = [
        time
        for hidden, time in re.findall(r'class="patient booked u4( unlisted)?"[^>]*><time>([\d:]+)', shown)
        if not hidden
    ]
    assert listed == ["09:20", "09:40", "10:00", "10:20", "10:40", "11:00", "11:20", "11:40", "10:00"]
