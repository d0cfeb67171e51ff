"""Searches that use lower bounds find time that was freed, at a bounded number of statements."""

from datetime import UTC, datetime

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.core.computing import Computation
from app.core.fair_locks import ClientFairLock
from app.db.database import Database
from app.jobs.next_slot_index import update_next_slots
from app.repositories.search_offers import Criteria
from app.services import search
from tests.conftest import CountStatements, Register, SetClock
from tests.people import PASSWORD, Person, next_page
from tests.search.searching import find_starts, open_doctor


class Practice:
    """One doctor who is open for a morning, and a patient."""

    def __init__(self, client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock) -> None:
        self.client, self.doctor, self.patient, self.clock = client, doctor, patient, clock

    async def find_first_start(self) -> str | None:
        """Return the first start on 1 December, ``None`` if there is none. The search raises the bound to it."""
        found = await find_starts(self.client, limit="1")
        assert await find_starts(self.client, limit="1") == found
        return found[0][11:16] if found else None

    async def book(self, clock: str) -> str:
        patient = await self.patient.log_in_again()
        booked: str = (await patient.book(self.doctor, f"2026-12-01T{clock}:00Z"))["id"]
        return booked


@pytest.fixture
async def practice(client: httpx2.AsyncClient, register: Register, patient: Person, clock: SetClock) -> Practice:
    return Practice(client, await open_doctor(register, "Dr A"), patient, clock)


@pytest.fixture
def setting_statements(backend: str) -> int:
    """The number of statements with which a search asks for generic plans."""
    return 1 if backend == "postgresql" else 0


@pytest.mark.usefixtures("practice")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_statements_of_a_search_have_generic_plans(database: Database) -> None:
    now = datetime(2026, 12, 1, 8, tzinfo=UTC)
    plans = text(
        "SELECT count(*), sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements "
        "WHERE statement LIKE 'SELECT doctors.id%'"
    )
    async with database.read() as transaction:
        for _ in range(3):
            found = await search.search_slots(
                transaction,
                Computation(ClientFairLock(), "a test"),
                Criteria(),
                clock_filter=None,
                start=None,
                end=None,
                after=None,
                limit=1,
                viewer=None,
                now=now,
            )
            assert found.matches
        statements, generic, custom = (await transaction.execute(plans)).one()
    assert statements >= 1
    assert (generic, custom) == (3 * statements, 0)


async def test_time_of_a_cancelled_visit_is_found(practice: Practice) -> None:
    booked = await practice.book("09:00")
    assert await practice.find_first_start() == "09:30"
    await practice.patient.delete(f"/appointments/{booked}")
    assert await practice.find_first_start() == "09:00"


async def test_former_time_of_a_rescheduled_visit_is_found(practice: Practice) -> None:
    booked = await practice.book("09:00")
    assert await practice.find_first_start() == "09:30"
    await practice.patient.post(f"/appointments/{booked}/reschedule", {"start_time": "2026-12-01T11:00:00Z"})
    assert await practice.find_first_start() == "09:00"


async def test_remaining_time_of_a_missed_visit_is_found(practice: Practice) -> None:
    await practice.doctor.update_profile(default_visit_minutes=60)
    booked = await practice.book("09:00")
    await practice.doctor.update_profile(default_visit_minutes=15)
    practice.clock.advance(minutes=65)
    assert await practice.find_first_start() == "10:00"
    doctor = await practice.doctor.log_in_again()
    assert (await doctor.post(f"/appointments/{booked}/no-show", {})).status_code == 200
    assert await practice.find_first_start() == "09:15"


async def test_time_of_a_visit_is_found_after_the_patient_was_erased(practice: Practice) -> None:
    await practice.book("09:00")
    assert await practice.find_first_start() == "09:30"
    erased = await practice.client.request(
        "DELETE", "/auth/me", headers=practice.patient.headers, json={"password": PASSWORD}
    )
    assert erased.status_code == 204, erased.text
    assert await practice.find_first_start() == "09:00"


async def test_time_of_an_expired_hold_is_found(practice: Practice) -> None:
    held = {"doctor_id": practice.doctor.id, "start_time": "2026-12-01T09:00:00Z"}
    assert (await practice.patient.post("/holds", held)).status_code == 201
    assert await practice.find_first_start() == "09:30"
    assert (await find_starts(practice.patient, limit="1"))[0][11:16] == "09:00", (
        "patients find_starts the time they hold"
    )
    assert await practice.find_first_start() == "09:30"
    practice.clock.advance(minutes=5)
    assert await practice.find_first_start() == "09:00"


async def test_full_day_is_found_after_a_cancellation(practice: Practice) -> None:
    await practice.doctor.publish("2026-12-02T09:00:00Z", "2026-12-02T12:00:00Z")
    await practice.doctor.update_profile(daily_limit=1)
    booked = await practice.book("11:30")
    assert (await find_starts(practice.client, limit="1"))[0] == "2026-12-02T09:00:00Z"
    await practice.patient.delete(f"/appointments/{booked}")
    assert await practice.find_first_start() == "09:00"


async def test_time_opened_by_changed_rules_is_found_at_once(practice: Practice) -> None:
    time_off = await practice.doctor.take_time_off("2026-12-01T08:00:00Z", "2026-12-01T10:00:00Z")
    assert await practice.find_first_start() == "10:00"
    await practice.doctor.delete(f"/doctors/me/time-off/{time_off['id']}")
    assert await practice.find_first_start() == "09:00"
    await practice.doctor.publish("2026-12-01T08:00:00Z", "2026-12-01T08:30:00Z")
    assert await practice.find_first_start() == "08:00"
    await practice.doctor.update_profile(min_notice_minutes=90)
    assert await practice.find_first_start() == "09:30"
    await practice.doctor.update_profile(min_notice_minutes=0)
    assert await practice.find_first_start() == "08:00"
    # The availability is kept in wall time, so it moves with the zone.
    await practice.doctor.update_profile(time_zone="Europe/Lisbon")
    assert await practice.find_first_start() == "08:00"
    await practice.doctor.update_profile(time_zone="Asia/Kolkata")
    assert await practice.find_first_start() is None
    await practice.doctor.update_profile(time_zone="America/New_York")
    assert await practice.find_first_start() == "13:00"


async def test_day_is_found_when_the_advance_limit_reaches_it(practice: Practice) -> None:
    await practice.doctor.update_profile(max_advance_days=0)
    await practice.doctor.publish("2026-12-02T07:00:00Z", "2026-12-02T09:00:00Z")
    practice.clock.advance(hours=5)
    assert await practice.find_first_start() is None
    practice.clock.advance(hours=12)
    assert await practice.find_first_start() == "07:00"


async def test_past_starts_are_not_found(practice: Practice) -> None:
    assert await practice.find_first_start() == "09:00"
    practice.clock.advance(minutes=75)
    assert await practice.find_first_start() == "09:30"
    await practice.book("09:30")
    assert await practice.find_first_start() == "10:00"


async def test_number_of_statements_does_not_depend_on_the_number_of_doctors(
    client: httpx2.AsyncClient, register: Register, count_statements: CountStatements, setting_statements: int
) -> None:
    for number in range(15):
        doctor = await open_doctor(register, f"Dr {number}")
        await doctor.add_visit_type()
    await find_starts(client, limit="5")
    count_statements()
    await find_starts(client, limit="5")
    assert count_statements() == setting_statements + 3, "offers, rules, calendars"
    await find_starts(client, limit="5", visit="999")
    assert count_statements() == setting_statements + 1
    # Pages of the ring, and of the bounds after it.
    await find_starts(client, limit="5", days="tuesday", between="10:00-11:00")
    assert count_statements() == setting_statements + 5


async def test_search_saves_new_bounds_once(
    client: httpx2.AsyncClient,
    register: Register,
    patient: Person,
    count_statements: CountStatements,
    setting_statements: int,
) -> None:
    doctor = await open_doctor(register, "Dr A")
    count_statements()
    await find_starts(client, limit="1")
    assert count_statements() == setting_statements + 5, "one statement locks, one saves"
    await find_starts(client, limit="1")
    assert count_statements() == setting_statements + 3
    await patient.book(doctor, "2026-12-01T09:00:00Z")
    count_statements()
    await find_starts(client, limit="1")
    assert count_statements() == setting_statements + 5
    await find_starts(client, limit="1")
    assert count_statements() == setting_statements + 3


async def test_search_that_would_scan_too_much_ends_early_and_says_so(
    client: httpx2.AsyncClient, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        await open_doctor(register, f"Dr {number}")
    monkeypatch.setattr(search, "MAX_SCANS", 6)
    response = await client.get("/search/slots", params={"limit": "2"})
    starts = [each["start_time"] for each in response.json()]
    assert starts == ["2026-12-01T09:00:00Z"] * 2
    assert response.headers["Searched-Until"] < starts[-1]
    assert next_page(response)


async def test_job_updates_outdated_bounds(
    app: FastAPI,
    client: httpx2.AsyncClient,
    register: Register,
    clock: SetClock,
    count_statements: CountStatements,
    setting_statements: int,
) -> None:
    resources = app.state.resources
    for number in range(3):
        await open_doctor(register, f"Dr {number}")
    clock.advance(minutes=75)
    await update_next_slots(resources.database, resources.processor, clock)
    count_statements()
    await update_next_slots(resources.database, resources.processor, clock)
    assert count_statements() == 2, "the job found outdated bounds again"
    await find_starts(client, limit="2")
    assert count_statements() == setting_statements + 3, "the search saved bounds"


@pytest.mark.parametrize("expected", [1, 3])
@pytest.mark.parametrize("wanted", [1, 2, 11, 101])
def test_batches_grow_so_that_a_few_reach_the_maximum(expected: int, wanted: int) -> None:
    for found in range(wanted):
        scanned, batches = 0, 0
        while scanned < search.MAX_SCANS:
            size = search.batch_size(expected, wanted, scanned=scanned, found=min(found, 3 * scanned))
            assert 0 < size <= max(expected * wanted, scanned)
            scanned += size
            batches += 1
        assert batches <= 24
