"""Whatever frees time is found again, though searches go by lower bounds; and what looking costs."""

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
from tests.search.asking import find, open_doctor


class Bounds:
    """Changes after which a search must find again what was behind a bound."""

    def __init__(self, client: httpx2.AsyncClient, doctor: Person, patient: Person, clock: SetClock) -> None:
        self.client, self.doctor, self.patient, self.clock = client, doctor, patient, clock

    async def first(self) -> str | None:
        """The earliest visit; whoever looks raises the bound to it."""
        found = await find(self.client, limit="1")
        assert await find(self.client, limit="1") == found
        return found[0][11:16] if found else None

    async def book(self, clock: str) -> str:
        patient = await self.patient.log_in_again()
        booked: str = (await patient.book(self.doctor, f"2026-12-01T{clock}:00Z"))["id"]
        return booked


@pytest.fixture
async def bounds(client: httpx2.AsyncClient, register: Register, patient: Person, clock: SetClock) -> Bounds:
    return Bounds(client, await open_doctor(register, "Dr A"), patient, clock)


@pytest.fixture
def planned(backend: str) -> int:
    """How many statements a search takes to have the others planned once."""
    return 1 if backend == "postgresql" else 0


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_the_statements_of_a_search_are_planned_once(database: Database) -> None:
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
        walks, generic, custom = (await transaction.execute(plans)).one()
    assert walks >= 1
    assert (generic, custom) == (3 * walks, 0), "each for all values"


async def test_a_cancelled_visit_is_offered_again(bounds: Bounds) -> None:
    booked = await bounds.book("09:00")
    assert await bounds.first() == "09:30"
    await bounds.patient.delete(f"/appointments/{booked}")
    assert await bounds.first() == "09:00"


async def test_a_moved_visit_leaves_its_time_to_others(bounds: Bounds) -> None:
    booked = await bounds.book("09:00")
    assert await bounds.first() == "09:30"
    await bounds.patient.post(f"/appointments/{booked}/reschedule", {"start_time": "2026-12-01T11:00:00Z"})
    assert await bounds.first() == "09:00"


async def test_the_rest_of_a_missed_visit_is_offered_again(bounds: Bounds) -> None:
    await bounds.doctor.update_profile(default_visit_minutes=60)
    booked = await bounds.book("09:00")
    await bounds.doctor.update_profile(default_visit_minutes=15)
    bounds.clock.advance(minutes=65)
    assert await bounds.first() == "10:00"
    doctor = await bounds.doctor.log_in_again()
    assert (await doctor.post(f"/appointments/{booked}/no-show", {})).status_code == 200
    assert await bounds.first() == "09:15"


async def test_whoever_erases_an_account_frees_the_time(bounds: Bounds) -> None:
    await bounds.book("09:00")
    assert await bounds.first() == "09:30"
    erased = await bounds.client.request(
        "DELETE", "/auth/me", headers=bounds.patient.headers, json={"password": PASSWORD}
    )
    assert erased.status_code == 204, erased.text
    assert await bounds.first() == "09:00"


async def test_a_hold_that_ends_by_itself_leaves_its_time_to_others(bounds: Bounds) -> None:
    held = {"doctor_id": bounds.doctor.id, "start_time": "2026-12-01T09:00:00Z"}
    assert (await bounds.patient.post("/holds", held)).status_code == 201
    assert await bounds.first() == "09:30"
    assert (await find(bounds.patient, limit="1"))[0][11:16] == "09:00", "it is hers"
    assert await bounds.first() == "09:30"
    bounds.clock.advance(minutes=5)
    assert await bounds.first() == "09:00"


async def test_a_full_day_is_open_again_when_one_visit_is_cancelled(bounds: Bounds) -> None:
    await bounds.doctor.publish("2026-12-02T09:00:00Z", "2026-12-02T12:00:00Z")
    await bounds.doctor.update_profile(daily_limit=1)
    booked = await bounds.book("11:30")
    assert (await find(bounds.client, limit="1"))[0] == "2026-12-02T09:00:00Z"
    await bounds.patient.delete(f"/appointments/{booked}")
    assert await bounds.first() == "09:00"


async def test_rules_that_open_time_are_found_at_once(bounds: Bounds) -> None:
    away = await bounds.doctor.take_time_off("2026-12-01T08:00:00Z", "2026-12-01T10:00:00Z")
    assert await bounds.first() == "10:00"
    await bounds.doctor.delete(f"/doctors/me/time-off/{away['id']}")
    assert await bounds.first() == "09:00"
    await bounds.doctor.publish("2026-12-01T08:00:00Z", "2026-12-01T08:30:00Z")
    assert await bounds.first() == "08:00"
    await bounds.doctor.update_profile(min_notice_minutes=90)
    assert await bounds.first() == "09:30"
    await bounds.doctor.update_profile(min_notice_minutes=0)
    assert await bounds.first() == "08:00"
    # Her hours are 09:00 to 12:00 in another zone then.
    await bounds.doctor.update_profile(time_zone="Europe/Lisbon")
    assert await bounds.first() == "08:00"
    await bounds.doctor.update_profile(time_zone="Asia/Kolkata")
    assert await bounds.first() is None
    await bounds.doctor.update_profile(time_zone="America/New_York")
    assert await bounds.first() == "13:00"


async def test_a_day_that_comes_into_reach_is_found(bounds: Bounds) -> None:
    await bounds.doctor.update_profile(max_advance_days=0)
    await bounds.doctor.publish("2026-12-02T07:00:00Z", "2026-12-02T09:00:00Z")
    bounds.clock.advance(hours=5)
    assert await bounds.first() is None
    bounds.clock.advance(hours=12)
    assert await bounds.first() == "07:00"


async def test_the_time_goes_by(bounds: Bounds) -> None:
    assert await bounds.first() == "09:00"
    bounds.clock.advance(minutes=75)
    assert await bounds.first() == "09:30"
    await bounds.book("09:30")
    assert await bounds.first() == "10:00"


async def test_a_search_costs_the_same_however_many_doctors_there_are(
    client: httpx2.AsyncClient, register: Register, count_statements: CountStatements, planned: int
) -> None:
    for number in range(15):
        doctor = await open_doctor(register, f"Dr {number}")
        await doctor.add_visit_type()
    await find(client, limit="5")
    count_statements()
    await find(client, limit="5")
    assert count_statements() == planned + 3, "offers, rules, calendars"
    await find(client, limit="5", visit="999")
    assert count_statements() == planned + 1
    # Once around the ring of turns, and along the bounds behind it.
    await find(client, limit="5", days="tuesday", between="10:00-11:00")
    assert count_statements() == planned + 5


async def test_what_was_found_out_is_written_down_after_the_answer(
    client: httpx2.AsyncClient, register: Register, patient: Person, count_statements: CountStatements, planned: int
) -> None:
    doctor = await open_doctor(register, "Dr A")
    count_statements()
    await find(client, limit="1")
    assert count_statements() == planned + 5, "one to lock, one to write"
    await find(client, limit="1")
    assert count_statements() == planned + 3
    await patient.book(doctor, "2026-12-01T09:00:00Z")
    count_statements()
    await find(client, limit="1")
    assert count_statements() == planned + 5
    await find(client, limit="1")
    assert count_statements() == planned + 3


async def test_where_too_many_would_have_to_be_looked_at_the_answer_says_so(
    client: httpx2.AsyncClient, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        await open_doctor(register, f"Dr {number}")
    monkeypatch.setattr(search, "MAX_SCANS", 6)
    answered = await client.get("/search/slots", params={"limit": "2"})
    starts = [each["start_time"] for each in answered.json()]
    assert starts == ["2026-12-01T09:00:00Z"] * 2, "what is found can be booked all the same"
    assert answered.headers["Searched-Until"] < starts[-1]
    assert next_page(answered)


async def test_bounds_that_have_passed_are_found_out_beside_the_searches(
    app: FastAPI,
    client: httpx2.AsyncClient,
    register: Register,
    clock: SetClock,
    count_statements: CountStatements,
    planned: int,
) -> None:
    resources = app.state.resources
    for number in range(3):
        await open_doctor(register, f"Dr {number}")
    clock.advance(minutes=75)
    await update_next_slots(resources.database, resources.processor, clock)
    count_statements()
    await update_next_slots(resources.database, resources.processor, clock)
    assert count_statements() == 2, "nothing is left to be discarded or to be looked at"
    await find(client, limit="2")
    assert count_statements() == planned + 3, "nothing is left to be found out"


@pytest.mark.parametrize("expected", [1, 3])
@pytest.mark.parametrize("wanted", [1, 2, 11, 101])
def test_a_search_goes_on_in_steps_that_grow(expected: int, wanted: int) -> None:
    """However much or little was found so far, a few steps lead to the most that is looked at."""
    for found in range(wanted):
        walked, steps = 0, 0
        while walked < search.MAX_SCANS:
            step = search.batch_size(expected, wanted, scanned=walked, found=min(found, 3 * walked))
            assert 0 < step <= max(expected * wanted, walked)
            walked += step
            steps += 1
        assert steps <= 24
