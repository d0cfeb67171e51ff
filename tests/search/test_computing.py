"""Searches and slots are computed in turns, without a connection, and within a budget."""

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
from tests.search.asking import open_doctor

START = "2026-12-01T09:00:00Z"

too_little = pytest.mark.parametrize("budget", [1e-9])
"""A budget that the first step uses up; one more is run."""


@pytest.fixture
def budget() -> float:
    """Seconds of processor time for a request."""
    return 60


@pytest.fixture
def settings(database_url: str, budget: float) -> Settings:
    return settings_for(database_url, max_search_seconds=budget)


@too_little
async def test_a_search_that_takes_too_long_says_how_far_it_came(
    client: httpx2.AsyncClient, register: Register
) -> None:
    for number in range(4):
        await open_doctor(register, f"Dr {number}")
    answered = await client.get("/search/slots")
    assert answered.status_code == 200
    assert {each["start_time"][:10] for each in answered.json()} == {"2026-12-01"}
    assert len({each["doctor"]["name"] for each in answered.json()}) == 2, "two calendars were looked at"
    assert answered.headers["Searched-Until"] <= START


@too_little
async def test_hours_at_which_nothing_is_free_end_with_the_budget(
    client: httpx2.AsyncClient, register: Register
) -> None:
    for number in range(4):
        await open_doctor(register, f"Dr {number}")
    answered = await client.get("/search/slots", params={"between": "03:01-03:02"})
    assert answered.status_code == 200
    assert answered.json() == []
    assert answered.headers["Searched-Until"] < "2027-02-01"


@too_little
async def test_a_list_of_doctors_has_the_same_budget(client: httpx2.AsyncClient, register: Register) -> None:
    for number in range(3):
        await open_doctor(register, f"Dr {number}")
    listed = (await client.get("/doctors")).json()
    assert [each["next_available"] for each in listed].count(START) == 2, "two calendars were looked at"


@too_little
@pytest.mark.parametrize("path", ["/doctors/{id}/next-slot", "/with/{id}"])
async def test_a_next_slot_that_takes_too_long_is_busy(
    client: httpx2.AsyncClient, full: Person, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    answered = await client.get(path.format(id=full.id))
    assert answered.status_code == 503
    assert "Retry-After" in answered.headers
    assert "busy: 'the processor time of the request is used up'" in caplog.messages


@too_little
@pytest.mark.parametrize("path", ["availability", "slots"])
async def test_lists_that_take_too_long_end_after_a_week_or_more(
    client: httpx2.AsyncClient, register: Register, path: str
) -> None:
    doctor = await register("doctor")
    await doctor.update_profile(default_visit_minutes=30)
    await doctor.publish("2026-12-01T09:00:00Z", "2026-12-01T09:30:00Z", "FREQ=DAILY")
    span = {"from": "2026-12-01T08:00:00Z", "to": "2027-01-19T08:00:00Z"}
    answered = await client.get(f"/doctors/{doctor.id}/{path}", params=span)
    assert answered.status_code == 200
    assert len(answered.json()) == 7
    assert answered.headers["Searched-Until"] == "2026-12-08T08:00:00Z"
    listed = answered.json()
    while "next" in answered.links:
        answered = await client.get(answered.links["next"]["url"])
        listed += answered.json()
    assert len({each["start_time"] for each in listed}) == len(listed) == 49
    assert answered.headers["Searched-Until"] == "2027-01-19T08:00:00Z"


@too_little
@pytest.mark.parametrize("path", ["availability", "slots"])
async def test_lists_without_an_end_are_followed_for_a_year_whatever_the_budget(
    client: httpx2.AsyncClient, register: Register, path: str
) -> None:
    doctor = await register("doctor")
    await doctor.publish("2026-12-01T09:00:00Z", "2026-12-01T09:30:00Z")
    answered = await client.get(f"/doctors/{doctor.id}/{path}")
    while "next" in answered.links:
        answered = await client.get(answered.links["next"]["url"])
    assert "2027-12-01" < answered.headers["Searched-Until"] < "2028"


async def test_a_missing_turn_is_logged(
    app: FastAPI,
    client: httpx2.AsyncClient,
    register: Register,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doctor = await open_doctor(register, "Dr A")
    monkeypatch.setattr(computing, "MAX_WAIT", 0.05)
    async with app.state.resources.processor.hold("another client"):
        answered = await client.get(f"/doctors/{doctor.id}/slots")
    assert answered.status_code == 503
    assert "busy: 'a computation did not get its turn in time'" in caplog.messages


@pytest.fixture
async def crowded(app: FastAPI) -> FastAPI:
    """As many searches of the client compute as may do so at the same time."""
    places = app.state.resources.searching.get("127.0.0.1")
    app.state.places_in_use = places  # or they would be forgotten
    for _ in range(dependencies.MAX_SEARCHES_PER_CLIENT):
        await places.acquire()
    return app


async def test_a_search_waits_for_others_of_its_client_without_a_connection(
    crowded: FastAPI, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_doctor(register, "Dr A")
    resources, patient = crowded.state.resources, await register("patient")
    searching = asyncio.create_task(patient.get("/search/slots"))
    await asyncio.sleep(0.3)
    assert not searching.done()
    assert resources.database.engine.sync_engine.pool.checkedout() == 0
    resources.searching.get("127.0.0.1").release()
    assert len((await searching).json()) > 1
    monkeypatch.setattr(computing, "MAX_WAIT", 0.05)
    assert (await patient.get("/search/slots")).status_code == 200, "the place was given back"


@pytest.mark.usefixtures("crowded")
async def test_a_search_that_waits_too_long_for_others_of_its_client_is_busy(
    client: httpx2.AsyncClient, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor = await open_doctor(register, "Dr A")
    monkeypatch.setattr(computing, "MAX_WAIT", 0.05)
    for path in ("/search/slots", f"/doctors/{doctor.id}/slots", "/"):
        assert (await client.get(path)).status_code == 503


@pytest.mark.usefixtures("crowded")
async def test_what_is_refused_does_not_wait_for_searches(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(5):
        assert (await client.get("/search/slots", params={"limit": "many"})).status_code == 422
        assert (await client.get("/search/slots", headers={"Authorization": "Bearer x"})).status_code == 401
        assert (await client.get(f"/doctors/{uuid4()}/slots")).status_code == 404


@too_little
async def test_hours_on_one_clock_are_computed_whatever_the_budget(
    client: httpx2.AsyncClient, register: Register
) -> None:
    await open_doctor(register, "Dr A")
    answered = await client.get("/search/slots", params={"between": "09:00-10:00"})
    assert answered.json() == []
    assert answered.headers["Searched-Until"] == "2026-12-01T09:00:00Z"


@too_little
async def test_hours_on_many_clocks_end_with_the_budget(
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
def held(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many connections were taken whenever something was computed."""
    return watch_connections(app, monkeypatch)


class Rounds:
    """What is computed in each round of the event loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self.computed: Counter[tuple[int, str]] = Counter()
        watch(monkeypatch, lambda name: self.computed.update([(self.number, name)]))

    async def count(self) -> None:
        """Counts the rounds until it is cancelled."""
        while True:
            self.number += 1
            await asyncio.sleep(0)

    def most(self, name: str) -> int:
        """How often a function was called in one round."""
        return max(count for (_, called), count in self.computed.items() if called == name)

    def total(self, name: str) -> int:
        return sum(count for (_, called), count in self.computed.items() if called == name)


@pytest.fixture
async def rounds(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rounds]:
    """Every step is a slice of its own, and few rows are a step."""
    monkeypatch.setattr(computing, "SLICE", 0)
    for service in (slots, slot_scanner):
        monkeypatch.setattr(service, "ROWS_PER_STEP", 2)
    rounds = Rounds(monkeypatch)
    counting = asyncio.create_task(rounds.count())
    yield rounds
    counting.cancel()


@pytest.fixture
async def full(register: Register) -> Person:
    """A doctor who is booked on one morning, and away for the year that follows."""
    doctor, patient = await register("doctor"), await register("patient")
    await doctor.update_profile(default_visit_minutes=30)
    await doctor.publish("2026-12-01T09:00:00Z", "2026-12-01T12:00:00Z", "FREQ=DAILY")
    for begin in range(6):
        start = datetime.fromisoformat(START) + begin * timedelta(minutes=30)
        await patient.book(doctor, start.isoformat())
    await doctor.take_time_off("2026-12-02T00:00:00Z", "2027-12-02T00:00:00Z")
    return doctor


async def test_others_have_their_turn_after_each_week(client: httpx2.AsyncClient, full: Person, rounds: Rounds) -> None:
    answered = await client.get(f"/doctors/{full.id}/next-slot")
    assert answered.json()["reason"]["code"] == "slot_taken"
    assert rounds.total("slots") >= 52
    assert rounds.most("slots") == 1
    assert rounds.total("BusyPeriod") == 6
    assert rounds.most("BusyPeriod") == 2


@pytest.mark.parametrize(("path", "name"), [("slots", "slots"), ("availability", "free_windows")])
async def test_others_have_their_turn_while_a_list_is_computed(
    client: httpx2.AsyncClient, full: Person, rounds: Rounds, path: str, name: str
) -> None:
    two_months = {"from": "2026-12-01T08:00:00Z", "to": "2027-02-01T08:00:00Z"}
    assert (await client.get(f"/doctors/{full.id}/{path}", params=two_months)).json() == []
    assert rounds.total(name) == 9
    assert rounds.most(name) == 1
    assert rounds.most("BusyPeriod") == 2


async def test_others_have_their_turn_while_later_hours_are_looked_for(
    client: httpx2.AsyncClient, register: Register, rounds: Rounds
) -> None:
    doctor = await open_doctor(register, "Dr A")
    await doctor.publish("2026-12-01T13:00:00Z", "2026-12-01T14:00:00Z", "FREQ=DAILY;UNTIL=20261202")
    assert "next" not in (await client.get(f"/doctors/{doctor.id}/slots")).links
    assert rounds.total("openings_between") >= 12
    assert rounds.most("openings_between") == 1


async def test_others_have_their_turn_while_the_calendars_of_a_search_are_converted(
    client: httpx2.AsyncClient, full: Person, rounds: Rounds
) -> None:
    assert full.id
    assert (await client.get("/search/slots")).json() == []
    assert rounds.total("BusyPeriod") >= 6
    assert rounds.most("BusyPeriod") == 2


async def test_others_have_their_turn_after_each_clock_of_a_search(
    client: httpx2.AsyncClient, register: Register, rounds: Rounds
) -> None:
    for zone in ("Europe/Berlin", "America/New_York", "Asia/Tokyo"):
        await open_doctor(register, zone, time_zone=zone)
    assert (await client.get("/", params={"part": "evening"})).status_code == 200
    assert rounds.total("when_shown") == 3
    assert rounds.most("when_shown") == 1


@pytest.mark.parametrize(
    "path",
    [
        "/search/slots",
        "/search/slots?between=03:01-03:02",
        "/",
        "/?part=evening",
        "/doctors",
        "/doctors/{id}/availability",
        "/doctors/{id}/slots",
        "/doctors/{id}/next-slot",
        "/with/{id}",
    ],
)
async def test_no_connection_is_held_while_slots_are_computed(
    client: httpx2.AsyncClient, register: Register, held: list[int], path: str
) -> None:
    doctor = await open_doctor(register, "Dr A")
    held.clear()
    answered = await client.get(path.format(id=doctor.id))
    assert answered.status_code == 200
    assert held
    assert set(held) == {0}


async def test_free_windows_are_listed_in_parts(
    client: httpx2.AsyncClient, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "MAX_SLOTS", 3)
    doctor = await register("doctor")
    first = datetime.fromisoformat("2026-12-01T09:00:00Z")
    opened = [first + timedelta(hours=number) for number in range(5)]
    for begin in opened:
        await doctor.publish(begin.isoformat(), (begin + timedelta(minutes=30)).isoformat())
    answered = await client.get(f"/doctors/{doctor.id}/availability")
    listed = [each["start_time"] for each in answered.json()]
    assert len(listed) == 3
    rest = await client.get(answered.links["next"]["url"])
    assert "next" not in rest.links
    listed += [each["start_time"] for each in rest.json()]
    assert [datetime.fromisoformat(each) for each in listed] == opened


def test_the_parts_of_a_list_are_bounded() -> None:
    """However often a doctor opens and closes, the free windows of 62 days are cut."""
    assert slots.MAX_SLOTS < slots.MAX_LISTING // decisions.MIN_VISIT
