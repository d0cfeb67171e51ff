import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter
from sqlalchemy import delete, func, select

from app.core.errors import DomainError
from app.core.permissions import Role
from app.core.security import Passwords
from app.core.settings import Settings
from app.db.session import Sessions
from app.demo import PASSWORD, fill
from app.models import Appointment, Availability, Doctor, User
from app.scheduling.intervals import from_instant
from app.scheduling.status import AppointmentStatus
from app.schemas.fields import Email, Name, NewPassword, Note, TimeZone
from app.services.accounts import log_in
from app.services.availability import list_free_windows
from tests.databases import both, connected, migrate, settings_for, temporary_postgresql

# Europe and America change their clocks in the four weeks that follow.
NOW = datetime(2026, 10, 19, 10, tzinfo=UTC)


@dataclass
class Clinic:
    sessions: Sessions
    settings: Settings
    printed: str

    async def fill(self, now: datetime = NOW) -> str:
        with redirect_stdout(StringIO()) as printed:
            await fill(self.sessions, self.settings, now)
        return printed.getvalue()

    async def rows(self, *columns: Any) -> list[Any]:
        async with self.sessions.read() as session:
            return list(await session.execute(select(*columns)))

    async def snapshot(self) -> Any:
        """All that makes the clinic, but for the ids, which are never the same twice."""
        doctor = select(User.name).join(Doctor).correlate(Appointment, Availability)
        return [
            sorted(map(str, await self.rows(*columns)))
            for columns in (
                (User.email, User.name, User.role, User.created_at),
                (Doctor.name_key, Doctor.specialty, Doctor.time_zone, Doctor.schedule_version),
                (
                    doctor.where(User.id == Availability.doctor_id).scalar_subquery(),
                    Availability.starts,
                    Availability.ends,
                ),
                (
                    doctor.where(User.id == Appointment.doctor_id).scalar_subquery(),
                    select(User.name).where(User.id == Appointment.patient_id).scalar_subquery(),
                    Appointment.start_time,
                    Appointment.end_time,
                    Appointment.reason,
                    Appointment.status,
                    Appointment.created_at,
                    Appointment.cancelled_at,
                    Appointment.cancelled_by == Appointment.doctor_id,
                ),
            )
        ]


@asynccontextmanager
async def new_database(backend: str, folder: Path) -> AsyncIterator[str]:
    if backend == "sqlite":
        yield await migrate(f"sqlite+aiosqlite:///{folder}/demo.db")
    else:
        async with temporary_postgresql() as url:
            yield await migrate(url)


@pytest.fixture(scope="module", params=both("demo"))
async def clinic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clinic]:
    """Filled once: it takes its time, and the tests leave it as it is."""
    async with new_database(request.param, tmp_path_factory.mktemp("demo")) as url, connected(url) as engine:
        clinic = Clinic(Sessions(engine), settings_for(url), "")
        clinic.printed = await clinic.fill()
        yield clinic


async def test_the_clinic_has_doctors_and_patients_of_many_kinds(clinic: Clinic) -> None:
    people = await clinic.rows(User.email, User.name, User.role)
    assert Counter(person.role for person in people) == {Role.DOCTOR: 12, Role.PATIENT: 200}
    assert len({person.name for person in people}) == 212
    doctors = await clinic.rows(Doctor.specialty, Doctor.time_zone)
    assert len({doctor.specialty for doctor in doctors}) >= 6
    assert {"America/New_York", "Europe/Berlin", "Europe/Madrid", "Asia/Kolkata", "Australia/Sydney"} <= {
        doctor.time_zone for doctor in doctors
    }


async def test_what_the_clinic_is_made_of_could_have_come_in_over_http(clinic: Clinic) -> None:
    TypeAdapter(NewPassword).validate_python(PASSWORD)
    for field, columns in (
        (Email, User.email),
        (Name, User.name),
        (Name, Doctor.specialty),
        (TimeZone, Doctor.time_zone),
        (Note, Appointment.reason),
    ):
        for (value,) in await clinic.rows(columns):
            assert TypeAdapter(field).validate_python(value) == value
    assert all(email.isascii() and email.endswith("@example.com") for (email,) in await clinic.rows(User.email))


async def test_appointments_lie_in_the_past_and_in_the_future_and_a_few_are_cancelled(clinic: Clinic) -> None:
    appointments = [each for (each,) in await clinic.rows(Appointment)]
    assert 450 <= len(appointments) <= 600
    assert sum(each.end_time <= NOW for each in appointments) >= 100
    assert sum(each.start_time > NOW for each in appointments) >= 200
    cancelled = [each for each in appointments if each.status is AppointmentStatus.CANCELLED]
    assert 20 <= len(cancelled) <= 80
    assert {each.cancelled_by == each.doctor_id for each in cancelled} == {True, False}
    for each in appointments:
        assert each.created_at <= (each.cancelled_at or NOW) <= NOW
        assert each.created_at < each.start_time


async def test_nothing_overlaps_and_every_visit_lies_in_a_window(clinic: Clinic) -> None:
    appointments = [
        each for (each,) in await clinic.rows(Appointment) if each.status is not AppointmentStatus.CANCELLED
    ]
    for whose in ("doctor_id", "patient_id"):
        calendar = sorted((getattr(each, whose), each.start_time, each.end_time) for each in appointments)
        assert not [(one, other) for one, other in pairwise(calendar) if one[0] == other[0] and one[2] > other[1]]
    zones = dict(await clinic.rows(Doctor.id, Doctor.time_zone))
    windows = await clinic.rows(Availability.doctor_id, Availability.starts, Availability.ends)
    for each in appointments:
        zone = ZoneInfo(zones[each.doctor_id])
        start, end = (moment.astimezone(zone).replace(tzinfo=None) for moment in (each.start_time, each.end_time))
        assert any(
            window.doctor_id == each.doctor_id and window.starts <= start < end <= window.ends for window in windows
        )


async def test_doctors_keep_their_hours_when_clocks_change(clinic: Clinic) -> None:
    windows = await clinic.rows(Availability.doctor_id, Availability.starts, Availability.ends)
    for (doctor,) in await clinic.rows(Doctor.id):
        hers = [window for window in windows if window.doctor_id == doctor]
        hours = {(window.starts.time(), window.ends.time()) for window in hers}
        assert len(hours) == 2, "a morning and an afternoon"
        days = [window.starts.date() for window in hers]
        assert min(days) < date(2026, 10, 8)
        assert max(days) > date(2026, 11, 12)


async def test_every_doctor_has_free_time_in_each_of_the_four_weeks(clinic: Clinic) -> None:
    for (doctor,) in await clinic.rows(Doctor.id):
        for week in range(4):
            start = NOW + timedelta(weeks=week)
            async with clinic.sessions.read() as session:
                free = await list_free_windows(session, doctor, start=start, end=start + timedelta(weeks=1), now=NOW)
            assert len(free) >= 5
            assert from_instant(free[0][0]) >= NOW


async def test_the_log_ins_that_are_printed_work(clinic: Clinic) -> None:
    assert PASSWORD in clinic.printed
    emails = re.findall(r"\S+@example\.com", clinic.printed)
    passwords = Passwords(clinic.settings)
    try:
        claims = [await log_in(clinic.sessions, passwords, email=email, password=PASSWORD) for email in emails]
    finally:
        passwords.close()
    assert Counter(each.role for each in claims) == {Role.DOCTOR: 3, Role.PATIENT: 3}
    coming = select(Appointment.patient_id).where(Appointment.start_time > NOW)
    async with clinic.sessions.read() as session:
        expected = set(await session.scalars(coming))
    assert {each.user_id for each in claims if each.role is Role.PATIENT} <= expected


async def test_a_second_run_adds_nothing_and_prints_the_log_ins_again(clinic: Clinic) -> None:
    before = await clinic.snapshot()
    printed = await clinic.fill()
    assert "nothing was added" in printed
    assert printed.partition("\n\n")[2] == clinic.printed.partition("\n\n")[2]
    await clinic.fill(NOW + timedelta(days=100))
    assert await clinic.snapshot() == before


async def test_an_interrupted_run_is_finished_by_the_next_as_it_would_have_been(clinic: Clinic) -> None:
    before = await clinic.snapshot()
    async with clinic.sessions.write() as session:
        london = (await session.scalars(select(Doctor.id).where(Doctor.time_zone == "Europe/London"))).all()
        await session.execute(delete(Appointment).where(Appointment.doctor_id.in_(london)))
        seen = select(Appointment.patient_id)
        lost = (await session.scalars(select(User.id).where(User.id.not_in(seen), User.role == Role.PATIENT))).all()
        assert lost
        await session.execute(delete(User).where(User.id.in_([*london, *lost])))
    await clinic.fill()
    assert await clinic.snapshot() == before


async def test_production_is_refused(sessions: Sessions, settings: Settings) -> None:
    production = Settings.model_validate(
        {"database_url": settings.database_url, "environment": "production", "secret_key": "s" * 32}
    )
    with pytest.raises(DomainError) as refused:
        await fill(sessions, production, NOW)
    assert refused.value.code == "invalid_request"
    assert [error.field for error in refused.value.errors] == ["ENVIRONMENT"]
    async with sessions.read() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 0
