"""Locks that clients share fairly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from weakref import WeakValueDictionary

current_client: ContextVar[str] = ContextVar("current_client", default="")
"""The network that the current request comes from (see ``neighbourhood``); empty outside of requests."""


class ClientLocks:
    """A lock for each client. One that nobody uses takes no memory."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def get(self, client: str) -> asyncio.Lock:
        """The client's lock; its requests get it in the order in which they ask for it."""
        return self._locks.setdefault(client, asyncio.Lock())


class Turns:
    """One lock that clients take in turn.

    However many requests of one client are waiting, only one of them is ahead of another client.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._clients = ClientLocks()

    @asynccontextmanager
    async def take(self, client: str) -> AsyncIterator[None]:
        """Waits for the next turn of this client, and holds the lock inside the block."""
        async with self._clients.get(client), self._lock:
            yield
