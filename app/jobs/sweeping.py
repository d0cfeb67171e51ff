"""Sweeps away sessions that have ended and attempts that are forgotten."""

from app.core.clock import Clock
from app.db.session import Sessions
from app.services.sessions import sweep

SECONDS = 600.0


async def sweep_once(sessions: Sessions, clock: Clock) -> None:
    """Sweeps once."""
    async with sessions.write() as session:
        await sweep(session, clock())
