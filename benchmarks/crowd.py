"""HTTP clients on loopback that send a request as soon as the previous one is answered.

Clients share the machine with the servers, so they do as little as possible: requests are prepared as bytes, and of a
response only the status and the length are read.
"""

import asyncio
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import cast

from tests.servers import Server

MAX_RUN_SECONDS = 120
_TICKS = os.sysconf("SC_CLK_TCK")  # per second


@dataclass(frozen=True, slots=True)
class Run:
    """The cost of a number of requests."""

    requests: int
    seconds: float
    cpu: float
    """CPU time of the server processes in seconds, user and system."""

    @property
    def rate(self) -> float:
        """Responses per second."""
        return self.requests / self.seconds

    @property
    def cpu_per_request(self) -> float:
        """CPU time per response in seconds."""
        return self.cpu / self.requests


async def send_all(servers: Sequence[Server], requests: Sequence[bytes], *, status: int, connections: int) -> Run:
    """Send all requests and measure until the last response. All connections are opened before.

    Raise ``RuntimeError`` if a response has another status.
    """
    loop = asyncio.get_running_loop()
    ports = [servers[number % len(servers)].port for number in range(connections)]
    protocols = [(await loop.create_connection(_Connection, "127.0.0.1", port))[1] for port in ports]
    queue = iter(requests)
    cpu = sum(map(cpu_seconds, servers))
    started = perf_counter()
    try:
        async with asyncio.timeout(MAX_RUN_SECONDS), asyncio.TaskGroup() as group:
            for connection in protocols:
                group.create_task(connection.send_all(queue, status))
        return Run(len(requests), perf_counter() - started, sum(map(cpu_seconds, servers)) - cpu)
    finally:
        for connection in protocols:
            connection.transport.close()


def write_request(method: str, path: str, *, body: object = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Return an HTTP/1.1 request as bytes, with ``body`` as JSON."""
    content = b"" if body is None else json.dumps(body).encode()
    fields = {"Host": "bench", **(headers or {})}
    if content:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*head, "", ""]).encode() + content


def cpu_seconds(server: Server) -> float:
    """Return the CPU time of a server process so far in seconds, user and system."""
    # See proc_pid_stat(5). The name of the program is in parentheses and may contain spaces.
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    async def send_all(self, requests: Iterator[bytes], status: int) -> None:
        """Send requests from an iterator that all connections share, until it is exhausted."""
        self._requests = requests
        self._expected_head = f"HTTP/1.1 {status} ".encode()
        self._received = b""
        self._done = asyncio.get_running_loop().create_future()
        self._send_next()
        await self._done

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        if head.startswith(self._expected_head):
            self._received = b""
            self._send_next()
        else:
            self._fail(f"unexpected response: {self._received.decode()}")

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the server closed the connection: {error}")

    def _send_next(self) -> None:
        if (request := next(self._requests, None)) is not None:
            self.transport.write(request)
        elif not self._done.done():
            self._done.set_result(None)

    def _fail(self, reason: str) -> None:
        if hasattr(self, "_done") and not self._done.done():
            self._done.set_exception(RuntimeError(reason))


def _content_length(head: bytes) -> int:
    _, _, after = head.lower().partition(b"\r\ncontent-length:")
    return int(after.partition(b"\r\n")[0])
