"""A doctor with a time zone that this machine does not know affects no other doctor."""

import logging
from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI

from app.core import time_zones
from app.core.fair_locks import ClientFairLock
from app.core.time_zones import find_zone
from app.db.database import Database
from app.jobs import next_slot_index
from app.jobs.next_slot_index import update_next_slots
from app.repositories.search_offers import list_outdated
from tests.access.clinic import make_clinic
from tests.access.requests import prepare_request, target_of
from tests.access.table import COLUMNS, TABLE, Column
from tests.access.unknown_time_zone import UNKNOWN, set_unknown_time_zone
from tests.conftest import Register, SetClock
from tests.people import Person, assert_problem
from tests.web.conftest import Forms
from tests.web.table import ALL_ROLES, PATIENT, pages_of
from tests.web.table import World as PagesWorld

pytestmark = pytest.mark.slow


@pytest.fixture
async def forms(client: httpx2.AsyncClient) -> Forms:
    return Forms(client)


@pytest.mark.parametrize("name", [UNKNOWN, "America", "../etc/passwd", "", "/etc/localtime", "a\0b", "é" * 64])
def test_unknown_time_zone_name_is_not_found(name: str) -> None:
    assert find_zone(name) is None


async def test_no_operation_fails_if_a_doctor_has_an_unknown_time_zone(
    app: FastAPI, client: httpx2.AsyncClient, database: Database, clock: SetClock
) -> None:
    clinic = await make_clinic(client, app.state.resources, clock)
    failures = []
    for operation, row in TABLE.items():
        await set_unknown_time_zone(database, clinic.callers["doctor"].person)
        columns: list[Column] = [each for each in COLUMNS if each == row.owner]
        for column in ["anonymous", *columns] if operation.startswith("GET") else columns:
            caller = clinic.caller(column, row)
            options = await prepare_request(operation, clinic, caller)
            method, path = target_of(operation, clinic.ids)
            response = await client.request(method, path, headers=clinic.headers(column, caller), **options)
            if response.status_code >= 500:
                failures.append(f"{operation} as {column}: {response.text}")
        if not operation.startswith("GET"):
            await clinic.restore()
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("role", ALL_ROLES)
async def test_no_page_fails_if_a_doctor_has_an_unknown_time_zone(
    app: FastAPI,
    forms: Forms,
    client: httpx2.AsyncClient,
    admin: Person,
    database: Database,
    clock: SetClock,
    role: str,
) -> None:
    world = await PagesWorld.make(app.state.resources, client, admin, clock)
    await world.enter(forms, role)
    await set_unknown_time_zone(database, world.people["doctor"])
    calendar = ("/my/appointments/{visit}/calendar.ics",) if role == PATIENT else ()
    for path in (*calendar, *(path for path, _ in pages_of(role))):
        response = await client.get(world.address(path), headers={"Accept": "text/html"})
        assert response.status_code < 500, path


async def test_search_still_finds_doctors_with_a_known_time_zone(
    client: httpx2.AsyncClient, register: Register, doctor: Person, patient: Person, database: Database
) -> None:
    other = await register("doctor", name="Dr Other", time_zone="Europe/Berlin")
    for each in (doctor, other):
        await each.publish("2026-12-08T08:00:00Z", "2026-12-08T12:00:00Z")
    await set_unknown_time_zone(database, doctor)
    found = (await client.get("/search/slots")).json()
    assert {each["doctor"]["id"] for each in found} == {other.id}
    listed = {each["id"]: each["next_available"] for each in (await client.get("/doctors")).json()}
    assert listed == {doctor.id: None, other.id: "2026-12-08T08:00:00Z"}
    assert "Dr Other" in (await client.get("/")).text
    assert (await client.get(f"/doctors/{doctor.id}")).json()["time_zone"] == UNKNOWN
    assert_problem(await client.get(f"/doctors/{doctor.id}/slots"), 409, "unknown_time_zone")
    booking = {"doctor_id": doctor.id, "start_time": "2026-12-08T08:00:00Z"}
    assert_problem(await patient.post("/appointments", booking), 409, "unknown_time_zone")
    page = await client.get(f"/with/{doctor.id}")
    assert page.status_code == 409
    assert "The time zone of this practice is not known here" in page.text


async def test_booked_visit_is_shown_in_utc(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, patient: Person, database: Database
) -> None:
    await doctor.publish("2026-12-08T08:00:00Z", "2026-12-08T12:00:00Z")
    await patient.book(doctor, "2026-12-08T08:00:00Z")
    await set_unknown_time_zone(database, doctor)
    await forms.sign_in(patient)
    assert "08:00 UTC" in (await client.get("/my/appointments")).text


async def test_doctor_is_found_again_after_choosing_a_known_time_zone(
    forms: Forms, client: httpx2.AsyncClient, doctor: Person, database: Database, clock: SetClock
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T18:00:00Z")
    await set_unknown_time_zone(database, doctor)
    await update_next_slots(database, ClientFairLock(), clock)
    assert (await client.get("/search/slots")).json() == []
    await forms.sign_in(doctor)
    assert (await client.get("/practice/day")).status_code == 409
    shown = await client.get("/practice/profile")
    assert f'<option value="{UNKNOWN}" selected>' in shown.text
    await doctor.update_profile(time_zone="America/Chicago")
    [first, *_] = (await client.get("/search/slots")).json()
    # The local time stays: nine o'clock in New York has become nine o'clock in Chicago.
    assert first["start_time"] == "2026-12-08T15:00:00Z"


async def test_unknown_time_zone_is_logged_once(
    client: httpx2.AsyncClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    doctor = await Person.register(client, "doctor")  # not the doctor of other tests: it is logged once per process
    caplog.set_level(logging.WARNING, time_zones.__name__)
    await set_unknown_time_zone(database, doctor)
    for _ in range(2):
        await client.get(f"/doctors/{doctor.id}/slots")
        await client.get("/search/slots")
    [line] = [each for each in caplog.messages if "time zone" in each]
    assert doctor.id in line
    assert UNKNOWN not in line, "the name of the zone may come from a client"


async def test_job_leaves_no_outdated_offer_of_an_unknown_time_zone(
    register: Register, database: Database, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_slot_index, "BATCH", 2)
    doctors = [await register("doctor", name=f"Dr {name}") for name in "ABC"]
    await set_unknown_time_zone(database, *doctors)
    await update_next_slots(database, ClientFairLock(), clock)
    async with database.read() as transaction:
        assert await list_outdated(transaction, clock.time + timedelta(days=3650), limit=10) == []


async def test_job_stops_if_no_bound_can_be_saved(
    register: Register, database: Database, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def save_nothing(*_: object) -> bool:
        nonlocal tries
        tries += 1
        return False

    monkeypatch.setattr(next_slot_index, "BATCH", 2)
    monkeypatch.setattr(next_slot_index, "save_bound_updates", save_nothing)
    for name in "ABC":
        await register("doctor", name=f"Dr {name}")
    await update_next_slots(database, ClientFairLock(), clock)
    assert tries == 1
