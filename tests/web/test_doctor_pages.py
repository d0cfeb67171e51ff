"""The doctor's pages in a browser: a typical journey, and accessibility."""

import re
from typing import Any, Literal

import pytest
from playwright.async_api import ViewportSize

from tests.conftest import Register, SetClock
from tests.people import Person
from tests.web.axe import find_violations
from tests.web.conftest import DESK, NARROW, OpenTab, Tab, on_both_databases
from tests.web.doctor import FROM_RIGHT, MAX_NAME, fill_day, open_practice
from tests.web.visible_faults import MIN_TARGET_PIXELS, SMALL_TARGETS

PAPER = ViewportSize(width=718, height=1047)
"""An A4 page with margins of one centimetre."""
# Parts of a row whose text overlaps the next part.
OVERFLOWING = """() => [...document.querySelectorAll(".entry > *")].filter(
  each => each.scrollWidth > each.clientWidth + 1
).map(each => each.innerText)"""

# Times that overlap a name, and hours of the scale that overlap the first day.
COVERING = """() => {
  const box = each => {
    const range = document.createRange();
    range.selectNodeContents(each);
    return range.getBoundingClientRect();
  };
  const entries = [...document.querySelectorAll(".entry")].filter(entry => {
    const time = box(entry.querySelector(".entry-time")), name = box(entry.querySelector(".entry-who"));
    return time.right > name.left && time.left < name.right && time.bottom > name.top && time.top < name.bottom;
  });
  const edge = document.querySelector(".column")?.getBoundingClientRect().left;
  const hours = [...document.querySelectorAll(".scale span")].filter(each => box(each).right > edge);
  return [...entries, ...hours].map(each => each.innerText);
}"""


async def press(tab: Tab, text: str, subject: str) -> None:
    """Press one of several buttons with the same text, by the patient or the day that it is for."""
    await tab.page.get_by_role("button", name=re.compile(f"{text}.*{subject}")).first.click()


@pytest.fixture
async def doctor(register: Register) -> Person:
    return await open_practice(register)


@pytest.fixture
async def visits(doctor: Person, register: Register) -> list[dict[str, Any]]:
    """The visits of a crowded day with a conflict. The doctor also has a repeated window and a visit type."""
    names = (MAX_NAME, FROM_RIGHT, "Ann Lee", "Ann Lee")
    visits = await fill_day(doctor, *[await register("patient", name=name) for name in names])
    await doctor.take_time_off("2026-12-01T10:30:00Z", "2026-12-02T12:00:00Z", "Conference")
    await doctor.publish("2026-12-05T09:00:00Z", "2026-12-05T12:00:00Z", "FREQ=WEEKLY;INTERVAL=2")
    await doctor.add_visit_type(name=MAX_NAME, buffer_after_minutes=10)
    return visits


@on_both_databases
async def test_doctor_sets_up_a_practice_and_sees_a_patient(
    open_tab: OpenTab, doctor: Person, patient: Person, clock: SetClock
) -> None:
    tab = await open_tab(viewport=DESK)
    await tab.sign_in(doctor.email)
    assert tab.path == "/practice/day"
    assert "No visits are booked on this day yet." in await tab.text()

    await tab.press("Hours")
    await press(tab, "Add hours", "Saturday")
    await tab.fill(saturday_0_from="09:00", saturday_0_to="12:00")
    await tab.page.locator("main").get_by_role("button", name="Save the hours").last.click()
    assert "Your hours have been changed." in await tab.text()

    await tab.press("Practice")
    await tab.press("Visit types")
    await tab.press("Add a visit type")
    await tab.fill(name="Check-up", duration_minutes="30", buffer_after_minutes="10")
    await tab.press("Add the visit type")
    await tab.press("Check-up")
    visit_type = tab.path.rpartition("/")[2]
    await patient.book(doctor, "2026-12-01T08:40:00Z", visit_type_id=visit_type, reason="A mole")
    await patient.book(doctor, "2026-12-05T08:00:00Z", visit_type_id=visit_type)

    await tab.press("Day")
    assert "Next" in await tab.text()
    await press(tab, "Check in", "Ann Lee")
    assert "Ann Lee has arrived." in await tab.text()
    clock.advance(minutes=42)
    await tab.go("/practice/day")
    await press(tab, "Complete", "Ann Lee")
    assert "The visit of Ann Lee is marked as completed." in await tab.text()
    await tab.page.go_back()
    assert await tab.page.locator("li.fulfilled").count() == 1  # there is no form left that could be sent again

    await tab.press("Hours")
    await tab.page.locator(".tabs").get_by_role("link", name="Time off").click()
    await tab.fill(first="2026-12-05", last="2026-12-05")
    await tab.press("Check booked visits")
    assert "1 visit is booked during this time." in await tab.text()
    await tab.fill(reason="Conference")
    await tab.press("Add the time off")
    assert "1 visit is now outside your hours" in await tab.text()

    await tab.press("Week")
    assert "Outside your hours" in await tab.text()
    await tab.press("09:00 Ann Lee")
    await tab.press("Move to another time")
    await tab.press("Later")
    await tab.page.locator(".free-week .slots button").first.click()
    assert "The visit of Ann Lee has been moved to" in await tab.text()
    await tab.press("Ann Lee")
    await tab.page.get_by_text("Cancel this visit").click()
    await tab.fill(reason="I am ill")
    await tab.press("Cancel the visit")
    assert "The visit has been cancelled" in await tab.text()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_crowded_pages_are_accessible_on_every_screen(
    open_tab: OpenTab, doctor: Person, visits: list[dict[str, Any]]
) -> None:
    """These pages have more content than in tests/web/test_every_page.py."""
    tab = await open_tab(
        java_script_enabled=True,
        reduced_motion="reduce",
        locale="de-DE",  # German words are the longest
    )
    found: list[object] = []
    await tab.sign_in(doctor.email)
    for address in (
        "/practice/day",
        "/practice/day?day=2026-12-06",
        "/practice/week",
        "/practice/week?day=2027-03-28",
        f"/practice/visits/{visits[0]['id']}",
        "/practice/hours/extra",
        "/practice/hours/time-off/preview?first=2026-12-01&last=2026-12-01",
        "/practice/hours/time-off/preview?first=2026-12-02&last=2026-12-01",
        "/practice/hours/conflicts",
        "/practice/profile/visit-types",
    ):
        await tab.go(address)
        for screen in (DESK, NARROW):
            await tab.page.set_viewport_size(screen)
            faults = [f"overflows: {text}" for text in await tab.page.evaluate(OVERFLOWING)]
            if (width := await tab.page.evaluate("document.documentElement.scrollWidth")) > screen["width"]:
                faults.append(f"{width} px wide")
            faults += await tab.page.evaluate(SMALL_TARGETS, MIN_TARGET_PIXELS)
            faults += await find_violations(tab.page)
            found += [f"{address} at {screen['width']} px: {fault}" for fault in faults]
    assert not found


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_times_with_am_and_pm_overlap_nothing(open_tab: OpenTab, doctor: Person, register: Register) -> None:
    """On a day with buttons beside the visits, on a day without, and in a week."""
    patients = [await register("patient", name=name) for name in (MAX_NAME, FROM_RIGHT, "Ann Lee", "Wei Liu")]
    for day in ("2026-12-01", "2026-12-02"):
        await fill_day(doctor, *patients, day=day)
    views: tuple[tuple[ViewportSize, Literal["screen", "print"]], ...] = (
        (NARROW, "screen"),
        (DESK, "screen"),
        (PAPER, "print"),
    )
    found = []
    for country in ("en-US", "es-MX"):
        tab = await open_tab(java_script_enabled=True, locale=country)
        await tab.sign_in(doctor.email)
        for address in ("/practice/day", "/practice/day?day=2026-12-02", "/practice/week"):
            await tab.go(address)
            for size, media in views:
                await tab.page.set_viewport_size(size)
                await tab.page.emulate_media(media=media)
                for script in (COVERING, OVERFLOWING):
                    found += [(country, address, media, size, text) for text in await tab.page.evaluate(script)]
    assert not found


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("visits")
async def test_day_can_be_worked_through_by_keyboard_alone(open_tab: OpenTab, doctor: Person) -> None:
    tab = await open_tab(viewport=DESK)
    await tab.sign_in(doctor.email)
    await tab.go("/practice/day")
    for _ in range(40):
        await tab.page.keyboard.press("Tab")
        if "/arrive" in (await tab.page.locator(":focus").get_attribute("formaction") or ""):
            break
    async with tab.page.expect_navigation():  # unlike a click, a key does not wait
        await tab.page.keyboard.press("Enter")
    assert "has arrived." in await tab.text()
    await tab.go("/practice/hours")
    await tab.page.locator("[name=sunday_0_to]").fill("12:00")
    await tab.page.locator("[name=sunday_0_from]").fill("10:00")
    await tab.page.locator("[name=sunday_0_from]").press("Enter")
    assert "Your hours have been changed." in await tab.text()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_day_is_printed_as_a_list(open_tab: OpenTab, doctor: Person, visits: list[dict[str, Any]]) -> None:
    tab = await open_tab(viewport=PAPER, java_script_enabled=True)
    await tab.sign_in(doctor.email)
    await tab.page.emulate_media(media="print")
    assert await tab.page.locator(".day-list .entry").count() == len(visits)
    assert await tab.page.locator(".day-list .entry").first.is_visible()
    for hidden in (".top", ".date-navigation", ".next", ".entry-actions"):
        assert not await tab.page.locator(hidden).first.is_visible()
    assert await tab.page.evaluate(OVERFLOWING) == []
