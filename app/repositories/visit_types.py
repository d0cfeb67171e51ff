"""The visit types that doctors offer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute

from app.core.errors import DomainError
from app.core.text import look_alike_key
from app.db.database import Transaction
from app.db.records import read_record
from app.models import VisitType
from app.repositories.search_bounds import rewrite_offers
from app.scheduling.visits import VisitMode

COLUMNS: tuple[InstrumentedAttribute[Any], ...] = (
    VisitType.id,
    VisitType.name,
    VisitType.duration_minutes,
    VisitType.mode,
    VisitType.buffer_before_minutes,
    VisitType.buffer_after_minutes,
    VisitType.slot_step_minutes,
    VisitType.min_notice_minutes,
    VisitType.max_advance_days,
    VisitType.daily_limit,
)


@dataclass(frozen=True, slots=True)
class VisitTypeRecord:
    """A visit type. ``None`` in a limit means no limit; in ``slot_step_minutes``, visits without a gap."""

    id: UUID
    name: str
    duration_minutes: int
    mode: VisitMode = VisitMode.IN_PERSON
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    slot_step_minutes: int | None = None
    min_notice_minutes: int = 0
    max_advance_days: int | None = None
    daily_limit: int | None = None


async def insert_visit_type(
    transaction: Transaction, doctor_id: UUID, visit_type_id: UUID, fields: Mapping[str, Any], now: datetime
) -> VisitTypeRecord:
    """Insert a visit type of a doctor. Must be called after ``begin_rule_change``."""
    record = VisitTypeRecord(visit_type_id, **fields)
    values = {column.key: getattr(record, column.key) for column in COLUMNS}
    values["name_key"] = look_alike_key(record.name)
    await transaction.execute(insert(VisitType).values(values | {"doctor_id": doctor_id, "created_at": now}))
    await rewrite_offers(transaction, doctor_id)
    return record


async def update_visit_type(
    transaction: Transaction, doctor_id: UUID, visit_type_id: UUID, changes: Mapping[str, Any]
) -> VisitTypeRecord:
    """Change a visit type of a doctor. Must be called after ``begin_rule_change``. Raises ``not_found``."""
    # An UPDATE must set something. Without changes, set a column to the value that it has.
    values = dict(changes) or {"doctor_id": doctor_id}
    if "name" in changes:
        name = changes["name"]
        # The same name keeps its key: visit types from before names had to be unique may have none, and may look alike.
        values["name_key"] = case((VisitType.name == name, VisitType.name_key), else_=look_alike_key(name))
    row = (
        await transaction.execute(
            update(VisitType)
            .where(VisitType.id == visit_type_id, VisitType.doctor_id == doctor_id, VisitType.withdrawn_at.is_(None))
            .values(values)
            .returning(*COLUMNS)
        )
    ).one_or_none()
    if row is None:
        raise DomainError("not_found")
    await rewrite_offers(transaction, doctor_id)
    return read_record(VisitTypeRecord, row)


async def get_visit_type(transaction: Transaction, doctor_id: UUID, visit_type_id: UUID) -> VisitTypeRecord:
    """Return a visit type that a doctor offers. Raises ``not_found``."""
    found = await find_visit_type(transaction, doctor_id, visit_type_id)
    if found is None:
        raise DomainError("not_found")
    return found


async def find_visit_type(transaction: Transaction, doctor_id: UUID, visit_type_id: UUID) -> VisitTypeRecord | None:
    """Return a visit type that a doctor offers, or ``None``."""
    found = select(*COLUMNS).where(
        VisitType.id == visit_type_id, VisitType.doctor_id == doctor_id, VisitType.withdrawn_at.is_(None)
    )
    row = (await transaction.execute(found)).one_or_none()
    return read_record(VisitTypeRecord, row) if row else None


async def is_name_taken(transaction: Transaction, doctor_id: UUID, name: str, *, changing: UUID | None = None) -> bool:
    """Return whether another visit type that the doctor offers has a name that looks the same.

    ``changing`` is the visit type to be changed: keeping its own name is always allowed.
    """
    # Compared in Python, because visit types from before names had to be unique may have no key.
    offered = select(VisitType.id, VisitType.name).where(
        VisitType.doctor_id == doctor_id, VisitType.withdrawn_at.is_(None)
    )
    names = {row.id: row.name for row in await transaction.execute(offered)}
    if changing and names.pop(changing, None) == name:
        return False
    key = look_alike_key(name)
    return any(look_alike_key(other) == key for other in names.values())


async def count_visit_types(transaction: Transaction, doctor_id: UUID) -> int:
    """Return how many visit types a doctor offers."""
    offered = select(func.count()).where(VisitType.doctor_id == doctor_id, VisitType.withdrawn_at.is_(None))
    return await transaction.scalar(offered) or 0


async def page_visit_types(
    transaction: Transaction, doctor_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[VisitTypeRecord]:
    """Return a page of the visit types that a doctor offers, in the order in which they were added."""
    found = select(*COLUMNS).where(VisitType.doctor_id == doctor_id, VisitType.withdrawn_at.is_(None))
    if after is not None:
        found = found.where(VisitType.id > after)
    return [
        read_record(VisitTypeRecord, row)
        for row in await transaction.execute(found.order_by(VisitType.id).limit(limit))
    ]
