"""Queues of this process for locks of the database.

A transaction that waits for a lock keeps its connection. So that one lock cannot use up the whole pool, only
``PERMITS_PER_LOCK`` transactions of a process may hold a lock or wait for it in the database. The others wait here
without a connection, and start again when it is their turn (ADR 0044).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

PERMITS_PER_LOCK = 2
"""One permit is for the transaction that holds the lock, one for the next, which can then continue at once."""


class LockQueueFull(Exception):  # noqa: N818 - a signal, not an error
    """One of these locks has no permit left: roll the transaction back, and begin again in its turn."""

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
        """Take the permits for these locks that the transaction does not have yet, without waiting.

        Raises ``LockQueueFull`` if one of them has no permit left.
        """
        new = keys - self._keys
        # All are checked before one is taken, so that `wait_for` returns at once: a transaction that has a connection
        # never waits for a permit (ADR 0044).
        if any(self._queues.get(key).locked() for key in new):
            raise LockQueueFull(self._keys | keys)
        await self.wait_for(new)

    async def wait_for(self, keys: frozenset[int]) -> None:
        """Wait for a permit for each of these locks, in a fixed order, which prevents deadlocks.

        Do not hold a connection while waiting.
        """
        for key in sorted(keys):
            await self._stack.enter_async_context(self._queues.get(key))
        self._keys |= keys


class LockQueues:
    """The queues of one process, first come, first served. A queue that is not in use takes no memory."""

    def __init__(self) -> None:
        self._queues: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    def get(self, key: int) -> asyncio.Semaphore:
        """Return the queue for a lock; it is created when it is first needed."""
        return self._queues.setdefault(key, asyncio.Semaphore(PERMITS_PER_LOCK))

    @asynccontextmanager
    async def permits(self) -> AsyncIterator[LockPermits]:
        """Return the permits of one transaction. They are released at the end of the context."""
        async with AsyncExitStack() as stack:
            yield LockPermits(self, stack)
