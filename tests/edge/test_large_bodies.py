"""Refusals of large bodies, over raw sockets to a real server."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.databases import migrate
from tests.servers import Server, serve

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("large bodies")]

SIZE = 9 * 1024 * 1024


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    url = await migrate(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('large bodies')}/test.db")
    async with serve(url, processes=1, REQUEST_BODY_SECONDS="30", MAX_IN_FLIGHT_PER_CLIENT="1") as [server]:
        yield server


async def send_then_read(server: Server, head: str, body: bytes) -> bytes:
    """Read the response only after the whole body was sent, as most clients do."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(head.encode() + body)
        async with asyncio.timeout(30):
            await writer.drain()
            return await reader.read()
    finally:
        writer.close()


async def test_refusal_reaches_a_client_that_sends_the_whole_body_first(server: Server) -> None:
    length = f"Content-Length: {SIZE}\r\n\r\n"
    chunks = b"".join(b"10000\r\n%s\r\n" % (b" " * 65536) for _ in range(SIZE // 65536)) + b"0\r\n\r\n"
    for path, expected in (("/auth/register", b"413"), ("/nothing", b"404"), ("/sign-in", b"403")):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n"
        for rest, body in ((length, b" " * SIZE), ("Transfer-Encoding: chunked\r\n\r\n", chunks)):
            response = await send_then_read(server, head + rest, body)
            assert response.startswith(b"HTTP/1.1 %s " % expected), (path, response[:200])
            assert b"connection: close" in response.lower()
            assert response.count(b"HTTP/1.1") == 1


async def test_large_body_is_refused_at_once(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    began = time.monotonic()
    writer.write(f"POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Length: {SIZE}\r\n\r\n".encode())
    async with asyncio.timeout(20):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        assert time.monotonic() - began < 2
        # The refused request is no longer in flight, and the server does not wait for its body.
        assert (await send_then_read(server, "GET /doctors HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b""))[
            :12
        ] == b"HTTP/1.1 200"
        await reader.read()
    assert 1.5 < time.monotonic() - began < 12
    writer.close()


async def test_connection_is_reused_after_a_small_unread_body(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(20):
        responses = await reader.read()
    assert responses.count(b"HTTP/1.1") == 2
    assert b"HTTP/1.1 200" in responses
    writer.close()
