"""The limit on requests that one client has in flight."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app.edge.metrics import Metrics
from app.main import create_app
from tests.databases import settings_for
from tests.edge.conftest import client_of
from tests.people import Person, assert_problem
from tests.web.conftest import Forms

UNMATCHED_TIMES = {"between": "03:01-03:02"}


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Both databases, because requests in flight wait for their connections."""
    name: str = request.param
    return name


@pytest.fixture
async def bounded(database_url: str) -> AsyncIterator[FastAPI]:
    """An application with a limit of four requests and two database connections."""
    settings = settings_for(
        database_url,
        max_in_flight_per_client=4,
        max_search_seconds=0.5,
        database_pool_size=2,
        trusted_proxies="10.0.0.7",
    )
    async with AsyncExitStack() as stack:
        app = create_app(settings)
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield app


def count_statuses(responses: list[httpx2.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


@pytest.mark.parametrize(("path", "query"), [("/search/slots", UNMATCHED_TIMES), ("/", {"part": "evening"})])
async def test_flood_of_searches_does_not_slow_other_clients(
    bounded: FastAPI, path: str, query: dict[str, str]
) -> None:
    async with client_of(bounded) as client, client_of(bounded, "192.0.2.7") as other:
        doctor = await Person.register(client, "doctor")
        await doctor.publish("2099-12-08T09:00:00Z", "2099-12-08T17:00:00Z")
        flood = [asyncio.create_task(client.get(path, params=query)) for _ in range(150)]
        await asyncio.sleep(0)
        other_responses = [await other.get(f"/doctors/{doctor.id}") for _ in range(20)]
        responses = await asyncio.gather(*flood)
    assert count_statuses(other_responses) == {200: 20}
    assert count_statuses(responses) == {200: 4, 429: 146}
    refused = next(response for response in responses if response.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert "x-request-id" in refused.headers


@asynccontextmanager
async def keep_requests_in_flight(client: httpx2.AsyncClient, app: FastAPI, **options: Any) -> AsyncIterator[None]:
    """Keep four requests in flight within the context: the end of their bodies arrives at its end."""
    arrived = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"["
        await arrived.wait()
        yield b"]"

    before = count_in_flight(app)
    waiting = [asyncio.create_task(client.post("/appointments", content=body(), **options)) for _ in range(4)]
    while count_in_flight(app) < before + 4:  # noqa: ASYNC110 - what is waited for is a count
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        arrived.set()
        assert {response.status_code for response in await asyncio.gather(*waiting)} <= {401, 422}


def count_in_flight(app: FastAPI) -> float:
    metrics: Metrics = app.state.metrics
    return metrics.registry.get_sample_value("http_requests_in_flight") or 0


async def test_address_at_its_limit_is_refused_until_a_request_ends(bounded: FastAPI) -> None:
    async with client_of(bounded) as client:
        async with keep_requests_in_flight(client, bounded):
            assert_problem(await client.get("/doctors"), 429, "too_many_requests")
            page = await client.get("/", headers={"Accept": "text/html"})
            assert (page.status_code, page.headers["content-type"]) == (429, "text/html; charset=utf-8")
            forged = {"Authorization": "Bearer e30.e30.e30"}
            assert_problem(await client.get("/doctors", headers=forged), 429, "too_many_requests")
            for path in ("/livez", "/readyz"):
                assert (await client.get(path)).status_code == 200
        assert (await client.get("/doctors")).status_code == 200


async def test_accounts_behind_one_address_have_limits_of_their_own(bounded: FastAPI) -> None:
    async with client_of(bounded) as client:
        ann, ben = [await Person.register(client, "patient") for _ in range(2)]
        async with keep_requests_in_flight(client, bounded):
            assert (await ann.get("/appointments")).status_code == 200
            async with keep_requests_in_flight(client, bounded, headers=ann.headers):
                assert_problem(await ann.get("/appointments"), 429, "too_many_requests")
                assert (await ben.get("/appointments")).status_code == 200


async def test_page_session_has_a_limit_of_its_own(bounded: FastAPI) -> None:
    async with client_of(bounded) as client, client_of(bounded) as browser:
        ann = await Person.register(client, "patient")
        await Forms(browser).sign_in(ann)
        async with keep_requests_in_flight(client, bounded):
            assert (await browser.get("/my/appointments")).status_code == 200
            assert (await client.get("/my/appointments")).status_code == 429


async def test_clients_behind_a_trusted_proxy_have_limits_of_their_own(bounded: FastAPI) -> None:
    first, second = ({"X-Forwarded-For": f"198.51.100.{number}"} for number in (1, 2))
    async with client_of(bounded, "10.0.0.7") as proxy, keep_requests_in_flight(proxy, bounded, headers=first):
        responses = [await proxy.get("/doctors", headers=each) for each in (first, second)]
    assert [response.status_code for response in responses] == [429, 200]
