"""Searches and slots are computed without a connection, and within a budget."""

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app.core.computing import Computation
from app.core.settings import Settings
from app.scheduling import decisions
from app.services import candidates, offers
from tests.conftest import Join
from tests.databases import settings_for
from tests.search.asking import open_doctor

START = "2026-12-01T09:00:00Z"


@pytest.fixture
def settings(database_url: str) -> Settings:
    """A budget that the first calendar uses up."""
    return settings_for(database_url, max_search_seconds=1e-9)


async def test_a_search_that_takes_too_long_says_how_far_it_came(client: httpx2.AsyncClient, join: Join) -> None:
    for number in range(4):
        await open_doctor(join, f"Dr {number}")
    answered = await client.get("/search/slots")
    assert answered.status_code == 200
    assert {each["start_time"][:10] for each in answered.json()} == {"2026-12-01"}
    assert len({each["doctor"]["name"] for each in answered.json()}) == 1, "one calendar was looked at"
    assert answered.headers["Searched-Until"] <= START


async def test_hours_at_which_nothing_is_free_end_with_the_budget(client: httpx2.AsyncClient, join: Join) -> None:
    for number in range(4):
        await open_doctor(join, f"Dr {number}")
    answered = await client.get("/search/slots", params={"between": "03:01-03:02"})
    assert answered.status_code == 200
    assert answered.json() == []
    assert answered.headers["Searched-Until"] < "2027-02-01"


async def test_a_list_of_doctors_has_the_same_budget(client: httpx2.AsyncClient, join: Join) -> None:
    for number in range(3):
        await open_doctor(join, f"Dr {number}")
    listed = (await client.get("/doctors")).json()
    assert [each["next_available"] for each in listed].count(START) == 1, "one calendar was looked at"


@pytest.fixture
def held(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many connections were taken whenever something was computed."""
    pool = app.state.resources.sessions.engine.sync_engine.pool
    seen: list[int] = []

    def watch(module: Any, name: str) -> None:
        compute = getattr(module, name)

        def watched(*arguments: Any) -> Any:
            seen.append(pool.checkedout())
            return compute(*arguments)

        monkeypatch.setattr(module, name, watched)

    watch(candidates, "slots")
    watch(offers, "slots")
    watch(offers, "free_windows")
    watch(Computation, "run")
    return seen


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
    client: httpx2.AsyncClient, join: Join, held: list[int], path: str
) -> None:
    doctor = await open_doctor(join, "Dr A")
    held.clear()
    answered = await client.get(path.format(id=doctor.id))
    assert answered.status_code == 200
    assert held
    assert set(held) == {0}


async def test_free_windows_are_listed_in_parts(
    client: httpx2.AsyncClient, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers, "MOST_SLOTS", 3)
    doctor = await join("doctor")
    first = datetime.fromisoformat("2026-12-01T09:00:00Z")
    opened = [first + timedelta(hours=number) for number in range(5)]
    for begin in opened:
        await doctor.open(begin.isoformat(), (begin + timedelta(minutes=30)).isoformat())
    answered = await client.get(f"/doctors/{doctor.id}/availability")
    listed = [each["start_time"] for each in answered.json()]
    assert len(listed) == 3
    rest = await client.get(answered.links["next"]["url"])
    assert "next" not in rest.links
    listed += [each["start_time"] for each in rest.json()]
    assert [datetime.fromisoformat(each) for each in listed] == opened


def test_the_parts_of_a_list_are_bounded() -> None:
    """However often a doctor opens and closes, the free windows of 62 days are cut."""
    assert offers.MOST_SLOTS < offers.LONGEST_LISTING // decisions.SHORTEST_VISIT
