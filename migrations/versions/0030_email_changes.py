"""Add the requests to change an email address."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "email_changes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="email_changes_user_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name="email_changes_pkey"),
    )
    op.create_index("email_changes_expires_at_idx", "email_changes", ["expires_at"])


def downgrade() -> None:
    op.drop_table("email_changes")
