"""A doctor's calendar in the demo: what she enters, who books with her, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter
from random import Random
from statistics import mode
from zoneinfo import ZoneInfo

from app.core.errors import DomainError
from app.core.permissions import Actor
from app.db.database import Transaction
from app.demo.people import DOCTOR_CANCELS, PATIENT_CANCELS, DemoDoctor, Kind
from app.repositories import bookings
from app.repositories.appointments import AppointmentRecord
from app.repositories.doctor_schedules import get_doctor_schedule
from app.scheduling.decisions import Refusal, slots
from app.scheduling.intervals import DAY, HOUR, MINUTE, Interval, from_instant, overlaps, to_instant
from app.scheduling.status import Action
from app.scheduling.visits import NO_BOOKING_LIMITS, VisitMode, VisitType
from app.scheduling.zones import day_of, day_span, midnight, resolve
from app.services import appointment_status, booking, doctor_profile, schedule
from app.services.booking import BookingRequest
from app.services.slots import choose_visit_type

OPENED = timedelta(days=15)
"""How long she has been there: longer than the first visit is ago."""

_BEFORE, _AFTER = 14 * DAY, 28 * DAY
_VISITS = 40  # that she is asked for
_MOVED = 4  # of them, at most
_CANCELLED, _BY_DOCTOR = 0.08, 0.3
_MISSED = 0.07
_ARRIVAL_NOTED = 0.7
_LEAVES = 5 * DAY, 21 * DAY  # from now, for a conference
_LEFT_IN_CONFLICT = 2
_TURNED_AWAY = {Refusal.PATIENT_BUSY, Refusal.DAY_FULL}  # as happens to people


@dataclass(frozen=True, slots=True)
class _Office:
    """A doctor in the transaction that makes her calendar; times are instants."""

    transaction: Transaction
    actor: Actor
    about: DemoDoctor
    zone: ZoneInfo
    opened: int
    now: int
    rng: Random


@dataclass(frozen=True, slots=True)
class _Visit:
    """A visit that could take place, and when somebody could ask for it."""

    kind: Kind
    type: VisitType
    start: int
    earliest: int
    latest: int
    booked_at_first: int | None = None
    """The start that it had before it was moved."""

    @property
    def busy(self) -> Interval:
        """What it takes of the doctor's time."""
        return self.start - self.type.buffer_before, self.start + self.type.duration + self.type.buffer_after


async def make_calendar(
    transaction: Transaction, actor: Actor, about: DemoDoctor, patients: Sequence[Actor], now: datetime
) -> Sequence[AppointmentRecord]:
    """Makes all that a new doctor has, in the order in which it would have happened; what ``patients`` have booked.

    They come in turn and in order of time: who comes twice comes some weeks later.
    """
    # Seeded by her name, a doctor's calendar is the same whichever other doctors there are.
    rng = Random(about.name)
    office = _Office(
        transaction, actor, about, ZoneInfo(about.time_zone), to_instant(now - OPENED), to_instant(now), rng
    )
    await _move_in(office)
    visits = _choose([await _offer(office, kind) for kind in about.kinds], office)
    turns = rng.sample(patients, len(patients))
    booked = [await _live_through(office, turns[turn % len(turns)], visit) for turn, visit in enumerate(visits)]
    made = {each.id: each for each in booked if each}
    made |= {each.id: each for each in await _leave_late(office, list(made.values()))}
    return list(made.values())


async def _move_in(office: _Office) -> None:
    transaction, actor, about, opened = office.transaction, office.actor, office.about, from_instant(office.opened)
    said = {"languages": list(about.languages), "bio": about.bio, **about.practice}
    await doctor_profile.change_profile(transaction, actor, said, opened)
    await schedule.set_weekly_hours(transaction, actor, about.hours, valid_from=None, valid_to=None, now=opened)
    if about.saturdays:
        tomorrow = day_of(office.opened, office.zone) + timedelta(days=1)
        saturday = midnight(tomorrow + timedelta(days=(5 - tomorrow.weekday()) % 7))
        start, end = (resolve(saturday + timedelta(minutes=minutes), office.zone) for minutes in about.saturdays)
        await schedule.publish_availability(
            transaction,
            actor,
            start=from_instant(start),
            end=from_instant(end),
            recurrence="FREQ=WEEKLY;INTERVAL=2;BYDAY=SA",
            now=opened,
        )
    if about.holiday:
        today = day_of(office.now, office.zone)
        first, last = (day_span(today + timedelta(days=ahead), office.zone) for ahead in about.holiday)
        await schedule.take_time_off(
            transaction, actor, start=from_instant(first[0]), end=from_instant(last[1]), reason="Holiday", now=opened
        )


async def _offer(office: _Office, kind: Kind) -> Sequence[_Visit]:
    """Offers a visit type; the visits that her hours have room for."""
    opened, now = office.opened, office.now
    offered = kind.fields and await doctor_profile.offer_visit_type(
        office.transaction, office.actor, kind.fields, from_instant(opened)
    )
    span = now - _BEFORE, now + _AFTER
    plan = await get_doctor_schedule(
        office.transaction, office.actor.id, span, offered.id if offered else None, listed=False
    )
    visit_type = choose_visit_type(plan)
    limits = plan.rules.limits, visit_type.limits
    # Whoever books has time to cancel or to move it.
    notice = max(HOUR, plan.doctor.cancel_cutoff_minutes * MINUTE, *(each.min_notice for each in limits))
    # A day less than allowed, for the days on which clocks change.
    advance = min(
        [(each.max_advance_days - 1) * DAY for each in limits if each.max_advance_days], default=_AFTER + _BEFORE
    )
    # The limits are about when one asks; here is asked for all of it at once.
    rules, unlimited = replace(plan.rules, limits=NO_BOOKING_LIMITS), replace(visit_type, limits=NO_BOOKING_LIMITS)
    possible = (
        _Visit(kind, visit_type, start, max(opened, start - advance), min(now, start - notice))
        for start, _ in slots(rules, unlimited, (), span, span[0])
    )
    return [visit for visit in possible if visit.earliest < visit.latest]


def _choose(possible: Sequence[Sequence[_Visit]], office: _Office) -> Sequence[_Visit]:
    """Those that do take place: of each kind about as many, and the days around now are the fullest."""
    # A race of exponential clocks is a weighted choice without replacement.
    race = [
        (office.rng.expovariate(1 / (len(visits) * _rarity(visit.start - office.now))), visit)
        for visits in possible
        for visit in visits
    ]
    chosen: list[_Visit] = []
    for _, visit in sorted(race, key=itemgetter(0)):
        if not overlaps(visit.busy, (each.busy for each in chosen)):
            chosen.append(visit)
        if len(chosen) == _VISITS + _MOVED:
            break
    visits = chosen[:_VISITS]
    for origin in chosen[_VISITS:]:
        moved = min(
            (each for each in visits if _could_be_moved(origin, each)),
            key=lambda each: abs(each.start - origin.start),
            default=None,
        )
        if moved:
            visits[visits.index(moved)] = replace(
                moved,
                booked_at_first=origin.start,
                earliest=max(origin.earliest, moved.earliest),
                latest=min(origin.latest, moved.latest),
            )
    return sorted(visits, key=attrgetter("start"))


def _rarity(from_now: int) -> int:
    distance = abs(from_now)
    if distance < HOUR:  # so that somebody is there
        return HOUR
    return DAY if distance < 10 * HOUR else 7 * DAY + distance


def _could_be_moved(origin: _Visit, visit: _Visit) -> bool:
    at_some_time = max(origin.earliest, visit.earliest) < min(origin.latest, visit.latest)
    return visit.booked_at_first is None and visit.kind is origin.kind and at_some_time


async def _live_through(office: _Office, patient: Actor, visit: _Visit) -> AppointmentRecord | None:
    """Everything that happens to a visit, up to now; nothing at all if it cannot be booked."""
    rng = office.rng
    at = rng.randint(visit.earliest, visit.latest)
    appointment = await _book(office, patient, visit, at)
    if appointment is None:
        return None
    if visit.booked_at_first is not None:
        at = rng.randint(at, visit.latest)
        appointment = await _move(office, _either(office, patient), appointment, visit, at)
    if rng.random() >= _CANCELLED:
        return await _come(office, appointment, visit.kind)
    by = _either(office, patient)
    reason = rng.choice(DOCTOR_CANCELS if by is office.actor else PATIENT_CANCELS)
    at = rng.randint(at, visit.latest)
    return await appointment_status.cancel_appointment(
        office.transaction, by, appointment.id, reason=reason, now=from_instant(at)
    )


def _either(office: _Office, patient: Actor) -> Actor:
    return office.actor if office.rng.random() < _BY_DOCTOR else patient


async def _book(office: _Office, patient: Actor, visit: _Visit, at: int) -> AppointmentRecord | None:
    start = visit.booked_at_first or visit.start
    wanted = BookingRequest(
        office.actor.id, from_instant(start), from_instant(start + visit.type.duration), visit.type.id
    )
    reason = office.rng.choice(visit.kind.reasons)
    try:
        return await booking.book_appointment(office.transaction, patient, wanted, reason=reason, now=from_instant(at))
    except DomainError as error:
        if error.code in _TURNED_AWAY:
            return None
        raise


async def _move(
    office: _Office, by: Actor, appointment: AppointmentRecord, visit: _Visit, at: int
) -> AppointmentRecord:
    # Unlike a booking, a move that the database refuses would be the end of the transaction.
    if await bookings.find_conflict(
        office.transaction,
        doctor_id=appointment.doctor_id,
        patient_id=appointment.patient_id,
        visit=(visit.start, visit.start + visit.type.duration),
        busy=visit.busy,
        now=from_instant(at),
    ):
        return appointment
    start = from_instant(visit.start)
    try:
        return await booking.reschedule_appointment(
            office.transaction, by, appointment.id, start=start, visit_type_id=None, versions=None, now=from_instant(at)
        )
    except DomainError as error:
        if error.code in _TURNED_AWAY:
            return appointment
        raise


async def _come(office: _Office, appointment: AppointmentRecord, kind: Kind) -> AppointmentRecord:
    """What the doctor notes of a visit, as far as it is noted by now."""
    rng = office.rng
    start, end = to_instant(appointment.start_time), to_instant(appointment.end_time)
    if rng.random() < _MISSED:
        noted = [(Action.NO_SHOW, start + 20 * MINUTE)]
    else:
        noted = [(Action.COMPLETE, end + rng.randint(-5 * MINUTE, 10 * MINUTE))]
        if kind.mode is VisitMode.IN_PERSON and rng.random() < _ARRIVAL_NOTED:
            noted.insert(0, (Action.ARRIVE, start - rng.randint(0, 20 * MINUTE)))
    for action, at in noted:
        if at <= office.now:
            appointment = await appointment_status.advance_appointment(
                office.transaction, office.actor, appointment.id, action, now=from_instant(at)
            )
    return appointment


async def _leave_late(office: _Office, booked: Sequence[AppointmentRecord]) -> Sequence[AppointmentRecord]:
    """Goes to a conference, on days that patients have booked; those whom she has told are returned."""
    earliest, latest = (from_instant(office.now + distance) for distance in _LEAVES)
    days = [
        day_of(to_instant(each.start_time), office.zone)
        for each in booked
        if each.status.is_active and earliest < each.start_time < latest
    ]
    if office.about.conference is None or not days:
        return ()
    first = mode(days)
    (start, _), (_, end) = day_span(first, office.zone), day_span(first + timedelta(days=1), office.zone)
    now = from_instant(office.now)
    *_, affected = await schedule.take_time_off(
        office.transaction,
        office.actor,
        start=from_instant(start),
        end=from_instant(end),
        reason=office.about.conference,
        now=now,
    )
    return [
        await appointment_status.cancel_appointment(
            office.transaction, office.actor, each.id, reason="I am at a conference", now=now
        )
        for each in affected.appointments[_LEFT_IN_CONFLICT:]
    ]
