"""The hash chain of the audit trail reveals every change of a sealed event, even if it was made in the database."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update

from app.core.audit_actions import AuditAction
from app.core.clients import Client
from app.core.hash_chain import Head, chain_key, extend
from app.core.permissions import Role
from app.db.database import Database, Transaction
from app.models import AuditEvent
from app.repositories.audit import list_sealed
from app.services import audit
from app.services.audit import BrokenChainError, Event, Verified
from tests.databases import bypass_audit_guard

KEY = chain_key("a secret")
NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
ANN = UUID(int=1)


async def record(database: Database, count: int) -> None:
    for number in range(count):
        event = Event(
            list(AuditAction)[number % len(AuditAction)],
            "ok",
            ANN,
            Role.PATIENT,
            ANN,
            UUID(int=number),
            Client("::1", request_id="a"),
            "Because: „ä\n",
        )
        async with database.write() as transaction:
            await audit.record(transaction, event, now=NOW + timedelta(microseconds=number))


async def seal(database: Database, key: bytes = KEY) -> audit.Sealed:
    async with database.write() as transaction:
        return await audit.seal(transaction, key)


async def verify(database: Database, key: bytes = KEY, written_down: Head | None = None) -> Verified:
    return await audit.verify(database, key, written_down=written_down, progress=lambda _: None)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BATCH", 3)


@pytest.fixture
async def sealed(database: Database, small_batches: None) -> Head:
    """The head of a chain of ten sealed events."""
    assert small_batches is None
    await record(database, 10)
    while (done := await seal(database)).count:
        pass
    assert done.head.position == 10
    return done.head


async def test_empty_trail_is_verified(database: Database) -> None:
    assert (await seal(database)).count == 0
    assert await verify(database) == Verified(0, 0, 0, Head(0, "0" * 64))


@pytest.mark.usefixtures("small_batches")
async def test_events_are_sealed_in_batches(database: Database) -> None:
    await record(database, 7)
    assert (await verify(database)).unsealed == 7
    assert [(await seal(database)).count for _ in range(4)] == [3, 3, 1, 0]
    progress: list[int] = []
    verified = await audit.verify(database, KEY, progress=progress.append)
    assert (verified.sealed, verified.unsealed) == (7, 0)
    assert progress == [3, 6, 7]
    await record(database, 1)
    assert (await verify(database)) == Verified(0, 7, 1, verified.head)
    assert (await seal(database)).head.position == 8
    assert (await verify(database, written_down=verified.head)).sealed == 8


async def test_events_of_one_transaction_are_sealed(database: Database) -> None:
    async with database.write() as transaction:
        await audit.record(
            transaction,
            *(Event(AuditAction.GET_APPOINTMENT, patient_id=UUID(int=number)) for number in range(30)),
            now=NOW,
        )
    assert (await seal(database)).count == 30
    assert (await verify(database)).sealed == 30


async def test_event_of_a_rolled_back_transaction_is_not_sealed(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as transaction:
            await audit.record(transaction, Event(AuditAction.GET_APPOINTMENT), now=NOW)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert (await seal(database)).count == 0


@pytest.mark.usefixtures("small_batches")
async def test_concurrent_seals_seal_each_event_once(database: Database) -> None:
    await record(database, 10)
    results = await asyncio.gather(*(seal(database) for _ in range(5)))
    assert sorted(each.count for each in results) == [0, 1, 3, 3, 3]
    assert (await verify(database)).sealed == 10


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # on SQLite only one transaction writes at a time
async def test_event_that_is_committed_late_is_sealed_late(database: Database) -> None:
    async with database.write() as late:
        await audit.record(late, Event(AuditAction.LIST_APPOINTMENTS), now=NOW)
        await record(database, 2)
        assert (await seal(database)).count == 2
    assert (await seal(database)).count == 1
    async with database.read() as transaction:
        events = await list_sealed(transaction, after=None, limit=9)
    assert [each.action for each in events] == [*list(AuditAction)[:2], AuditAction.LIST_APPOINTMENTS]
    assert (await verify(database)).sealed == 3


async def test_verification_with_another_key_fails(database: Database, sealed: Head) -> None:
    assert await verify(database, written_down=sealed) == Verified(0, 10, 0, sealed)
    with pytest.raises(BrokenChainError, match=r"position 1, .* or the key is not the one"):
        await verify(database, chain_key("another secret"))


@asynccontextmanager
async def tamper(database: Database) -> AsyncIterator[Transaction]:
    async with database.write() as transaction:
        await bypass_audit_guard(transaction)
        yield transaction


def at(position: int) -> Any:
    return AuditEvent.position == position


async def read_event(database: Database, position: int) -> dict[str, Any]:
    async with database.read() as transaction:
        rows = await transaction.execute(select(AuditEvent.__table__).where(at(position)))
        return dict(rows.mappings().one())


async def find_break(database: Database) -> str:
    """Return why the chain is broken; an empty string if it is not."""
    try:
        await verify(database)
    except BrokenChainError as error:
        return str(error)
    return ""


CHANGES: dict[str, Any] = {
    "occurred_at": NOW,
    "actor_id": None,
    "actor_role": Role.ADMIN,
    "action": "other",
    "outcome": "not_found",
    "patient_id": UUID(int=2),
    "object_id": None,
    "address": "::2",
    "request_id": "b",
    "reason": "",
    "id": UUID(int=7),
    "hash": "0" * 64,
}


@pytest.mark.usefixtures("sealed")
async def test_changed_column_is_found(database: Database) -> None:
    assert CHANGES.keys() == {column.name for column in AuditEvent.__table__.columns} - {"position"}
    original = await read_event(database, 5)
    failures = []
    for column, value in CHANGES.items():
        async with tamper(database) as transaction:
            await transaction.execute(update(AuditEvent).where(at(5)).values({column: value}))
        found = await find_break(database)
        if not re.search(r"position 5, .* is not what was sealed there", found):
            failures.append(f"{column}: {found!r}")
        async with tamper(database) as transaction:
            await transaction.execute(update(AuditEvent).where(at(5)).values({column: original[column]}))
    assert not failures
    assert (await verify(database)).sealed == 10


@pytest.mark.usefixtures("sealed")
async def test_removed_event_is_found(database: Database) -> None:
    failures = []
    for position in (1, 3, 4, 9):
        original = await read_event(database, position)
        async with tamper(database) as transaction:
            await transaction.execute(delete(AuditEvent).where(at(position)))
        found = await find_break(database)
        if f"position {position} is missing" not in found:
            failures.append(f"{position}: {found!r}")
        async with tamper(database) as transaction:
            await transaction.execute(insert(AuditEvent).values(**original))
    assert not failures
    assert (await verify(database)).sealed == 10


@pytest.mark.usefixtures("sealed")
async def test_closed_gap_is_found(database: Database) -> None:
    async with tamper(database) as transaction:
        await transaction.execute(delete(AuditEvent).where(at(5)))
        for position in range(6, 11):
            await transaction.execute(update(AuditEvent).where(at(position)).values(position=position - 1))
    with pytest.raises(BrokenChainError, match=r"position 5, .* is not what was sealed there"):
        await verify(database)


@pytest.mark.usefixtures("sealed")
async def test_swapped_events_are_found(database: Database) -> None:
    async with tamper(database) as transaction:
        for before, after in ((4, 99), (5, 4), (99, 5)):
            await transaction.execute(update(AuditEvent).where(at(before)).values(position=after))
    with pytest.raises(BrokenChainError, match=r"position 4, .* is not what was sealed there"):
        await verify(database)


async def test_inserted_event_is_found(database: Database, sealed: Head) -> None:
    forged = {"id": UUID(int=99), "occurred_at": NOW, "action": "look", "outcome": "ok"}
    # Without the key, an attacker can only guess the hash.
    head = extend(chain_key("a guess"), sealed, {name: str(value) for name, value in forged.items()})
    failures = []
    for position, reported in ((11, 11), (12, 11), (0, 0), (-3, -3)):
        async with tamper(database) as transaction:
            await transaction.execute(insert(AuditEvent).values(**forged, position=position, hash=head.hash))
        found = await find_break(database)
        if not re.search(f"position {reported}(,| is missing)", found):
            failures.append(f"{position}: {found!r}")
        async with tamper(database) as transaction:
            await transaction.execute(delete(AuditEvent).where(at(position)))
    assert not failures
    assert (await verify(database)).sealed == 10


async def test_removed_end_is_found_with_a_head_that_was_written_down(database: Database, sealed: Head) -> None:
    async with tamper(database) as transaction:
        await transaction.execute(delete(AuditEvent).where(AuditEvent.position > 7))
    assert (await verify(database)).sealed == 7, "without a head, the length of the chain is unknown"
    with pytest.raises(BrokenChainError, match="ends at position 7, and once reached 10"):
        await verify(database, written_down=sealed)
    await record(database, 4)
    await seal(database)
    await seal(database)
    assert (await verify(database)).sealed == 11
    with pytest.raises(BrokenChainError, match=r"position 10 does not have the hash that was written down"):
        await verify(database, written_down=sealed)


async def test_trail_rewritten_with_the_key_is_found_with_a_head_that_was_written_down(
    database: Database, sealed: Head
) -> None:
    async with tamper(database) as transaction:
        events = (await transaction.execute(select(AuditEvent.id).order_by(AuditEvent.position))).scalars().all()
        await transaction.execute(update(AuditEvent).values(position=None, hash=None, action="forged"))
    while (done := await seal(database)).count:
        pass
    assert len(events) == (await verify(database)).sealed == 10
    with pytest.raises(BrokenChainError, match="does not have the hash that was written down"):
        await verify(database, written_down=sealed)
    assert done.head != sealed


async def test_chain_without_the_remembered_head_is_not_continued(database: Database) -> None:
    await record(database, 2)
    sealed = await seal(database)
    await record(database, 1)
    async with database.write() as transaction:
        assert (await audit.seal(transaction, KEY, remembered=sealed.head)).head.position == 3
    await record(database, 1)
    for lost in (Head(2, "00" * 32), Head(9, sealed.head.hash)):
        with pytest.raises(BrokenChainError, match=f"has lost position {lost.position}"):
            async with database.write() as transaction:
                await audit.seal(transaction, KEY, remembered=lost)
    assert (await verify(database)).sealed == 3
