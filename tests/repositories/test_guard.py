"""The guard holds whoever writes: here raw SQL does, past the whole application."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.db.database import Database
from tests.people import Person

INSERT = text("""
INSERT INTO appointments
  (id, doctor_id, patient_id, start_time, end_time, busy_start, busy_end, status, created_at, cancelled_at)
VALUES (:id, :doctor, :patient, :start, :end, :start, :end, :status, :created, :cancelled)
""")


class Raw:
    """Writes appointments with plain SQL, in the spelling of each database."""

    def __init__(self, database: Database, backend: str) -> None:
        self._sessions = database
        self._backend = backend

    def time(self, clock: str) -> Any:
        if self._backend == "sqlite":
            return f"2026-12-08 {clock}:00.000000"
        return datetime.fromisoformat(f"2026-12-08T{clock}").replace(tzinfo=UTC)

    def id(self, value: str) -> Any:
        return UUID(value).hex if self._backend == "sqlite" else UUID(value)

    async def insert(self, doctor: Person, patient: Person, start: str, end: str, status: str = "booked") -> str:
        appointment = str(uuid4())
        async with self._sessions.write() as transaction:
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
        async with self._sessions.write() as transaction:
            await transaction.execute(
                text(f"UPDATE appointments SET {columns} WHERE id = :id"), {"id": self.id(appointment), **values}
            )

    async def count(self) -> int:
        async with self._sessions.read() as transaction:
            counted: int = await transaction.scalar(text("SELECT count(*) FROM appointments"))
            return counted


@pytest.fixture
def raw(database: Database, backend: str) -> Raw:
    return Raw(database, backend)


@pytest.fixture
async def people(register: Any) -> tuple[Person, Person, Person, Person]:
    return (await register("doctor"), await register("doctor"), await register("patient"), await register("patient"))


type People = tuple[Person, Person, Person, Person]

OVERLAPS = [("10:00", "10:30"), ("10:15", "10:45"), ("09:45", "11:00"), ("10:10", "10:20"), ("09:00", "10:01")]


@pytest.mark.parametrize(("start", "end"), OVERLAPS)
async def test_a_doctor_cannot_be_inserted_twice(raw: Raw, people: People, start: str, end: str) -> None:
    doctor, _, ann, ben = people
    await raw.insert(doctor, ann, "10:00", "10:30")
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await raw.insert(doctor, ben, start, end)
    assert await raw.count() == 1


@pytest.mark.parametrize(("start", "end"), OVERLAPS)
async def test_a_patient_cannot_be_inserted_twice(raw: Raw, people: People, start: str, end: str) -> None:
    amara, berta, ann, _ = people
    await raw.insert(amara, ann, "10:00", "10:30")
    with pytest.raises(IntegrityError, match="appointments_patient_busy"):
        await raw.insert(berta, ann, start, end)
    assert await raw.count() == 1


async def test_touching_is_free(raw: Raw, people: People) -> None:
    doctor, _, ann, ben = people
    await raw.insert(doctor, ann, "10:00", "10:30")
    await raw.insert(doctor, ben, "10:30", "11:00")
    await raw.insert(doctor, ben, "09:30", "10:00")
    with pytest.raises(IntegrityError):
        await raw.insert(doctor, ann, "10:00", "11:00")


@pytest.mark.parametrize("status", ["cancelled", "noshow"])
async def test_what_is_cancelled_or_missed_frees_its_time(raw: Raw, people: People, status: str) -> None:
    doctor, _, ann, ben = people
    await raw.insert(doctor, ann, "10:00", "10:30", status)
    booked = await raw.insert(doctor, ben, "10:00", "10:30")
    again = await raw.insert(doctor, ann, "10:00", "10:30", "noshow")
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await raw.update(again, status="booked")
    await raw.update(booked, status="noshow")
    await raw.update(again, status="booked")


@pytest.mark.parametrize("status", ["arrived", "fulfilled"])
async def test_what_takes_place_keeps_its_time(raw: Raw, people: People, status: str) -> None:
    doctor, _, ann, ben = people
    await raw.insert(doctor, ann, "10:00", "10:30", status)
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await raw.insert(doctor, ben, "10:00", "10:30")


async def test_moving_onto_taken_time_is_refused(raw: Raw, people: People) -> None:
    doctor, other, ann, ben = people
    await raw.insert(doctor, ann, "10:00", "10:30")
    moved = await raw.insert(doctor, ben, "11:00", "11:30")
    times = {"start_time": "10:15", "end_time": "10:45", "busy_start": "10:15", "busy_end": "10:45"}
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await raw.update(moved, **{name: raw.time(clock) for name, clock in times.items()})
    elsewhere = await raw.insert(other, ben, "10:00", "10:30")
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await raw.update(elsewhere, doctor_id=raw.id(doctor.id))
    with pytest.raises(IntegrityError, match="appointments_patient_busy"):
        await raw.update(elsewhere, patient_id=raw.id(ann.id))


async def test_a_row_may_be_changed_where_it_stands(raw: Raw, people: People) -> None:
    doctor, _, ann, _ = people
    appointment = await raw.insert(doctor, ann, "10:00", "10:30")
    await raw.update(appointment, status="arrived", start_time=raw.time("10:10"), busy_start=raw.time("10:05"))


async def test_the_doctors_busy_time_is_wider_than_the_visit_and_the_patients_is_not(raw: Raw, people: People) -> None:
    doctor, other, ann, ben = people
    visit = await raw.insert(doctor, ann, "10:00", "10:30")
    await raw.update(visit, busy_start=raw.time("09:50"), busy_end=raw.time("10:45"))
    with pytest.raises(IntegrityError, match="appointments_doctor_busy"):
        await raw.insert(doctor, ben, "10:30", "11:00")
    await raw.insert(other, ann, "10:30", "11:00")


@pytest.mark.parametrize("times", [("10:30", "10:00"), ("10:00", "10:00")])
async def test_time_does_not_run_backwards(raw: Raw, people: People, times: tuple[str, str]) -> None:
    doctor, _, ann, _ = people
    with pytest.raises(IntegrityError, match="times_in_order"):
        await raw.insert(doctor, ann, *times)


@pytest.mark.parametrize(
    "spelling", ["2026-12-08T10:00:00.000000", "2026-12-08 10:00:00", "2026-12-08 10:00:00.000000+02:00", "1796724000"]
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # in PostgreSQL a time is a type of its own
async def test_sqlite_takes_times_in_one_spelling_only(
    raw: Raw, people: People, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor, _, ann, _ = people
    await raw.insert(doctor, ann, "11:00", "11:30")
    monkeypatch.setattr(raw, "time", lambda _clock: spelling)
    with pytest.raises(IntegrityError, match=r"times_as_stored|times_in_order"):
        await raw.insert(doctor, ann, "10:00", "10:30")
