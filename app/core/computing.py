"""Sharing the processor between long computations and everything else that the process does."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from time import thread_time
from weakref import WeakValueDictionary

from app.core.errors import DomainError

SLICE = 0.005
"""Seconds of computing after which other requests get their turn."""
MAX_WAIT = 10.0
"""Seconds that one computation may take altogether, with the time that it waits for its turns."""


class NoTurnError(DomainError):
    """``busy``: a computation has waited too long for its turns. What was computed until then remains valid."""

    def __init__(self) -> None:
        super().__init__("busy", reason="a computation did not get its turn in time")


@dataclass(slots=True)
class Processor:
    """The turns of one process: one computation runs at a time, in slices.

    Without turns, every computation would run a slice between two steps of an ordinary request. Clients take turns
    first, then the computations of one client, so however many one client has, another waits for two slices at most.
    """

    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _turns_of_clients: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @asynccontextmanager
    async def take_turn(self, client: str) -> AsyncIterator[None]:
        """The next turn of this client."""
        async with self._turns_of_clients.setdefault(client, asyncio.Lock()), self._turn:
            yield


class Computation:
    """A long computation for a client, cut into steps, with a budget of ``seconds`` of processor time."""

    def __init__(self, processor: Processor, client: str, seconds: float = inf) -> None:
        self._processor = processor
        self._client = client
        self._left = seconds
        self._deadline = asyncio.get_running_loop().time() + MAX_WAIT

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent."""
        return self._left <= 0

    async def run(self, steps: Iterable[object]) -> bool:
        """Iterates over ``steps`` until the budget is spent; returns whether it reached their end.

        Whatever the iterator does for its next item is one step, so the items are to be computed when they are asked
        for. One more step begins when the budget is spent, because only that tells whether any is left. ``NoTurnError``
        if its turn does not come in time. Hold no connection meanwhile.
        """
        remaining = iter(steps)
        is_last_slice = False
        while not is_last_slice:
            is_last_slice = self.is_over
            try:
                async with asyncio.timeout_at(self._deadline), self._processor.take_turn(self._client):
                    if self._run_slice(remaining):
                        return True
                    await asyncio.sleep(0)  # with the turn in hand, so that no other slice runs in this round
            except TimeoutError:
                raise NoTurnError from None
        return False

    async def finish[Item](self, steps: Iterable[Item]) -> list[Item]:
        """Returns the items of all ``steps``, as ``run`` runs them; ``busy`` if the budget does not suffice."""
        items: list[Item] = []
        if not await self.run(map(items.append, steps)):
            raise DomainError("busy", reason="the processor time of the request is spent")
        return items

    def _run_slice(self, remaining: Iterator[object]) -> bool:
        """Runs one step at least; returns whether the end was reached before the slice was over."""
        started = thread_time()
        until = started + min(SLICE, self._left)
        try:
            return all(thread_time() < until for _ in remaining)
        finally:
            self._left -= thread_time() - started
