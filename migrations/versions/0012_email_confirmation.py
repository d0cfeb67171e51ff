"""Add the confirmation of email addresses and the counts of messages. Existing accounts count as confirmed."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("email_confirmed_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE users SET email_confirmed_at = created_at WHERE erased_at IS NULL")
    op.create_table(
        "email_confirmations",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="email_confirmations_user_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name="email_confirmations_pkey"),
    )
    op.create_table(
        "mail_counts",
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("hour_began_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name="mail_counts_pkey"),
    )
    op.create_index("mail_counts_hour_began_at_idx", "mail_counts", ["hour_began_at"])


def downgrade() -> None:
    op.drop_table("mail_counts")
    op.drop_table("email_confirmations")
    op.drop_column("users", "email_confirmed_at")
