"""Server processes on the loopback interface, which end with the test."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Self

import httpx2

from tests.databases import UNLIMITED

ROOT = Path(__file__).parents[1]
BOUNDED_APPS = ("app.main:app", "tests.edge.instrumented:app")
PATIENCE = "60"
"""Seconds, for ``DATABASE_TIMEOUT_SECONDS`` in tests with many requests at once, which a busy machine may delay."""


class Server:
    """One uvicorn process."""

    def __init__(
        self, database_url: str, stderr: IO[bytes] | None = None, app: str = "app.main:app", **environment: str
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", app, "--port", str(self.port)),
                *("--log-level", "warning", "--no-proxy-headers", "--timeout-graceful-shutdown", "8"),
                # The protocol needs the state that the application of this project makes.
                *(("--http", "app.edge.protocol:BoundedProtocol") if app in BOUNDED_APPS else ()),
            ],
            cwd=ROOT,
            stderr=stderr,
            env=os.environ
            | {"DATABASE_URL": database_url, "PASSWORD_MEMORY_KIB": "8", "PASSWORD_PASSES": "1", "LOG_LEVEL": "warning"}
            | {name.upper(): str(value) for name, value in UNLIMITED.items()}
            | environment,
        )

    async def ready(self, client: httpx2.AsyncClient) -> Self:
        async with asyncio.timeout(180):
            while True:
                assert self.process.poll() is None, "the server has ended"
                try:
                    response = await client.get(f"{self.url}/readyz")
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
                else:
                    assert response.status_code == 200, response.text
                    return self

    def kill(self) -> None:
        """Kill the process without a warning, as the kernel does when memory runs out."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    async def stop(self) -> None:
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, 30)


@asynccontextmanager
async def serve(
    database_url: str,
    processes: int,
    *,
    stderr: IO[bytes] | None = None,
    app: str = "app.main:app",
    **environment: str,
) -> AsyncIterator[list[Server]]:
    """Run server processes on one database; yield them when all are ready."""
    servers = [Server(database_url, stderr, app, **environment) for _ in range(processes)]
    try:
        async with httpx2.AsyncClient() as client:
            yield [await server.ready(client) for server in servers]
    finally:
        for server in servers:
            if server.process.poll() is None:
                await server.stop()


@asynccontextmanager
async def clients(servers: list[Server]) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """Open a client for each server, with enough connections for the requests of a race."""
    # The server closes idle connections after five seconds. The client closes them earlier, because a request that is
    # sent at that moment would get no response.
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=2)
    opened = [httpx2.AsyncClient(base_url=server.url, limits=limits, timeout=60) for server in servers]
    try:
        yield opened
    finally:
        for client in opened:
            await client.aclose()
