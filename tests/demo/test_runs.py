"""Runs of ``make demo``: output, a second run, an interrupted run."""

import re
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select

from app.core.clients import Client
from app.core.permissions import Role
from app.core.security import Passwords
from app.core.settings import InvalidSettingsError, Settings
from app.db.database import Database
from app.demo.clinic import PASSWORD, fill
from app.models import Appointment, Doctor, Patient, User
from app.repositories.users import get_user
from app.services.sessions import log_in
from tests.demo.clinic import NOW, DemoClinic


async def test_printed_accounts_can_log_in_and_match_their_descriptions(clinic: DemoClinic) -> None:
    assert PASSWORD in clinic.printed
    emails = re.findall(r"\S+@example\.com", clinic.printed)
    passwords = Passwords(clinic.settings)
    try:
        grants = [
            await log_in(
                clinic.database,
                passwords,
                clinic.settings,
                email=email,
                password=PASSWORD,
                otp=None,
                client=Client("127.0.0.1", ""),
                now=NOW,
            )
            for email in emails
        ]
    finally:
        passwords.close()
    async with clinic.database.read() as transaction:
        users = [await get_user(transaction, grant.claims.user_id) for grant in grants]
    patients = {each.id for each in users if each.role is Role.PATIENT}
    doctors = {each.id for each in users if each.role is Role.DOCTOR}
    assert len(doctors) == 4
    assert len(patients) >= 6
    coming = {each.patient_id: each for each in await clinic.list_appointments() if each.start_time > NOW}
    assert patients <= coming.keys()
    # The descriptions are true.
    assert len(re.findall("can be cancelled", clinic.printed)) == 4
    in_conflict = {
        each.patient.name for doctor in await clinic.list_doctors() for each in await clinic.list_conflicting(doctor)
    }
    described = re.findall(r"example\.com +(.+), .+: is booked although the doctor has time off then", clinic.printed)
    assert len(described) == 1
    assert set(described) <= in_conflict
    moved = {UUID(found) for found in re.findall(r"/appointments/(\S+)/history", clinic.printed)}
    assert moved
    assert moved <= {each.id for each in await clinic.list_appointments() if each.version > 1}


async def test_second_run_adds_nothing_and_prints_the_accounts_again(clinic: DemoClinic) -> None:
    before = await clinic.take_snapshot()
    printed = await clinic.fill()
    assert "nothing was added" in printed
    assert printed.partition("\n\n")[2] == clinic.printed.partition("\n\n")[2]
    await clinic.fill(NOW + timedelta(days=100))
    assert await clinic.take_snapshot() == before


async def test_next_run_finishes_an_interrupted_run(clinic: DemoClinic) -> None:
    before = await clinic.take_snapshot()
    async with clinic.database.write() as transaction:
        london = (await transaction.scalars(select(Doctor.id).where(Doctor.time_zone == "Europe/London"))).all()
        await transaction.execute(delete(Appointment).where(Appointment.doctor_id.in_(london)))
        seen = select(Appointment.patient_id)
        lost = (await transaction.scalars(select(User.id).where(User.id.not_in(seen), User.role == Role.PATIENT))).all()
        assert lost
        await transaction.execute(delete(Patient).where(Patient.id.in_(lost)))
        await transaction.execute(delete(User).where(User.id.in_([*london, *lost])))
    await clinic.fill()
    assert await clinic.take_snapshot() == before


async def test_production_is_refused(database: Database, settings: Settings) -> None:
    production = Settings.model_validate(
        {"database_url": settings.database_url, "environment": "production", "secret_key": "0123456789abcdef" * 2}
    )
    with pytest.raises(InvalidSettingsError, match="ENVIRONMENT must not be production"):
        await fill(database, production, NOW)
    async with database.read() as transaction:
        assert await transaction.scalar(select(func.count()).select_from(User)) == 0
