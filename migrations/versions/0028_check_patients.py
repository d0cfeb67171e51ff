"""Check the foreign keys that 0027 added. PostgreSQL reads the rows meanwhile without blocking writes."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None
begins_transaction = True


def upgrade() -> None:
    # SQLite checked them in 0027.
    if op.get_context().dialect.name == "postgresql":
        for table, column in (("patients", "user_id"), ("appointments", "patient_id")):
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_{column}_fkey")


def downgrade() -> None:
    pass  # A checked constraint is as good as one that was not.
