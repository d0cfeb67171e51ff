"""Brings what is stored in step with the time-zone data, after a start with a newer release."""

from app.core.clock import Clock
from app.db.session import Sessions
from app.services.time_zones import apply_release

SECONDS = 60.0


async def apply_once(sessions: Sessions, clock: Clock) -> None:
    """Does what is left to do; nearly always that is nothing."""
    await apply_release(sessions, clock())
