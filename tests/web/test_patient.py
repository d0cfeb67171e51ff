"""What patients do, in a browser without JavaScript."""

import asyncio
import re

import pytest
from icalendar import Calendar

from app.adapters.mail import Mail
from tests.conftest import ConfirmEmail, Register, SetClock
from tests.people import PASSWORD, Person
from tests.web.clinic import LONG_NAME, Clinic, open_clinic
from tests.web.conftest import DESK, OpenTab, Tab, on_both_databases

SENTENCE = "Tuesday 8 December, 10:30\u2013\u206011:00, 30 minutes, with Dr Amara Okafor"
SENTENCE_WITH_CLOCK = SENTENCE.replace("11:00,", "11:00 (New York time),")


@pytest.fixture
async def clinic(register: Register) -> Clinic:
    return await open_clinic(register)


async def pick(tab: Tab, clinic: Clinic, clock: str = "10:30", day: str = "Tuesday 8 December") -> None:
    await tab.go(f"/with/{clinic.doctor.id}?type={clinic.visit_type}&week=2026-12-08")
    await tab.page.get_by_role("button", name=f"{clock}, {day}").click()


@pytest.mark.usefixtures("clinic")
async def test_patient_searches_books_moves_and_cancels(open_tab: OpenTab, mails: list[Mail]) -> None:
    tab = await open_tab()
    await tab.go("/")
    assert await tab.page.locator(".mark-first").count() == 1
    await tab.press("Change the time zone")
    await tab.page.locator("[name=zone]").select_option("America/New_York")
    await tab.press("Show times for this place")
    await tab.page.locator("main [name=specialty]").fill("Dermatology")
    await tab.page.locator("main [name=part]").select_option("morning")
    await tab.press("Search")
    assert await tab.page.locator("[name=specialty]").input_value() == "Dermatology"
    assert LONG_NAME not in await tab.text()
    await tab.page.get_by_role("link", name="Dr Amara Okafor").first.click()
    await tab.press("Check-up")
    await tab.press("Later")
    # The visitor picks a time before signing in. It is held after they have registered.
    await tab.page.get_by_role("button", name="10:30, Tuesday 8 December").click()
    await tab.press("Create an account")
    await tab.fill(name="Ann Lee", email="ann@example.com", password="short")
    await tab.press("Create the account")
    await tab.fill(password=PASSWORD)
    await tab.press("Create the account")
    assert await tab.heading() == "Book this visit"
    assert SENTENCE in await tab.text()
    assert "Reserved for you for 5 minutes." in await tab.text()
    await tab.fill(reason="A mole")
    await tab.press("Book the visit")
    assert await tab.heading() == "Your visit is booked"
    assert SENTENCE in await tab.text()

    file = await tab.page.context.request.get(
        tab.address + str(await tab.page.get_by_role("link", name="calendar").get_attribute("href"))
    )
    [event] = Calendar.from_ical(await file.text()).walk("VEVENT")
    assert event["DESCRIPTION"] == SENTENCE_WITH_CLOCK
    assert event["DTSTART"].to_ical() == b"20261208T153000Z"

    await tab.page.locator("main").get_by_role("link", name="My appointments").click()
    await tab.page.get_by_role("link", name="Dr Amara Okafor").click()
    assert "You can cancel or move the visit here until Monday 7 December, 10:30." in await tab.text()
    await tab.press("Move the visit")
    await tab.page.get_by_role("button", name="09:00, Friday 11 December").click()
    assert await tab.heading() == "Move the visit to this time?"
    await tab.press("Move the visit")
    assert "The visit has been moved." in await tab.text()
    assert "Friday 11 December, 09:00\u2013\u206009:30" in await tab.text()
    await tab.press("Cancel the visit")
    await tab.fill(reason="I am down with a cold")
    await tab.press("Cancel the visit")
    assert "The visit has been cancelled." in await tab.text()
    assert "by you: I am down with a cold" in await tab.text()
    assert not mails


@on_both_databases
async def test_one_of_two_patients_picking_the_same_time_gets_it(
    open_tab: OpenTab, clinic: Clinic, patient: Person, register: Register
) -> None:
    other = await register("patient", name="Bob Ray")
    tabs = [await open_tab(), await open_tab(viewport=DESK)]
    for tab, person in zip(tabs, (patient, other), strict=True):
        await tab.sign_in(person.email)
        await tab.go(f"/with/{clinic.doctor.id}?type={clinic.visit_type}&week=2026-12-08")
    await asyncio.gather(*(tab.page.get_by_role("button", name="10:30, Tuesday 8 December").click() for tab in tabs))
    headings = [await tab.heading() for tab in tabs]
    assert sorted(headings) == ["Book this visit", "This time has just been taken"]
    refused = tabs[headings.index("This time has just been taken")]
    assert "This time has just been taken. Choose another time." in await refused.text()
    await refused.page.get_by_role("button", name="11:00, Tuesday 8 December").click()
    assert await refused.heading() == "Book this visit"


async def test_reason_is_kept_when_the_time_of_an_expired_hold_is_booked(
    open_tab: OpenTab, clinic: Clinic, patient: Person, register: Register, clock: SetClock
) -> None:
    tab = await open_tab()
    await tab.sign_in(patient.email)
    await pick(tab, clinic)
    confirming = tab.path
    clock.advance(minutes=6)
    other = await register("patient")
    body = {"doctor_id": clinic.doctor.id, "start_time": "2026-12-08T15:30:00Z", "visit_type_id": clinic.visit_type}
    assert (await other.post("/appointments", body)).status_code == 201
    await tab.fill(reason="A mole\nthat itches")
    await tab.press("Book the visit")
    assert await tab.heading() == "This time has just been taken"
    await tab.page.locator(".slots button").first.click()
    assert await tab.page.locator("[name=reason]").input_value() == "A mole\nthat itches"
    await tab.go(confirming)
    assert await tab.heading() == "This time is no longer reserved"


async def test_booking_continues_after_the_session_has_ended(
    open_tab: OpenTab, clinic: Clinic, patient: Person, clock: SetClock
) -> None:
    tab = await open_tab()
    await tab.sign_in(patient.email)
    await pick(tab, clinic)
    clock.advance(hours=2)
    await tab.fill(reason="A mole")
    await tab.press("Book the visit")
    assert "Your session has ended. Sign in to continue." in await tab.text()
    await tab.fill(username=patient.email, password=PASSWORD)
    await tab.page.locator("main").get_by_role("button", name="Sign in").click()
    assert await tab.heading() == "This time is no longer reserved for you"
    await tab.press("Reserve this time")
    assert await tab.page.locator("[name=reason]").input_value() == "A mole"
    await tab.press("Book the visit")
    assert await tab.heading() == "Your visit is booked"
    assert "draft" not in {cookie["name"] for cookie in await tab.page.context.cookies()}


@on_both_databases
async def test_back_button_and_repeated_form_book_once(open_tab: OpenTab, clinic: Clinic, patient: Person) -> None:
    tab = await open_tab()
    await tab.sign_in(patient.email)
    await pick(tab, clinic)
    await tab.page.locator("[name=reason]").wait_for()  # evaluate() does not wait
    form = dict(
        await tab.page.locator("form:has([name=reason]) [name]").evaluate_all(
            "fields => fields.map(field => [field.name, field.value])"
        )
    )
    request, confirming = tab.page.context.request, tab.page.url
    responses = await asyncio.gather(*(request.post(confirming, form=form) for _ in range(3)))
    assert {response.url for response in responses} == {responses[0].url}
    assert "/visit/done/" in responses[0].url
    await tab.page.goto(responses[0].url)
    await tab.page.go_back()
    assert await tab.heading() == "Your visit"
    assert SENTENCE_WITH_CLOCK in await tab.text()
    assert len((await patient.get("/appointments")).json()) == 1


async def test_visit_can_be_booked_by_keyboard_alone(open_tab: OpenTab, clinic: Clinic, patient: Person) -> None:
    tab = await open_tab(viewport=DESK)
    keys = tab.page.keyboard

    async def reach(name: str) -> None:
        focused = ""
        for _ in range(200):
            await keys.press("Tab")
            focused = await tab.page.evaluate(
                "() => { const each = document.activeElement;"
                " return each.getAttribute('aria-label') || each.innerText || each.name || ''; }"
            )
            if focused.startswith(name):
                return
        raise AssertionError(f"{name} cannot be reached")

    await tab.go(f"/with/{clinic.doctor.id}?type={clinic.visit_type}&week=2026-12-08")
    await keys.press("Tab")
    assert await tab.page.locator(":focus").inner_text() == "Skip to main content"
    await keys.press("Enter")
    await reach("10:30, Tuesday 8 December")
    await keys.press("Enter")
    await tab.page.locator("[name=username]:focus").wait_for()  # the focus arrives shortly after the page
    await keys.type(patient.email)
    await keys.press("Tab")
    await keys.type(PASSWORD)
    await keys.press("Enter")
    await tab.page.wait_for_url("**/visit/*")
    await reach("reason")
    await keys.type("A mole")
    await reach("Book the visit")
    await keys.press("Enter")
    await tab.page.wait_for_url("**/visit/done/**")
    assert SENTENCE_WITH_CLOCK in await tab.text()


async def test_slots_of_a_night_with_a_clock_change(open_tab: OpenTab, register: Register, clock: SetClock) -> None:
    doctor = await register("doctor", name="Dr Night", time_zone="Europe/Berlin")
    await doctor.publish("2027-03-28T00:00:00+01:00", "2027-03-28T05:00:00+02:00")
    await doctor.publish("2027-10-31T00:00:00+02:00", "2027-10-31T04:00:00+01:00")
    tab = await open_tab()
    clock.time = clock.time.replace(year=2027, month=3, day=20)
    await tab.go(f"/with/{doctor.id}?week=2027-03-28")
    times = [each.split("\n")[0] for each in await tab.page.locator(".slots button").all_inner_texts()]
    assert times == ["00:00", "00:30", "01:00", "01:30", "03:00", "03:30", "04:00", "04:30"]
    clock.time = clock.time.replace(month=10, day=20)
    await tab.go(f"/with/{doctor.id}?week=2027-10-31")
    times = [each.split("\n")[0] for each in await tab.page.locator(".slots button").all_inner_texts()]
    assert times[4:8] == ["02:00 CEST", "02:30 CEST", "02:00 CET", "02:30 CET"]


async def test_slots_show_both_local_times_where_they_differ(open_tab: OpenTab, clinic: Clinic) -> None:
    tab = await open_tab()
    await tab.go("/preferences")
    await tab.page.locator("[name=zone]").select_option("Europe/Berlin")
    await tab.press("Show times for this place")
    await tab.go(f"/with/{clinic.doctor.id}?type={clinic.visit_type}&week=2026-12-08")
    slot = tab.page.get_by_role("button", name="16:30, Tuesday 8 December")
    assert (await slot.inner_text()).split("\n") == ["16:30", "10:30"]
    assert "Times in Berlin; below each, the doctor's local time in New York." in await tab.text()


async def test_chosen_language_is_kept_and_sets_the_first_day_of_the_week(open_tab: OpenTab, clinic: Clinic) -> None:
    tab = await open_tab(locale="en-US")
    address = f"/with/{clinic.doctor.id}?type={clinic.visit_type}&week=2026-12-08"
    await tab.go(address)
    assert await tab.page.locator(".day-name span").first.inner_text() == "Sun"
    await tab.press("Deutsch")
    assert tab.path == address
    assert await tab.page.locator(".day-name span").first.inner_text() == "Mo."
    assert await tab.page.get_by_role("button", name="10:30, Dienstag, 8. Dezember").count() == 1


@on_both_databases
async def test_patient_manages_their_account(open_tab: OpenTab, patient: Person, confirm_email: ConfirmEmail) -> None:
    await confirm_email(patient)
    tab = await open_tab()
    await tab.sign_in(patient.email)
    for path, press, expected in (
        ("/my/account/sessions", "End this session", "The session has ended."),
        ("/my/account/second-factor", "Set it up", "Enter the six digits"),
    ):
        await tab.go(path)
        await tab.press(press)
        assert expected in await tab.text()
    assert await tab.page.locator(".picture svg").count() == 1
    assert re.fullmatch(r"[A-Z2-7]{32}", await tab.page.locator(".key").inner_text())
    await tab.fill(otp="000000")
    await tab.press("Turn it on")
    assert "This is not the code that your app shows now." in await tab.text()
    await tab.go("/my/account/password")
    await tab.fill(current_password="not it at all", new_password="another good one")
    await tab.press("Save the password")
    assert "This is not your password." in await tab.text()
    await tab.fill(current_password=PASSWORD, new_password="another good one")
    await tab.press("Save the password")
    assert "Your password has been changed." in await tab.text()
    await tab.go("/my/account/data")
    export = await tab.page.context.request.get(f"{tab.address}/my/account/export.json")
    assert (await export.json())["account"]["email"] == patient.email
    await tab.page.locator("#sure").check()
    await tab.press("Delete my account")
    assert "Your account has been deleted." in await tab.text()


async def test_sign_in_continues_to_the_requested_page(open_tab: OpenTab, patient: Person) -> None:
    tab = await open_tab()
    await tab.go("/my/account/sessions")
    assert "Sign in or create an account" in await tab.text()
    await tab.fill(username=patient.email, password="not it")
    await tab.page.locator("main").get_by_role("button", name="Sign in").click()
    assert "the password is wrong" in await tab.text()
    assert await tab.page.locator("#username").input_value() == patient.email
    await tab.fill(password=PASSWORD)
    await tab.page.locator("main").get_by_role("button", name="Sign in").click()
    assert tab.path == "/my/account/sessions"
    assert "this session" in await tab.text()
