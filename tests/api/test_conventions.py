"""Conventions of all routes: error format, strict parsing, limits, health checks and the documentation page."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.core.dependencies import Resources
from app.db.database import Database
from app.db.schema import newest_revision
from app.routers import health
from tests.conftest import CountStatements, Register
from tests.people import PASSWORD, Person, assert_problem

REGISTRATION = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann Lee", "role": "patient"}
JSON = {"Content-Type": "application/json"}


async def count_accounts(database: Database) -> int:
    async with database.read() as transaction:
        counted: int = await transaction.scalar(text("SELECT count(*) FROM users"))
        return counted


async def test_body_that_is_not_strict_json_is_refused(client: httpx2.AsyncClient, database: Database) -> None:
    failures = []
    for body, message in (
        (b"", ""),
        (b"{", "is not valid JSON"),
        (b"[]", ""),
        (b"null", ""),
        (b'"text"', ""),
        (b"NaN", "NaN and Infinity are not JSON"),
        (b'{"email": Infinity}', "NaN and Infinity are not JSON"),
        (b'{"email": 1e999}', "a number is out of range"),
        (b'{"email": ' + b"1" * 5000 + b"}", "a number is too long"),
        (b'{"email": "a@example.com", "email": "b@example.com"}', "duplicate key in object"),
        (b"[" * 30_000, "too many lists and objects"),
        (b'{"a":' * 10_000, "too many lists and objects"),
        (b"[" * 3_990 + b"]" * 3_990, ""),
        (json.dumps(REGISTRATION).encode("utf-16"), "not UTF-8"),
        (b"\xff\xfe", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "is not valid JSON"),
        (b'{"email": "\\ud800@example.com"}', ""),
        (b'{"\\ud800": 1}', ""),
        (json.dumps(REGISTRATION).encode()[:-1] + b', "x": {}}', "unknown field"),
    ):
        response = await client.post("/auth/register", content=body, headers=JSON)
        problem = response.json()
        if problem.get("code") != "invalid_request" or message not in str(problem.get("errors")):
            failures.append((body[:40], response.text))
    assert not failures
    assert await count_accounts(database) == 0


async def test_deep_body_with_an_idempotency_key_is_refused(patient: Person) -> None:
    headers = patient.headers | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    for depth in (500, 900, 1_500, 3_990):
        for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
            response = await patient.client.post("/appointments", headers=headers, content=body)
            assert_problem(response, 422, "invalid_request")


async def test_json_body_with_another_media_type_is_refused(client: httpx2.AsyncClient, database: Database) -> None:
    for media_type in ("text/plain", "application/xml", "application/x-www-form-urlencoded", ""):
        headers = {"Content-Type": media_type} if media_type else {}
        response = await client.post("/auth/register", content=json.dumps(REGISTRATION), headers=headers)
        assert_problem(response, 422, "invalid_request")
        assert PASSWORD not in response.text
    assert await count_accounts(database) == 0


async def test_unknown_fields_are_named_only_if_harmless(client: httpx2.AsyncClient) -> None:
    names = {"is_admin": 1, "x" * 5000: 1, "<script>": 1, "a b": 1}
    response = await client.post("/auth/register", json=REGISTRATION | names)
    fields = [error["field"] for error in assert_problem(response, 422, "invalid_request")["errors"]]
    assert fields == ["is_admin", "body", "body", "body"]


async def test_invalid_value_is_never_quoted(patient: Person) -> None:
    response = await patient.post("/appointments", {"doctor_id": "ÿ-secret", "start_time": "ÿ-secret", "end_time": []})
    assert len(assert_problem(response, 422, "invalid_request")["errors"]) == 3
    assert "ÿ" not in response.text
    assert "secret" not in response.text


async def test_list_of_errors_is_bounded(client: httpx2.AsyncClient) -> None:
    response = await client.post("/auth/register", json={f"f{number}": 1 for number in range(3000)})
    assert len(assert_problem(response, 422, "invalid_request")["errors"]) == 20


async def test_large_body_is_refused(client: httpx2.AsyncClient) -> None:
    for size in (64 * 1024 + 1, 10 * 1024 * 1024):
        body = json.dumps(REGISTRATION | {"password": "x" * size})
        assert_problem(await client.post("/auth/register", content=body, headers=JSON), 413, "body_too_large")
        form = {"username": "a", "password": "x" * size}
        assert_problem(await client.post("/auth/login", data=form), 413, "body_too_large")


async def test_large_chunked_body_is_refused(client: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    response = await client.post("/auth/register", content=chunks(), headers=JSON)
    assert_problem(response, 413, "body_too_large")


async def test_form_with_thousands_of_fields_is_refused(client: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for fields in ("&".join(f"f{n}=1" for n in range(5000)), "a&" * 20_000, "=" * 60_000):
        response = await client.post("/auth/login", content=fields, headers=headers)
        assert_problem(response, 422, "invalid_request")


async def test_query_with_thousands_of_parameters_is_refused(client: httpx2.AsyncClient) -> None:
    query = "&".join(f"p{number}=" for number in range(9000))
    assert len(assert_problem(await client.get(f"/doctors?{query}"), 422, "invalid_request")["errors"]) == 20
    body = assert_problem(await client.get(f"/doctors?{query}&limit=1&limit=1"), 422, "invalid_request")
    assert body["errors"] == [{"field": "limit", "message": "appears more than once"}]


async def test_unreadable_form_is_refused(client: httpx2.AsyncClient) -> None:
    for media_type in ("multipart/form-data; boundary=x", "multipart/form-data", "text/plain"):
        headers = {"Content-Type": media_type}
        response = await client.post("/auth/login", content=b"--x\r\n\x00", headers=headers)
        assert_problem(response, 422, "invalid_request")


async def test_unknown_path_or_method_is_refused(client: httpx2.AsyncClient) -> None:
    assert_problem(await client.get("/nothing"), 404, "no_such_path")
    assert_problem(await client.get("/doctors//"), 404, "no_such_path")
    response = await client.put("/doctors")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD"
    response = await client.put("/appointments/019abcde-f012-7345-8678-9abcdef01234")
    assert response.headers["allow"] == "DELETE, GET, HEAD"
    response = await client.post("/docs/assets/swagger-ui.css")
    assert response.headers["allow"] == "GET, HEAD"


async def test_header_does_not_override_the_method(doctor: Person, patient: Person) -> None:
    await doctor.publish("2026-12-08T15:00:00Z", "2026-12-08T16:00:00Z")
    booked = await patient.book(doctor, "2026-12-08T15:00:00Z")
    path = f"/appointments/{booked['id']}"
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        headers = patient.headers | {header: "DELETE"}
        await patient.client.get(path, headers=headers, params={"_method": "DELETE"})
        await patient.client.post(path, headers=headers)
        assert (await patient.get(path)).json() == booked, header


async def test_host_header_does_not_affect_links(client: httpx2.AsyncClient, register: Register) -> None:
    for _ in range(2):
        await register("doctor")
    for host in ("x/docs?", "evil.example", "localhost:8000@evil.example", "", "[::1"):
        response = await client.get("/doctors?limit=1", headers={"Host": host})
        assert response.status_code == 200
        assert response.headers["link"].startswith("</doctors?limit=1&cursor=")
        page = await client.get("/docs", headers={"Host": host})
        assert page.status_code == 200
        assert host not in page.text or not host


async def test_livez_sends_no_statement(client: httpx2.AsyncClient, statements: list[str]) -> None:
    response = await client.get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert statements == []


async def test_concurrent_readiness_requests_share_one_check(
    client: httpx2.AsyncClient, count_statements: CountStatements
) -> None:
    count_statements()
    responses = await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
    assert {response.status_code for response in responses} == {200}
    assert count_statements() == 1


async def test_cancelled_readiness_request_does_not_cancel_the_shared_check(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CACHE_SECONDS", 0)
    checks: list[asyncio.Event] = []

    async def check(_sessions: Database) -> bool:
        checks.append(asyncio.Event())
        await checks[-1].wait()
        return True

    monkeypatch.setattr(health, "check_writable", check)
    first = asyncio.create_task(client.get("/readyz"))
    while not checks:  # noqa: ASYNC110 - a list has no event to wait for
        await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(client.get("/readyz")) for _ in range(20)]
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.sleep(0)
    checks[0].set()
    async with asyncio.timeout(30):
        assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
    assert len(checks) == 1


async def test_slow_readiness_check_gets_503(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CACHE_SECONDS", 0)
    monkeypatch.setattr(health, "MAX_WAIT_SECONDS", 0.05)
    finished = asyncio.Event()

    async def check(_sessions: Database) -> bool:
        return await finished.wait()

    monkeypatch.setattr(health, "check_writable", check)
    for response in await asyncio.gather(*(client.get("/readyz") for _ in range(3))):
        assert_problem(response, 503, "busy")
    finished.set()
    assert (await client.get("/readyz")).status_code == 200


async def test_readyz_refuses_another_schema_version(
    client: httpx2.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CACHE_SECONDS", 0)
    assert (await client.get("/readyz")).json() == {"status": "ok"}
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        response = await client.get("/readyz")
        assert_problem(response, 503, "busy")
        assert int(response.headers["retry-after"]) > 0
    finally:
        async with database.write() as transaction:
            await transaction.execute(
                text("UPDATE alembic_version SET version_num = :newest"), {"newest": newest_revision()}
            )


async def test_readyz_refuses_a_missing_schema(client: httpx2.AsyncClient, database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("ALTER TABLE alembic_version RENAME TO renamed"))
    try:
        assert_problem(await client.get("/readyz"), 503, "busy")
    finally:
        async with database.write() as transaction:
            await transaction.execute(text("ALTER TABLE renamed RENAME TO alembic_version"))


async def test_documentation_page_loads_nothing_from_other_hosts(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text) + re.findall(r"url: '([^']+)'", page.text)
    assert len(addresses) == 4
    for address in addresses:
        assert "//" not in address
        assert (await client.get(address)).status_code == 200


async def test_openapi_names_the_log_in_route(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    [scheme] = document["components"]["securitySchemes"].values()
    assert scheme["flows"]["password"]["tokenUrl"] == "auth/login"  # relative to the page, wherever it is mounted
    assert "post" in document["paths"]["/auth/login"]


async def test_unexpected_exception_reveals_nothing(app: FastAPI, client: httpx2.AsyncClient) -> None:
    resources: Resources = app.state.resources

    def broken_clock() -> None:
        raise RuntimeError("a secret thing")

    object.__setattr__(resources, "clock", broken_clock)
    response = await client.post("/auth/register", json=REGISTRATION)
    assert response.json()["code"] == "internal_error"
    assert "secret" not in response.text
    assert response.status_code == 500
