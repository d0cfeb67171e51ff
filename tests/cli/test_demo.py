import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter
from sqlalchemy import delete, func, select

from app.core.clients import Client
from app.core.permissions import Actor, Role
from app.core.security import Passwords
from app.core.settings import InvalidSettingsError, Settings
from app.db.base import Base
from app.db.database import Database
from app.demo.clinic import PASSWORD, fill
from app.models import Appointment, AppointmentVersion, Availability, Doctor, TimeOff, User, VisitType
from app.repositories.appointments import AppointmentRecord
from app.repositories.doctor_schedules import get_doctor_schedule
from app.repositories.users import get_user
from app.scheduling.availability import Rules, windows_between
from app.scheduling.intervals import DAY, MINUTE, Interval, from_instant, merge, overlaps, to_instant
from app.scheduling.status import AppointmentStatus
from app.scheduling.visits import VisitMode
from app.schemas.doctors import DoctorChanges
from app.schemas.fields import Email, Name, NewPassword, Note, Recurrence, TimeZone
from app.schemas.slots import NewVisitType
from app.services.conflicts import page_conflicting
from app.services.schedule import get_weekly_hours
from app.services.sessions import log_in
from app.services.slots import list_slots
from tests.databases import both_databases, migrate, open_engine, settings_for, temporary_postgresql

# A Monday; Europe, Africa and America change their clocks in the weeks that follow.
NOW = datetime(2026, 10, 19, 10, tzinfo=UTC)
WEEKS = 4
SPAN: Interval = to_instant(NOW - timedelta(weeks=2)), to_instant(NOW + timedelta(weeks=WEEKS))

FREE = {AppointmentStatus.CANCELLED, AppointmentStatus.NOSHOW}


@dataclass
class Clinic:
    database: Database
    settings: Settings
    printed: str

    async def fill(self, now: datetime = NOW) -> str:
        with redirect_stdout(StringIO()) as printed:
            await fill(self.database, self.settings, now)
        return printed.getvalue()

    async def rows(self, *columns: Any) -> list[Any]:
        async with self.database.read() as transaction:
            return list(await transaction.execute(select(*columns)))

    async def appointments(self) -> list[Any]:
        return await self.rows(Appointment)

    async def doctors(self) -> list[Actor]:
        return [
            Actor(each.id, Role.DOCTOR, each.name)
            for each in await self.rows(User.id, User.name, User.role)
            if each.role is Role.DOCTOR
        ]

    async def rules(self, doctor_id: UUID) -> Rules:
        async with self.database.read() as transaction:
            return (await get_doctor_schedule(transaction, doctor_id, SPAN)).rules

    async def conflicting(self, doctor: Actor) -> list[AppointmentRecord]:
        async with self.database.read() as transaction:
            found = await page_conflicting(
                transaction, doctor, as_of=NOW, since=None, until=None, statuses=(), after=None, limit=100
            )
        return list(found)

    async def slots(self, doctor_id: UUID, visit_type_id: UUID | None) -> list[Interval]:
        async with self.database.read() as transaction:
            _, found = await list_slots(
                transaction,
                doctor_id,
                computation=None,
                visit_type_id=visit_type_id,
                start=NOW,
                end=NOW + timedelta(weeks=WEEKS),
                viewer=None,
                now=NOW,
            )
        return found

    async def snapshot(self) -> Any:
        """All that makes the clinic, but for the ids, which are never the same twice: names are in their place."""
        rows = {
            table.name: [row._mapping for row in await self.rows(table)]
            for table in Base.metadata.sorted_tables
            # Whoever registers is an event, too, with an id that is nobody else's.
            if table.name != "audit_events"
        }
        names: dict[Any, str] = {}
        for table, identity in (
            ("users", ["email"]),
            ("visit_types", ["doctor_id", "name"]),
            ("appointments", ["doctor_id", "patient_id", "created_at"]),
        ):
            for row in rows[table]:
                names[row["id"]] = " ".join(str(names.get(row[column], row[column])) for column in identity)
        return {
            table: sorted(
                str(
                    {
                        column: names.get(value) if isinstance(value, UUID) else value
                        for column, value in row.items()
                        if column not in {"password_hash", "ring_position"}  # made of chance, and of an id
                    }
                )
                for row in found
            )
            for table, found in rows.items()
        }


@asynccontextmanager
async def new_database(backend: str, folder: Path) -> AsyncIterator[str]:
    if backend == "sqlite":
        yield await migrate(f"sqlite+aiosqlite:///{folder}/demo.db")
    else:
        async with temporary_postgresql() as url:
            yield await migrate(url)


@pytest.fixture(scope="module", params=both_databases("demo"))
async def clinic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clinic]:
    """Filled once: it takes its time, and the tests leave it as it is."""
    async with new_database(request.param, tmp_path_factory.mktemp("demo")) as url, open_engine(url) as engine:
        clinic = Clinic(Database(engine), settings_for(url), "")
        clinic.printed = await clinic.fill()
        yield clinic


async def test_clinic_has_varied_doctors_and_patients(clinic: Clinic) -> None:
    people = await clinic.rows(User.email, User.name, User.role)
    assert Counter(person.role for person in people) == {Role.DOCTOR: 14, Role.PATIENT: 200}
    assert len({person.name for person in people}) == 214
    doctors = await clinic.rows(Doctor.specialty, Doctor.time_zone, Doctor.languages, Doctor.bio)
    assert len({doctor.specialty for doctor in doctors}) >= 6
    assert {doctor.time_zone for doctor in doctors} == {
        "America/New_York",
        "Europe/Berlin",
        "Asia/Kolkata",
        "Europe/Madrid",
        "Australia/Sydney",
        "Europe/London",
        "Africa/Cairo",
        "America/Sao_Paulo",
    }
    assert all(len(doctor.languages) >= 2 and len(doctor.bio) > 20 for doctor in doctors)


async def test_clinic_contains_only_values_that_the_api_accepts(clinic: Clinic) -> None:
    TypeAdapter(NewPassword).validate_python(PASSWORD)
    fields: tuple[tuple[Any, Any], ...] = (
        (Email, User.email),
        (Name, User.name),
        (Name, Doctor.specialty),
        (TimeZone, Doctor.time_zone),
        (Note, Appointment.reason),
        (Note | None, Appointment.cancel_reason),
        (Note, TimeOff.reason),
        (Recurrence | None, Availability.recurrence),
    )
    for field, column in fields:
        for (value,) in await clinic.rows(column):
            assert TypeAdapter[Any](field).validate_python(value) == value
    for schema, model in ((DoctorChanges, Doctor), (NewVisitType, VisitType)):
        columns = [column for column in model.__table__.columns if column.key in schema.model_fields]
        assert len(columns) >= 8
        for row in await clinic.rows(*columns):
            assert TypeAdapter(schema).validate_python(row._asdict()).model_dump(exclude_unset=True) == row._asdict()
    assert all(email.isascii() and email.endswith("@example.com") for (email,) in await clinic.rows(User.email))


async def test_statuses_of_appointments_fit_the_time_of_day(clinic: Clinic) -> None:
    appointments = await clinic.appointments()
    assert 520 <= len(appointments) <= 560
    past = [each for each in appointments if each.end_time + timedelta(minutes=15) <= NOW]
    assert len(past) >= 150
    statuses = Counter(each.status for each in past)
    assert statuses.keys() == {AppointmentStatus.FULFILLED, *FREE}
    assert statuses[AppointmentStatus.FULFILLED] >= 120
    assert 5 <= statuses[AppointmentStatus.NOSHOW] <= 40
    coming = [each for each in appointments if each.start_time > NOW + timedelta(minutes=20)]
    assert {each.status for each in coming} == {AppointmentStatus.BOOKED, AppointmentStatus.CANCELLED}
    assert sum(each.status is AppointmentStatus.BOOKED for each in coming) >= 200
    around_now = Counter(each.status for each in appointments if abs(each.start_time - NOW) < timedelta(hours=4))
    assert around_now[AppointmentStatus.FULFILLED] >= 5
    assert around_now[AppointmentStatus.ARRIVED] >= 2
    assert around_now[AppointmentStatus.BOOKED] >= 5


async def test_appointments_are_cancelled_by_both_parties_with_reasons(clinic: Clinic) -> None:
    cancelled = [each for each in await clinic.appointments() if each.status is AppointmentStatus.CANCELLED]
    assert 20 <= len(cancelled) <= 80
    assert {each.cancelled_by == each.doctor_id for each in cancelled} == {True, False}
    assert {each.start_time < NOW for each in cancelled} == {True, False}
    assert sum(each.cancel_reason is not None for each in cancelled) > len(cancelled) / 2
    for each in cancelled:
        assert each.cancelled_at is not None
        assert each.created_at <= each.cancelled_at <= NOW


async def test_appointments_have_histories(clinic: Clinic) -> None:
    appointments = {each.id: each for each in await clinic.appointments()}
    histories = defaultdict(list)
    for each in await clinic.rows(AppointmentVersion):
        histories[each.appointment_id].append(each)
    moved, arrived = set(), set()
    for appointment in appointments.values():
        history = sorted(histories[appointment.id], key=lambda each: each.version)
        assert [each.version for each in history] == list(range(1, appointment.version))
        times = [*(each.changed_at for each in history), appointment.changed_at or appointment.created_at]
        assert times == sorted(times)
        assert appointment.created_at == times[0] < appointment.start_time
        assert times[-1] <= NOW
        if any(each.start_time != appointment.start_time for each in history):
            moved.add(appointment.id)
        if any(each.status is AppointmentStatus.ARRIVED for each in history):
            arrived.add(appointment.id)
    assert len(moved) >= 20
    assert {appointments[each].status for each in moved} >= {AppointmentStatus.BOOKED, AppointmentStatus.FULFILLED}
    fulfilled = {each.id for each in appointments.values() if each.status is AppointmentStatus.FULFILLED}
    assert arrived < fulfilled, "some were noted when they came, some not"
    assert len(arrived) >= 50


async def test_appointments_do_not_overlap_and_lie_within_opening_hours(clinic: Clinic) -> None:
    appointments = await clinic.appointments()
    for whose, from_, to in (("doctor_id", "busy_start", "busy_end"), ("patient_id", "start_time", "end_time")):
        busy = sorted(
            (getattr(each, whose), getattr(each, from_), getattr(each, to))
            for each in appointments
            if each.status not in FREE
        )
        assert not [(one, other) for one, other in pairwise(busy) if one[0] == other[0] and one[2] > other[1]]
    for doctor in await clinic.doctors():
        open_ = merge(windows_between(await clinic.rules(doctor.id), SPAN))
        for each in appointments:
            start, end = to_instant(each.start_time), to_instant(each.end_time)
            assert each.doctor_id != doctor.id or any(opens <= start < end <= closes for opens, closes in open_)


async def test_weekly_hours_stay_the_same_when_clocks_change(clinic: Clinic) -> None:
    split = nights = 0
    for doctor in await clinic.doctors():
        async with clinic.database.read() as transaction:
            week = (await get_weekly_hours(transaction, doctor, first=None, now=NOW)).current.hours
        split += any(len(windows) > 1 for windows in week.values())
        nights += any(end > 24 * 60 for windows in week.values() for _, end in windows)
        rules = await clinic.rules(doctor.id)
        shown = Counter(
            (start.weekday(), start.hour * 60 + start.minute, end.hour * 60 + end.minute)
            for start, end in (
                [from_instant(instant).astimezone(rules.zone) for instant in window]
                for window in windows_between(rules, SPAN)
            )
        )
        saturdays = {window: times for window, times in shown.items() if times <= 3}
        assert shown.keys() - saturdays.keys() == {
            (weekday, start, end % (24 * 60)) for weekday, windows in week.items() for start, end in windows
        }
        assert saturdays.keys() == ({(5, 10 * 60, 13 * 60)} if doctor.name == "Dr Lucía Ortega" else set())
    assert split == 14
    assert nights >= 2


async def test_most_doctors_are_booked_by_visit_type(clinic: Clinic) -> None:
    kinds = {each.id: each for each in await clinic.rows(VisitType)}
    assert {kind.mode for kind in kinds.values()} == set(VisitMode)
    assert {True, False} == {kind.buffer_before_minutes > 0 for kind in kinds.values()}
    assert {True, False} == {kind.buffer_after_minutes > 0 for kind in kinds.values()}
    offering = Counter(kind.doctor_id for kind in kinds.values())
    assert len(offering) == 11
    assert min(offering.values()) >= 2
    used = set()
    for each in await clinic.appointments():
        assert (each.visit_type_id is not None) == (each.doctor_id in offering)
        if each.visit_type_id is None:
            continue
        kind = kinds[each.visit_type_id]
        used.add(kind.id)
        assert each.end_time - each.start_time == timedelta(minutes=kind.duration_minutes)
        assert each.start_time - each.busy_start == timedelta(minutes=kind.buffer_before_minutes)
        assert each.busy_end - each.end_time == timedelta(minutes=kind.buffer_after_minutes)
    assert used == kinds.keys()


async def test_appointments_respect_the_limits_of_doctors(clinic: Clinic) -> None:
    doctors = {each.id: each for each in await clinic.rows(Doctor)}
    for limit in ("min_notice_minutes", "max_advance_days", "daily_limit", "cancel_cutoff_minutes"):
        assert 2 <= sum(bool(getattr(doctor, limit)) for doctor in doctors.values()) < 14
    days: Counter[Any] = Counter()
    for each in await clinic.appointments():
        doctor = doctors[each.doctor_id]
        zone = ZoneInfo(doctor.time_zone)
        assert each.start_time - each.created_at >= timedelta(minutes=doctor.min_notice_minutes)
        if doctor.max_advance_days is not None:
            ahead = each.start_time.astimezone(zone).date() - each.created_at.astimezone(zone).date()
            assert ahead <= timedelta(days=doctor.max_advance_days)
        if each.status not in FREE:
            days[doctor.id, each.start_time.astimezone(zone).date()] += 1
        if each.cancelled_at is not None and each.cancelled_by == each.patient_id:
            assert each.start_time - each.cancelled_at >= timedelta(minutes=doctor.cancel_cutoff_minutes)
    for (doctor_id, _), visits in days.items():
        assert visits <= (doctors[doctor_id].daily_limit or 100)


async def test_time_off_taken_late_leaves_appointments_in_conflict(clinic: Clinic) -> None:
    away = {each.doctor_id: each for each in await clinic.rows(TimeOff)}
    late = {doctor_id for doctor_id, each in away.items() if each.reason != "Holiday"}
    assert len(late) == 2
    assert len(away) == 5
    for doctor in await clinic.doctors():
        conflicting = await clinic.conflicting(doctor)
        assert bool(conflicting) == (doctor.id in late)
        for each in conflicting:
            start, end = (
                moment.astimezone(ZoneInfo(each.time_zone)).replace(tzinfo=None)
                for moment in (each.start_time, each.end_time)
            )
            assert each.status is AppointmentStatus.BOOKED
            assert away[doctor.id].starts <= start < end <= away[doctor.id].ends


async def test_doctors_have_free_slots_in_every_week_without_time_off(clinic: Clinic) -> None:
    kinds = [
        (doctor.id, kind)
        for doctor in await clinic.rows(Doctor)
        for kind in [each for each in await clinic.rows(VisitType) if each.doctor_id == doctor.id] or [None]
    ]
    busy: dict[UUID, list[Interval]] = defaultdict(list)
    for each in await clinic.appointments():
        if each.status not in FREE:
            busy[each.doctor_id].append((to_instant(each.busy_start), to_instant(each.busy_end)))
    weeks: dict[UUID, set[int]] = defaultdict(set)
    for doctor_id, kind in kinds:
        before, after = (kind.buffer_before_minutes, kind.buffer_after_minutes) if kind else (0, 0)
        for start, end in await clinic.slots(doctor_id, kind and kind.id):
            assert start >= to_instant(NOW)
            assert not overlaps((start - before * MINUTE, end + after * MINUTE), busy[doctor_id])
            weeks[doctor_id].add((start - to_instant(NOW)) // (7 * DAY))
    assert len(weeks) == 14
    assert sum(map(len, weeks.values())) >= 14 * WEEKS - 3, "but for those who are on holiday"


async def test_printed_accounts_can_log_in_and_match_their_descriptions(clinic: Clinic) -> None:
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
    coming = {each.patient_id: each for each in await clinic.appointments() if each.start_time > NOW}
    assert patients <= coming.keys()
    # Each shows what is said of it.
    assert len(re.findall("can be cancelled", clinic.printed)) == 4
    in_conflict = {each.patient.name for doctor in await clinic.doctors() for each in await clinic.conflicting(doctor)}
    said = re.findall(r"example\.com +(.+), .+: is booked although the doctor has time off then", clinic.printed)
    assert len(said) == 1
    assert set(said) <= in_conflict
    moved = {UUID(found) for found in re.findall(r"/appointments/(\S+)/history", clinic.printed)}
    assert moved
    assert moved <= {each.id for each in await clinic.appointments() if each.version > 1}


async def test_second_run_adds_nothing_and_prints_the_accounts_again(clinic: Clinic) -> None:
    before = await clinic.snapshot()
    printed = await clinic.fill()
    assert "nothing was added" in printed
    assert printed.partition("\n\n")[2] == clinic.printed.partition("\n\n")[2]
    await clinic.fill(NOW + timedelta(days=100))
    assert await clinic.snapshot() == before


async def test_next_run_finishes_an_interrupted_run(clinic: Clinic) -> None:
    before = await clinic.snapshot()
    async with clinic.database.write() as transaction:
        london = (await transaction.scalars(select(Doctor.id).where(Doctor.time_zone == "Europe/London"))).all()
        await transaction.execute(delete(Appointment).where(Appointment.doctor_id.in_(london)))
        seen = select(Appointment.patient_id)
        lost = (await transaction.scalars(select(User.id).where(User.id.not_in(seen), User.role == Role.PATIENT))).all()
        assert lost
        await transaction.execute(delete(User).where(User.id.in_([*london, *lost])))
    await clinic.fill()
    assert await clinic.snapshot() == before


async def test_production_is_refused(database: Database, settings: Settings) -> None:
    production = Settings.model_validate(
        {"database_url": settings.database_url, "environment": "production", "secret_key": "0123456789abcdef" * 2}
    )
    with pytest.raises(InvalidSettingsError, match="ENVIRONMENT must not be production"):
        await fill(database, production, NOW)
    async with database.read() as transaction:
        assert await transaction.scalar(select(func.count()).select_from(User)) == 0
