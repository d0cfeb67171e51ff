"""A doctor's rules for being open, and the free time that follows from them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from app.core.errors import DomainError, invalid_field
from app.core.permissions import Actor
from app.repositories import appointments, availabilities, doctors
from app.repositories.availabilities import AvailabilityRecord
from app.repositories.doctors import DoctorRecord
from app.scheduling.availability import Availability, open_windows
from app.scheduling.decisions import LONGEST_AVAILABILITY, free_windows
from app.scheduling.intervals import DAY, Interval, to_instant
from app.scheduling.zones import wall_time

USUAL_LISTING = 14 * DAY
LONGEST_LISTING = 62 * DAY


async def publish_availability(
    session: AsyncSession, actor: Actor, *, start: datetime, end: datetime, now: datetime
) -> tuple[DoctorRecord, AvailabilityRecord]:
    """Opens ``[start, end)``. ``availability_overlaps`` if any of it is open already; touching is allowed."""
    wanted = to_instant(start), to_instant(end)
    if wanted[0] < to_instant(now):
        raise invalid_field("start_time", "must not be in the past")
    if wanted[0] >= wanted[1]:
        raise invalid_field("end_time", "must be after start_time")
    if wanted[1] - wanted[0] > LONGEST_AVAILABILITY:
        raise invalid_field("end_time", "must be at most 7 days after start_time")
    await doctors.begin_rule_change(session, actor.id)
    plan = await doctors.get_plan(session, actor.id, wanted)
    if open_windows(plan.rules, wanted):
        raise DomainError("availability_overlaps")
    starts, ends = (wall_time(instant, plan.rules.zone) for instant in wanted)
    availability = AvailabilityRecord(uuid7(), Availability(starts, ends))
    await availabilities.insert_availability(session, actor.id, availability, now)
    return plan.doctor, availability


async def withdraw_availability(session: AsyncSession, actor: Actor, availability_id: UUID) -> None:
    """Closes a window of the actor's own; what is booked in it stays booked. ``not_found`` if it is not hers."""
    await doctors.begin_rule_change(session, actor.id)
    if not await availabilities.delete_availability(session, actor.id, availability_id):
        raise DomainError("not_found")


async def list_free_windows(
    session: AsyncSession, doctor_id: UUID, *, start: datetime | None, end: datetime | None, now: datetime
) -> list[Interval]:
    """When a doctor can be booked inside ``[start, end)``; the booking accepts whatever lies within one of them.

    From now unless ``start`` is given, for 14 days unless ``end`` is; at most 62 days.
    """
    first = to_instant(start or now)
    last = to_instant(end) if end else first + USUAL_LISTING
    if not first < last <= first + LONGEST_LISTING:
        raise invalid_field("to", "must be after from, by at most 62 days")
    plan = await doctors.get_plan(session, doctor_id, (first, last))
    busy = await appointments.list_busy(session, doctor_id, (first, last))
    return free_windows(plan.rules, busy, (first, last), to_instant(now))
