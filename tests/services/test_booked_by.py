"""An appointment knows who booked it, who need not be its patient."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.errors import DomainError
from app.core.permissions import Role, Scope, scope_of
from app.db.database import Database
from app.repositories.appointments import get_appointment, page_appointments
from tests.conftest import Register
from tests.people import Person
from tests.services.visits import NOW, TEN, book, hold, make_actor

ELEVEN = datetime(2026, 12, 8, 11, tzinfo=UTC)


@pytest.fixture
async def desk(register: Register) -> Person:
    """Somebody who has no part in the visit."""
    return await register()


@pytest.mark.parametrize("is_held", [False, True])
async def test_actor_who_books_for_a_patient_is_stored_and_shown_in_the_history(
    database: Database, doctor: Person, patient: Person, desk: Person, is_held: bool
) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    hold_id = None
    if is_held:
        hold_id = (await hold(database, doctor, patient, by=desk)).id
        async with database.read() as transaction:
            stored = await transaction.execute(text("SELECT patient_id, booked_by FROM appointments"))
            assert [UUID(str(id_)) for id_ in stored.one()] == [UUID(patient.id), UUID(desk.id)]
    booked = await book(database, doctor, patient, by=desk, hold_id=hold_id)
    assert hold_id in {None, booked.id}
    path = f"/appointments/{booked.id}"
    shown = (await patient.get(path)).json()
    assert (shown["patient_id"], shown["booked_by"]) == (patient.id, desk.id)
    assert (await desk.get(path)).status_code == 404
    assert [each["changed_by"] for each in (await patient.get(f"{path}/history")).json()] == [desk.id]
    await patient.post(f"{path}/reschedule", {"start_time": ELEVEN.isoformat()})
    history = (await doctor.get(f"{path}/history")).json()
    assert [each["changed_by"] for each in history] == [desk.id, patient.id]


async def test_erasure_keeps_who_booked(database: Database, doctor: Person, patient: Person, desk: Person) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    booked = await book(database, doctor, patient, by=desk)
    await desk.delete("/auth/me")
    await patient.delete("/auth/me")
    history = (await doctor.get(f"/appointments/{booked.id}/history")).json()
    assert [each["changed_by"] for each in history] == [desk.id, patient.id]


async def test_appointment_from_before_was_booked_by_its_patient(
    database: Database, doctor: Person, patient: Person
) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    id_ = (await patient.book(doctor, TEN.isoformat()))["id"]
    async with database.write() as transaction:
        await transaction.execute(text("UPDATE appointments SET booked_by = NULL"))
    assert (await doctor.get(f"/appointments/{id_}")).json()["booked_by"] == patient.id
    await doctor.delete(f"/appointments/{id_}")
    history = (await patient.get(f"/appointments/{id_}/history")).json()
    assert [each["changed_by"] for each in history] == [patient.id, doctor.id]


async def test_scope_decides_which_visits_are_found(
    database: Database, doctor: Person, patient: Person, desk: Person
) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")
    first, second = [
        UUID((await person.book(doctor, start.isoformat()))["id"]) for person, start in ((patient, TEN), (desk, ELEVEN))
    ]
    doctor_id, patient_id = UUID(doctor.id), UUID(patient.id)
    expected = {
        Scope(): [],
        Scope(doctor_id=doctor_id): [first, second],
        Scope(patient_id=patient_id): [first],
        Scope(doctor_id=UUID(desk.id), patient_id=patient_id): [first],
        Scope(doctor_id=doctor_id, patient_id=patient_id): [first, second],
        scope_of(make_actor(doctor, Role.DOCTOR)): [first, second],
        scope_of(make_actor(desk, Role.PATIENT)): [second],
        scope_of(make_actor(doctor, Role.ADMIN)): [],
    }
    async with database.read() as transaction:
        for scope, ids in expected.items():
            found = await page_appointments(
                transaction, scope, as_of=NOW, since=None, until=None, statuses=(), after=None, limit=10
            )
            assert [each.id for each in found] == ids, scope
            for id_ in (first, second):
                if id_ in ids:
                    assert (await get_appointment(transaction, scope, id_)).id == id_
                else:
                    with pytest.raises(DomainError, match="not_found"):
                        await get_appointment(transaction, scope, id_)
