"""Index the time zones of doctors."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("doctors_time_zone_idx", "doctors", ["time_zone"])


def downgrade() -> None:
    op.drop_index("doctors_time_zone_idx", "doctors")
