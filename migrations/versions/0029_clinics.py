"""Add clinics, their doctors, and their members with roles and scopes."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clinics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("public_name", sa.String(100), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("locale", sa.String(35), nullable=False),
        sa.Column("booking", sa.String(16), server_default="everybody", nullable=False),
        sa.Column("desk_may_overbook", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="clinics_pkey"),
    )
    op.create_table(
        "clinic_doctors",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("doctor_id", sa.Uuid(), nullable=False),
        sa.Column("listed", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("travel_minutes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("desk_sets_hours", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("travel_minutes BETWEEN 0 AND 240", name="travel_minutes"),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], name="clinic_doctors_clinic_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["doctor_id"], ["doctors.id"], name="clinic_doctors_doctor_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("clinic_id", "doctor_id", name="clinic_doctors_pkey"),
    )
    op.create_index("clinic_doctors_doctor_id_idx", "clinic_doctors", ["doctor_id"])
    op.create_table(
        "members",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="members_clinic_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="members_user_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="members_created_by_fkey"),
        sa.PrimaryKeyConstraint("clinic_id", "user_id", "role", name="members_pkey"),
    )
    op.create_index("members_user_id_idx", "members", ["user_id"])
    op.create_table(
        "member_scopes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("doctor_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name="member_scopes_clinic_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="member_scopes_user_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["doctor_id"], ["doctors.id"], name="member_scopes_doctor_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="member_scopes_pkey"),
    )
    op.create_index("member_scopes_key", "member_scopes", ["clinic_id", "user_id", "doctor_id"], unique=True)


def downgrade() -> None:
    for table in ("member_scopes", "members", "clinic_doctors", "clinics"):
        op.drop_table(table)
