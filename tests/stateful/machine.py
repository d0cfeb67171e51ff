"""Doctors and patients who do whatever comes to their minds."""

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
from app.scheduling.recurrence import read_recurrence
from app.scheduling.status import Action
from app.services import appointment_status, booking, doctor_profile, schedule, slots
from app.services.booking import BookingRequest
from tests.stateful.hours import DAY, MINUTE, Doctor, Kind, day_of, days_between, midnight
from tests.stateful.model import ACTIONS, Clinic
from tests.stateful.stage import HOUR, Stage, stretches
from tests.stateful.worlds import (
    ZONES,
    fives,
    limits,
    pick,
    recurrences,
    spell,
    starts_in_zone,
    visit_type_changes,
    visit_types,
    weeks,
)

NOBODY = UUID(int=0)


class Practice(Stage):
    """One rule with a choice inside: of many rules, each story would have but some, and hardly ever the right ones."""

    def __init__(self) -> None:
        super().__init__()
        self.hold_ids: list[UUID] = []

    @initialize(data=st.data(), zone=st.sampled_from(ZONES), other=st.none() | st.just("") | st.sampled_from(ZONES))
    def open(self, data: st.DataObject, zone: str, other: str | None) -> None:
        """One doctor, or two, who may live next door to each other."""
        self.clinic = Clinic(data.draw(starts_in_zone(zone), label="now"))
        self.clinic.patients += [self.register(Role.PATIENT) for _ in range(2)]
        for each in [zone] if other is None else [zone, other or zone]:
            self.doctor = Doctor(self.register(Role.DOCTOR, each), each)
            self.clinic.doctors[self.doctor.id] = self.doctor
            self._set_hours(data.draw(weeks, label="hours"), None, None)
            self._set_limits(data)
            for fields in data.draw(st.lists(visit_types, max_size=2), label="visit types"):
                self._offer(fields)

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        acts = [self._let_time_pass] * 2 + [self._book_a_slot] * 4 + [self._book_any_time] * 4
        acts += [self._hold_or_release] * 3 + [self._change_calendar] * 3 + [self._change_terms] * 2
        acts += [self._look_around]
        if self.standing():
            acts += [self._book_what_is_held] * 4
        if self.clinic.appointments:
            acts += [self._reschedule, self._cancel_or_carry_out] * 3 + [self._undo] * 2
        act = pick(data, acts, "act")
        note(act.__name__)
        act(data)

    # What doctors say

    def _change_calendar(self, data: st.DataObject) -> None:
        self.turn_to_some_doctor(data)
        acts = [self._take_time_off, self._take_time_off, self._publish, self._change_hours]
        acts += [self._withdraw] if self.doctor.openings else []
        acts += [self._end_time_off] if self.doctor.time_off else []
        pick(data, acts, "act")(data)

    def _publish(self, data: st.DataObject) -> None:
        start = self.moment(data)
        end = start + data.draw(st.one_of(fives(1, 50), fives(-1, 300), st.just(7 * DAY)), label="length")
        recurrence = data.draw(st.none() | recurrences(start, self.doctor.time_zone), label="recurrence")
        rule = read_recurrence(spell(recurrence)) if recurrence else None
        me = self.actor(self.doctor.id)
        self.agree(
            "publish",
            lambda transaction: schedule.publish_availability(
                transaction, me, start=start, end=end, recurrence=rule, now=self.now
            ),
            lambda new: self.clinic.publish(new[1].id if new else NOBODY, me.id, (start, end), recurrence),
        )

    def _withdraw(self, data: st.DataObject) -> None:
        opening, me = pick(data, list(self.doctor.openings), "opening"), self.some_doctor(data)
        self.agree(
            "withdraw",
            lambda transaction: schedule.withdraw_availability(transaction, me, opening),
            lambda _: self.clinic.withdraw(me.id, opening),
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
        me = self.actor(self.doctor.id)
        answer = self.agree(
            "set hours",
            lambda transaction: schedule.set_weekly_hours(
                transaction, me, hours, valid_from=first, valid_to=last, replace_later=last is None, now=self.now
            ),
            lambda _: self.clinic.set_hours(me.id, hours, first, last),
        )
        if answer:
            self.compare_affected(answer[1], self.now)

    def _take_time_off(self, data: st.DataObject) -> None:
        start, zone = self.moment(data), self.doctor.time_zone
        days = pick(data, [None, None, 1, 2, 0], "days")
        if days is None:
            end = start + data.draw(fives(0, 100), label="length")
        else:
            first = day_of(start, zone)
            start, end = midnight(first, zone), midnight(first + days * DAY, zone)
        me = self.actor(self.doctor.id)
        answer = self.agree(
            "take time off",
            lambda transaction: schedule.take_time_off(
                transaction, me, start=start, end=end, reason=None, now=self.now
            ),
            lambda new: self.clinic.leave(new[1].id if new else NOBODY, me.id, start, end),
        )
        if answer:
            self.compare_affected(answer[2], max(start, self.now), end)

    def _end_time_off(self, data: st.DataObject) -> None:
        time_off, me = pick(data, list(self.doctor.time_off), "time off"), self.some_doctor(data)
        self.agree(
            "end time off",
            lambda transaction: schedule.end_time_off(transaction, me, time_off),
            lambda _: self.clinic.come_back(me.id, time_off),
        )

    def _change_terms(self, data: st.DataObject) -> None:
        self.turn_to_some_doctor(data)
        acts = [self._set_limits, self._set_limits, self._move_house]
        acts += [self._offer_another] if len(self.doctor.kinds) < 4 else []
        acts += [self._change_kind] * 2 if self.doctor.kinds else []
        pick(data, acts, "act")(data)

    def _set_limits(self, data: st.DataObject) -> None:
        self._change(data.draw(limits, label="limits"))

    def _move_house(self, data: st.DataObject) -> None:
        self._change({"time_zone": pick(data, ZONES, "zone")})

    def _change(self, changes: Mapping[str, Any]) -> None:
        me = self.actor(self.doctor.id)
        *_, affected = self.world.write(
            lambda transaction: doctor_profile.change_profile(transaction, me, changes, self.now)
        )
        for name, value in changes.items():
            setattr(self.doctor, name, value)
        if "time_zone" in changes:
            self.compare_affected(affected, self.now)

    def _offer_another(self, data: st.DataObject) -> None:
        self._offer(data.draw(visit_types, label="visit type"))

    def _offer(self, fields: Mapping[str, Any]) -> None:
        me, named = self.actor(self.doctor.id), {"name": f"Visit {len(self.doctor.kinds)}", **fields}
        kind = self.world.write(lambda transaction: doctor_profile.offer_visit_type(transaction, me, named, self.now))
        self.doctor.kinds[kind.id] = Kind(id=kind.id, **fields)

    def _change_kind(self, data: st.DataObject) -> None:
        """Or withdraw it."""
        kind, me = pick(data, list(self.doctor.kinds), "kind"), self.some_doctor(data)
        changes = data.draw(visit_type_changes | st.just({"withdrawn": True}), label="changes")

        async def change(transaction: Transaction) -> None:
            if "withdrawn" in changes:
                await doctor_profile.withdraw_visit_type(transaction, me, kind, self.now)
            else:
                await doctor_profile.change_visit_type(transaction, me, kind, changes)

        self.agree("change kind", change, lambda _: self.clinic.change_kind(me.id, kind, changes))

    # What patients do

    def _book_a_slot(self, data: st.DataObject) -> None:
        self.turn_to_some_doctor(data)
        start, kind_id = self.slot(data)
        self._book(data, self.patient(data), start, None, kind_id)

    def _book_what_is_held(self, data: st.DataObject) -> None:
        """Maybe somewhat later, maybe too late, and maybe by somebody else."""
        hold = pick(data, self.standing(), "hold")
        waits = [timedelta(0), MINUTE, 4 * MINUTE, hold.expires_at - self.now]
        self.clinic.now += pick(data, waits, "wait")
        self.doctor = self.clinic.doctors[hold.doctor_id]
        patient_id = pick(data, [hold.patient_id, hold.patient_id, *self.clinic.patients], "patient")
        self._book(data, patient_id, hold.visit[0], None, hold.kind_id, first=hold.id)

    def _book_any_time(self, data: st.DataObject) -> None:
        self.turn_to_some_doctor(data)
        start = self.moment(data)
        minutes = pick(data, [None] * 8 + [15, 20, 30, 45, 60, 0, 725], "minutes")
        end = None if minutes is None else start + minutes * MINUTE
        self._book(data, self.patient(data), start, end, self.any_kind(data))

    def _book(
        self,
        data: st.DataObject,
        patient_id: UUID,
        start: datetime,
        end: datetime | None,
        kind_id: UUID | None,
        *,
        first: UUID | None = None,
    ) -> None:
        hold_id = pick(data, [first, None, *self.hold_ids[-2:]], "with hold")
        me, doctor_id = self.actor(patient_id), self.doctor.id
        self.explain(start, kind_id, me.id)
        self.agree(
            "book",
            lambda transaction: booking.book_appointment(
                transaction,
                me,
                BookingRequest(doctor_id, start, end, kind_id),
                reason=None,
                hold_id=hold_id,
                now=self.now,
            ),
            lambda new: self.clinic.book(new.id if new else NOBODY, me.id, doctor_id, start, end, kind_id, hold_id),
        )

    def _hold_or_release(self, data: st.DataObject) -> None:
        """Or release what is held."""
        self.turn_to_some_doctor(data)
        acts = [self._hold, self._hold, self._hold]
        acts += [self._release] if self.standing() else []
        pick(data, acts, "act")(data)

    def _hold(self, data: st.DataObject) -> None:
        start, kind_id = self.slot_or_any_time(data)
        me, wanted = self.actor(self.patient(data)), BookingRequest(self.doctor.id, start, visit_type_id=kind_id)
        held = self.agree(
            "hold",
            lambda transaction: booking.hold_time(transaction, me, wanted, now=self.now),
            lambda new: self.clinic.hold(new.id if new else NOBODY, me.id, wanted.doctor_id, start, kind_id),
        )
        if held:
            self.hold_ids.append(held.id)

    def _release(self, data: st.DataObject) -> None:
        # Only one that stands: whether one that is over is still there depends on who has come by since.
        hold, me = pick(data, self.standing(), "hold"), self.actor(self.patient(data))
        self.agree(
            "release",
            lambda transaction: booking.release_hold(transaction, me, hold.id),
            lambda _: self.clinic.release(me.id, hold.id),
        )

    def _reschedule(self, data: st.DataObject) -> None:
        appointment_id, me, versions = self.some_appointment(data)
        start, kind_id = self.slot_or_any_time(data)
        kind_id = pick(data, [None, kind_id], "kind")
        self.agree(
            "reschedule",
            lambda transaction: booking.reschedule_appointment(
                transaction, me, appointment_id, start=start, visit_type_id=kind_id, versions=versions, now=self.now
            ),
            lambda _: self.clinic.reschedule(me.id, appointment_id, start, kind_id, versions),
        )

    def _undo(self, data: st.DataObject) -> None:
        appointment_id, _, versions = self.some_appointment(data)
        me = self.some_doctor(data)
        self.agree(
            "undo",
            lambda transaction: appointment_status.undo_status_change(
                transaction, me, appointment_id, versions=versions, now=self.now
            ),
            lambda _: self.clinic.undo(me.id, appointment_id, versions),
        )

    def _cancel_or_carry_out(self, data: st.DataObject) -> None:
        act = pick(data, [None, None, None, Action.ARRIVE, Action.COMPLETE, Action.NO_SHOW], "action")
        appointment_id, me, versions = self.some_appointment(data)
        if act is None:
            self.agree(
                "cancel",
                lambda transaction: appointment_status.cancel_appointment(
                    transaction, me, appointment_id, versions=versions, now=self.now
                ),
                lambda _: self.clinic.cancel(me.id, appointment_id, versions),
            )
        else:
            me = self.some_doctor(data)
            self.agree(
                act.value,
                lambda transaction: appointment_status.advance_appointment(
                    transaction, me, appointment_id, act, versions=versions, now=self.now
                ),
                lambda _: self.clinic.advance(me.id, appointment_id, act.value, versions),
            )

    # And otherwise

    def _let_time_pass(self, data: st.DataObject) -> None:
        """For the most part to where something becomes possible, or impossible."""
        moments = {hold.expires_at for hold in self.clinic.holds.values()}
        for appointment in self.clinic.appointments.values():
            start, end = appointment.visit
            cutoff = self.clinic.doctors[appointment.doctor_id].cancel_cutoff_minutes * MINUTE
            moments |= {end, start - cutoff, *(start + earliest for *_, earliest in ACTIONS.values())}
        moments |= {moment + MINUTE for moment in moments}
        moments |= {self.now + after for after in (timedelta(seconds=17), MINUTE, HOUR, DAY)}
        later = sorted(moment for moment in moments if self.now < moment)
        later += [self.now + data.draw(fives(1, 3 * 288), label="after")]
        self.clinic.now = pick(data, later, "now")

    def _look_around(self, data: st.DataObject) -> None:
        """At what is not looked at after every step."""
        self.turn_to_some_doctor(data)
        viewer = pick(data, [None, *self.clinic.patients], "viewer")
        self.explain(self.moment(data), self.any_kind(data), viewer)
        kind, doctor = pick(data, self.doctor.offered, "kind"), self.doctor
        found = self.world.read(
            lambda transaction: slots.find_next_slot(
                transaction,
                Computation(ClientFairLock(), "a test"),
                doctor.id,
                visit_type_id=kind.id,
                start=None,
                viewer=viewer,
                now=self.now,
            )
        )
        soon = self.now, self.now + 8 * DAY
        expected = self.clinic.slots(doctor, kind, soon, viewer)[:1]
        assert expected == [each for each in stretches([found.slot] if found.slot else []) if each[0] < soon[1]]
        me, today = self.actor(doctor.id), day_of(self.now, doctor.time_zone)
        plan = self.world.read(lambda transaction: schedule.get_weekly_hours(transaction, me, first=None, now=self.now))
        assert plan.current.first == today
        for each in (plan.current, *plan.later):
            for day in days_between(each.first, min(each.last or date.max, each.first + 6 * DAY)):
                assert each.hours[day.weekday()] == sorted(doctor.plan_on(day).hours.get(day.weekday(), ())), day
