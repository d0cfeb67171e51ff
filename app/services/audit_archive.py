"""Archive the audit trail: move its oldest part from the database to a file that can be verified (ADR 0032)."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from app.core.hash_chain import Head, extend, sign_archive
from app.db.database import Database
from app.repositories import audit, audit_archives
from app.repositories.audit_archives import ArchiveRecord
from app.services.audit import BATCH, BrokenChainError, follow, follow_archives, lock_chain

FORMAT = "doctor-appointments audit archive 1"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the chain: the head before it and the head at its end. They are equal if it contains no events."""

    start: Head
    end: Head

    @property
    def count(self) -> int:
        """The number of events."""
        return self.end.position - self.start.position


async def write_part(
    database: Database,
    key: bytes,
    write: Callable[[bytes], object],
    *,
    before: datetime,
    progress: Callable[[int], None],
) -> Part:
    """Write the oldest sealed events as JSON lines, up to the first that occurred at ``before`` or later.

    The first line contains the format and the head before the part. Each further line is an event with its position
    and hash. Events are verified while they are written. Raises ``BrokenChainError`` if the chain is broken.
    """
    async with database.read() as transaction:
        head = start = follow_archives(key, await audit_archives.list_archives(transaction))
        # The chain follows the order of sealing, not the clock. So the part ends at the first recent event, and older
        # events after it stay.
        first_kept = await audit.find_first_position(transaction, before)
        last = (await audit.find_head(transaction, archived=start)).position if first_kept is None else first_kept - 1
    write(_line({"format": FORMAT, "start": str(start)}))
    while head.position < last:
        async with database.read() as transaction:
            batch = await audit.list_sealed(
                transaction, after=head.position or None, limit=min(BATCH, last - head.position)
            )
        if not batch:
            raise BrokenChainError(f"position {head.position + 1} is missing: an event was removed from the trail")
        for event in batch:
            head = follow(key, head, event)
            write(_line(event.facts() | {"position": head.position, "hash": head.hash}))
        progress(head.position)
    return Part(start, head)


async def record_archive(database: Database, key: bytes, part: Part, *, file_sha256: str, now: datetime) -> None:
    """Record in the database that a part is archived, so that its events can be deleted.

    Must only be called when the file is stored safely. Raises ``BrokenChainError`` if another archive was recorded
    meanwhile.
    """
    archive = ArchiveRecord(part.start.position + 1, part.end.position, part.end.hash, file_sha256, now, "")
    async with database.write() as transaction:
        await lock_chain(transaction)
        if await audit_archives.find_archived_head(transaction) != part.start:
            raise BrokenChainError("another archive was made at the same time; nothing was deleted for this one")
        await audit_archives.insert_archive(transaction, replace(archive, signature=sign_archive(key, archive.facts())))


async def delete_archived(database: Database, *, progress: Callable[[int], None]) -> int:
    """Delete archived events, in batches with a transaction each; return how many.

    Events that an interrupted call has left are deleted as well.
    """
    async with database.read() as transaction:
        archived = await audit_archives.find_archived_head(transaction)
    deleted = 0
    while True:
        async with database.write() as transaction:
            count = await audit_archives.delete_events(transaction, up_to=archived.position, limit=BATCH)
        deleted += count
        if count < BATCH:
            return deleted
        progress(deleted)


def verify_file(key: bytes, lines: Iterable[bytes], *, written_down: Head | None = None) -> Part:
    """Verify the lines of a file that ``write_part`` has written.

    Raises ``BrokenChainError`` if a line was changed, or if ``written_down``, a head recorded elsewhere, is not in the
    file. It does not check whether lines are missing at the end: the caller must compare the end with the database.
    """
    heads = _follow_lines(key, lines)
    head = start = next(heads)
    found = written_down is None
    for head in heads:
        found = found or head == written_down
    if not found:
        raise BrokenChainError(f"the file does not have the head {written_down}")
    return Part(start, head)


def _follow_lines(key: bytes, lines: Iterable[bytes]) -> Iterator[Head]:
    head: Head | None = None
    found: Head | None = None
    for number, line in enumerate(lines, 1):
        try:
            members = json.loads(line)
            if head is None:
                head = _read_start(members)
            else:
                found = Head(members.pop("position"), members.pop("hash"))
                head = extend(key, head, members)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BrokenChainError(f"line {number} is not what an archive has: {error!r}") from error
        if found not in {None, head}:
            raise BrokenChainError(f"line {number} is not what was sealed at position {head.position}")
        yield head
    if head is None:
        raise BrokenChainError("the file is empty")


def _read_start(members: Mapping[str, str]) -> Head:
    if members["format"] != FORMAT:
        raise ValueError(f"the format is not {FORMAT!r}")
    return Head.parse(members["start"])


def _line(members: Mapping[str, object]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"
