"""The clinic beside its model: whether all is as it should be, and whom, what and when to take next.

Nothing is emptied between two stories: each has people of its own.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from uuid import UUID

from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from sqlalchemy import select
from uuid_utils.compat import uuid7

from app.core.computing import Computation
from app.core.errors import DomainError
from app.core.fair_locks import ClientFairLock
from app.core.permissions import Actor, Role
from app.db.database import Transaction
from app.models import Appointment
from app.repositories import appointment_versions, appointments, doctors, users
from app.repositories.appointment_versions import VersionRecord
from app.repositories.appointments import AppointmentRecord
from app.repositories.doctors import DoctorRecord
from app.repositories.users import UserRecord
from app.scheduling.intervals import Interval, from_instant
from app.services import conflicts, slots
from app.services.conflicts import Affected
from tests.stateful.hours import DAY, MINUTE, Doctor, Stretch, overlap
from tests.stateful.model import Clinic, Hold, Refused, Version
from tests.stateful.worlds import World, fives, pick

HOUR = 60 * MINUTE


def stretches(intervals: list[Interval]) -> list[Stretch]:
    return [(from_instant(start), from_instant(end)) for start, end in intervals]


def version_of(record: VersionRecord) -> Version:
    return Version(
        record.status.value,
        record.start_time,
        record.end_time,
        record.visit_type_id,
        record.changed_at,
        record.changed_by,
    )


class Stage(RuleBasedStateMachine):
    world: World
    clinic: Clinic
    """The model."""
    doctor: Doctor
    """Whom it is about, at the moment."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    @property
    def now(self) -> datetime:
        return self.clinic.now

    # Whether all is as it should be

    @invariant()
    def all_is_as_it_should(self) -> None:
        self.steps += 1
        # One after the other, for time's sake: what is wrong once remains so for some steps.
        further = (self._compare_free_windows, self._compare_lists, self._compare_conflicting)[self.steps % 3]

        async def compare(transaction: Transaction) -> None:
            await self._compare_calendar(transaction)
            await self._compare_slots(transaction)
            await further(transaction)

        self.world.read(compare)

    async def _compare_calendar(self, transaction: Transaction) -> None:
        """Nothing is lost, nothing has moved, and nothing is there that nobody booked."""
        own = select(Appointment).where(Appointment.doctor_id.in_(self.clinic.doctors))
        rows = [
            each for each in await transaction.execute(own) if each.expires_at is None or each.expires_at > self.now
        ]
        found = {
            each.id: (
                (each.doctor_id, each.patient_id, each.visit_type_id),
                (each.start_time, each.end_time),
                (each.busy_start, each.busy_end),
                (each.status.value, each.version, each.changed_at or each.created_at, each.changed_by),
            )
            for each in rows
        }
        expected = {
            each.id: (
                (each.doctor_id, each.patient_id, each.is_now.kind_id),
                each.visit,
                each.busy,
                (each.is_now.status, each.version, each.is_now.at, each.is_now.by if each.version > 1 else None),
            )
            for each in self.clinic.appointments.values()
        } | {
            each.id: (
                (each.doctor_id, each.patient_id, each.kind_id),
                each.visit,
                each.busy,
                ("pending", 1, each.asked_at, None),
            )
            for each in self.standing()
        }
        assert found == expected
        for one, other in combinations([each for each in rows if each.status.occupies_time], 2):
            if one.doctor_id == other.doctor_id:
                assert not overlap((one.busy_start, one.busy_end), (other.busy_start, other.busy_end))
            if one.patient_id == other.patient_id:
                assert not overlap((one.start_time, one.end_time), (other.start_time, other.end_time))

    async def _compare_slots(self, transaction: Transaction) -> None:
        kind, viewer, span = self._turn(self.doctor.offered), self._viewer(), self._span()
        _, found = await slots.list_slots(
            transaction,
            self.doctor.id,
            computation=None,
            visit_type_id=kind.id,
            start=span[0],
            end=span[1],
            viewer=viewer,
            now=self.now,
        )
        assert stretches(found) == self.clinic.slots(self.doctor, kind, span, viewer)

    async def _compare_free_windows(self, transaction: Transaction) -> None:
        viewer, span = self._viewer(), self._span()
        found = await slots.list_free_windows(
            transaction,
            Computation(ClientFairLock(), "a test"),
            self.doctor.id,
            start=span[0],
            end=span[1],
            viewer=viewer,
            now=self.now,
        )
        assert stretches(list(found.times)) == self.clinic.free_windows(self.doctor, span, viewer)

    async def _compare_lists(self, transaction: Transaction) -> None:
        person = self.actor(self._turn([*self.clinic.doctors, *self.clinic.patients]))
        found = await appointments.page_appointments(
            transaction, person, as_of=self.now, since=None, until=None, statuses=(), after=None, limit=100
        )
        assert [each.id for each in found] == self.clinic.list_of(person.id)
        for each in found:
            self._compare(each)
        if found:
            one = self._turn(found)
            versions = await appointment_versions.page_versions(transaction, one, after=None, limit=100)
            assert [(each.version, version_of(each)) for each in versions] == [
                *enumerate(self.clinic.appointments[one.id].history, start=1)
            ]

    async def _compare_conflicting(self, transaction: Transaction) -> None:
        found = await conflicts.page_conflicting(
            transaction,
            self.actor(self.doctor.id),
            as_of=self.now,
            since=None,
            until=None,
            statuses=(),
            after=None,
            limit=100,
        )
        assert [each.id for each in found] == self.clinic.conflicting(self.doctor, self.now)

    def compare_affected(self, affected: Affected, first: datetime, last: datetime | None = None) -> None:
        expected = self.clinic.conflicting(self.doctor, first, last)
        assert [each.id for each in affected.appointments] == expected
        assert affected.count == len(expected)

    def _compare(self, found: AppointmentRecord) -> None:
        expected = self.clinic.appointments[found.id]
        assert (found.start_time, found.end_time) == expected.visit
        assert (found.status.value, found.version) == (expected.is_now.status, expected.version)
        assert (found.doctor_id, found.patient_id, found.visit_type_id) == (
            expected.doctor_id,
            expected.patient_id,
            expected.is_now.kind_id,
        )

    def explain(self, start: datetime, kind_id: UUID | None, viewer: UUID | None) -> None:
        doctor_id, expected = self.doctor.id, list[str]()
        found = self.agree(
            "explain",
            lambda transaction: slots.explain_time(
                transaction, doctor_id, visit_type_id=kind_id, start=start, viewer=viewer, now=self.now
            ),
            lambda _: expected.extend(self.clinic.explain(doctor_id, kind_id, start, viewer)),
        )
        assert [reason.value for reason in (found.reasons if found else [])] == expected

    def agree[T](
        self, what: str, act: Callable[[Transaction], Awaitable[T]], should: Callable[[T | None], object]
    ) -> T | None:
        """Both must do it, or refuse it for the same reason."""
        answer, code = None, None
        try:
            answer = self.world.write(act)
        except DomainError as error:
            code = error.code
        expected: tuple[str | None, ...] = (None,)
        try:
            should(answer)
        except Refused as refused:
            expected = refused.codes
        note(f"{what}: {code or 'done'}")
        event(f"{what}: {code or 'done'}")
        assert code in expected, f"{what}: {code} instead of {expected}"
        if isinstance(answer, AppointmentRecord):
            self._compare(answer)
        return answer

    # Who, what and when

    def register(self, role: Role, zone: str = "") -> UUID:
        user_id = uuid7()

        async def register(transaction: Transaction) -> None:
            user = UserRecord(user_id, f"{user_id}@example.com", "Somebody", role, self.now)
            await users.insert_user(transaction, user, "no password")
            if role is Role.DOCTOR:
                await doctors.insert_doctor(
                    transaction, DoctorRecord(user_id, "Somebody", None, zone), approved_at=self.now
                )

        self.world.write(register)
        return user_id

    def actor(self, user_id: UUID) -> Actor:
        return Actor(user_id, Role.DOCTOR if user_id in self.clinic.doctors else Role.PATIENT, "Somebody")

    def turn_to_some_doctor(self, data: st.DataObject) -> None:
        self.doctor = pick(data, list(self.clinic.doctors.values()), "doctor")

    def some_doctor(self, data: st.DataObject) -> Actor:
        """The one whom it is about, for the most part."""
        return self.actor(pick(data, [self.doctor.id] * 4 + [*self.clinic.doctors], "by"))

    def patient(self, data: st.DataObject) -> UUID:
        return pick(data, self.clinic.patients, "patient")

    def some_appointment(self, data: st.DataObject) -> tuple[UUID, Actor, frozenset[int] | None]:
        """With somebody, for the most part one of its two sides, and the version that she believes it to have.

        Time may pass until the last moment, or the first, at which something can be done with it.
        """
        appointment = pick(data, list(self.clinic.appointments.values()), "appointment")
        self.doctor = self.clinic.doctors[appointment.doctor_id]
        start = appointment.is_now.start
        moments = [start, start - self.doctor.cancel_cutoff_minutes * MINUTE, start - 12 * HOUR]
        around = [moment + seconds * timedelta(seconds=1) for moment in moments for seconds in (0, 1, -1)]
        self.clinic.now = pick(data, [self.now] * 6 + [moment for moment in around if moment > self.now], "moment")
        everybody = [appointment.patient_id, appointment.doctor_id] * 4 + self.clinic.patients
        who = pick(data, everybody, "by")
        version = pick(data, [None] * 6 + [appointment.version, appointment.version + 1], "version")
        return appointment.id, self.actor(who), None if version is None else frozenset({version})

    def any_kind(self, data: st.DataObject) -> UUID | None:
        """One that she offers, for the most part."""
        offered = [kind.id for kind in self.doctor.offered]
        others = [kind for doctor in self.clinic.doctors.values() for kind in doctor.kinds]
        return pick(data, [*offered * 5, None, *others], "kind")

    def slot(self, data: st.DataObject) -> tuple[datetime, UUID | None]:
        """One that can be booked, if there is any soon."""
        kind = pick(data, self.doctor.offered, "kind")
        slots = self.clinic.slots(self.doctor, kind, (self.now, self.now + 2 * DAY), None)
        # The first ones, for the most part: it is to become crowded.
        slots = slots[:12] + slots[-1:]
        return pick(data, slots, "slot")[0] if slots else self.moment(data), kind.id

    def slot_or_any_time(self, data: st.DataObject) -> tuple[datetime, UUID | None]:
        return self.slot(data) if pick(data, [True, False], "listed") else (self.moment(data), self.any_kind(data))

    def moment(self, data: st.DataObject) -> datetime:
        """For the most part close to where something begins or ends, with this doctor or another."""
        visits = [each.visit for each in self.clinic.appointments.values() if each.occupies_time]
        visits += [each.visit for each in self.standing()]
        taken = [edge for visit in visits for edge in visit if edge > self.now]
        edges = self.clinic.edges(self.doctor, (self.now - HOUR, self.now + 3 * DAY))
        away = [edge for stretch in self.doctor.away() for edge in stretch if edge > self.now]
        near = pick(data, [taken, taken, taken, away, edges, edges, None], "near what")
        if near is None:
            return self.now + data.draw(fives(-12, 2 * 288), label="after")
        edge = pick(data, near or edges or [self.now], "edge")
        return edge + pick(data, [0, 0, 0, 5, -5, -30, 30, 60], "minutes") * MINUTE

    def standing(self) -> list[Hold]:
        return [hold for hold in self.clinic.holds.values() if self.clinic.stands(hold)]

    def _turn[T](self, things: Sequence[T]) -> T:
        """Another one after every step."""
        return things[self.steps % len(things)]

    def _viewer(self) -> UUID | None:
        return self._turn([None, *self.clinic.patients])

    def _span(self) -> Stretch:
        return self.now - 6 * HOUR, self.now + 60 * HOUR
