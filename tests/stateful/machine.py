"""The actions of doctors and patients, drawn at random."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from app.core.computing import Computation
from app.core.fair_locks import ClientFairLock
from app.core.permissions import Role
from app.db.database import Transaction
from app.repositories.appointments import Reference
from app.scheduling.recurrence import read_recurrence
from app.scheduling.status import Action
from app.services import appointment_status, booking, doctor_profile, schedule, slots
from app.services.booking import BookingRequest
from tests.stateful.appointments import ACTIONS
from tests.stateful.base_machine import HOUR, BaseMachine, to_datetimes
from tests.stateful.clinic import Clinic
from tests.stateful.doctors import Doctor, VisitType
from tests.stateful.intervals import DAY, MINUTE, day_of, days_between, midnight
from tests.stateful.strategies import (
    ZONES,
    five_minutes,
    format_recurrence,
    limits,
    pick,
    recurrences,
    starts_in_zone,
    visit_type_changes,
    visit_types,
    weeks,
)

NO_ID = UUID(int=0)
"""For the model, when the service has created nothing."""


class ClinicMachine(BaseMachine):
    """A single rule draws the action. With many rules, Hypothesis would use only some of them in an example."""

    def __init__(self) -> None:
        super().__init__()
        self.hold_ids: list[UUID] = []

    @initialize(data=st.data(), zone=st.sampled_from(ZONES), other=st.none() | st.just("") | st.sampled_from(ZONES))
    def open_clinic(self, data: st.DataObject, zone: str, other: str | None) -> None:
        """Register patients and one or two doctors. ``""`` is the zone of the first one."""
        self.clinic = Clinic(data.draw(starts_in_zone(zone), label="now"))
        self.clinic.patients += [self.register(Role.PATIENT) for _ in range(2)]
        for each in [zone] if other is None else [zone, other or zone]:
            self.doctor = Doctor(self.register(Role.DOCTOR, each), each)
            self.clinic.doctors[self.doctor.id] = self.doctor
            self._set_hours(data.draw(weeks, label="hours"), None, None)
            self._set_limits(data)
            for fields in data.draw(st.lists(visit_types, max_size=2), label="visit types"):
                self._offer_visit_type(fields)

    @rule(data=st.data())
    def run_action(self, data: st.DataObject) -> None:
        actions = [self._let_time_pass] * 2 + [self._book_slot] * 4 + [self._book_any_time] * 4
        actions += [self._hold_or_release] * 3 + [self._change_calendar] * 3 + [self._change_profile] * 2
        actions += [self._compare_rarely]
        if self.list_valid_holds():
            actions += [self._book_held_time] * 4
        if self.clinic.appointments:
            actions += [self._reschedule, self._cancel_or_advance] * 3 + [self._undo] * 2
        action = pick(data, actions, "action")
        note(action.__name__)
        action(data)

    # Actions of doctors

    def _change_calendar(self, data: st.DataObject) -> None:
        self.choose_doctor(data)
        actions = [self._take_time_off, self._take_time_off, self._publish, self._change_hours]
        actions += [self._withdraw] if self.doctor.availabilities else []
        actions += [self._end_time_off] if self.doctor.time_off else []
        pick(data, actions, "action")(data)

    def _publish(self, data: st.DataObject) -> None:
        start = self.draw_time(data)
        lengths = st.one_of(five_minutes(1, 50), five_minutes(-1, 300), st.just(7 * DAY))
        end = start + data.draw(lengths, label="length")
        recurrence = data.draw(st.none() | recurrences(start, self.doctor.time_zone), label="recurrence")
        rule = read_recurrence(format_recurrence(recurrence)) if recurrence else None
        me = self.make_actor(self.doctor.id)
        self.run_both(
            "publish",
            lambda transaction: schedule.publish_availability(
                transaction, me.id, start=start, end=end, recurrence=rule, now=self.now
            ),
            lambda new: self.clinic.publish(new[1].id if new else NO_ID, me.id, (start, end), recurrence),
        )

    def _withdraw(self, data: st.DataObject) -> None:
        availability, me = pick(data, list(self.doctor.availabilities), "availability"), self.draw_doctor(data)
        self.run_both(
            "withdraw",
            lambda transaction: schedule.withdraw_availability(transaction, me.id, availability),
            lambda _: self.clinic.withdraw(me.id, availability),
        )

    def _change_hours(self, data: st.DataObject) -> None:
        today = day_of(self.now, self.doctor.time_zone)
        first = pick(data, [None, None, 0, 1, 2, -1], "from")
        last = pick(data, [None, None, 2, 6, 0], "to")
        self._set_hours(
            data.draw(weeks, label="hours"),
            None if first is None else today + first * DAY,
            None if last is None else today + last * DAY,
        )

    def _set_hours(self, hours: Mapping[int, Sequence[tuple[int, int]]], first: date | None, last: date | None) -> None:
        me = self.make_actor(self.doctor.id)
        result = self.run_both(
            "set hours",
            lambda transaction: schedule.set_weekly_hours(
                transaction, me.id, hours, valid_from=first, valid_to=last, replace_later=last is None, now=self.now
            ),
            lambda _: self.clinic.set_hours(me.id, hours, first, last),
        )
        if result:
            self.compare_affected(result[1], self.now)

    def _take_time_off(self, data: st.DataObject) -> None:
        start, zone = self.draw_time(data), self.doctor.time_zone
        days = pick(data, [None, None, 1, 2, 0], "days")
        if days is None:
            end = start + data.draw(five_minutes(0, 100), label="length")
        else:
            first = day_of(start, zone)
            start, end = midnight(first, zone), midnight(first + days * DAY, zone)
        me = self.make_actor(self.doctor.id)
        result = self.run_both(
            "take time off",
            lambda transaction: schedule.take_time_off(
                transaction, me.id, start=start, end=end, reason=None, now=self.now
            ),
            lambda new: self.clinic.take_time_off(new[1].id if new else NO_ID, me.id, start, end),
        )
        if result:
            self.compare_affected(result[2], max(start, self.now), end)

    def _end_time_off(self, data: st.DataObject) -> None:
        time_off, me = pick(data, list(self.doctor.time_off), "time off"), self.draw_doctor(data)
        self.run_both(
            "end time off",
            lambda transaction: schedule.end_time_off(transaction, me.id, time_off),
            lambda _: self.clinic.end_time_off(me.id, time_off),
        )

    def _change_profile(self, data: st.DataObject) -> None:
        self.choose_doctor(data)
        actions = [self._set_limits, self._set_limits, self._change_zone]
        actions += [self._offer_another_visit_type] if len(self.doctor.visit_types) < 4 else []
        actions += [self._change_visit_type] * 2 if self.doctor.visit_types else []
        pick(data, actions, "action")(data)

    def _set_limits(self, data: st.DataObject) -> None:
        self._save_profile(data.draw(limits, label="limits"))

    def _change_zone(self, data: st.DataObject) -> None:
        self._save_profile({"time_zone": pick(data, ZONES, "zone")})

    def _save_profile(self, changes: Mapping[str, Any]) -> None:
        me = self.make_actor(self.doctor.id)
        *_, affected = self.database_runner.write(
            lambda transaction: doctor_profile.change_profile(transaction, me.id, changes, self.now)
        )
        for name, value in changes.items():
            setattr(self.doctor, name, value)
        if "time_zone" in changes:
            self.compare_affected(affected, self.now)

    def _offer_another_visit_type(self, data: st.DataObject) -> None:
        self._offer_visit_type(data.draw(visit_types, label="visit type"))

    def _offer_visit_type(self, fields: Mapping[str, Any]) -> None:
        me, named = self.make_actor(self.doctor.id), {"name": f"Visit {len(self.doctor.visit_types)}", **fields}
        offered = self.database_runner.write(
            lambda transaction: doctor_profile.offer_visit_type(transaction, me.id, named, self.now)
        )
        self.doctor.visit_types[offered.id] = VisitType(id=offered.id, **fields)

    def _change_visit_type(self, data: st.DataObject) -> None:
        """Change or withdraw a visit type."""
        visit_type_id, me = pick(data, list(self.doctor.visit_types), "visit type"), self.draw_doctor(data)
        changes = data.draw(visit_type_changes | st.just({"withdrawn": True}), label="changes")

        async def change(transaction: Transaction) -> None:
            if "withdrawn" in changes:
                await doctor_profile.withdraw_visit_type(transaction, me.id, visit_type_id, self.now)
            else:
                await doctor_profile.change_visit_type(transaction, me.id, visit_type_id, changes)

        self.run_both(
            "change visit type", change, lambda _: self.clinic.change_visit_type(me.id, visit_type_id, changes)
        )

    # Actions of patients

    def _book_slot(self, data: st.DataObject) -> None:
        self.choose_doctor(data)
        start, visit_type_id = self.draw_slot(data)
        self._book(data, self.draw_patient(data), start, None, visit_type_id)

    def _book_held_time(self, data: st.DataObject) -> None:
        """Book the time of a hold: at once, later or too late, and sometimes as another patient."""
        hold = pick(data, self.list_valid_holds(), "hold")
        waits = [timedelta(0), MINUTE, 4 * MINUTE, hold.expires_at - self.now]
        self.clinic.now += pick(data, waits, "wait")
        self.doctor = self.clinic.doctors[hold.doctor_id]
        patient_id = pick(data, [hold.patient_id, hold.patient_id, *self.clinic.patients], "patient")
        self._book(data, patient_id, hold.visit[0], None, hold.visit_type_id, wanted_hold_id=hold.id)

    def _book_any_time(self, data: st.DataObject) -> None:
        self.choose_doctor(data)
        start = self.draw_time(data)
        minutes = pick(data, [None] * 8 + [15, 20, 30, 45, 60, 0, 725], "minutes")
        end = None if minutes is None else start + minutes * MINUTE
        self._book(data, self.draw_patient(data), start, end, self.draw_visit_type(data))

    def _book(
        self,
        data: st.DataObject,
        patient_id: UUID,
        start: datetime,
        end: datetime | None,
        visit_type_id: UUID | None,
        *,
        wanted_hold_id: UUID | None = None,
    ) -> None:
        hold_id = pick(data, [wanted_hold_id, None, *self.hold_ids[-2:]], "with hold")
        me, doctor_id = self.make_actor(patient_id), self.doctor.id
        self.compare_explanation(start, visit_type_id, me.id)
        self.run_both(
            "book",
            lambda transaction: booking.book_appointment(
                transaction,
                me,
                BookingRequest(doctor_id, start, end, visit_type_id),
                patient=Reference(me.id, me.name),
                reason=None,
                hold_id=hold_id,
                now=self.now,
            ),
            lambda new: self.clinic.book(
                new.id if new else NO_ID, me.id, doctor_id, start, end, visit_type_id, hold_id
            ),
        )

    def _hold_or_release(self, data: st.DataObject) -> None:
        self.choose_doctor(data)
        actions = [self._hold, self._hold, self._hold]
        actions += [self._release] if self.list_valid_holds() else []
        pick(data, actions, "action")(data)

    def _hold(self, data: st.DataObject) -> None:
        start, visit_type_id = self.draw_slot_or_time(data)
        me = self.make_actor(self.draw_patient(data))
        wanted = BookingRequest(self.doctor.id, start, visit_type_id=visit_type_id)
        held = self.run_both(
            "hold",
            lambda transaction: booking.hold_time(
                transaction, me, wanted, patient=Reference(me.id, me.name), now=self.now
            ),
            lambda new: self.clinic.hold(new.id if new else NO_ID, me.id, wanted.doctor_id, start, visit_type_id),
        )
        if held:
            self.hold_ids.append(held.id)

    def _release(self, data: st.DataObject) -> None:
        # Only a valid hold, because it depends on other bookings whether an expired one has been deleted.
        hold, me = pick(data, self.list_valid_holds(), "hold"), self.make_actor(self.draw_patient(data))
        self.run_both(
            "release",
            lambda transaction: booking.release_hold(transaction, hold.id, patient_id=me.id),
            lambda _: self.clinic.release(me.id, hold.id),
        )

    def _reschedule(self, data: st.DataObject) -> None:
        appointment_id, me, versions = self.draw_appointment(data)
        start, visit_type_id = self.draw_slot_or_time(data)
        visit_type_id = pick(data, [None, visit_type_id], "visit type")
        self.run_both(
            "reschedule",
            lambda transaction: booking.reschedule_appointment(
                transaction,
                me,
                appointment_id,
                start=start,
                visit_type_id=visit_type_id,
                versions=versions,
                now=self.now,
            ),
            lambda _: self.clinic.reschedule(me.id, appointment_id, start, visit_type_id, versions),
        )

    def _undo(self, data: st.DataObject) -> None:
        appointment_id, _, versions = self.draw_appointment(data)
        me = self.draw_doctor(data)
        self.run_both(
            "undo",
            lambda transaction: appointment_status.undo_status_change(
                transaction, me, appointment_id, versions=versions, now=self.now
            ),
            lambda _: self.clinic.undo(me.id, appointment_id, versions),
        )

    def _cancel_or_advance(self, data: st.DataObject) -> None:
        action = pick(data, [None, None, None, Action.ARRIVE, Action.COMPLETE, Action.NO_SHOW], "action")
        appointment_id, me, versions = self.draw_appointment(data)
        if action is None:
            self.run_both(
                "cancel",
                lambda transaction: appointment_status.cancel_appointment(
                    transaction, me, appointment_id, versions=versions, now=self.now
                ),
                lambda _: self.clinic.cancel(me.id, appointment_id, versions),
            )
        else:
            me = self.draw_doctor(data)
            self.run_both(
                action.value,
                lambda transaction: appointment_status.advance_appointment(
                    transaction, me, appointment_id, action, versions=versions, now=self.now
                ),
                lambda _: self.clinic.advance(me.id, appointment_id, action.value, versions),
            )

    # Other actions

    def _let_time_pass(self, data: st.DataObject) -> None:
        """Move the clock, mostly to a moment at which an action becomes possible or impossible."""
        moments = {hold.expires_at for hold in self.clinic.holds.values()}
        for appointment in self.clinic.appointments.values():
            start, end = appointment.visit
            cutoff = self.clinic.doctors[appointment.doctor_id].cancel_cutoff_minutes * MINUTE
            moments |= {end, start - cutoff, *(start + earliest for *_, earliest in ACTIONS.values())}
        moments |= {moment + MINUTE for moment in moments}
        moments |= {self.now + after for after in (timedelta(seconds=17), MINUTE, HOUR, DAY)}
        later = sorted(moment for moment in moments if self.now < moment)
        later += [self.now + data.draw(five_minutes(1, 3 * 288), label="after")]
        self.clinic.now = pick(data, later, "now")

    def _compare_rarely(self, data: st.DataObject) -> None:
        """Compare what is not compared after every step: explanations, next slots and weekly hours."""
        self.choose_doctor(data)
        viewer = pick(data, [None, *self.clinic.patients], "viewer")
        self.compare_explanation(self.draw_time(data), self.draw_visit_type(data), viewer)
        visit_type, doctor = pick(data, self.doctor.bookable_visit_types, "visit type"), self.doctor
        found = self.database_runner.read(
            lambda transaction: slots.find_next_slot(
                transaction,
                Computation(ClientFairLock(), "a test"),
                doctor.id,
                visit_type_id=visit_type.id,
                start=None,
                viewer=viewer,
                now=self.now,
            )
        )
        soon = self.now, self.now + 8 * DAY
        expected = self.clinic.list_slots(doctor, visit_type, soon, viewer)[:1]
        assert expected == [each for each in to_datetimes([found.slot] if found.slot else []) if each[0] < soon[1]]
        me, today = self.make_actor(doctor.id), day_of(self.now, doctor.time_zone)
        weekly_hours = self.database_runner.read(
            lambda transaction: schedule.get_weekly_hours(transaction, me.id, first=None, now=self.now)
        )
        assert weekly_hours.current.first == today
        for each in (weekly_hours.current, *weekly_hours.later):
            for day in days_between(each.first, min(each.last or date.max, each.first + 6 * DAY)):
                windows = doctor.find_weekly_hours(day).hours.get(day.weekday(), ())
                assert each.hours[day.weekday()] == sorted(windows), day
