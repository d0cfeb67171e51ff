"""The doctor's hours, time off, visit types and profile."""

import re

import httpx2
import pytest

from tests.conftest import Register
from tests.people import Person
from tests.web.conftest import Forms, on_both_databases
from tests.web.doctor import fill_day, open_practice

HOURS, TIME_OFF, VISIT_TYPES = "/practice/hours", "/practice/hours/time-off", "/practice/profile/visit-types"


@pytest.fixture
async def doctor(register: Register, forms: Forms) -> Person:
    doctor = await open_practice(register)
    await forms.sign_in(doctor)
    return doctor


def read_fields(html: str) -> dict[str, str]:
    """Return the values of the time and date fields of the weekly hours."""
    return dict(
        re.findall(r'<input (?:id="[^"]+" name|type="time" id="[^"]+" name)="([^"]+)"[^>]*? value="([^"]*)"', html)
    )


async def test_adding_a_window_keeps_the_typed_values_and_saves_nothing(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    shown = read_fields((await client.get(HOURS)).text)
    assert (shown["monday_0_from"], shown["monday_1_to"], shown["monday_2_from"]) == ("09:00", "17:00", "")
    typed = shown | {"saturday_0_from": "10:00", "saturday_0_to": "", "add": "saturday"}
    more = await forms.send(HOURS, **typed)
    assert more.status_code == 200
    again = read_fields(more.text)
    assert (again["saturday_0_from"], again["saturday_1_from"]) == ("10:00", "")
    assert again["tuesday_1_to"] == "17:00"
    assert (await doctor.get("/doctors/me/hours")).json()["saturday"] == []


async def test_weekly_hours_are_saved_as_typed(doctor: Person, forms: Forms) -> None:
    typed = {
        "monday_0_from": "",
        "monday_0_to": "",
        "monday_1_from": "13:00",
        "monday_1_to": "00:00",
        "friday_0_from": "22:00",
        "friday_0_to": "06:00",
        "sunday_0_from": "00:00",
        "sunday_0_to": "00:00",
        "valid_from": "2026-12-07",
        "valid_to": "2026-12-20",
    }
    assert (await forms.send(HOURS, **typed)).headers["location"] == f"{HOURS}#monday"
    saved = (await doctor.get("/doctors/me/hours?from=2026-12-07")).json()
    assert saved["monday"] == [["13:00", "24:00"]]
    assert saved["friday"] == [["22:00", "06:00"]]
    assert saved["sunday"] == [["00:00", "24:00"]]
    assert (await doctor.get("/doctors/me/hours?from=2026-12-21")).json()["tuesday"][0] == ["09:00", "12:00"]


async def test_invalid_weekly_hours_are_shown_again(doctor: Person, forms: Forms) -> None:
    for typed, expected in (
        ({"monday_0_from": "9", "monday_0_to": "10:00"}, 'id="monday_0_from-error"'),
        ({"monday_0_from": "09:00", "monday_0_to": ""}, 'id="monday_0_to-error"'),
        ({"monday_1_from": "09:00", "monday_1_to": "09:00", "monday_0_from": ""}, 'id="monday_1_to-error"'),
        (
            {"monday_0_from": "09:00", "monday_0_to": "12:00", "monday_1_from": "11:00", "monday_1_to": "13:00"},
            "Two periods overlap here.",
        ),
        ({"monday_0_from": "09:00", "monday_0_to": "12:00", "valid_from": "2026-11-01"}, "This day is in the past."),
    ):
        refused = await forms.send(HOURS, **typed)
        assert refused.status_code == 422, typed
        assert expected in refused.text, typed
        assert read_fields(refused.text).items() >= {name: value for name, value in typed.items() if value}.items()
    assert (await doctor.get("/doctors/me/hours")).json()["monday"][0] == ["09:00", "12:00"]


async def save_as_shown(forms: Forms, page: str, **typed: str) -> httpx2.Response:
    """Send the form for weekly hours with its current values, except for those that are typed."""
    shown = await forms.client.get(page)
    action = re.search(r'action="(/practice/hours\?day=[^"]+)"', shown.text)
    assert action
    return await forms.send(action[1], on=page, **read_fields(shown.text) | typed)


@pytest.mark.usefixtures("doctor")
async def test_window_with_one_time_is_marked(forms: Forms) -> None:
    typed = {"friday_0_from": "09:00", "friday_0_to": "", "sunday_0_from": "", "sunday_0_to": "17:00"}
    refused = await forms.send(HOURS, **typed)
    assert refused.status_code == 422
    for field in ("friday_0_to", "sunday_0_from"):
        marked = refused.text.partition(f'id="{field}-error"')[2].partition("</p>")[0]
        assert "Enter both times, or leave both empty." in marked


async def test_saving_a_period_as_shown_changes_nothing(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await doctor.set_hours(monday=[["10:00", "11:00"]], valid_from="2026-12-04")
    await doctor.set_hours(monday=[["00:00", "24:00"]], valid_from="2027-07-01", valid_to="2027-08-31")
    kept = (await doctor.get("/doctors/me/availability")).json()
    for query, dates, monday, last in (
        ("", "In effect until Thursday 3 December", "09:00", ""),
        ("?day=2026-12-10", "Friday 4 December \u2013 Wednesday 30 June 2027", "10:00", ""),
        ("?day=2027-07-31", "Thursday 1 July 2027 \u2013 Tuesday 31 August 2027", "00:00", ""),
        ("?day=2031-01-01", "From Wednesday 1 September 2027", "10:00", ""),
    ):
        html = (await client.get(HOURS + query)).text
        shown = read_fields(html)
        assert f'<p class="soft">{dates}</p>' in html
        assert (shown["monday_0_from"], shown["valid_to"]) == (monday, last)
        assert (await save_as_shown(forms, HOURS + query)).headers["location"] == HOURS
        assert (await doctor.get("/doctors/me/availability")).json() == kept, query


async def test_last_day_of_the_last_period_is_kept_unless_it_is_cleared(doctor: Person, forms: Forms) -> None:
    await doctor.set_hours(valid_from="2027-07-01")
    kept = (await doctor.get("/doctors/me/availability")).json()
    assert (await save_as_shown(forms, HOURS)).status_code == 303
    assert (await doctor.get("/doctors/me/availability")).json() == kept
    assert (await save_as_shown(forms, HOURS, valid_to="")).status_code == 303
    assert (await doctor.get("/doctors/me/hours")).json()["valid_to"] is None


async def test_planned_hours_are_listed_kept_and_cancelled(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    assert "Current and planned hours" not in (await client.get(HOURS)).text
    await doctor.set_hours(
        **{day: [["08:00", "11:00"]] for day in ("monday", "tuesday", "friday")},
        valid_from="2027-07-01",
        valid_to="2027-08-31",
    )
    assert (await save_as_shown(forms, HOURS, monday_1_to="16:00")).status_code == 303
    planned = (await doctor.get("/doctors/me/hours")).json()
    assert planned["monday"] == planned["later"][1]["monday"] == [["09:00", "12:00"], ["13:00", "16:00"]]
    html = (await client.get(HOURS)).text
    listed = html[html.index("Current and planned hours") :]
    assert "Monday \u2013 Tuesday: 08:00\u2013\u206011:00" in listed
    assert listed.index("In effect until Wednesday 30 June 2027") < listed.index("Thursday 1 July 2027 \u2013")
    assert "Same as today" in listed[listed.index("From Wednesday 1 September 2027") :]
    assert listed.count("Cancel these planned hours") == 1
    cancel = f"{HOURS}/later/2027-07-01/cancel"
    assert (await forms.send(cancel, on=HOURS)).headers["location"] == f"{HOURS}#planned"
    assert (await doctor.get("/doctors/me/hours")).json()["later"] == []
    gone = await forms.send(cancel, on=HOURS)
    assert gone.status_code == 404


async def test_planned_hours_are_replaced_on_request(doctor: Person, forms: Forms) -> None:
    await doctor.set_hours(monday=[["08:00", "11:00"]], valid_from="2027-07-01")
    refused = await save_as_shown(forms, HOURS, replace_later="yes", valid_to="2027-01-31")
    assert refused.status_code == 422
    assert "Leave the last day empty" in refused.text
    assert (await save_as_shown(forms, HOURS, replace_later="yes")).status_code == 303
    assert (await doctor.get("/doctors/me/hours")).json()["later"] == []


async def test_time_off_preview_lists_the_booked_visits(
    doctor: Person, patient: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await fill_day(doctor, patient, day="2026-12-02")
    days = {"first": "2026-12-02", "last": "2026-12-03", "leaves": "", "returns": ""}
    preview = await client.get(f"{TIME_OFF}/preview", params=days)
    assert "1 visit is booked during this time." in preview.text
    assert "Ann Lee" in preview.text
    assert (await doctor.get("/doctors/me/time-off")).json() == []
    taken = await forms.send(
        TIME_OFF, on=f"{TIME_OFF}/preview?first=2026-12-02&last=2026-12-03", **days, reason="Conference"
    )
    assert taken.headers["location"] == f"{HOURS}/conflicts"
    [kept] = (await doctor.get("/doctors/me/time-off")).json()
    assert (kept["start_time"], kept["end_time"]) == ("2026-12-01T23:00:00Z", "2026-12-03T23:00:00Z")
    outside = (await client.get(f"{HOURS}/conflicts")).text
    assert "1 visit is now outside your hours" in outside
    assert "Ann Lee" in outside
    assert (await forms.send(f"{TIME_OFF}/{kept['id']}/remove", on=TIME_OFF)).headers["location"] == TIME_OFF
    assert "All booked visits are within your hours" in (await client.get(f"{HOURS}/conflicts")).text


@pytest.mark.usefixtures("doctor")
async def test_invalid_time_off_is_shown_again(client: httpx2.AsyncClient) -> None:
    for days, expected in (
        ({"first": "2026-12-03", "last": "2026-12-02"}, 'id="last-error"'),
        ({"first": "2026-11-01", "last": "2026-11-02"}, "This day is in the past."),
        ({"first": "soon", "last": ""}, 'value="soon"'),
    ):
        refused = await client.get(f"{TIME_OFF}/preview", params=days)
        assert refused.status_code == 422
        assert expected in refused.text


@on_both_databases
async def test_extra_hours_apply_once_or_repeatedly(doctor: Person, forms: Forms, client: httpx2.AsyncClient) -> None:
    extra = f"{HOURS}/extra"
    typed = {"day": "2026-12-05", "opens": "22:00", "closes": "02:00"}
    repeats = {"repeats": "FREQ=WEEKLY;INTERVAL=2", "until": "2027-01-02"}
    assert (await forms.send(extra, **typed, **repeats)).headers["location"].startswith(f"{extra}#row-")
    [kept] = [each for each in (await doctor.get("/doctors/me/availability")).json() if not each["weekly_hours"]]
    assert (kept["start_time"], kept["end_time"]) == ("2026-12-05T21:00:00Z", "2026-12-06T01:00:00Z")
    assert kept["recurrence"] == "FREQ=WEEKLY;INTERVAL=2;UNTIL=20270102"
    shown = (await client.get(extra)).text
    assert "Every two weeks until Saturday 2 January 2027" in shown
    overlapping = await forms.send(extra, **typed)
    assert overlapping.status_code == 409
    assert read_fields(overlapping.text)["opens"] == "22:00"
    assert (await forms.send(f"{extra}/{kept['id']}/remove", on=extra)).status_code == 303
    assert "You have no extra hours." in (await client.get(extra)).text
    await doctor.publish("2026-12-05T09:00:00Z", "2026-12-05T12:00:00Z", "FREQ=WEEKLY;INTERVAL=4;BYDAY=SA")
    assert "Every four weeks" in (await client.get(extra)).text.partition('<ul class="rules">')[2]


async def test_extra_windows_show_their_recurrence(doctor: Person, client: httpx2.AsyncClient) -> None:
    for start, end, rule in (
        ("2026-12-06T21:00:00Z", "2026-12-06T22:00:00Z", "FREQ=WEEKLY;UNTIL=20270331;BYDAY=SU,MO"),
        ("2026-12-07T19:00:00Z", "2026-12-07T20:00:00Z", "FREQ=MONTHLY;COUNT=2;BYDAY=MO,TU;BYSETPOS=2"),
        ("2026-12-11T23:00:00Z", "2026-12-12T23:00:00Z", None),
        ("2027-12-10T23:00:00Z", "2027-12-12T23:00:00Z", None),
        ("2028-12-15T21:00:00Z", "2028-12-17T11:00:00Z", None),
    ):
        await doctor.publish(start, end, rule)
    listed = (await client.get(f"{HOURS}/extra")).text.partition('<ul class="rules">')[2]
    shown = re.findall(r'<p class="(?:rule figures|soft)">([^<]+)</p>', listed)
    assert shown == [
        "Sunday 6 December, 22:00\u2013\u206023:00",
        "Every week on Monday and Sunday until Wednesday 31 March 2027",
        "Monday 7 December, 20:00\u2013\u206021:00",
        "FREQ=MONTHLY;COUNT=2;BYDAY=MO,TU;BYSETPOS=2 until Tuesday 5 January 2027",
        "Next: Monday 7 December; Tuesday 5 January 2027",
        "Saturday 12 December, all day",
        "Once",
        "Saturday 11 December 2027 \u2013 Sunday 12 December 2027",
        "Once",
        "Friday 15 December 2028, 22:00 \u2013 Sunday 17 December 2028, 12:00",
        "Once",
    ]


async def test_whole_days_are_shown_without_times(doctor: Person, client: httpx2.AsyncClient) -> None:
    for start, end in (
        ("2026-12-09T23:00:00Z", "2026-12-10T23:00:00Z"),
        ("2026-12-13T23:00:00Z", "2026-12-15T23:00:00Z"),
        ("2026-12-16T23:00:00Z", "2026-12-18T10:00:00Z"),
        ("2026-12-21T10:00:00Z", "2026-12-21T12:00:00Z"),
    ):
        await doctor.take_time_off(start, end)
    listed = (await client.get(TIME_OFF)).text.partition('<ul class="rules">')[2]
    assert re.findall(r'<p class="rule figures">([^<]+)</p>', listed) == [
        "Thursday 10 December",
        "Monday 14 December \u2013 Tuesday 15 December",
        "Thursday 17 December, 00:00 \u2013 Friday 18 December, 11:00",
        "Monday 21 December, 11:00\u2013\u206013:00",
    ]
    assert '<span class="visually-hidden">: Thursday 10 December</span>' in listed
    preview = (await client.get(f"{TIME_OFF}/preview?first=2026-12-24&last=2026-12-26")).text
    assert "Thursday 24 December \u2013 Saturday 26 December" in preview
    await doctor.set_hours(saturday=[["00:00", "24:00"]])
    await doctor.set_hours(monday=[["09:00", "12:00"]], valid_from="2027-07-01")
    assert "Saturday: all day" in (await client.get(HOURS)).text
    assert "Open all day" in (await client.get("/practice/day?day=2026-12-12")).text
    assert "Time off all day" in (await client.get("/practice/day?day=2026-12-14")).text
    assert "00:00\u2013\u206000:00" not in (await client.get("/practice/week?day=2026-12-12")).text


@on_both_databases
async def test_visit_type_is_added_changed_and_withdrawn(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    typed = {"name": "Check-up", "duration_minutes": "twenty", "mode": "video"}
    refused = await forms.send(f"{VISIT_TYPES}/new", **typed)
    assert (refused.status_code, "Enter a whole number." in refused.text) == (422, True)
    assert 'value="twenty"' in refused.text
    typed |= {"duration_minutes": "20", "daily_limit": "8"}
    added = await forms.send(f"{VISIT_TYPES}/new", **typed, form_key="once")
    assert added.headers["location"].startswith(f"{VISIT_TYPES}#row-")
    [visit_type] = (await doctor.get("/doctors/me/visit-types")).json()
    changed = await forms.send(
        f"{VISIT_TYPES}/{visit_type['id']}", **typed | {"daily_limit": "", "buffer_after_minutes": "10"}
    )
    assert changed.headers["location"] == f"{VISIT_TYPES}#row-{visit_type['id']}"
    [visit_type] = (await doctor.get("/doctors/me/visit-types")).json()
    assert (visit_type["daily_limit"], visit_type["buffer_after_minutes"], visit_type["mode"]) == (None, 10, "video")
    assert (await forms.send(f"{VISIT_TYPES}/{visit_type['id']}/withdraw", on=VISIT_TYPES)).headers[
        "location"
    ] == VISIT_TYPES
    assert (await client.get(f"{VISIT_TYPES}/{visit_type['id']}")).status_code == 404


@on_both_databases
async def test_profile_is_changed_and_invalid_values_are_shown_again(
    doctor: Person, patient: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await fill_day(doctor, patient, day="2026-12-02")
    shown = (await client.get("/practice/profile")).text
    assert '<option value="Europe/Berlin" selected>Berlin' in shown
    typed = {
        "name": "Dr Annika Feldmann",
        "specialty": "",
        "time_zone": "America/New_York",
        "speaks_de": "yes",
        "speaks_pt-BR": "yes",
        "bio": "Skin.",
        "default_visit_minutes": "45",
        "min_notice_minutes": "60",
        "max_advance_days": "",
        "daily_limit": "12",
        "cancel_cutoff_minutes": "0",
    }
    refused = await forms.send("/practice/profile", **typed | {"name": " ", "daily_limit": "0"})
    assert refused.status_code == 422
    assert "Must be at least 1." in refused.text
    assert 'id="name-error"' in refused.text
    refused = await forms.send("/practice/profile", **typed | {"speaks_not one": "yes"})
    assert refused.status_code == 422
    assert 'name="speaks_de" value="yes" checked' in refused.text
    assert 'id="languages-error"' in refused.text
    changed = await forms.send("/practice/profile", **typed)
    assert changed.headers["location"] == f"{HOURS}/conflicts"
    saved = (await doctor.get("/doctors/me")).json()
    assert (saved["specialty"], saved["languages"], saved["daily_limit"]) == (None, ["de", "pt-BR"], 12)


async def test_explanation_says_why_a_time_cannot_be_booked(doctor: Person, client: httpx2.AsyncClient) -> None:
    await doctor.take_time_off("2026-12-02T11:00:00Z", "2026-12-02T12:00:00Z")
    explain = f"{HOURS}/explain?day=2026-12-02&clock="
    assert "This time can be booked." in (await client.get(f"{explain}09:00")).text
    refused = (await client.get(f"{explain}12:30")).text
    assert "Your hours do not cover all of this time." in refused
    assert "You have time off at this time." in refused
    assert 'value="12:30"' in refused
    assert (await client.get(f"{explain}noon")).status_code == 422
