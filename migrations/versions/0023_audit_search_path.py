"""Set the search path of the functions that protect the audit trail: other roles could replace their operators."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

EVENTS_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_events_only_grow() RETURNS trigger
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
# The function as created by 0009.
FORMER_EVENTS_FUNCTION = """
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
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF EXISTS (SELECT FROM audit_archives WHERE last_position >= OLD.position) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_events can only grow: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(EVENTS_FUNCTION)
        op.execute("ALTER FUNCTION audit_archives_only_grow() SET search_path = pg_catalog, pg_temp")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER FUNCTION audit_archives_only_grow() RESET search_path")
        op.execute(FORMER_EVENTS_FUNCTION)
