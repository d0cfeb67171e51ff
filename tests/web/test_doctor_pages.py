"""The doctor's pages in a browser: a typical journey, and accessibility."""

import re
from typing import Literal

import pytest
from playwright.async_api import ViewportSize

from tests.conftest import Register, SetClock
from tests.people import Person
from tests.web.axe import violations
from tests.web.conftest import DESK, OpenTab, Tab
from tests.web.doctor import FROM_RIGHT, MAX_NAME, fill_day, open_practice
from tests.web.test_every_page import NARROW

PAPER = ViewportSize(width=718, height=1047)
"""An A4 page with margins of one centimetre."""
CROWDED = 4
SMALLEST = 44
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
    const time = box(entry.querySelector(".entry-time")), who = box(entry.querySelector(".entry-who"));
    return time.right > who.left && time.left < who.right && time.bottom > who.top && time.top < who.bottom;
  });
  const edge = document.querySelector(".column")?.getBoundingClientRect().left;
  const hours = [...document.querySelectorAll(".scale span")].filter(each => box(each).right > edge);
  return [...entries, ...hours].map(each => each.innerText);
}"""


async def press(tab: Tab, word: str, whom: str) -> None:
    """Press one of several buttons with the same text, by the patient that it is for."""
    await tab.page.get_by_role("button", name=re.compile(f"{word}.*{whom}")).first.click()


@pytest.fixture
async def doctor(register: Register) -> Person:
    return await open_practice(register)


@pytest.fixture
async def addresses(doctor: Person, register: Register) -> list[str]:
    """Return all pages of a doctor with a crowded day with a conflict, an empty day, and rules of each kind."""
    names = (MAX_NAME, FROM_RIGHT, "Ann Lee", "Ann Lee")
    visits = await fill_day(doctor, *[await register("patient", name=name) for name in names])
    await doctor.take_time_off("2026-12-01T10:30:00Z", "2026-12-02T12:00:00Z", "Conference")
    await doctor.publish("2026-12-05T09:00:00Z", "2026-12-05T12:00:00Z", "FREQ=WEEKLY;INTERVAL=2")
    visit_type = await doctor.add_visit_type(name=MAX_NAME, buffer_after_minutes=10)
    return [
        "/practice/day",
        "/practice/day?day=2026-12-06",
        "/practice/week",
        "/practice/week?day=2027-03-28",
        f"/practice/visits/{visits[0]['id']}",
        f"/practice/visits/{visits[0]['id']}/move",
        "/practice/hours",
        "/practice/hours/extra",
        "/practice/hours/time-off",
        "/practice/hours/time-off/preview?first=2026-12-01&last=2026-12-01",
        "/practice/hours/time-off/preview?first=2026-12-02&last=2026-12-01",
        "/practice/hours/conflicts",
        f"/practice/hours/explain?day=2026-12-01&clock=08:00&visit_type={visit_type['id']}",
        "/practice/profile",
        "/practice/profile/visit-types",
        "/practice/profile/visit-types/new",
        f"/practice/profile/visit-types/{visit_type['id']}",
    ]


async def test_a_doctor_opens_her_practice_and_sees_a_patient(
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
    assert "The visit of Ann Lee is completed." in await tab.text()
    await tab.page.go_back()
    assert await tab.page.locator("li.fulfilled").count() == 1  # there is no form left that could be sent again

    await tab.press("Hours")
    await tab.page.locator(".tabs").get_by_role("link", name="Time off").click()
    await tab.fill(first="2026-12-05", last="2026-12-05")
    await tab.press("Check booked visits")
    assert "1 visit is booked in this time." in await tab.text()
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
@pytest.mark.parametrize("screen", [NARROW, DESK], ids=["phone", "desk"])
async def test_no_doctor_is_kept_out(
    open_tab: OpenTab, addresses: list[str], doctor: Person, screen: ViewportSize
) -> None:
    """axe finds nothing in light or dark mode, nothing is wider than the screen, and no target is too small."""
    tab = await open_tab(
        viewport=screen,
        java_script_enabled=True,
        reduced_motion="reduce",
        locale="de-DE" if screen is NARROW else "en-GB",  # German words are the longest
    )
    found: list[object] = []
    await tab.sign_in(doctor.email)
    for address in addresses:
        await tab.go(address)
        if (await tab.page.evaluate("() => document.documentElement.scrollWidth")) > screen["width"]:
            found.append((address, "is too wide"))
        seen = tab.page.locator("main :is(button:not(.visually-hidden), .button, input:not([type=hidden]), select)")
        # Pressing the label of a checkbox ticks it, too.
        heights = await seen.evaluate_all(
            "found => found.map(each => (each.closest('label') ?? each).getBoundingClientRect().height)"
        )
        found += [(address, "is too small", height) for height in heights if height < SMALLEST]
        found += [(address, "runs over", words) for words in await tab.page.evaluate(OVERFLOWING)]
        found += [(address, violation) for violation in await violations(tab.page)]
    assert not found


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("screen", "media"), [(NARROW, "screen"), (DESK, "screen"), (PAPER, "print")], ids=["phone", "desk", "paper"]
)
@pytest.mark.parametrize("country", ["en-US", "es-MX"])
async def test_times_of_twelve_hours_have_their_room(
    open_tab: OpenTab,
    doctor: Person,
    register: Register,
    screen: ViewportSize,
    media: Literal["screen", "print"],
    country: str,
) -> None:
    """On a day with buttons beside the visits, on a day without, and in a week."""
    patients = [await register("patient", name=name) for name in (MAX_NAME, FROM_RIGHT, "Ann Lee", "Wei Liu")]
    for day in ("2026-12-01", "2026-12-02"):
        await fill_day(doctor, *patients, day=day)
    tab = await open_tab(viewport=screen, java_script_enabled=True, locale=country)
    await tab.sign_in(doctor.email)
    await tab.page.emulate_media(media=media)
    for address in ("/practice/day", "/practice/day?day=2026-12-02", "/practice/week"):
        await tab.go(address)
        assert await tab.page.evaluate(COVERING) == [], address
        assert await tab.page.evaluate(OVERFLOWING) == [], address


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_day_is_worked_through_by_the_keyboard_alone(
    open_tab: OpenTab, addresses: list[str], doctor: Person
) -> None:
    tab = await open_tab(viewport=DESK)
    await tab.sign_in(doctor.email)
    await tab.go(addresses[0])
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
async def test_a_day_is_printed_as_a_list(open_tab: OpenTab, addresses: list[str], doctor: Person) -> None:
    tab = await open_tab(viewport=PAPER, java_script_enabled=True)
    await tab.sign_in(doctor.email)
    await tab.page.emulate_media(media="print")
    assert await tab.page.locator(".day-list .entry").count() == CROWDED == len(addresses[:CROWDED])
    assert await tab.page.locator(".day-list .entry").first.is_visible()
    for hidden in (".top", ".date-navigation", ".next", ".entry-actions"):
        assert not await tab.page.locator(hidden).first.is_visible()
    assert await tab.page.evaluate(OVERFLOWING) == []
