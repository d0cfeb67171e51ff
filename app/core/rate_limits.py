"""How often something may be asked for: rates, counted in the memory of this process."""

import math
from dataclasses import dataclass
from uuid import UUID

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from app.core import clock
from app.core.addresses import bounded_network
from app.core.errors import DomainError
from app.core.settings import OFF, Settings

MAX_COUNTERS = 100_000  # some 30 MB; a client has two per rate


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a rate: ``remaining`` of ``limit`` in ``window`` seconds, and more in ``reset`` seconds."""

    name: str
    limit: int
    window: int
    remaining: int
    reset: int


class RateLimiter:
    """The rates of one application. Over one of them, ``DomainError`` ``too_many_requests``.

    Each is counted in a sliding window: what was asked for in the last window counts by the part of it that still lies
    within. What is counted is added to ``quotas``.
    """

    def __init__(self, settings: Settings) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(BoundedMemory())
        self._address = _rate(settings.rate_limit_per_address)
        self._login = _rate(settings.rate_limit_login)
        self._account = _rate(settings.rate_limit_per_account)

    async def count_address(self, host: str | None, *, takes_credentials: bool, quotas: list[Quota]) -> None:
        """Counts a request of a client that is known by nothing but its address."""
        client = bounded_network(host)
        await self._count("address", self._address, client, quotas)
        if takes_credentials:
            await self._count("login", self._login, client, quotas)

    async def count_account(self, account: UUID, quotas: list[Quota]) -> None:
        """Counts a request of somebody who has logged in, from wherever."""
        await self._count("account", self._account, str(account), quotas)

    async def _count(self, name: str, rate: RateLimitItem | None, who: str, quotas: list[Quota]) -> None:
        if rate is None:
            return
        allowed = await self._limiter.hit(rate, name, who)
        stats = await self._limiter.get_window_stats(rate, name, who)
        reset = max(1, math.ceil(stats.reset_time - clock.now().timestamp()))
        remaining = stats.remaining if allowed else 0
        quotas.append(Quota(name, rate.amount, rate.get_expiry(), remaining, reset))
        if not allowed:
            raise DomainError("too_many_requests", retry_after=reset)


class BoundedMemory(MemoryStorage):
    """Counters in memory, and only so many: beyond that, the oldest are forgotten.

    The library's own looks for expired ones among all, at every hit: the more addresses an attacker has, the more
    each request would cost.
    """

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Counts; nothing here waits, so that no other request can come between."""
        now = clock.now().timestamp()
        if key not in self.expirations:
            # In the order in which they were made, which is nearly the order in which they expire.
            while self.expirations:
                oldest, end = next(iter(self.expirations.items()))
                if end > now and len(self.expirations) < MAX_COUNTERS:
                    break
                await self.clear(oldest)
            self.expirations[key] = now + expiry
        self.storage[key] += amount
        return self.storage[key]


def _rate(text: str) -> RateLimitItem | None:
    return None if text == OFF else parse(text)
