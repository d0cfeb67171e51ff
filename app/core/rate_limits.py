"""Rate limits, counted in the memory of this process (ADR 0021)."""

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

MAX_COUNTERS = 100_000  # about 30 MB; a client has two counters per rate


@dataclass(frozen=True, slots=True)
class Quota:
    """The state of one rate of one client.

    ``remaining`` of ``limit`` requests are left in a window of ``window`` seconds. ``reset`` is the number of seconds
    until the window resets.
    """

    name: str
    limit: int
    window: int
    remaining: int
    reset: int


class RateLimiter:
    """The rate limits of one application.

    Each rate is counted in a sliding window: requests of the previous window count in proportion to the part of it that
    still overlaps. Each method appends the counted rates to ``quotas``, and raises ``DomainError``
    ``too_many_requests`` if a rate is exceeded.
    """

    def __init__(self, settings: Settings) -> None:
        # Fixed windows allow twice the rate at their border, and moving ones store an entry for each request
        # (ADR 0021).
        self._limiter = SlidingWindowCounterRateLimiter(BoundedMemory())
        self._address = _rate(settings.rate_limit_per_address)
        self._login = _rate(settings.rate_limit_login)
        self._account = _rate(settings.rate_limit_per_account)

    async def count_address(self, host: str | None, *, takes_credentials: bool, quotas: list[Quota]) -> None:
        """Count a request by the network of its client. If it ``takes_credentials``, also count it as a log-in."""
        client = bounded_network(host)
        await self._count("address", self._address, client, quotas)
        if takes_credentials:
            await self._count("login", self._login, client, quotas)

    async def count_account(self, account: UUID, quotas: list[Quota]) -> None:
        """Count a request of a logged-in account, from all its clients together."""
        await self._count("account", self._account, str(account), quotas)

    async def _count(self, name: str, rate: RateLimitItem | None, key: str, quotas: list[Quota]) -> None:
        if rate is None:
            return
        allowed = await self._limiter.hit(rate, name, key)
        stats = await self._limiter.get_window_stats(rate, name, key)
        reset = max(1, math.ceil(stats.reset_time - clock.now().timestamp()))
        remaining = stats.remaining if allowed else 0
        quotas.append(Quota(name, rate.amount, rate.get_expiry(), remaining, reset))
        if not allowed:
            raise DomainError("too_many_requests", retry_after=reset)


class BoundedMemory(MemoryStorage):
    """Counters in memory, at most ``MAX_COUNTERS``. Beyond that, the oldest ones are deleted.

    The library's own storage searches all counters for expired ones at every hit, so the more addresses an attacker
    has, the more each request would cost.
    """

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a counter and return its value. It never suspends, so no other request can run in between."""
        now = clock.now().timestamp()
        if key not in self.expirations:
            # Counters are in order of creation, which is nearly the order in which they expire.
            while self.expirations:
                oldest, expires_at = next(iter(self.expirations.items()))
                if expires_at > now and len(self.expirations) < MAX_COUNTERS:
                    break
                await self.clear(oldest)
            self.expirations[key] = now + expiry
        self.storage[key] += amount
        return self.storage[key]


def _rate(text: str) -> RateLimitItem | None:
    return None if text == OFF else parse(text)
