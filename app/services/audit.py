"""The audit trail: record events, seal them in a hash chain, and verify the chain (docs/audit.md)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from app.core.audit_actions import AuditAction
from app.core.clients import Client
from app.core.hash_chain import GENESIS_HASH, Head, extend, sign_archive
from app.core.permissions import Role
from app.db.database import Database, Transaction
from app.db.locks import lock_ids
from app.repositories import audit, audit_archives
from app.repositories.audit import AuditRecord
from app.repositories.audit_archives import ArchiveRecord

OK = "ok"
REPEAT_INTERVAL = timedelta(minutes=10)
"""If the same actor reads the same again within this time, it is not recorded again (ADR 0027)."""
BATCH = 1000

_CHAIN = UUID("019abcde-0000-7000-8000-0000000a0d17")
"""The lock that is needed to extend the chain."""


@dataclass(frozen=True, slots=True)
class Event:
    """An action that was done or refused. It concerns at most one patient."""

    action: AuditAction
    outcome: str = OK
    """``ok``, or the code of the error."""
    actor_id: UUID | None = None
    actor_role: Role | None = None
    patient_id: UUID | None = None
    """The patient whose data the action concerned."""
    object_id: UUID | None = None
    """The appointment, hold or account that it concerned."""
    client: Client | None = None
    """``None`` for actions on the command line."""
    reason: str | None = None
    """The reason that the actor gave."""


async def record(transaction: Transaction, *events: Event, now: datetime) -> None:
    """Add events to the trail. They become part of it when the transaction is committed."""
    # Not sealed yet: a hash over the previous event would make requests wait for each other (ADR 0018).
    await audit.insert_events(transaction, [_new_record(event, now) for event in events])


async def record_unless_repeated(transaction: Transaction, *events: Event, now: datetime) -> None:
    """Add reads and refusals to the trail, except those that repeat one of the same actor within ``REPEAT_INTERVAL``.

    An event repeats another if action, outcome, patient, object and reason are the same. Events that change data must
    always be recorded, with ``record``.
    """
    await audit.insert_unless_repeated(
        transaction, [_new_record(event, now) for event in events], interval=REPEAT_INTERVAL
    )


def _new_record(event: Event, now: datetime) -> AuditRecord:
    return AuditRecord(
        id=uuid7(),
        occurred_at=now,
        actor_id=event.actor_id,
        actor_role=event.actor_role,
        action=event.action,
        outcome=event.outcome,
        patient_id=event.patient_id,
        object_id=event.object_id,
        address=event.client.address if event.client else None,
        request_id=event.client.request_id if event.client else None,
        reason=event.reason,
    )


async def lock_chain(transaction: Transaction) -> None:
    """Lock the chain, to extend or archive it, until the transaction ends."""
    await lock_ids(transaction, _CHAIN)


async def find_ends(transaction: Transaction, key: bytes, remembered: Head | None) -> tuple[Head, Head]:
    """Return the end of the archived part and the end of the chain.

    Raises ``BrokenChainError`` if a ``remembered`` head is no longer in the chain.
    """
    archived = follow_archives(key, await audit_archives.list_archives(transaction))
    # A chain without a head that this process has seen was manipulated, and is not sealed further (docs/audit.md).
    if remembered and remembered.position > archived.position:
        found = await audit.find_hash(transaction, remembered.position)
        if found != remembered.hash:
            raise BrokenChainError(f"the chain has lost position {remembered.position}, which this process has sealed")
    return archived, await audit.find_head(transaction, archived=archived)


class BrokenChainError(Exception):
    """The trail differs from what was sealed. The message says where."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """The number of events that were sealed, and the new end of the chain."""

    count: int
    head: Head


async def seal(transaction: Transaction, key: bytes, *, remembered: Head | None = None) -> Sealed:
    """Extend the chain by at most ``BATCH`` events that are committed and not sealed yet.

    Events are sealed in the order in which they are found: an event that is committed late comes later in the chain
    than its time suggests. Concurrent calls wait for each other. Raises ``BrokenChainError`` if a ``remembered`` head
    is not in the chain.
    """
    await lock_chain(transaction)
    _, head = await find_ends(transaction, key, remembered)
    events = await audit.list_unsealed(transaction, BATCH)
    seals = []
    for event in events:
        head = extend(key, head, event.facts())
        seals.append((event.id, head))
    if seals:
        await audit.write_seals(transaction, seals)
    return Sealed(len(seals), head)


class ArchivedHeadError(Exception):
    """The head to be checked lies in an archived part of the chain, so only the archive file can confirm it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """An unbroken chain: the numbers of events that are archived, sealed and not sealed yet, and its end."""

    archived: int
    sealed: int
    unsealed: int
    head: Head


async def verify(
    database: Database, key: bytes, *, written_down: Head | None = None, progress: Callable[[int], None]
) -> Verified:
    """Verify the chain, batch by batch, and call ``progress`` with the position after each batch.

    Raises ``BrokenChainError`` if a sealed event was changed, removed, inserted or moved. A chain whose end was cut off
    can only be recognised with a head that was ``written_down`` elsewhere; raises ``ArchivedHeadError`` if that head is
    archived. Each batch is a transaction of its own, so a long verification does not block other transactions.
    """
    async with database.read() as transaction:
        head = archived = follow_archives(key, await audit_archives.list_archives(transaction))
    if written_down and written_down.position < archived.position:
        raise ArchivedHeadError(
            f"position {written_down.position} is archived: check it with --archive FILE --head {written_down}"
        )
    if written_down and written_down.position == archived.position and written_down != archived:
        raise BrokenChainError(f"position {archived.position} does not have the hash that was written down")
    while True:
        async with database.read() as transaction:
            batch = await audit.list_sealed(transaction, after=head.position or None, limit=BATCH)
            if not batch:
                unsealed = await audit.count_unsealed(transaction)
                break
        for event in batch:
            head = follow(key, head, event)
            if written_down and head.position == written_down.position and head != written_down:
                raise BrokenChainError(
                    f"position {head.position} does not have the hash that was written down: the chain was cut off "
                    "before it and then continued"
                )
        progress(head.position)
    if written_down and head.position < written_down.position:
        raise BrokenChainError(
            f"the chain ends at position {head.position}, and once reached {written_down.position}: its end was cut off"
        )
    return Verified(archived.position, head.position - archived.position, unsealed, head)


def follow_archives(key: bytes, archives: Sequence[ArchiveRecord]) -> Head:
    """Return the head with which the last archive ends.

    Raises ``BrokenChainError`` if an archive is missing or has a wrong signature.
    """
    head = GENESIS_HASH
    for archive in archives:
        if archive.signature != sign_archive(key, archive.facts()) or archive.first_position != head.position + 1:
            raise BrokenChainError(
                f"the archive that ends at position {archive.last_position} does not follow the one before it, or was "
                "not made with this key"
            )
        head = archive.head
    return head


def follow(key: bytes, head: Head, event: AuditRecord) -> Head:
    """Return the head after the next event of the chain. Raises ``BrokenChainError`` if ``event`` is not the next."""
    expected = extend(key, head, event.facts())
    if event.seal and event.seal.position > expected.position:
        raise BrokenChainError(f"position {expected.position} is missing: an event was removed from the trail")
    if event.seal != expected:
        raise BrokenChainError(
            f"position {event.position}, event {event.id}, is not what was sealed there: it was changed, moved or put "
            "there, or the key is not the one that sealed it"
        )
    return expected
