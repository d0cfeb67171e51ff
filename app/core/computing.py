"""Sharing the processor between long computations and everything else that the process does."""

import asyncio
from collections.abc import Iterable, Iterator
from math import inf
from time import thread_time

from app.core.errors import DomainError
from app.core.turns import Turns

SLICE = 0.002
"""Seconds of computing after which other requests get their turn."""
MAX_WAIT = 10.0
"""Seconds that one computation may take altogether, with the time that it waits for its turns; and that it may wait to
begin, while others of the same client run."""


class NoTurnError(DomainError):
    """``busy``: a computation has waited too long for its turns. What was computed until then remains valid."""

    def __init__(self) -> None:
        super().__init__("busy", reason="a computation did not get its turn in time")


class Computation:
    """A long computation for a client, cut into steps, with a budget of ``seconds`` of processor time.

    The computations of a process take turns, a slice each: one runs at a time, and after each slice none runs for as
    long as the slice took. Without that, a slice would run between any two steps of an ordinary request.
    """

    def __init__(self, turns: Turns, client: str, seconds: float = inf) -> None:
        self._turns = turns
        self._client = client
        self._budget = seconds
        self._spent = 0.0
        self._deadline = asyncio.get_running_loop().time() + MAX_WAIT

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent."""
        return self._spent >= self._budget

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
                async with asyncio.timeout_at(self._deadline), self._turns.take(self._client):
                    before = self._spent
                    if self._run_slice(remaining):
                        return True
                    # With the turn in hand, so that no other computation runs meanwhile.
                    await asyncio.sleep(self._spent - before)
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
        until = started + min(SLICE, self._budget - self._spent)
        try:
            return all(thread_time() < until for _ in remaining)
        finally:
            self._spent += thread_time() - started
