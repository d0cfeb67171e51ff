"""Create accounts, availabilities, appointments, and the guard against double bookings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.db.types import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OCCUPIES_TIME = "status NOT IN ('cancelled', 'noshow')"
STORED_TIME = (
    "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]"
)
TIMES = ("start_time", "end_time", "busy_start", "busy_end")
GUARDS = {
    "appointments_doctor_busy": ("doctor_id", "busy_start", "busy_end"),
    "appointments_patient_busy": ("patient_id", "start_time", "end_time"),
}


def upgrade() -> None:
    on_postgresql = op.get_context().dialect.name == "postgresql"
    if on_postgresql:
        # The extension is trusted, so the owner of the database can create it without being a superuser.
        op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")

    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("email_canonical", sa.String(254), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("credentials_version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.UniqueConstraint("email_canonical", name="users_email_canonical_key"),
    )

    op.create_table(
        "password_resets",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="password_resets_user_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name="password_resets_pkey"),
    )
    op.create_index("password_resets_expires_at_idx", "password_resets", ["expires_at"])
    op.create_index("password_resets_user_id_idx", "password_resets", ["user_id"])

    op.create_table(
        "doctors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("specialty", sa.String(100), nullable=True),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("default_visit_minutes", sa.Integer(), server_default="30", nullable=False),
        sa.Column("schedule_version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("name_key", sa.String(200), nullable=False),
        sa.Column("specialty_key", sa.String(200), nullable=True),
        sa.CheckConstraint("default_visit_minutes BETWEEN 5 AND 720", name=op.f("doctors_default_visit_minutes_check")),
        sa.ForeignKeyConstraint(["id"], ["users.id"], name="doctors_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="doctors_pkey"),
    )
    op.create_index("doctors_name_key_id_idx", "doctors", ["name_key", "id"])
    op.create_index("doctors_specialty_key_name_key_id_idx", "doctors", ["specialty_key", "name_key", "id"])

    op.create_table(
        "availabilities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("doctor_id", sa.Uuid(), nullable=False),
        sa.Column("starts", sa.DateTime(), nullable=False),
        sa.Column("starts_fold", sa.Integer(), nullable=False),
        sa.Column("ends", sa.DateTime(), nullable=False),
        sa.Column("ends_fold", sa.Integer(), nullable=False),
        sa.Column("recurrence", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("starts_fold IN (0, 1) AND ends_fold IN (0, 1)", name=op.f("availabilities_fold_check")),
        sa.ForeignKeyConstraint(
            ["doctor_id"], ["doctors.id"], name="availabilities_doctor_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="availabilities_pkey"),
    )
    op.create_index("availabilities_doctor_id_starts_id_idx", "availabilities", ["doctor_id", "starts", "id"])

    op.create_table(
        "appointments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("doctor_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("start_time", UtcDateTime(), nullable=False),
        sa.Column("end_time", UtcDateTime(), nullable=False),
        sa.Column("busy_start", UtcDateTime(), nullable=False),
        sa.Column("busy_end", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("cancelled_at", UtcDateTime(), nullable=True),
        sa.Column("cancelled_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "start_time < end_time AND busy_start <= start_time AND end_time <= busy_end",
            name=op.f("appointments_times_in_order_check"),
        ),
        sa.CheckConstraint(
            "(status = 'cancelled') = (cancelled_at IS NOT NULL)", name=op.f("appointments_cancelled_at_check")
        ),
        *([] if on_postgresql else [times_as_stored()]),
        *([exclusion(name, *columns) for name, columns in GUARDS.items()] if on_postgresql else []),
        sa.ForeignKeyConstraint(["cancelled_by"], ["users.id"], name="appointments_cancelled_by_fkey"),
        sa.ForeignKeyConstraint(["doctor_id"], ["doctors.id"], name="appointments_doctor_id_fkey"),
        sa.ForeignKeyConstraint(["patient_id"], ["users.id"], name="appointments_patient_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="appointments_pkey"),
    )
    op.create_index("appointments_doctor_id_start_time_id_idx", "appointments", ["doctor_id", "start_time", "id"])
    op.create_index("appointments_patient_id_start_time_id_idx", "appointments", ["patient_id", "start_time", "id"])
    if not on_postgresql:
        for name, columns in GUARDS.items():
            create_triggers(name, *columns)


def downgrade() -> None:
    for table in ("appointments", "availabilities", "doctors", "password_resets", "users"):
        op.drop_table(table)


def times_as_stored() -> sa.CheckConstraint:
    return sa.CheckConstraint(
        " AND ".join(f"{column} GLOB '{STORED_TIME}'" for column in TIMES),
        name=op.f("appointments_times_as_stored_check"),
    )


def exclusion(name: str, whose: str, start: str, end: str) -> postgresql.ExcludeConstraint:
    return postgresql.ExcludeConstraint(
        (sa.column(whose), "="),
        (sa.text(f"tstzrange({start}, {end}, '[)')"), "&&"),
        where=sa.text(OCCUPIES_TIME),
        using="gist",
        name=name,
    )


def create_triggers(name: str, whose: str, start: str, end: str) -> None:
    op.create_index(f"{name}_idx", "appointments", [whose, end], sqlite_where=sa.text(OCCUPIES_TIME))
    for change, itself in (("INSERT", "NEW.id"), ("UPDATE", "OLD.id")):
        op.execute(f"""
CREATE TRIGGER {name}_{change.lower()} BEFORE {change} ON appointments
WHEN NEW.{OCCUPIES_TIME}
BEGIN
    SELECT RAISE(ABORT, '{name}') FROM appointments
    WHERE {whose} = NEW.{whose} AND {OCCUPIES_TIME}
      AND {end} > NEW.{start} AND {start} < NEW.{end} AND id IS NOT {itself};
END""")
