"""Let changes of a doctor's name or specialty wait for an administrator."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "profile_changes",
        sa.Column("doctor_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("specialty", sa.String(100), nullable=True),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["doctor_id"], ["doctors.id"], name="profile_changes_doctor_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("doctor_id", name="profile_changes_pkey"),
        sa.UniqueConstraint("id", name="profile_changes_id_key"),
    )


def downgrade() -> None:
    op.drop_table("profile_changes")
