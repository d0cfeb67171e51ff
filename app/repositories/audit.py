"""Write, seal and read the audit trail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, exists, func, insert, null, select, tuple_, update

from app.core.hash_chain import GENESIS_HASH, Head
from app.core.permissions import Role
from app.db.base import table_of
from app.db.database import Transaction
from app.db.prepared import Prepared
from app.db.records import read_record
from app.models import AuditEvent
from app.models.audit import UNSEALED

# Statements on the table instead of the model: the ORM would process each of many rows.
_TABLE = table_of(AuditEvent)
_FACTS = [column.name for column in _TABLE.columns if column.name not in {"position", "hash"}]
_INSERT = Prepared(_TABLE.insert())


def _insert_unless_repeated(*, has_patient: bool) -> Prepared:
    """Return an INSERT that does nothing if the actor has an equal event between ``since`` and ``until``."""
    c = _TABLE.c
    new = {name: bindparam(name, type_=c[name].type) for name in _FACTS}
    equal = [c[name].is_not_distinct_from(new[name]) for name in ("action", "outcome", "object_id", "reason")]
    if has_patient:
        # The expression keeps the planner from using the index on actors. The index on patients is better: a doctor has
        # many more recent events than a patient.
        equal += [c.patient_id == new["patient_id"], func.coalesce(c.actor_id, c.id) == new["actor_id"]]
    else:
        equal += [c.patient_id.is_(null()), c.actor_id == new["actor_id"]]
    recent = c.occurred_at.between(
        bindparam("since", type_=c.occurred_at.type), bindparam("until", type_=c.occurred_at.type)
    )
    row = select(*(new[name].label(name) for name in _FACTS)).where(~exists().where(*equal, recent))
    return Prepared(insert(_TABLE).from_select(_FACTS, row, include_defaults=False))


_INSERT_UNLESS_REPEATED = {
    has_patient: _insert_unless_repeated(has_patient=has_patient) for has_patient in (True, False)
}
_SEAL = Prepared(update(_TABLE).where(_TABLE.c.id == bindparam("event")))
_RECORD = select(*(_TABLE.c[name] for name in (*_FACTS, "position", "hash")))


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An event: an action that was done or refused, concerning at most one patient."""

    id: UUID
    occurred_at: datetime
    actor_id: UUID | None
    actor_role: Role | None
    action: str
    outcome: str
    patient_id: UUID | None
    object_id: UUID | None
    address: str | None
    request_id: str | None
    reason: str | None
    seal: Head | None = None
    """Its position and hash in the chain; ``None`` until it is sealed, shortly after it was committed."""

    @property
    def position(self) -> int | None:
        """The position in the chain; ``None`` if it is not sealed."""
        return self.seal.position if self.seal else None

    def facts(self) -> dict[str, str | None]:
        """Return everything except the seal as text, in the form from which the hash is computed."""
        values = {name: getattr(self, name) for name in _FACTS}
        # In a fixed form: the hash must not depend on how a database returns the time.
        values["occurred_at"] = self.occurred_at.astimezone(UTC).isoformat(timespec="microseconds")
        return {name: None if value is None else str(value) for name, value in values.items()}


def _record(row: Any) -> AuditRecord:
    return read_record(AuditRecord, row, seal=None if row.position is None else Head(row.position, row.hash))


async def insert_events(transaction: Transaction, events: Sequence[AuditRecord]) -> None:
    """Insert events with one statement."""
    await transaction.send(_INSERT, [_facts(event) for event in events])


async def insert_unless_repeated(
    transaction: Transaction, events: Sequence[AuditRecord], *, interval: timedelta
) -> None:
    """Insert each event unless its actor has one with the same action, outcome, patient, object and reason.

    Only events within ``interval`` before or after the new one count, so that events from a clock that was ahead do not
    suppress later ones. Uses one statement if all events have a patient or none has, otherwise two.
    """
    for has_patient, statement in _INSERT_UNLESS_REPEATED.items():
        rows = [
            _facts(event) | {"since": event.occurred_at - interval, "until": event.occurred_at + interval}
            for event in events
            if (event.patient_id is not None) is has_patient
        ]
        if rows:
            await transaction.send(statement, rows)


def _facts(event: AuditRecord) -> dict[str, Any]:
    return {name: getattr(event, name) for name in _FACTS}


async def count_unsealed(transaction: Transaction) -> int:
    """Return how many events are not sealed yet."""
    return await transaction.scalar(select(func.count()).select_from(_TABLE).where(UNSEALED)) or 0


async def find_head(transaction: Transaction, *, archived: Head = GENESIS_HASH) -> Head:
    """Return the end of the chain; ``archived`` if no event follows it."""
    sealed = select(_TABLE.c.position, _TABLE.c.hash).where(_TABLE.c.position > archived.position)
    row = (await transaction.execute(sealed.order_by(_TABLE.c.position.desc()).limit(1))).one_or_none()
    return read_record(Head, row) if row else archived


async def find_hash(transaction: Transaction, position: int) -> str | None:
    """Return the hash at a position of the chain; ``None`` if there is no event with this position."""
    digest: str | None = await transaction.scalar(select(_TABLE.c.hash).where(_TABLE.c.position == position))
    return digest


async def list_unsealed(transaction: Transaction, limit: int) -> Sequence[AuditRecord]:
    """Return committed events that are not sealed yet, by their ids, so roughly the oldest first."""
    found = _RECORD.where(UNSEALED).order_by(_TABLE.c.id).limit(limit)
    return [_record(row) for row in await transaction.execute(found)]


async def write_seals(transaction: Transaction, seals: Sequence[tuple[UUID, Head]]) -> None:
    """Store the positions and hashes of events."""
    await transaction.send(
        _SEAL, [{"event": event, "position": head.position, "hash": head.hash} for event, head in seals]
    )


async def list_sealed(transaction: Transaction, *, after: int | None, limit: int) -> Sequence[AuditRecord]:
    """Return sealed events in the order of the chain, starting after a position or with the first one."""
    position = _TABLE.c.position
    found = _RECORD.where(position.is_not(None) if after is None else position > after)
    return [_record(row) for row in await transaction.execute(found.order_by(position).limit(limit))]


async def find_first_position(transaction: Transaction, since: datetime) -> int | None:
    """Return the lowest position of a sealed event that occurred at ``since`` or later; ``None`` if there is none."""
    position = _TABLE.c.position
    recent = select(func.min(position)).where(_TABLE.c.occurred_at >= since, position.is_not(None))
    found: int | None = await transaction.scalar(recent)
    return found


def page_key(event: AuditRecord) -> tuple[datetime, UUID]:
    """Return the cursor after an event in ``page_events``."""
    return event.occurred_at, event.id


async def page_events(
    transaction: Transaction,
    *,
    patient_id: UUID | None,
    actor_id: UUID | None,
    action: str | None,
    since: datetime | None,
    until: datetime | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[AuditRecord]:
    """Return a page of the events in ``[since, until)`` that match all filters given, the newest first."""
    c = _TABLE.c
    found = _RECORD
    for column, wanted in ((c.patient_id, patient_id), (c.actor_id, actor_id), (c.action, action)):
        if wanted is not None:
            found = found.where(column == wanted)
    if since is not None:
        found = found.where(c.occurred_at >= since)
    if until is not None:
        found = found.where(c.occurred_at < until)
    if after is not None:
        found = found.where(tuple_(c.occurred_at, c.id) < after)
    rows = await transaction.execute(found.order_by(c.occurred_at.desc(), c.id.desc()).limit(limit))
    return [_record(row) for row in rows]
