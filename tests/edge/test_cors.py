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
OTHER_ORIGINS = [
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
async def restricted_app(start: Start) -> FastAPI:
    return await start(cors_origins=f"{ORIGIN}, http://localhost:3000")


def list_permissions(response: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-allow-")}


async def test_cors_is_off_by_default(client: httpx2.AsyncClient) -> None:
    response = await client.get("/doctors", headers={"Origin": ORIGIN})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert_problem(await client.options("/doctors", headers={"Origin": ORIGIN} | PREFLIGHT), 405, "method_not_allowed")


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
async def test_listed_origin_may_read_responses(restricted_app: FastAPI, origin: str) -> None:
    async with client_of(restricted_app) as client:
        for path in ("/doctors", "/nothing", "/auth/me"):
            response = await client.get(path, headers={"Origin": origin})
            assert list_permissions(response) == {"access-control-allow-origin": origin}
            assert "origin" in response.headers["vary"].lower()
            exposed = set(response.headers["access-control-expose-headers"].split(", "))
            assert exposed >= {"Link", "ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID"}
            assert "Idempotency-Replayed" in exposed


async def test_listed_origin_may_read_an_internal_error(restricted_app: FastAPI) -> None:
    resources: Resources = restricted_app.state.resources
    object.__setattr__(resources, "clock", None)
    async with client_of(restricted_app) as client:
        response = await client.post("/auth/forgot-password", json={"email": "a@b.example"}, headers={"Origin": ORIGIN})
    assert_problem(response, 500, "internal_error")
    assert list_permissions(response) == {"access-control-allow-origin": ORIGIN}


async def test_listed_origin_may_send_a_preflight(restricted_app: FastAPI) -> None:
    async with client_of(restricted_app) as client:
        response = await client.options("/appointments", headers={"Origin": ORIGIN} | PREFLIGHT)
    assert response.status_code == 200
    assert list_permissions(response)["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "x-request-id" in response.headers


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
async def test_other_origins_are_refused(restricted_app: FastAPI, origin: str) -> None:
    async with client_of(restricted_app) as client:
        response = await client.get("/doctors", headers={"Origin": origin})
        assert list_permissions(response) == {}
        response = await client.options("/appointments", headers={"Origin": origin} | PREFLIGHT)
        assert response.status_code == 400
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "change", [{"Access-Control-Request-Method": "TRACE"}, {"Access-Control-Request-Headers": "x-y"}]
)
async def test_preflight_for_another_method_or_header_is_refused(
    restricted_app: FastAPI, change: dict[str, str]
) -> None:
    async with client_of(restricted_app) as client:
        response = await client.options("/appointments", headers={"Origin": ORIGIN} | PREFLIGHT | change)
    assert response.status_code == 400


async def test_credentials_are_allowed_only_by_setting(start: Start) -> None:
    async with client_of(await start(cors_origins=ORIGIN, cors_credentials=True)) as client:
        response = await client.get("/doctors", headers={"Origin": ORIGIN})
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["access-control-allow-origin"] == ORIGIN


async def test_all_origins_can_be_allowed(start: Start) -> None:
    async with client_of(await start(cors_origins="*")) as client:
        response = await client.get("/doctors", headers={"Origin": "https://anywhere.example"})
    assert list_permissions(response) == {"access-control-allow-origin": "*"}
