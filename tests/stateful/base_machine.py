"""The state machine: how the services are compared with the model, and how people, times and appointments are drawn.

The database is not emptied between two examples, because each registers its own people.
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
from app.core.permissions import Actor, Role, scope_of
from app.db.database import Transaction
from app.models import Appointment
from app.repositories import appointment_versions, appointments, doctors, patients, users
from app.repositories.appointment_versions import VersionRecord
from app.repositories.appointments import AppointmentRecord
from app.repositories.doctors import DoctorRecord
from app.repositories.patients import PatientRecord
from app.repositories.users import UserRecord
from app.scheduling.intervals import from_instant
from app.services import conflicts, slots
from app.services.conflicts import Affected
from tests.stateful.appointments import Hold, Refused, Version
from tests.stateful.clinic import Clinic
from tests.stateful.database_runner import DatabaseRunner
from tests.stateful.doctors import Doctor
from tests.stateful.intervals import DAY, MINUTE, Interval, overlap
from tests.stateful.strategies import five_minutes, pick

HOUR = 60 * MINUTE


def to_datetimes(intervals: Sequence[tuple[int, int]]) -> list[Interval]:
    return [(from_instant(start), from_instant(end)) for start, end in intervals]


def to_version(record: VersionRecord) -> Version:
    return Version(
        record.status.value,
        record.start_time,
        record.end_time,
        record.visit_type_id,
        record.changed_at,
        record.changed_by,
    )


class BaseMachine(RuleBasedStateMachine):
    database_runner: DatabaseRunner
    clinic: Clinic
    """The model."""
    doctor: Doctor
    """The doctor of the current step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    @property
    def now(self) -> datetime:
        return self.clinic.now

    # Comparisons

    @invariant()
    def compare(self) -> None:
        self.steps += 1
        # To save time, each step makes one of three comparisons. A difference lasts for several steps.
        compare_one = (self._compare_free_windows, self._compare_lists, self._compare_conflicting)[self.steps % 3]

        async def compare(transaction: Transaction) -> None:
            await self._compare_appointments(transaction)
            await self._compare_slots(transaction)
            await compare_one(transaction)

        self.database_runner.read(compare)

    async def _compare_appointments(self, transaction: Transaction) -> None:
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
                (each.doctor_id, each.patient_id, each.current.visit_type_id),
                each.visit,
                each.busy,
                (
                    each.current.status,
                    each.version,
                    each.current.changed_at,
                    each.current.changed_by if each.version > 1 else None,
                ),
            )
            for each in self.clinic.appointments.values()
        } | {
            each.id: (
                (each.doctor_id, each.patient_id, each.visit_type_id),
                each.visit,
                each.busy,
                ("pending", 1, each.requested_at, None),
            )
            for each in self.list_valid_holds()
        }
        assert found == expected
        for one, other in combinations([each for each in rows if each.status.occupies_time], 2):
            if one.doctor_id == other.doctor_id:
                assert not overlap((one.busy_start, one.busy_end), (other.busy_start, other.busy_end))
            if one.patient_id == other.patient_id:
                assert not overlap((one.start_time, one.end_time), (other.start_time, other.end_time))

    async def _compare_slots(self, transaction: Transaction) -> None:
        visit_type, viewer, span = self._rotate(self.doctor.bookable_visit_types), self._choose_viewer(), self._span()
        _, found = await slots.list_slots(
            transaction,
            self.doctor.id,
            computation=None,
            visit_type_id=visit_type.id,
            start=span[0],
            end=span[1],
            viewer=viewer,
            now=self.now,
        )
        assert to_datetimes(found) == self.clinic.list_slots(self.doctor, visit_type, span, viewer)

    async def _compare_free_windows(self, transaction: Transaction) -> None:
        viewer, span = self._choose_viewer(), self._span()
        found = await slots.list_free_windows(
            transaction,
            Computation(ClientFairLock(), "a test"),
            self.doctor.id,
            start=span[0],
            end=span[1],
            viewer=viewer,
            now=self.now,
        )
        assert to_datetimes(list(found.times)) == self.clinic.list_free_windows(self.doctor, span, viewer)

    async def _compare_lists(self, transaction: Transaction) -> None:
        person = self.make_actor(self._rotate([*self.clinic.doctors, *self.clinic.patients]))
        found = await appointments.page_appointments(
            transaction, scope_of(person), as_of=self.now, since=None, until=None, statuses=(), after=None, limit=100
        )
        assert [each.id for each in found] == self.clinic.list_appointments(person.id)
        for each in found:
            self._compare_record(each)
        if found:
            one = self._rotate(found)
            versions = await appointment_versions.page_versions(transaction, one, after=None, limit=100)
            assert [(each.version, to_version(each)) for each in versions] == [
                *enumerate(self.clinic.appointments[one.id].history, start=1)
            ]

    async def _compare_conflicting(self, transaction: Transaction) -> None:
        found = await conflicts.page_conflicting(
            transaction,
            self.doctor.id,
            as_of=self.now,
            since=None,
            until=None,
            statuses=(),
            after=None,
            limit=100,
        )
        assert [each.id for each in found] == self.clinic.list_conflicting(self.doctor, self.now)

    def compare_affected(self, affected: Affected, first: datetime, last: datetime | None = None) -> None:
        expected = self.clinic.list_conflicting(self.doctor, first, last)
        assert [each.id for each in affected.appointments] == expected
        assert affected.count == len(expected)

    def _compare_record(self, found: AppointmentRecord) -> None:
        expected = self.clinic.appointments[found.id]
        assert (found.start_time, found.end_time) == expected.visit
        assert (found.status.value, found.version) == (expected.current.status, expected.version)
        assert (found.doctor_id, found.patient_id, found.visit_type_id) == (
            expected.doctor_id,
            expected.patient_id,
            expected.current.visit_type_id,
        )

    def compare_explanation(self, start: datetime, visit_type_id: UUID | None, viewer: UUID | None) -> None:
        doctor_id, expected = self.doctor.id, list[str]()
        found = self.run_both(
            "explain",
            lambda transaction: slots.explain_time(
                transaction, doctor_id, visit_type_id=visit_type_id, start=start, viewer=viewer, now=self.now
            ),
            lambda _: expected.extend(self.clinic.explain(doctor_id, visit_type_id, start, viewer)),
        )
        assert [reason.value for reason in (found.reasons if found else [])] == expected

    def run_both[T](
        self, action: str, run_service: Callable[[Transaction], Awaitable[T]], run_model: Callable[[T | None], object]
    ) -> T | None:
        """Run a service and the model, which must both succeed or refuse for the same reason.

        Returns the result of the service, or ``None`` if it has refused. The model gets this result as its argument.
        """
        result, code = None, None
        try:
            result = self.database_runner.write(run_service)
        except DomainError as error:
            code = error.code
        expected: tuple[str | None, ...] = (None,)
        try:
            run_model(result)
        except Refused as refused:
            expected = refused.codes
        note(f"{action}: {code or 'done'}")
        event(f"{action}: {code or 'done'}")
        assert code in expected, f"{action}: {code} instead of {expected}"
        if isinstance(result, AppointmentRecord):
            self._compare_record(result)
        return result

    # Random choices

    def register(self, role: Role, zone: str = "") -> UUID:
        user_id = uuid7()

        async def register(transaction: Transaction) -> None:
            user = UserRecord(user_id, f"{user_id}@example.com", "A name", role, self.now)
            await users.insert_user(transaction, user, "no password")
            if role is Role.DOCTOR:
                await doctors.insert_doctor(
                    transaction, DoctorRecord(user_id, "A name", None, zone), approved_at=self.now
                )
            else:
                await patients.insert_patient(transaction, PatientRecord(user_id, user_id, "A name", self.now))

        self.database_runner.write(register)
        return user_id

    def make_actor(self, user_id: UUID) -> Actor:
        return Actor(user_id, Role.DOCTOR if user_id in self.clinic.doctors else Role.PATIENT, "A name")

    def choose_doctor(self, data: st.DataObject) -> None:
        self.doctor = pick(data, list(self.clinic.doctors.values()), "doctor")

    def draw_doctor(self, data: st.DataObject) -> Actor:
        """Draw the doctor who acts: mostly the one of the current step."""
        return self.make_actor(pick(data, [self.doctor.id] * 4 + [*self.clinic.doctors], "by"))

    def draw_patient(self, data: st.DataObject) -> UUID:
        return pick(data, self.clinic.patients, "patient")

    def draw_appointment(self, data: st.DataObject) -> tuple[UUID, Actor, frozenset[int] | None]:
        """Draw an appointment, an actor, mostly its doctor or patient, and the version that the actor expects.

        The clock may move to the earliest or latest time of an action.
        """
        appointment = pick(data, list(self.clinic.appointments.values()), "appointment")
        self.doctor = self.clinic.doctors[appointment.doctor_id]
        start = appointment.current.start
        moments = [start, start - self.doctor.cancel_cutoff_minutes * MINUTE, start - 12 * HOUR]
        around = [moment + seconds * timedelta(seconds=1) for moment in moments for seconds in (0, 1, -1)]
        self.clinic.now = pick(data, [self.now] * 6 + [moment for moment in around if moment > self.now], "moment")
        actor_ids = [appointment.patient_id, appointment.doctor_id] * 4 + self.clinic.patients
        actor_id = pick(data, actor_ids, "by")
        version = pick(data, [None] * 6 + [appointment.version, appointment.version + 1], "version")
        return appointment.id, self.make_actor(actor_id), None if version is None else frozenset({version})

    def draw_visit_type(self, data: st.DataObject) -> UUID | None:
        """Draw a visit type: mostly one that the doctor offers."""
        bookable = [each.id for each in self.doctor.bookable_visit_types]
        others = [each for doctor in self.clinic.doctors.values() for each in doctor.visit_types]
        return pick(data, [*bookable * 5, None, *others], "visit type")

    def draw_slot(self, data: st.DataObject) -> tuple[datetime, UUID | None]:
        """Draw a slot within two days, or any time if there is none."""
        visit_type = pick(data, self.doctor.bookable_visit_types, "visit type")
        slots = self.clinic.list_slots(self.doctor, visit_type, (self.now, self.now + 2 * DAY), None)
        # Mostly one of the first, so that the calendars become crowded.
        slots = slots[:12] + slots[-1:]
        return pick(data, slots, "slot")[0] if slots else self.draw_time(data), visit_type.id

    def draw_slot_or_time(self, data: st.DataObject) -> tuple[datetime, UUID | None]:
        if pick(data, [True, False], "listed"):
            return self.draw_slot(data)
        return self.draw_time(data), self.draw_visit_type(data)

    def draw_time(self, data: st.DataObject) -> datetime:
        """Draw a time: mostly close to the start or end of a visit, a window or time off."""
        visits = [each.visit for each in self.clinic.appointments.values() if each.occupies_time]
        visits += [each.visit for each in self.list_valid_holds()]
        of_visits = [edge for visit in visits for edge in visit if edge > self.now]
        of_calendar = self.clinic.list_edges(self.doctor, (self.now - HOUR, self.now + 3 * DAY))
        of_time_off = [edge for time_off in self.doctor.list_time_off() for edge in time_off if edge > self.now]
        edges = pick(data, [*[of_visits] * 3, of_time_off, *[of_calendar] * 2, None], "edges")
        if edges is None:
            return self.now + data.draw(five_minutes(-12, 2 * 288), label="after")
        edge = pick(data, edges or of_calendar or [self.now], "edge")
        return edge + pick(data, [0, 0, 0, 5, -5, -30, 30, 60], "minutes") * MINUTE

    def list_valid_holds(self) -> list[Hold]:
        return [hold for hold in self.clinic.holds.values() if self.clinic.is_valid(hold)]

    def _rotate[T](self, values: Sequence[T]) -> T:
        """Return another one of the values in every step."""
        return values[self.steps % len(values)]

    def _choose_viewer(self) -> UUID | None:
        return self._rotate([None, *self.clinic.patients])

    def _span(self) -> Interval:
        return self.now - 6 * HOUR, self.now + 60 * HOUR
