"""Archived parts of the audit trail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select

from app.core.hash_chain import GENESIS_HASH, Head
from app.db.base import table_of
from app.db.database import Transaction
from app.db.records import read_record
from app.models import AuditArchive, AuditEvent

_ARCHIVES, _EVENTS = table_of(AuditArchive), table_of(AuditEvent)


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """The events from ``first_position`` to ``last_position``, which were archived in one file."""

    first_position: int
    last_position: int
    last_hash: str
    file_sha256: str
    archived_at: datetime
    signature: str

    @property
    def head(self) -> Head:
        """The head of the chain at the end of the archive."""
        return Head(self.last_position, self.last_hash)

    def facts(self) -> dict[str, str | int]:
        """Return the fields that the signature covers."""
        return {
            "first_position": self.first_position,
            "last_position": self.last_position,
            "last_hash": self.last_hash,
            "file_sha256": self.file_sha256,
            "archived_at": self.archived_at.astimezone(UTC).isoformat(timespec="microseconds"),
        }


_RECORD = select(
    _ARCHIVES.c.first_position,
    _ARCHIVES.c.last_position,
    _ARCHIVES.c.last_hash,
    _ARCHIVES.c.file_sha256,
    _ARCHIVES.c.archived_at,
    _ARCHIVES.c.signature,
)


async def list_archives(transaction: Transaction) -> Sequence[ArchiveRecord]:
    """Return all archives, in the order of the chain."""
    rows = await transaction.execute(_RECORD.order_by(_ARCHIVES.c.last_position))
    return [read_record(ArchiveRecord, row) for row in rows]


async def find_archived_head(transaction: Transaction) -> Head:
    """Return the head at the end of the last archive; ``GENESIS_HASH`` if there is none."""
    heads = select(_ARCHIVES.c.last_position.label("position"), _ARCHIVES.c.last_hash.label("hash"))
    newest = heads.order_by(_ARCHIVES.c.last_position.desc()).limit(1)
    row = (await transaction.execute(newest)).one_or_none()
    return read_record(Head, row) if row else GENESIS_HASH


async def insert_archive(transaction: Transaction, archive: ArchiveRecord) -> None:
    """Insert an archive. From then on, the database allows deleting its events."""
    await transaction.execute(
        insert(_ARCHIVES).values(
            first_position=archive.first_position,
            last_position=archive.last_position,
            last_hash=archive.last_hash,
            file_sha256=archive.file_sha256,
            archived_at=archive.archived_at,
            signature=archive.signature,
        )
    )


async def delete_events(transaction: Transaction, *, up_to: int, limit: int) -> int:
    """Delete the first ``limit`` events up to a position, which must be archived; return how many were deleted."""
    # As a subquery, because DELETE has no LIMIT on PostgreSQL.
    first = select(_EVENTS.c.id).where(_EVENTS.c.position <= up_to).order_by(_EVENTS.c.position).limit(limit)
    return (await transaction.execute(delete(_EVENTS).where(_EVENTS.c.id.in_(first)))).rowcount
