"""The calendar of a doctor in the demo: rules, bookings, and what happens to them."""

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
from app.demo.people import DOCTOR_CANCELS, PATIENT_CANCELS, DemoDoctor, DemoVisitType
from app.repositories import bookings
from app.repositories.appointments import AppointmentRecord, Reference
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
"""How long ago the doctor registered: before the first visit."""

_BEFORE, _AFTER = 14 * DAY, 28 * DAY
_VISITS = 40  # requests for visits
_MOVED = 4  # the maximum number of visits that are moved
_CANCELLED, _BY_DOCTOR = 0.08, 0.3
_MISSED = 0.07
_ARRIVAL_RECORDED = 0.7
_CONFERENCE = 5 * DAY, 21 * DAY  # from now; the conference is between these times
_LEFT_IN_CONFLICT = 2
_EXPECTED_REFUSALS = {Refusal.PATIENT_BUSY, Refusal.DAY_FULL}


@dataclass(frozen=True, slots=True)
class _Office:
    """A doctor, with the transaction that creates the calendar. Times are instants."""

    transaction: Transaction
    actor: Actor
    about: DemoDoctor
    zone: ZoneInfo
    opened: int
    now: int
    rng: Random


@dataclass(frozen=True, slots=True)
class _Visit:
    """A visit that could take place, and between which instants it could be booked."""

    about: DemoVisitType
    type: VisitType
    start: int
    earliest: int
    latest: int
    original_start: int | None = None
    """Its start before it was moved; ``None`` if it is not moved."""

    @property
    def busy(self) -> Interval:
        """The busy time: the visit with its buffers."""
        return self.start - self.type.buffer_before, self.start + self.type.duration + self.type.buffer_after


async def make_calendar(
    transaction: Transaction, actor: Actor, about: DemoDoctor, patients: Sequence[Actor], now: datetime
) -> Sequence[AppointmentRecord]:
    """Create the rules and appointments of a new doctor, in the order in which they would have happened.

    Visits are assigned to ``patients`` in rotation and in order of time, so that a second visit of a patient is some
    weeks later. Returns the appointments.
    """
    # Seeded with the name, so that a doctor's calendar does not depend on the other doctors.
    rng = Random(about.name)
    office = _Office(
        transaction, actor, about, ZoneInfo(about.time_zone), to_instant(now - OPENED), to_instant(now), rng
    )
    await _set_up(office)
    visits = _choose([await _offer(office, visit_type) for visit_type in about.visit_types], office)
    order = rng.sample(patients, len(patients))
    booked = [await _play(office, order[number % len(order)], visit) for number, visit in enumerate(visits)]
    calendar = {each.id: each for each in booked if each}
    calendar |= {each.id: each for each in await _go_to_conference(office, list(calendar.values()))}
    return list(calendar.values())


async def _set_up(office: _Office) -> None:
    transaction, doctor_id = office.transaction, office.actor.id
    about, opened = office.about, from_instant(office.opened)
    profile = {"languages": list(about.languages), "bio": about.bio, **about.settings}
    await doctor_profile.change_profile(transaction, doctor_id, profile, opened)
    await schedule.set_weekly_hours(transaction, doctor_id, about.hours, valid_from=None, valid_to=None, now=opened)
    if about.saturdays:
        tomorrow = day_of(office.opened, office.zone) + timedelta(days=1)
        saturday = midnight(tomorrow + timedelta(days=(5 - tomorrow.weekday()) % 7))
        start, end = (resolve(saturday + timedelta(minutes=minutes), office.zone) for minutes in about.saturdays)
        await schedule.publish_availability(
            transaction,
            doctor_id,
            start=from_instant(start),
            end=from_instant(end),
            recurrence="FREQ=WEEKLY;INTERVAL=2;BYDAY=SA",
            now=opened,
        )
    if about.holiday:
        today = day_of(office.now, office.zone)
        first, last = (day_span(today + timedelta(days=ahead), office.zone) for ahead in about.holiday)
        await schedule.take_time_off(
            transaction,
            doctor_id,
            start=from_instant(first[0]),
            end=from_instant(last[1]),
            reason="Holiday",
            now=opened,
        )


async def _offer(office: _Office, about: DemoVisitType) -> Sequence[_Visit]:
    """Offer a visit type, and return all visits of it that fit into the hours."""
    opened, now = office.opened, office.now
    offered = about.fields and await doctor_profile.offer_visit_type(
        office.transaction, office.actor.id, about.fields, from_instant(opened)
    )
    span = now - _BEFORE, now + _AFTER
    doctor_schedule = await get_doctor_schedule(
        office.transaction, office.actor.id, span, offered.id if offered else None, listed=False
    )
    visit_type = choose_visit_type(doctor_schedule)
    limits = doctor_schedule.rules.limits, visit_type.limits
    # Early enough that the patient can still cancel or move it after the booking.
    notice = max(HOUR, doctor_schedule.doctor.cancel_cutoff_minutes * MINUTE, *(each.min_notice for each in limits))
    # A day less than allowed, because a day on which the clock changes may have 25 hours.
    advance = min(
        [(each.max_advance_days - 1) * DAY for each in limits if each.max_advance_days], default=_AFTER + _BEFORE
    )
    # Without the limits: they depend on the time of the booking, which differs for each visit.
    rules = replace(doctor_schedule.rules, limits=NO_BOOKING_LIMITS)
    unlimited = replace(visit_type, limits=NO_BOOKING_LIMITS)
    possible = (
        _Visit(about, visit_type, start, max(opened, start - advance), min(now, start - notice))
        for start, _ in slots(rules, unlimited, (), span, span[0])
    )
    return [visit for visit in possible if visit.earliest < visit.latest]


def _choose(possible: Sequence[Sequence[_Visit]], office: _Office) -> Sequence[_Visit]:
    """Choose the visits that are booked: about as many of each visit type, and most of them around now."""
    # A weighted choice without replacement: the smallest of exponentially distributed values (Efraimidis, Spirakis).
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
                original_start=origin.start,
                earliest=max(origin.earliest, moved.earliest),
                latest=min(origin.latest, moved.latest),
            )
    return sorted(visits, key=attrgetter("start"))


def _rarity(from_now: int) -> int:
    distance = abs(from_now)
    if distance < HOUR:  # so that there is probably a visit right now
        return HOUR
    return DAY if distance < 10 * HOUR else 7 * DAY + distance


def _could_be_moved(origin: _Visit, visit: _Visit) -> bool:
    is_possible = max(origin.earliest, visit.earliest) < min(origin.latest, visit.latest)
    return visit.original_start is None and visit.about is origin.about and is_possible


async def _play(office: _Office, patient: Actor, visit: _Visit) -> AppointmentRecord | None:
    """Book a visit, and carry out everything that happens to it until now. Returns ``None`` if it cannot be booked."""
    rng = office.rng
    at = rng.randint(visit.earliest, visit.latest)
    appointment = await _book(office, patient, visit, at)
    if appointment is None:
        return None
    if visit.original_start is not None:
        at = rng.randint(at, visit.latest)
        appointment = await _move(office, _either(office, patient), appointment, visit, at)
    if rng.random() >= _CANCELLED:
        return await _record_outcome(office, appointment, visit.about)
    by = _either(office, patient)
    reason = rng.choice(DOCTOR_CANCELS if by is office.actor else PATIENT_CANCELS)
    at = rng.randint(at, visit.latest)
    return await appointment_status.cancel_appointment(
        office.transaction, by, appointment.id, reason=reason, now=from_instant(at)
    )


def _either(office: _Office, patient: Actor) -> Actor:
    return office.actor if office.rng.random() < _BY_DOCTOR else patient


async def _book(office: _Office, patient: Actor, visit: _Visit, at: int) -> AppointmentRecord | None:
    start = visit.original_start or visit.start
    request = BookingRequest(
        office.actor.id, from_instant(start), from_instant(start + visit.type.duration), visit.type.id
    )
    reason = office.rng.choice(visit.about.reasons)
    try:
        return await booking.book_appointment(
            office.transaction,
            patient,
            request,
            patient=Reference(patient.id, patient.name),
            reason=reason,
            now=from_instant(at),
        )
    except DomainError as error:
        if error.code in _EXPECTED_REFUSALS:
            return None
        raise


async def _move(
    office: _Office, by: Actor, appointment: AppointmentRecord, visit: _Visit, at: int
) -> AppointmentRecord:
    # Checked first: a move that violates a constraint would abort the transaction, unlike a booking.
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
        if error.code in _EXPECTED_REFUSALS:
            return appointment
        raise


async def _record_outcome(office: _Office, appointment: AppointmentRecord, about: DemoVisitType) -> AppointmentRecord:
    """Record the arrival and the outcome of a visit, as far as they have happened by now."""
    rng = office.rng
    start, end = to_instant(appointment.start_time), to_instant(appointment.end_time)
    if rng.random() < _MISSED:
        actions = [(Action.NO_SHOW, start + 20 * MINUTE)]
    else:
        actions = [(Action.COMPLETE, end + rng.randint(-5 * MINUTE, 10 * MINUTE))]
        if about.mode is VisitMode.IN_PERSON and rng.random() < _ARRIVAL_RECORDED:
            actions.insert(0, (Action.ARRIVE, start - rng.randint(0, 20 * MINUTE)))
    for action, at in actions:
        if at <= office.now:
            appointment = await appointment_status.advance_appointment(
                office.transaction, office.actor, appointment.id, action, now=from_instant(at)
            )
    return appointment


async def _go_to_conference(office: _Office, booked: Sequence[AppointmentRecord]) -> Sequence[AppointmentRecord]:
    """Take time off on days with appointments, and cancel all but some of them. Returns the cancelled ones."""
    earliest, latest = (from_instant(office.now + distance) for distance in _CONFERENCE)
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
        office.actor.id,
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
