"""What can be read from the calendars of the model: reasons against a visit, slots, free windows, lists."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from tests.stateful.appointments import ACTIVE, Appointment, Hold, Refused
from tests.stateful.doctors import Doctor, VisitType
from tests.stateful.intervals import MINUTE, Interval, day_of, days_between, is_covered, midnight, overlap


@dataclass
class Calendars:
    """The doctors and patients of a clinic, with their appointments and holds."""

    now: datetime
    doctors: dict[UUID, Doctor] = field(default_factory=dict)
    patients: list[UUID] = field(default_factory=list)
    appointments: dict[UUID, Appointment] = field(default_factory=dict)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    """Including those that have expired."""

    def is_valid(self, hold: Hold) -> bool:
        return self.now < hold.expires_at

    def get_visit_type(self, doctor_id: UUID, visit_type_id: UUID) -> VisitType:
        visit_type = self.doctors[doctor_id].visit_types.get(visit_type_id)
        if visit_type is None or visit_type.withdrawn:
            raise Refused("not_found")
        return visit_type

    def choose_visit_type(
        self, doctor_id: UUID, visit_type_id: UUID | None, start: datetime, end: datetime | None
    ) -> VisitType:
        """Return the visit type of a request to book."""
        if end is not None and not 5 * MINUTE <= end - start <= 720 * MINUTE:
            raise Refused("invalid_request")
        if doctor_id not in self.doctors:
            raise Refused("not_found")
        if visit_type_id is not None:
            visit_type = self.get_visit_type(doctor_id, visit_type_id)
            if end is not None and end != visit_type.visit(start)[1]:
                raise Refused("wrong_length")
            return visit_type
        [visit_type, *others] = self.doctors[doctor_id].bookable_visit_types
        if visit_type.id is not None or others:
            raise Refused("visit_type_required")
        return visit_type if end is None else VisitType((end - start) // MINUTE)

    def find_refusals(
        self,
        doctor: Doctor,
        visit_type: VisitType,
        visit: Interval,
        *,
        viewer: UUID | None,
        requested_at: datetime | None = None,
        moving: Appointment | None = None,
        windows: Sequence[Interval] | None = None,
    ) -> list[str]:
        """Return every reason against a visit, in order of weight.

        ``windows`` are those of the doctor around the visit, if the caller has them already.
        """
        now, zone = requested_at or self.now, doctor.time_zone
        start, end = visit
        busy_periods = list(self.list_busy_periods(doctor, viewer, moving))
        windows = [
            each for each in (doctor.list_windows(visit) if windows is None else windows) if overlap(each, visit)
        ]
        found = []
        if start < now:
            found.append("in_the_past")
        if overlap(visit, (now, doctor.notice_ends(visit_type, now))):
            found.append("too_soon")
        if end > doctor.advance_ends(visit_type, now):
            found.append("too_far_ahead")
        is_open = is_covered(visit, windows)
        if not is_open:
            found.append("outside_availability")
        if doctor.is_off(visit):
            found.append("time_off")
        is_on_grid = any(opens <= start < closes and not (start - opens) % visit_type.step for opens, closes in windows)
        # Visits without a visit type have no grid.
        if is_open and visit_type.id and not is_on_grid:
            found.append("off_grid")
        is_limited = doctor.daily_limit is not None or visit_type.daily_limit is not None
        for day in days_between(day_of(start, zone), day_of(end - datetime.resolution, zone)) if is_limited else ():
            on_day = [type_id for _, begins, type_id in busy_periods if day_of(begins, zone) == day]
            of_type = on_day.count(visit_type.id)
            if is_reached(doctor.daily_limit, len(on_day)) or is_reached(visit_type.daily_limit, of_type):
                found.append("day_full")
                break
        if any(overlap(visit_type.busy(visit), busy) for busy, _, _ in busy_periods):
            found.append("slot_taken")
        return found

    def list_busy_periods(
        self, doctor: Doctor, viewer: UUID | None, moving: Appointment | None = None
    ) -> Iterator[tuple[Interval, datetime, UUID | None]]:
        """Yield the busy period, start and visit type of each appointment, and of each hold of another patient."""
        for each in self.appointments.values():
            if each.doctor_id == doctor.id and each.occupies_time and each is not moving:
                yield each.busy, each.current.start, each.current.visit_type_id
        for hold in self.holds.values():
            if hold.doctor_id == doctor.id and self.is_valid(hold) and hold.patient_id != viewer:
                yield hold.busy, hold.visit[0], hold.visit_type_id

    def explain(self, doctor_id: UUID, visit_type_id: UUID | None, start: datetime, viewer: UUID | None) -> list[str]:
        visit_type = self.choose_visit_type(doctor_id, visit_type_id, start, None)
        return self.find_refusals(self.doctors[doctor_id], visit_type, visit_type.visit(start), viewer=viewer)

    def list_slots(self, doctor: Doctor, visit_type: VisitType, span: Interval, viewer: UUID | None) -> list[Interval]:
        """Return the slots, by trying every start on the grid of every window."""
        windows = doctor.list_windows((span[0], visit_type.visit(span[1])[1]))
        found = set()
        for opens, closes in windows:
            start = opens
            while start < min(closes, span[1]):
                visit = visit_type.visit(start)
                if start >= span[0] and not self.find_refusals(
                    doctor, visit_type, visit, viewer=viewer, windows=windows
                ):
                    found.add(visit)
                start += visit_type.step
        return sorted(found)

    def list_free_windows(self, doctor: Doctor, span: Interval, viewer: UUID | None) -> list[Interval]:
        """Join the free pieces between edges. Between two neighbouring edges nothing changes."""
        windows = doctor.list_windows(span)
        free: list[Interval] = []
        for piece in pairwise([span[0], *self.list_edges(doctor, span), span[1]]):
            if piece[0] < piece[1] and not self.find_refusals(
                doctor, doctor.default_visit, piece, viewer=viewer, windows=windows
            ):
                begin = free.pop()[0] if free and free[-1][1] == piece[0] else piece[0]
                free.append((begin, piece[1]))
        return free

    def list_edges(self, doctor: Doctor, span: Interval) -> list[datetime]:
        """Return the instants at which something begins or ends in the doctor's calendar."""
        intervals = [
            *doctor.list_windows(span),
            *doctor.list_time_off(),
            *(busy for busy, _, _ in self.list_busy_periods(doctor, None)),
            (self.now, doctor.notice_ends(doctor.default_visit, self.now)),
            (self.now, doctor.advance_ends(doctor.default_visit, self.now)),
        ]
        zone = doctor.time_zone
        midnights = {midnight(day, zone) for day in days_between(day_of(span[0], zone), day_of(span[1], zone))}
        edges = midnights.union(*intervals)
        return sorted(edge for edge in edges if span[0] <= edge <= span[1])

    def list_conflicting(self, doctor: Doctor, first: datetime, last: datetime | None = None) -> list[UUID]:
        """Return the active appointments in ``[first, last)`` that are outside the windows or in time off, by time."""
        active = [each for each in self._list_by_time(doctor.id) if each.current.status in ACTIVE]
        near = [each for each in active if each.current.end > first and (last is None or each.current.start < last)]
        return [
            each.id
            for each in near
            if doctor.is_off(each.visit) or not is_covered(each.visit, doctor.list_windows(each.visit))
        ]

    def list_appointments(self, person: UUID) -> list[UUID]:
        """Return upcoming appointments, the next one first, and then past ones, the latest first."""
        own = self._list_by_time(person)
        upcoming = [each.id for each in own if each.current.end > self.now]
        return upcoming + [each.id for each in reversed(own) if each.current.end <= self.now]

    def _list_by_time(self, person: UUID) -> list[Appointment]:
        own = [each for each in self.appointments.values() if person in {each.doctor_id, each.patient_id}]
        return sorted(own, key=lambda each: (each.current.start, each.id))


def is_reached(limit: int | None, count: int) -> bool:
    return limit is not None and count >= limit
