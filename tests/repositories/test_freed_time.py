"""Every change that frees time lowers the bounds of the search index."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.core.permissions import Scope
from app.db.database import Database
from app.repositories import appointments, search_bounds, search_offers
from app.repositories.search_bounds import BoundUpdate
from app.scheduling.status import AppointmentStatus
from tests.conftest import SetClock
from tests.people import Person

APP = Path(appointments.__file__).parents[1]
NINE = "2026-12-01T09:00:00Z"

WRITERS = {
    "_update_appointments": "lowers the bounds",
    "release_holds": "bounds treat held time as free",
    "delete_hold": "bounds treat held time as free",
    "erase_patient": "deletes holds, and texts of appointments",
}
"""The only functions that update or delete appointments, and why each of them hides no slot from searches."""


def functions_that_change_appointments() -> Iterator[str]:
    for path in APP.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in ast.walk(function):
                    match call:
                        case ast.Call(func=ast.Name("update" | "delete"), args=[ast.Name("Appointment"), *_]):
                            yield function.name


def test_no_other_function_changes_appointments() -> None:
    assert {*functions_that_change_appointments()} == WRITERS.keys()


@pytest.fixture
async def booked(doctor: Person, patient: Person) -> UUID:
    await doctor.publish(NINE, "2026-12-01T12:00:00Z")
    return UUID((await patient.book(doctor, NINE))["id"])


async def save_bound(database: Database, doctor: Person, clock: SetClock) -> BoundUpdate:
    """Raise the bound of the doctor's offer to a time after the appointment."""
    async with database.write() as transaction:
        [offer] = await search_offers.list_offers(transaction, [UUID(doctor.id)])
        later = clock.time + timedelta(days=30)
        update = BoundUpdate(offer.id, offer.revision, later, 0, later, clock.time)
        assert await search_bounds.save_bounds(transaction, [update])
    return update


async def is_lowered(database: Database, doctor: Person, saved: BoundUpdate) -> bool:
    async with database.read() as transaction:
        [offer] = await search_offers.list_offers(transaction, [UUID(doctor.id)])
    assert (offer.not_before < saved.bound) == (offer.revision != saved.revision)
    return offer.not_before < saved.bound


@pytest.mark.parametrize("status", sorted({*AppointmentStatus} - {AppointmentStatus.PENDING}))
async def test_status_that_frees_time_lowers_the_bound(
    database: Database, doctor: Person, patient: Person, clock: SetClock, booked: UUID, status: AppointmentStatus
) -> None:
    saved = await save_bound(database, doctor, clock)
    patient_id = UUID(patient.id)
    async with database.write() as transaction:
        before = await appointments.get_appointment(transaction, Scope(patient_id=patient_id), booked)
        values: dict[str, Any] = {"cancelled_at": clock.time} if status is AppointmentStatus.CANCELLED else {}
        assert await appointments.change_appointment(
            transaction, before, by=patient_id, at=clock.time, status=status, **values
        )
    assert await is_lowered(database, doctor, saved) == (not status.occupies_time)


async def test_refused_change_of_an_outdated_version_lowers_no_bound(
    database: Database, doctor: Person, patient: Person, clock: SetClock, booked: UUID
) -> None:
    patient_id = UUID(patient.id)
    async with database.write() as transaction:
        before = await appointments.get_appointment(transaction, Scope(patient_id=patient_id), booked)
        assert await appointments.change_appointment(
            transaction, before, by=patient_id, at=clock.time, status=AppointmentStatus.BOOKED
        )
    saved = await save_bound(database, doctor, clock)
    async with database.write() as transaction:
        assert not await appointments.change_appointment(
            transaction, before, by=patient_id, at=clock.time, status=AppointmentStatus.NOSHOW
        )
    assert not await is_lowered(database, doctor, saved)


@pytest.mark.parametrize("party", ["patient", "doctor"])
async def test_cancelling_many_appointments_lowers_the_bound(
    database: Database, doctor: Person, patient: Person, clock: SetClock, booked: UUID, party: str
) -> None:
    saved = await save_bound(database, doctor, clock)
    person_id = UUID(patient.id if party == "patient" else doctor.id)
    scope = Scope(patient_id=person_id) if party == "patient" else Scope(doctor_id=person_id)
    async with database.write() as transaction:
        changed = await appointments.change_active(
            transaction,
            scope,
            since=clock.time,
            by=person_id,
            at=clock.time,
            status=AppointmentStatus.CANCELLED,
            cancelled_at=clock.time,
        )
    assert [each.id for each in changed] == [booked]
    assert await is_lowered(database, doctor, saved)
