"""The doctor's day and week."""

import re
from collections import Counter
from datetime import UTC, datetime

import httpx2
import pytest

from tests.conftest import CountStatements, Register, SetClock
from tests.people import Person
from tests.web.conftest import Forms
from tests.web.doctor import FROM_RIGHT, MAX_NAME, fill_day, open_practice

TUESDAY = "/practice/day?day=2026-12-01"


@pytest.fixture
async def doctor(register: Register) -> Person:
    return await open_practice(register)


async def test_full_day_takes_as_many_statements_as_an_empty_one(
    doctor: Person, register: Register, forms: Forms, client: httpx2.AsyncClient, count_statements: CountStatements
) -> None:
    await forms.sign_in(doctor)
    costs = []
    for day, number in (("2026-12-02", 0), ("2026-12-09", 1), ("2026-12-16", 4)):
        await fill_day(doctor, *[await register("patient", name=MAX_NAME) for _ in range(number)], day=day)
        count_statements()
        for path in ("/practice/day?day=", "/practice/week?day="):
            shown = await client.get(f"{path}{day}")
            assert shown.status_code == 200
            costs.append((path, count_statements()))
    assert len(set(costs)) == 2, costs


async def test_visit_is_checked_in_and_completed_once(
    doctor: Person, patient: Person, forms: Forms, client: httpx2.AsyncClient, clock: SetClock
) -> None:
    [visit] = await fill_day(doctor, patient)
    clock.advance(hours=1, minutes=2)
    await forms.sign_in(doctor)
    address = f"/practice/visits/{visit['id']}"
    for expected in (True, False):
        arrived = await forms.send(f"{address}/arrive", on=TUESDAY, form_key="one tap")
        assert arrived.headers["location"] == f"{TUESDAY}#row-{visit['id']}"
        assert ("Ann Lee has arrived." in (await client.get(TUESDAY)).text) == expected
    refused = await forms.send(f"{address}/arrive", on=TUESDAY, form_key="another")
    assert refused.status_code == 409
    assert "the appointment has changed" in refused.text
    assert (await forms.send(f"{address}/complete", on=TUESDAY, form_key="a third")).status_code == 303
    shown = (await client.get(address)).text
    assert "Completed" in shown
    assert "/cancel" not in shown
    assert (await (await patient.log_in_again()).get(f"/appointments/{visit['id']}")).json()["status"] == "fulfilled"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("arrive", "Undone. Ann Lee is expected again."),
        ("complete", "Undone. The visit of Ann Lee is open again."),
        ("no-show", "Undone. The visit of Ann Lee is open again."),
    ],
)
async def test_status_change_can_be_undone(
    doctor: Person,
    patient: Person,
    forms: Forms,
    client: httpx2.AsyncClient,
    clock: SetClock,
    action: str,
    expected: str,
) -> None:
    [visit] = await fill_day(doctor, patient)
    clock.advance(hours=1, minutes=2)
    await forms.sign_in(doctor)
    address = f"/practice/visits/{visit['id']}"
    assert "/undo" not in (await client.get(TUESDAY)).text + (await client.get(address)).text
    assert (await forms.send(f"{address}/{action}", on=TUESDAY, form_key="a tap")).status_code == 303
    undo = f"{address}/undo?version=2"
    for page in (TUESDAY, address):
        assert f'formaction="{undo}"' in (await client.get(page)).text
    assert (await forms.send(undo, on=TUESDAY, form_key="undo")).status_code == 303
    shown = (await client.get(TUESDAY)).text
    assert expected in shown
    assert "/undo" not in shown
    stale = await forms.send(undo, on=TUESDAY, form_key="undo again")
    assert stale.status_code == 412
    assert "Ann Lee" in stale.text
    assert (await forms.send(f"{address}/{action}", on=TUESDAY, form_key="another")).status_code == 303


async def test_undo_is_offered_for_ten_minutes_in_the_list_and_all_day_on_the_page(
    doctor: Person, patient: Person, forms: Forms, client: httpx2.AsyncClient, clock: SetClock
) -> None:
    [visit] = await fill_day(doctor, patient)
    clock.advance(hours=1)
    await forms.sign_in(doctor)
    address = f"/practice/visits/{visit['id']}"
    await forms.send(f"{address}/no-show", on=TUESDAY, form_key="a tap")
    clock.advance(minutes=10)
    assert "/undo" not in (await client.get(TUESDAY)).text
    clock.time = datetime(2026, 12, 1, 22, 59, tzinfo=UTC)
    await forms.sign_in(doctor)
    assert "/undo" in (await client.get(address)).text
    clock.advance(minutes=1)
    assert "/undo" not in (await client.get(address)).text
    late = await forms.send(f"{address}/undo?version=2", on=TUESDAY, form_key="late")
    assert late.status_code == 409
    assert "The day of this visit is over" in late.text


async def test_cancellation_is_undone_unless_its_time_is_booked(
    doctor: Person, patient: Person, register: Register, forms: Forms, client: httpx2.AsyncClient
) -> None:
    [visit] = await fill_day(doctor, patient, day="2026-12-02")
    other = await register("patient", name="Ben Kaya")
    await forms.sign_in(doctor)
    address = f"/practice/visits/{visit['id']}"
    await forms.send(f"{address}/cancel", on=address, version="1")
    undone = await forms.send(f"{address}/undo?version=2", on=address, form_key="undo")
    assert undone.status_code == 303
    assert "Inform Ann Lee." in (await client.get(undone.headers["location"])).text
    await forms.send(f"{address}/cancel", on=address, version="3")
    await fill_day(doctor, other, day="2026-12-02")
    taken = await forms.send(f"{address}/undo?version=4", on=address, form_key="undo again")
    assert taken.status_code == 409
    assert "This time has been taken in the meantime." in taken.text
    assert (await patient.get(f"/appointments/{visit['id']}")).json()["status"] == "cancelled"


async def test_cancellation_of_an_outdated_version_is_refused_and_keeps_the_reason(
    doctor: Person, patient: Person, forms: Forms
) -> None:
    [visit] = await fill_day(doctor, patient, day="2026-12-02")
    await forms.sign_in(doctor)
    address = f"/practice/visits/{visit['id']}"
    refused = await forms.send(f"{address}/cancel", on=address, version="7", reason="I am <ill>")
    assert refused.status_code == 412
    assert "I am &lt;ill&gt;</textarea>" in refused.text
    done = await forms.send(f"{address}/cancel", on=address, version="1", reason="I am <ill>")
    assert done.headers["location"] == f"/practice/day?day=2026-12-02#row-{visit['id']}"
    cancelled = (await patient.get(f"/appointments/{visit['id']}")).json()
    assert (cancelled["status"], cancelled["cancel_reason"]) == ("cancelled", "I am <ill>")


async def test_visit_is_moved_to_an_offered_time(
    doctor: Person, patient: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    [visit] = await fill_day(doctor, patient, day="2026-12-02")
    await forms.sign_in(doctor)
    address = f"/practice/visits/{visit['id']}/move"
    offered = re.findall(r'name="start" value="([^"]+)">([0-9:]+)<', (await client.get(address)).text)
    assert ("2026-12-02T08:00:00Z", "09:00") in offered
    refused = await forms.send(address, version="1", start="2026-12-02T06:00:00Z")
    assert refused.status_code == 409
    moved = await forms.send(address, version="1", start="2026-12-03T08:30:00Z")
    assert moved.headers["location"] == f"/practice/day?day=2026-12-03#row-{visit['id']}"
    assert (await patient.get(f"/appointments/{visit['id']}")).json()["start_time"] == "2026-12-03T08:30:00Z"


async def test_doctor_sees_only_their_own_visits(
    doctor: Person, register: Register, patient: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    [visit] = await fill_day(doctor, patient)
    await forms.sign_in(await register("doctor", name="Dr Other", time_zone="Europe/Berlin"))
    assert (await client.get(f"/practice/visits/{visit['id']}")).status_code == 404
    assert "Ann Lee" not in (await client.get(TUESDAY)).text
    await forms.sign_in(patient)
    assert (await client.get(TUESDAY)).status_code == 403


async def test_conflict_is_marked_in_the_day_and_in_the_week(
    doctor: Person, patient: Person, register: Register, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await fill_day(doctor, patient, await register("patient", name=FROM_RIGHT))
    await doctor.take_time_off("2026-12-01T09:30:00Z", "2026-12-01T10:00:00Z")
    await forms.sign_in(doctor)
    for path in (TUESDAY, "/practice/week"):
        shown = (await client.get(path)).text
        assert shown.count("Outside your hours") == 1
        assert f"<bdi>{FROM_RIGHT}</bdi>" in shown
        assert "Time off" in shown


async def test_week_of_a_clock_change_has_the_rows_of_its_longest_day(
    doctor: Person, patient: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await doctor.set_hours(sunday=[["00:00", "24:00"]])
    await forms.sign_in(doctor)
    for day, hours, rows, missing in (
        ("2027-03-28", 23, {"00:00": 1, "01:00": 1, "02:00": 1}, 2),
        ("2027-10-31", 25, {"01:00": 1, "02:00": 2}, 12),
    ):
        # After the change, at 01:00 UTC, a visit is at 03:30 or, for the second time, at 02:30.
        await patient.book(doctor, f"{day}T01:30:00Z", f"{day}T02:00:00Z")
        shown = (await client.get(f"/practice/week?day={day}")).text
        labels = Counter(re.findall(r'<span class="r\d+">(\d\d:00)', shown))
        assert {label: labels[label] for label in rows} == rows, day
        assert f"{hours} hours: clocks go" in shown
        assert re.findall(r'<div class="block r(\d+) s(\d+)">', shown) == [("7", "1")], day
        assert shown.count("ground missing") == missing, day


async def test_week_leaves_out_long_gaps_between_hours(
    doctor: Person, patient: Person, forms: Forms, client: httpx2.AsyncClient, clock: SetClock
) -> None:
    await doctor.set_hours(monday=[["17:30", "01:00"]], tuesday=[["17:30", "01:00"]], wednesday=[["12:00", "13:00"]])
    await patient.book(doctor, "2026-12-01T22:30:00Z", "2026-12-01T23:30:00Z")
    await forms.sign_in(doctor)
    for day, rows, cuts in (
        ("2026-12-01", ["00:00", "12:00", *(f"{hour}:00" for hour in range(13, 24))], ["12:00"]),
        # A week without hours shows the usual ones.
        ("2026-11-24", [f"{hour:02}:00" for hour in range(8, 18)], []),
    ):
        shown = (await client.get(f"/practice/week?day={day}")).text
        labels = re.findall(r'<span class="r\d+( cut)?">(\d\d:00)', shown)
        assert [label for _, label in labels] == rows, day
        assert [label for cut, label in labels if cut] == cuts, day
    shown = (await client.get("/practice/week")).text
    # The visit from 23:30 to 00:30 is the last row of Tuesday and the first one of Wednesday.
    assert re.findall(r'<div class="block r(\d+) s1">', shown) == [("25"), ("0")]
    assert 'class="now' not in shown
    clock.time = datetime(2026, 12, 1, 11, 30, tzinfo=UTC)
    await forms.sign_in(doctor)
    assert 'class="now r3 p0"' in (await client.get("/practice/week")).text


async def test_printed_day_names_the_doctor_the_date_and_the_time_of_printing(
    doctor: Person, forms: Forms, client: httpx2.AsyncClient
) -> None:
    await forms.sign_in(doctor)
    shown = (await client.get("/practice/day?day=2026-12-08")).text
    assert "Dr Annika Feldmann · Tuesday 8 December 2026 · printed Tuesday 1 December 2026, 09:00" in shown
