"""Visits of a suspended doctor that several people cancel at once."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from app.core.permissions import Role
from app.db.database import Database, Transaction
from app.repositories.appointments import AppointmentRecord
from app.services.appointment_status import cancel_appointment
from app.services.suspended_doctors import cancel_visit
from tests.conftest import Register
from tests.people import Person
from tests.services.visits import NOW, make_actor

REASON = "The practice has closed"

type Cancel = Callable[[Transaction], Awaitable[AppointmentRecord]]


async def run(database: Database, cancel: Cancel) -> AppointmentRecord:
    async with database.write() as transaction:
        return await cancel(transaction)


async def test_first_of_three_simultaneous_cancellations_counts(
    admin: Person, doctor: Person, register: Register, database: Database
) -> None:
    # The doctor can still take part, because their request was accepted just before the suspension.
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T22:00:00Z")
    patients = [await register("patient") for _ in range(12)]
    booked = [
        (await patient.book(doctor, f"2026-12-08T{9 + number:02}:00:00Z"))["id"]
        for number, patient in enumerate(patients)
    ]
    suspended = await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": REASON})
    assert suspended.status_code == 200
    for number, (patient, visit) in enumerate(zip(patients, map(UUID, booked), strict=True)):
        cancels: list[Cancel] = [
            partial(
                cancel_visit,
                actor=make_actor(admin, Role.ADMIN),
                doctor_id=UUID(doctor.id),
                appointment_id=visit,
                reason=REASON,
                versions=None,
                now=NOW,
            ),
            partial(cancel_appointment, actor=make_actor(doctor, Role.DOCTOR), appointment_id=visit, now=NOW),
            partial(cancel_appointment, actor=make_actor(patient, Role.PATIENT), appointment_id=visit, now=NOW),
        ]
        first = number % 3
        results = await asyncio.gather(*(run(database, cancel) for cancel in cancels[first:] + cancels[:first]))
        assert len({each.cancelled_by for each in results}) == 1
        assert {each.version for each in results} == {2}
        assert {each.cancel_reason for each in results} == {
            REASON if results[0].cancelled_by == UUID(admin.id) else None
        }
        history = (await patient.get(f"/appointments/{visit}/history")).json()
        assert [each["status"] for each in history] == ["booked", "cancelled"]
        assert history[-1]["changed_by"] == str(results[0].cancelled_by)
