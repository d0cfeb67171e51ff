"""Visits whose time on the doctor's clock has changed since it was agreed, because the zone's rules have (ADR 0040)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from app.core.errors import DomainError
from app.core.permissions import Actor
from app.core.time_zones import find_zone, get_zone
from app.db.database import Transaction
from app.repositories import appointments, bookings
from app.repositories.appointments import AppointmentRecord, PageKey
from app.repositories.clock_changes import AgreedTime, list_agreed_times
from app.scheduling.decisions import Refusal
from app.scheduling.intervals import from_instant, to_instant
from app.scheduling.status import Action
from app.scheduling.zones import MAX_ACCEPTED_SHIFT, KeptTime, resolve, wall_time
from app.services.appointment_status import check_change


@dataclass(frozen=True, slots=True)
class Settled:
    """What has become of the visits that were to be settled."""

    appointments: Sequence[AppointmentRecord]
    failed: Sequence[tuple[UUID, str]]
    """Each with the code of the error."""
    remaining: int
    """How many are left, with those that failed."""


async def list_changed(transaction: Transaction, doctor_id: UUID, now: datetime) -> list[AgreedTime]:
    """A doctor's active visits that lie ahead and whose clock time is not the agreed one, by their start."""
    return [
        each
        for each in await list_agreed_times(transaction, doctor_id, since=now)
        if _has_changed(each.start_time, each.local_start, each.time_zone)
    ]


async def page_clock_changes(
    transaction: Transaction, actor: Actor, *, as_of: datetime, after: PageKey | None, limit: int
) -> Sequence[AppointmentRecord]:
    """A page of the actor's own visits of ``list_changed``."""
    changed = [
        each.id
        for each in await list_changed(transaction, actor.id, as_of)
        if after is None or (each.start_time, each.id) > (after.start_time, after.id)
    ]
    if not changed:
        return ()
    return await appointments.page_appointments(
        transaction,
        actor,
        as_of=as_of,
        since=None,
        until=None,
        statuses=(),
        after=None,
        limit=limit,
        among=changed[:limit],
    )


async def settle_clock_changes(
    transaction: Transaction, actor: Actor, kept: KeptTime, *, only: Collection[UUID] | None, now: datetime
) -> Settled:
    """Settles what has changed, all of it (the first hundred) or ``only`` some; each visit succeeds or fails by itself.

    Where the local time is kept, the visit moves if both sides are free then, whatever the doctor's hours are.
    ``not_found`` if one of ``only`` is not the actor's or has not changed.
    """
    changed = await list_changed(transaction, actor.id, now)
    if only is not None and not {*only} <= {each.id for each in changed}:
        raise DomainError("not_found")
    chosen = [each for each in changed if only is None or each.id in only][:MAX_ACCEPTED_SHIFT]
    # All at once and in one order: two who settle cannot wait for each other.
    await bookings.lock_calendars(transaction, actor.id, *{each.patient_id for each in chosen})
    settled: list[AppointmentRecord] = []
    failed: list[tuple[UUID, str]] = []
    for each in sorted(chosen, key=_place_in_line):
        try:
            async with transaction.savepoint():
                settled.append(await _settle(transaction, actor, each, kept, now))
        except DomainError as error:
            failed.append((each.id, error.code))
    return Settled(settled, failed, len(changed) - len(settled))


async def _settle(
    transaction: Transaction, actor: Actor, agreed: AgreedTime, kept: KeptTime, now: datetime
) -> AppointmentRecord:
    before = await appointments.get_appointment(transaction, actor, agreed.id, for_update=True)
    check_change(Action.RESCHEDULE, before, actor, frozenset({agreed.version}), now)
    if kept is KeptTime.INSTANT:
        return await _accept(transaction, actor, before, now)
    zone = get_zone(before.doctor_id, agreed.time_zone)
    first = resolve(agreed.local_start, zone)
    if first <= to_instant(now):
        raise DomainError(Refusal.IN_THE_PAST)
    shift = first - to_instant(before.start_time)
    busy = to_instant(before.busy_start) + shift, to_instant(before.busy_end) + shift
    after = replace(
        before,
        start_time=from_instant(first),
        end_time=from_instant(to_instant(before.end_time) + shift),
        busy_start=from_instant(busy[0]),
        busy_end=from_instant(busy[1]),
        # In a gap, the clock shows what comes after it.
        agreed_local_start=wall_time(first, zone),
        version=before.version + 1,
        changed_at=now,
        changed_by=actor.id,
    )
    await bookings.release_holds(
        transaction,
        doctor_id=before.doctor_id,
        patient_id=before.patient_id,
        now=now,
        against=((first, to_instant(after.end_time)), busy),
    )
    await bookings.move_if_free(transaction, before, after, version=None, by=actor.id, at=now)
    return after


async def _accept(
    transaction: Transaction, actor: Actor, before: AppointmentRecord, now: datetime
) -> AppointmentRecord:
    local_start = wall_time(to_instant(before.start_time), before.zone)
    await appointments.change_appointment(
        transaction,
        before,
        by=actor.id,
        at=now,
        status=before.status,
        agreed_local_start=local_start,
        agreed_time_zone=before.time_zone,
    )
    return replace(
        before,
        agreed_local_start=local_start,
        agreed_time_zone=before.time_zone,
        version=before.version + 1,
        changed_at=now,
        changed_by=actor.id,
    )


def _has_changed(start: datetime, local_start: datetime, time_zone: str) -> bool:
    zone = find_zone(time_zone)
    return zone is not None and wall_time(to_instant(start), zone) != local_start


def _place_in_line(agreed: AgreedTime) -> tuple[bool, int]:
    """So that each visit makes room for the next: those that move to an earlier time first, from the earliest on."""
    start = to_instant(agreed.start_time)
    zone = find_zone(agreed.time_zone)
    moves_later = zone is not None and resolve(agreed.local_start, zone) > start
    return moves_later, -start if moves_later else start
