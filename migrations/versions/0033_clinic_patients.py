"""Add the patients whom a clinic knows, and the words by which its members find them."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clinic_patients",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("file_number", sa.String(40), nullable=True),
        sa.Column("note", sa.String(500), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], name="clinic_patients_clinic_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patients.id"], name="clinic_patients_patient_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="clinic_patients_created_by_fkey"),
        sa.PrimaryKeyConstraint("clinic_id", "patient_id", name="clinic_patients_pkey"),
    )
    op.create_index("clinic_patients_patient_id_idx", "clinic_patients", ["patient_id"])
    op.create_index("clinic_patients_file_number_key", "clinic_patients", ["clinic_id", "file_number"], unique=True)
    op.create_table(
        "patient_words",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql"), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["clinic_patients.clinic_id", "clinic_patients.patient_id"],
            name="patient_words_patient_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "word", "patient_id", name="patient_words_pkey"),
    )
    op.create_index("patient_words_patient_idx", "patient_words", ["patient_id"])


def downgrade() -> None:
    op.drop_table("patient_words")
    op.drop_table("clinic_patients")
