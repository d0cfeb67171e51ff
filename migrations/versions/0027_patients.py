"""Add patients as records: one for each account of a patient, with the same id. Appointments refer to them."""

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None
begins_transaction = True  # 0026 has locked appointments, which must be readable while patients are copied

COPY = """
INSERT INTO patients (id, user_id, name, name_key, created_at, erased_at)
SELECT id, id, name, name_key, created_at, erased_at FROM users
WHERE (role = 'patient' OR EXISTS (SELECT 1 FROM appointments WHERE appointments.patient_id = users.id))
  AND NOT EXISTS (SELECT 1 FROM patients WHERE patients.id = users.id)"""
OF_APPOINTMENTS = "CONSTRAINT appointments_patient_id_fkey FOREIGN KEY(patient_id) REFERENCES {} (id)"


def upgrade() -> None:
    op.create_table(
        "patients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_key", sa.String(200), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("phone", sa.String(16), nullable=True),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("locale", sa.String(35), nullable=True),
        sa.Column("time_zone", sa.String(64), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("erased_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="patients_pkey"),
        sa.UniqueConstraint("user_id", name="patients_user_id_key"),
        *(
            ()
            if on_postgresql()
            else [sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="patients_user_id_fkey", ondelete="CASCADE")]
        ),
    )
    op.execute(COPY)
    if on_postgresql():
        # From here on, writes wait until the commit, so only what is new since the first copy is copied, and 0028
        # reads the rows to check them.
        op.execute(
            "ALTER TABLE patients ADD CONSTRAINT patients_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) "
            "ON DELETE CASCADE NOT VALID"
        )
        op.execute(COPY)
        refer_to("patients", valid=False)
    else:
        change_stored_schema("users", "patients")


def downgrade() -> None:
    without_account = op.get_bind().scalar(sa.text("SELECT count(*) FROM patients WHERE user_id IS NULL"))
    if without_account:
        raise RuntimeError(f"{without_account} patients have no account and would be lost; delete them first")
    if on_postgresql():
        refer_to("users", valid=True)
    else:
        change_stored_schema("patients", "users")
    op.drop_table("patients")


def on_postgresql() -> bool:
    return bool(op.get_context().dialect.name == "postgresql")


def refer_to(table: str, *, valid: bool) -> None:
    op.execute(
        "ALTER TABLE appointments DROP CONSTRAINT appointments_patient_id_fkey, "
        f"ADD {OF_APPOINTMENTS.format(table)}{'' if valid else ' NOT VALID'}"
    )


def change_stored_schema(old: str, new: str) -> None:
    """Change the table that the foreign key of appointments refers to, without copying the appointments.

    SQLite documents this procedure for changes of constraints: https://www.sqlite.org/lang_altertable.html#otheralter
    """
    bind = op.get_bind()
    version = bind.scalar(sa.text("PRAGMA schema_version"))
    bind.execute(sa.text("PRAGMA writable_schema = ON"))
    changed = bind.scalar(
        sa.text(
            "UPDATE sqlite_schema SET sql = replace(sql, :old, :new) "
            "WHERE type = 'table' AND name = 'appointments' AND instr(sql, :old) RETURNING 1"
        ),
        {"old": OF_APPOINTMENTS.format(old), "new": OF_APPOINTMENTS.format(new)},
    )
    # Other connections read the schema again when its version has changed; RESET does it for this one.
    bind.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    bind.execute(sa.text("PRAGMA writable_schema = RESET"))
    broken = bind.execute(sa.text("PRAGMA foreign_key_check(appointments)")).first()
    if not changed or broken:
        raise RuntimeError("the foreign key of appointments.patient_id could not be changed")
