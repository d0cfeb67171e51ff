"""Which releases of the time-zone data a database has been used with."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select, update

from app.db.guards import insert_unless_taken
from app.db.session import Session
from app.models import Doctor, TimeZoneRelease


async def list_releases(session: Session) -> Collection[str]:
    """The versions, in no particular order."""
    return (await session.scalars(select(TimeZoneRelease.version))).all()


async def insert_release(session: Session, version: str, now: datetime) -> None:
    """Records that a release is in use; does nothing if another process was faster."""
    values = {"version": version, "first_used_at": now, "applied_at": None}
    await insert_unless_taken(session, TimeZoneRelease, values)


async def is_release_pending(session: Session, version: str) -> bool:
    """Whether what was computed with older data has yet to be computed with this release."""
    pending = select(TimeZoneRelease.version).where(
        TimeZoneRelease.version == version, TimeZoneRelease.applied_at.is_(None)
    )
    return await session.scalar(pending) is not None


async def finish_release(session: Session, version: str, now: datetime) -> None:
    """Records that nothing computed with older data is left."""
    await session.execute(update(TimeZoneRelease).where(TimeZoneRelease.version == version).values(applied_at=now))


def has_newer_release(version: str) -> ColumnElement[bool]:
    """Whether the database has been used with newer data than these."""
    return exists().where(TimeZoneRelease.version > version)


async def list_doctor_ids(session: Session, *, after: UUID | None, limit: int) -> Sequence[UUID]:
    """The ids of all doctors, in their order, from ``after`` on."""
    doctors = select(Doctor.id).order_by(Doctor.id).limit(limit)
    if after is not None:
        doctors = doctors.where(Doctor.id > after)
    return (await session.scalars(doctors)).all()
