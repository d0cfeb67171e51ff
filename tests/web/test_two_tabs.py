"""The same form in two tabs: the one that is saved later is refused and shows the changes."""

import re

import httpx2
import pytest

from tests.conftest import Register
from tests.people import Person
from tests.web.conftest import Forms, on_both_databases
from tests.web.doctor import open_practice


@pytest.fixture
async def doctor(register: Register, forms: Forms) -> Person:
    doctor = await open_practice(register)
    await forms.sign_in(doctor)
    return doctor


def read_fields(html: str) -> dict[str, str]:
    """Return the values of the input fields of a form, and its version."""
    found = re.findall(
        r'<input (?!type="checkbox")[^>]*?name="([a-z_0-9]+)"[^>]*? value="([^"]*)"',
        html.partition("<main")[2].partition("</main>")[0],
    )
    return {name: value for name, value in found if name not in {"form_token", "form_key"}}


def read_saved_values(html: str) -> list[tuple[str, str]]:
    """Return the saved values that the page shows."""
    return re.findall(r"<div><dt>([^<]+)</dt><dd><bdi>([^<]*)</bdi></dd></div>", html)


@on_both_databases
async def test_profile_saved_in_another_tab_is_not_overwritten(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    opened = read_fields((await client.get("/practice/profile")).text) | {"time_zone": "Europe/Berlin"}
    await doctor.update_profile(specialty="Allergies", max_advance_days=30, time_zone="Europe/Vienna")
    typed = opened | {"specialty": "Surgery", "min_notice_minutes": "45"}
    refused = await forms.send("/practice/profile", **typed)
    assert refused.status_code == 412
    assert "This has changed since you opened it." in refused.text
    assert read_saved_values(refused.text) == [
        ("Specialty", "Allergies"),
        ("Time zone", "Vienna"),
        ("Bookable up to (days in advance)", "30"),
    ]
    again = read_fields(refused.text)
    assert (again["specialty"], again["min_notice_minutes"]) == ("Surgery", "45")
    kept = (await doctor.get("/doctors/me")).json()
    assert (kept["specialty"], kept["min_notice_minutes"]) == ("Allergies", 0)
    assert (await forms.send("/practice/profile", **typed | again)).status_code == 303
    assert (await doctor.get("/doctors/me")).json()["specialty"] == "Surgery"


async def test_cleared_field_is_shown_as_empty(doctor: Person, forms: Forms, client: httpx2.AsyncClient) -> None:
    opened = read_fields((await client.get("/practice/profile")).text) | {"time_zone": "Europe/Berlin"}
    await doctor.update_profile(specialty=None)
    assert read_saved_values((await forms.send("/practice/profile", **opened)).text) == [("Specialty", "Empty")]


@on_both_databases
async def test_visit_type_saved_in_another_tab_is_not_overwritten(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    visit_type = (await doctor.add_visit_type(duration_minutes=20))["id"]
    page = f"/practice/profile/visit-types/{visit_type}"
    opened = read_fields((await client.get(page)).text) | {"mode": "in_person"}
    await doctor.patch(f"/doctors/me/visit-types/{visit_type}", {"duration_minutes": 40, "mode": "video"})
    refused = await forms.send(page, **opened | {"buffer_after_minutes": "5"})
    assert refused.status_code == 412
    assert read_saved_values(refused.text) == [("Length (minutes)", "40"), ("Visit mode", "By video")]
    again = read_fields(refused.text)
    assert (again["duration_minutes"], again["buffer_after_minutes"]) == ("20", "5")
    assert (await doctor.get(f"/doctors/me/visit-types/{visit_type}")).json()["duration_minutes"] == 40
    assert (await forms.send(page, **again, mode="in_person")).status_code == 303
    assert (await doctor.get(f"/doctors/me/visit-types/{visit_type}")).json()["duration_minutes"] == 20


async def test_weekly_hours_saved_in_another_tab_are_not_overwritten(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    hours = "/practice/hours"
    opened = read_fields((await client.get(hours)).text)
    await doctor.set_hours(monday=[["07:00", "11:00"]], saturday=[["00:00", "24:00"]])
    refused = await forms.send(hours, **opened | {"friday_1_to": "18:00"})
    assert refused.status_code == 412
    assert ("Monday", "07:00\u2013\u206011:00") in read_saved_values(refused.text)
    again = read_fields(refused.text)
    assert (again["monday_0_from"], again["friday_1_to"]) == ("09:00", "18:00")
    assert (await doctor.get("/doctors/me/hours")).json()["monday"] == [["07:00", "11:00"]]
    assert (await forms.send(hours, **again)).status_code == 303
    assert (await doctor.get("/doctors/me/hours")).json()["friday"][1] == ["13:00", "18:00"]
    await doctor.set_hours()
    assert read_saved_values((await forms.send(hours, **again)).text) == [("All week", "Closed")]


async def test_changed_planned_hours_are_not_cancelled(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await doctor.set_hours(monday=[["07:00", "11:00"]], valid_from="2027-07-01")
    opened = read_fields((await client.get("/practice/hours")).text)["content_version"]
    await doctor.set_hours(monday=[["08:00", "11:00"]], valid_from="2027-07-01")
    refused = await forms.send("/practice/hours/later/2027-07-01/cancel", on="/practice/hours", content_version=opened)
    assert refused.status_code == 412
    assert len((await doctor.get("/doctors/me/hours")).json()["later"]) == 1


async def test_account_name_saved_in_another_tab_is_not_overwritten(
    patient: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await forms.sign_in(patient)
    opened = read_fields((await client.get("/my/account")).text)
    assert (await patient.patch("/auth/me", {"name": "Ann Lee-Ortega"})).status_code == 200
    refused = await forms.send("/my/account", **opened | {"name": "Anne Lee"})
    assert refused.status_code == 412
    assert "<bdi>Ann Lee-Ortega</bdi>" in refused.text
    again = read_fields(refused.text)
    assert again["name"] == "Anne Lee"
    assert (await forms.send("/my/account", **again)).status_code == 303


async def test_visit_type_with_a_name_in_use_is_refused(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await doctor.add_visit_type(name="Check-up")
    refused = await forms.send(
        "/practice/profile/visit-types/new", name="check-UP", duration_minutes="20", mode="video"
    )
    assert refused.status_code == 409
    assert "You already have a visit type with this name." in refused.text
    assert 'value="check-UP"' in refused.text
    assert (await client.get("/practice/profile/visit-types")).text.count("heck-") == 2  # the link and the button
