"""When doctors are open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Availability
from app.scheduling.availability import Availability as Rule
from app.scheduling.decisions import LONGEST_AVAILABILITY
from app.scheduling.intervals import Interval, from_instant

# No wall clock on earth is further from UTC than this.
_CLOCKS_APART = timedelta(days=1)

RULE_COLUMNS = (Availability.starts, Availability.starts_fold, Availability.ends, Availability.ends_fold)


@dataclass(frozen=True, slots=True)
class AvailabilityRecord:
    """One availability of a doctor."""

    id: UUID
    rule: Rule


def to_rule(columns: Sequence[Any]) -> Rule:
    """The rule in a row of ``RULE_COLUMNS``."""
    starts, starts_fold, ends, ends_fold = columns
    return Rule(starts.replace(fold=starts_fold), ends.replace(fold=ends_fold))


def near(span: Interval) -> ColumnElement[bool]:
    """Whether an availability may touch ``span``: never too narrow, for wall times are compared with instants."""
    first, last = (from_instant(instant).replace(tzinfo=None) for instant in span)
    longest = timedelta(microseconds=LONGEST_AVAILABILITY)
    return and_(
        Availability.starts > first - longest - 2 * _CLOCKS_APART,
        Availability.starts < last + _CLOCKS_APART,
        Availability.ends > first - _CLOCKS_APART,
    )


async def insert_availability(
    session: AsyncSession, doctor_id: UUID, availability: AvailabilityRecord, now: datetime
) -> None:
    """Adds a rule to a doctor's; to be called inside ``begin_rule_change``."""
    rule = availability.rule
    await session.execute(
        insert(Availability).values(
            id=availability.id,
            doctor_id=doctor_id,
            starts=rule.starts.replace(fold=0),
            starts_fold=rule.starts.fold,
            ends=rule.ends.replace(fold=0),
            ends_fold=rule.ends.fold,
            created_at=now,
        )
    )


async def delete_availability(session: AsyncSession, doctor_id: UUID, availability_id: UUID) -> bool:
    """Removes a rule of this doctor; says whether there was one. To be called inside ``begin_rule_change``."""
    removed = await session.scalar(
        delete(Availability)
        .where(Availability.id == availability_id, Availability.doctor_id == doctor_id)
        .returning(Availability.id)
    )
    return removed is not None


type PageKey = tuple[datetime, UUID]


def page_key(availability: AvailabilityRecord) -> PageKey:
    """Where an availability stands in the list."""
    return availability.rule.starts.replace(fold=0), availability.id


async def page_availabilities(
    session: AsyncSession, doctor_id: UUID, *, after: PageKey | None, limit: int
) -> Sequence[AvailabilityRecord]:
    """A doctor's availabilities, by their start on her clock."""
    found = select(Availability.id, *RULE_COLUMNS).where(Availability.doctor_id == doctor_id)
    if after is not None:
        found = found.where(tuple_(Availability.starts, Availability.id) > after)
    rows = await session.execute(found.order_by(Availability.starts, Availability.id).limit(limit))
    return [AvailabilityRecord(row.id, to_rule(row[1:])) for row in rows]
