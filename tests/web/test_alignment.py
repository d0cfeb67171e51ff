"""Where fields, times and links stand on a page, and what they look like."""

import pytest

from tests.conftest import Register
from tests.people import Person
from tests.web.clinic import open_clinic, register_in_three_zones
from tests.web.conftest import DESK, PHONE, OpenTab

TABLET = {"width": 800, "height": 1000}
# For each row of labels, the positions of the inputs below them, and that of a button beside them.
ROWS = """() => [...document.querySelectorAll(":is(.pair, .search, .filters form, .inline-form)")].flatMap(group => {
  const top = each => Math.round(each.getBoundingClientRect().top), rows = new Map();
  let last;
  for (const field of group.querySelectorAll(":scope > .field")) {
    last = top(field.querySelector("label"));
    rows.set(last, [...rows.get(last) || [], top(field.querySelector("input, select"))]);
  }
  const button = group.querySelector(":scope > .button");
  if (button && top(button) < rows.get(last)[0] + 44) rows.get(last).push(top(button));
  return [...rows.values()];
})"""
# The distances of the texts of times from the middle of their boxes.
OFFSETS = """() => [...document.querySelectorAll(".slots :is(button, .time)")].map(box => {
  const range = document.createRange(), middle = each => (each.left + each.right) / 2;
  range.selectNodeContents(box.firstChild);
  return Math.abs(middle(range.getBoundingClientRect()) - middle(box.getBoundingClientRect()));
})"""


@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
async def test_inputs_of_a_row_are_aligned_if_one_has_an_error(
    register: Register, admin: Person, open_tab: OpenTab, locale: str
) -> None:
    doctor = (await open_clinic(register)).doctor
    found = []
    for person, path in (
        (None, "/?day=x"),
        (doctor, "/practice/profile/visit-types/new"),
        (admin, "/office/users?q=ab"),
        (admin, "/office/trail?from=x"),
    ):
        tab = await open_tab(java_script_enabled=True, locale=locale)
        if person:
            await tab.sign_in(person.email)
        await tab.go(path)
        if path.endswith("new"):
            await tab.fill(name="Visit", duration_minutes="0", max_advance_days="99999")
            await tab.page.locator("main form .button").last.click()
        assert await tab.page.locator(".field > .error").count()
        for size in (DESK, TABLET, PHONE):
            await tab.page.set_viewport_size(size)  # type: ignore[arg-type] # a literal all the same
            rows = await tab.page.evaluate(ROWS)
            assert size is PHONE or any(len(row) > 1 for row in rows)
            found += [(path, size["width"], row) for row in rows if len(set(row)) > 1]
    assert not found


async def test_times_are_in_the_middle_of_their_buttons(register: Register, open_tab: OpenTab) -> None:
    doctors = await register_in_three_zones(register)
    tab = await open_tab(java_script_enabled=True)
    await tab.page.context.add_cookies([{"name": "zone", "value": "America/New_York", "url": tab.address}])
    for path in ("/", f"/with/{doctors['Sid'].id}"):
        await tab.go(path)
        assert await tab.page.locator(".slots small").count()
        for size in (PHONE, DESK):
            await tab.page.set_viewport_size(size)
            assert max(await tab.page.evaluate(OFFSETS)) < 1, (path, size)


async def test_names_in_lists_of_links_look_like_links(
    register: Register, patient: Person, admin: Person, open_tab: OpenTab
) -> None:
    doctor = (await open_clinic(register)).doctor
    await patient.book(doctor, "2026-12-03T15:00:00Z", visit_type_id=(await doctor.add_visit_type())["id"])
    for person, path, names in (
        (await register("doctor"), "/practice/day", "a.row .row-name"),
        (admin, "/office/users", "a.row .row-name"),
        (patient, "/my/account", ".settings a > :first-child"),
        (patient, "/my/appointments", ".visit-card a .visit-date"),
    ):
        tab = await open_tab(java_script_enabled=True)
        await tab.sign_in(person.email)
        await tab.go(path)
        styles = await tab.page.locator(names).evaluate_all(
            "all => all.map(each => getComputedStyle(each).textDecorationLine)"
        )
        assert set(styles) == {"underline"}, path
