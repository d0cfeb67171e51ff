"""What the services promise, said as plainly as it can be: the specification that the state machine holds them to.

It shares nothing with the application but words, and answers every question by going through lists.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from tests.stateful.hours import (
    DAY,
    MINUTE,
    Doctor,
    Kind,
    Opening,
    Recurrence,
    Stretch,
    WeeklyPlan,
    day_of,
    days_between,
    is_covered,
    midnight,
    overlap,
    shown,
)

YEAR = 366 * DAY
WEEK_MINUTES = 7 * 24 * 60
HOLD = timedelta(minutes=5)
OCCUPYING = {"booked", "arrived", "fulfilled"}
ACTIVE = {"booked", "arrived"}
EVER = timedelta(days=-100_000)
ACTIONS = {
    "reschedule": (ACTIVE, "booked", EVER),
    "cancel": (ACTIVE, "cancelled", EVER),
    "arrive": ({"booked"}, "arrived", timedelta(hours=-12)),
    "complete": (ACTIVE, "fulfilled", timedelta(0)),
    "no-show": (ACTIVE, "noshow", timedelta(0)),
}
"""From which states, to which, and from when on, seen from the start of the visit."""


class Refused(Exception):  # noqa: N818 - it is what is expected, not an error
    def __init__(self, *codes: str) -> None:
        """For one of these reasons; any of them will do."""
        super().__init__(*codes)
        self.codes = codes


@dataclass(frozen=True)
class Version:
    status: str
    start: datetime
    end: datetime
    kind_id: UUID | None
    at: datetime
    by: UUID


@dataclass
class Appointment:
    id: UUID
    doctor_id: UUID
    patient_id: UUID
    busy: Stretch
    history: list[Version]
    """The last one is how it is."""

    @property
    def is_now(self) -> Version:
        return self.history[-1]

    @property
    def version(self) -> int:
        return len(self.history)

    @property
    def visit(self) -> Stretch:
        return self.is_now.start, self.is_now.end

    @property
    def occupies_time(self) -> bool:
        return self.is_now.status in OCCUPYING


@dataclass(frozen=True)
class Hold:
    id: UUID
    doctor_id: UUID
    patient_id: UUID
    kind_id: UUID | None
    visit: Stretch
    busy: Stretch
    asked_at: datetime
    expires_at: datetime


@dataclass
class Clinic:
    """Everything there is, and everything that can be done; what may not be done is ``Refused``."""

    now: datetime
    doctors: dict[UUID, Doctor] = field(default_factory=dict)
    patients: list[UUID] = field(default_factory=list)
    appointments: dict[UUID, Appointment] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    """Those that are over too; they do nothing any more."""

    # What a doctor says

    def publish(self, new_id: UUID, doctor_id: UUID, stretch: Stretch, recurrence: Recurrence | None) -> None:
        doctor = self.doctors[doctor_id]
        (start, end), zone = stretch, doctor.time_zone
        if not start < end <= start + 7 * DAY or start < self.now:
            raise Refused("invalid_request")
        opening = Opening(shown(start, zone), shown(end, zone), recurrence)
        first = opening.starts.date()
        if recurrence is not None:
            # A time that the clock shows twice cannot recur.
            if opening.starts.fold or opening.ends.fold or not recurrence.hits(first, first):
                raise Refused("invalid_request")
            opening = replace(opening, last_day=last_day(opening, zone))
        days = days_between(first, min(opening.last_day, first + YEAR))
        stretches = [each for day in days for each in opening.on(day, zone) if each[0] < start + YEAR]
        if not stretches or any(overlap(*neighbours) for neighbours in pairwise(stretches)):
            raise Refused("invalid_request")
        if any(doctor.open_in(each) for each in stretches):
            raise Refused("availability_overlaps")
        doctor.openings[new_id] = opening

    def withdraw(self, doctor_id: UUID, opening_id: UUID) -> None:
        remove(self.doctors[doctor_id].openings, opening_id)

    def set_hours(
        self, doctor_id: UUID, hours: Mapping[int, Sequence[tuple[int, int]]], first: date | None, last: date | None
    ) -> None:
        doctor = self.doctors[doctor_id]
        today = day_of(self.now, doctor.time_zone)
        plan = WeeklyPlan(first or today, last or date.max, hours)
        windows = [(weekday, window) for weekday, some in hours.items() for window in some]
        minutes = [(weekday * 1440 + minute) % WEEK_MINUTES for weekday, window in windows for minute in range(*window)]
        if len(minutes) > len(set(minutes)) or not today <= plan.first <= plan.last:
            raise Refused("invalid_request")
        doctor.plans.append(plan)

    def leave(self, new_id: UUID, doctor_id: UUID, start: datetime, end: datetime) -> None:
        if not start < end <= start + YEAR or end <= self.now:
            raise Refused("invalid_request")
        zone = self.doctors[doctor_id].time_zone
        self.doctors[doctor_id].time_off[new_id] = shown(start, zone), shown(end, zone)

    def come_back(self, doctor_id: UUID, time_off_id: UUID) -> None:
        remove(self.doctors[doctor_id].time_off, time_off_id)

    def change_kind(self, doctor_id: UUID, kind_id: UUID, fields: Mapping[str, Any]) -> None:
        self.doctors[doctor_id].kinds[kind_id] = replace(self._kind(doctor_id, kind_id), **fields)

    # What patients want

    def book(
        self,
        new_id: UUID,
        patient_id: UUID,
        doctor_id: UUID,
        start: datetime,
        end: datetime | None,
        kind_id: UUID | None,
        hold_id: UUID | None,
    ) -> None:
        hold = self.holds.get(hold_id) if hold_id else None
        held = hold and self.stands(hold) and (hold.patient_id, hold.doctor_id, hold.kind_id, hold.visit[0])
        is_for_it = hold and held == (patient_id, doctor_id, kind_id, start)
        fits = hold and is_for_it and end in {None, hold.visit[1]}
        kind = self.wanted(doctor_id, kind_id, start, None if fits else end)
        if hold and fits:
            kind = kind.as_long_as(hold.visit, hold.busy)
        asked_at = hold.asked_at if hold and is_for_it else self.now
        visit = kind.visit(start)
        self._check(doctor_id, patient_id, kind, visit, asked_at=asked_at)
        self._give_up_holds(doctor_id, patient_id, kind, visit)
        version = Version("booked", *visit, kind.id, self.now, patient_id)
        self.appointments[new_id] = Appointment(new_id, doctor_id, patient_id, kind.busy(visit), [version])

    def hold(self, new_id: UUID, patient_id: UUID, doctor_id: UUID, start: datetime, kind_id: UUID | None) -> None:
        # What has begun can no longer be booked, so there is nothing to hold.
        if start <= self.now:
            raise Refused("in_the_past")
        kind = self.wanted(doctor_id, kind_id, start, None)
        visit = kind.visit(start)
        self._check(doctor_id, patient_id, kind, visit)
        self.holds = {each.id: each for each in self.holds.values() if each.patient_id != patient_id}
        expires_at = min(self.now + HOLD, start)
        self.holds[new_id] = Hold(new_id, doctor_id, patient_id, kind.id, visit, kind.busy(visit), self.now, expires_at)

    def release(self, patient_id: UUID, hold_id: UUID) -> None:
        if hold_id not in self.holds or self.holds[hold_id].patient_id != patient_id:
            raise Refused("not_found")
        del self.holds[hold_id]

    def stands(self, hold: Hold) -> bool:
        return self.now < hold.expires_at

    def wanted(self, doctor_id: UUID, kind_id: UUID | None, start: datetime, end: datetime | None) -> Kind:
        if end is not None and not 5 * MINUTE <= end - start <= 720 * MINUTE:
            raise Refused("invalid_request")
        if doctor_id not in self.doctors:
            raise Refused("not_found")
        if kind_id is not None:
            kind = self._kind(doctor_id, kind_id)
            if end is not None and end != kind.visit(start)[1]:
                raise Refused("wrong_length")
            return kind
        [kind, *others] = self.doctors[doctor_id].offered
        if kind.id is not None or others:
            raise Refused("visit_type_required")
        return kind if end is None else Kind((end - start) // MINUTE)

    def _kind(self, doctor_id: UUID, kind_id: UUID) -> Kind:
        kind = self.doctors[doctor_id].kinds.get(kind_id)
        if kind is None or kind.withdrawn:
            raise Refused("not_found")
        return kind

    def _check(
        self,
        doctor_id: UUID,
        patient_id: UUID,
        kind: Kind,
        visit: Stretch,
        *,
        asked_at: datetime | None = None,
        moving: Appointment | None = None,
    ) -> None:
        reasons = self.objections(
            self.doctors[doctor_id], kind, visit, viewer=patient_id, asked_at=asked_at, moving=moving
        )
        others = [each for each in self.appointments.values() if each.patient_id == patient_id and each is not moving]
        if any(overlap(each.visit, visit) for each in others if each.occupies_time):
            reasons.append("patient_busy")
        if reasons:
            # Which of the two guards an UPDATE meets first is for the database to say.
            raise Refused(*(reasons if moving and reasons[0] == "slot_taken" else reasons[:1]))

    def _give_up_holds(self, doctor_id: UUID, patient_id: UUID, kind: Kind, visit: Stretch) -> None:
        """A patient's own holds are not in her way, but go when she takes their time."""
        for hold in [each for each in self.holds.values() if each.patient_id == patient_id]:
            if overlap(hold.visit, visit) or (hold.doctor_id == doctor_id and overlap(hold.busy, kind.busy(visit))):
                del self.holds[hold.id]

    # What becomes of it

    def cancel(self, actor_id: UUID, appointment_id: UUID, versions: frozenset[int] | None) -> None:
        if self._own(actor_id, appointment_id).is_now.status != "cancelled":
            self.advance(actor_id, appointment_id, "cancel", versions)

    def advance(self, actor_id: UUID, appointment_id: UUID, action: str, versions: frozenset[int] | None) -> None:
        appointment = self._may(actor_id, appointment_id, action, versions)
        self._change(appointment, actor_id, status=ACTIONS[action][1])

    def reschedule(
        self,
        actor_id: UUID,
        appointment_id: UUID,
        start: datetime,
        kind_id: UUID | None,
        versions: frozenset[int] | None,
    ) -> None:
        moving = self._may(actor_id, appointment_id, "reschedule", versions)
        doctor_id, was = moving.doctor_id, moving.is_now
        if start == was.start and kind_id in {None, was.kind_id}:
            return
        if kind_id is not None:
            kind = self._kind(doctor_id, kind_id)
        elif was.kind_id is not None:
            kind = self.doctors[doctor_id].kinds[was.kind_id]
        else:
            kind = Kind((was.end - was.start) // MINUTE)
        if kind_id in {None, was.kind_id}:
            kind = kind.as_long_as(moving.visit, moving.busy)
        visit = kind.visit(start)
        self._check(doctor_id, moving.patient_id, kind, visit, moving=moving)
        self._give_up_holds(doctor_id, moving.patient_id, kind, visit)
        self._change(moving, actor_id, status="booked", start=visit[0], end=visit[1], kind_id=kind.id)
        moving.busy = kind.busy(visit)

    def undo(self, actor_id: UUID, appointment_id: UUID, versions: frozenset[int] | None) -> None:
        appointment = self._own(actor_id, appointment_id)
        is_now, zone = appointment.is_now, self.doctors[appointment.doctor_id].time_zone
        if versions is not None and appointment.version not in versions:
            raise Refused("version_mismatch")
        if is_now.status == "booked" or (is_now.status == "cancelled" and is_now.by != appointment.doctor_id):
            raise Refused("wrong_status")
        last_day = max(day_of(is_now.end - datetime.resolution, zone), day_of(is_now.at, zone))
        if self.now >= midnight(last_day + timedelta(days=1), zone):
            raise Refused("too_late")
        if not appointment.occupies_time:
            kind = Kind((is_now.end - is_now.start) // MINUTE, id=is_now.kind_id)
            self._make_way(appointment)
            self._give_up_holds(appointment.doctor_id, appointment.patient_id, kind, appointment.visit)
        status = "booked" if is_now.status == "arrived" else appointment.history[-2].status
        self._change(appointment, actor_id, status=status)

    def _make_way(self, appointment: Appointment) -> None:
        """Refused if anything else has taken the time of an appointment."""
        patient_id, doctor = appointment.patient_id, self.doctors[appointment.doctor_id]
        reasons = []
        if any(overlap(appointment.busy, busy) for busy, _, _ in self.taken(doctor, patient_id, appointment)):
            reasons.append("slot_taken")
        others = [each for each in self.appointments.values() if each.patient_id == patient_id and each.occupies_time]
        if any(overlap(each.visit, appointment.visit) for each in others):
            reasons.append("patient_busy")
        if reasons:
            raise Refused(*reasons)

    def _own(self, actor_id: UUID, appointment_id: UUID) -> Appointment:
        appointment = self.appointments[appointment_id]
        if actor_id not in {appointment.doctor_id, appointment.patient_id}:
            raise Refused("not_found")
        return appointment

    def _may(self, actor_id: UUID, appointment_id: UUID, action: str, versions: frozenset[int] | None) -> Appointment:
        appointment = self._own(actor_id, appointment_id)
        start = appointment.is_now.start
        sources, _, earliest = ACTIONS[action]
        if versions is not None and appointment.version not in versions:
            raise Refused("version_mismatch")
        if appointment.is_now.status not in sources:
            raise Refused("wrong_status")
        if self.now < start + earliest:
            raise Refused("too_early")
        if actor_id == appointment.patient_id and self.now >= start:
            raise Refused("already_started")
        cutoff = self.doctors[appointment.doctor_id].cancel_cutoff_minutes * MINUTE
        if actor_id == appointment.patient_id and self.now > start - cutoff:
            raise Refused("too_late")
        return appointment

    def _change(self, appointment: Appointment, by: UUID, **values: Any) -> None:
        appointment.history.append(replace(appointment.is_now, at=self.now, by=by, **values))

    # What is offered

    def objections(
        self,
        doctor: Doctor,
        kind: Kind,
        visit: Stretch,
        *,
        viewer: UUID | None,
        asked_at: datetime | None = None,
        moving: Appointment | None = None,
        openings: Sequence[Stretch] | None = None,
    ) -> list[str]:
        """Everything that speaks against a visit, the weightiest first.

        ``openings`` are the doctor's around the visit, where they are known already.
        """
        now, zone = asked_at or self.now, doctor.time_zone
        start, end = visit
        taken = list(self.taken(doctor, viewer, moving))
        openings = [each for each in (doctor.open_in(visit) if openings is None else openings) if overlap(each, visit)]
        found = []
        if start < now:
            found.append("in_the_past")
        if overlap(visit, (now, doctor.notice_ends(kind, now))):
            found.append("too_soon")
        if end > doctor.horizon(kind, now):
            found.append("too_far_ahead")
        is_open = is_covered(visit, openings)
        if not is_open:
            found.append("outside_availability")
        if doctor.is_away(visit):
            found.append("time_off")
        on_grid = any(opens <= start < closes and not (start - opens) % kind.step for opens, closes in openings)
        # For a doctor without visit types any time will do.
        if is_open and kind.id and not on_grid:
            found.append("off_grid")
        limited = doctor.daily_limit is not None or kind.daily_limit is not None
        for day in days_between(day_of(start, zone), day_of(end - datetime.resolution, zone)) if limited else ():
            on_day = [kind_id for _, begins, kind_id in taken if day_of(begins, zone) == day]
            if is_full(doctor.daily_limit, len(on_day)) or is_full(kind.daily_limit, on_day.count(kind.id)):
                found.append("day_full")
                break
        if any(overlap(kind.busy(visit), busy) for busy, _, _ in taken):
            found.append("slot_taken")
        return found

    def taken(
        self, doctor: Doctor, viewer: UUID | None, moving: Appointment | None = None
    ) -> Iterator[tuple[Stretch, datetime, UUID | None]]:
        """The busy time, the start and the kind of all that takes the doctor's time, as ``viewer`` sees it."""
        for each in self.appointments.values():
            if each.doctor_id == doctor.id and each.occupies_time and each is not moving:
                yield each.busy, each.is_now.start, each.is_now.kind_id
        for hold in self.holds.values():
            if hold.doctor_id == doctor.id and self.stands(hold) and hold.patient_id != viewer:
                yield hold.busy, hold.visit[0], hold.kind_id

    def explain(self, doctor_id: UUID, kind_id: UUID | None, start: datetime, viewer: UUID | None) -> list[str]:
        kind = self.wanted(doctor_id, kind_id, start, None)
        return self.objections(self.doctors[doctor_id], kind, kind.visit(start), viewer=viewer)

    def slots(self, doctor: Doctor, kind: Kind, span: Stretch, viewer: UUID | None) -> list[Stretch]:
        """What can be booked on the grids that begin whenever the doctor opens."""
        openings = doctor.open_in((span[0], kind.visit(span[1])[1]))
        found = set()
        for opens, closes in openings:
            start = opens
            while start < min(closes, span[1]):
                visit = kind.visit(start)
                if start >= span[0] and not self.objections(doctor, kind, visit, viewer=viewer, openings=openings):
                    found.add(visit)
                start += kind.step
        return sorted(found)

    def free_windows(self, doctor: Doctor, span: Stretch, viewer: UUID | None) -> list[Stretch]:
        """Between two edges that follow each other nothing changes."""
        openings = doctor.open_in(span)
        free: list[Stretch] = []
        for piece in pairwise([span[0], *self.edges(doctor, span), span[1]]):
            if piece[0] < piece[1] and not self.objections(
                doctor, doctor.usual, piece, viewer=viewer, openings=openings
            ):
                begin = free.pop()[0] if free and free[-1][1] == piece[0] else piece[0]
                free.append((begin, piece[1]))
        return free

    def edges(self, doctor: Doctor, span: Stretch) -> list[datetime]:
        """Where something begins or ends in a doctor's calendar."""
        stretches = [
            *doctor.open_in(span),
            *doctor.away(),
            *(busy for busy, _, _ in self.taken(doctor, None)),
            (self.now, doctor.notice_ends(doctor.usual, self.now)),
            (self.now, doctor.horizon(doctor.usual, self.now)),
        ]
        zone = doctor.time_zone
        midnights = {midnight(day, zone) for day in days_between(day_of(span[0], zone), day_of(span[1], zone))}
        edges = midnights.union(*stretches)
        return sorted(edge for edge in edges if span[0] <= edge <= span[1])

    def conflicting(self, doctor: Doctor, first: datetime, last: datetime | None = None) -> list[UUID]:
        """The active visits in ``[first, last)`` outside of the doctor's hours, by time."""
        active = [each for each in self._by_time(doctor.id) if each.is_now.status in ACTIVE]
        near = [each for each in active if each.is_now.end > first and (last is None or each.is_now.start < last)]
        return [
            each.id
            for each in near
            if doctor.is_away(each.visit) or not is_covered(each.visit, doctor.open_in(each.visit))
        ]

    def list_of(self, person: UUID) -> list[UUID]:
        """First what is not over, the next one first; then what is, the last one first."""
        own = self._by_time(person)
        coming = [each.id for each in own if each.is_now.end > self.now]
        return coming + [each.id for each in reversed(own) if each.is_now.end <= self.now]

    def _by_time(self, person: UUID) -> list[Appointment]:
        own = [each for each in self.appointments.values() if person in {each.doctor_id, each.patient_id}]
        return sorted(own, key=lambda each: (each.is_now.start, each.id))


def last_day(opening: Opening, zone: str) -> date:
    """On which an opening that recurs begins."""
    assert opening.recurrence is not None
    count, until = opening.recurrence.count, opening.recurrence.until
    if count is None and until is None:
        return date.max
    begins = [
        (day, start)
        for day in days_between(opening.starts.date(), opening.starts.date() + YEAR)
        for start, _ in opening.on(day, zone)
    ][:count]
    if isinstance(until, datetime):
        begins = [(day, start) for day, start in begins if start <= until]
    elif until is not None:
        begins = [(day, start) for day, start in begins if day <= until]
    return begins[-1][0] if begins else date.min


def remove(things: dict[UUID, Any], wanted: UUID) -> None:
    if things.pop(wanted, None) is None:
        raise Refused("not_found")


def is_full(limit: int | None, count: int) -> bool:
    return limit is not None and count >= limit
