"""A PostgreSQL server that refuses or loses connections: 503, at most one log line, and nothing is changed."""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import bindparam, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.errors import DomainError
from app.db.base import table_of
from app.db.database import Database, Transaction
from app.db.engine import create_engine
from app.db.prepared import Prepared
from app.db.schema import UnavailableDatabaseError, ensure_newest
from app.models import PasswordReset
from tests.databases import migrate, open_engine, temporary_postgresql
from tests.db.proxy import open_proxy
from tests.people import Person, assert_problem

REFUSALS = {
    "08004": "the server rejected the connection",
    "08P01": "protocol violation",
    "0A000": "unsupported frontend protocol",
    "25006": "cannot execute in a read-only transaction",
    "28000": "role is not permitted to log in",
    "28P01": "password authentication failed",
    "3D000": "database does not exist",
    "42501": "permission denied for database",
    "53100": "could not write: No space left on device",
    "53200": "out of memory",
    "53300": "sorry, too many clients already",
    "53400": "configuration limit exceeded",
    "55000": "database is not currently accepting connections",
    "57P01": "terminating connection due to administrator command",
    "57P02": "terminating connection because of crash of another server process",
    "57P03": "the database system is starting up",
    "58030": "could not read file",
    "XX000": "cache lookup failed",
}
"""The errors with which a server refuses a connection, by SQLSTATE."""
SSL_REQUEST = 80877103
TERMINATE = b"X\0\0\0\4"
RESETS = table_of(PasswordReset)
FIND = Prepared(select(RESETS.c.token_hash).where(RESETS.c.token_hash == bindparam("wanted")))


def error_response(sqlstate: str) -> bytes:
    """The message of the protocol (PostgreSQL manual, "Message Formats", ErrorResponse)."""
    fields = {b"S": b"FATAL", b"V": b"FATAL", b"C": sqlstate.encode(), b"M": REFUSALS[sqlstate].encode()}
    body = b"".join(name + value + b"\0" for name, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


@asynccontextmanager
async def refusing_server(message: bytes | None) -> AsyncIterator[str]:
    """A server that sends one message to each client and closes the connection; without a message it resets it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if message is None:
            writer.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        else:
            with suppress(asyncio.IncompleteReadError):  # a client that requires TLS closes the connection
                await send(reader, writer, message)
        writer.close()

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> None:
        length, code = struct.unpack("!II", await reader.readexactly(8))
        if code == SSL_REQUEST:
            writer.write(b"N")
            length, code = struct.unpack("!II", await reader.readexactly(8))
        await reader.readexactly(length - 8)
        writer.write(message)
        await writer.drain()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"postgresql+asyncpg://someone:secret-password@127.0.0.1:{port}/somewhere"


@asynccontextmanager
async def open_short_timeout_engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url, pool_size=1, timeout=1)
    try:
        yield engine
    finally:
        await engine.dispose()


async def assert_busy(engine: AsyncEngine) -> None:
    with pytest.raises(DomainError, match="busy"):
        async with Database(engine).read() as transaction:
            await transaction.execute(text("SELECT 1"))


@pytest.mark.parametrize("sqlstate", sorted(REFUSALS))
async def test_refused_connections_are_busy(
    sqlstate: str, assembled: FastAPI, app: FastAPI, client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    resources = app.state.resources
    async with refusing_server(error_response(sqlstate)) as url, open_short_timeout_engine(url) as engine:
        assembled.state.resources = replace(resources, database=Database(engine))
        for path in ("/doctors", "/readyz"):
            caplog.clear()
            response = await client.get(path)
            assert_problem(response, 503, "busy")
            assert int(response.headers["retry-after"]) >= 1
            assert REFUSALS[sqlstate] not in response.text
            lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
            assert len(lines) <= 1
            assert not any(record.exc_info for record in lines), "no traceback for each request"
            assert "secret-password" not in caplog.text
        with pytest.raises(UnavailableDatabaseError, match=REFUSALS[sqlstate]):
            await ensure_newest(engine)


@pytest.mark.parametrize(
    "message", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["reset", "silence", "nonsense"]
)
@pytest.mark.parametrize("options", ["", "?ssl=require"])
async def test_invalid_responses_of_a_server_are_busy(message: bytes | None, options: str) -> None:
    async with refusing_server(message) as url, open_short_timeout_engine(url + options) as engine:
        await assert_busy(engine)


async def test_unknown_host_is_busy() -> None:
    async with open_short_timeout_engine("postgresql+asyncpg://someone@no-such-host.invalid/somewhere") as engine:
        await assert_busy(engine)
        with pytest.raises(UnavailableDatabaseError, match="the database cannot be used"):
            await ensure_newest(engine)


async def test_silent_server_is_busy() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        async with open_short_timeout_engine(f"postgresql+asyncpg://someone@127.0.0.1:{port}/somewhere") as engine:
            await assert_busy(engine)


@pytest.fixture
async def role(database_url: str) -> AsyncIterator[str]:
    """A role of the test server that can log in."""
    name = f"role_{uuid4().hex}"
    async with open_engine(database_url) as engine:
        async with Database(engine).write() as transaction:
            await transaction.execute(text(f"CREATE ROLE {name} LOGIN"))
        yield name
        async with Database(engine).write() as transaction:
            await transaction.execute(text(f"DROP ROLE {name}"))


async def execute(database_url: str, statement: str) -> None:
    async with open_engine(database_url) as engine, Database(engine).write() as transaction:
        await transaction.execute(text(statement))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("option", ["NOLOGIN", "CONNECTION LIMIT 0"])
async def test_role_without_access_is_busy_until_access_is_granted(database_url: str, role: str, option: str) -> None:
    url = make_url(database_url).set(username=role).render_as_string(hide_password=False)
    async with open_short_timeout_engine(url) as engine:
        await execute(database_url, f"ALTER ROLE {role} {option}")
        await assert_busy(engine)
        await execute(database_url, f"ALTER ROLE {role} LOGIN CONNECTION LIMIT -1")
        async with Database(engine).read() as transaction:
            assert await transaction.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_read_only_database_is_busy(database_url: str) -> None:
    async with temporary_postgresql() as url:
        await migrate(url)
        await execute(database_url, f'ALTER DATABASE "{make_url(url).database}" SET default_transaction_read_only = on')
        async with open_short_timeout_engine(url) as engine:
            with pytest.raises(DomainError, match="busy"):
                async with Database(engine).write() as transaction:
                    await transaction.execute(text("DELETE FROM users"))


@asynccontextmanager
async def delay_closing(url: str) -> AsyncIterator[str]:
    """Forward the data of a server at once, but the end of its stream half a second later."""
    target = make_url(url)
    socket_path = f"{target.query['host']}/.s.PGSQL.5432"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(socket_path)

        async def forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float) -> None:
            try:
                with suppress(OSError):
                    while data := await source.read(65536):
                        sink.write(data)
                        await sink.drain()
                await asyncio.sleep(delay)
            finally:
                sink.close()

        await asyncio.gather(forward(reader, upstream_writer, 0), forward(upstream_reader, writer, 0.5))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield target.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("in_transaction", [True, False], ids=["in a transaction", "in the pool"])
@pytest.mark.parametrize("api", ["driver", "sqlalchemy"])
async def test_connection_that_is_about_to_close_is_busy(
    database_url: str, database: Database, in_transaction: bool, api: str
) -> None:
    async def read(transaction: Transaction) -> None:
        if api == "driver":
            assert await transaction.fetch(FIND, {"wanted": "none"}) == []
        else:
            assert await transaction.scalar(text("SELECT 1")) == 1

    async def terminate(pid: int) -> None:
        async with database.write() as transaction:
            assert await transaction.scalar(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": pid})
        await asyncio.sleep(0.1)  # The last message of the server has arrived, but not the end of its stream.

    async with delay_closing(database_url) as url, open_short_timeout_engine(url) as engine:
        interrupted = Database(engine)

        async def read_while_terminated() -> None:
            async with interrupted.read() as transaction:
                pid = await transaction.scalar(text("SELECT pg_backend_pid()"))
                if in_transaction:
                    await terminate(pid)
                    await read(transaction)
            await terminate(pid)
            async with interrupted.read() as transaction:
                await read(transaction)

        with pytest.raises(DomainError, match="busy"):
            await read_while_terminated()
        async with interrupted.read() as transaction:
            await read(transaction)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("mode", ["read", "write"])
@pytest.mark.parametrize("api", ["driver", "sqlalchemy"])
async def test_statement_time_out_closes_the_connection_without_a_rollback(
    database_url: str, mode: str, api: str
) -> None:
    async with open_proxy(database_url) as proxy, open_short_timeout_engine(proxy.url) as engine:
        database = Database(engine)

        async def find() -> None:
            async with database.read() if mode == "read" else database.write() as transaction:
                await transaction.scalar(text("SELECT 1"))
                await transaction.fetch(
                    FIND, {"wanted": "none"}
                )  # prepares the statement, so that the next time it is a single message
                proxy.is_silent = True
                if api == "driver":
                    await transaction.fetch(FIND, {"wanted": "none"})
                else:
                    await transaction.scalar(text("SELECT 1"))

        started_at = asyncio.get_running_loop().time()
        with pytest.raises(DomainError, match="busy"):
            await find()
        assert asyncio.get_running_loop().time() - started_at < 3.5, "the request waited for a second time limit"
        assert proxy.unanswered[1:] in ([], [TERMINATE]), "only the end of the connection may follow the statement"
        proxy.is_silent = False
        async with database.read() as transaction:
            assert await transaction.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_booking_with_a_lost_commit_response_is_replayed_by_its_idempotency_key(
    database_url: str, assembled: FastAPI, app: FastAPI, client: httpx2.AsyncClient, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T14:00:00Z", "2026-12-08T22:00:00Z")
    body = {"doctor_id": doctor.id, "start_time": "2026-12-08T15:00:00Z"}
    headers = patient.headers | {"Idempotency-Key": "a-key"}
    async with open_proxy(database_url) as proxy, open_short_timeout_engine(proxy.url) as engine:
        assembled.state.resources = replace(app.state.resources, database=Database(engine))
        proxy.lost_response_to = b"COMMIT"
        assert_problem(await client.post("/appointments", headers=headers, json=body), 503, "busy")
        booked = (await patient.get("/appointments")).json()
        assert len(booked) == 1, "the transaction was committed"
        replayed = await client.post("/appointments", headers=headers, json=body)
        assert (replayed.status_code, replayed.headers["idempotency-replayed"]) == (201, "true")
        assert replayed.json()["id"] == booked[0]["id"]
        assert len((await patient.get("/appointments")).json()) == 1


async def test_file_that_is_not_a_database_is_busy(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_text("nonsense " * 1000)
    async with open_short_timeout_engine(f"sqlite+aiosqlite:///{path}") as engine:
        await assert_busy(engine)
        with pytest.raises(UnavailableDatabaseError, match="not a database"):
            await ensure_newest(engine)
