"""Availabilities of doctors: single, recurring, and those that store weekly hours."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, func, insert, select, tuple_
from uuid_utils.compat import uuid7

from app.db.database import Transaction
from app.models import Availability
from app.scheduling.availability import Availability as Rule

RULE_COLUMNS = (
    Availability.starts,
    Availability.starts_fold,
    Availability.ends,
    Availability.ends_fold,
    Availability.recurrence,
    Availability.last_ends,
)
_RECORD = select(Availability.id, Availability.weekly_hours, Availability.plan_begins, *RULE_COLUMNS)


@dataclass(frozen=True, slots=True)
class AvailabilityRecord:
    """An availability of a doctor."""

    id: UUID
    rule: Rule
    weekly_hours: bool = False
    """Whether it is part of the weekly hours."""


def to_rule(row: Any) -> Rule:
    """Return the rule in a row with ``RULE_COLUMNS``."""
    starts, ends = row.starts.replace(fold=row.starts_fold), row.ends.replace(fold=row.ends_fold)
    return Rule(starts, ends, row.recurrence, row.last_ends)


async def insert_availabilities(
    transaction: Transaction, doctor_id: UUID, rules: Sequence[Rule], now: datetime, *, weekly_hours: bool = False
) -> Sequence[AvailabilityRecord]:
    """Insert availabilities of a doctor. Must be called after ``begin_rule_change``."""
    records = [AvailabilityRecord(uuid7(), rule, weekly_hours) for rule in rules]
    if records:
        await transaction.execute(
            insert(Availability),
            [
                {
                    "id": record.id,
                    "doctor_id": doctor_id,
                    # Databases store no fold (PEP 495), so it has a column of its own.
                    "starts": record.rule.starts.replace(fold=0),
                    "starts_fold": record.rule.starts.fold,
                    "ends": record.rule.ends.replace(fold=0),
                    "ends_fold": record.rule.ends.fold,
                    "recurrence": record.rule.recurrence,
                    "last_ends": record.rule.last_ends if record.rule.recurrence else record.rule.ends.replace(fold=0),
                    "weekly_hours": record.weekly_hours,
                    "plan_begins": record.rule.plan_begins,
                    "created_at": now,
                }
                for record in records
            ],
        )
    return records


async def delete_availability(transaction: Transaction, doctor_id: UUID, availability_id: UUID) -> bool:
    """Delete an availability of a doctor; return whether it existed. Must be called after ``begin_rule_change``."""
    removed = await transaction.scalar(
        delete(Availability)
        .where(Availability.id == availability_id, Availability.doctor_id == doctor_id)
        .returning(Availability.id)
    )
    return removed is not None


async def count_availabilities(transaction: Transaction, doctor_id: UUID, since: datetime) -> tuple[int, int]:
    """Return how many availabilities of a doctor may have a window after ``since``, and how many of those recur."""
    # Without the doctor's offset: for a limit, some hours more or less do not matter.
    counted = select(func.count(), func.count(Availability.recurrence)).where(
        Availability.doctor_id == doctor_id, Availability.last_ends > since.replace(tzinfo=None)
    )
    rules, recurring = (await transaction.execute(counted)).one()
    return rules, recurring


async def list_weekly_hours(transaction: Transaction, doctor_id: UUID, since: datetime) -> Sequence[AvailabilityRecord]:
    """Return the availabilities of a doctor's weekly hours that have not ended at the wall time ``since``."""
    rows = await transaction.execute(
        _RECORD.where(Availability.doctor_id == doctor_id, Availability.weekly_hours, Availability.last_ends > since)
    )
    return [_record(row) for row in rows]


async def delete_availabilities(transaction: Transaction, ids: Sequence[UUID]) -> None:
    """Delete availabilities. Must be called after ``begin_rule_change``."""
    if ids:
        await transaction.execute(delete(Availability).where(Availability.id.in_(ids)))


type PageKey = tuple[datetime, UUID]


def page_key(availability: AvailabilityRecord) -> PageKey:
    """Return the cursor after an availability."""
    return availability.rule.starts.replace(fold=0), availability.id


async def page_availabilities(
    transaction: Transaction, doctor_id: UUID, *, after: PageKey | None, limit: int
) -> Sequence[AvailabilityRecord]:
    """Return a page of a doctor's availabilities, by the wall time of their first start."""
    return await _page(transaction, _RECORD.where(Availability.doctor_id == doctor_id), after, limit)


async def page_extra_windows(
    transaction: Transaction, doctor_id: UUID, since: datetime, *, after: PageKey | None, limit: int
) -> Sequence[AvailabilityRecord]:
    """Return a page of availabilities other than weekly hours that end after the wall time ``since``, by start."""
    extra = _RECORD.where(
        Availability.doctor_id == doctor_id, ~Availability.weekly_hours, Availability.last_ends > since
    )
    return await _page(transaction, extra, after, limit)


async def _page(
    transaction: Transaction, found: Select[*tuple[Any, ...]], after: PageKey | None, limit: int
) -> Sequence[AvailabilityRecord]:
    if after is not None:
        found = found.where(tuple_(Availability.starts, Availability.id) > after)
    rows = await transaction.execute(found.order_by(Availability.starts, Availability.id).limit(limit))
    return [_record(row) for row in rows]


def _record(row: Row[*tuple[Any, ...]]) -> AvailabilityRecord:
    rule = replace(to_rule(row), plan_begins=row.plan_begins)
    return AvailabilityRecord(row.id, rule, row.weekly_hours)
