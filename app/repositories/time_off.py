"""Time off of doctors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select, tuple_

from app.db.database import Transaction
from app.models import TimeOff
from app.scheduling.availability import TimeOff as Rule


@dataclass(frozen=True, slots=True)
class TimeOffRecord:
    """A period of time off of a doctor."""

    id: UUID
    rule: Rule
    reason: str | None


async def insert_time_off(transaction: Transaction, doctor_id: UUID, time_off: TimeOffRecord, now: datetime) -> None:
    """Insert time off of a doctor. Must be called after ``begin_rule_change``."""
    rule = time_off.rule
    await transaction.execute(
        insert(TimeOff).values(
            id=time_off.id,
            doctor_id=doctor_id,
            starts=rule.starts.replace(fold=0),
            starts_fold=rule.starts.fold,
            ends=rule.ends.replace(fold=0),
            ends_fold=rule.ends.fold,
            reason=time_off.reason,
            created_at=now,
        )
    )


async def delete_time_off(transaction: Transaction, doctor_id: UUID, time_off_id: UUID) -> bool:
    """Delete time off of a doctor; return whether it existed. Must be called after ``begin_rule_change``."""
    removed = await transaction.scalar(
        delete(TimeOff).where(TimeOff.id == time_off_id, TimeOff.doctor_id == doctor_id).returning(TimeOff.id)
    )
    return removed is not None


async def count_time_off(transaction: Transaction, doctor_id: UUID, since: datetime) -> int:
    """Return how many periods of time off of a doctor have not ended at ``since``."""
    counted = select(func.count()).where(TimeOff.doctor_id == doctor_id, TimeOff.ends > since.replace(tzinfo=None))
    return await transaction.scalar(counted) or 0


type PageKey = tuple[datetime, UUID]


def page_key(time_off: TimeOffRecord) -> PageKey:
    """Return the cursor after a period of time off."""
    return time_off.rule.starts.replace(fold=0), time_off.id


async def page_time_off(
    transaction: Transaction, doctor_id: UUID, *, after: PageKey | None, limit: int, since: datetime | None = None
) -> Sequence[TimeOffRecord]:
    """Return a page of a doctor's time off by start; with ``since``, only what has not ended at that wall time."""
    found = select(
        TimeOff.id, TimeOff.starts, TimeOff.starts_fold, TimeOff.ends, TimeOff.ends_fold, TimeOff.reason
    ).where(TimeOff.doctor_id == doctor_id)
    if since is not None:
        found = found.where(TimeOff.ends > since)
    if after is not None:
        found = found.where(tuple_(TimeOff.starts, TimeOff.id) > after)
    rows = await transaction.execute(found.order_by(TimeOff.starts, TimeOff.id).limit(limit))
    return [
        TimeOffRecord(
            row.id, Rule(row.starts.replace(fold=row.starts_fold), row.ends.replace(fold=row.ends_fold)), row.reason
        )
        for row in rows
    ]
