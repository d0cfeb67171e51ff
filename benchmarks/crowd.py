"""Many connections to servers on loopback, each of which sends a request as soon as the one before is answered.

Clients share the machine with the servers, so they do next to nothing: requests are bytes already, and of an answer
they look at the status and at where it ends.
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

MAX_RUN = 120  # seconds
_TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True, slots=True)
class Run:
    """What it took to have so many requests answered."""

    requests: int
    seconds: float
    cpu: float
    """Seconds of the processor, user and system, of the server processes alone."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds

    @property
    def cpu_each(self) -> float:
        """Seconds of the processor an answer."""
        return self.cpu / self.requests


async def send_all(servers: Sequence[Server], requests: Sequence[bytes], *, status: int, connections: int) -> Run:
    """Has them all answered, each with this status, over connections that are open before the first one is sent."""
    loop = asyncio.get_running_loop()
    ports = [servers[number % len(servers)].port for number in range(connections)]
    opened = [(await loop.create_connection(_Connection, "127.0.0.1", port))[1] for port in ports]
    waiting = iter(requests)
    cpu = sum(map(cpu_seconds, servers))
    started = perf_counter()
    try:
        async with asyncio.timeout(MAX_RUN), asyncio.TaskGroup() as group:
            for connection in opened:
                group.create_task(connection.send_all(waiting, status))
        return Run(len(requests), perf_counter() - started, sum(map(cpu_seconds, servers)) - cpu)
    finally:
        for connection in opened:
            connection.transport.close()


def write_request(method: str, path: str, *, body: object = None, headers: Mapping[str, str] | None = None) -> bytes:
    """A request as it is sent."""
    content = b"" if body is None else json.dumps(body).encode()
    said = {"Host": "bench", **(headers or {})}
    if content:
        said |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items())]
    return "\r\n".join([*head, "", ""]).encode() + content


def cpu_seconds(server: Server) -> float:
    """What a server process has used of the processor so far, user and system."""
    # proc_pid_stat(5); the name of the program, in parentheses, may have spaces.
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    async def send_all(self, requests: Iterator[bytes], status: int) -> None:
        """Takes the next one, whichever connection had the one before."""
        self._requests = requests
        self._begin = f"HTTP/1.1 {status} ".encode()
        self._answer = b""
        self._done = asyncio.get_running_loop().create_future()
        self._send_next()
        await self._done

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        if head.startswith(self._begin):
            self._answer = b""
            self._send_next()
        else:
            self._fail(f"not the answer that was expected: {self._answer.decode()}")

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the server has hung up: {error}")

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
