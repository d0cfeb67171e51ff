"""Each operation of a clinic is tried with each role, in each state of the membership, on both databases."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, insert, select, update

from app.core.clinic_permissions import MemberRole
from app.core.dependencies import Resources
from app.db.database import Database
from app.models import Clinic, ClinicPatient, Invitation, Member, Patient, User
from app.repositories.patients import PatientRecord, insert_patient
from tests.access.clinic_table import CLINIC_TABLE, ClinicRow
from tests.access.requests import contents_of
from tests.conftest import Register, SetClock
from tests.openapi import list_documented_operations
from tests.people import Person, assert_problem

# At 08:00 in UTC on 1 December it is still 30 November there.
ZONE, TODAY = "Pacific/Pago_Pago", date(2026, 11, 30)
NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)

STATES: dict[str, dict[str, Any]] = {
    "member": {},
    "last day": {"valid_until": TODAY},
    "first day": {"valid_from": TODAY},
    "last day was yesterday": {"valid_until": TODAY - timedelta(days=1)},
    "first day is tomorrow": {"valid_from": TODAY + timedelta(days=1)},
    "ended": {"ended_at": NOW},
    "of another clinic": {},
    "suspended": {},
}
"""The states of a membership, with the columns that differ from a role without an end."""
VALID = {"member", "last day", "first day"}


@dataclass
class World:
    """Two clinics, a member of the first one who is the object, and the ids in paths."""

    database: Database
    clinic_id: UUID
    other_clinic_id: UUID
    target: Person
    invitation_id: UUID
    patient_id: UUID

    @property
    def ids(self) -> dict[str, str]:
        return {
            "clinic_id": str(self.clinic_id),
            "invitation_id": str(self.invitation_id),
            "user_id": self.target.id,
            "patient_id": str(self.patient_id),
        }

    async def prepare(self) -> None:
        """Restore the member and the invitation that a request may have removed."""
        async with self.database.write() as transaction:
            await transaction.execute(delete(Invitation))
            await transaction.execute(delete(ClinicPatient))
            await transaction.execute(
                insert(ClinicPatient).values(clinic_id=self.clinic_id, patient_id=self.patient_id, created_at=NOW)
            )
            await transaction.execute(delete(Member).where(Member.user_id == UUID(self.target.id)))
            await transaction.execute(
                insert(Invitation).values(
                    id=self.invitation_id,
                    role="staff",
                    email="x@example.com",
                    email_canonical="x@example.com",
                    token_hash="x",
                    created_at=NOW,
                    expires_at=NOW + timedelta(days=7),
                    clinic_id=self.clinic_id,
                    member_role=MemberRole.NURSE,
                )
            )
        await self.add(self.target, self.clinic_id, MemberRole.AUDITOR)

    async def add(self, person: Person, clinic_id: UUID, role: MemberRole, **columns: Any) -> None:
        async with self.database.write() as transaction:
            await transaction.execute(
                insert(Member).values(
                    clinic_id=clinic_id, user_id=UUID(person.id), role=role, created_at=NOW, **columns
                )
            )

    async def read_state(self) -> list[Any]:
        async with self.database.read() as transaction:
            return [
                (await transaction.execute(select(table.__table__).order_by(*table.__table__.primary_key))).all()
                for table in (Clinic, Member, Invitation, ClinicPatient, Patient)
            ]


@pytest.fixture
async def world(database: Database, register: Register) -> World:
    ids = [uuid4(), uuid4()]
    async with database.write() as transaction:
        for clinic_id in ids:
            await transaction.execute(
                insert(Clinic).values(
                    id=clinic_id, name="C", public_name="C", time_zone=ZONE, country="US", locale="en", created_at=NOW
                )
            )
    patient_id = uuid4()
    async with database.write() as transaction:
        await insert_patient(transaction, PatientRecord(patient_id, None, "Ann Lee", NOW))
    world = World(database, ids[0], ids[1], await register("patient"), uuid4(), patient_id)
    # So that no request meets the last manager of a clinic.
    for clinic_id in ids:
        await world.add(await register("patient"), clinic_id, MemberRole.MANAGER)
    return world


async def make_member(world: World, register: Register, role: MemberRole, state: str) -> Person:
    person = await register("doctor" if role is MemberRole.DOCTOR else "patient")
    clinic_id = world.other_clinic_id if state == "of another clinic" else world.clinic_id
    await world.add(person, clinic_id, role, **STATES[state])
    if state == "suspended":
        async with world.database.write() as transaction:
            await transaction.execute(update(User).where(User.id == UUID(person.id)).values(suspended_at=NOW))
    return person


def test_table_has_a_row_for_each_operation_of_a_clinic(assembled: FastAPI) -> None:
    assert CLINIC_TABLE.keys() == {
        operation for operation in list_documented_operations(assembled) if " /clinics/{clinic_id}" in operation
    }


def expect(row: ClinicRow, role: MemberRole, state: str) -> tuple[int, str | None]:
    if state == "suspended":
        return 401, "not_authenticated"
    if state not in VALID:
        return 404, "not_found"
    return (row.success, None) if role in row.allowed else (403, "wrong_role")


@pytest.mark.parametrize("state", STATES)
async def test_each_operation_answers_each_role_as_the_table_says(
    client: httpx2.AsyncClient, world: World, register: Register, state: str
) -> None:
    failures: list[str] = []
    for role in MemberRole:
        person = await make_member(world, register, role, state)
        for operation, row in CLINIC_TABLE.items():
            await world.prepare()
            before = await world.read_state()
            response = await send(client, operation, person, world.ids)
            status, code = expect(row, role, state)
            try:
                if code is None:
                    assert response.status_code == status, response.text
                    assert (await world.read_state() != before) == (not operation.startswith("GET"))
                else:
                    assert_problem(response, status, code)
                    assert await world.read_state() == before, "it was refused, but has changed rows"
                if status == 404:
                    absent = await send(client, operation, person, {name: str(uuid4()) for name in world.ids})
                    assert absent.content == response.content
            except AssertionError as error:
                failures.append(f"{operation} as {role}: {error}")
    assert not failures, "\n".join(failures)


async def test_operations_that_let_somebody_in_need_a_recent_log_in(
    client: httpx2.AsyncClient, world: World, register: Register, clock: SetClock
) -> None:
    manager = await make_member(world, register, MemberRole.MANAGER, "member")
    clock.advance(minutes=11)
    for operation, row in CLINIC_TABLE.items():
        await world.prepare()
        response = await send(client, operation, manager, world.ids)
        if row.fresh:
            assert_problem(response, 403, "log_in_again")
        else:
            assert response.status_code == row.success, f"{operation}: {response.text}"


async def test_member_needs_the_second_factor_of_staff_even_as_a_patient(
    app: FastAPI, client: httpx2.AsyncClient, world: World, register: Register
) -> None:
    member, stranger = await make_member(world, register, MemberRole.NURSE, "member"), await register("patient")
    resources: Resources = app.state.resources
    settings = resources.settings.model_copy(update={"require_second_factor": "staff"})
    object.__setattr__(resources, "settings", settings)
    for operation in CLINIC_TABLE:
        assert_problem(await send(client, operation, member, world.ids), 403, "set_up_second_factor")
        assert_problem(await send(client, operation, stranger, world.ids), 404, "not_found")


async def send(client: httpx2.AsyncClient, operation: str, person: Person, ids: dict[str, str]) -> httpx2.Response:
    method, path = operation.split()
    return await client.request(method, path.format_map(ids), headers=person.headers, **contents_of(operation, ids))
