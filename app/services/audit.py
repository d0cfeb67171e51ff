"""The audit trail: what is recorded, how it is sealed, and whether the seals hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

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
"""A look that the same person repeats within this time is not recorded again."""
BATCH = 1000

_CHAIN = UUID("019abcde-0000-7000-8000-0000000a0d17")
"""Who holds this may go on with the chain."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done or refused, with the data of at most one patient."""

    action: str
    """The name of the operation, like ``book_appointment``."""
    outcome: str = OK
    """``ok``, or the code of the error."""
    actor_id: UUID | None = None
    actor_role: Role | None = None
    patient_id: UUID | None = None
    """Whose data."""
    object_id: UUID | None = None
    """The appointment, the hold, the account."""
    client: Client | None = None
    """None for what is done on the command line."""
    reason: str | None = None
    """What the actor said to explain it."""


async def record(transaction: Transaction, *events: Event, now: datetime) -> None:
    """Adds events to the trail, which has them if and when the transaction is committed."""
    await audit.insert_events(transaction, [_new_record(event, now) for event in events])


async def record_unless_repeated(transaction: Transaction, *events: Event, now: datetime) -> None:
    """Adds looks and refusals to the trail, except those that repeat one of the same actor within ``REPEAT_INTERVAL``.

    An event repeats another if action, outcome, patient, object and reason are the same. What changes data is always
    recorded, by ``record``.
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
    """Waits for the right to add to the chain, or to archive it, until the transaction ends."""
    await lock_ids(transaction, _CHAIN)


async def find_ends(transaction: Transaction, key: bytes, remembered: Head | None) -> tuple[Head, Head]:
    """The end of the archived part and the end of the chain.

    ``BrokenChainError`` if a head that is ``remembered`` is not in the chain any more.
    """
    archived = follow_archives(key, await audit_archives.list_archives(transaction))
    if remembered and remembered.position > archived.position:
        found = await audit.find_hash(transaction, remembered.position)
        if found != remembered.hash:
            raise BrokenChainError(f"the chain has lost position {remembered.position}, which this process has sealed")
    return archived, await audit.find_head(transaction, archived=archived)


class BrokenChainError(Exception):
    """The trail is not what was sealed; says where."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """How many events were sealed at once, and where the chain ends then."""

    count: int
    head: Head


async def seal(transaction: Transaction, key: bytes, *, remembered: Head | None = None) -> Sealed:
    """Goes on with the chain over what is committed and not sealed yet, at most ``BATCH`` events.

    The order is that of the chain: what is committed late comes later in it, whenever it happened. Who seals at the
    same time waits, and finds the rest. ``BrokenChainError`` if a head that is ``remembered`` is not in the chain.
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
    """A head that was written down lies in an archived part of the chain, where only its file can tell."""


@dataclass(frozen=True, slots=True)
class Verified:
    """An unbroken chain: how many events are archived, sealed in the table and not sealed yet, and where it ends."""

    archived: int
    sealed: int
    unsealed: int
    head: Head


async def verify(
    database: Database, key: bytes, *, written_down: Head | None = None, progress: Callable[[int], None]
) -> Verified:
    """Walks along the chain, batch by batch, and tells ``progress`` after each how far it is.

    Raises ``BrokenChainError`` if a sealed event was changed, removed, inserted or moved; that the end was cut off can
    only be seen against a head that was ``written_down`` somewhere else; ``ArchivedHeadError`` if that is archived.
    Each batch is a transaction of its own, so a long walk blocks no other transaction.
    """
    async with database.read() as transaction:
        head = archived = follow_archives(key, await audit_archives.list_archives(transaction))
    if written_down and written_down.position < archived.position:
        raise ArchivedHeadError(
            f"position {written_down.position} is archived: check it with --archive FILE --head {written_down}"
        )
    if written_down and written_down.position == archived.position and written_down != archived:
        raise BrokenChainError(f"position {archived.position} has another hash than was written down")
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
                    f"position {head.position} has another hash than was written down: the chain was cut off before "
                    "it and has grown anew"
                )
        progress(head.position)
    if written_down and head.position < written_down.position:
        raise BrokenChainError(
            f"the chain ends at position {head.position}, and once reached {written_down.position}: its end was cut off"
        )
    return Verified(archived.position, head.position - archived.position, unsealed, head)


def follow_archives(key: bytes, archives: Sequence[ArchiveRecord]) -> Head:
    """Where the chain ends with the last archive; ``BrokenChainError`` if one is missing or has a wrong signature."""
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
    """The head after the next event of the chain; ``BrokenChainError`` if this is not the next event."""
    expected = extend(key, head, event.facts())
    if event.seal and event.seal.position > expected.position:
        raise BrokenChainError(f"position {expected.position} is missing: an event was removed from the trail")
    if event.seal != expected:
        raise BrokenChainError(
            f"position {event.position}, event {event.id}, is not what was sealed there: it was changed, moved or put "
            "there, or the key is not the one that sealed it"
        )
    return expected
