"""Let stored responses contain long ETags: those made from content are longer than counters."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    change_etag(sa.Text())


def downgrade() -> None:
    # Delete responses with long ETags, because an older version would truncate them.
    op.execute("DELETE FROM idempotency_keys WHERE length(etag) > 32")
    change_etag(sa.String(32))


def change_etag(type_: sa.types.TypeEngine[str]) -> None:
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("idempotency_keys", "etag", type_=type_)
        return
    # SQLite cannot change a column, and a batch of Alembic would write the definition of the table in another form.
    op.drop_index("idempotency_keys_created_at_idx", "idempotency_keys")
    op.rename_table("idempotency_keys", "idempotency_keys_before")
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("etag", type_, nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="idempotency_keys_user_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),
    )
    op.execute(
        "INSERT INTO idempotency_keys (user_id, key, request_hash, status, etag, body, created_at) "
        "SELECT user_id, key, request_hash, status, etag, body, created_at FROM idempotency_keys_before"
    )
    op.drop_table("idempotency_keys_before")
    op.create_index("idempotency_keys_created_at_idx", "idempotency_keys", ["created_at"])
