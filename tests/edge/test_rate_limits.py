"""Rate limits by address and account, the headers about them, and refusals, which do not affect other clients."""

import asyncio
import json
import re
from inspect import isfunction, signature, unwrap

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import text

from app.adapters import mail
from app.core import rate_limits
from app.core.dependencies import get_passwords
from app.core.errors import DomainError
from app.core.rate_limits import RateLimiter
from app.db.database import Database
from app.edge import rate_limits as edge_limits
from app.edge.rate_limits import UNLIMITED_PATHS, credential_routes
from app.http.routes import list_dependencies
from tests.databases import settings_for
from tests.edge.conftest import Start, client_of
from tests.openapi import read_document
from tests.people import Person, assert_problem
from tests.routing import OPEN_TO_ALL, get_caller, list_all_routes, list_operations


def assert_refused(response: httpx2.Response) -> None:
    assert_problem(response, 429, "too_many_requests")
    assert 1 <= int(response.headers["retry-after"]) <= 86400


async def test_requests_per_address_are_limited(start: Start) -> None:
    app = await start(rate_limit_per_address="3/day")
    async with client_of(app) as client, client_of(app, "192.0.2.7") as other:
        numbers_left = []
        for path in ("/doctors", "/nothing", "/docs"):
            response = await client.get(path)
            assert response.headers["ratelimit-policy"] == '"address";q=3;w=86400'
            [(remaining, reset)] = re.findall(r'^"address";r=(\d+);t=(\d+)$', response.headers["ratelimit"])
            assert 1 <= int(reset) <= 86400
            numbers_left.append(int(remaining))
        assert numbers_left == [2, 1, 0]
        response = await client.get("/doctors")
        assert_refused(response)
        assert response.headers["ratelimit"] == f'"address";r=0;t={response.headers["retry-after"]}'
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "x-request-id" in response.headers
        assert (await other.get("/doctors")).status_code == 200


@pytest.mark.parametrize("path", sorted(UNLIMITED_PATHS))
async def test_monitoring_is_not_limited(start: Start, path: str) -> None:
    async with client_of(await start(rate_limit_per_address="1/day", metrics_token="t" * 16)) as client:
        await client.get("/doctors")
        for _ in range(3):
            response = await client.get(path, headers={"Authorization": f"Bearer {'t' * 16}"})
            assert response.status_code == 200
            assert "ratelimit" not in response.headers
            assert "ratelimit" not in (await client.get(f"{path}/")).headers
        assert_refused(await client.get(f"{path}//"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::2:3:4:5", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("nonsense", "<script>", True),
    ],
)
async def test_addresses_of_one_client_share_a_limit(start: Start, one: str, other: str, same: bool) -> None:
    app = await start(rate_limit_per_address="1/day")
    async with client_of(app, one) as first, client_of(app, other) as second:
        assert (await first.get("/doctors")).status_code == 200
        assert (await second.get("/doctors")).status_code == (429 if same else 200)


class Delays:
    """Replaces ``asyncio`` in the middleware, so that delays last until ``finished`` is set."""

    def __init__(self) -> None:
        self.started = 0
        self.finished = asyncio.Event()

    async def sleep(self, _seconds: float) -> None:
        self.started += 1
        await self.finished.wait()


async def test_refusals_are_delayed_but_other_clients_are_not(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    delays = Delays()
    monkeypatch.setattr(edge_limits, "asyncio", delays)
    monkeypatch.setattr(edge_limits, "MAX_DELAYED", 2)
    app = await start(rate_limit_per_address="1/day")
    async with client_of(app) as client, client_of(app, "192.0.2.7") as other, asyncio.timeout(60):
        assert (await client.get("/doctors")).status_code == 200
        waiting = [asyncio.create_task(client.get("/doctors")) for _ in range(2)]
        while delays.started < 2:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
        assert (await other.get("/doctors")).status_code == 200
        undelayed = await client.get("/doctors")
        assert_refused(undelayed)
        assert undelayed.headers["connection"] == "close"
        assert not any(each.done() for each in waiting), "a refusal beyond MAX_DELAYED is sent before the delayed ones"
        delays.finished.set()
        for each in waiting:
            assert_refused(await each)


BROWSER_CHOICES = {"POST /language", "POST /preferences"}
"""Forms that are open to all and take no credentials: they set a cookie with the language or the time zone."""


def must_be_limited(route: APIRoute) -> bool:
    """Return whether strangers can post to this route, or it hashes, takes a secret or sends one."""
    if "POST" not in (route.methods or ()) or BROWSER_CHOICES & set(list_operations(route)):
        return False
    return (
        get_caller(route) in OPEN_TO_ALL
        or get_passwords in list_dependencies(route)
        or takes_secret(route)
        or sends_secret(route)
    )


def takes_secret(route: APIRoute) -> bool:
    """Return whether the OpenAPI document says that the body contains something that is never shown."""
    document = read_document()
    content = document["paths"].get(route.path, {}).get("post", {}).get("requestBody", {}).get("content", {})
    names = [each["schema"]["$ref"].rpartition("/")[2] for each in content.values()]
    return any('"writeOnly": true' in json.dumps(document["components"]["schemas"][name]) for name in names)


def sends_secret(route: APIRoute) -> bool:
    """Return whether the route sends a message that contains a token."""
    messages = {name for name, make in vars(mail).items() if isfunction(make) and "token" in signature(make).parameters}
    return not messages.isdisjoint(unwrap(route.endpoint).__code__.co_names)


LIMITED = [route for route in list_all_routes() if must_be_limited(route)]
LIMITED_NAMES = {route.name for route in LIMITED}
# A page route has the same name as the API operation that does the same.
LIMITED_PATHS = {
    route.path for route in list_all_routes() if route.name in LIMITED_NAMES and "POST" in (route.methods or ())
}


def test_routes_with_credentials_have_the_lower_limit(assembled: FastAPI) -> None:
    assert {route.path for route in credential_routes(assembled)} == LIMITED_PATHS


def fill_in(path: str) -> str:
    """Return an address of this path."""
    return re.sub(r"\{[^}]+\}", "019abcde-f012-7345-8678-9abcdef01234", path)


@pytest.mark.parametrize("path", sorted(map(fill_in, LIMITED_PATHS)))
async def test_routes_with_credentials_share_the_lower_limit(start: Start, path: str) -> None:
    async with client_of(await start(rate_limit_login="2/day")) as client:
        for remaining in (1, 0):
            response = await client.post(path)
            assert response.headers["ratelimit"].startswith(f'"login";r={remaining};')
            assert response.status_code in {303, 401, 403, 422}  # the request is empty
        assert_refused(await client.post(path, json={"email": "ann@example.com"}))
        for other in map(fill_in, LIMITED_PATHS):
            assert_refused(await client.post(other))
            assert_refused(await client.post(f"{other}/"))
        assert (await client.get("/doctors")).status_code == 200


async def test_requests_per_account_are_limited_across_addresses(start: Start) -> None:
    app = await start(rate_limit_per_account="2/day")
    async with client_of(app) as client, client_of(app, "192.0.2.7") as elsewhere:
        ann, ben = [await Person.register(client, "patient") for _ in range(2)]
        response = await ann.get("/appointments")
        assert response.headers["ratelimit-policy"] == '"account";q=2;w=86400'
        assert response.headers["ratelimit"].startswith('"account";r=1;')
        assert (await ann.get("/auth/me")).status_code == 200
        assert_refused(await ann.get("/auth/me"))
        assert_refused(await elsewhere.get("/auth/me", headers=ann.headers))
        assert (await ben.get("/auth/me")).status_code == 200
        assert (await client.get("/doctors")).status_code == 200


async def test_token_of_an_ended_session_is_not_counted(start: Start) -> None:
    async with client_of(await start(rate_limit_per_account="2/day")) as client:
        ann = await Person.register(client, "patient")
        ended = await ann.log_in_again()
        assert (await client.post("/auth/logout", headers=ended.headers)).status_code == 204
        for _ in range(3):
            assert_problem(await ended.get("/auth/me"), 401, "not_authenticated")
        assert (await ann.get("/auth/me")).status_code == 200


async def test_forged_token_is_not_counted(start: Start) -> None:
    async with client_of(await start(rate_limit_per_account="1/day")) as client:
        ann = await Person.register(client, "patient")
        forged = ann.token[:-4] + "AAAA"
        for _ in range(3):
            assert_problem(
                await client.get("/auth/me", headers={"Authorization": f"Bearer {forged}"}), 401, "not_authenticated"
            )
        assert (await ann.get("/auth/me")).status_code == 200


async def test_refused_request_changes_nothing(start: Start, database: Database) -> None:
    async with client_of(await start(rate_limit_per_account="1/day")) as client:
        doctor = await Person.register(client, "doctor")
        for day, status in (("08", 201), ("09", 429)):
            times = {"start_time": f"2099-12-{day}T15:00:00Z", "end_time": f"2099-12-{day}T16:00:00Z"}
            assert (await doctor.post("/doctors/availability", times)).status_code == status
    async with database.read() as transaction:
        assert await transaction.scalar(text("SELECT count(*) FROM availabilities")) == 1


async def test_limits_can_be_switched_off(client: httpx2.AsyncClient) -> None:
    response = await client.get("/doctors")
    assert "ratelimit" not in response.headers
    assert "ratelimit-policy" not in response.headers


async def test_routes_with_credentials_are_limited_behind_a_path_prefix(start: Start) -> None:
    app = await start(rate_limit_login="1/day")
    transport = httpx2.ASGITransport(app, root_path="/api")
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.post("/api/auth/login")).status_code == 422
        assert_refused(await client.post("/api/auth/login"))


async def test_the_number_of_counters_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_COUNTERS", 50)
    limiter = make_limiter(rate_limit_per_address="1/day")
    for number in range(500):
        await limiter.count_address(f"10.0.{number // 250}.{number % 250}", takes_credentials=False, quotas=[])
    storage = limiter._limiter.storage
    assert isinstance(storage, rate_limits.BoundedMemory)
    assert len(storage.storage) == len(storage.expirations) == 50
    assert not storage.locks
    with pytest.raises(DomainError):  # the newest counters are kept
        await limiter.count_address("10.0.1.249", takes_credentials=False, quotas=[])


async def test_request_after_retry_after_is_accepted() -> None:
    limiter = make_limiter(rate_limit_per_address="3/second")
    for _ in range(3):
        with pytest.raises(DomainError) as refusal:
            await count_until_refused(limiter)
        assert refusal.value.retry_after
        await asyncio.sleep(refusal.value.retry_after)
        await limiter.count_address("192.0.2.1", takes_credentials=False, quotas=[])


async def count_until_refused(limiter: RateLimiter) -> None:
    while True:
        await limiter.count_address("192.0.2.1", takes_credentials=False, quotas=[])


def make_limiter(**rates: str) -> RateLimiter:
    return RateLimiter(settings_for("sqlite:///never-opened.db", **rates))
