"""Parents see and change the visits of their children on pages, for as long as they have the right."""

import asyncio
import re
from datetime import date
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from icalendar import Calendar
from sqlalchemy import text, update
from uuid_utils.compat import uuid7

from app.db.database import Database
from app.models import Guardian
from app.services.dependants import MAX_DEPENDANTS
from app.web.kit.forms import VERSION
from app.web.kit.lists import MAX_LISTED
from tests.conftest import Register, SetClock
from tests.people import Person
from tests.web.axe import find_violations
from tests.web.conftest import PHONE, Forms, OpenTab, on_both_databases
from tests.web.markup import read_hidden

FAMILY, API = "/my/family", "/patients/me/dependants"
NINE, TEN, ELEVEN = (f"2026-12-08T{hour}:00:00Z" for hour in ("09", "10", "11"))
MIA = {"name": "Mia Lee", "birth_date": "2020-03-09"}


@pytest.fixture
async def child(patient: Person) -> str:
    """The id of a child of the patient."""
    return await add_child(patient)


@pytest.fixture
async def doctor(register: Register) -> Person:
    doctor = await register("doctor", name="Dr Amara Okafor")
    await doctor.set_hours(**{day: [["08:00", "18:00"]] for day in ("monday", "tuesday", "wednesday")})
    return doctor


async def add_child(parent: Person, **fields: str) -> str:
    answer = await parent.post(API, MIA | fields)
    child_id: str = answer.json()["patient"]["id"]
    return child_id


async def change_rights(database: Database, child: str, **values: Any) -> None:
    async with database.write() as transaction:
        await transaction.execute(update(Guardian).where(Guardian.patient_id == UUID(child)).values(values))


async def read(client: httpx2.AsyncClient, path: str) -> str:
    answer = await client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.text


async def test_child_is_added_changed_and_removed(forms: Forms, patient: Person) -> None:
    await forms.sign_in(patient)
    assert "Add your children here." in await read(forms.client, FAMILY)
    assert f'href="{FAMILY}"' in await read(forms.client, "/my/account")
    added = await forms.send(FAMILY, **MIA)
    page = added.headers["Location"].replace("#row-", "/")
    listed = await read(forms.client, FAMILY)
    assert "You can now book visits for Mia Lee." in listed
    assert "Born 9 Mar 2020" in listed
    await forms.send(page, name="Mia Cohen", birth_date="2012-02-29", phone="+44 (20) 7183-8750")
    shown = await read(forms.client, page)
    for value in ("Mia Cohen", "2012-02-29", "+44 20 7183 8750"):
        assert f'value="{value}"' in shown
    await forms.send(page, name="Mia Cohen", birth_date="2012-02-29", phone="")
    assert (await patient.get(API)).json()[0]["patient"]["phone"] is None
    removed = await forms.send(f"{page}/remove")
    assert removed.headers["Location"] == FAMILY
    assert "You no longer book for Mia Cohen." in await read(forms.client, FAMILY)
    assert (await forms.client.get(page)).status_code == 404


async def test_wrong_details_are_marked_and_kept(forms: Forms, patient: Person, child: str) -> None:
    await forms.sign_in(patient)
    for path in (FAMILY, f"{FAMILY}/{child}"):
        for wrong, message in (("1990-01-01", "children only"), ("2990-01-01", "in the future"), ("", "required")):
            answer = await forms.send(path, name="Max", birth_date=wrong)
            assert answer.status_code == 422
            assert message in answer.text
            assert 'value="Max"' in answer.text
    assert [each["patient"]["name"] for each in (await patient.get(API)).json()] == ["Mia Lee"]


async def test_outdated_form_shows_what_is_saved(forms: Forms, patient: Person, child: str) -> None:
    await forms.sign_in(patient)
    page = f"{FAMILY}/{child}"
    version = read_hidden(await read(forms.client, page), VERSION)
    await patient.patch(f"{API}/{child}", {"name": "Mia Cohen"})
    answer = await forms.send(page, **MIA, **{VERSION: version})
    assert answer.status_code == 412
    assert "<bdi>Mia Cohen</bdi></dd>" in answer.text


async def test_form_is_hidden_when_the_limit_is_reached(forms: Forms, patient: Person) -> None:
    await forms.sign_in(patient)
    for number in range(MAX_DEPENDANTS):
        await add_child(patient, name=f"Child {number}")
    assert f"You can add up to {MAX_DEPENDANTS} children." in await read(forms.client, FAMILY)
    answer = await forms.send(FAMILY, **MIA)
    assert answer.status_code == 409
    assert "You have reached the limit." in answer.text


async def test_visits_of_children_stand_among_those_of_the_parent(
    forms: Forms, patient: Person, child: str, doctor: Person
) -> None:
    for start, fields in ((NINE, {}), (TEN, {"on_behalf_of": child}), (ELEVEN, {})):
        await patient.book(doctor, start, **fields)
    await forms.sign_in(patient)
    listed = await read(forms.client, "/my/appointments")
    times = [re.sub(r"\W", "", each)[:4] for each in re.findall(r'class="visit-time figures">([^<]+)', listed)]
    assert times == ["0900", "1000", "1100"]
    assert listed.count("For Mia Lee") == 1
    assert listed.index("09:00") < listed.index("For Mia Lee") < listed.index("11:00")
    family = await read(forms.client, FAMILY)
    assert "Tuesday 8 December, 10:00" in family
    own = await read(forms.client, f"{FAMILY}/{child}")
    assert "10:00" in own
    assert "09:00" not in own


async def test_long_list_with_visits_of_children_skips_and_repeats_none(
    forms: Forms, patient: Person, child: str, doctor: Person
) -> None:
    starts = [
        f"2026-12-{7 + number // 18:02}T{8 + number % 18 // 2:02}:{number % 2 * 30:02}:00Z" for number in range(36)
    ]
    booked = [
        (await patient.book(doctor, start, **({"on_behalf_of": child} if number % 3 else {})))["id"]
        for number, start in enumerate(starts)
    ]
    await forms.sign_in(patient)
    found, path = [], "/my/appointments"
    while path:
        page = await read(forms.client, path)
        listed = re.findall(r'<a href="/my/appointments/([\w-]+)"', page)
        assert len(listed) <= MAX_LISTED
        found += listed
        more = re.search(r'href="(/my/appointments\?after=[^"]+)"', page)
        path = more[1] if more else ""
    assert found == booked


async def test_parent_sees_moves_and_cancels_the_visit_of_a_child(
    forms: Forms, patient: Person, child: str, doctor: Person
) -> None:
    visit = f"/my/appointments/{(await patient.book(doctor, TEN, on_behalf_of=child))['id']}"
    await forms.sign_in(patient)
    for path in ("", "/cancel", "/move", f"/move?start={ELEVEN}"):
        assert "For Mia Lee" in await read(forms.client, visit + path)
    [event] = Calendar.from_ical(await read(forms.client, f"{visit}/calendar.ics")).walk("VEVENT")
    assert event["SUMMARY"] == "Dr Amara Okafor, For Mia Lee"
    assert str(event["DESCRIPTION"]).splitlines()[-1] == "For Mia Lee"
    moved = await forms.send(f"{visit}/move", on=f"{visit}/move?start={ELEVEN}", start=ELEVEN, version="1")
    assert moved.headers["Location"] == visit
    assert (await forms.send(f"{visit}/cancel", version="2")).headers["Location"] == visit
    assert "by you" in await read(forms.client, visit)
    child_page = await read(forms.client, f"{FAMILY}/{child}")
    assert child_page.index("Past and cancelled") < child_page.index("11:00")


async def test_cancelled_visit_names_who_cancelled_it(
    forms: Forms, patient: Person, child: str, doctor: Person, register: Register, database: Database
) -> None:
    other = await register(name="Ben Lee")
    visit = (await patient.book(doctor, TEN, on_behalf_of=child))["id"]
    async with database.write() as transaction:
        await transaction.execute(update(Guardian).values(guardian_id=UUID(other.id)))
    await other.delete(f"/appointments/{visit}")
    async with database.write() as transaction:
        await transaction.execute(update(Guardian).values(guardian_id=UUID(patient.id)))
    await forms.sign_in(patient)
    assert "by Ben Lee" in await read(forms.client, f"/my/appointments/{visit}")
    second = (await patient.book(doctor, TEN, on_behalf_of=child))["id"]
    await doctor.delete(f"/appointments/{second}")
    assert "by the practice" in await read(forms.client, f"/my/appointments/{second}")


async def test_child_with_upcoming_visits_is_not_removed(
    forms: Forms, patient: Person, child: str, doctor: Person
) -> None:
    await forms.sign_in(patient)
    removing = f"{FAMILY}/{child}/remove"
    assert "If nobody else books for them" in await read(forms.client, removing)
    visit = (await patient.book(doctor, TEN, on_behalf_of=child))["id"]
    for page in (await forms.client.get(removing), await forms.send(removing)):
        assert "Mia Lee has upcoming visits, which nobody else can change. Cancel them first." in page.text
        assert f'href="/my/appointments/{visit}"' in page.text
        assert '<button class="button danger">' not in page.text
    assert (await patient.get(f"{API}/{child}")).status_code == 200


async def test_pages_show_nothing_of_a_child_after_the_last_day(
    forms: Forms, patient: Person, child: str, doctor: Person, database: Database, clock: SetClock
) -> None:
    visit = (await patient.book(doctor, TEN, on_behalf_of=child))["id"]
    await change_rights(database, child, valid_until=date(2026, 12, 1))
    paths = [f"/my/appointments/{visit}{path}" for path in ("", "/cancel", "/move", "/calendar.ics")]
    paths += [f"/visit/done/{visit}", f"{FAMILY}/{child}", f"{FAMILY}/{child}/remove"]
    await forms.sign_in(patient)
    for path in paths:
        await read(forms.client, path)
    clock.advance(days=1)
    await forms.sign_in(patient)
    for path in ("/my/appointments", FAMILY):
        assert "Mia" not in await read(forms.client, path)
    for path in paths:
        assert (await forms.client.get(path)).status_code == 404, path
    for path, fields in (
        (f"/my/appointments/{visit}/cancel", {"version": "1"}),
        (f"/my/appointments/{visit}/move", {"version": "1", "start": ELEVEN}),
        (f"{FAMILY}/{child}", MIA),
        (f"{FAMILY}/{child}/remove", {}),
    ):
        assert (await forms.send(path, on=FAMILY, **fields)).status_code == 404, path


async def test_guardian_who_may_only_see_gets_no_buttons(
    forms: Forms, patient: Person, child: str, doctor: Person, database: Database
) -> None:
    visit = f"/my/appointments/{(await patient.book(doctor, TEN, on_behalf_of=child))['id']}"
    await change_rights(database, child, may_book=False)
    await forms.sign_in(patient)
    shown = await read(forms.client, visit)
    assert "calendar.ics" in shown
    assert f"{visit}/move" not in shown
    assert f"{visit}/cancel" not in shown
    assert 'name="phone"' not in await read(forms.client, f"{FAMILY}/{child}")
    for path in ("/cancel", "/move"):
        assert (await forms.client.get(visit + path)).status_code == 404


async def test_pages_with_data_of_a_child_are_recorded_for_the_child(
    forms: Forms, patient: Person, child: str, doctor: Person, admin: Person
) -> None:
    visit = (await patient.book(doctor, TEN, on_behalf_of=child))["id"]
    await forms.sign_in(patient)
    for path in (FAMILY, f"{FAMILY}/{child}", f"{FAMILY}/{child}/remove", "/my/appointments"):
        await read(forms.client, path)
    await read(forms.client, f"/my/appointments/{visit}")
    events = (await admin.get("/admin/audit", params={"patient_id": child})).json()[::-1]
    assert {each["actor_id"] for each in events} == {patient.id}
    assert [each["action"] for each in events][2:] == [
        "list_dependants",
        "get_dependant",
        "show_removing_dependant",
        "list_appointments",
        "get_appointment",
    ]


def pick(doctor: Person, start: str = TEN) -> dict[str, str]:
    """The fields that the form of a slot sends."""
    return {"doctor": doctor.id, "start": start}


async def hold(forms: Forms, doctor: Person, start: str = TEN) -> str:
    """Pick a time, and return the path of the page that books it."""
    held = await forms.send("/visit/pick", on="/my/account", **pick(doctor, start))
    assert held.status_code == 303
    return held.headers["Location"]


async def test_parent_chooses_whom_a_held_visit_is_for(
    forms: Forms, patient: Person, child: str, doctor: Person, admin: Person
) -> None:
    await forms.sign_in(patient)
    confirming = await hold(forms, doctor)
    shown = await read(forms.client, confirming)
    assert re.findall(r'type="radio" name="patient" value="([^"]*)"( checked)?', shown) == [
        ("", " checked"),
        (child, ""),
    ]
    booked = await forms.send(confirming, **pick(doctor), patient=child, reason="A cough")
    done = booked.headers["Location"]
    assert done == confirming.replace("/visit/", "/visit/done/")
    assert "For Mia Lee" in await read(forms.client, done)
    assert (await forms.client.get(confirming)).headers["Location"] == done.replace("/visit/done", "/my/appointments")
    [visit] = (await patient.get(f"{API}/{child}/appointments")).json()
    assert (visit["patient_id"], visit["booked_by"], visit["reason"]) == (child, patient.id, "A cough")
    assert (await patient.get("/appointments")).json() == []
    events = (await admin.get("/admin/audit", params={"patient_id": child})).json()
    assert [each["action"] for each in events][1:4] == ["show_booked", "book_appointment", "show_hold"]


async def test_visit_is_for_the_parent_unless_a_child_is_chosen(
    forms: Forms, patient: Person, child: str, doctor: Person
) -> None:
    await forms.sign_in(patient)
    await forms.send(await hold(forms, doctor), **pick(doctor), patient="")
    assert [each["patient_id"] for each in (await patient.get("/appointments")).json()] == [patient.id]
    assert (await patient.get(f"{API}/{child}/appointments")).json() == []


async def test_patient_without_children_sees_no_question(forms: Forms, patient: Person, doctor: Person) -> None:
    await forms.sign_in(patient)
    assert 'type="radio"' not in await read(forms.client, await hold(forms, doctor))


async def test_child_of_others_cannot_be_chosen(
    forms: Forms, patient: Person, child: str, doctor: Person, register: Register
) -> None:
    stranger = await register()
    await add_child(stranger, name="Ida Moss")
    await forms.sign_in(stranger)
    confirming = await hold(forms, doctor)
    refused = await forms.send(confirming, **pick(doctor), patient=child, reason="A cough")
    assert refused.status_code == 422
    assert 'id="patient-error"' in refused.text
    assert "A cough" in refused.text
    assert "Mia Lee" not in refused.text
    assert (await patient.get(f"{API}/{child}/appointments")).json() == []


async def test_form_that_is_sent_twice_books_one_visit(
    forms: Forms, patient: Person, child: str, doctor: Person
) -> None:
    await forms.sign_in(patient)
    confirming = await hold(forms, doctor)
    first = await forms.send(confirming, **pick(doctor), patient=child, form_key="first")
    again = await forms.send(confirming, on=FAMILY, **pick(doctor), patient=child, form_key="first")
    assert again.headers["Location"] == first.headers["Location"]
    for chosen, told in ((child, False), ("", True)):
        other = await forms.send(confirming, on=FAMILY, **pick(doctor), patient=chosen, form_key=f"other {chosen}")
        visit = other.headers["Location"]
        assert visit == first.headers["Location"].replace("/visit/done", "/my/appointments")
        assert ("You already have an appointment with this doctor" in await read(forms.client, visit)) is told
    assert len((await patient.get(f"{API}/{child}/appointments")).json()) == 1
    assert (await patient.get("/appointments")).json() == []


async def test_chosen_child_is_kept_when_the_time_is_taken(
    forms: Forms, patient: Person, child: str, doctor: Person, register: Register, clock: SetClock
) -> None:
    await forms.sign_in(patient)
    confirming = await hold(forms, doctor)
    clock.advance(minutes=6)
    await (await register()).book(doctor, TEN)
    refused = await forms.send(confirming, on=FAMILY, **pick(doctor), patient=child)
    assert "This time has just been taken" in refused.text
    shown = await read(forms.client, await hold(forms, doctor, ELEVEN))
    assert f'value="{child}" checked' in shown


@on_both_databases
async def test_one_child_gets_a_time_that_two_parents_want(
    client: httpx2.AsyncClient, app: FastAPI, patient: Person, child: str, doctor: Person, register: Register
) -> None:
    """The hold of the first parent has expired. Both send the form three times."""
    other = await register(name="Ben Moss")
    children = [child, await add_child(other, name="Ida Moss")]
    sent = []
    for parent, chosen in zip((patient, other), children, strict=True):
        browser = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=client.base_url)
        forms = Forms(browser)
        await forms.sign_in(parent)
        confirming = await hold(forms, doctor) if parent is patient else f"/visit/{uuid7()}"
        sent += [
            forms.send(confirming, on=FAMILY, **pick(doctor), patient=chosen, form_key=f"{number % 2}")
            for number in range(3)
        ]
    async with app.state.resources.database.write() as transaction:
        await transaction.execute(text("UPDATE appointments SET expires_at = created_at"))
    await asyncio.gather(*sent)
    found = [
        each["id"]
        for parent, chosen in zip((patient, other), children, strict=True)
        for each in (await parent.get(f"{API}/{chosen}/appointments")).json()
    ]
    assert len(found) == 1


async def test_doctor_sees_the_child_and_whom_to_call(
    forms: Forms, patient: Person, child: str, doctor: Person, admin: Person, database: Database
) -> None:
    await patient.patch("/patients/me", {"name": "Ann Lee", "phone": "+442071838750"})
    visit = f"/practice/visits/{(await patient.book(doctor, TEN, on_behalf_of=child))['id']}"
    await forms.sign_in(doctor)
    shown = await read(forms.client, visit)
    assert "9 Mar 2020" in shown
    assert '<a class="phone" href="tel:+442071838750">+44 20 7183 8750</a> (<bdi>Ann Lee</bdi>)' in shown
    assert "by Ann Lee" in shown
    events = (await admin.get("/admin/audit", params={"actor_id": doctor.id})).json()
    assert {each["patient_id"] for each in events if each["action"] == "get_appointment"} == {child, patient.id}
    await patient.patch(f"{API}/{child}", {"phone": "+4930901820"})
    shown = await read(forms.client, visit)
    assert 'href="tel:+4930901820"' in shown
    assert "7183" not in shown
    await patient.patch(f"{API}/{child}", {"phone": None})
    await change_rights(database, child, valid_until=date(2026, 11, 30))
    shown = await read(forms.client, visit)
    assert "by Ann Lee" in shown
    assert "tel:" not in shown


async def test_parent_adds_a_child_and_books_on_a_phone_without_scripts(
    open_tab: OpenTab, patient: Person, doctor: Person
) -> None:
    tab, faults = await open_tab(), []
    reader = await open_tab(java_script_enabled=True, reduced_motion="reduce")

    async def check() -> None:
        """Find faults of the page that the tab shows, in a tab where the test may run axe-core."""
        await reader.page.context.clear_cookies()
        await reader.page.context.add_cookies(await tab.page.context.cookies())  # type: ignore[arg-type] # as returned
        await reader.go(tab.path.partition("#")[0])
        width = await reader.page.evaluate("document.documentElement.scrollWidth")
        faults.extend(([f"{width} px wide"] if width > PHONE["width"] else []) + await find_violations(reader.page))

    await tab.sign_in(patient.email)
    await tab.go("/my/account")
    await tab.press("My children")
    await check()
    await tab.fill(**MIA)
    await tab.press("Add the child")
    assert "You can now book visits for Mia Lee." in await tab.text()
    await check()
    await tab.go(f"/with/{doctor.id}?week=2026-12-07")
    await tab.page.get_by_role("button", name="10:00, Tuesday 8 December").click()
    await check()
    await tab.page.get_by_label("Mia Lee").check()
    await tab.press("Book the visit")
    assert await tab.heading() == "The visit is booked"
    assert "For Mia Lee" in await tab.text()
    await check()
    await tab.page.locator("main").get_by_role("link", name="My appointments").click()
    assert "For Mia Lee" in await tab.text()
    await check()
    await tab.page.get_by_role("link", name="Dr Amara Okafor").click()
    await check()
    await tab.press("Cancel the visit")
    await tab.press("Cancel the visit")
    assert "by you" in await tab.text()
    await tab.page.locator("main").get_by_role("link", name="Mia Lee").click()
    assert "Mia Lee has no upcoming visits." in await tab.text()
    await check()
    await tab.press("Remove Mia Lee")
    await check()
    await tab.press("Remove Mia Lee")
    assert "You no longer book for Mia Lee." in await tab.text()
    assert not faults
