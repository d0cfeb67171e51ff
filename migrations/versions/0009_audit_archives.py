"""Add archives of the audit trail. Archived events may be deleted. The downgrade keeps the events that remain."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# This replaces the function and trigger of 0004, which refuse every DELETE.
EVENTS_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_events_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unsealed audit_events;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        unsealed = NEW;
        unsealed.position = NULL;
        unsealed.hash = NULL;
        IF NEW.position IS NOT NULL AND unsealed IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;{delete}
    RAISE EXCEPTION 'audit_events can only grow: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$"""
ARCHIVED_MAY_GO = """
    IF TG_OP = 'DELETE' THEN
        IF EXISTS (SELECT FROM audit_archives WHERE last_position >= OLD.position) THEN
            RETURN OLD;
        END IF;
    END IF;"""
DELETE_TRIGGER = """
CREATE TRIGGER audit_events_delete BEFORE DELETE ON audit_events{unless}
BEGIN
    SELECT RAISE(ABORT, 'audit_events can only grow: DELETE is refused');
END"""
UNLESS_ARCHIVED = """
WHEN NOT EXISTS (SELECT 1 FROM audit_archives WHERE last_position >= OLD.position)"""
GUARDS = {
    "postgresql": [
        """
CREATE FUNCTION audit_archives_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_archives can only grow: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$""",
        """
CREATE TRIGGER audit_archives_change BEFORE UPDATE OR DELETE ON audit_archives
FOR EACH ROW EXECUTE FUNCTION audit_archives_only_grow()""",
        """
CREATE TRIGGER audit_archives_truncate BEFORE TRUNCATE ON audit_archives
FOR EACH STATEMENT EXECUTE FUNCTION audit_archives_only_grow()""",
        EVENTS_FUNCTION.format(delete=ARCHIVED_MAY_GO),
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
        "DROP TRIGGER audit_events_delete",
        DELETE_TRIGGER.format(unless=UNLESS_ARCHIVED),
    ],
}


def upgrade() -> None:
    op.create_table(
        "audit_archives",
        sa.Column("last_position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_hash", sa.String(64), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("file_sha256", sa.String(64), nullable=False),
        sa.Column("archived_at", UtcDateTime(), nullable=False),
        sa.Column("signature", sa.String(64), nullable=False),
        sa.CheckConstraint("first_position BETWEEN 1 AND last_position", name=op.f("audit_archives_positions_check")),
        sa.PrimaryKeyConstraint("last_position", name="audit_archives_pkey"),
        sqlite_with_rowid=False,
    )
    for statement in GUARDS[op.get_context().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(EVENTS_FUNCTION.format(delete=""))
        op.drop_table("audit_archives")
        op.execute("DROP FUNCTION audit_archives_only_grow()")
    else:
        op.execute("DROP TRIGGER audit_events_delete")
        op.execute(DELETE_TRIGGER.format(unless=""))
        op.drop_table("audit_archives")
