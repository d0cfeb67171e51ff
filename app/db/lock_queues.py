"""Queues in the process for locks of the database.

A transaction that waits for a lock keeps its connection. So that one lock cannot use up the whole pool, only
``PERMITS_PER_LOCK`` transactions of a process may hold a lock or wait for it in the database. The others wait here,
without a connection, and start again when it is their turn (ADR 0044).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

PERMITS_PER_LOCK = 2
"""For each lock: one transaction that holds it, and the next one, which is then ready at once."""


class LockQueueFull(Exception):  # noqa: N818 - a signal, not an error
    """One of these locks has no place left: the transaction must be rolled back, and begin again in its turn."""

    def __init__(self, keys: frozenset[int]) -> None:
        super().__init__()
        self.keys = keys


class LockPermits:
    """The permits of one transaction."""

    def __init__(self, queues: "LockQueues", stack: AsyncExitStack) -> None:
        self._queues = queues
        self._stack = stack
        self._keys: frozenset[int] = frozenset()

    async def acquire(self, keys: frozenset[int]) -> None:
        """Takes a place for each of these locks that it has none for; ``LockQueueFull`` if that would mean waiting."""
        new = keys - self._keys
        if any(self._queues.get(key).locked() for key in new):
            raise LockQueueFull(self._keys | keys)
        await self.wait_for(new)

    async def wait_for(self, keys: frozenset[int]) -> None:
        """Waits for a place for each of these locks, in one order. Hold no connection meanwhile."""
        for key in sorted(keys):
            await self._stack.enter_async_context(self._queues.get(key))
        self._keys |= keys


class LockQueues:
    """The queues of one process, first come, first served; one that is not used takes no memory."""

    def __init__(self) -> None:
        self._queues: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    def get(self, key: int) -> asyncio.Semaphore:
        """The queue for a lock."""
        return self._queues.setdefault(key, asyncio.Semaphore(PERMITS_PER_LOCK))

    @asynccontextmanager
    async def permits(self) -> AsyncIterator[LockPermits]:
        """Places for one transaction, which are given back at the end."""
        async with AsyncExitStack() as stack:
            yield LockPermits(self, stack)
