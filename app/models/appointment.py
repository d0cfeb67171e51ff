"""Appointments, and the guards that make double bookings impossible (docs/booking.md)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DDL, CheckConstraint, DateTime, ForeignKey, Index, String, Table, event, func, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.db.types import UtcDateTime, stored_enum
from app.scheduling.status import AppointmentStatus

# Made from the enum, so that the guard and the statuses cannot differ (ADR 0001).
_FREE = ", ".join(f"'{status.value}'" for status in AppointmentStatus if not status.occupies_time)
OCCUPIES_TIME = f"status NOT IN ({_FREE})"
PENDING = text("status = 'pending'")
_TIMES = ("start_time", "end_time", "busy_start", "busy_end")
_STORED_TIME = (
    "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]"
)


class Appointment(Base):
    """A commitment between a doctor and a patient, for ``[start_time, end_time)``.

    ``[busy_start, busy_end)`` is the doctor's busy period: the visit and the buffers around it.
    """

    __tablename__ = "appointments"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # Without ON DELETE: an erasure keeps the rows of the account and of its visits (ADR 0015).
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("doctors.id"))
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patients.id"))
    start_time: Mapped[datetime] = mapped_column(UtcDateTime)
    end_time: Mapped[datetime] = mapped_column(UtcDateTime)
    busy_start: Mapped[datetime] = mapped_column(UtcDateTime)
    busy_end: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[AppointmentStatus] = mapped_column(stored_enum(AppointmentStatus))
    reason: Mapped[str | None] = mapped_column(String(500))
    visit_type_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit_types.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    booked_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    """Who booked it, or created the hold. ``NULL`` if it was booked before this was stored: then the patient did."""
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    cancel_reason: Mapped[str | None] = mapped_column(String(500))
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a hold (``pending``) expires; ``NULL`` in all other states."""
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Incremented by every change. The previous state is kept as an ``AppointmentVersion``."""
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    changed_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    """When this version was made, and by whom. ``NULL`` for the first, which ``booked_by`` made at ``created_at``."""
    agreed_local_start: Mapped[datetime | None] = mapped_column(DateTime())
    agreed_time_zone: Mapped[str | None] = mapped_column(String(64))
    """The local start and the time zone of the doctor when the time was agreed (ADR 0040)."""

    __table_args__ = (
        CheckConstraint(
            "start_time < end_time AND busy_start <= start_time AND end_time <= busy_end",
            name="times_in_order",
        ),
        CheckConstraint(f"status IN ({', '.join(repr(status.value) for status in AppointmentStatus)})", name="status"),
        CheckConstraint("(status = 'cancelled') = (cancelled_at IS NOT NULL)", name="cancelled_at"),
        CheckConstraint("(status = 'pending') = (expires_at IS NOT NULL)", name="expires_at"),
        # SQLite compares times as text, so the guard would miss a time that is stored in another format.
        CheckConstraint(
            " AND ".join(f"{column} GLOB '{_STORED_TIME}'" for column in _TIMES), name="times_as_stored"
        ).ddl_if(dialect="sqlite"),
        # In the order of the lists of doctors and patients, which are paged by start and id.
        Index(None, "doctor_id", "start_time", "id"),
        Index(None, "patient_id", "start_time", "id"),
        *(
            Index(f"appointments_pending_{column}_idx", column, postgresql_where=PENDING, sqlite_where=PENDING)
            for column in ("doctor_id", "patient_id")
        ),
    )


class AppointmentVersion(Base):
    """The state of an appointment before a change. The newest version is the appointment itself."""

    __tablename__ = "appointment_versions"

    appointment_id: Mapped[UUID] = mapped_column(ForeignKey("appointments.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[AppointmentStatus] = mapped_column(stored_enum(AppointmentStatus))
    start_time: Mapped[datetime] = mapped_column(UtcDateTime)
    end_time: Mapped[datetime] = mapped_column(UtcDateTime)
    visit_type_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit_types.id"))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))


# One guard is for the doctor's time, one for the patient's. On PostgreSQL they are exclusion constraints, on SQLite
# triggers with the same names, for inserts and updates. No writer can bypass them.
GUARDS = {
    "appointments_doctor_busy": ("doctor_id", "busy_start", "busy_end"),
    "appointments_patient_busy": ("patient_id", "start_time", "end_time"),
}


def _guard(table: Table, name: str, person: str, start: str, end: str) -> None:
    c = table.c
    # Half-open: visits that touch do not overlap.
    period = func.tstzrange(c[start], c[end], text("'[)'"))
    ExcludeConstraint((c[person], "="), (period, "&&"), where=text(OCCUPIES_TIME), name=name).ddl_if(
        dialect="postgresql"
    )
    # The triggers scan this index, beginning at the start of the new period.
    Index(f"{name}_idx", c[person], c[end], sqlite_where=text(OCCUPIES_TIME)).ddl_if(dialect="sqlite")
    # An updated row does not conflict with itself.
    for change, itself in (("INSERT", "NEW.id"), ("UPDATE", "OLD.id")):
        trigger = f"""
CREATE TRIGGER {name}_{change.lower()} BEFORE {change} ON {table.name}
WHEN NEW.{OCCUPIES_TIME}
BEGIN
    SELECT RAISE(ABORT, '{name}') FROM {table.name}
    WHERE {person} = NEW.{person} AND {OCCUPIES_TIME}
      AND {end} > NEW.{start} AND {start} < NEW.{end} AND id IS NOT {itself};
END"""  # noqa: S608 - made of constants
        ddl = DDL(trigger)  # type: ignore[no-untyped-call] # SQLAlchemy does not annotate it
        event.listen(table, "after_create", ddl.execute_if(dialect="sqlite"))


for _name, _columns in GUARDS.items():
    _guard(Base.metadata.tables["appointments"], _name, *_columns)
