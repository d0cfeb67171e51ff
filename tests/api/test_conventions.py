"""What holds for every route: the shape of errors, strict reading, limits, health, the documentation page."""

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


async def accounts(database: Database) -> int:
    async with database.read() as transaction:
        counted: int = await transaction.scalar(text("SELECT count(*) FROM users"))
        return counted


@pytest.mark.parametrize(
    ("body", "message"),
    [
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
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_body_that_is_not_strict_json(
    client: httpx2.AsyncClient, database: Database, body: bytes, message: str
) -> None:
    answer = await client.post("/auth/register", content=body, headers=JSON)
    assert message in str(assert_problem(answer, 422, "invalid_request")["errors"])
    assert await accounts(database) == 0


@pytest.mark.parametrize("depth", [500, 900, 1_500, 3_990])
async def test_no_depth_is_too_deep_for_a_key(patient: Person, depth: int) -> None:
    headers = patient.headers | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
        answer = await patient.client.post("/appointments", headers=headers, content=body)
        assert_problem(answer, 422, "invalid_request")


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", ""])
async def test_json_must_be_called_json(client: httpx2.AsyncClient, database: Database, media_type: str) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    answer = await client.post("/auth/register", content=json.dumps(REGISTRATION), headers=headers)
    assert_problem(answer, 422, "invalid_request")
    assert PASSWORD not in answer.text
    assert await accounts(database) == 0


async def test_unknown_fields_are_named_but_never_quoted(client: httpx2.AsyncClient) -> None:
    names = {"is_admin": 1, "x" * 5000: 1, "<script>": 1, "a b": 1}
    answer = await client.post("/auth/register", json=REGISTRATION | names)
    fields = [error["field"] for error in assert_problem(answer, 422, "invalid_request")["errors"]]
    assert fields == ["is_admin", "body", "body", "body"]


async def test_a_bad_value_is_never_quoted(patient: Person) -> None:
    answer = await patient.post("/appointments", {"doctor_id": "ÿ-secret", "start_time": "ÿ-secret", "end_time": []})
    assert len(assert_problem(answer, 422, "invalid_request")["errors"]) == 3
    assert "ÿ" not in answer.text
    assert "secret" not in answer.text


async def test_the_list_of_errors_has_an_end(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/auth/register", json={f"f{number}": 1 for number in range(3000)})
    assert len(assert_problem(answer, 422, "invalid_request")["errors"]) == 20


@pytest.mark.parametrize("size", [64 * 1024 + 1, 10 * 1024 * 1024])
async def test_a_large_body_is_refused(client: httpx2.AsyncClient, size: int) -> None:
    body = json.dumps(REGISTRATION | {"password": "x" * size})
    assert_problem(await client.post("/auth/register", content=body, headers=JSON), 413, "body_too_large")
    assert_problem(
        await client.post("/auth/login", data={"username": "a", "password": "x" * size}), 413, "body_too_large"
    )


async def test_a_large_body_without_a_length_is_refused(client: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1024

    answer = await client.post("/auth/register", content=chunks(), headers=JSON)
    assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("fields", ["&".join(f"f{n}=1" for n in range(5000)), "a&" * 20_000, "=" * 60_000])
async def test_a_form_of_thousands_of_fields(client: httpx2.AsyncClient, fields: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_problem(await client.post("/auth/login", content=fields, headers=headers), 422, "invalid_request")


async def test_a_query_of_thousands_of_parameters(client: httpx2.AsyncClient) -> None:
    query = "&".join(f"p{number}=" for number in range(9000))
    assert len(assert_problem(await client.get(f"/doctors?{query}"), 422, "invalid_request")["errors"]) == 20
    body = assert_problem(await client.get(f"/doctors?{query}&limit=1&limit=1"), 422, "invalid_request")
    assert body["errors"] == [{"field": "limit", "message": "appears more than once"}]


@pytest.mark.parametrize("media_type", ["multipart/form-data; boundary=x", "multipart/form-data", "text/plain"])
async def test_a_form_that_cannot_be_read(client: httpx2.AsyncClient, media_type: str) -> None:
    answer = await client.post("/auth/login", content=b"--x\r\n\x00", headers={"Content-Type": media_type})
    assert_problem(answer, 422, "invalid_request")


async def test_there_is_nothing_at_other_paths(client: httpx2.AsyncClient) -> None:
    assert_problem(await client.get("/nothing"), 404, "no_such_path")
    assert_problem(await client.get("/doctors//"), 404, "no_such_path")
    answer = await client.put("/doctors")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"
    answer = await client.put("/appointments/019abcde-f012-7345-8678-9abcdef01234")
    assert answer.headers["allow"] == "DELETE, GET, HEAD"
    answer = await client.post("/docs/assets/swagger-ui.css")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
async def test_a_header_does_not_change_the_method(doctor: Person, patient: Person, header: str) -> None:
    await doctor.publish("2026-12-08T15:00:00Z", "2026-12-08T16:00:00Z")
    booked = await patient.book(doctor, "2026-12-08T15:00:00Z")
    path = f"/appointments/{booked['id']}"
    await patient.client.get(path, headers=patient.headers | {header: "DELETE"}, params={"_method": "DELETE"})
    await patient.client.post(path, headers=patient.headers | {header: "DELETE"})
    assert (await patient.get(path)).json() == booked


@pytest.mark.parametrize("host", ["x/docs?", "evil.example", "localhost:8000@evil.example", "", "[::1"])
async def test_the_host_header_decides_nothing(client: httpx2.AsyncClient, register: Register, host: str) -> None:
    for _ in range(2):
        await register("doctor")
    answer = await client.get("/doctors?limit=1", headers={"Host": host})
    assert answer.status_code == 200
    assert answer.headers["link"].startswith("</doctors?limit=1&cursor=")
    page = await client.get("/docs", headers={"Host": host})
    assert page.status_code == 200
    assert host not in page.text or not host


async def test_livez_asks_nobody(client: httpx2.AsyncClient, statements: list[str]) -> None:
    answer = await client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert statements == []


async def test_however_many_ask_whether_it_is_ready_it_is_looked_at_once(
    client: httpx2.AsyncClient, count_statements: CountStatements
) -> None:
    count_statements()
    answers = await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert count_statements() == 1


async def test_all_who_ask_while_a_look_takes_long_get_its_result(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CACHE_SECONDS", 0)
    looks: list[asyncio.Event] = []

    async def look(_sessions: Database) -> bool:
        looks.append(asyncio.Event())
        await looks[-1].wait()
        return True

    monkeypatch.setattr(health, "check_writable", look)
    first = asyncio.create_task(client.get("/readyz"))
    while not looks:  # noqa: ASYNC110 - what is waited for is a count
        await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(client.get("/readyz")) for _ in range(20)]
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.sleep(0)
    looks[0].set()
    async with asyncio.timeout(30):
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
    assert len(looks) == 1


async def test_a_look_that_takes_too_long_is_not_waited_for(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CACHE_SECONDS", 0)
    monkeypatch.setattr(health, "MAX_WAIT_SECONDS", 0.05)
    over = asyncio.Event()

    async def look(_sessions: Database) -> bool:
        return await over.wait()

    monkeypatch.setattr(health, "check_writable", look)
    for answer in await asyncio.gather(*(client.get("/readyz") for _ in range(3))):
        assert_problem(answer, 503, "busy")
    over.set()
    assert (await client.get("/readyz")).status_code == 200


async def test_readyz(client: httpx2.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CACHE_SECONDS", 0)
    assert (await client.get("/readyz")).json() == {"status": "ok"}
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        answer = await client.get("/readyz")
        assert_problem(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) > 0
    finally:
        async with database.write() as transaction:
            await transaction.execute(
                text("UPDATE alembic_version SET version_num = :newest"), {"newest": newest_revision()}
            )


async def test_readyz_without_a_schema(client: httpx2.AsyncClient, database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("ALTER TABLE alembic_version RENAME TO elsewhere"))
    try:
        assert_problem(await client.get("/readyz"), 503, "busy")
    finally:
        async with database.write() as transaction:
            await transaction.execute(text("ALTER TABLE elsewhere RENAME TO alembic_version"))


async def test_the_documentation_page_needs_no_other_host(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text) + re.findall(r"url: '([^']+)'", page.text)
    assert len(addresses) == 4
    for address in addresses:
        assert "//" not in address
        assert (await client.get(address)).status_code == 200


async def test_the_authorize_button_logs_in_where_the_log_in_is(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    [scheme] = document["components"]["securitySchemes"].values()
    assert scheme["flows"]["password"]["tokenUrl"] == "auth/login"  # relative to the page, wherever it is mounted
    assert "post" in document["paths"]["/auth/login"]


async def test_a_bug_is_a_problem_that_tells_nothing(app: FastAPI, client: httpx2.AsyncClient) -> None:
    resources: Resources = app.state.resources

    def broken_clock() -> None:
        raise RuntimeError("a secret thing")

    object.__setattr__(resources, "clock", broken_clock)
    answer = await client.post("/auth/register", json=REGISTRATION)
    assert answer.json()["code"] == "internal_error"
    assert "secret" not in answer.text
    assert answer.status_code == 500
