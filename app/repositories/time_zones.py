"""Which releases of the time-zone data a database has been used with."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select, update

from app.db.database import Transaction
from app.db.guards import insert_or_ignore
from app.models import Doctor, TimeZoneRelease


async def list_releases(transaction: Transaction) -> Collection[str]:
    """The versions, in no particular order."""
    return (await transaction.scalars(select(TimeZoneRelease.version))).all()


async def insert_release(transaction: Transaction, version: str, now: datetime) -> None:
    """Records that a release is in use; does nothing if another process was faster."""
    values = {"version": version, "first_used_at": now, "applied_at": None}
    await insert_or_ignore(transaction, TimeZoneRelease, values)


async def is_release_pending(transaction: Transaction, version: str) -> bool:
    """Whether what was computed with older data has yet to be computed with this release."""
    pending = select(TimeZoneRelease.version).where(
        TimeZoneRelease.version == version, TimeZoneRelease.applied_at.is_(None)
    )
    return await transaction.scalar(pending) is not None


async def finish_release(transaction: Transaction, version: str, now: datetime) -> None:
    """Records that nothing computed with older data is left."""
    await transaction.execute(update(TimeZoneRelease).where(TimeZoneRelease.version == version).values(applied_at=now))


def has_newer_release(version: str) -> ColumnElement[bool]:
    """Whether the database has been used with newer data than these."""
    return exists().where(TimeZoneRelease.version > version)


async def list_doctor_ids(transaction: Transaction, *, after: UUID | None, limit: int) -> Sequence[UUID]:
    """The ids of all doctors, in their order, from ``after`` on."""
    doctors = select(Doctor.id).order_by(Doctor.id).limit(limit)
    if after is not None:
        doctors = doctors.where(Doctor.id > after)
    return (await transaction.scalars(doctors)).all()
