"""Looks where the next visits are of those doctors of whom nobody knows any more, so that a search need not.

A bound says what it did until its visit has begun or cannot be booked in time any more, or the doctor's rules change.
One that was found while the clock was far ahead is discarded first.
"""

from app.core.clock import Clock
from app.core.computing import Computation
from app.core.fair_locks import ClientFairLock
from app.db.database import Database
from app.repositories.search_offers import list_outdated
from app.services.search import discard_bounds_from_future, save_bound_updates
from app.services.slot_scanner import find_bounds

INTERVAL_SECONDS = 5.0
BATCH = 64
CLIENT = "looking"
"""The name under which this job takes turns in computing."""
MAX_BATCHES = 100


async def update_next_slots(database: Database, processor: ClientFairLock, clock: Clock) -> None:
    """Looks at all of them, batch by batch; of very many the rest is left to the next time."""
    for _ in range(MAX_BATCHES):
        if not await discard_bounds_from_future(database, clock(), limit=BATCH):
            break
    for _ in range(MAX_BATCHES):
        now = clock()
        async with database.read() as transaction:
            outdated = await list_outdated(transaction, now, limit=BATCH)
            computation = Computation(processor, CLIENT, writers=database.writers)
            findings = await find_bounds(transaction, computation, outdated, now)
        # Where nothing can be kept, the same ones would come again and again.
        if not findings or not await save_bound_updates(database, findings) or len(outdated) < BATCH:
            break
