"""Sweeps away sessions that have ended, and attempts, kept answers, counts of messages and invitations out of date."""

from app.core.clock import Clock
from app.db.session import Sessions
from app.repositories.idempotency import sweep_keys
from app.repositories.invitations import sweep_invitations
from app.repositories.mail_counts import sweep_mail_counts
from app.services.sessions import sweep

SECONDS = 600.0


async def sweep_once(sessions: Sessions, clock: Clock) -> None:
    """Sweeps once."""
    async with sessions.write() as session:
        now = clock()
        await sweep(session, now)
        await sweep_keys(session, now)
        await sweep_mail_counts(session, now)
        await sweep_invitations(session, now)
