"""The time zones and the formats in which pages show times and search by them."""

import re
from datetime import date
from html import unescape

import httpx2
import pytest
from babel import Locale
from icalendar import Calendar

from app.web.kit.formatting import Formatter
from tests.conftest import Register, SetClock
from tests.people import Person
from tests.web.clinic import register_in_three_zones
from tests.web.conftest import Forms
from tests.web.markup import read_text

BROWSERS = ["en-US,en;q=0.9", "de-DE,de;q=0.9", "es-ES,es;q=0.9"]
EARLIEST = re.compile(r'name="start" value="([^"]+)"')
DOCTORS_OWN_ZONE = {
    "en": "In each doctor's own time zone.",
    "de": "In der Zeitzone der jeweiligen Praxis.",
    "es": "En la zona horaria de cada consulta.",
}


def read_button_times(page: httpx2.Response) -> set[str]:
    """Return the times on the buttons, as 24-hour times."""
    assert page.status_code == 200
    found = re.findall(r'name="start" value="[^"]+"[^>]*>(\d\d?):(\d\d)(?:\s([AP]M))?', page.text)
    return {
        f"{int(hour) % 12 + 12 * (half == 'PM') if half else int(hour):02}:{minute}" for hour, minute, half in found
    }


async def test_part_of_the_day_filters_by_the_times_shown(client: httpx2.AsyncClient, register: Register) -> None:
    await register_in_three_zones(register)
    for browser in BROWSERS:
        client.headers["Accept-Language"] = browser
        for part, hours in (("morning", ("09:00", "12:00")), ("evening", ("17:00", "19:00"))):
            page = await client.get("/", params={"part": part, "specialty": "Cardiology"})
            assert all(f"Dr {name}" in page.text for name in ("York", "Berg", "Sid")), (browser, part)
            times = read_button_times(page)
            assert times, (browser, part)
            assert all(hours[0] <= time < hours[1] for time in times), (browser, part)
            assert DOCTORS_OWN_ZONE[browser[:2]] in unescape(page.text)
        page = await client.get("/", params={"part": "afternoon"})
        assert not read_button_times(page), browser


async def test_part_of_the_day_filters_by_the_chosen_time_zone(client: httpx2.AsyncClient, register: Register) -> None:
    await register_in_three_zones(register)
    client.cookies.set("zone", "Australia/Sydney")
    for browser in BROWSERS:
        client.headers["Accept-Language"] = browser
        page = await client.get("/", params={"part": "morning"})
        # When it is morning in New York or evening in Berlin, it is after midnight in Sydney.
        assert all(f"Dr {name}" in page.text for name in ("York", "Berg", "Sid")), browser
        assert all(time < "12:00" for time in read_button_times(page)), browser
        assert re.search(r'id="part-hint">[^<]+ S[yí]dney\.<', page.text), browser


async def test_first_day_filters_by_the_dates_shown(client: httpx2.AsyncClient, register: Register) -> None:
    await register_in_three_zones(register)
    starts = EARLIEST.findall((await client.get("/", params={"day": "2026-12-03"})).text)
    # Midnight of 3 December comes first in Sydney.
    assert min(starts) == "2026-12-02T22:00:00Z"
    later = EARLIEST.findall((await client.get("/", params={"day": "2026-12-03", "part": "evening"})).text)
    assert min(later) == "2026-12-03T06:00:00Z"


async def test_clinic_in_one_time_zone_names_no_zones(client: httpx2.AsyncClient, register: Register) -> None:
    doctor = await register("doctor", name="Dr York", time_zone="America/New_York")
    await doctor.set_hours(tuesday=[["09:00", "12:00"]])
    for name in ("Toronto", "Detroit"):  # the same zone under another name
        await register("doctor", name=f"Dr {name}", time_zone=f"America/{name}")
    page = await client.get("/", params={"part": "morning"})
    assert read_button_times(page) == {"09:00", "09:30", "10:00", "10:30", "11:00", "11:30"}
    assert "part-hint" not in page.text


NINE_IN_NEW_YORK = "2026-12-08T14:00:00Z"
SENTENCES = {
    "en": "Tuesday, December 8, 9:00 \u2013\u2060 9:30 AM (New York time), 30 minutes, with Dr York",
    "de": "Dienstag, 8. Dezember, 09:00\u2013\u206009:30 Uhr (New York), 30 Minuten, bei Dr York",
    "es": "Martes 8 de diciembre, 9:00\u2013\u20609:30 (hora de Nueva York), 30 minutos, con Dr York",
}


async def book_on_pages(forms: Forms, doctor: Person, start: str, **visit_type: str) -> tuple[str, list[str]]:
    """Pick a time and book it. Return the address of the visit, and the texts of the pages on the way."""
    slot = {"doctor": doctor.id, "start": start, **visit_type}
    picked = await forms.send("/visit/pick", on=f"/with/{doctor.id}", **slot)
    assert picked.status_code == 303, picked.text
    confirming = picked.headers["Location"]
    texts = [read_text(await forms.client.get(confirming))]
    booked = await forms.send(confirming, **slot)
    assert booked.status_code == 303, booked.text
    texts.append(read_text(await forms.client.get(booked.headers["Location"])))
    return f"/my/appointments/{booked.headers['Location'].rpartition('/')[2]}", texts


@pytest.mark.parametrize("browser", BROWSERS)
async def test_pages_name_the_time_zone_where_zones_differ(
    client: httpx2.AsyncClient, register: Register, forms: Forms, patient: Person, browser: str
) -> None:
    doctors = await register_in_three_zones(register)
    client.headers["Accept-Language"] = browser
    sentence, place = SENTENCES[browser[:2]], "Nueva York" if browser.startswith("es") else "New York"
    await forms.sign_in(patient)
    pick = f"/visit/pick?doctor={doctors['York'].id}&start={NINE_IN_NEW_YORK}"
    assert sentence in read_text(await client.get(pick))
    visit, texts = await book_on_pages(forms, doctors["York"], NINE_IN_NEW_YORK)
    assert all(sentence in page for page in texts)
    for path in ("", "/cancel", "/move", "/move?start=2026-12-08T15:00:00Z"):
        page = read_text(await client.get(visit + path))
        assert sentence in page, path
        # Every time on these pages that is not on a button names its zone.
        assert not re.search(rf"8[^,]*, \d\d?:\d\d(?!.{{0,25}}{place})", page), path
    other = await register("patient")
    await other.book(doctors["York"], "2026-12-08T14:30:00Z")
    taken = await forms.send("/visit/pick", on="/my/account", doctor=doctors["York"].id, start="2026-12-08T14:30:00Z")
    assert taken.status_code == 409
    assert place in read_text(taken)
    [event] = Calendar.from_ical((await client.get(f"{visit}/calendar.ics")).text).walk("VEVENT")
    assert " ".join(str(event["DESCRIPTION"]).split()) == sentence
    await patient.book(doctors["Sid"], "2026-12-09T22:00:00Z")
    listed = read_text(await client.get("/my/appointments"))
    assert place in listed
    assert re.search("S[yí]dney", listed)
    assert place in read_text(await client.get(f"/with/{doctors['York'].id}"))


async def test_video_visit_shows_the_times_of_both_time_zones(
    client: httpx2.AsyncClient, register: Register, forms: Forms, patient: Person
) -> None:
    doctor = await register("doctor", name="Dr Rao", time_zone="Asia/Kolkata")
    await doctor.set_hours(tuesday=[["11:30", "14:00"]])
    visit_type = (await doctor.add_visit_type(name="Talk", duration_minutes=30, mode="video"))["id"]
    client.cookies.set("zone", "Europe/London")
    await forms.sign_in(patient)
    visit, texts = await book_on_pages(forms, doctor, "2026-12-08T06:00:00Z", type=visit_type)
    for page in (*texts, read_text(await client.get(visit)), read_text(await client.get("/my/appointments"))):
        assert "06:00\u2013\u206006:30 (London time)" in page
        assert "11:30\u2013\u206012:00 (Kolkata time)" in page
    [event] = Calendar.from_ical((await client.get(f"{visit}/calendar.ics")).text).walk("VEVENT")
    assert "(London time)" in str(event["DESCRIPTION"])
    assert "(Kolkata time)" in str(event["DESCRIPTION"])


async def test_clinic_in_one_time_zone_names_it_for_remote_visits_only(
    client: httpx2.AsyncClient, register: Register, forms: Forms, patient: Person
) -> None:
    doctor = await register("doctor", name="Dr York", time_zone="America/New_York")
    await doctor.set_hours(tuesday=[["09:00", "12:00"]])
    await forms.sign_in(patient)
    for mode, is_named in (("in_person", False), ("video", True), ("phone", True)):
        visit_type = (await doctor.add_visit_type(duration_minutes=30, mode=mode))["id"]
        visit, texts = await book_on_pages(forms, doctor, NINE_IN_NEW_YORK, type=visit_type)
        for page in (*texts, read_text(await client.get(visit)), read_text(await client.get("/my/appointments"))):
            assert ("New York time" in page) is is_named, (mode, page)
        assert (await patient.delete(visit.replace("/my", ""))).is_success


async def test_hold_shows_the_remaining_minutes(
    client: httpx2.AsyncClient, register: Register, forms: Forms, patient: Person, clock: SetClock
) -> None:
    doctors = await register_in_three_zones(register)
    await forms.sign_in(patient)
    slot = {"doctor": doctors["York"].id, "start": NINE_IN_NEW_YORK}
    confirming = (await forms.send("/visit/pick", on="/my/account", **slot)).headers["Location"]
    for seconds, remaining in ((0, "5 minutes"), (61, "4 minutes"), (238, "1 minute")):
        clock.advance(seconds=seconds)
        assert f"Reserved for you for {remaining}." in read_text(await client.get(confirming))


async def test_administrator_sees_the_time_zone_of_a_visit(
    client: httpx2.AsyncClient, register: Register, forms: Forms, patient: Person, admin: Person
) -> None:
    doctors = await register_in_three_zones(register)
    await patient.book(doctors["York"], NINE_IN_NEW_YORK)
    await forms.sign_in(admin)
    account = f"/office/users/{patient.id}"
    await forms.send(f"{account}/break-glass", on=f"{account}?decision=break-glass", reason="An emergency")
    assert "09:00 (New York time)" in read_text(await client.get(f"{account}/visits"))


@pytest.mark.parametrize(
    ("language", "first", "last", "expected"),
    [
        ("en_GB", date(2026, 12, 7), date(2026, 12, 13), "7 Dec \u2013 13 Dec"),
        ("en_GB", date(2026, 12, 28), date(2027, 1, 3), "28 Dec 2026 \u2013 3 Jan 2027"),
        ("en_GB", date(2027, 1, 4), date(2027, 1, 10), "4 Jan \u2013 10 Jan 2027"),
        ("en_GB", date(2027, 12, 27), date(2028, 1, 2), "27 Dec 2027 \u2013 2 Jan 2028"),
        ("en_GB", date(2027, 1, 4), date(2027, 1, 4), "4 Jan 2027"),
        ("de", date(2026, 12, 28), date(2027, 1, 3), "28. Dez. 2026 \u2013 3. Jan. 2027"),
        ("de", date(2027, 1, 4), date(2027, 1, 10), "4. Jan. \u2013 10. Jan. 2027"),
        ("en_US", date(2026, 12, 28), date(2027, 1, 3), "Dec 28, 2026 \u2013 Jan 3, 2027"),
        ("en_US", date(2026, 12, 7), date(2026, 12, 13), "Dec 7 \u2013 Dec 13"),
        ("es", date(2026, 12, 28), date(2027, 1, 3), "28 dic 2026 \u2013 3 ene 2027"),
        ("es", date(2027, 1, 4), date(2027, 1, 10), "4 ene \u2013 10 ene 2027"),
    ],
)
def test_span_of_days_names_each_year_once(language: str, first: date, last: date, expected: str) -> None:
    assert Formatter(Locale.parse(language), date(2026, 12, 1)).days(first, last) == expected


@pytest.mark.parametrize(
    ("country", "start", "end", "expected"),
    [
        ("en_US", 450, 470, "7:30 \u2013\u2060 7:50 AM"),
        ("en_US", 690, 740, "11:30 AM \u2013\u2060 12:20 PM"),
        ("en_US", 540, 1440, "9:00 AM \u2013\u2060 12:00 AM"),
        ("en_US", 0, 1440, "12:00 AM \u2013\u2060 12:00 AM"),
        ("en_US", 600, 540, "10:00 AM \u2013\u2060 9:00 AM"),
        ("es_MX", 450, 470, "7:30\u2013\u20607:50 a.m."),
        ("en_GB", 540, 1440, "09:00\u2013\u206000:00"),
        ("de_DE", 450, 470, "07:30\u2013\u206007:50"),
    ],
)
def test_range_of_times_does_not_break_and_names_am_or_pm(country: str, start: int, end: int, expected: str) -> None:
    shown = Formatter(Locale.parse(country), date(2026, 12, 1)).hours(start, end)
    assert shown == expected.replace(" ", "\N{NARROW NO-BREAK SPACE}")


async def test_times_are_written_as_in_the_country_of_the_reader(
    client: httpx2.AsyncClient, register: Register, forms: Forms
) -> None:
    doctor = await register("doctor", name="Dr York")
    await doctor.set_hours(tuesday=[["14:30", "15:00"]])
    await doctor.set_hours(monday=[["14:30", "15:00"]], valid_from="2027-07-01", valid_to="2027-08-31")
    await forms.sign_in(doctor)
    failures = []
    for browser, start in (
        ("en-US", "2:30 PM"),
        ("en-AU", "2:30 pm"),
        ("en-GB", "14:30"),
        ("en", "14:30"),
        ("de-DE", "14:30"),
        ("es-ES", "14:30"),
        ("es-MX", "2:30 p.m."),
    ):
        client.headers["Accept-Language"] = browser
        end = start.replace("14:30", "15:00").replace("2:30", "3:00")
        for path, expected in (("/", start), (f"/with/{doctor.id}", start), ("/practice/hours", end)):
            if expected not in read_text(await client.get(path)):
                failures.append((browser, path, expected))
    assert not failures


LOWER_CASE_DAY = re.compile(r"(?:lunes|martes|miércoles|jueves|viernes|sábado|domingo|lun|mar|mié|jue|vie|sáb|dom)\b")


async def test_days_in_headings_cells_and_titles_begin_with_a_capital(
    client: httpx2.AsyncClient, register: Register, forms: Forms, patient: Person, admin: Person
) -> None:
    """In Spanish, the names of days are in lower case elsewhere."""
    client.headers["Accept-Language"] = "es-ES"
    doctor = (await register_in_three_zones(register))["York"]
    visit = await patient.book(doctor, NINE_IN_NEW_YORK)
    await doctor.take_time_off("2026-12-09T14:00:00Z", "2026-12-09T15:00:00Z")
    await doctor.publish("2026-12-12T14:00:00Z", "2026-12-12T15:00:00Z")
    days = 0
    for person, paths in (
        (None, ("/", f"/with/{doctor.id}", f"/with/{doctor.id}?week=2026-12-08")),
        (patient, ("/my/appointments", f"/my/appointments/{visit['id']}")),
        (
            doctor,
            (
                "/practice/week",
                "/practice/day?day=2026-12-08",
                f"/practice/visits/{visit['id']}",
                "/practice/hours/time-off",
                "/practice/hours/extra",
                "/practice/hours/explain?day=2026-12-08&clock=09:00",
            ),
        ),
        (admin, ("/office/trail", f"/office/users/{doctor.id}")),
    ):
        if person:
            await forms.sign_in(person)
        for path in paths:
            shown = await client.get(path)
            assert shown.status_code == 200, path
            # Each text directly after the start of an element, with its labels.
            texts = re.findall(r"<(?:title|h\d|dt|dd|p|time|th|legend|a|span)\b[^>]*>\s*([^<\s]+)", shown.text)
            texts += re.findall(r'aria-label="([^"\s]+)', shown.text)
            assert not [text for text in texts if LOWER_CASE_DAY.match(text)], path
            days += sum(bool(LOWER_CASE_DAY.match(text.lower())) for text in texts)
    assert days > 20
