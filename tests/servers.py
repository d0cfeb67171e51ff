"""Server processes on the loopback interface, which end with the test.

Importing the application takes almost two seconds of processor time. A process of ``multiprocessing`` imports it once,
and each server is a fork of this process that runs uvicorn. Other applications run in a new interpreter.
"""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing import get_context, set_forkserver_preload
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Self

import httpx2

from tests.databases import UNLIMITED
from tests.server_process import run

ROOT = Path(__file__).parents[1]
APP = "app.main:app"
BOUNDED_APPS = (APP, "tests.edge.instrumented:app")
PATIENCE = "60"
"""Seconds, for ``DATABASE_TIMEOUT_SECONDS`` in tests with many requests at once, which a busy machine may delay."""

set_forkserver_preload(["app.main", "app.edge.protocol", "uvicorn", "uvicorn.loops.uvloop", "aiosqlite", "asyncpg"])


class Server:
    """One uvicorn process."""

    def __init__(self, database_url: str, stderr: IO[bytes] | None = None, app: str = APP, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        arguments = [
            *(app, "--port", str(self.port), "--app-dir", str(ROOT)),
            *("--log-level", "warning", "--no-proxy-headers", "--timeout-graceful-shutdown", "8"),
            # The protocol needs the state that the application of this project makes.
            *(("--http", "app.edge.protocol:BoundedProtocol") if app in BOUNDED_APPS else ()),
        ]
        environment = (
            os.environ
            | {"DATABASE_URL": database_url, "PASSWORD_MEMORY_KIB": "8", "PASSWORD_PASSES": "1", "LOG_LEVEL": "warning"}
            | {name.upper(): str(value) for name, value in UNLIMITED.items()}
            | environment
        )
        start = get_context("forkserver").Process if app == APP else get_context("spawn").Process
        self.process: BaseProcess = start(
            target=run,
            args=(arguments, environment, stderr and stderr.name, resource.getrlimit(resource.RLIMIT_NOFILE)),
            daemon=True,
        )
        self.process.start()

    async def ready(self, client: httpx2.AsyncClient) -> Self:
        async with asyncio.timeout(180):
            while True:
                assert self.process.is_alive(), "the server has ended"
                try:
                    response = await client.get(f"{self.url}/readyz")
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
                else:
                    assert response.status_code == 200, response.text
                    return self

    def kill(self) -> None:
        """Kill the process without a warning, as the kernel does when memory runs out."""
        self.process.kill()
        self.process.join()

    async def stop(self) -> None:
        self.process.terminate()
        await asyncio.to_thread(self.process.join, 30)
        assert not self.process.is_alive(), "the server does not end"


@asynccontextmanager
async def serve(
    database_url: str,
    processes: int,
    *,
    stderr: IO[bytes] | None = None,
    app: str = APP,
    **environment: str,
) -> AsyncIterator[list[Server]]:
    """Run server processes on one database; yield them when all are ready."""
    servers = [Server(database_url, stderr, app, **environment) for _ in range(processes)]
    try:
        async with httpx2.AsyncClient() as client:
            yield [await server.ready(client) for server in servers]
    finally:
        for server in servers:
            if server.process.is_alive():
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
