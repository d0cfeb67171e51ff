"""After an action, a page opens at the row of the action."""

import re
from datetime import UTC, datetime

import httpx2
import pytest

from tests.conftest import Register, SetClock
from tests.people import Person
from tests.web.conftest import PHONE, Forms, OpenTab, Tab
from tests.web.doctor import open_practice


@pytest.fixture
async def doctor(register: Register) -> Person:
    return await open_practice(register)


async def is_in_viewport(tab: Tab, row: str) -> bool:
    """Return whether the row is visible without scrolling."""
    box = await tab.page.locator(f"[id='row-{row}']").bounding_box()
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= PHONE["height"]


async def test_day_stays_at_the_row_of_the_pressed_button(
    doctor: Person, register: Register, open_tab: OpenTab, clock: SetClock
) -> None:
    names = ["Ann Lee", "Ben Kaya", "Cleo Roth", "Dan Ito", "Eve Marsh", "Finn Diaz"]
    visits = [
        await (await register("patient", name=name)).book(
            doctor, f"2026-12-01T{12 + number // 2}:{number % 2 * 30:02}:00Z", reason="A mole"
        )
        for number, name in enumerate(names)
    ]
    clock.time = datetime(2026, 12, 1, 15, 5, tzinfo=UTC)
    tab = await open_tab()
    await tab.sign_in(doctor.email)
    await tab.go("/practice/day?day=2026-12-01")
    last = visits[-1]["id"]
    assert not await is_in_viewport(tab, last), "the day is longer than the screen"
    for action in ("arrive", "undo", "no-show", "undo"):
        async with tab.page.expect_navigation():
            await tab.page.locator(f"[formaction^='/practice/visits/{last}/{action}']").click()
        assert tab.path.endswith(f"#row-{last}")
        assert await is_in_viewport(tab, last)
        assert "Finn Diaz" in await tab.page.locator("[role=status]").inner_text()


async def test_extra_windows_stay_at_the_changed_row(doctor: Person, open_tab: OpenTab) -> None:
    for day in range(4, 16):
        await doctor.publish(f"2027-02-{day:02}T18:00:00Z", f"2027-02-{day:02}T19:00:00Z")
    tab = await open_tab()
    await tab.sign_in(doctor.email)
    await tab.go("/practice/hours/extra")
    await tab.fill(day="2027-02-20", opens="19:00", closes="20:00")
    async with tab.page.expect_navigation():
        await tab.press("Add these hours")
    added = tab.path.partition("#row-")[2]
    assert await is_in_viewport(tab, added)
    rows = tab.page.locator("[id^='row-']")
    third_last, second_last = [await rows.nth(number).get_attribute("id") for number in (10, 11)]
    async with tab.page.expect_navigation():
        await rows.nth(10).get_by_role("button").click()
    assert tab.path == f"/practice/hours/extra#{second_last}"
    assert await is_in_viewport(tab, str(second_last).removeprefix("row-"))
    assert await tab.page.locator(f"[id='{third_last}']").count() == 0


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_removal_leads_to_the_neighbouring_row(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient, position: int
) -> None:
    visit_types = [(await doctor.add_visit_type(name=name))["id"] for name in ("Check-up", "First visit", "Follow-up")]
    time_off = [
        (await doctor.take_time_off(f"2027-02-0{day}T08:00:00Z", f"2027-02-0{day}T09:00:00Z"))["id"]
        for day in (1, 2, 3)
    ]
    await forms.sign_in(doctor)
    for page, ids, action in (
        ("/practice/profile/visit-types", visit_types, "withdraw"),
        ("/practice/hours/time-off", time_off, "remove"),
    ):
        shown = (await client.get(page)).text
        backs = re.findall(r'name="back" value="([^"]+)"', shown)
        neighbour = ids[min(position + 1, 2) if position < 2 else 1]
        assert backs[position] == f"{page}#row-{neighbour}"
        done = await forms.send(f"{page}/{ids[position]}/{action}", on=page, back=backs[position])
        assert done.headers["location"] == f"{page}#row-{neighbour}"
        assert f'id="row-{neighbour}"' in (await client.get(page)).text


async def test_form_redirects_to_pages_of_this_site_only(doctor: Person, forms: Forms) -> None:
    page = "/practice/profile/visit-types"
    await forms.sign_in(doctor)
    for back in ("https://example.com/", "//example.com", "", "javascript:alert(1)"):
        visit_type = (await doctor.add_visit_type())["id"]
        done = await forms.send(f"{page}/{visit_type}/withdraw", on=page, back=back)
        assert done.headers["location"] == page, back


async def test_list_opens_at_the_row_that_was_added_or_changed(doctor: Person, forms: Forms) -> None:
    await forms.sign_in(doctor)
    form = {"name": "Check-up", "duration_minutes": "30", "buffer_before_minutes": "0", "buffer_after_minutes": "0"}
    form |= {"mode": "in_person", "min_notice_minutes": "0"}
    added = await forms.send("/practice/profile/visit-types/new", **form)
    [visit_type] = (await doctor.get("/doctors/me/visit-types")).json()
    assert added.headers["location"] == f"/practice/profile/visit-types#row-{visit_type['id']}"
    changed = await forms.send(f"/practice/profile/visit-types/{visit_type['id']}", **form)
    assert changed.headers["location"] == f"/practice/profile/visit-types#row-{visit_type['id']}"
    taken = await forms.send(
        "/practice/hours/time-off", on="/practice/hours/time-off", first="2027-02-01", last="2027-02-02"
    )
    [time_off] = (await doctor.get("/doctors/me/time-off")).json()
    assert taken.headers["location"] == f"/practice/hours/time-off#row-{time_off['id']}"


async def test_hours_stay_at_the_day_that_was_changed(doctor: Person, open_tab: OpenTab) -> None:
    tab = await open_tab()
    await tab.sign_in(doctor.email)
    await tab.go("/practice/hours")
    friday = tab.page.locator("#friday")
    async with tab.page.expect_navigation():
        await friday.get_by_role("button").click()
    assert tab.path.endswith("#friday")
    assert await friday.locator("input").count() == 8
    box = await friday.bounding_box()
    assert box is not None
    assert 0 <= box["y"] <= PHONE["height"] / 2
    await tab.fill(friday_2_from="18:00", friday_2_to="19:00")
    async with tab.page.expect_navigation():
        await tab.page.locator("main").get_by_role("button", name="Save the hours").last.click()
    assert tab.path == "/practice/hours#friday"
    assert "Your hours have been changed." in await tab.page.locator("[role=status]").inner_text()


async def test_administrator_returns_to_the_decisions_of_an_account(
    admin: Person, patient: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await forms.sign_in(admin)
    account = f"/office/users/{patient.id}"
    for decision, reason in (("suspend", "Asked for it"), ("reinstate", "Asked for it again"), ("end-sessions", "")):
        done = await forms.send(f"{account}/{decision}", on=f"{account}?decision={decision}", reason=reason)
        assert done.headers["location"] == f"{account}#decide"
        assert 'id="decide"' in (await client.get(account)).text
