"""Visits whose wall time has changed since it was agreed, because the rules of the zone have changed (ADR 0040)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from app.core.errors import DomainError
from app.core.permissions import Actor, Scope
from app.core.time_zones import find_zone, get_zone
from app.db.database import Transaction
from app.repositories import appointments, bookings
from app.repositories.appointments import AppointmentRecord, PageKey
from app.repositories.clock_changes import AgreedTime, list_agreed_times
from app.scheduling.decisions import Refusal
from app.scheduling.intervals import from_instant, to_instant
from app.scheduling.status import Action
from app.scheduling.zones import MAX_SETTLED, KeptTime, resolve, wall_time
from app.services.appointment_status import check_change


@dataclass(frozen=True, slots=True)
class Settled:
    """The result of settling clock changes."""

    appointments: Sequence[AppointmentRecord]
    failed: Sequence[tuple[UUID, str]]
    """The ids of the visits that failed, each with its error code."""
    remaining: int
    """How many visits are not settled, including those that failed."""


async def list_changed(transaction: Transaction, doctor_id: UUID, now: datetime) -> list[AgreedTime]:
    """Return a doctor's upcoming active visits whose wall time differs from the agreed one, by their start."""
    return [
        each
        for each in await list_agreed_times(transaction, doctor_id, since=now)
        if _has_changed(each.start_time, each.local_start, each.time_zone)
    ]


async def page_clock_changes(
    transaction: Transaction, doctor_id: UUID, *, as_of: datetime, after: PageKey | None, limit: int
) -> Sequence[AppointmentRecord]:
    """Return a page of the doctor's visits of ``list_changed``."""
    changed = [
        each.id
        for each in await list_changed(transaction, doctor_id, as_of)
        if after is None or (each.start_time, each.id) > (after.start_time, after.id)
    ]
    if not changed:
        return ()
    return await appointments.page_appointments(
        transaction,
        Scope(doctor_id=doctor_id),
        as_of=as_of,
        since=None,
        until=None,
        statuses=(),
        after=None,
        limit=limit,
        among=changed[:limit],
    )


async def settle_clock_changes(
    transaction: Transaction,
    actor: Actor,
    kept: KeptTime,
    *,
    doctor_id: UUID,
    only: Collection[UUID] | None,
    now: datetime,
) -> Settled:
    """Settle clock changes of a doctor: those of ``only``, or the first hundred. Each visit succeeds or fails alone.

    If the local time is kept, the visit moves to it, provided that both sides are free then; the doctor's hours do not
    matter. Raises ``not_found`` if one of ``only`` is not the doctor's or has not changed.
    """
    changed = await list_changed(transaction, doctor_id, now)
    if only is not None and not {*only} <= {each.id for each in changed}:
        raise DomainError("not_found")
    chosen = [each for each in changed if only is None or each.id in only][:MAX_SETTLED]
    # All locks at once, which takes them in one order, so that concurrent calls cannot deadlock.
    await bookings.lock_calendars(transaction, doctor_id, *{each.patient_id for each in chosen})
    scope = Scope(doctor_id=doctor_id)
    settled: list[AppointmentRecord] = []
    failed: list[tuple[UUID, str]] = []
    for each in sorted(chosen, key=_moving_order):
        try:
            # A visit whose new time is taken must not undo those that were settled before it (ADR 0040).
            async with transaction.savepoint():
                settled.append(await _settle(transaction, actor, scope, each, kept, now))
        except DomainError as error:
            failed.append((each.id, error.code))
    return Settled(settled, failed, len(changed) - len(settled))


async def _settle(
    transaction: Transaction, actor: Actor, scope: Scope, agreed: AgreedTime, kept: KeptTime, now: datetime
) -> AppointmentRecord:
    before = await appointments.get_appointment(transaction, scope, agreed.id, for_update=True)
    # With the version that was listed: a visit that was moved meanwhile has another agreed time.
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
        # If the agreed time lies in a gap of the clock, this is the time after the gap.
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
    # Without a version of the rules: the doctor restores the agreed time, so hours and limits do not matter (ADR 0040).
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


def _moving_order(agreed: AgreedTime) -> tuple[bool, int]:
    """Return a sort key by which each visit makes room for the next one.

    Visits that move to an earlier time come first, the earliest one first. Those that move to a later time follow, the
    latest one first.
    """
    start = to_instant(agreed.start_time)
    zone = find_zone(agreed.time_zone)
    moves_later = zone is not None and resolve(agreed.local_start, zone) > start
    return moves_later, -start if moves_later else start
