"""The releases of the time-zone data with which the database has been used (ADR 0028)."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select, update

from app.db.database import Transaction
from app.db.guards import insert_or_ignore
from app.models import Doctor, TimeZoneRelease


async def list_releases(transaction: Transaction) -> Collection[str]:
    """Return the versions of all releases, in no particular order."""
    return (await transaction.scalars(select(TimeZoneRelease.version))).all()


async def insert_release(transaction: Transaction, version: str, now: datetime) -> None:
    """Record that a release is in use. Does nothing if another process has recorded it already."""
    values = {"version": version, "first_used_at": now, "applied_at": None}
    await insert_or_ignore(transaction, TimeZoneRelease, values)


async def is_release_pending(transaction: Transaction, version: str) -> bool:
    """Return whether results that were computed with older data have not been discarded yet."""
    pending = select(TimeZoneRelease.version).where(
        TimeZoneRelease.version == version, TimeZoneRelease.applied_at.is_(None)
    )
    return await transaction.scalar(pending) is not None


async def finish_release(transaction: Transaction, version: str, now: datetime) -> None:
    """Record that all results that were computed with older data have been discarded."""
    await transaction.execute(update(TimeZoneRelease).where(TimeZoneRelease.version == version).values(applied_at=now))


def has_newer_release(version: str) -> ColumnElement[bool]:
    """Return a condition that is true if the database has been used with newer time-zone data."""
    return exists().where(TimeZoneRelease.version > version)


async def list_doctor_ids(transaction: Transaction, *, after: UUID | None, limit: int) -> Sequence[UUID]:
    """Return the ids of doctors, in order, after ``after``."""
    doctors = select(Doctor.id).order_by(Doctor.id).limit(limit)
    if after is not None:
        doctors = doctors.where(Doctor.id > after)
    return (await transaction.scalars(doctors)).all()
