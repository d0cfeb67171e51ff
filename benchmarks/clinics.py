"""Clinics of any size, loaded past the application: as many doctors as a comparison wants, the same ones every time.

Each doctor has an account, a specialty, languages, a zone, visit types and a weekly plan, put together from those of
`make demo`; patients have an account each; appointments lie on slots of their doctors, before and after the time that
counts as now. PostgreSQL takes the rows by COPY, SQLite by INSERTs of many rows; the constraints hold on both.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import batched, chain, product
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.permissions import Role
from app.core.security import AccessClaims, issue_access_token
from app.core.settings import Settings
from app.core.text import search_key
from app.db.base import Base
from app.db.database import Database
from app.db.engine import create_engine, is_postgresql
from app.demo.people import DOCTORS, NAMES, DemoDoctor, DemoVisitType
from app.models import Appointment, Availability, Doctor, DoctorLanguage, LoginSession, Offer, User, VisitType
from app.models.search_offer import ANY_LANGUAGE
from app.repositories.search_bounds import DISTANT_PAST, varieties
from app.scheduling import visits
from app.scheduling.availability import Rules
from app.scheduling.decisions import slots
from app.scheduling.hours import to_availabilities
from app.scheduling.intervals import DAY, MINUTE, Interval, from_instant, to_instant
from app.scheduling.status import AppointmentStatus
from app.scheduling.tie_break import ring_position

type Row = dict[str, Any]

BATCH = 5000  # rows
MAX_STATEMENT = 300  # seconds
BEFORE, AFTER = 180, 60  # days, on which there are appointments
NOTICE = 4  # days, more than any visit type asks for
LOGGED_IN = timedelta(days=1)
NO_PASSWORD = "!"
_EPOCH = 1_780_000_000_000  # milliseconds since 1970 of the first id

# Most patients want one of the first ones; the last ones are rare.
SPECIALTIES = {
    "General practice": 300,
    "Pediatrics": 120,
    "Dermatology": 100,
    "Gynecology": 90,
    "Orthopedics": 90,
    "Cardiology": 80,
    "Psychiatry": 70,
    "Neurology": 60,
    "Endocrinology": 40,
    "Ophthalmology": 40,
    "Rheumatology": 7,
    "Tropical medicine": 3,
}
WITH_TYPES = [doctor.visit_types for doctor in DOCTORS if doctor.visit_types[0].fields]
WITHOUT_TYPES = next(doctor.visit_types for doctor in DOCTORS if not doctor.visit_types[0].fields)
PART_WITHOUT_TYPES = 0.1


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that can be booked."""

    doctor_id: UUID
    visit_type_id: UUID | None
    start: datetime


@dataclass(frozen=True, slots=True)
class Practice:
    """One doctor, as she is put together; ``usual`` are her hours, zone and languages."""

    id: UUID
    name: str
    specialty: str
    usual: DemoDoctor
    kinds: tuple[DemoVisitType, ...]


@dataclass(frozen=True, slots=True)
class Clinic:
    """What was loaded, in the order of the ids."""

    now: datetime
    practices: Sequence[Practice]
    patients: Sequence[UUID]
    visit_types: Sequence[Sequence[UUID]]
    """Of each doctor; one in ten has none."""

    @property
    def doctors(self) -> Sequence[UUID]:
        """The ids of the doctors."""
        return [practice.id for practice in self.practices]

    def patients_of(self, number: int) -> Sequence[UUID]:
        """The patients of one doctor."""
        count = len(self.patients) // len(self.practices)
        return self.patients[number * count : (number + 1) * count]

    def free_visits(self, number: int) -> Iterator[Visit]:
        """Visits with one doctor that do not overlap, by time: all of one type, if she was loaded without appointments.

        From a few days after now on, so that no rule is against them however slowly they are booked.
        """
        practice, types = self.practices[number], self.visit_types[number]
        unlimited = [not (kind.fields or {}).keys() & {"daily_limit", "max_advance_days"} for kind in practice.kinds]
        chosen = unlimited.index(True)
        for start, _ in _slots(practice.usual.name, _visit_type(practice.kinds[chosen].fields or {}), self.now):
            if start >= to_instant(self.now) + NOTICE * DAY:
                yield Visit(practice.id, types[chosen] if types else None, from_instant(start))


async def load_clinic(
    url: str,
    *,
    now: datetime,
    doctors: int,
    patients: int = 0,
    appointments: int = 0,
    first: int = 0,
    seed: int = 20261124,
) -> Clinic:
    """Loads doctors, and so many ``patients`` and ``appointments`` of each of them, into a migrated database.

    A patient sees one doctor only, so nobody is in two places. ``first`` is the number of the first doctor: what was
    loaded with lower ones stays. The same arguments load the same clinic.
    """
    practices = [_practice(Random(seed * 10**7 + number), number) for number in range(first, first + doctors)]
    patient_ids = [_id(2, number) for number in range(first * patients, (first + doctors) * patients)]
    visit_types = [list(_visit_type_rows(practice, now)) for practice in practices]
    engine = create_engine(url, pool_size=1, timeout=10, statement_timeout=MAX_STATEMENT)
    try:
        await _write(engine, User, (_user(each.id, each.name, Role.DOCTOR, now) for each in practices))
        await _write(engine, User, (_user(each, "A patient", Role.PATIENT, now) for each in patient_ids))
        await _write(engine, Doctor, (_doctor_row(each, now) for each in practices))
        await _write(engine, VisitType, (row for rows in visit_types for row in rows))
        await _write(engine, Availability, (row for each in practices for row in _availability_rows(each, now)))
        await _write(engine, Offer, chain.from_iterable(map(_offer_rows, practices, visit_types)))
        await _write(engine, DoctorLanguage, chain.from_iterable(map(_language_rows, practices)))
        booked = (
            row
            for number, each in enumerate(practices)
            for row in _appointment_rows(
                Random(seed + first + number),
                each,
                visit_types[number],
                patient_ids[number * patients : (number + 1) * patients],
                now,
                appointments,
                (first + number) * appointments,
            )
        )
        await _write(engine, Appointment, booked)
        async with engine.connect() as connection:
            await connection.execute(text("ANALYZE"))
    finally:
        await engine.dispose()
    types_of_each = [[row["id"] for row in rows] for rows in visit_types]
    return Clinic(now, practices, patient_ids, types_of_each)


async def log_in(url: str, users: Sequence[UUID], settings: Settings) -> list[str]:
    """An access token for each, as a log-in would give it, without the hashing."""
    now = datetime.now(UTC)
    claims = [AccessClaims(user, _id(5, user.int % 2**62)) for user in users]
    engine = create_engine(url, pool_size=1, timeout=10, statement_timeout=MAX_STATEMENT)
    try:
        await _write(
            engine,
            LoginSession,
            (
                {
                    "id": each.session_id,
                    "user_id": each.user_id,
                    "created_at": now,
                    "refreshed_at": now,
                    "expires_at": now + LOGGED_IN,
                    "ends_at": now + LOGGED_IN,
                    "client_address": "127.0.0.1",
                    "user_agent": "",
                }
                for each in claims
            ),
        )
    finally:
        await engine.dispose()
    lifetime = timedelta(minutes=settings.access_token_minutes)
    key = settings.secret_key.get_secret_value()
    return [issue_access_token(each, key=key, now=now, lifetime=lifetime) for each in claims]


async def _write(engine: AsyncEngine, model: type[Base], rows: Iterable[Row]) -> None:
    table: Table = Base.metadata.tables[model.__tablename__]
    async with Database(engine).write() as transaction:
        connection = await transaction.connection()
        for batch in batched(rows, BATCH):
            if is_postgresql(engine):
                # Rows have the keys of the columns, which can differ from the names in the database.
                columns = [table.c[key] for key in batch[0]]
                processors = [
                    column.type.dialect_impl(engine.dialect).bind_processor(engine.dialect) for column in columns
                ]
                records = [
                    tuple(
                        process(value) if process else value
                        for process, value in zip(processors, row.values(), strict=True)
                    )
                    for row in batch
                ]
                driver: Any = (await connection.get_raw_connection()).driver_connection
                await driver.copy_records_to_table(
                    table.name, records=records, columns=[column.name for column in columns]
                )
            else:
                await connection.execute(table.insert(), list(batch))
            await asyncio.sleep(0)


def _id(kind: int, number: int) -> UUID:
    """As UUIDv7 (RFC 9562) writes them, so that they come in order."""
    return UUID(int=_EPOCH + number % 2**40 << 80 | 7 << 76 | kind << 64 | 2 << 62 | number)


def _practice(chance: Random, number: int) -> Practice:
    given, family = (chance.choice(names.split()) for names in chance.choice(NAMES))
    [specialty] = chance.choices(list(SPECIALTIES), list(SPECIALTIES.values()))
    kinds = WITHOUT_TYPES if chance.random() < PART_WITHOUT_TYPES else chance.choice(WITH_TYPES)
    return Practice(_id(1, number), f"Dr {given} {family}", specialty, chance.choice(DOCTORS), kinds)


def _user(id_: UUID, name: str, role: Role, now: datetime) -> Row:
    email = f"{id_}@example.com"
    return {
        "id": id_,
        "email": email,
        "email_canonical": email,
        "name": name,
        "role": role,
        "password_hash": NO_PASSWORD,
        "created_at": now,
    }


def _doctor_row(practice: Practice, now: datetime) -> Row:
    return {
        "id": practice.id,
        "specialty": practice.specialty,
        "time_zone": practice.usual.time_zone,
        "languages": list(practice.usual.languages),
        "approved_at": now,
        "name_key": search_key(practice.name),
        "specialty_key": search_key(practice.specialty),
    }


def _visit_type_rows(practice: Practice, now: datetime) -> Iterator[Row]:
    usual = {
        "buffer_before_minutes": 0,
        "buffer_after_minutes": 0,
        "slot_step_minutes": None,
        "mode": visits.VisitMode.IN_PERSON,
        "min_notice_minutes": 0,
        "max_advance_days": None,
        "daily_limit": None,
    }
    for number, kind in enumerate(practice.kinds):
        if kind.fields:
            id_ = _id(3, practice.id.int % 2**40 * 10 + number)
            yield usual | {"id": id_, "doctor_id": practice.id, "created_at": now} | dict(kind.fields)


def _offer_rows(practice: Practice, visit_types: Sequence[Row]) -> Iterator[Row]:
    """Nothing is known of them yet."""
    usual: Row = {"id": practice.id, "name": None, "mode": visits.VisitMode.IN_PERSON, "duration_minutes": 30}
    for kind, language in product(visit_types or [usual], (ANY_LANGUAGE, *varieties(practice.usual.languages))):
        yield {
            "id": kind["id"],
            "language": language,
            "doctor_id": practice.id,
            "visit_type_id": kind["id"] if visit_types else None,
            "specialty_key": search_key(practice.specialty),
            "visit_key": kind["name"] and search_key(kind["name"]),
            "mode": kind["mode"],
            "minutes": kind["duration_minutes"],
            "ring_position": ring_position(kind["id"]),
            "not_before": DISTANT_PAST,
            "tie_break": 0,
            "known_until": DISTANT_PAST,
            "revision": kind["id"],
        }


def _language_rows(practice: Practice) -> Iterator[Row]:
    for language in varieties(practice.usual.languages):
        yield {"language": language, "doctor_id": practice.id}


def _availability_rows(practice: Practice, now: datetime) -> Iterator[Row]:
    # Published on one of a thousand days: among few doctors no two rules are the same, though most are alike.
    begins = (now - timedelta(days=BEFORE + practice.id.int % 2**40 % 1000)).date()
    for number, rule in enumerate(to_availabilities(practice.usual.hours, begins, None)):
        yield {
            "id": _id(4, practice.id.int % 2**40 * 10 + number),
            "doctor_id": practice.id,
            "starts": rule.starts,
            "starts_fold": 0,
            "ends": rule.ends,
            "ends_fold": 0,
            "recurrence": rule.recurrence,
            "last_ends": rule.last_ends,
            "weekly_hours": True,
            "created_at": now,
        }


@lru_cache
def _rules(usual: str, now: datetime) -> Rules:
    [doctor] = [each for each in DOCTORS if each.name == usual]
    begins = (now - timedelta(days=BEFORE)).date()
    return Rules(ZoneInfo(doctor.time_zone), tuple(to_availabilities(doctor.hours, begins, None)))


@lru_cache(maxsize=256)
def _slots(usual: str, visit_type: visits.VisitType, now: datetime) -> Sequence[Interval]:
    instant = to_instant(now)
    span = instant - BEFORE * DAY, instant + AFTER * DAY
    return slots(_rules(usual, now), visit_type, (), span, span[0])


def _visit_type(fields: Mapping[str, Any]) -> visits.VisitType:
    """Without its id, for the slots of many doctors are the same, and kept once."""
    before, length, after = (
        fields.get(name, usual) * MINUTE
        for name, usual in (("buffer_before_minutes", 0), ("duration_minutes", 30), ("buffer_after_minutes", 0))
    )
    return visits.VisitType(length, buffer_before=before, buffer_after=after, step=before + length + after)


def _appointment_rows(
    chance: Random,
    practice: Practice,
    visit_types: Sequence[Row],
    patients: Sequence[UUID],
    now: datetime,
    count: int,
    number: int,
) -> Iterator[Row]:
    if not count:
        return
    kind = visit_types[0] if visit_types else {}
    visit_type = _visit_type(kind)
    for start, end in chance.sample(_slots(practice.usual.name, visit_type, now), count):
        yield {
            "id": _id(6, number),
            "doctor_id": practice.id,
            "patient_id": chance.choice(patients),
            "start_time": from_instant(start),
            "end_time": from_instant(end),
            "busy_start": from_instant(start - visit_type.buffer_before),
            "busy_end": from_instant(end + visit_type.buffer_after),
            "status": AppointmentStatus.BOOKED if end > to_instant(now) else AppointmentStatus.FULFILLED,
            "visit_type_id": kind.get("id"),
            "created_at": now,
        }
        number += 1
