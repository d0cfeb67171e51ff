"""Brings what is stored in step with the time-zone data, after a start with a newer release."""

from app.core.clock import Clock
from app.db.database import Database
from app.services.time_zones import apply_release

INTERVAL_SECONDS = 60.0


async def finish_release(database: Database, clock: Clock) -> None:
    """Does what is left to do; nearly always that is nothing."""
    await apply_release(database, clock())
