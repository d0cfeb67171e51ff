"""Bounds on heads, pipelined requests and connections, over raw sockets to a real server."""

import asyncio
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.databases import migrate
from tests.servers import PATIENCE, Server, serve

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("protocol")]

LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
LIVE_ONCE = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
UNFINISHED = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Part: "
UNFINISHED_BODY = b"POST /auth/forgot-password HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"


@pytest.fixture
async def database(tmp_path: Path) -> str:
    return await migrate(f"sqlite+aiosqlite:///{tmp_path}/test.db")


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    url = await migrate(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('protocol')}/test.db")
    async with serve(url, processes=1, REQUEST_HEAD_SECONDS="2", REQUEST_BODY_SECONDS="3") as [server]:
        yield server


class Connection:
    """A socket that reads responses all the time, so that a refusal arrives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.received = b""
        self.receiving = asyncio.create_task(self._receive(reader))

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while part := await reader.read(65536):
                self.received += part

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with suppress(ConnectionError):
            await self.writer.drain()

    async def wait_until_closed(self, seconds: float = 20) -> bytes:
        """Wait until the server closes the connection; return all that was received."""
        async with asyncio.timeout(seconds):
            await self.receiving
        return self.received


@asynccontextmanager
async def connect(server: Server, source: str = "127.0.0.1") -> AsyncIterator[Connection]:
    opened = await asyncio.open_connection("127.0.0.1", server.port, local_addr=(source, 0))
    connection = Connection(*opened)
    try:
        yield connection
    finally:
        connection.receiving.cancel()
        connection.writer.close()


@contextmanager
def limit_file_descriptors(number: int) -> Iterator[None]:
    """Limit the open files of processes that are started within the context."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def read_peak_memory_mib(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peak) // 1024


async def send_request(server: Server, request: bytes = LIVE_ONCE) -> bytes:
    async with connect(server) as connection:
        await connection.send(request)
        return await connection.wait_until_closed()


def list_statuses(received: bytes) -> list[int]:
    return [int(response[:3]) for response in received.split(b"HTTP/1.1 ")[1:]]


async def test_endless_headers_are_refused_and_not_buffered(server: Server) -> None:
    before = read_peak_memory_mib(server)
    async with connect(server) as connection:
        await connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        for number in range(30 * 1024):
            if connection.receiving.done():
                break
            await connection.send(b"X-%d: %s\r\n" % (number, b"x" * 1000))
        received = await connection.wait_until_closed()
    assert list_statuses(received) == [431]
    assert b'"code":"head_too_large"' in received
    assert b"connection: close" in received
    assert read_peak_memory_mib(server) - before < 8
    assert list_statuses(await send_request(server)) == [200]


@pytest.mark.parametrize(
    "start",
    [
        b"GET /livez HTTP/1.1\r\nX-One: ",
        b"GET /livez?",
        b"G" * 20,
        b"GET /livez HTTP/1.1\r\nX",
        b"\r\n" * 40_000,
    ],
    ids=["a value", "a target", "a method", "a name", "empty lines"],
)
async def test_each_part_of_a_request_head_is_bounded(server: Server, start: bytes) -> None:
    before = read_peak_memory_mib(server)
    async with connect(server) as connection:
        await connection.send(start)
        for _ in range(1000):
            if connection.receiving.done():
                break
            await connection.send(b"x" * 30_000)
        # The response is lost if the connection is closed while the client is still sending.
        assert list_statuses(await connection.wait_until_closed()) in ([431], [400], [])
    assert read_peak_memory_mib(server) - before < 8


async def test_head_of_60_kib_is_accepted_and_head_of_70_kib_is_refused(server: Server) -> None:
    for size, status in ((60, 200), (70, 431)):
        head = b"GET /livez HTTP/1.1\r\nHost: x\r\nX: %s\r\nConnection: close\r\n\r\n" % (b"x" * size * 1024)
        assert list_statuses(await send_request(server, head)) == [status]


async def test_body_does_not_count_as_head(server: Server) -> None:
    body = b'{"email": "%s"}' % (b"x" * 60 * 1024)
    head = b"POST /auth/forgot-password HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    async with connect(server) as connection:
        for _ in range(2):
            await connection.send(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            while connection.received.count(b'"invalid_request"') < 1:  # noqa: ASYNC110 - what is waited for is text
                await asyncio.sleep(0.01)
            assert list_statuses(connection.received) == [422]
            connection.received = b""


async def test_trailers_and_chunk_sizes_count_as_head(server: Server) -> None:
    head = b"POST /auth/logout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for start, more in ((b"0\r\n", b"X: %s\r\n" % (b"x" * 1000)), (b"", b"1;%s\r\nx\r\n" % (b"x" * 1000))):
        before = read_peak_memory_mib(server)
        async with connect(server) as connection:
            await connection.send(head + start)
            for _ in range(20_000):
                if connection.receiving.done():
                    break
                await connection.send(more)
            await connection.wait_until_closed()
        assert read_peak_memory_mib(server) - before < 8


async def test_slow_head_times_out(server: Server) -> None:
    async with connect(server) as slow, connect(server) as idle:
        began = time.monotonic()
        for byte in UNFINISHED * 100:
            if slow.receiving.done():
                break
            await slow.send(bytes([byte]))
            await asyncio.sleep(0.1)
        received = await slow.wait_until_closed()
        assert 1.5 < time.monotonic() - began < 8
        assert list_statuses(received) == [408]
        assert b'"code":"head_too_slow"' in received
        assert await idle.wait_until_closed() == b""


async def test_second_head_on_a_connection_has_its_own_deadline(server: Server) -> None:
    async with connect(server) as connection:
        await connection.send(LIVE)
        await asyncio.sleep(1.5)
        await connection.send(LIVE)
        await asyncio.sleep(1.5)
        assert list_statuses(connection.received) == [200, 200]
        await connection.send(UNFINISHED)
        assert list_statuses(await connection.wait_until_closed()) == [200, 200, 408]


async def test_connection_that_sends_only_empty_lines_is_closed(server: Server) -> None:
    async with connect(server) as connection:
        await connection.send(LIVE)
        for _ in range(100):
            if connection.receiving.done():
                break
            await connection.send(b"\r\n")
            await asyncio.sleep(0.1)
        assert list_statuses(await connection.wait_until_closed(1)) == [200, 408]


async def test_idle_connection_is_closed_after_the_keep_alive_time(server: Server) -> None:
    async with connect(server) as connection:
        await connection.send(LIVE)
        await asyncio.sleep(3)
        assert not connection.receiving.done()
        assert list_statuses(await connection.wait_until_closed(5)) == [200]


async def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    async with connect(server) as connection:
        await connection.send(LIVE * 5 + b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" + LIVE_ONCE)
        assert list_statuses(await connection.wait_until_closed()) == [200, 200, 200, 200, 200, 404, 200]


async def test_number_of_waiting_pipelined_requests_is_bounded(server: Server) -> None:
    before = read_peak_memory_mib(server)
    async with connect(server) as connection:
        await connection.send(LIVE * 20_000)
        received = await connection.wait_until_closed()
    assert 1 <= len(list_statuses(received)) <= 20
    assert set(list_statuses(received)) == {200}
    assert read_peak_memory_mib(server) - before < 8


async def test_refusal_comes_after_earlier_responses(server: Server) -> None:
    for second in (b"\0\0\0\r\n\r\n", UNFINISHED + b"x" * 100_000):
        async with connect(server) as connection:
            await connection.send(LIVE + second)
            assert list_statuses(await connection.wait_until_closed())[:1] == [200]


async def test_unfinished_heads_do_not_block_other_clients(database: str) -> None:
    with limit_file_descriptors(1024):
        servers = serve(database, processes=1, REQUEST_HEAD_SECONDS="30", MAX_CONNECTIONS_PER_ADDRESS="100000")
        [server] = await servers.__aenter__()
    async with AsyncExitStack() as stack:
        stack.push_async_exit(servers)
        async with connect(server) as first:
            await first.send(UNFINISHED)
            for _ in range(1100):
                connection = await stack.enter_async_context(connect(server))
                await connection.send(UNFINISHED)
            assert list_statuses(await send_request(server)) == [200]
            assert list_statuses(await send_request(server, LIVE_ONCE.replace(b"livez", b"readyz"))) == [200]
            assert await first.wait_until_closed(5) == b""


async def test_connections_per_address_are_limited(database: str) -> None:
    async with (
        serve(database, processes=1, MAX_CONNECTIONS_PER_ADDRESS="20") as [server],
        AsyncExitStack() as stack,
    ):
        opened = [await stack.enter_async_context(connect(server)) for _ in range(30)]
        for each in opened[:10]:
            assert await each.wait_until_closed(5) == b""
        assert not any(each.receiving.done() for each in opened[10:])
        assert list_statuses(await send_request(server)) == [200]


async def test_connection_with_unfinished_body_is_closed_for_another_address(database: str, tmp_path: Path) -> None:
    limits = {"MAX_CONNECTIONS": "50", "MAX_IN_FLIGHT_PER_CLIENT": "2", "REQUEST_BODY_SECONDS": "60"}
    with (tmp_path / "log").open("wb") as log:
        async with serve(database, processes=1, stderr=log, **limits) as [server], AsyncExitStack() as stack:
            first = await stack.enter_async_context(connect(server))
            await first.send(LIVE)
            for number in range(60):
                connection = await stack.enter_async_context(connect(server, f"127.0.0.{2 + number % 5}"))
                await connection.send(LIVE * (number % 2) + UNFINISHED_BODY)
            await asyncio.sleep(0.5)
            for _ in range(20):
                assert list_statuses(await send_request(server)) == [200]
            await first.send(LIVE_ONCE)
            assert list_statuses(await first.wait_until_closed()) == [200, 200]
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_connection_with_unfinished_body_is_closed_for_its_own_address(database: str) -> None:
    async with serve(database, processes=1, MAX_CONNECTIONS_PER_ADDRESS="5") as [server], AsyncExitStack() as stack:
        waiting = [await stack.enter_async_context(connect(server)) for _ in range(5)]
        for each in waiting:
            await each.send(UNFINISHED_BODY)
        await asyncio.sleep(0.5)
        assert list_statuses(await send_request(server)) == [200]
        assert await waiting[0].wait_until_closed(5) == b""
        assert not any(each.receiving.done() for each in waiting[1:])


async def test_request_in_progress_is_never_closed_for_a_new_connection(database: str, tmp_path: Path) -> None:
    body = b'{"email": "%d@example.com", "password": "sunflower tractor 12", "name": "Ann", "role": "patient"}'
    head = b"POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    async with (
        serve(database, processes=1, MAX_CONNECTIONS_PER_ADDRESS="5", DATABASE_TIMEOUT_SECONDS=PATIENCE) as [server],
        AsyncExitStack() as stack,
    ):
        busy = [await stack.enter_async_context(connect(server)) for _ in range(5)]
        with closing(sqlite3.connect(tmp_path / "test.db")) as writer:
            writer.execute("BEGIN IMMEDIATE")
            for number, each in enumerate(busy):
                registration = body % number
                await each.send(head + b"Content-Length: %d\r\n\r\n%s" % (len(registration), registration))
            await asyncio.sleep(0.5)
            received = await send_request(server)
            assert list_statuses(received) == [429]
            assert b"retry-after: 1" in received
        for each in busy:
            assert list_statuses(await each.wait_until_closed()) == [201]


async def test_connect_method_is_refused(server: Server) -> None:
    tunnel = b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n"
    assert list_statuses(await send_request(server, tunnel)) == [400]
    async with connect(server) as connection:
        await connection.send(LIVE)
        await asyncio.sleep(0.5)
        await connection.send(tunnel)
        assert list_statuses(await connection.wait_until_closed()) == [200, 400]


async def test_request_for_a_websocket_is_answered_like_any_other(server: Server) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AA\r\n\r\n"
    async with connect(server) as connection:
        await connection.send(LIVE.removesuffix(b"\r\n") + upgrade)
        # uvicorn drops what arrives together with a request to upgrade.
        while not connection.received:  # noqa: ASYNC110 - another process sends the response
            await asyncio.sleep(0.01)
        await connection.send(LIVE_ONCE)
        assert list_statuses(await connection.wait_until_closed()) == [200, 200]


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [("1.1", 0, 400), ("1.1", 1, 200), ("1.1", 2, 400), ("1.0", 0, 200), ("1.0", 1, 200), ("1.0", 2, 400)],
)
async def test_request_without_exactly_one_host_is_refused(
    server: Server, version: str, hosts: int, status: int
) -> None:
    head = f"GET /livez HTTP/{version}\r\nConnection: close\r\n" + "Host: x\r\n" * hosts
    assert list_statuses(await send_request(server, head.encode() + b"\r\n")) == [status]


async def test_refusal_of_a_missing_host_comes_after_earlier_responses(server: Server) -> None:
    assert list_statuses(await send_request(server, LIVE + b"GET /livez HTTP/1.1\r\n\r\n")) == [200]
