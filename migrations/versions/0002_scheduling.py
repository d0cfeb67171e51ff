"""Add recurring availability, time off, visit types, limits, holds, the history of appointments, idempotency keys."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from app.db.types import UtcDateTime

revision = "0002"
down_revision = "0001"
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
PENDING = sa.text("status = 'pending'")
APPOINTMENT_CHECKS = {
    "appointments_status_check": ("status IN ('pending', 'booked', 'arrived', 'fulfilled', 'cancelled', 'noshow')"),
    "appointments_expires_at_check": "(status = 'pending') = (expires_at IS NOT NULL)",
}
APPOINTMENT_FOREIGN_KEYS = {
    "appointments_visit_type_id_fkey": ("visit_type_id", "visit_types"),
    "appointments_changed_by_fkey": ("changed_by", "users"),
}

DOCTOR_COLUMNS = (
    ("languages", sa.JSON(), sa.text("'[]'")),
    ("bio", sa.Text(), None),
    ("min_notice_minutes", sa.Integer(), "0"),
    ("max_advance_days", sa.Integer(), None),
    ("daily_limit", sa.Integer(), None),
    ("cancel_cutoff_minutes", sa.Integer(), "0"),
)


def on_postgresql() -> bool:
    return bool(op.get_context().dialect.name == "postgresql")


def upgrade() -> None:
    for name, type_, default in DOCTOR_COLUMNS:
        op.add_column("doctors", sa.Column(name, type_, server_default=default, nullable=default is None))

    op.create_table(
        "visit_types",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("doctor_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("duration_minutes", sa.Integer(), nullable=False),
        sa.Column("buffer_before_minutes", sa.Integer(), nullable=False),
        sa.Column("buffer_after_minutes", sa.Integer(), nullable=False),
        sa.Column("slot_step_minutes", sa.Integer(), nullable=True),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("min_notice_minutes", sa.Integer(), nullable=False),
        sa.Column("max_advance_days", sa.Integer(), nullable=True),
        sa.Column("daily_limit", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("withdrawn_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "duration_minutes BETWEEN 5 AND 720 AND buffer_before_minutes BETWEEN 0 AND 240 "
            "AND buffer_after_minutes BETWEEN 0 AND 240",
            name=op.f("visit_types_lengths_check"),
        ),
        sa.ForeignKeyConstraint(["doctor_id"], ["doctors.id"], name="visit_types_doctor_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="visit_types_pkey"),
    )
    offered = sa.text("withdrawn_at IS NULL")
    op.create_index(
        "visit_types_offered_idx",
        "visit_types",
        ["doctor_id", "id"],
        postgresql_where=offered,
        sqlite_where=offered,
    )

    op.create_table(
        "time_off",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("doctor_id", sa.Uuid(), nullable=False),
        sa.Column("starts", sa.DateTime(), nullable=False),
        sa.Column("starts_fold", sa.Integer(), nullable=False),
        sa.Column("ends", sa.DateTime(), nullable=False),
        sa.Column("ends_fold", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("starts_fold IN (0, 1) AND ends_fold IN (0, 1)", name=op.f("time_off_fold_check")),
        sa.ForeignKeyConstraint(["doctor_id"], ["doctors.id"], name="time_off_doctor_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="time_off_pkey"),
    )
    op.create_index("time_off_doctor_id_starts_id_idx", "time_off", ["doctor_id", "starts", "id"])
    op.create_index("time_off_doctor_id_ends_idx", "time_off", ["doctor_id", "ends"])

    if on_postgresql():
        op.add_column("availabilities", sa.Column("last_ends", sa.DateTime(), nullable=True))
        op.execute("UPDATE availabilities SET last_ends = ends")
        op.alter_column("availabilities", "last_ends", nullable=False)
        op.add_column(
            "availabilities", sa.Column("weekly_hours", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        for added in new_appointment_columns():
            op.add_column("appointments", added)
        for name, condition in APPOINTMENT_CHECKS.items():
            op.create_check_constraint(op.f(name), "appointments", condition)
        for name, (source, target) in APPOINTMENT_FOREIGN_KEYS.items():
            op.create_foreign_key(name, "appointments", target, [source], ["id"])
    else:
        rebuild("availabilities", availabilities(weekly=True), {"last_ends": "ends", "weekly_hours": "0"})
        index_availabilities()
        rebuild("appointments", appointments(scheduling=True), {"version": "1"})
        guard_appointments()
    op.create_index("availabilities_doctor_id_last_ends_idx", "availabilities", ["doctor_id", "last_ends"])
    for column in ("doctor_id", "patient_id"):
        op.create_index(
            f"appointments_pending_{column}_idx",
            "appointments",
            [column],
            postgresql_where=PENDING,
            sqlite_where=PENDING,
        )

    op.create_table(
        "appointment_versions",
        sa.Column("appointment_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("start_time", UtcDateTime(), nullable=False),
        sa.Column("end_time", UtcDateTime(), nullable=False),
        sa.Column("visit_type_id", sa.Uuid(), nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["appointment_id"],
            ["appointments.id"],
            name="appointment_versions_appointment_id_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["visit_type_id"], ["visit_types.id"], name="appointment_versions_visit_type_id_fkey"),
        sa.ForeignKeyConstraint(["changed_by"], ["users.id"], name="appointment_versions_changed_by_fkey"),
        sa.PrimaryKeyConstraint("appointment_id", "version", name="appointment_versions_pkey"),
    )
    # A cancelled appointment was booked before, so it gets two versions.
    op.execute(
        "INSERT INTO appointment_versions "
        "(appointment_id, version, status, start_time, end_time, changed_at, changed_by) "
        "SELECT id, 1, 'booked', start_time, end_time, created_at, patient_id FROM appointments "
        "WHERE status = 'cancelled'"
    )
    op.execute(
        "UPDATE appointments SET version = 2, changed_at = cancelled_at, changed_by = cancelled_by "
        "WHERE status = 'cancelled'"
    )

    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("etag", sa.String(32), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="idempotency_keys_user_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),
    )
    op.create_index("idempotency_keys_created_at_idx", "idempotency_keys", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("appointment_versions")
    # Older versions of the application do not know holds.
    op.execute("DELETE FROM appointments WHERE status = 'pending'")
    # They do not know recurrence either, and would only open the first occurrence.
    op.execute("DELETE FROM availabilities WHERE recurrence IS NOT NULL")
    for column in ("doctor_id", "patient_id"):
        op.drop_index(f"appointments_pending_{column}_idx", "appointments")
    op.drop_index("availabilities_doctor_id_last_ends_idx", "availabilities")
    if on_postgresql():
        for name in (*APPOINTMENT_CHECKS, *APPOINTMENT_FOREIGN_KEYS):
            op.drop_constraint(op.f(name), "appointments")
        for added in new_appointment_columns():
            op.drop_column("appointments", added.name)
        op.drop_column("availabilities", "weekly_hours")
        op.drop_column("availabilities", "last_ends")
    else:
        rebuild("appointments", appointments(scheduling=False), {})
        guard_appointments()
        rebuild("availabilities", availabilities(weekly=False), {})
        index_availabilities()
    op.drop_table("time_off")
    op.drop_table("visit_types")
    for name, _, _ in DOCTOR_COLUMNS:
        op.drop_column("doctors", name)


def new_appointment_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("visit_type_id", sa.Uuid(), nullable=True),
        sa.Column("cancel_reason", sa.String(500), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=True),
        sa.Column("changed_by", sa.Uuid(), nullable=True),
    ]


# SQLite cannot add a constraint to a table, so the table is rebuilt there.


def rebuild(table: str, parts: list[SchemaItem], filled: dict[str, str]) -> None:
    """Rebuild a table from its ``parts`` and keep its rows. ``filled`` has the values of new columns."""
    op.rename_table(table, "old")
    old = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("old")}
    new = op.create_table(table, *parts)
    sources = {column.name: column.name for column in new.columns if column.name in old} | filled
    op.execute(f"INSERT INTO {table} ({', '.join(sources)}) SELECT {', '.join(sources.values())} FROM old")
    op.drop_table("old")


def availabilities(*, weekly: bool) -> list[SchemaItem]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("doctor_id", sa.Uuid(), nullable=False),
        sa.Column("starts", sa.DateTime(), nullable=False),
        sa.Column("starts_fold", sa.Integer(), nullable=False),
        sa.Column("ends", sa.DateTime(), nullable=False),
        sa.Column("ends_fold", sa.Integer(), nullable=False),
        sa.Column("recurrence", sa.Text(), nullable=True),
        *([sa.Column("last_ends", sa.DateTime(), nullable=False)] if weekly else []),
        *([sa.Column("weekly_hours", sa.Boolean(), server_default=sa.false(), nullable=False)] if weekly else []),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("starts_fold IN (0, 1) AND ends_fold IN (0, 1)", name=op.f("availabilities_fold_check")),
        sa.ForeignKeyConstraint(
            ["doctor_id"], ["doctors.id"], name="availabilities_doctor_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="availabilities_pkey"),
    ]


def appointments(*, scheduling: bool) -> list[SchemaItem]:
    checks = {
        "appointments_times_in_order_check": (
            "start_time < end_time AND busy_start <= start_time AND end_time <= busy_end"
        ),
        "appointments_cancelled_at_check": "(status = 'cancelled') = (cancelled_at IS NOT NULL)",
        "appointments_times_as_stored_check": " AND ".join(f"{column} GLOB '{STORED_TIME}'" for column in TIMES),
    }
    foreign_keys = {
        "appointments_cancelled_by_fkey": ("cancelled_by", "users"),
        "appointments_doctor_id_fkey": ("doctor_id", "doctors"),
        "appointments_patient_id_fkey": ("patient_id", "users"),
    }
    if scheduling:
        checks |= APPOINTMENT_CHECKS
        foreign_keys |= APPOINTMENT_FOREIGN_KEYS
    return [
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
        *(new_appointment_columns() if scheduling else []),
        *(sa.CheckConstraint(condition, name=op.f(name)) for name, condition in checks.items()),
        *(
            sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name)
            for name, (column, target) in foreign_keys.items()
        ),
        sa.PrimaryKeyConstraint("id", name="appointments_pkey"),
    ]


def index_availabilities() -> None:
    op.create_index("availabilities_doctor_id_starts_id_idx", "availabilities", ["doctor_id", "starts", "id"])


def guard_appointments() -> None:
    """Create the indexes and triggers of the first revision again, which were dropped with the old table."""
    for whose in ("doctor_id", "patient_id"):
        op.create_index(f"appointments_{whose}_start_time_id_idx", "appointments", [whose, "start_time", "id"])
    for name, (whose, start, end) in GUARDS.items():
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
