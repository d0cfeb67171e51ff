"""Add guardians, who act for other patients."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "guardians",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("guardian_id", sa.Uuid(), nullable=False),
        sa.Column("relation", sa.String(16), nullable=False),
        sa.Column("may_book", sa.Boolean(), nullable=False),
        sa.Column("may_see", sa.Boolean(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("patient_id <> guardian_id", name=op.f("guardians_not_oneself_check")),
        sa.CheckConstraint("may_see OR NOT may_book", name=op.f("guardians_who_books_sees_check")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name="guardians_patient_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["guardian_id"], ["patients.id"], name="guardians_guardian_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="guardians_created_by_fkey"),
        sa.PrimaryKeyConstraint("patient_id", "guardian_id", name="guardians_pkey"),
    )
    op.create_index("guardians_guardian_id_idx", "guardians", ["guardian_id"])


def downgrade() -> None:
    op.drop_table("guardians")
