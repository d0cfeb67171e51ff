"""Counters of messages within an hour, by address and kind."""

from datetime import datetime, timedelta

from sqlalchemy import case, delete, or_, select

from app.db.database import Transaction
from app.db.guards import upsert
from app.db.lifetimes import is_over
from app.models import MailCount

HOUR = timedelta(hours=1)


async def count_mail(transaction: Transaction, key_hash: str, *, limit: int, now: datetime) -> bool:
    """Count a message. If ``limit`` messages were counted within the hour, count nothing and return ``False``."""
    over = is_over(MailCount.hour_began_at, now, HOUR)
    counted = await upsert(
        transaction,
        MailCount,
        {"key_hash": key_hash, "count": 1, "hour_began_at": now},
        changes={
            "count": case((over, 1), else_=MailCount.count + 1),
            "hour_began_at": case((over, now), else_=MailCount.hour_began_at),
        },
        # In the statement that counts, so that concurrent requests cannot exceed the limit.
        only_if=or_(over, MailCount.count < limit),
        returning=MailCount.count,
    )
    return counted is not None


async def get_hour_end(transaction: Transaction, key_hash: str) -> datetime | None:
    """Return when the current hour of counting ends; ``None`` if nothing was counted."""
    began_at = await transaction.scalar(select(MailCount.hour_began_at).where(MailCount.key_hash == key_hash))
    return began_at and began_at + HOUR


async def delete_old_mail_counts(transaction: Transaction, now: datetime) -> None:
    """Delete the counters of hours that have ended. Skips those that are locked."""
    found = select(MailCount.key_hash).where(is_over(MailCount.hour_began_at, now, HOUR))
    over = found.with_for_update(skip_locked=True)
    await transaction.execute(delete(MailCount).where(MailCount.key_hash.in_(over)))
