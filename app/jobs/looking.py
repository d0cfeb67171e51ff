"""Looks where the next visits are of those doctors of whom nobody knows any more, so that a search need not.

A bound says what it did until its visit has begun or cannot be booked in time any more, or the doctor's rules change.
One that was found while the clock was far ahead is discarded first.
"""

from app.core.clock import Clock
from app.core.computing import Computation
from app.core.turns import Turns
from app.db.session import Sessions
from app.repositories.offers import list_outdated
from app.services.candidates import find_bounds
from app.services.search import discard_findings_from_future, keep_findings

SECONDS = 5.0
BATCH = 64
CLIENT = "looking"
"""The name under which this job takes turns in computing."""
MOST_BATCHES = 100


async def look_once(sessions: Sessions, processor: Turns, clock: Clock) -> None:
    """Looks at all of them, batch by batch; of very many the rest is left to the next time."""
    for _ in range(MOST_BATCHES):
        if not await discard_findings_from_future(sessions, clock(), limit=BATCH):
            break
    for _ in range(MOST_BATCHES):
        now = clock()
        async with sessions.read() as session:
            outdated = await list_outdated(session, now, limit=BATCH)
            computation = Computation(processor, CLIENT, writers=sessions.writers)
            findings = await find_bounds(session, computation, outdated, now)
        # Where nothing can be kept, the same ones would come again and again.
        if not findings or not await keep_findings(sessions, findings) or len(outdated) < BATCH:
            break
