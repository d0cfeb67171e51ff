"""Searches and slots are computed in steps, without a connection, and within a budget of processor time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from app.core import computing, dependencies
from app.core.settings import Settings
from app.scheduling import decisions
from app.services import slot_scanner, slots
from tests.computing import watch, watch_connections
from tests.conftest import Register
from tests.databases import settings_for
from tests.people import Person
from tests.search.searching import open_doctor

START = "2026-12-01T09:00:00Z"

tiny_budget = pytest.mark.parametrize("budget", [1e-9], ids=["tiny-budget"])
"""A budget that the first step uses up. One more step is run after it."""


@pytest.fixture
def budget() -> float:
    """Return the seconds of processor time that a request may use."""
    return 60


@pytest.fixture
def settings(database_url: str, budget: float) -> Settings:
    return settings_for(database_url, max_search_seconds=budget)


@tiny_budget
async def test_search_over_budget_says_how_far_it_went(client: httpx2.AsyncClient, register: Register) -> None:
    for number in range(4):
        await open_doctor(register, f"Dr {number}")
    response = await client.get("/search/slots")
    assert response.status_code == 200
    assert {each["start_time"][:10] for each in response.json()} == {"2026-12-01"}
    assert len({each["doctor"]["name"] for each in response.json()}) == 2, "two calendars are scanned"
    assert response.headers["Searched-Until"] <= START


@tiny_budget
async def test_search_for_hours_without_slots_ends_with_the_budget(
    client: httpx2.AsyncClient, register: Register
) -> None:
    for number in range(4):
        await open_doctor(register, f"Dr {number}")
    response = await client.get("/search/slots", params={"between": "03:01-03:02"})
    assert response.status_code == 200
    assert response.json() == []
    assert response.headers["Searched-Until"] < "2027-02-01"


@tiny_budget
async def test_list_of_doctors_has_the_same_budget(client: httpx2.AsyncClient, register: Register) -> None:
    for number in range(3):
        await open_doctor(register, f"Dr {number}")
    listed = (await client.get("/doctors")).json()
    assert [each["next_available"] for each in listed].count(START) == 2, "two calendars are scanned"


@tiny_budget
@pytest.mark.parametrize("path", ["/doctors/{id}/next-slot", "/with/{id}"])
async def test_next_slot_over_budget_is_refused_as_busy(
    client: httpx2.AsyncClient, booked_doctor: Person, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    response = await client.get(path.format(id=booked_doctor.id))
    assert response.status_code == 503
    assert "Retry-After" in response.headers
    assert "busy: 'the processor time of the request is used up'" in caplog.messages


@tiny_budget
@pytest.mark.parametrize("path", ["availability", "slots"])
async def test_list_over_budget_ends_after_a_week_and_links_to_the_next_page(
    client: httpx2.AsyncClient, register: Register, path: str
) -> None:
    doctor = await register("doctor")
    await doctor.update_profile(default_visit_minutes=30)
    await doctor.publish("2026-12-01T09:00:00Z", "2026-12-01T09:30:00Z", "FREQ=DAILY")
    span = {"from": "2026-12-01T08:00:00Z", "to": "2027-01-19T08:00:00Z"}
    response = await client.get(f"/doctors/{doctor.id}/{path}", params=span)
    assert response.status_code == 200
    assert len(response.json()) == 7
    assert response.headers["Searched-Until"] == "2026-12-08T08:00:00Z"
    listed = response.json()
    while "next" in response.links:
        response = await client.get(response.links["next"]["url"])
        listed += response.json()
    assert len({each["start_time"] for each in listed}) == len(listed) == 49
    assert response.headers["Searched-Until"] == "2027-01-19T08:00:00Z"


@tiny_budget
@pytest.mark.parametrize("path", ["availability", "slots"])
async def test_links_of_a_list_without_an_end_lead_through_a_year_despite_the_budget(
    client: httpx2.AsyncClient, register: Register, path: str
) -> None:
    doctor = await register("doctor")
    await doctor.publish("2026-12-01T09:00:00Z", "2026-12-01T09:30:00Z")
    response = await client.get(f"/doctors/{doctor.id}/{path}")
    while "next" in response.links:
        response = await client.get(response.links["next"]["url"])
    assert "2027-12-01" < response.headers["Searched-Until"] < "2028"


async def test_computation_that_gets_no_turn_is_logged(
    app: FastAPI,
    client: httpx2.AsyncClient,
    register: Register,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doctor = await open_doctor(register, "Dr A")
    monkeypatch.setattr(computing, "MAX_WAIT", 0.05)
    async with app.state.resources.processor.hold("another client"):
        response = await client.get(f"/doctors/{doctor.id}/slots")
    assert response.status_code == 503
    assert "busy: 'a computation did not get its turn in time'" in caplog.messages


@pytest.fixture
async def app_without_search_permits(app: FastAPI) -> FastAPI:
    """The application while the client has as many searches in progress as it may have."""
    permits = app.state.resources.searching.get("127.0.0.1")
    app.state.permits_in_use = permits  # the semaphore is only weakly referenced otherwise
    for _ in range(dependencies.MAX_SEARCHES_PER_CLIENT):
        await permits.acquire()
    return app


async def test_search_waits_for_other_searches_of_its_client_without_a_connection(
    app_without_search_permits: FastAPI, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_doctor(register, "Dr A")
    resources, patient = app_without_search_permits.state.resources, await register("patient")
    searching = asyncio.create_task(patient.get("/search/slots"))
    await asyncio.sleep(0.3)
    assert not searching.done()
    assert resources.database.engine.sync_engine.pool.checkedout() == 0
    resources.searching.get("127.0.0.1").release()
    assert len((await searching).json()) > 1
    monkeypatch.setattr(computing, "MAX_WAIT", 0.05)
    assert (await patient.get("/search/slots")).status_code == 200, "the search has released its permit"


@pytest.mark.usefixtures("app_without_search_permits")
async def test_search_that_waits_too_long_for_other_searches_of_its_client_is_refused_as_busy(
    client: httpx2.AsyncClient, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor = await open_doctor(register, "Dr A")
    monkeypatch.setattr(computing, "MAX_WAIT", 0.05)
    for path in ("/search/slots", f"/doctors/{doctor.id}/slots", "/"):
        assert (await client.get(path)).status_code == 503


@pytest.mark.usefixtures("app_without_search_permits")
async def test_invalid_request_does_not_wait_for_searches(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(5):
        assert (await client.get("/search/slots", params={"limit": "many"})).status_code == 422
        assert (await client.get("/search/slots", headers={"Authorization": "Bearer x"})).status_code == 401
        assert (await client.get(f"/doctors/{uuid4()}/slots")).status_code == 404


@tiny_budget
async def test_hours_in_one_time_zone_are_computed_despite_the_budget(
    client: httpx2.AsyncClient, register: Register
) -> None:
    await open_doctor(register, "Dr A")
    response = await client.get("/search/slots", params={"between": "09:00-10:00"})
    assert response.json() == []
    assert response.headers["Searched-Until"] == "2026-12-01T09:00:00Z"


@tiny_budget
async def test_hours_in_many_time_zones_are_computed_until_the_budget_ends(
    client: httpx2.AsyncClient, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    for zone in ("Europe/Berlin", "America/New_York", "Asia/Tokyo"):
        await open_doctor(register, zone, time_zone=zone)
    computed: list[str] = []
    watch(monkeypatch, computed.append)
    assert (await client.get("/", params={"part": "evening"})).status_code == 200
    assert computed.count("when_shown") == 2
    assert "slots" not in computed


@pytest.fixture
def connections_in_use(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of connections in use at each computation."""
    return watch_connections(app, monkeypatch)


class LoopIterations:
    """The functions that are called in each iteration of the event loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self.computed: Counter[tuple[int, str]] = Counter()
        watch(monkeypatch, lambda name: self.computed.update([(self.number, name)]))

    async def count(self) -> None:
        """Count the iterations until the task is cancelled."""
        while True:
            self.number += 1
            await asyncio.sleep(0)

    def max_calls(self, name: str) -> int:
        """Return the most calls of a function in one iteration."""
        return max(count for (_, called), count in self.computed.items() if called == name)

    def total_calls(self, name: str) -> int:
        return sum(count for (_, called), count in self.computed.items() if called == name)


@pytest.fixture
async def iterations(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoopIterations]:
    """The iterations of the event loop while every step is a slice of its own and converts at most two rows."""
    monkeypatch.setattr(computing, "SLICE", 0)
    for service in (slots, slot_scanner):
        monkeypatch.setattr(service, "ROWS_PER_STEP", 2)
    iterations = LoopIterations(monkeypatch)
    counting = asyncio.create_task(iterations.count())
    yield iterations
    counting.cancel()


@pytest.fixture
async def booked_doctor(register: Register) -> Person:
    """A doctor without free time: booked on one morning, and off for the following year."""
    doctor, patient = await register("doctor"), await register("patient")
    await doctor.update_profile(default_visit_minutes=30)
    await doctor.publish("2026-12-01T09:00:00Z", "2026-12-01T12:00:00Z", "FREQ=DAILY")
    for begin in range(6):
        start = datetime.fromisoformat(START) + begin * timedelta(minutes=30)
        await patient.book(doctor, start.isoformat())
    await doctor.take_time_off("2026-12-02T00:00:00Z", "2027-12-02T00:00:00Z")
    return doctor


async def test_event_loop_runs_between_the_weeks_of_a_next_slot(
    client: httpx2.AsyncClient, booked_doctor: Person, iterations: LoopIterations
) -> None:
    response = await client.get(f"/doctors/{booked_doctor.id}/next-slot")
    assert response.json()["reason"]["code"] == "slot_taken"
    assert iterations.total_calls("slots") >= 52
    assert iterations.max_calls("slots") == 1
    assert iterations.total_calls("BusyPeriod") == 6
    assert iterations.max_calls("BusyPeriod") == 2


@pytest.mark.parametrize(("path", "name"), [("slots", "slots"), ("availability", "free_windows")])
async def test_event_loop_runs_between_the_weeks_of_a_list(
    client: httpx2.AsyncClient, booked_doctor: Person, iterations: LoopIterations, path: str, name: str
) -> None:
    two_months = {"from": "2026-12-01T08:00:00Z", "to": "2027-02-01T08:00:00Z"}
    assert (await client.get(f"/doctors/{booked_doctor.id}/{path}", params=two_months)).json() == []
    assert iterations.total_calls(name) == 9
    assert iterations.max_calls(name) == 1
    assert iterations.max_calls("BusyPeriod") == 2


async def test_event_loop_runs_while_later_openings_are_searched(
    client: httpx2.AsyncClient, register: Register, iterations: LoopIterations
) -> None:
    doctor = await open_doctor(register, "Dr A")
    await doctor.publish("2026-12-01T13:00:00Z", "2026-12-01T14:00:00Z", "FREQ=DAILY;UNTIL=20261202")
    assert "next" not in (await client.get(f"/doctors/{doctor.id}/slots")).links
    assert iterations.total_calls("windows_between") >= 12
    assert iterations.max_calls("windows_between") == 1


async def test_event_loop_runs_while_the_calendars_of_a_search_are_converted(
    client: httpx2.AsyncClient, booked_doctor: Person, iterations: LoopIterations
) -> None:
    assert booked_doctor.id
    assert (await client.get("/search/slots")).json() == []
    assert iterations.total_calls("BusyPeriod") >= 6
    assert iterations.max_calls("BusyPeriod") == 2


async def test_event_loop_runs_between_the_time_zones_of_a_search(
    client: httpx2.AsyncClient, register: Register, iterations: LoopIterations
) -> None:
    for zone in ("Europe/Berlin", "America/New_York", "Asia/Tokyo"):
        await open_doctor(register, zone, time_zone=zone)
    assert (await client.get("/", params={"part": "evening"})).status_code == 200
    assert iterations.total_calls("when_shown") == 3
    assert iterations.max_calls("when_shown") == 1


async def test_slots_are_computed_without_a_connection(
    client: httpx2.AsyncClient, register: Register, connections_in_use: list[int]
) -> None:
    doctor = await open_doctor(register, "Dr A")
    failures = []
    for path in (
        "/search/slots",
        "/search/slots?between=03:01-03:02",
        "/",
        "/?part=evening",
        "/doctors",
        f"/doctors/{doctor.id}/availability",
        f"/doctors/{doctor.id}/slots",
        f"/doctors/{doctor.id}/next-slot",
        f"/with/{doctor.id}",
    ):
        connections_in_use.clear()
        response = await client.get(path)
        if response.status_code != 200 or set(connections_in_use) != {0}:
            failures.append(f"{path}: {response.status_code}, connections in use: {connections_in_use}")
    assert not failures


async def test_free_windows_are_listed_in_pages(
    client: httpx2.AsyncClient, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "MAX_SLOTS", 3)
    doctor = await register("doctor")
    first = datetime.fromisoformat("2026-12-01T09:00:00Z")
    starts = [first + timedelta(hours=number) for number in range(5)]
    for begin in starts:
        await doctor.publish(begin.isoformat(), (begin + timedelta(minutes=30)).isoformat())
    response = await client.get(f"/doctors/{doctor.id}/availability")
    listed = [each["start_time"] for each in response.json()]
    assert len(listed) == 3
    rest = await client.get(response.links["next"]["url"])
    assert "next" not in rest.links
    listed += [each["start_time"] for each in rest.json()]
    assert [datetime.fromisoformat(each) for each in listed] == starts


def test_number_of_free_windows_on_a_page_is_bounded() -> None:
    # More windows than this fit into 62 days, if a doctor opens and closes often enough.
    assert slots.MAX_SLOTS < slots.MAX_LISTING // decisions.MIN_VISIT
