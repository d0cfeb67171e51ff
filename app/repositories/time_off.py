"""When doctors are away."""

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
    """One stretch of a doctor's being away."""

    id: UUID
    rule: Rule
    reason: str | None


async def insert_time_off(transaction: Transaction, doctor_id: UUID, time_off: TimeOffRecord, now: datetime) -> None:
    """Adds to a doctor's time off; to be called inside ``begin_rule_change``."""
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
    """Removes time off of this doctor; says whether there was any. To be called inside ``begin_rule_change``."""
    removed = await transaction.scalar(
        delete(TimeOff).where(TimeOff.id == time_off_id, TimeOff.doctor_id == doctor_id).returning(TimeOff.id)
    )
    return removed is not None


async def count_time_off(transaction: Transaction, doctor_id: UUID, since: datetime) -> int:
    """How much of this doctor's time off, in pieces, is not over at ``since``."""
    counted = select(func.count()).where(TimeOff.doctor_id == doctor_id, TimeOff.ends > since.replace(tzinfo=None))
    return await transaction.scalar(counted) or 0


type PageKey = tuple[datetime, UUID]


def page_key(time_off: TimeOffRecord) -> PageKey:
    """Where time off stands in the list."""
    return time_off.rule.starts.replace(fold=0), time_off.id


async def page_time_off(
    transaction: Transaction, doctor_id: UUID, *, after: PageKey | None, limit: int, since: datetime | None = None
) -> Sequence[TimeOffRecord]:
    """A doctor's time off, by its start on her clock; with ``since``, what is not over at that wall time."""
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
