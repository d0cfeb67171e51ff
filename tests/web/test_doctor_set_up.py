"""The page of the day of a new doctor who has not published any hours."""

import re

import httpx2
from sqlalchemy import text

from app.db.database import Database
from tests.conftest import Register, SetClock
from tests.people import Person
from tests.web.conftest import Forms

DAY = "/practice/day"
CLOSED = "losed"  # the first letter is large or small


async def read_steps(client: httpx2.AsyncClient, day: str = DAY) -> dict[str, bool]:
    shown = (await client.get(day)).text
    if "Set up your practice" in shown:
        assert CLOSED not in shown
    found = re.findall(
        r'href="(/practice/[^"]+)">\s*<span class="row-main">.*?<span class="badge \w+">([^<]+)<', shown, re.DOTALL
    )
    return {address: word == "Done" for address, word in found}


async def test_new_doctor_sees_the_steps_of_the_set_up(
    forms: Forms, client: httpx2.AsyncClient, register: Register
) -> None:
    doctor = await register("doctor")
    await forms.sign_in(doctor)
    steps = {
        "/practice/profile#time_zone": False,
        "/practice/hours": False,
        "/practice/profile/visit-types": False,
        "/practice/profile": False,
    }
    assert await read_steps(client) == steps
    assert await read_steps(client, f"{DAY}?day=2027-01-01") == steps
    for address in steps:
        assert (await client.get(address)).status_code == 200
    assert "No weekly hours at present" in (await client.get("/practice/hours")).text
    shown = (await client.get(DAY)).text
    assert len(re.findall(r'class="badge unapproved">To do<', shown)) == 2, "the required steps"
    assert len(re.findall(r'class="badge optional">To do<', shown)) == 2
    await doctor.update_profile(time_zone="Europe/Berlin", languages=["en"], bio="Skin, hair and nails.")
    await doctor.add_visit_type()
    assert await read_steps(client) == dict.fromkeys(steps, True) | {"/practice/hours": False}


async def test_set_up_is_shown_until_the_required_steps_are_done(
    forms: Forms, client: httpx2.AsyncClient, register: Register
) -> None:
    doctor = await register("doctor")
    await forms.sign_in(doctor)
    saved = await forms.send("/practice/hours", tuesday_0_from="09:00", tuesday_0_to="12:00")
    assert saved.status_code == 303
    assert "Patients can now book visits with you." in (await client.get(saved.headers["location"])).text
    steps = await read_steps(client)
    assert steps["/practice/hours"]
    assert not steps["/practice/profile#time_zone"]
    await doctor.update_profile(time_zone="Europe/Berlin")
    assert await read_steps(client) == {}
    saved = await forms.send("/practice/hours", tuesday_0_from="09:00", tuesday_0_to="13:00")
    shown = (await client.get(saved.headers["location"])).text
    assert "Your hours have been changed." in shown
    assert "Patients can now book visits with you." not in shown


async def test_unapproved_doctor_is_not_told_that_patients_can_book(
    forms: Forms, client: httpx2.AsyncClient, register: Register, database: Database
) -> None:
    doctor = await register("doctor")
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE doctors SET approved_at = NULL"))
    await forms.sign_in(doctor)
    saved = await forms.send("/practice/hours", tuesday_0_from="09:00", tuesday_0_to="12:00")
    shown = (await client.get(saved.headers["location"])).text
    assert "Your hours have been changed." in shown
    assert "Patients can now book visits with you." not in shown


async def test_doctor_with_hours_sees_no_set_up(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, clock: SetClock
) -> None:
    await doctor.publish("2026-12-03T15:00:00Z", "2026-12-03T16:00:00Z")
    await forms.sign_in(doctor)
    assert await read_steps(client) == {}
    assert CLOSED in (await client.get(DAY)).text
    clock.time = clock.time.replace(day=4)
    await forms.sign_in(doctor)
    assert len(await read_steps(client)) == 4, "the hours have passed"


async def test_day_with_visits_but_no_hours_shows_the_visits(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    hours = await doctor.publish("2026-12-03T15:00:00Z", "2026-12-03T16:00:00Z")
    await patient.book(doctor, "2026-12-03T15:00:00Z")
    assert (await doctor.delete(f"/doctors/availability/{hours['id']}")).status_code < 300
    await forms.sign_in(doctor)
    shown = (await client.get(f"{DAY}?day=2026-12-03")).text
    assert "Ann Lee" in shown
    assert "Set up your practice" not in shown


async def test_week_without_hours_links_to_the_hours_page(
    register: Register, forms: Forms, client: httpx2.AsyncClient
) -> None:
    doctor = await register("doctor", time_zone="Europe/Berlin")
    await forms.sign_in(doctor)
    shown = (await client.get("/practice/week")).text
    assert "You have not published any hours yet." in shown
    assert '<a href="/practice/hours">Set your weekly hours</a>' in shown
    assert "Closed" not in shown
    await doctor.set_hours(monday=[["09:00", "12:00"]], valid_from="2027-03-01")
    shown = (await client.get("/practice/week")).text
    assert "You have not published any hours yet." not in shown
    assert "Closed" in shown
