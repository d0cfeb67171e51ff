"""Sharing the processor between long computations and everything else that the process does."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from time import thread_time

from app.core.errors import DomainError

SLICE = 0.005
"""Seconds of computing after which other requests get their turn."""
MAX_WAIT = 10.0
"""Seconds that one computation may take altogether, with the time that it waits for its turns."""


@dataclass(slots=True)
class Processor:
    """The turns of one process: one computation runs at a time, in slices, in the order of asking.

    Without turns, every computation would run a slice between two steps of an ordinary request.
    """

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Computation:
    """A long computation, cut into steps, with a budget of ``seconds`` of processor time."""

    def __init__(self, processor: Processor, seconds: float = inf) -> None:
        self._processor = processor
        self._left = seconds
        self._deadline = asyncio.get_running_loop().time() + MAX_WAIT

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent."""
        return self._left <= 0

    async def run(self, steps: Iterable[Callable[[], None]]) -> None:
        """Runs the steps in turn until the budget is spent; the rest is left out.

        ``DomainError`` ``busy`` if its turn does not come in time. Hold no connection meanwhile.
        """
        remaining = iter(steps)
        finished = False
        while not (finished or self.is_over):
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._processor.turn.acquire()
            except TimeoutError:
                raise DomainError("busy") from None
            started = thread_time()
            try:
                finished = _run_slice(remaining, started + min(SLICE, self._left))
            finally:
                self._left -= thread_time() - started
                self._processor.turn.release()
            if not finished:
                await asyncio.sleep(0)


def _run_slice(remaining: Iterable[Callable[[], None]], until: float) -> bool:
    for step in remaining:
        step()
        if thread_time() >= until:
            return False
    return True
