"""Add sessions, login attempts, second factors, suspension, approval and erasure."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("recovery_codes", "second_factors", "known_clients", "login_attempts", "refresh_tokens", "login_sessions")


def of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"{table}_user_id_fkey", ondelete="CASCADE")


def upgrade() -> None:
    op.add_column("users", sa.Column("suspended_at", UtcDateTime(), nullable=True))
    op.add_column("users", sa.Column("erased_at", UtcDateTime(), nullable=True))
    suspend = sa.text("UPDATE users SET suspended_at = :now WHERE NOT is_active")
    op.execute(suspend.bindparams(sa.bindparam("now", datetime.now(UTC), UtcDateTime())))
    op.drop_column("users", "is_active")
    op.drop_column("users", "credentials_version")
    op.add_column("doctors", sa.Column("approved_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE doctors SET approved_at = (SELECT created_at FROM users WHERE users.id = doctors.id)")

    op.create_table(
        "login_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("refreshed_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("second_factor", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("client_address", sa.String(64), nullable=False),
        sa.Column("user_agent", sa.String(200), nullable=False),
        of_user("login_sessions"),
        sa.PrimaryKeyConstraint("id", name="login_sessions_pkey"),
    )
    op.create_index("login_sessions_user_id_idx", "login_sessions", ["user_id"])
    op.create_index("login_sessions_expires_at_idx", "login_sessions", ["expires_at"])
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["login_sessions.id"], name="refresh_tokens_session_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name="refresh_tokens_pkey"),
    )
    op.create_index("refresh_tokens_session_id_idx", "refresh_tokens", ["session_id"])
    op.create_table(
        "login_attempts",
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("blocked_until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name="login_attempts_pkey"),
    )
    op.create_index("login_attempts_last_at_idx", "login_attempts", ["last_at"])
    op.create_table(
        "known_clients",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        of_user("known_clients"),
        sa.PrimaryKeyConstraint("user_id", "network", name="known_clients_pkey"),
    )
    op.create_table(
        "second_factors",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("last_step", sa.Integer(), server_default="0", nullable=False),
        of_user("second_factors"),
        sa.PrimaryKeyConstraint("user_id", name="second_factors_pkey"),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        of_user("recovery_codes"),
        sa.PrimaryKeyConstraint("code_hash", name="recovery_codes_pkey"),
    )
    op.create_index("recovery_codes_user_id_idx", "recovery_codes", ["user_id"])


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("doctors", "approved_at")
    op.add_column("users", sa.Column("credentials_version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("users", sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.execute("UPDATE users SET is_active = (suspended_at IS NULL AND erased_at IS NULL)")
    op.drop_column("users", "erased_at")
    op.drop_column("users", "suspended_at")
