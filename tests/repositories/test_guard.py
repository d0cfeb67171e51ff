"""The database itself refuses double bookings, even by raw SQL that bypasses the application."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.db.database import Database
from tests.conftest import Register
from tests.people import Person

INSERT = text("""
INSERT INTO appointments
  (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, created_at, cancelled_at)
VALUES (:id, :doctor, :patient, :start, :end, :start, :end, :status, :created, :cancelled)
""")


class RawAppointments:
    """Writes appointments with plain SQL, with ids and times as each database stores them."""

    def __init__(self, database: Database, backend: str) -> None:
        self._database = database
        self._backend = backend

    def time(self, clock: str) -> Any:
        if self._backend == "sqlite":
            return f"2026-12-08 {clock}:00.000000"
        return datetime.fromisoformat(f"2026-12-08T{clock}").replace(tzinfo=UTC)

    def id(self, value: str) -> Any:
        return UUID(value).hex if self._backend == "sqlite" else UUID(value)

    async def insert(self, doctor: Person, patient: Person, start: str, end: str, status: str = "booked") -> str:
        appointment = str(uuid4())
        async with self._database.write() as transaction:
            await transaction.execute(
                INSERT,
                {
                    "id": self.id(appointment),
                    "doctor": self.id(doctor.id),
                    "patient": self.id(patient.id),
                    "start": self.time(start),
                    "end": self.time(end),
                    "status": status,
                    "created": self.time("00:00"),
                    "cancelled": self.time("00:00") if status == "cancelled" else None,
                },
            )
        return appointment

    async def update(self, appointment: str, **values: Any) -> None:
        columns = ", ".join(f"{name} = :{name}" for name in values)
        async with self._database.write() as transaction:
            await transaction.execute(
                text(f"UPDATE appointments SET {columns} WHERE id = :id"), {"id": self.id(appointment), **values}
            )

    async def count(self) -> int:
        async with self._database.read() as transaction:
            counted: int = await transaction.scalar(text("SELECT count(*) FROM appointments"))
            return counted


@pytest.fixture
def appointments(database: Database, backend: str) -> RawAppointments:
    return RawAppointments(database, backend)


type People = tuple[Person, Person, Person, Person]
"""Two doctors and two patients."""


@pytest.fixture
async def people(register: Register) -> People:
    return await register("doctor"), await register("doctor"), await register("patient"), await register("patient")


OVERLAPS = [("10:00", "10:30"), ("10:15", "10:45"), ("09:45", "11:00"), ("10:10", "10:20"), ("09:00", "10:01")]


async def test_overlapping_appointments_of_a_doctor_are_refused(appointments: RawAppointments, people: People) -> None:
    doctor, _, ann, ben = people
    await appointments.insert(doctor, ann, "10:00", "10:30")
    for start, end in OVERLAPS:
        with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
            await appointments.insert(doctor, ben, start, end)
        assert await appointments.count() == 1


async def test_overlapping_appointments_of_a_patient_are_refused(appointments: RawAppointments, people: People) -> None:
    doctor, other_doctor, ann, _ = people
    await appointments.insert(doctor, ann, "10:00", "10:30")
    for start, end in OVERLAPS:
        with pytest.raises(IntegrityError, match="appointments_patient_busy"):
            await appointments.insert(other_doctor, ann, start, end)
        assert await appointments.count() == 1


async def test_touching_appointments_are_accepted(appointments: RawAppointments, people: People) -> None:
    doctor, _, ann, ben = people
    await appointments.insert(doctor, ann, "10:00", "10:30")
    await appointments.insert(doctor, ben, "10:30", "11:00")
    await appointments.insert(doctor, ben, "09:30", "10:00")
    with pytest.raises(IntegrityError):
        await appointments.insert(doctor, ann, "10:00", "11:00")


@pytest.mark.parametrize("status", ["cancelled", "noshow"])
async def test_cancelled_or_missed_appointment_frees_its_time(
    appointments: RawAppointments, people: People, status: str
) -> None:
    doctor, _, ann, ben = people
    await appointments.insert(doctor, ann, "10:00", "10:30", status)
    booked = await appointments.insert(doctor, ben, "10:00", "10:30")
    again = await appointments.insert(doctor, ann, "10:00", "10:30", "noshow")
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await appointments.update(again, status="booked")
    await appointments.update(booked, status="noshow")
    await appointments.update(again, status="booked")


@pytest.mark.parametrize("status", ["arrived", "fulfilled"])
async def test_arrived_or_fulfilled_appointment_keeps_its_time(
    appointments: RawAppointments, people: People, status: str
) -> None:
    doctor, _, ann, ben = people
    await appointments.insert(doctor, ann, "10:00", "10:30", status)
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await appointments.insert(doctor, ben, "10:00", "10:30")


async def test_update_to_a_booked_time_is_refused(appointments: RawAppointments, people: People) -> None:
    doctor, other, ann, ben = people
    await appointments.insert(doctor, ann, "10:00", "10:30")
    moved = await appointments.insert(doctor, ben, "11:00", "11:30")
    times = {"start_time": "10:15", "end_time": "10:45", "busy_start": "10:15", "busy_end": "10:45"}
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await appointments.update(moved, **{name: appointments.time(clock) for name, clock in times.items()})
    elsewhere = await appointments.insert(other, ben, "10:00", "10:30")
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await appointments.update(elsewhere, doctor_id=appointments.id(doctor.id))
    with pytest.raises(IntegrityError, match="appointments_patient_busy"):
        await appointments.update(elsewhere, patient_id=appointments.id(ann.id))


async def test_update_that_overlaps_the_appointment_itself_is_accepted(
    appointments: RawAppointments, people: People
) -> None:
    doctor, _, ann, _ = people
    appointment = await appointments.insert(doctor, ann, "10:00", "10:30")
    await appointments.update(
        appointment, status="arrived", start_time=appointments.time("10:10"), busy_start=appointments.time("10:05")
    )


async def test_buffers_occupy_the_time_of_the_doctor_only(appointments: RawAppointments, people: People) -> None:
    doctor, other, ann, ben = people
    visit = await appointments.insert(doctor, ann, "10:00", "10:30")
    await appointments.update(visit, busy_start=appointments.time("09:50"), busy_end=appointments.time("10:45"))
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await appointments.insert(doctor, ben, "10:30", "11:00")
    await appointments.insert(other, ann, "10:30", "11:00")


@pytest.mark.parametrize("times", [("10:30", "10:00"), ("10:00", "10:00")], ids=" to ".join)
async def test_appointment_that_ends_before_it_starts_is_refused(
    appointments: RawAppointments, people: People, times: tuple[str, str]
) -> None:
    doctor, _, ann, _ = people
    with pytest.raises(IntegrityError, match="times_in_order"):
        await appointments.insert(doctor, ann, *times)


@pytest.mark.parametrize(
    "time", ["2026-12-08T10:00:00.000000", "2026-12-08 10:00:00", "2026-12-08 10:00:00.000000+02:00", "1796724000"]
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # in PostgreSQL a time is a type of its own
async def test_sqlite_accepts_times_in_one_format_only(
    appointments: RawAppointments, people: People, time: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor, _, ann, _ = people
    await appointments.insert(doctor, ann, "11:00", "11:30")
    monkeypatch.setattr(appointments, "time", lambda _clock: time)
    with pytest.raises(IntegrityError, match=r"times_as_stored|times_in_order"):
        await appointments.insert(doctor, ann, "10:00", "10:30")
