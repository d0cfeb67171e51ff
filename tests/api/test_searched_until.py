"""How far the lists of free windows and slots search (``Searched-Until``), and their next pages."""

from typing import Any

import httpx2

from tests.conftest import Register
from tests.people import Person, next_page


def list_paths(doctor: Person) -> list[str]:
    return [f"/doctors/{doctor.id}/{name}" for name in ("availability", "slots")]


async def follow(client: httpx2.AsyncClient, path: str) -> tuple[list[Any], list[str]]:
    """Return the items of all pages, and how far each page has searched."""
    found: list[Any] = []
    ends: list[str] = []
    page: str | None = path
    while page:
        response = await client.get(page)
        assert response.status_code == 200, response.text
        found += response.json()
        ends.append(response.headers["Searched-Until"])
        page = next_page(response)
    return found, ends


async def test_next_page_leads_to_a_window_in_three_weeks(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish("2026-12-22T09:00:00-05:00", "2026-12-22T09:30:00-05:00")
    for path in list_paths(doctor):
        first = await client.get(path)
        assert first.json() == [], path
        assert first.headers["Searched-Until"] == "2026-12-15T08:00:00Z"
        found, ends = await follow(client, path)
        assert [each["start_time"] for each in found] == ["2026-12-22T14:00:00Z"], path
        assert ends == ["2026-12-15T08:00:00Z", "2026-12-29T08:00:00Z"]


async def test_next_page_leads_to_a_window_after_more_than_a_year(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish("2028-06-01T09:00:00Z", "2028-06-01T09:30:00Z")
    for path in list_paths(doctor):
        found, _ = await follow(client, path)
        assert [each["start_time"] for each in found] == ["2028-06-01T09:00:00Z"], path


async def test_recurring_hours_are_listed_for_a_year(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T09:30:00Z", "FREQ=MONTHLY")
    months = ["2026-12", *(f"2027-{month:02}" for month in range(1, 13))]
    for path in list_paths(doctor):
        found, ends = await follow(client, path)
        assert len(found) >= 12, path
        assert [each["start_time"][:7] for each in found][:13] == months[: len(found)], path
        assert ends[-1] < "2028"


async def test_list_without_more_windows_has_no_next_page(client: httpx2.AsyncClient, doctor: Person) -> None:
    async def have_next_pages() -> list[bool]:
        return [next_page(await client.get(path)) is not None for path in list_paths(doctor)]

    assert await have_next_pages() == [False, False]
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T09:30:00Z", "FREQ=WEEKLY")
    assert await have_next_pages() == [True, True]
    await doctor.update_profile(max_advance_days=10)
    assert await have_next_pages() == [False, False], "nothing can be booked after the horizon"


async def test_requested_span_is_listed_in_one_page(client: httpx2.AsyncClient, doctor: Person) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T09:30:00Z", "FREQ=WEEKLY")
    for path in list_paths(doctor):
        response = await client.get(f"{path}?to=2026-12-09T00:00:00%2B01:00")
        assert len(response.json()) == 1, path
        assert response.headers["Searched-Until"] == "2026-12-08T23:00:00Z"
        assert next_page(response) is None


async def test_page_of_the_maximum_size_says_how_far_it_searched(
    client: httpx2.AsyncClient, register: Register
) -> None:
    doctor = await register("doctor")
    await doctor.publish("2026-12-02T00:00:00Z", "2026-12-09T00:00:00Z")
    visit_type_id = (await doctor.add_visit_type(duration_minutes=5))["id"]
    path = f"/doctors/{doctor.id}/slots?visit_type_id={visit_type_id}"
    response = await client.get(path)
    assert len(response.json()) == 2000
    assert response.headers["Searched-Until"] == "2026-12-08T22:40:00Z"
    found, _ = await follow(client, path)
    assert len(found) == 7 * 24 * 12
