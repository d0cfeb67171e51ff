"""Create the audit trail. The downgrade drops it with all its events."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FACTS = (
    "id",
    "occurred_at",
    "actor_id",
    "actor_role",
    "action",
    "outcome",
    "patient_id",
    "object_id",
    "address",
    "request_id",
    "reason",
)
FUNCTION = """
CREATE FUNCTION audit_events_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
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
    END IF;
    RAISE EXCEPTION 'audit_events can only grow: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$"""
GUARDS = {
    "postgresql": [
        FUNCTION,
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
  OR {" OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in FACTS)}
BEGIN
    SELECT RAISE(ABORT, 'audit_events can only grow: UPDATE is refused');
END""",
        """
CREATE TRIGGER audit_events_delete BEFORE DELETE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events can only grow: DELETE is refused');
END""",
    ],
}


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_role", sa.String(16), nullable=True),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("object_id", sa.Uuid(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("hash", sa.String(64), nullable=True),
        sa.CheckConstraint("(position IS NULL) = (hash IS NULL)", name=op.f("audit_events_sealed_check")),
        sa.PrimaryKeyConstraint("id", name="audit_events_pkey"),
        sa.UniqueConstraint("position", name="audit_events_position_key"),
        sqlite_with_rowid=False,
    )
    for columns in (["patient_id", "occurred_at", "id"], ["actor_id", "occurred_at", "id"], ["occurred_at", "id"]):
        op.create_index(f"audit_events_{'_'.join(columns)}_idx", "audit_events", columns)
    dialect = op.get_context().dialect.name
    if dialect == "postgresql":
        op.create_index(
            "audit_events_unsealed_idx", "audit_events", ["id"], postgresql_where=sa.text("position IS NULL")
        )
    for statement in GUARDS[dialect]:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("audit_events")
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_events_only_grow()")
