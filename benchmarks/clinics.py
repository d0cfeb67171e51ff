"""Load reproducible clinics of any size into a database, without the application.

Each doctor has an account, a specialty, languages, a time zone, visit types and weekly hours, which are combined from
those of `make demo`. Each patient has an account. Appointments are on slots of their doctors, before and after the
given time. Rows are loaded with COPY on PostgreSQL and with batched INSERTs on SQLite. Constraints are checked on both.
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
from app.models import Appointment, Availability, Doctor, DoctorLanguage, LoginSession, Offer, Patient, User, VisitType
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

BATCH_ROWS = 5000  # rows
MAX_STATEMENT_SECONDS = 300  # seconds
DAYS_BEFORE, DAYS_AFTER = 180, 60  # the days around the given time on which there are appointments
MIN_NOTICE_DAYS = 4  # more than any visit type requires
SESSION_LENGTH = timedelta(days=1)
NO_PASSWORD = "!"
_EPOCH = 1_780_000_000_000  # the time of the first id, in milliseconds since 1970

# The number of doctors per thousand. The last ones are rare, as in reality.
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
    """A visit that can be booked. ``visit_type_id`` is ``None`` if the doctor has no visit types."""

    doctor_id: UUID
    visit_type_id: UUID | None
    start: datetime


@dataclass(frozen=True, slots=True)
class Practice:
    """A doctor. The hours, time zone and languages are those of ``template``."""

    id: UUID
    name: str
    specialty: str
    template: DemoDoctor
    visit_types: tuple[DemoVisitType, ...]


@dataclass(frozen=True, slots=True)
class Clinic:
    """The doctors and patients that were loaded, ordered by id."""

    now: datetime
    practices: Sequence[Practice]
    patients: Sequence[UUID]
    visit_types: Sequence[Sequence[UUID]]
    """The ids of each doctor's visit types. One doctor in ten has none."""

    @property
    def doctors(self) -> Sequence[UUID]:
        """Return the ids of the doctors."""
        return [practice.id for practice in self.practices]

    def patients_of(self, number: int) -> Sequence[UUID]:
        """Return the ids of the patients of the doctor with this index."""
        count = len(self.patients) // len(self.practices)
        return self.patients[number * count : (number + 1) * count]

    def free_visits(self, number: int) -> Iterator[Visit]:
        """Yield visits of one type with the doctor that do not overlap, ordered by time.

        All are free if the doctor was loaded without appointments. They start ``MIN_NOTICE_DAYS`` after ``now`` or
        later, so that the minimum notice allows them even if booking is slow. The type has no limits.
        """
        practice, types = self.practices[number], self.visit_types[number]
        unlimited = [
            not (visit_type.fields or {}).keys() & {"daily_limit", "max_advance_days"}
            for visit_type in practice.visit_types
        ]
        chosen = unlimited.index(True)
        for start, _ in _slots(
            practice.template.name, _visit_type(practice.visit_types[chosen].fields or {}), self.now
        ):
            if start >= to_instant(self.now) + MIN_NOTICE_DAYS * DAY:
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
    """Load doctors into a migrated database, with this number of ``patients`` and ``appointments`` for each of them.

    Each patient sees only one doctor, so appointments of a patient do not overlap. ``first`` is the number of the first
    doctor. Doctors with lower numbers, loaded by an earlier call, are kept. The same arguments load the same clinic.
    """
    practices = [_practice(Random(seed * 10**7 + number), number) for number in range(first, first + doctors)]
    patient_ids = [_id(2, number) for number in range(first * patients, (first + doctors) * patients)]
    visit_types = [list(_visit_type_rows(practice, now)) for practice in practices]
    engine = create_engine(url, pool_size=1, timeout=10, statement_timeout=MAX_STATEMENT_SECONDS)
    try:
        await _write(engine, User, (_user(each.id, each.name, Role.DOCTOR, now) for each in practices))
        await _write(engine, User, (_user(each, "A patient", Role.PATIENT, now) for each in patient_ids))
        await _write(engine, Patient, (_patient_row(each, now) for each in patient_ids))
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
    """Create a session for each user and return the access tokens, without hashing passwords."""
    now = datetime.now(UTC)
    claims = [AccessClaims(user, _id(5, user.int % 2**62)) for user in users]
    engine = create_engine(url, pool_size=1, timeout=10, statement_timeout=MAX_STATEMENT_SECONDS)
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
                    "expires_at": now + SESSION_LENGTH,
                    "ends_at": now + SESSION_LENGTH,
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
        for batch in batched(rows, BATCH_ROWS):
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


def _id(table: int, number: int) -> UUID:
    """Return a UUIDv7 (RFC 9562). Ids of the same table are ordered by ``number``."""
    return UUID(int=_EPOCH + number % 2**40 << 80 | 7 << 76 | table << 64 | 2 << 62 | number)


def _practice(random: Random, number: int) -> Practice:
    given, family = (random.choice(names.split()) for names in random.choice(NAMES))
    [specialty] = random.choices(list(SPECIALTIES), list(SPECIALTIES.values()))
    visit_types = WITHOUT_TYPES if random.random() < PART_WITHOUT_TYPES else random.choice(WITH_TYPES)
    return Practice(_id(1, number), f"Dr {given} {family}", specialty, random.choice(DOCTORS), visit_types)


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


def _patient_row(id_: UUID, now: datetime) -> Row:
    return {"id": id_, "user_id": id_, "name": "A patient", "name_key": "a patient", "created_at": now}


def _doctor_row(practice: Practice, now: datetime) -> Row:
    return {
        "id": practice.id,
        "specialty": practice.specialty,
        "time_zone": practice.template.time_zone,
        "languages": list(practice.template.languages),
        "approved_at": now,
        "name_key": search_key(practice.name),
        "specialty_key": search_key(practice.specialty),
    }


def _visit_type_rows(practice: Practice, now: datetime) -> Iterator[Row]:
    defaults = {
        "buffer_before_minutes": 0,
        "buffer_after_minutes": 0,
        "slot_step_minutes": None,
        "mode": visits.VisitMode.IN_PERSON,
        "min_notice_minutes": 0,
        "max_advance_days": None,
        "daily_limit": None,
    }
    for number, visit_type in enumerate(practice.visit_types):
        if visit_type.fields:
            id_ = _id(3, practice.id.int % 2**40 * 10 + number)
            yield defaults | {"id": id_, "doctor_id": practice.id, "created_at": now} | dict(visit_type.fields)


def _offer_rows(practice: Practice, visit_types: Sequence[Row]) -> Iterator[Row]:
    """Yield the offers of a doctor with no computed bounds, so that the job computes them."""
    default: Row = {"id": practice.id, "name": None, "mode": visits.VisitMode.IN_PERSON, "duration_minutes": 30}
    for visit_type, language in product(
        visit_types or [default], (ANY_LANGUAGE, *varieties(practice.template.languages))
    ):
        yield {
            "id": visit_type["id"],
            "language": language,
            "doctor_id": practice.id,
            "visit_type_id": visit_type["id"] if visit_types else None,
            "specialty_key": search_key(practice.specialty),
            "visit_key": visit_type["name"] and search_key(visit_type["name"]),
            "mode": visit_type["mode"],
            "minutes": visit_type["duration_minutes"],
            "ring_position": ring_position(visit_type["id"]),
            "not_before": DISTANT_PAST,
            "tie_break": 0,
            "known_until": DISTANT_PAST,
            "revision": visit_type["id"],
        }


def _language_rows(practice: Practice) -> Iterator[Row]:
    for language in varieties(practice.template.languages):
        yield {"language": language, "doctor_id": practice.id}


def _availability_rows(practice: Practice, now: datetime) -> Iterator[Row]:
    # Published on one of a thousand days, so that no two rules in a small clinic are the same.
    first_day = (now - timedelta(days=DAYS_BEFORE + practice.id.int % 2**40 % 1000)).date()
    for number, rule in enumerate(to_availabilities(practice.template.hours, first_day, None)):
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
def _rules(template_name: str, now: datetime) -> Rules:
    [doctor] = [each for each in DOCTORS if each.name == template_name]
    first_day = (now - timedelta(days=DAYS_BEFORE)).date()
    return Rules(ZoneInfo(doctor.time_zone), tuple(to_availabilities(doctor.hours, first_day, None)))


@lru_cache(maxsize=256)
def _slots(template_name: str, visit_type: visits.VisitType, now: datetime) -> Sequence[Interval]:
    instant = to_instant(now)
    span = instant - DAYS_BEFORE * DAY, instant + DAYS_AFTER * DAY
    return slots(_rules(template_name, now), visit_type, (), span, span[0])


def _visit_type(fields: Mapping[str, Any]) -> visits.VisitType:
    """Return the visit type without its id, so that doctors with the same template share cached slots."""
    before, length, after = (
        fields.get(name, default) * MINUTE
        for name, default in (("buffer_before_minutes", 0), ("duration_minutes", 30), ("buffer_after_minutes", 0))
    )
    return visits.VisitType(length, buffer_before=before, buffer_after=after, step=before + length + after)


def _appointment_rows(
    random: Random,
    practice: Practice,
    visit_types: Sequence[Row],
    patients: Sequence[UUID],
    now: datetime,
    count: int,
    number: int,
) -> Iterator[Row]:
    if not count:
        return
    row = visit_types[0] if visit_types else {}
    visit_type = _visit_type(row)
    for start, end in random.sample(_slots(practice.template.name, visit_type, now), count):
        yield {
            "id": _id(6, number),
            "doctor_id": practice.id,
            "patient_id": random.choice(patients),
            "start_time": from_instant(start),
            "end_time": from_instant(end),
            "busy_start": from_instant(start - visit_type.buffer_before),
            "busy_end": from_instant(end + visit_type.buffer_after),
            "status": AppointmentStatus.BOOKED if end > to_instant(now) else AppointmentStatus.FULFILLED,
            "visit_type_id": row.get("id"),
            "created_at": now,
        }
        number += 1
