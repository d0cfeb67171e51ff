"""Archiving moves the oldest events to a file that can be verified, and the chain of the rest stays unbroken."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError

from app.core.audit_actions import AuditAction
from app.core.hash_chain import GENESIS_HASH, Head, chain_key, sign_archive
from app.db.database import Database
from app.models import AuditArchive, AuditEvent
from app.repositories.audit_archives import ArchiveRecord
from app.services import audit, audit_archive
from app.services.audit import ArchivedHeadError, BrokenChainError, Event, Verified
from app.services.audit_archive import Part, delete_archived, record_archive, verify_file, write_part
from tests.databases import bypass_audit_guard

KEY = chain_key("a secret")
NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
DAY = timedelta(days=1)
SHA = "0" * 64


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BATCH", 3)
    monkeypatch.setattr(audit_archive, "BATCH", 3)


@pytest.fixture
async def heads(database: Database) -> list[Head]:
    """The heads of the chain after each of ten events, one on each of ten days."""
    found = []
    for number in range(10):
        await record(database, NOW + number * DAY)
        found.append(await seal(database))
    return found


async def record(database: Database, now: datetime) -> None:
    async with database.write() as transaction:
        await audit.record(transaction, Event(AuditAction.GET_APPOINTMENT, reason="Because: „ä\n"), now=now)


async def seal(database: Database, remembered: Head | None = None) -> Head:
    async with database.write() as transaction:
        return (await audit.seal(transaction, KEY, remembered=remembered)).head


async def verify(database: Database, written_down: Head | None = None) -> Verified:
    return await audit.verify(database, KEY, written_down=written_down, progress=lambda _: None)


async def write(database: Database, before: datetime) -> tuple[Part, list[bytes]]:
    lines: list[bytes] = []
    part = await write_part(database, KEY, lines.append, before=before, progress=lambda _: None)
    return part, lines


async def archive(database: Database, before: datetime) -> tuple[Part, list[bytes]]:
    part, lines = await write(database, before)
    await record_archive(database, KEY, part, file_sha256=SHA, now=NOW)
    assert await delete_archived(database, progress=lambda _: None) == part.count
    return part, lines


async def run(database: Database, statement: str, *, as_superuser: bool = False) -> None:
    async with database.write() as transaction:
        if as_superuser:
            await bypass_audit_guard(transaction)
        await transaction.execute(text(statement))


async def count(database: Database) -> int:
    async with database.read() as transaction:
        return await transaction.scalar(select(func.count()).select_from(AuditEvent)) or 0


async def test_archived_events_are_deleted_and_the_rest_is_unbroken(database: Database, heads: list[Head]) -> None:
    part, lines = await archive(database, NOW + 7 * DAY)
    assert part == Part(GENESIS_HASH, heads[6])
    assert len(lines) == 8
    assert await count(database) == 3
    assert await verify(database) == Verified(7, 3, 0, heads[9])
    assert verify_file(KEY, lines) == verify_file(KEY, lines, written_down=heads[3]) == part
    second, more = await archive(database, NOW + 9 * DAY)
    assert second == verify_file(KEY, more) == Part(heads[6], heads[8])
    assert await verify(database) == Verified(9, 1, 0, heads[9])


async def test_chain_continues_after_all_events_were_archived(database: Database, heads: list[Head]) -> None:
    await archive(database, NOW + 100 * DAY)
    assert await count(database) == 0
    assert await verify(database, written_down=heads[9]) == Verified(10, 0, 0, heads[9])
    await record(database, NOW)
    # A process may remember a head from before the archive.
    head = await seal(database, remembered=heads[4])
    assert head.position == 11
    assert await verify(database, written_down=head) == Verified(10, 1, 0, head)


async def test_archive_without_events_deletes_nothing(database: Database, heads: list[Head]) -> None:
    part, lines = await write(database, NOW)
    assert part == Part(GENESIS_HASH, GENESIS_HASH)
    assert part.count == 0
    assert verify_file(KEY, lines) == part
    assert await delete_archived(database, progress=lambda _: None) == 0
    assert await count(database) == len(heads)


@pytest.mark.usefixtures("heads")
async def test_deletion_after_an_interruption_deletes_all_archived_events(database: Database) -> None:
    part, _ = await write(database, NOW + 7 * DAY)
    await record_archive(database, KEY, part, file_sha256=SHA, now=NOW)
    assert (await verify(database)).archived == 7  # nothing is deleted yet, and no event is counted twice
    progress: list[int] = []
    assert await delete_archived(database, progress=progress.append) == 7
    assert progress == [3, 6]


@pytest.mark.usefixtures("heads")
async def test_second_of_two_simultaneous_archives_is_refused(database: Database) -> None:
    parts = [(await write(database, NOW + days * DAY))[0] for days in (5, 7)]
    results = await asyncio.gather(
        *(record_archive(database, KEY, part, file_sha256=SHA, now=NOW) for part in parts), return_exceptions=True
    )
    assert [type(each) for each in results if each] == [BrokenChainError]
    assert (await verify(database)).archived in {5, 7}


async def test_archived_head_is_checked_in_the_file(database: Database, heads: list[Head]) -> None:
    _, lines = await archive(database, NOW + 7 * DAY)
    with pytest.raises(ArchivedHeadError, match="position 4 is archived: check it with --archive"):
        await verify(database, written_down=heads[3])
    assert (await verify(database, written_down=heads[6])).archived == 7
    with pytest.raises(BrokenChainError, match="position 7 does not have the hash"):
        await verify(database, written_down=Head(7, "ab" * 32))
    with pytest.raises(BrokenChainError, match="does not have the head"):
        verify_file(KEY, lines, written_down=Head(4, "ab" * 32))


async def test_changed_or_missing_line_of_a_file_is_found(database: Database, heads: list[Head]) -> None:
    _, lines = await write(database, NOW + 7 * DAY)
    assert len(lines) == 8
    with pytest.raises(BrokenChainError):
        verify_file(chain_key("another secret"), lines)
    for number, line in enumerate(lines):
        members = json.loads(line)
        changes = {"start": str(heads[0])} if number == 0 else {"action": "other", "hash": "ab" * 32}
        for name, value in changes.items():
            changed = [*lines]
            changed[number] = json.dumps(members | {name: value}).encode()
            with pytest.raises(BrokenChainError, match="is not what was sealed"):
                verify_file(KEY, changed)
        with pytest.raises(BrokenChainError):
            verify_file(KEY, [*lines[:number], *lines[number + 1 :], b"[]"])


@pytest.mark.parametrize(
    "lines",
    [[], [b"{}"], [b"not JSON"], [b"[1]"], [b'{"format": "another", "start": "0:00"}'], [b"\xff"], [b"null"]],
    ids=str,
)
def test_file_that_is_no_archive_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(BrokenChainError):
        verify_file(KEY, lines)


@pytest.mark.usefixtures("heads")
async def test_broken_chain_is_not_archived(database: Database) -> None:
    await run(database, "DELETE FROM audit_events WHERE position BETWEEN 5 AND 7", as_superuser=True)
    for days in (7, 9):
        with pytest.raises(BrokenChainError, match="position 5 is missing"):
            await write(database, NOW + days * DAY)


@pytest.mark.usefixtures("heads")
async def test_events_that_are_missing_while_the_file_is_written_are_found(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_nothing(*_: object, **__: object) -> list[object]:
        return []

    monkeypatch.setattr("app.repositories.audit.list_sealed", find_nothing)
    with pytest.raises(BrokenChainError, match="position 1 is missing"):
        await write(database, NOW + 7 * DAY)


@pytest.mark.parametrize(
    ("first", "last", "secret"), [(1, 3, "another secret"), (2, 3, "a secret")], ids=["another-key", "gap"]
)
async def test_forged_archive_is_found(
    database: Database, heads: list[Head], first: int, last: int, secret: str
) -> None:
    # The triggers allow the deletion of events that an archive covers, so an archive is signed with the key.
    forged = ArchiveRecord(first, last, heads[last - 1].hash, SHA, NOW, "")
    async with database.write() as transaction:
        await transaction.execute(
            insert(AuditArchive).values(
                first_position=first,
                last_position=last,
                last_hash=forged.last_hash,
                file_sha256=SHA,
                archived_at=NOW,
                signature=sign_archive(chain_key(secret), forged.facts()),
            )
        )
    for act in (verify(database), seal(database), write(database, NOW + DAY)):
        with pytest.raises(BrokenChainError, match="does not follow the one before it, or was not made with this key"):
            await act


@pytest.mark.usefixtures("heads")
async def test_only_archived_events_can_be_deleted(database: Database) -> None:
    part, _ = await write(database, NOW + 7 * DAY)
    await record_archive(database, KEY, part, file_sha256=SHA, now=NOW)
    await record(database, NOW)
    for kept in ("position > 7", "position IS NULL"):
        with pytest.raises(IntegrityError, match="audit_events can only grow"):
            await run(database, f"DELETE FROM audit_events WHERE {kept}")
    for change in ("UPDATE audit_archives SET last_position = 10", "DELETE FROM audit_archives"):
        with pytest.raises(IntegrityError, match="audit_archives can only grow"):
            await run(database, change)
    assert await count(database) == 11
