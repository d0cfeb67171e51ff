"""The audit trail: who has read or changed whose data (docs/audit.md).

Events can be added, sealed once, and deleted after they were archived. Triggers refuse every other change (ADR 0018).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DDL, BigInteger, CheckConstraint, Index, String, Table, Text, event, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.permissions import Role
from app.db.base import Base
from app.db.types import UtcDateTime, stored_enum

UNSEALED = text("position IS NULL")
REQUEST_RIGHTS = {"audit_events": ("SELECT", "INSERT", "UPDATE (position, hash)"), "audit_archives": ("SELECT",)}
"""The rights of a PostgreSQL role that only serves requests. It can read and write all other tables."""


class AuditEvent(Base):
    """An action on one patient's data, done or refused. It has no foreign keys, because it outlives accounts."""

    __tablename__ = "audit_events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[UUID | None]
    actor_role: Mapped[Role | None] = mapped_column(stored_enum(Role))
    action: Mapped[str] = mapped_column(String(64))
    """The name of the operation."""
    outcome: Mapped[str] = mapped_column(String(32))
    """``ok`` or the code of the error."""
    patient_id: Mapped[UUID | None]
    object_id: Mapped[UUID | None]
    """The appointment, hold or account that the action is about, if it is a single one."""
    address: Mapped[str | None] = mapped_column(Text)
    """The address of the client; ``NULL`` on the command line."""
    request_id: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    """The reason that the actor gave."""
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    """The position in the hash chain. Like the hash, it is ``NULL`` until the event is sealed."""
    hash: Mapped[str | None] = mapped_column(String(64))
    """See ``core.hash_chain``."""

    __table_args__ = (
        CheckConstraint("(position IS NULL) = (hash IS NULL)", name="sealed"),
        # For the filters of the trail, each in the order in which it is paged.
        Index(None, "patient_id", "occurred_at", "id"),
        Index(None, "actor_id", "occurred_at", "id"),
        Index(None, "occurred_at", "id"),
        # SQLite finds unsealed events with the unique index on `position`, where they are in the order of their ids.
        Index("audit_events_unsealed_idx", "id", postgresql_where=UNSEALED).ddl_if(dialect="postgresql"),
        # If the table had rowids, INSERT OR REPLACE could replace a row by its rowid, which a trigger cannot see.
        {"sqlite_with_rowid": False},
    )


class AuditArchive(Base):
    """A part of the trail that was written to a file. Its events may be deleted from ``audit_events``."""

    __tablename__ = "audit_archives"

    last_position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    last_hash: Mapped[str] = mapped_column(String(64))
    """Together with ``last_position``, the head of the chain at the end of the archive."""
    first_position: Mapped[int] = mapped_column(BigInteger)
    file_sha256: Mapped[str] = mapped_column(String(64))
    archived_at: Mapped[datetime] = mapped_column(UtcDateTime)
    signature: Mapped[str] = mapped_column(String(64))
    """See ``core.hash_chain.sign_archive``."""

    __table_args__ = (
        CheckConstraint("first_position BETWEEN 1 AND last_position", name="positions"),
        {"sqlite_with_rowid": False},
    )


# The only allowed update is sealing, which sets an empty position and hash. PostgreSQL uses one function, SQLite a
# trigger for each kind of change. SQLite's REPLACE deletes conflicting rows without calling a trigger, so the triggers
# refuse rows that conflict. An event may be deleted when an archive covers its position. Archives cannot be changed or
# deleted.
# The functions of PostgreSQL set their search path. Otherwise a role that can create operators or tables could decide
# what the comparisons in them mean. So table names in them need their schema.
_FACTS = [column.name for column in AuditEvent.__table__.columns if column.name not in {"position", "hash"}]
_FUNCTION = """
CREATE FUNCTION audit_events_only_grow() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unsealed record;
    is_archived boolean;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        unsealed = NEW;
        unsealed.position = NULL;
        unsealed.hash = NULL;
        IF NEW.position IS NOT NULL AND unsealed IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    IF TG_OP = 'DELETE' THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.audit_archives WHERE last_position >= $1)', TG_TABLE_SCHEMA)
            INTO is_archived USING OLD.position;
        IF is_archived THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_events can only grow: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$"""
_ARCHIVES_FUNCTION = """
CREATE FUNCTION audit_archives_only_grow() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'audit_archives can only grow: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$"""
_GUARDS = {
    "postgresql": [
        _FUNCTION,
        """
CREATE TRIGGER audit_events_insert BEFORE INSERT ON audit_events
FOR EACH ROW WHEN (NEW.position IS NOT NULL) EXECUTE FUNCTION audit_events_only_grow()""",
        """
CREATE TRIGGER audit_events_change BEFORE UPDATE OR DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION audit_events_only_grow()""",
        """
CREATE TRIGGER audit_events_truncate BEFORE TRUNCATE ON audit_events
FOR EACH STATEMENT EXECUTE FUNCTION audit_events_only_grow()""",
    ],
    "sqlite": [
        """
CREATE TRIGGER audit_events_insert BEFORE INSERT ON audit_events
WHEN NEW.position IS NOT NULL OR EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'audit_events can only grow: this INSERT is refused');
END""",
        f"""
CREATE TRIGGER audit_events_update BEFORE UPDATE ON audit_events
WHEN OLD.position IS NOT NULL OR NEW.position IS NULL
  OR EXISTS (SELECT 1 FROM audit_events WHERE position = NEW.position)
  OR {" OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in _FACTS)}
BEGIN
    SELECT RAISE(ABORT, 'audit_events can only grow: UPDATE is refused');
END""",  # noqa: S608 - made of constants
        """
CREATE TRIGGER audit_events_delete BEFORE DELETE ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM audit_archives WHERE last_position >= OLD.position)
BEGIN
    SELECT RAISE(ABORT, 'audit_events can only grow: DELETE is refused');
END""",
    ],
}
_ARCHIVE_GUARDS = {
    "postgresql": [
        _ARCHIVES_FUNCTION,
        """
CREATE TRIGGER audit_archives_change BEFORE UPDATE OR DELETE ON audit_archives
FOR EACH ROW EXECUTE FUNCTION audit_archives_only_grow()""",
        """
CREATE TRIGGER audit_archives_truncate BEFORE TRUNCATE ON audit_archives
FOR EACH STATEMENT EXECUTE FUNCTION audit_archives_only_grow()""",
    ],
    "sqlite": [
        """
CREATE TRIGGER audit_archives_insert BEFORE INSERT ON audit_archives
WHEN EXISTS (SELECT 1 FROM audit_archives WHERE last_position = NEW.last_position)
BEGIN
    SELECT RAISE(ABORT, 'audit_archives can only grow: this INSERT is refused');
END""",
        *(
            f"""
CREATE TRIGGER audit_archives_{change.lower()} BEFORE {change} ON audit_archives
BEGIN
    SELECT RAISE(ABORT, 'audit_archives can only grow: {change} is refused');
END"""
            for change in ("UPDATE", "DELETE")
        ),
    ],
}


def _guard(table: Table, guards: dict[str, list[str]]) -> None:
    for dialect, statements in guards.items():
        for statement in statements:
            ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call] # SQLAlchemy does not annotate it
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))
    ddl = DDL(f"DROP FUNCTION {table.name}_only_grow()")  # type: ignore[no-untyped-call] # the same
    event.listen(table, "after_drop", ddl.execute_if(dialect="postgresql"))


_guard(Base.metadata.tables["audit_events"], _GUARDS)
_guard(Base.metadata.tables["audit_archives"], _ARCHIVE_GUARDS)
