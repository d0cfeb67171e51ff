"""Clients that do not read their responses, over raw sockets to a real server."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.edge.connections import Connections
from app.edge.protocol import BoundedProtocol
from tests.databases import migrate, settings_for
from tests.servers import Server, clients, serve

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slow readers")]

STALL_SECONDS = 2
LARGE = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE_ONCE = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Log:
    """What the server writes to standard error."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a+b")

    def text(self) -> str:
        self.file.seek(0)
        return self.file.read().decode()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    log = Log(tmp_path_factory.mktemp("slow readers") / "log")
    yield log
    log.file.close()


@pytest.fixture(scope="module")
async def shared_server(tmp_path_factory: pytest.TempPathFactory, log: Log) -> AsyncIterator[Server]:
    url = await migrate(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('slow readers')}/test.db")
    limits = {"RESPONSE_STALL_SECONDS": str(STALL_SECONDS), "MAX_IN_FLIGHT_PER_CLIENT": "1"}
    async with serve(url, processes=1, stderr=log.file, **limits) as [server]:
        yield server


@pytest.fixture
async def server(shared_server: Server) -> Server:
    """A server with no request in flight."""
    async with asyncio.timeout(STALL_SECONDS * 3):
        while await get_status(shared_server) == 429:  # noqa: ASYNC110 - another process has to notice a closed connection
            await asyncio.sleep(0.05)
    return shared_server


@contextmanager
def connect(server: Server, receive_buffer: int = 4096) -> Iterator[socket.socket]:
    """A connection with small kernel buffers, like that of a phone on a slow network."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
        client.connect(("127.0.0.1", server.port))
        client.setblocking(False)
        yield client


async def send(client: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(client, data)


async def read(client: socket.socket, size: int, pause: float = 0) -> bytes:
    """Read until the server closes the connection, at most ``size`` bytes per ``pause`` seconds."""
    received = b""
    while part := await asyncio.get_running_loop().sock_recv(client, size):
        received += part
        await asyncio.sleep(pause)
    return received


def is_open(server: Server, client: socket.socket) -> bool:
    """Whether the server has not closed the connection; data that the kernel has yet to send does not count."""
    ends = [f":{server.port:04X}", f":{client.getsockname()[1]:04X}"]
    connections = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = [fields[9] for fields in connections if [fields[1][-5:], fields[2][-5:]] == ends]
    return bool(set(inodes) - {"0"})


async def wait_until_closed(server: Server, client: socket.socket) -> None:
    async with asyncio.timeout(STALL_SECONDS * 3):
        while is_open(server, client):  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.05)


async def get_status(server: Server) -> int:
    async with clients([server]) as [client]:
        return (await client.get("/doctors")).status_code


async def get_whole_response(server: Server) -> bytes:
    async with clients([server]) as [client]:
        return (await client.get("/openapi.json")).content


async def test_client_that_never_reads_frees_its_permit(server: Server, log: Log) -> None:
    whole = await get_whole_response(server)
    with connect(server) as client:
        await send(client, LARGE * 3)
        await asyncio.sleep(0.5)
        assert await get_status(server) == 429, "the second response waits until the first is read"
        await wait_until_closed(server, client)
        assert await get_status(server) == 200
        async with asyncio.timeout(10):
            assert len(await read(client, 65536)) < len(whole)
    assert "Traceback" not in log.text()


async def test_connection_with_an_unread_response_is_closed(server: Server) -> None:
    with connect(server) as client:
        began = time.monotonic()
        await send(client, LARGE_ONCE)
        await asyncio.sleep(STALL_SECONDS / 2)
        assert is_open(server, client)
        await wait_until_closed(server, client)
        assert time.monotonic() - began > STALL_SECONDS


async def test_client_that_reads_slowly_after_reading_fast_stays_connected(server: Server) -> None:
    unread = 2 * len(await get_whole_response(server))
    # The kernel does not receive everything at once, so the server still has most of 16 responses to send.
    with connect(server, receive_buffer=50_000) as client:
        await send(client, LARGE * 16)
        while unread > 0:
            part = await asyncio.get_running_loop().sock_recv(client, 65536)
            assert part
            unread -= len(part)
        slow_until = asyncio.get_running_loop().time() + 4 * STALL_SECONDS
        while asyncio.get_running_loop().time() < slow_until:
            assert await asyncio.get_running_loop().sock_recv(client, 40_000)
            await asyncio.sleep(0.2)
        assert is_open(server, client)


async def test_reading_the_end_of_a_small_response_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unsent rest is smaller than the high-water mark of the event loop, which is 64 KiB."""
    size = 50_000
    monkeypatch.setattr("app.edge.protocol.SEND_BUFFER_BYTES", 4096)

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-length", str(size).encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * size})

    config, state = Config(app, log_level="warning"), ServerState()
    connections = Connections(settings_for("sqlite:///never-opened.db", response_stall_seconds=1))
    with socket.socket() as listening, socket.socket() as client:
        listening.bind(("127.0.0.1", 0))
        server = await asyncio.get_running_loop().create_server(
            lambda: BoundedProtocol(config, state, {"connections": connections}), sock=listening
        )
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listening.getsockname())
        client.setblocking(False)
        await send(client, LARGE_ONCE)
        await asyncio.sleep(0.5)
        [connection] = connections._open
        assert isinstance(connection, BoundedProtocol)
        assert 0 < connection.transport.get_write_buffer_size() < 65536
        await asyncio.sleep(1.5)
        assert len(connections) == 0
        server.close()


async def test_client_that_reads_a_few_bytes_at_a_time_is_disconnected(server: Server) -> None:
    with connect(server) as client:
        await send(client, LARGE_ONCE)
        reading = asyncio.create_task(read(client, 500, pause=0.1))
        await asyncio.sleep(STALL_SECONDS / 2)
        assert is_open(server, client)
        await wait_until_closed(server, client)
        reading.cancel()


async def test_slow_client_that_keeps_reading_gets_the_whole_response(server: Server) -> None:
    whole = await get_whole_response(server)
    with connect(server) as client:
        began = time.monotonic()
        await send(client, LARGE + LARGE_ONCE)  # one response would be read too soon
        async with asyncio.timeout(60):
            received = await read(client, 4096, pause=0.06)
        assert time.monotonic() - began > STALL_SECONDS * 2
        assert received.endswith(whole)
        assert received.count(whole) == 2


async def test_client_that_leaves_before_pipelined_responses_causes_no_error(server: Server, log: Log) -> None:
    with connect(server) as client:
        await send(client, LARGE * 10)
        await asyncio.sleep(0.5)
    await asyncio.sleep(0.5)
    assert await get_status(server) == 200
    assert "Traceback" not in log.text()
