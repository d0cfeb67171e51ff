"""Changes of the members of a clinic wait for each other."""

import asyncio
from datetime import date
from uuid import UUID

import pytest

from app.core.clinic_permissions import ClinicActor, MemberRole
from app.core.errors import DomainError
from app.core.permissions import Role
from app.db.database import Database
from app.repositories import clinics
from app.repositories.members import list_managers
from app.services.members import end_membership
from tests.api.clinics import join, make_clinic
from tests.conftest import SetClock
from tests.people import Person
from tests.services.visits import make_actor


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("is_locked", [True, False])
async def test_second_of_two_managers_who_leave_waits_for_the_first(
    doctor: Person,
    patient: Person,
    database: Database,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
    is_locked: bool,
) -> None:
    clinic_id = UUID((await make_clinic(doctor))["id"])
    await join(doctor, str(clinic_id), patient, "manager")
    first, second = (
        ClinicActor(make_actor(person, role), clinic_id, date(2026, 12, 1), frozenset({MemberRole.MANAGER}))
        for person, role in ((doctor, Role.DOCTOR), (patient, Role.PATIENT))
    )
    if not is_locked:  # shows that the lock is what makes the second one wait
        monkeypatch.setattr(clinics, "lock_clinic", clinics.get_clinic)

    async def leave() -> None:
        async with database.write() as transaction:
            await end_membership(transaction, second, second.id, clock.time)

    async with database.write() as transaction:
        await end_membership(transaction, first, first.id, clock.time)
        leaving = asyncio.create_task(leave())
        finished, _ = await asyncio.wait([leaving], timeout=0.5 if is_locked else 10)
        assert bool(finished) != is_locked
    if is_locked:
        with pytest.raises(DomainError, match="last_manager"):
            await leaving
    async with database.read() as transaction:
        assert len((await list_managers(transaction, clinic_id))[clinic_id]) == is_locked


async def test_member_who_has_lost_their_role_meanwhile_changes_nothing(
    doctor: Person, patient: Person, database: Database, clock: SetClock
) -> None:
    clinic_id = UUID((await make_clinic(doctor))["id"])
    # The request was authenticated before the role ended.
    manager = frozenset({MemberRole.MANAGER})
    former = ClinicActor(make_actor(patient, Role.PATIENT), clinic_id, date(2026, 12, 1), manager)
    with pytest.raises(DomainError, match="not_found"):
        async with database.write() as transaction:
            await end_membership(transaction, former, UUID(doctor.id), clock.time)
    async with database.read() as transaction:
        assert len((await list_managers(transaction, clinic_id))[clinic_id]) == 1
