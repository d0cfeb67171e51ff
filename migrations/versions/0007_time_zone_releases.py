"""Record the releases of the time-zone data that a database has been used with."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "time_zone_releases",
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("first_used_at", UtcDateTime(), nullable=False),
        sa.Column("applied_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("version", name="time_zone_releases_pkey"),
    )


def downgrade() -> None:
    op.drop_table("time_zone_releases")
