"""The log lines of requests."""

import asyncio
import json
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.core.dependencies import Resources
from app.core.errors import ERRORS
from app.core.logging import logging_to
from app.core.settings import OWASP_MEMORY_KIB, OWASP_PASSES
from tests.databases import migrate
from tests.edge.conftest import Start, client_of
from tests.people import PASSWORD, Person
from tests.servers import serve

UUID_4 = "9b2d4a1e-0c6f-4f5a-8a3e-2f1d7c5b9e80"


class Log(StringIO):
    """A log in which each line must be one JSON object."""

    def lines(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.getvalue().splitlines()]
        assert all(isinstance(line, dict) for line in lines)
        return lines

    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == "request"]


@pytest.fixture
def log() -> Iterator[Log]:
    stream = Log()
    with logging_to(stream, readable=False):
        yield stream


async def test_request_is_logged_as_one_line(client: httpx2.AsyncClient, doctor: Person, log: Log) -> None:
    response = await client.get(f"/doctors/{doctor.id}?q=secret")
    assert response.status_code == 200
    [line] = log.requests()
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("duration_ms") > 0
    line.pop("message", None)  # added by the log handler of pytest
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "app.edge.access_log",
        "method": "GET",
        "operation": "get_doctor",
        "status": 200,
        "client": "127.0.0.1",
        "request_id": response.headers["x-request-id"],
    }


async def test_replaced_request_id_causes_no_warning(client: httpx2.AsyncClient, log: Log) -> None:
    await client.get("/doctors", headers={"X-Request-ID": "not a UUID"})
    assert {line["level"] for line in log.lines()} == {"info"}


async def test_access_log_of_uvicorn_is_not_written(app: FastAPI, log: Log) -> None:
    HttpToolsProtocol(Config(app, log_config=None), ServerState(), {}).access_logger.info("GET /doctors?q=secret")
    assert not log.getvalue()


async def test_log_line_of_an_error_has_its_code(start: Start, log: Log) -> None:
    app = await start(rate_limit_login="1/day", log_level="info")
    async with client_of(app) as client:
        await client.get("/doctors")
        await client.get("/auth/me")
        await client.get("/nothing")
        await client.put("/doctors")
        await client.post("/auth/login", data={"username": "ann@example.com", "password": "wrong horse"})
        await client.post("/auth/login", data={"username": "ann@example.com", "password": "wrong horse"})
        object.__setattr__(app.state.resources, "clock", None)
        await client.get("/auth/me", headers={"Authorization": "Bearer x"})
    assert [line.get("code") for line in log.requests()] == [
        None,
        "not_authenticated",
        "no_such_path",
        "method_not_allowed",
        "invalid_credentials",
        "too_many_requests",
        "internal_error",
    ]


async def test_log_contains_no_personal_data(client: httpx2.AsyncClient, log: Log) -> None:
    person = await Person.register(client, "patient", name="Ann Lee")
    await person.get("/auth/me")
    await client.post("/auth/login", data={"username": person.email, "password": "wrong horse"})
    assert [line["operation"] for line in log.requests()] == ["register", "login", "me", "login"]
    own_lines = "\n".join(line for line in log.getvalue().splitlines() if '"logger": "app.' in line)
    for secret in (person.email, person.name, person.id, person.token, PASSWORD, "horse"):
        assert secret not in own_lines


async def test_unexpected_exception_is_logged_once_with_its_traceback_but_not_its_message(
    app: FastAPI, client: httpx2.AsyncClient, log: Log
) -> None:
    resources: Resources = app.state.resources

    def broken_clock() -> None:
        try:
            ERRORS["ann@example.com"]
        except KeyError as cause:
            raise RuntimeError("a secret thing") from cause

    object.__setattr__(resources, "clock", broken_clock)
    response = await client.post("/auth/forgot-password", json={"email": "ann@example.com"})
    assert response.status_code == 500
    [line] = [line for line in log.lines() if line["level"] == "error"]
    assert line["request_id"] == response.headers["x-request-id"]
    assert "in broken_clock" in line["exception"]
    assert line["exception"].index("builtins.KeyError") < line["exception"].index("builtins.RuntimeError")
    assert "secret" not in line["exception"].replace(
        'RuntimeError("a secret thing")', ""
    )  # the source line in the traceback
    [request] = log.requests()
    assert (request["operation"], request["status"]) == ("forgot_password", 500)


def test_log_message_with_line_breaks_stays_one_line() -> None:
    stream = StringIO()
    with logging_to(stream, readable=True):
        logging.getLogger("app").info("one\r\n\x1b[31mtwo é", extra={"field": "three\nfour"})
    assert stream.getvalue().count("\n") == 1
    assert r"one\r\n\x1b[31mtwo é" in stream.getvalue()
    assert r"three\nfour" in stream.getvalue()


async def test_request_id_of_the_client_is_kept_if_it_is_a_uuid(client: httpx2.AsyncClient) -> None:
    response = await client.get("/livez", headers={"X-Request-ID": UUID_4.upper()})
    assert response.headers.get_list("x-request-id") == [UUID_4]


@pytest.mark.parametrize(
    "sent", ["", "1", "x" * 5000, f"{{{UUID_4}}}", f"urn:uuid:{UUID_4}", UUID_4.replace("-", ""), f"{UUID_4}x", "ÿ"]
)
async def test_other_request_ids_are_replaced(client: httpx2.AsyncClient, sent: str) -> None:
    response = await client.get("/nothing", headers=[(b"X-Request-ID", sent.encode("latin-1"))])
    [request_id] = response.headers.get_list("x-request-id")
    assert str(UUID(request_id)) == request_id
    assert request_id not in sent


FORGED = '{"event": "request", "status": 200, "client": "forged"}'
FORGING_REQUESTS = [
    b"GET /%0d%0a%7b%22event%22:%22forged%22%7d HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /doctors?q=%0d%0aforged HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\x1b[31mforged HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\xe2\x80\xa8forged HTTP/1.1\r\nHost: x\r\n\r\n",
    b"FORGED /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /livez\rforged HTTP/1.1\r\nHost: x\r\n\r\n",
    *(
        f"GET /livez HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\n\r\n".encode()
        for name in ("X-Request-ID", "User-Agent", "X-Forwarded-For", "Host", "Referer", "Authorization")
        for value in (f"x\r {FORGED}", f"\x1b]0;forged\x07{FORGED}", FORGED, f"x\r\n {FORGED}", "ÿ forged \u2028")
    ),
]


async def test_client_cannot_forge_a_log_line(tmp_path: Path) -> None:
    database_url = await migrate(f"sqlite+aiosqlite:///{tmp_path}/test.db")
    with (tmp_path / "log").open("wb") as file:
        server = serve(
            database_url,
            processes=1,
            stderr=file,
            ENVIRONMENT="production",
            LOG_LEVEL="info",
            SECRET_KEY="0123456789abcdef" * 2,
            PASSWORD_MEMORY_KIB=str(OWASP_MEMORY_KIB),
            PASSWORD_PASSES=str(OWASP_PASSES),
        )
        async with server as [process]:
            for request in FORGING_REQUESTS:
                reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
                writer.write(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                await reader.read()
                writer.close()
            async with httpx2.AsyncClient(base_url=process.url) as client:
                last = await client.get("/doctors")
    logged = (tmp_path / "log").read_bytes()
    lines = [json.loads(line) for line in logged.decode("ascii").splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    assert b"forged" not in logged.lower()
    assert b"\x1b" not in logged
    assert {line["client"] for line in lines if line["event"] == "request"} == {"127.0.0.1"}
    assert lines[-1]["request_id"] == last.headers["x-request-id"]
    assert lines[-1]["operation"] == "list_doctors"


async def test_console_mailer_is_warned_about_in_production(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    await start()
    assert "not sent: users can confirm" not in capfd.readouterr().err
    await start(
        environment="production", secret_key="0123456789abcdef" * 2, password_memory_kib=19456, password_passes=2
    )
    assert "messages are only written to the console, not sent" in capfd.readouterr().err
