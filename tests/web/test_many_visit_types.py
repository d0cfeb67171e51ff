"""A doctor may offer a hundred visit types. Each of them can be chosen and booked on the pages."""

import re

import pytest

from app.services.doctor_profile import MAX_VISIT_TYPES
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.table import MAX_BYTES, weigh


async def add_all_visit_types(doctor: Person, name: str) -> str:
    """Add as many visit types as a doctor may have, and return the id of the last one."""
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    for number in range(MAX_VISIT_TYPES):
        response = await doctor.post("/doctors/me/visit-types", {"name": f"{name} {number}", "duration_minutes": 30})
        assert response.status_code == 201, response.text
    last: str = response.json()["id"]
    return last


async def test_last_of_a_hundred_visit_types_can_be_chosen(forms: Forms, doctor: Person, patient: Person) -> None:
    last = await add_all_visit_types(doctor, "Visit")
    await forms.sign_in(patient)
    page = (await forms.client.get(f"/with/{doctor.id}?type={last}&week=2026-12-08")).text
    assert len(re.findall(r'<span class="option-name">', page)) == MAX_VISIT_TYPES
    assert re.search(rf'type={last}" aria-current="true"', page)
    pick = f"/visit/pick?doctor={doctor.id}&start=2026-12-08T15:00:00Z&type={last}"
    picked = (await forms.client.get(pick)).text
    assert f"Visit {MAX_VISIT_TYPES - 1}" in picked
    assert "no longer offered" not in picked


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_page_with_the_longest_names_stays_light_and_shows_the_chosen_visit_type(
    forms: Forms, doctor: Person, patient: Person
) -> None:
    last = await add_all_visit_types(doctor, "\N{CJK UNIFIED IDEOGRAPH-5FC3}" * 95)
    await forms.sign_in(patient)
    page = await forms.client.get(f"/with/{doctor.id}?type={last}&week=2026-12-08")
    assert await weigh(forms.client, page) <= MAX_BYTES
    assert re.search(rf'type={last}" aria-current="true"', page.text)
    listed = set()
    next_page: str | None = f"/with/{doctor.id}"
    while next_page:
        shown = (await forms.client.get(next_page)).text
        listed |= set(re.findall(r"/with/[^?]*\?type=([0-9a-f-]{36})\"", shown))
        more = re.search(r'href="(/with/[^"]*\?after=[^"]*)"', shown)
        next_page = more[1] if more else None
    assert len(listed) == MAX_VISIT_TYPES
