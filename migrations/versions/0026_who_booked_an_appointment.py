"""Store who booked an appointment or created a hold. NULL for earlier ones: the patient did."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # One statement, on both databases: SQLite adds a foreign key only together with its column, and PostgreSQL then
    # does not read the rows to check it, because all values are NULL.
    op.execute(
        "ALTER TABLE appointments ADD COLUMN booked_by "
        f"{'UUID' if op.get_context().dialect.name == 'postgresql' else 'CHAR(32)'} "
        "CONSTRAINT appointments_booked_by_fkey REFERENCES users (id)"
    )


def downgrade() -> None:
    op.drop_column("appointments", "booked_by")
