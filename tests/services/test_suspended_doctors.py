"""Who cancels a visit of a suspended doctor first, and that the others change nothing."""

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
from tests.services.interruptions import NOW, actor

WHY = "The practice has closed"

type Cancel = Callable[[Transaction], Awaitable[AppointmentRecord]]


async def run(database: Database, cancel: Cancel) -> AppointmentRecord:
    async with database.write() as transaction:
        return await cancel(transaction)


async def test_one_cancellation_counts_if_all_three_cancel_at_once(
    admin: Person, doctor: Person, register: Register, database: Database
) -> None:
    """The doctor's request was accepted just before the suspension."""
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T22:00:00Z")
    patients = [await register("patient") for _ in range(12)]
    booked = [
        (await patient.book(doctor, f"2026-12-08T{9 + number:02}:00:00Z"))["id"]
        for number, patient in enumerate(patients)
    ]
    suspended = await admin.post(f"/admin/users/{doctor.id}/suspend", {"reason": WHY})
    assert suspended.status_code == 200
    for number, (patient, visit) in enumerate(zip(patients, map(UUID, booked), strict=True)):
        cancels: list[Cancel] = [
            partial(
                cancel_visit,
                administrator=actor(admin, Role.ADMIN),
                doctor_id=UUID(doctor.id),
                appointment_id=visit,
                reason=WHY,
                versions=None,
                now=NOW,
            ),
            partial(cancel_appointment, actor=actor(doctor, Role.DOCTOR), appointment_id=visit, now=NOW),
            partial(cancel_appointment, actor=actor(patient, Role.PATIENT), appointment_id=visit, now=NOW),
        ]
        first = number % 3
        told = await asyncio.gather(*(run(database, cancel) for cancel in cancels[first:] + cancels[:first]))
        assert len({each.cancelled_by for each in told}) == 1
        assert {each.version for each in told} == {2}
        assert {each.cancel_reason for each in told} == {WHY if told[0].cancelled_by == UUID(admin.id) else None}
        history = (await patient.get(f"/appointments/{visit}/history")).json()
        assert [each["status"] for each in history] == ["booked", "cancelled"]
        assert history[-1]["changed_by"] == str(told[0].cancelled_by)
