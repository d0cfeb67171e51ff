from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx2
import pytest
from fastapi import FastAPI

from app.edge import rate_limits
from app.main import create_app
from tests.databases import settings_for

type Start = Callable[..., Awaitable[FastAPI]]


@pytest.fixture
def backend() -> str:
    """One database is enough, because the edge works before any SQL."""
    return "sqlite"


@pytest.fixture(autouse=True)
def no_refusal_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "REFUSAL_DELAY", 0)


@pytest.fixture
async def start(database_url: str) -> AsyncIterator[Start]:
    """A function that starts an application with changed settings."""
    async with AsyncExitStack() as stack:

        async def start(**changes: object) -> FastAPI:
            app = create_app(settings_for(database_url, **changes))
            await stack.enter_async_context(app.router.lifespan_context(app))
            return app

        yield start


def client_of(app: FastAPI, address: str = "127.0.0.1") -> httpx2.AsyncClient:
    """Return a client that sends from this address."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False, client=(address, 123))
    return httpx2.AsyncClient(transport=transport, base_url="http://testserver")
