"""The chain over the audit trail: what was sealed cannot be tampered with unseen, not even in the database itself."""

import asyncio
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
    """Ten events that are sealed, and where their chain ends."""
    assert small_batches is None
    await record(database, 10)
    while (done := await seal(database)).count:
        pass
    assert done.head.position == 10
    return done.head


async def test_an_empty_trail_is_unbroken(database: Database) -> None:
    assert (await seal(database)).count == 0
    assert await verify(database) == Verified(0, 0, 0, Head(0, "0" * 64))


async def test_what_is_recorded_is_sealed_in_batches(database: Database, small_batches: None) -> None:
    assert small_batches is None
    await record(database, 7)
    assert (await verify(database)).unsealed == 7
    assert [(await seal(database)).count for _ in range(4)] == [3, 3, 1, 0]
    told: list[int] = []
    verified = await audit.verify(database, KEY, progress=told.append)
    assert (verified.sealed, verified.unsealed) == (7, 0)
    assert told == [3, 6, 7]
    await record(database, 1)
    assert (await verify(database)) == Verified(0, 7, 1, verified.head)
    assert (await seal(database)).head.position == 8
    assert (await verify(database, written_down=verified.head)).sealed == 8


async def test_several_events_of_one_transaction(database: Database) -> None:
    async with database.write() as transaction:
        await audit.record(
            transaction,
            *(Event(AuditAction.GET_APPOINTMENT, patient_id=UUID(int=number)) for number in range(30)),
            now=NOW,
        )
    assert (await seal(database)).count == 30
    assert (await verify(database)).sealed == 30


async def test_what_was_rolled_back_was_never_there(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as transaction:
            await audit.record(transaction, Event(AuditAction.GET_APPOINTMENT), now=NOW)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert (await seal(database)).count == 0


async def test_those_who_seal_at_once_do_not_disturb_each_other(database: Database, small_batches: None) -> None:
    assert small_batches is None
    await record(database, 10)
    done = await asyncio.gather(*(seal(database) for _ in range(5)))
    assert sorted(each.count for each in done) == [0, 1, 3, 3, 3]
    assert (await verify(database)).sealed == 10


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # writers queue on SQLite
async def test_what_commits_late_comes_late_in_the_chain(database: Database) -> None:
    async with database.write() as late:
        await audit.record(late, Event(AuditAction.LIST_APPOINTMENTS), now=NOW)
        await record(database, 2)
        assert (await seal(database)).count == 2
    assert (await seal(database)).count == 1
    async with database.read() as transaction:
        events = await list_sealed(transaction, after=None, limit=9)
    assert [each.action for each in events] == [*list(AuditAction)[:2], AuditAction.LIST_APPOINTMENTS]
    assert (await verify(database)).sealed == 3


async def test_another_key_finds_nothing_right(database: Database, sealed: Head) -> None:
    assert await verify(database, written_down=sealed) == Verified(0, 10, 0, sealed)
    with pytest.raises(BrokenChainError, match=r"position 1, .* or the key is not the one"):
        await verify(database, chain_key("another secret"))


@asynccontextmanager
async def tampered(database: Database) -> AsyncIterator[Transaction]:
    async with database.write() as transaction:
        await bypass_audit_guard(transaction)
        yield transaction


def at(position: int) -> Any:
    return AuditEvent.position == position


@pytest.mark.parametrize(
    "change",
    [
        {"occurred_at": NOW},
        {"actor_id": None},
        {"actor_role": Role.ADMIN},
        {"action": "other"},
        {"outcome": "not_found"},
        {"patient_id": UUID(int=2)},
        {"object_id": None},
        {"address": "::2"},
        {"request_id": "b"},
        {"reason": ""},
        {"id": UUID(int=7)},
        {"hash": "0" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_change_is_found(database: Database, sealed: Head, change: dict[str, Any]) -> None:
    assert sealed.position == 10
    async with tampered(database) as session:
        await session.execute(update(AuditEvent).where(at(5)).values(**change))
    with pytest.raises(BrokenChainError, match=r"position 5, .* is not what was sealed there"):
        await verify(database)


@pytest.mark.parametrize("position", [1, 3, 4, 9])
async def test_a_removed_event_is_found(database: Database, sealed: Head, position: int) -> None:
    assert sealed.position == 10
    async with tampered(database) as session:
        await session.execute(delete(AuditEvent).where(at(position)))
    with pytest.raises(BrokenChainError, match=f"position {position} is missing"):
        await verify(database)


async def test_a_gap_that_was_closed_is_found(database: Database, sealed: Head) -> None:
    assert sealed.position == 10
    async with tampered(database) as session:
        await session.execute(delete(AuditEvent).where(at(5)))
        for position in range(6, 11):
            await session.execute(update(AuditEvent).where(at(position)).values(position=position - 1))
    with pytest.raises(BrokenChainError, match=r"position 5, .* is not what was sealed there"):
        await verify(database)


async def test_events_that_changed_places_are_found(database: Database, sealed: Head) -> None:
    assert sealed.position == 10
    async with tampered(database) as session:
        for before, after in ((4, 99), (5, 4), (99, 5)):
            await session.execute(update(AuditEvent).where(at(before)).values(position=after))
    with pytest.raises(BrokenChainError, match=r"position 4, .* is not what was sealed there"):
        await verify(database)


@pytest.mark.parametrize(("position", "seen"), [(11, 11), (12, 11), (0, 0), (-3, -3)])
async def test_an_inserted_event_is_found(database: Database, sealed: Head, position: int, seen: int) -> None:
    """With the right look, and a hash that only the key is missing for."""
    forged = {"id": UUID(int=99), "occurred_at": NOW, "action": "look", "outcome": "ok"}
    head = extend(chain_key("a guess"), sealed, {name: str(value) for name, value in forged.items()})
    async with tampered(database) as session:
        await session.execute(insert(AuditEvent).values(**forged, position=position, hash=head.hash))
    with pytest.raises(BrokenChainError, match=f"position {seen}(,| is missing)"):
        await verify(database)


async def test_an_end_that_was_cut_off_is_found_by_a_head_that_was_written_down(
    database: Database, sealed: Head
) -> None:
    async with tampered(database) as session:
        await session.execute(delete(AuditEvent).where(AuditEvent.position > 7))
    assert (await verify(database)).sealed == 7, "by itself a chain does not know how long it was"
    with pytest.raises(BrokenChainError, match="ends at position 7, and once reached 10"):
        await verify(database, written_down=sealed)
    await record(database, 4)
    await seal(database)
    await seal(database)
    assert (await verify(database)).sealed == 11
    with pytest.raises(BrokenChainError, match=r"position 10 has another hash than was written down"):
        await verify(database, written_down=sealed)


async def test_the_chain_is_the_only_thing_that_holds_then(database: Database, sealed: Head) -> None:
    """The control: with the key, whoever can pass by the triggers could rewrite everything."""
    async with tampered(database) as session:
        events = (await session.execute(select(AuditEvent.id).order_by(AuditEvent.position))).scalars().all()
        await session.execute(update(AuditEvent).values(position=None, hash=None, action="forged"))
    while (done := await seal(database)).count:
        pass
    assert len(events) == (await verify(database)).sealed == 10
    with pytest.raises(BrokenChainError, match="another hash than was written down"):
        await verify(database, written_down=sealed)
    assert done.head != sealed


async def test_a_chain_that_has_lost_what_is_remembered_is_not_gone_on_with(database: Database) -> None:
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
