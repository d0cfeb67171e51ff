"""Slow request bodies, over raw sockets to a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.databases import migrate
from tests.people import Person
from tests.servers import Server, clients, serve

pytestmark = pytest.mark.slow

HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 1000\r\nAuthorization: Bearer %s\r\n\r\n"
SLOW = [
    (b"/auth/register", b"application/json"),
    (b"/auth/login", b"application/x-www-form-urlencoded"),
    (b"/appointments", b"application/json"),
]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    url = await migrate(f"sqlite+aiosqlite:///{tmp_path}/test.db")
    async with serve(
        url, processes=1, DATABASE_POOL_SIZE="1", DATABASE_TIMEOUT_SECONDS="3", REQUEST_BODY_SECONDS="5"
    ) as [server]:
        yield server


async def test_slow_body_times_out_without_delaying_others(server: Server) -> None:
    async with clients([server]) as [client]:
        patient = await Person.register(client, "patient")
        heads = [HEAD % (path, media_type, patient.token.encode()) for path, media_type in SLOW for _ in range(5)]
        slow_requests = [asyncio.create_task(send_slowly(server, head)) for head in heads]
        answered = 0
        while not all(each.done() for each in slow_requests):
            # There is one database connection. If a slow request had taken it, this would be a 503.
            assert (await patient.get("/appointments")).status_code == 200
            answered += 1
        assert answered > 0
        for each in slow_requests:
            head, _, body = each.result().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in head.lower()
            assert b'"code":"body_too_slow"' in body


async def send_slowly(server: Server, head: bytes) -> bytes:
    """Send a byte every 0.1 seconds; return all that is received until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    received = b""

    async def receive() -> None:
        nonlocal received
        with suppress(ConnectionResetError):  # a byte was on its way when the server closed the connection
            while part := await reader.read(1000):
                received += part

    writer.write(head)
    receiving = asyncio.create_task(receive())
    try:
        while not receiving.done():
            writer.write(b" ")
            await asyncio.wait([receiving], timeout=0.1)
    finally:
        writer.close()
    return received
