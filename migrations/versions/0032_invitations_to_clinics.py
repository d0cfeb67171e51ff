"""Let invitations lead to a clinic, so that one address can have an invitation to each clinic.

The table is created again, because SQLite cannot drop a constraint. It is small: invitations expire after a week, and
their number is limited.
"""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

INVITATIONS = sa.table(
    "invitations",
    sa.column("id", sa.Uuid()),
    sa.column("role", sa.String()),
    sa.column("email", sa.String()),
    sa.column("email_canonical", sa.String()),
    sa.column("name", sa.String()),
    sa.column("specialty", sa.String()),
    sa.column("time_zone", sa.String()),
    sa.column("token_hash", sa.String()),
    sa.column("created_at", UtcDateTime()),
    sa.column("created_by", sa.Uuid()),
    sa.column("expires_at", UtcDateTime()),
)
"""The columns of both versions of the table."""


def upgrade() -> None:
    create_again(
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("member_role", sa.String(16), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="invitations_clinic_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint("(clinic_id IS NULL) = (member_role IS NULL)", name="member_role"),
        kept=sa.true(),
    )
    for name, columns, condition in (
        ("invitations_email_canonical_key", ["email_canonical"], sa.text("clinic_id IS NULL")),
        ("invitations_clinic_id_email_canonical_key", ["clinic_id", "email_canonical"], None),
    ):
        op.create_index(name, "invitations", columns, unique=True, postgresql_where=condition, sqlite_where=condition)


def downgrade() -> None:
    create_again(
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.UniqueConstraint("email_canonical", name="invitations_email_canonical_key"),
        kept=sa.text("clinic_id IS NULL"),
    )


def create_again(*parts: sa.Column[object] | sa.Constraint, kept: sa.ColumnElement[bool] | sa.TextClause) -> None:
    bind = op.get_bind()
    rows = [dict(row) for row in bind.execute(sa.select(INVITATIONS).where(kept)).mappings()]
    op.drop_table("invitations")
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
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        *parts,
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="invitations_created_by_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="invitations_pkey"),
        sa.UniqueConstraint("token_hash", name="invitations_token_hash_key"),
    )
    op.create_index("invitations_created_by_idx", "invitations", ["created_by"])
    op.create_index("invitations_expires_at_idx", "invitations", ["expires_at"])
    if rows:
        op.bulk_insert(INVITATIONS, rows)
