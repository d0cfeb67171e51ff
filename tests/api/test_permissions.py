"""What a caller may see does not decide what they may change."""

from uuid import UUID

import pytest

from app.core import permissions
from app.core.permissions import PERMISSIONS, Permission, Role
from app.db.database import Database
from app.repositories.patients import PatientRecord, insert_patient
from tests.conftest import Register, SetClock
from tests.people import Person
from tests.services.visits import NOW, TEN, book


@pytest.fixture(autouse=True)
async def _open_hours(doctor: Person) -> None:
    await doctor.publish("2026-12-08T09:00:00Z", "2026-12-08T12:00:00Z")


@pytest.mark.parametrize(
    ("role", "missing"), [(Role.PATIENT, Permission.CHANGE_ONLINE), (Role.DOCTOR, Permission.CHANGE_FOR_PATIENTS)]
)
async def test_caller_who_may_only_see_a_visit_cannot_change_it(
    doctor: Person, patient: Person, monkeypatch: pytest.MonkeyPatch, role: Role, missing: Permission
) -> None:
    path = f"/appointments/{(await patient.book(doctor, TEN.isoformat()))['id']}"
    monkeypatch.setattr(permissions, "PERMISSIONS", {**PERMISSIONS, role: PERMISSIONS[role] - {missing}})
    caller = patient if role is Role.PATIENT else doctor
    before = (await caller.get(path)).json()
    responses = [
        await caller.delete(path),
        await caller.post(f"{path}/cancel", {}),
        await caller.post(f"{path}/reschedule", {"start_time": "2026-12-08T11:00:00Z"}),
    ]
    assert [response.json().get("code") for response in responses] == ["not_found"] * 3
    assert (await caller.get(path)).json() == before


async def test_patient_who_is_also_a_doctor_cannot_record_their_own_attendance(
    database: Database, doctor: Person, register: Register, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    colleague = await register("doctor")
    async with database.write() as transaction:
        record = PatientRecord(UUID(colleague.id), UUID(colleague.id), colleague.name, NOW)
        await insert_patient(transaction, record)
    booked = await book(database, doctor, colleague)
    both = PERMISSIONS[Role.DOCTOR] | PERMISSIONS[Role.PATIENT]
    monkeypatch.setattr(permissions, "PERMISSIONS", {**PERMISSIONS, Role.DOCTOR: both})
    clock.time = TEN
    colleague, doctor = await colleague.log_in_again(), await doctor.log_in_again()
    path = f"/appointments/{booked.id}"
    assert (await colleague.get(path)).status_code == 200
    assert (await colleague.post(f"{path}/arrive", None)).json().get("code") == "not_found"
    assert (await doctor.post(f"{path}/arrive", None)).status_code == 200
    assert (await colleague.post(f"{path}/undo", None)).json().get("code") == "not_found"
