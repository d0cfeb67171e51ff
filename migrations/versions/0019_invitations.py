"""Add invitations of doctors by administrators."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_canonical", sa.String(254), nullable=False),
        sa.Column("name", sa.String(100), nullable=True),
        sa.Column("specialty", sa.String(100), nullable=True),
        sa.Column("time_zone", sa.String(64), nullable=True),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="invitations_created_by_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="invitations_pkey"),
        sa.UniqueConstraint("email_canonical", name="invitations_email_canonical_key"),
        sa.UniqueConstraint("token_hash", name="invitations_token_hash_key"),
    )
    op.create_index("invitations_created_by_idx", "invitations", ["created_by"])
    op.create_index("invitations_expires_at_idx", "invitations", ["expires_at"])


def downgrade() -> None:
    op.drop_table("invitations")
