import asyncio
import random
import string

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from tzdata import IANA_VERSION

from tests.edge.conftest import Start, client_of
from tests.people import PASSWORD, assert_problem

TOKEN = "0123456789abcdef"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def measured_app(start: Start) -> FastAPI:
    return await start(metrics_token=TOKEN)


async def read_metrics(client: httpx2.AsyncClient) -> dict[str, Metric]:
    response = await client.get("/metrics", headers=HEADERS)
    assert response.status_code == 200
    return {family.name: family for family in text_string_to_metric_families(response.text)}


async def test_requests_are_measured_by_operation(measured_app: FastAPI) -> None:
    async with client_of(measured_app) as client:
        for _ in range(3):
            await client.get("/doctors")
        await client.get("/doctors/019abcde-f012-7345-8678-9abcdef01234")
        metrics = await read_metrics(client)
    counted = {
        (sample.labels["operation"], sample.labels["method"], sample.labels["status"]): sample.value
        for sample in metrics["http_request_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert counted == {("list_doctors", "GET", "200"): 3, ("get_doctor", "GET", "404"): 1}
    assert [sample.value for sample in metrics["http_requests_in_flight"].samples] == [1]


async def test_metrics_show_the_time_zone_release(measured_app: FastAPI) -> None:
    async with client_of(measured_app) as client:
        [shown] = (await read_metrics(client))["time_zone_data_info"].samples
    assert shown.labels == {"version": IANA_VERSION}


async def test_metrics_show_the_state_of_the_audit_trail(measured_app: FastAPI) -> None:
    async with client_of(measured_app) as client:
        before = await read_metrics(client)
        body = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann", "role": "patient"}
        assert (await client.post("/auth/register", json=body)).status_code == 201
        async with asyncio.timeout(30):
            while (await read_metrics(client))["audit_head_position"].samples[0].value != 1:  # noqa: ASYNC110 - a job seals
                await asyncio.sleep(0.05)
    assert {name: before[name].samples[0].value for name in before if name.startswith("audit_")} == {
        "audit_head_position": 0,
        "audit_archived_position": 0,
        "audit_sealing_failing": 0,
    }


async def test_application_can_be_started_again(measured_app: FastAPI) -> None:
    for _ in range(2):
        async with measured_app.router.lifespan_context(measured_app), client_of(measured_app) as client:
            assert "audit_head_position" in await read_metrics(client)


async def test_each_application_has_its_own_metrics(measured_app: FastAPI, start: Start) -> None:
    async with client_of(measured_app) as client, client_of(await start(metrics_token=TOKEN)) as other:
        await client.get("/doctors")
        assert (await read_metrics(other))["http_request_seconds"].samples == []


@pytest.mark.parametrize("sent", ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "é"])
async def test_metrics_require_the_token(measured_app: FastAPI, sent: str) -> None:
    async with client_of(measured_app) as client:
        response = await client.get("/metrics", headers=[(b"Authorization", sent.encode("latin-1"))])
    assert_problem(response, 401, "not_authenticated")


async def test_metrics_are_off_without_a_token(client: httpx2.AsyncClient) -> None:
    for headers in ({}, {"Authorization": "Bearer "}, HEADERS):
        assert_problem(await client.get("/metrics", headers=headers), 404, "no_such_path")


async def test_metrics_are_not_in_the_openapi_document(client: httpx2.AsyncClient) -> None:
    assert "/metrics" not in (await client.get("/openapi.json")).json()["paths"]


async def test_unknown_paths_and_methods_create_no_labels(measured_app: FastAPI) -> None:
    chance = random.Random(1)
    async with client_of(measured_app) as client:
        for _ in range(200):
            word = "".join(chance.choices(string.ascii_uppercase, k=12))
            await client.request(word, f"/{word}", headers={"X-Request-ID": word})
            await client.request(word, "/doctors")
            await client.get(f"/doctors/{word}")
        metrics = await read_metrics(client)
    labels = {tuple(sorted(sample.labels.items() - {("le", sample.labels.get("le"))}))
              for sample in metrics["http_request_seconds"].samples}  # fmt: skip
    assert labels == {
        (("method", "unknown"), ("operation", "unknown"), ("status", "404")),
        (("method", "unknown"), ("operation", "list_doctors"), ("status", "405")),
        (("method", "GET"), ("operation", "unknown"), ("status", "404")),
    }
