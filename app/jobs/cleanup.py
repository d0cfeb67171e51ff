"""Deletes expired sessions, login attempts, stored responses, message counts, invitations and changes of addresses."""

from app.core.clock import Clock
from app.db.database import Database
from app.repositories.email_changes import delete_expired_email_changes
from app.repositories.idempotency import delete_expired_keys
from app.repositories.invitations import delete_expired_invitations
from app.repositories.mail_counts import delete_old_mail_counts
from app.services.sessions import delete_expired

INTERVAL_SECONDS = 600.0


async def clean_up(database: Database, clock: Clock) -> None:
    """Delete everything that has expired, in one transaction."""
    async with database.write() as transaction:
        now = clock()
        await delete_expired(transaction, now)
        await delete_expired_keys(transaction, now)
        await delete_old_mail_counts(transaction, now)
        await delete_expired_invitations(transaction, now)
        await delete_expired_email_changes(transaction, now)
