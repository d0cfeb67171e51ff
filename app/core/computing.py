"""Long computations that share the processor with the other requests of the process (ADR 0029)."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from math import inf
from time import thread_time

from app.core.errors import DomainError
from app.core.fair_locks import ClientFairLock

SLICE = 0.002
"""Seconds of computing after which other requests get their turn."""
MAX_WAIT_FOR_WRITERS = 0.01
"""Seconds that a slice may wait for writers. Then it runs anyway, so that writers cannot delay it indefinitely."""
MAX_WAIT = 10.0
"""Seconds that one computation may take in total, including the time that it waits for its turns."""


class NoTurnError(DomainError):
    """``busy``: a computation has waited too long for its turns. The results so far remain valid."""

    def __init__(self) -> None:
        super().__init__("busy", reason="a computation did not get its turn in time")


class Computation:
    """A long computation for a client, divided into steps, with a budget of ``seconds`` of processor time.

    The computations of a process take ``turns`` of one slice: one runs at a time, and after each slice none runs for as
    long as the slice took. Without this pause, a slice would run between any two steps of an ordinary request. With
    ``writers``, each slice also waits for its turn among them, so that it does not prolong a transaction that others
    wait for. With ``permits``, the computation acquires one before it begins, and keeps it until it is closed.
    """

    def __init__(
        self,
        turns: ClientFairLock,
        client: str,
        seconds: float = inf,
        *,
        permits: asyncio.Semaphore | None = None,
        writers: ClientFairLock | None = None,
    ) -> None:
        self._turns = turns
        self._permits = permits
        self._has_permit = False
        self._writers = writers
        self._client = client
        self._budget = seconds
        self._spent = 0.0
        self._deadline = asyncio.get_running_loop().time() + MAX_WAIT

    @property
    def is_over(self) -> bool:
        """Whether the budget of processor time is used up."""
        return self._spent >= self._budget

    async def run(self, steps: Iterable[object]) -> bool:
        """Iterate over ``steps`` until the budget is used up. Return whether the iteration reached the end.

        Computing one item is one step, so ``steps`` should be lazy. When the budget is used up, one more step is run,
        because only this shows whether any step is left.

        Raises ``NoTurnError`` if its turn does not come in time. Hold no database connection while it runs.
        """
        await self._begin()
        remaining = iter(steps)
        is_last_slice = False
        while not is_last_slice:
            is_last_slice = self.is_over
            try:
                async with asyncio.timeout_at(self._deadline), self._turns.hold(self._client):
                    before = self._spent
                    async with self._between_writes():
                        if self._run_slice(remaining):
                            return True
                    if not is_last_slice:
                        # Keep the turn while pausing, so that no other computation runs in the pause.
                        await asyncio.sleep(self._spent - before)
            except TimeoutError:
                raise NoTurnError from None
        return False

    async def finish[Item](self, steps: Iterable[Item]) -> list[Item]:
        """Run all ``steps`` and return their items. Raises ``busy`` if the budget is used up before the end."""
        items: list[Item] = []
        if not await self.run(map(items.append, steps)):
            raise DomainError("busy", reason="the processor time of the request is used up")
        return items

    def close(self) -> None:
        """Release the permit, if there is one."""
        if self._permits and self._has_permit:
            self._permits.release()

    async def _begin(self) -> None:
        if self._permits and not self._has_permit:
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._permits.acquire()
            except TimeoutError:
                raise NoTurnError from None
            self._has_permit = True

    @asynccontextmanager
    async def _between_writes(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if self._writers:
                with suppress(TimeoutError):
                    async with asyncio.timeout(MAX_WAIT_FOR_WRITERS):
                        # Among the writers, all computations together count as one client.
                        await stack.enter_async_context(self._writers.hold("computations"))
            yield

    def _run_slice(self, remaining: Iterator[object]) -> bool:
        """Run at least one step. Return whether the end was reached before the slice was used up."""
        # Processor time of this thread: threads that hash passwords do not use up the budget.
        started = thread_time()
        until = started + min(SLICE, self._budget - self._spent)
        try:
            return all(thread_time() < until for _ in remaining)
        finally:
            self._spent += thread_time() - started
