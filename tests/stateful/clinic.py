"""The model of a clinic: a plain specification of what the services do, which the state machine compares with them.

It shares nothing with the application but words, and goes through lists instead of using indexes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from tests.stateful.appointments import ACTIONS, HOLD_LENGTH, Appointment, Hold, Refused, Version
from tests.stateful.calendars import Calendars
from tests.stateful.doctors import YEAR, Availability, Recurrence, VisitType, WeeklyHours
from tests.stateful.intervals import DAY, MINUTE, Interval, day_of, days_between, midnight, overlap, shown

WEEK_MINUTES = 7 * 24 * 60


class Clinic(Calendars):
    """Everything that doctors and patients can do. Raises ``Refused`` for everything that the services refuse."""

    # Changes by doctors

    def publish(self, new_id: UUID, doctor_id: UUID, interval: Interval, recurrence: Recurrence | None) -> None:
        doctor = self.doctors[doctor_id]
        (start, end), zone = interval, doctor.time_zone
        if not start < end <= start + 7 * DAY or start < self.now:
            raise Refused("invalid_request")
        availability = Availability(shown(start, zone), shown(end, zone), recurrence)
        first = availability.starts.date()
        if recurrence is not None:
            # The second occurrence of a repeated wall time cannot recur.
            if availability.starts.fold or availability.ends.fold or not recurrence.recurs_on(first, first):
                raise Refused("invalid_request")
            availability = replace(availability, last_day=availability.find_last_day(zone))
        days = days_between(first, min(availability.last_day, first + YEAR))
        windows = [each for day in days for each in availability.list_windows(day, zone) if each[0] < start + YEAR]
        if not windows or any(overlap(*neighbours) for neighbours in pairwise(windows)):
            raise Refused("invalid_request")
        if any(doctor.list_windows(each) for each in windows):
            raise Refused("availability_overlaps")
        doctor.availabilities[new_id] = availability

    def withdraw(self, doctor_id: UUID, availability_id: UUID) -> None:
        remove(self.doctors[doctor_id].availabilities, availability_id)

    def set_hours(
        self, doctor_id: UUID, hours: Mapping[int, Sequence[tuple[int, int]]], first: date | None, last: date | None
    ) -> None:
        doctor = self.doctors[doctor_id]
        today = day_of(self.now, doctor.time_zone)
        new = WeeklyHours(first or today, last or date.max, hours)
        windows = [(weekday, window) for weekday, some in hours.items() for window in some]
        minutes = [(weekday * 1440 + minute) % WEEK_MINUTES for weekday, window in windows for minute in range(*window)]
        if len(minutes) > len(set(minutes)) or not today <= new.first <= new.last:
            raise Refused("invalid_request")
        doctor.weekly_hours.append(new)

    def take_time_off(self, new_id: UUID, doctor_id: UUID, start: datetime, end: datetime) -> None:
        if not start < end <= start + YEAR or end <= self.now:
            raise Refused("invalid_request")
        zone = self.doctors[doctor_id].time_zone
        self.doctors[doctor_id].time_off[new_id] = shown(start, zone), shown(end, zone)

    def end_time_off(self, doctor_id: UUID, time_off_id: UUID) -> None:
        remove(self.doctors[doctor_id].time_off, time_off_id)

    def change_visit_type(self, doctor_id: UUID, visit_type_id: UUID, fields: Mapping[str, Any]) -> None:
        changed = replace(self.get_visit_type(doctor_id, visit_type_id), **fields)
        self.doctors[doctor_id].visit_types[visit_type_id] = changed

    # Bookings and holds

    def book(
        self,
        new_id: UUID,
        patient_id: UUID,
        doctor_id: UUID,
        start: datetime,
        end: datetime | None,
        visit_type_id: UUID | None,
        hold_id: UUID | None,
    ) -> None:
        hold = self.holds.get(hold_id) if hold_id else None
        wanted = patient_id, doctor_id, visit_type_id, start
        is_held = (
            hold
            and self.is_valid(hold)
            and wanted == (hold.patient_id, hold.doctor_id, hold.visit_type_id, hold.visit[0])
        )
        has_length_of_hold = hold and is_held and end in {None, hold.visit[1]}
        visit_type = self.choose_visit_type(doctor_id, visit_type_id, start, None if has_length_of_hold else end)
        if hold and has_length_of_hold:
            visit_type = visit_type.as_long_as(hold.visit, hold.busy)
        requested_at = hold.requested_at if hold and is_held else self.now
        visit = visit_type.visit(start)
        self._check(doctor_id, patient_id, visit_type, visit, requested_at=requested_at)
        self._release_overlapping_holds(doctor_id, patient_id, visit_type, visit)
        version = Version("booked", *visit, visit_type.id, self.now, patient_id)
        self.appointments[new_id] = Appointment(new_id, doctor_id, patient_id, visit_type.busy(visit), [version])

    def hold(
        self, new_id: UUID, patient_id: UUID, doctor_id: UUID, start: datetime, visit_type_id: UUID | None
    ) -> None:
        # A visit that has begun can no longer be booked, so it cannot be held.
        if start <= self.now:
            raise Refused("in_the_past")
        visit_type = self.choose_visit_type(doctor_id, visit_type_id, start, None)
        visit = visit_type.visit(start)
        self._check(doctor_id, patient_id, visit_type, visit)
        self.holds = {each.id: each for each in self.holds.values() if each.patient_id != patient_id}
        self.holds[new_id] = Hold(
            new_id,
            doctor_id,
            patient_id,
            visit_type.id,
            visit,
            visit_type.busy(visit),
            requested_at=self.now,
            expires_at=min(self.now + HOLD_LENGTH, start),
        )

    def release(self, patient_id: UUID, hold_id: UUID) -> None:
        if hold_id not in self.holds or self.holds[hold_id].patient_id != patient_id:
            raise Refused("not_found")
        del self.holds[hold_id]

    def _check(
        self,
        doctor_id: UUID,
        patient_id: UUID,
        visit_type: VisitType,
        visit: Interval,
        *,
        requested_at: datetime | None = None,
        moving: Appointment | None = None,
    ) -> None:
        doctor = self.doctors[doctor_id]
        refusals = self.find_refusals(
            doctor, visit_type, visit, viewer=patient_id, requested_at=requested_at, moving=moving
        )
        others = [each for each in self.appointments.values() if each.patient_id == patient_id and each is not moving]
        if any(overlap(each.visit, visit) for each in others if each.occupies_time):
            refusals.append("patient_busy")
        if refusals:
            # The database decides which of the two constraints an UPDATE violates first.
            raise Refused(*(refusals if moving and refusals[0] == "slot_taken" else refusals[:1]))

    def _release_overlapping_holds(
        self, doctor_id: UUID, patient_id: UUID, visit_type: VisitType, visit: Interval
    ) -> None:
        """Release holds of the patient that overlap the visit to be booked; holds of others prevent the booking."""
        for hold in [each for each in self.holds.values() if each.patient_id == patient_id]:
            if overlap(hold.visit, visit) or (
                hold.doctor_id == doctor_id and overlap(hold.busy, visit_type.busy(visit))
            ):
                del self.holds[hold.id]

    # Changes of appointments

    def cancel(self, actor_id: UUID, appointment_id: UUID, versions: frozenset[int] | None) -> None:
        if self._get_own(actor_id, appointment_id).current.status != "cancelled":
            self.advance(actor_id, appointment_id, "cancel", versions)

    def advance(self, actor_id: UUID, appointment_id: UUID, action: str, versions: frozenset[int] | None) -> None:
        appointment = self._get_for_action(actor_id, appointment_id, action, versions)
        self._change(appointment, actor_id, status=ACTIONS[action][1])

    def reschedule(
        self,
        actor_id: UUID,
        appointment_id: UUID,
        start: datetime,
        visit_type_id: UUID | None,
        versions: frozenset[int] | None,
    ) -> None:
        moving = self._get_for_action(actor_id, appointment_id, "reschedule", versions)
        doctor_id, current = moving.doctor_id, moving.current
        if start == current.start and visit_type_id in {None, current.visit_type_id}:
            return
        if visit_type_id is not None:
            visit_type = self.get_visit_type(doctor_id, visit_type_id)
        elif current.visit_type_id is not None:
            visit_type = self.doctors[doctor_id].visit_types[current.visit_type_id]
        else:
            visit_type = VisitType((current.end - current.start) // MINUTE)
        if visit_type_id in {None, current.visit_type_id}:
            visit_type = visit_type.as_long_as(moving.visit, moving.busy)
        visit = visit_type.visit(start)
        self._check(doctor_id, moving.patient_id, visit_type, visit, moving=moving)
        self._release_overlapping_holds(doctor_id, moving.patient_id, visit_type, visit)
        self._change(moving, actor_id, status="booked", start=visit[0], end=visit[1], visit_type_id=visit_type.id)
        moving.busy = visit_type.busy(visit)

    def undo(self, actor_id: UUID, appointment_id: UUID, versions: frozenset[int] | None) -> None:
        appointment = self._get_own(actor_id, appointment_id)
        current, zone = appointment.current, self.doctors[appointment.doctor_id].time_zone
        if versions is not None and appointment.version not in versions:
            raise Refused("version_mismatch")
        is_cancelled_by_patient = current.status == "cancelled" and current.changed_by != appointment.doctor_id
        if current.status == "booked" or is_cancelled_by_patient:
            raise Refused("wrong_status")
        last_day = max(day_of(current.end - datetime.resolution, zone), day_of(current.changed_at, zone))
        if self.now >= midnight(last_day + timedelta(days=1), zone):
            raise Refused("too_late")
        if not appointment.occupies_time:
            visit_type = VisitType((current.end - current.start) // MINUTE, id=current.visit_type_id)
            self._check_restored(appointment)
            self._release_overlapping_holds(
                appointment.doctor_id, appointment.patient_id, visit_type, appointment.visit
            )
        status = "booked" if current.status == "arrived" else appointment.history[-2].status
        self._change(appointment, actor_id, status=status)

    def _check_restored(self, appointment: Appointment) -> None:
        """Refuse to restore an appointment whose time has been taken."""
        patient_id, doctor = appointment.patient_id, self.doctors[appointment.doctor_id]
        refusals = []
        busy_periods = self.list_busy_periods(doctor, patient_id, appointment)
        if any(overlap(appointment.busy, busy) for busy, _, _ in busy_periods):
            refusals.append("slot_taken")
        others = [each for each in self.appointments.values() if each.patient_id == patient_id and each.occupies_time]
        if any(overlap(each.visit, appointment.visit) for each in others):
            refusals.append("patient_busy")
        if refusals:
            raise Refused(*refusals)

    def _get_own(self, actor_id: UUID, appointment_id: UUID) -> Appointment:
        appointment = self.appointments[appointment_id]
        if actor_id not in {appointment.doctor_id, appointment.patient_id}:
            raise Refused("not_found")
        return appointment

    def _get_for_action(
        self, actor_id: UUID, appointment_id: UUID, action: str, versions: frozenset[int] | None
    ) -> Appointment:
        appointment = self._get_own(actor_id, appointment_id)
        start = appointment.current.start
        sources, _, earliest = ACTIONS[action]
        if versions is not None and appointment.version not in versions:
            raise Refused("version_mismatch")
        if appointment.current.status not in sources:
            raise Refused("wrong_status")
        if self.now < start + earliest:
            raise Refused("too_early")
        if actor_id == appointment.patient_id and self.now >= start:
            raise Refused("already_started")
        cutoff = self.doctors[appointment.doctor_id].cancel_cutoff_minutes * MINUTE
        if actor_id == appointment.patient_id and self.now > start - cutoff:
            raise Refused("too_late")
        return appointment

    def _change(self, appointment: Appointment, changed_by: UUID, **values: Any) -> None:
        new = replace(appointment.current, changed_at=self.now, changed_by=changed_by, **values)
        appointment.history.append(new)


def remove(records: dict[UUID, Any], record_id: UUID) -> None:
    if records.pop(record_id, None) is None:
        raise Refused("not_found")
