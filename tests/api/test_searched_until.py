"""How far the lists of free time look, and where they go on."""

from typing import Any

import httpx2
import pytest

from tests.conftest import Register
from tests.people import Person, next_page

LISTS = ["availability", "slots"]


async def follow(client: httpx2.AsyncClient, path: str) -> tuple[list[Any], list[str]]:
    """All that is listed from page to page, and how far each page has looked."""
    found: list[Any] = []
    ends: list[str] = []
    more: str | None = path
    while more:
        response = await client.get(more)
        assert response.status_code == 200, response.text
        found += response.json()
        ends.append(response.headers["Searched-Until"])
        more = next_page(response)
    return found, ends


@pytest.mark.parametrize("path", LISTS)
async def test_next_page_leads_to_a_window_in_three_weeks(
    client: httpx2.AsyncClient, doctor: Person, path: str
) -> None:
    await doctor.publish("2026-12-22T09:00:00-05:00", "2026-12-22T09:30:00-05:00")
    first = await client.get(f"/doctors/{doctor.id}/{path}")
    assert first.json() == []
    assert first.headers["Searched-Until"] == "2026-12-15T08:00:00Z"
    found, ends = await follow(client, f"/doctors/{doctor.id}/{path}")
    assert [each["start_time"] for each in found] == ["2026-12-22T14:00:00Z"]
    assert ends == ["2026-12-15T08:00:00Z", "2026-12-29T08:00:00Z"]


@pytest.mark.parametrize("path", LISTS)
async def test_next_page_leads_to_a_window_after_more_than_a_year(
    client: httpx2.AsyncClient, doctor: Person, path: str
) -> None:
    await doctor.publish("2028-06-01T09:00:00Z", "2028-06-01T09:30:00Z")
    found, _ = await follow(client, f"/doctors/{doctor.id}/{path}")
    assert [each["start_time"] for each in found] == ["2028-06-01T09:00:00Z"]


@pytest.mark.parametrize("path", LISTS)
async def test_recurring_hours_are_listed_for_a_year(client: httpx2.AsyncClient, doctor: Person, path: str) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T09:30:00Z", "FREQ=MONTHLY")
    found, ends = await follow(client, f"/doctors/{doctor.id}/{path}")
    assert [each["start_time"][:7] for each in found][:13] == [
        "2026-12",
        *(f"2027-{month:02}" for month in range(1, 13)),
    ][: len(found)]
    assert len(found) >= 12
    assert ends[-1] < "2028"


@pytest.mark.parametrize("path", LISTS)
async def test_list_without_more_windows_has_no_next_page(
    client: httpx2.AsyncClient, doctor: Person, path: str
) -> None:
    assert next_page(await client.get(f"/doctors/{doctor.id}/{path}")) is None
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T09:30:00Z", "FREQ=WEEKLY")
    assert next_page(await client.get(f"/doctors/{doctor.id}/{path}"))
    await doctor.update_profile(max_advance_days=10)
    assert next_page(await client.get(f"/doctors/{doctor.id}/{path}")) is None, (
        "nothing can be booked behind the horizon"
    )


@pytest.mark.parametrize("path", LISTS)
async def test_requested_span_is_listed_in_one_page(client: httpx2.AsyncClient, doctor: Person, path: str) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T09:30:00Z", "FREQ=WEEKLY")
    response = await client.get(f"/doctors/{doctor.id}/{path}?to=2026-12-09T00:00:00%2B01:00")
    assert len(response.json()) == 1
    assert response.headers["Searched-Until"] == "2026-12-08T23:00:00Z"
    assert next_page(response) is None


async def test_page_of_the_maximum_size_says_how_far_it_searched(
    client: httpx2.AsyncClient, register: Register
) -> None:
    doctor = await register("doctor")
    await doctor.publish("2026-12-02T00:00:00Z", "2026-12-09T00:00:00Z")
    kind = (await doctor.add_visit_type(duration_minutes=5))["id"]
    path = f"/doctors/{doctor.id}/slots?visit_type_id={kind}"
    response = await client.get(path)
    assert len(response.json()) == 2000
    assert response.headers["Searched-Until"] == "2026-12-08T22:40:00Z"
    found, _ = await follow(client, path)
    assert len(found) == 7 * 24 * 12
