"""Recognise devices that have logged in by a cookie instead of their network, and count wrong codes separately."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Deleting the counts is harmless, because they are deleted after a day anyway.
    op.drop_table("login_attempts")
    create_attempts(sa.Column("group_hash", sa.String(64), nullable=False))
    op.create_index("login_attempts_group_hash_idx", "login_attempts", ["group_hash"])
    op.drop_table("known_clients")
    create_known("known_devices", "device_hash", sa.Column("second_factor", sa.Boolean(), nullable=False))


def downgrade() -> None:
    op.drop_table("known_devices")
    create_known("known_clients", "network")
    op.drop_table("login_attempts")
    create_attempts()


def create_attempts(*added: sa.Column[str]) -> None:
    op.create_table(
        "login_attempts",
        sa.Column("key_hash", sa.String(64), nullable=False),
        *added,
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("blocked_until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name="login_attempts_pkey"),
    )
    op.create_index("login_attempts_last_at_idx", "login_attempts", ["last_at"])


def create_known(table: str, column: str, *added: sa.Column[bool]) -> None:
    op.create_table(
        table,
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(column, sa.String(64), nullable=False),
        *added,
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"{table}_user_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", column, name=f"{table}_pkey"),
    )
