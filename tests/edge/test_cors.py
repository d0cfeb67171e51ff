"""Pages of other origins: those that an operator names, and no others."""

import httpx2
import pytest
from fastapi import FastAPI

from app.core.dependencies import Resources
from tests.edge.conftest import Start, client_of
from tests.people import assert_problem

ORIGIN = "https://good.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,if-match,x-request-id",
}
STRANGERS = [
    "https://good.example.evil.com",
    "https://evil-good.example",
    "https://sub.good.example",
    "https://good.example:8443",
    "https://good.example/",
    "https://GOOD.example",
    "http://good.example",
    "https://good.example@evil.com",
    "null",
    "",
    "*",
]


@pytest.fixture
async def open_to_one(start: Start) -> FastAPI:
    return await start(cors_origins=f"{ORIGIN}, http://localhost:3000")


def granted(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-allow-")}


async def test_cors_is_off_by_default(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/doctors", headers={"Origin": ORIGIN})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert_problem(await client.options("/doctors", headers={"Origin": ORIGIN} | PREFLIGHT), 405, "method_not_allowed")


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
async def test_listed_origin_may_read_responses(open_to_one: FastAPI, origin: str) -> None:
    async with client_of(open_to_one) as client:
        for path in ("/doctors", "/nothing", "/auth/me"):
            answer = await client.get(path, headers={"Origin": origin})
            assert granted(answer) == {"access-control-allow-origin": origin}
            assert "origin" in answer.headers["vary"].lower()
            exposed = set(answer.headers["access-control-expose-headers"].split(", "))
            assert exposed >= {"Link", "ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID"}
            assert "Idempotency-Replayed" in exposed


async def test_listed_origin_may_read_an_internal_error(open_to_one: FastAPI) -> None:
    resources: Resources = open_to_one.state.resources
    object.__setattr__(resources, "clock", None)
    async with client_of(open_to_one) as client:
        answer = await client.post("/auth/forgot-password", json={"email": "a@b.example"}, headers={"Origin": ORIGIN})
    assert_problem(answer, 500, "internal_error")
    assert granted(answer) == {"access-control-allow-origin": ORIGIN}


async def test_listed_origin_may_send_a_preflight(open_to_one: FastAPI) -> None:
    async with client_of(open_to_one) as client:
        answer = await client.options("/appointments", headers={"Origin": ORIGIN} | PREFLIGHT)
    assert answer.status_code == 200
    assert granted(answer)["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "x-request-id" in answer.headers


@pytest.mark.parametrize("origin", STRANGERS)
async def test_other_origins_are_refused(open_to_one: FastAPI, origin: str) -> None:
    async with client_of(open_to_one) as client:
        answer = await client.get("/doctors", headers={"Origin": origin})
        assert granted(answer) == {}
        answer = await client.options("/appointments", headers={"Origin": origin} | PREFLIGHT)
        assert answer.status_code == 400
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "changed", [{"Access-Control-Request-Method": "TRACE"}, {"Access-Control-Request-Headers": "x-y"}]
)
async def test_preflight_for_another_method_or_header_is_refused(open_to_one: FastAPI, changed: dict[str, str]) -> None:
    async with client_of(open_to_one) as client:
        answer = await client.options("/appointments", headers={"Origin": ORIGIN} | PREFLIGHT | changed)
    assert answer.status_code == 400


async def test_credentials_are_allowed_only_by_setting(start: Start) -> None:
    async with client_of(await start(cors_origins=ORIGIN, cors_credentials=True)) as client:
        answer = await client.get("/doctors", headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_all_origins_can_be_allowed(start: Start) -> None:
    async with client_of(await start(cors_origins="*")) as client:
        answer = await client.get("/doctors", headers={"Origin": "https://anywhere.example"})
    assert granted(answer) == {"access-control-allow-origin": "*"}
