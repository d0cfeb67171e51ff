"""Updates stored data after a start with a newer release of the time-zone data (ADR 0028)."""

from app.core.clock import Clock
from app.db.database import Database
from app.services.time_zones import apply_release

# Repeated, because the database may be busy at the start. Once the release is applied, a run changes nothing.
INTERVAL_SECONDS = 60.0


async def finish_release(database: Database, clock: Clock) -> None:
    """Apply the release in use, if it has not been applied completely yet."""
    await apply_release(database, clock())
