"""The rules of a time zone change after visits were booked."""

import logging
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from tzdata import IANA_VERSION

from app.db.database import Database
from app.jobs.time_zones import finish_release
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem
from tests.zone_files import write_zone

ZONE = "America/Vancouver"
HOUR_EARLIER, HOUR_LATER = "<-08>8", "<-06>6"
"""POSIX rules that replace the pinned ones, by which Vancouver is seven hours behind UTC."""

type ChangeRules = Callable[[str], None]


@pytest.fixture
def change_rules(tmp_path: Path) -> Iterator[ChangeRules]:
    """Replaces the rules of the zone."""

    def change_rules(rule: str) -> None:
        write_zone(tmp_path / "zones", ZONE, rule)
        zoneinfo.reset_tzpath([tmp_path / "zones"])
        ZoneInfo.clear_cache()

    yield change_rules
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()


@pytest.fixture
async def doctor(register: Register) -> Person:
    """Open from 9 to 17 on the clock of Vancouver."""
    doctor = await register("doctor", name="Dr Amara Okafor", time_zone=ZONE)
    await doctor.set_hours(**{day: [["09:00", "17:00"]] for day in ("monday", "tuesday", "wednesday")})
    return doctor


async def list_clock_changes(doctor: Person) -> list[dict[str, Any]]:
    response = await doctor.get("/doctors/me/clock-changes")
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


async def settle(doctor: Person, keep: str, *ids: str) -> dict[str, Any]:
    response = await doctor.post(
        "/doctors/me/clock-changes", {"keep": keep} | ({"appointment_ids": ids} if ids else {})
    )
    assert response.status_code == 200, response.text
    settled: dict[str, Any] = response.json()
    return settled


async def test_list_is_empty_without_a_rule_change(doctor: Person, patient: Person) -> None:
    await patient.book(doctor, "2026-12-08T16:00:00Z")
    assert await list_clock_changes(doctor) == []
    assert await settle(doctor, "local_time") == {"settled": [], "failed": [], "remaining": 0}


async def test_agreed_local_time_is_listed(doctor: Person, patient: Person, change_rules: ChangeRules) -> None:
    booked = await patient.book(doctor, "2026-12-08T16:00:00Z")
    change_rules(HOUR_LATER)
    [listed] = await list_clock_changes(doctor)
    assert (listed["id"], listed["start_time"]) == (booked["id"], "2026-12-08T16:00:00Z")
    assert (listed["agreed_local_start"], listed["agreed_time_zone"]) == ("2026-12-08T09:00:00", ZONE)


async def test_clock_changes_are_paged(doctor: Person, patient: Person, change_rules: ChangeRules) -> None:
    booked = [(await patient.book(doctor, f"2026-12-0{day}T17:00:00Z"))["id"] for day in (7, 8, 9)]
    change_rules(HOUR_LATER)
    first = await doctor.get("/doctors/me/clock-changes?limit=2")
    second = await doctor.get(first.links["next"]["url"])
    assert [each["id"] for each in (*first.json(), *second.json())] == booked
    assert "next" not in second.links


@pytest.mark.parametrize(
    ("rule", "starts"),
    [
        (HOUR_EARLIER, ["2026-12-08T17:00:00Z", "2026-12-08T17:30:00Z", "2026-12-08T18:00:00Z"]),
        (HOUR_LATER, ["2026-12-08T15:00:00Z", "2026-12-08T15:30:00Z", "2026-12-08T16:00:00Z"]),
    ],
)
async def test_all_appointments_move_to_their_agreed_local_time(
    doctor: Person, register: Register, change_rules: ChangeRules, rule: str, starts: list[str]
) -> None:
    """Each move frees the time of the next appointment, in both directions."""
    patients = [await register("patient") for _ in range(3)]
    times = ["2026-12-08T16:00:00Z", "2026-12-08T16:30:00Z", "2026-12-08T17:00:00Z"]
    booked = [
        (await each.book(doctor, start, f"2026-12-08T{end}:00Z"))["id"]
        for each, start, end in zip(patients, times, ("16:30", "17:00", "17:30"), strict=True)
    ]
    change_rules(rule)
    settled = await settle(doctor, "local_time")
    assert (settled["failed"], settled["remaining"]) == ([], 0)
    moved = {each["id"]: each for each in settled["settled"]}
    assert [moved[each]["start_time"] for each in booked] == starts
    assert {each["version"] for each in moved.values()} == {2}
    assert await list_clock_changes(doctor) == []
    history = (await patients[0].get(f"/appointments/{booked[0]}/history")).json()
    assert [(each["version"], each["start_time"], each["changed_by"]) for each in history] == [
        (1, times[0], patients[0].id),
        (2, starts[0], doctor.id),
    ]


async def test_appointment_can_keep_its_instant(doctor: Person, patient: Person, change_rules: ChangeRules) -> None:
    booked = await patient.book(doctor, "2026-12-08T16:00:00Z")
    change_rules(HOUR_LATER)
    [kept] = (await settle(doctor, "instant"))["settled"]
    assert (kept["id"], kept["start_time"], kept["version"]) == (booked["id"], "2026-12-08T16:00:00Z", 2)
    assert await list_clock_changes(doctor) == []
    change_rules(HOUR_EARLIER)
    [listed] = await list_clock_changes(doctor)
    assert listed["agreed_local_start"] == "2026-12-08T10:00:00"


async def test_selected_appointments_are_settled_alone(
    doctor: Person, patient: Person, change_rules: ChangeRules
) -> None:
    first, second = [(await patient.book(doctor, f"2026-12-0{day}T17:00:00Z"))["id"] for day in (7, 8)]
    change_rules(HOUR_LATER)
    settled = await settle(doctor, "local_time", second)
    assert ([each["id"] for each in settled["settled"]], settled["remaining"]) == ([second], 1)
    assert [each["id"] for each in await list_clock_changes(doctor)] == [first]
    body = {"keep": "instant", "appointment_ids": [first, second]}
    assert_problem(await doctor.post("/doctors/me/clock-changes", body), 404, "not_found")
    assert [each["id"] for each in await list_clock_changes(doctor)] == [first]


async def test_appointment_without_room_stays_and_is_reported(
    doctor: Person, register: Register, patient: Person, change_rules: ChangeRules
) -> None:
    """The agreed time of one appointment was booked after the change; the other one succeeds."""
    blocked = (await patient.book(doctor, "2026-12-08T17:00:00Z"))["id"]
    free = (await patient.book(doctor, "2026-12-09T17:00:00Z"))["id"]
    change_rules(HOUR_LATER)
    await (await register("patient")).book(doctor, "2026-12-08T16:00:00Z")
    settled = await settle(doctor, "local_time")
    assert settled["failed"] == [{"appointment_id": blocked, "code": "slot_taken"}]
    assert ([each["id"] for each in settled["settled"]], settled["remaining"]) == ([free], 1)
    assert (await patient.get(f"/appointments/{blocked}")).json()["start_time"] == "2026-12-08T17:00:00Z"


async def test_appointment_of_a_busy_patient_is_reported(
    doctor: Person, register: Register, patient: Person, change_rules: ChangeRules
) -> None:
    other = await register("doctor", name="Dr Other")
    await other.publish("2026-12-08T16:00:00Z", "2026-12-08T17:00:00Z")
    booked = (await patient.book(doctor, "2026-12-08T17:00:00Z"))["id"]
    await patient.book(other, "2026-12-08T16:00:00Z")
    change_rules(HOUR_LATER)
    settled = await settle(doctor, "local_time")
    assert settled["failed"] == [{"appointment_id": booked, "code": "patient_busy"}]


async def test_appointment_is_not_moved_into_the_past(
    doctor: Person, patient: Person, change_rules: ChangeRules, clock: SetClock
) -> None:
    await doctor.publish("2026-12-01T09:00:00Z", "2026-12-01T11:00:00Z")
    booked = (await patient.book(doctor, "2026-12-01T09:00:00Z"))["id"]
    change_rules(HOUR_LATER)
    clock.advance(minutes=15)
    assert (await settle(doctor, "local_time"))["failed"] == [{"appointment_id": booked, "code": "in_the_past"}]


async def test_hold_blocks_a_move_until_it_expires(
    doctor: Person, register: Register, patient: Person, change_rules: ChangeRules, clock: SetClock
) -> None:
    booked = (await patient.book(doctor, "2026-12-08T17:00:00Z"))["id"]
    change_rules(HOUR_LATER)
    held = {"doctor_id": doctor.id, "start_time": "2026-12-08T16:00:00Z"}
    assert (await (await register("patient")).post("/holds", held)).status_code == 201
    assert (await settle(doctor, "local_time"))["failed"] == [{"appointment_id": booked, "code": "slot_taken"}]
    clock.advance(minutes=6)
    assert (await settle(doctor, "local_time"))["failed"] == []


async def test_rescheduled_appointment_is_not_listed(
    doctor: Person, patient: Person, change_rules: ChangeRules
) -> None:
    booked = await patient.book(doctor, "2026-12-08T17:00:00Z")
    change_rules(HOUR_LATER)
    moved = await patient.post(f"/appointments/{booked['id']}/reschedule", {"start_time": "2026-12-08T18:00:00Z"})
    assert moved.status_code == 200, moved.text
    assert await list_clock_changes(doctor) == []


async def test_new_zone_of_the_doctor_does_not_change_the_agreed_zone(
    doctor: Person, patient: Person, change_rules: ChangeRules
) -> None:
    await patient.book(doctor, "2026-12-08T17:00:00Z")
    await doctor.update_profile(time_zone="Europe/Berlin")
    assert await list_clock_changes(doctor) == []
    change_rules(HOUR_LATER)
    [listed] = await list_clock_changes(doctor)
    assert (listed["time_zone"], listed["agreed_time_zone"]) == ("Europe/Berlin", ZONE)


async def test_cancelled_appointments_and_those_of_others_are_not_listed(
    doctor: Person, register: Register, patient: Person, change_rules: ChangeRules
) -> None:
    cancelled = (await patient.book(doctor, "2026-12-08T17:00:00Z"))["id"]
    await patient.post(f"/appointments/{cancelled}/cancel", {"reason": "A cold"})
    other = await register("doctor", name="Dr Other", time_zone=ZONE)
    change_rules(HOUR_LATER)
    assert await list_clock_changes(doctor) == []
    assert await list_clock_changes(other) == []


async def test_removed_zone_is_not_compared(doctor: Person, patient: Person, database: Database) -> None:
    await patient.book(doctor, "2026-12-08T17:00:00Z")
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE appointments SET agreed_time_zone = 'Mars/Olympus'"))
    assert await list_clock_changes(doctor) == []


async def test_job_logs_the_affected_doctors(
    doctor: Person,
    patient: Person,
    change_rules: ChangeRules,
    database: Database,
    clock: SetClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "app.services.time_zones")
    await patient.book(doctor, "2026-12-08T17:00:00Z")
    change_rules(HOUR_LATER)
    await finish_release(database, clock)
    [line] = caplog.messages
    assert (
        line
        == f"time zones {IANA_VERSION}: visits of doctor {doctor.id} whose wall time differs from the agreed one: 1"
    )


async def test_invalid_settlement_is_refused(doctor: Person) -> None:
    bodies: list[dict[str, Any]] = [{}, {"keep": "both"}, {"keep": "instant", "appointment_ids": []}]
    for body in bodies:
        assert_problem(await doctor.post("/doctors/me/clock-changes", body), 422, "invalid_request")
