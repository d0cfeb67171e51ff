"""Locks that are shared fairly between clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from weakref import WeakValueDictionary

current_client: ContextVar[str] = ContextVar("current_client", default="")
"""The network that the current request comes from (see ``bounded_network``); empty outside of requests."""


class ClientSemaphores:
    """A semaphore for each client, with ``count`` permits. Unused ones are freed."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._permits: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def get(self, client: str) -> asyncio.Semaphore:
        """Return the semaphore of a client. Its requests get permits in the order in which they wait."""
        return self._permits.setdefault(client, asyncio.Semaphore(self._count))


class ClientFairLock:
    """One lock that clients take in turn.

    Of all waiting requests of one client, at most one is ahead of another client's request.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._clients = ClientSemaphores(1)

    @asynccontextmanager
    async def hold(self, client: str) -> AsyncIterator[None]:
        """Wait for the next turn of this client, and hold the lock inside the context."""
        # Take the client's own semaphore first, so that at most one of its requests is in the queue for the lock.
        async with self._clients.get(client), self._lock:
            yield
