"""Raise the lower bounds of the search index that are outdated, so that searches do not have to (docs/search.md).

A bound is outdated when its visit has started or can no longer be booked in time, or when the doctor's rules have
changed. Bounds that were found by a clock that was far ahead are discarded first.
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
CLIENT = "next slot index"
"""The name under which this job shares the processor with the computations of clients."""
MAX_BATCHES = 100


async def update_next_slots(database: Database, processor: ClientFairLock, clock: Clock) -> None:
    """Raise outdated lower bounds, batch by batch. If there are very many, the rest is left to the next run."""
    # First, because a bound that was found by a clock that is ahead may hide slots until then (ADR 0022).
    for _ in range(MAX_BATCHES):
        if not await discard_bounds_from_future(database, clock(), limit=BATCH):
            break
    for _ in range(MAX_BATCHES):
        now = clock()
        async with database.read() as transaction:
            outdated = await list_outdated(transaction, now, limit=BATCH)
            computation = Computation(processor, CLIENT, writers=database.writers)
            updates = await find_bounds(transaction, computation, outdated, now)
        # If nothing was saved, the next batch would contain the same offers.
        if not updates or not await save_bound_updates(database, updates) or len(outdated) < BATCH:
            break
