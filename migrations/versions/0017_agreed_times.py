"""Store the local time and the time zone in which a visit was agreed (ADR 0040)."""

import zoneinfo
from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

from app.db.types import UtcDateTime
from migrations.frozen import batches

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without a batch: on SQLite a batch would rebuild the table without its triggers.
    op.add_column("appointments", sa.Column("agreed_local_start", sa.DateTime(), nullable=True))
    op.add_column("appointments", sa.Column("agreed_time_zone", sa.String(64), nullable=True))
    fill()


def downgrade() -> None:
    op.drop_column("appointments", "agreed_time_zone")
    op.drop_column("appointments", "agreed_local_start")


def fill() -> None:
    """Fill in future visits with the time-zone data that were in use until now, those of the operating system."""
    appointments = sa.table(
        "appointments",
        sa.column("id", sa.Uuid()),
        sa.column("doctor_id", sa.Uuid()),
        sa.column("start_time", UtcDateTime()),
        sa.column("agreed_local_start", sa.DateTime()),
        sa.column("agreed_time_zone", sa.String()),
    )
    doctors = sa.table("doctors", sa.column("id", sa.Uuid()), sa.column("time_zone", sa.String()))
    connection = op.get_bind()
    zones = read_zones(connection.scalars(sa.select(doctors.c.time_zone).distinct()).all())
    ahead = (
        sa.select(appointments.c.id, appointments.c.start_time, doctors.c.time_zone)
        .join_from(appointments, doctors, appointments.c.doctor_id == doctors.c.id)
        .where(appointments.c.start_time > datetime.now(UTC), doctors.c.time_zone.in_(zones))
    )
    update = (
        sa.update(appointments)
        .where(appointments.c.id == sa.bindparam("appointment"))
        .values(agreed_local_start=sa.bindparam("shown"), agreed_time_zone=sa.bindparam("zone"))
    )
    for rows in batches(ahead, appointments.c.id):
        agreed = [
            {
                "appointment": row.id,
                "shown": row.start_time.astimezone(zones[row.time_zone]).replace(tzinfo=None),
                "zone": row.time_zone,
            }
            for row in rows
        ]
        connection.execute(update, agreed)


def read_zones(names: Iterable[str]) -> dict[str, ZoneInfo]:
    pinned = zoneinfo.TZPATH
    zoneinfo.reset_tzpath()
    try:
        return {name: zone for name in names if (zone := read_zone(name))}
    finally:
        zoneinfo.reset_tzpath(pinned)


def read_zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo.no_cache(name)
    except (KeyError, ValueError, OSError):
        return None
