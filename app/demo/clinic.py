"""The sample clinic of ``make demo``, created through the services, as its users would do it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import batched
from operator import itemgetter
from random import Random
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from app.core.audit_actions import AuditAction
from app.core.permissions import Actor, Role, Scope
from app.core.security import Passwords
from app.core.settings import InvalidSettingsError, Settings
from app.core.text import search_key
from app.db.database import Database
from app.demo.calendar import OPENED, make_calendar
from app.demo.people import DOCTORS, NAMES, ZONES, DemoDoctor
from app.repositories import appointments, users
from app.repositories.appointments import AppointmentRecord
from app.repositories.users import UserRecord
from app.scheduling.status import ACTIVE, AppointmentStatus
from app.services import accounts, conflicts
from app.services.audit import Event

PASSWORD = "demo-password"  # noqa: S105 - public by purpose, and refused in production
PATIENTS = 200

_SEED = 2026
_TIME_TO_TRY = timedelta(days=1)


async def fill(database: Database, settings: Settings, now: datetime) -> None:
    """Create the doctors and patients of the clinic that are missing, and print accounts to try.

    Appointments lie between two weeks before ``now`` and four weeks after it. The same ``now`` gives the same clinic.
    After all patients, each doctor is created with the whole calendar in one transaction. So a run completes one that
    was interrupted, and does not change a complete clinic. Raises ``InvalidSettingsError`` in production, because the
    password is public.
    """
    if settings.environment == "production":
        raise InvalidSettingsError("ENVIRONMENT must not be production: the password of the demo is public")
    if missing := [doctor for doctor in DOCTORS if await _find(database, doctor.name) is None]:
        passwords = Passwords(settings)
        try:
            patients = await _register_patients(database, passwords, settings, now)
            booked = [await _open_practice(database, passwords, doctor, patients, now) for doctor in missing]
        finally:
            passwords.close()
        print(f"Created {len(missing)} doctors, {len(patients)} patients and {sum(booked)} appointments.")
    else:
        print("The clinic exists already; nothing was added.")
    await _print_log_ins(database, now)


def _address(name: str) -> str:
    return f"{search_key(name.removeprefix('Dr ')).replace(' ', '.')}@example.com"


async def _find(database: Database, name: str) -> Actor | None:
    async with database.read() as transaction:
        found = await users.find_user(transaction, _address(name))
        return Actor(found.id, found.role, found.name) if found else None


async def _register_patients(
    database: Database, passwords: Passwords, settings: Settings, now: datetime
) -> Sequence[Actor]:
    rng = Random(_SEED)
    names = [f"{first} {last}" for given, family in NAMES for first in given.split() for last in family.split()]
    joined = {name: now - OPENED - timedelta(days=rng.uniform(0, 90)) for name in rng.sample(names, PATIENTS)}
    patients: list[Actor] = []
    print(f"Registering {PATIENTS} patients. Hashing their passwords takes a moment.")
    # In batches that fit into the queue for hashing, which rejects further requests.
    for people in batched(
        sorted(joined.items(), key=itemgetter(1)), settings.password_workers + settings.password_queue
    ):
        existing = {name: await _find(database, name) for name, _ in people}  # from a run that was interrupted
        missing = [name for name, actor in existing.items() if actor is None]
        hashes = iter(await asyncio.gather(*(passwords.hash(PASSWORD) for _ in missing)))
        # One after the other, because lists show accounts in the order in which they were created.
        for name, at in people:
            patients.append(existing[name] or await _register_patient(database, name, next(hashes), at))
        print(f"  {len(patients)} patients")
    return patients


async def _register_patient(database: Database, name: str, password_hash: str, joined: datetime) -> Actor:
    user = UserRecord(uuid7(), _address(name), name, Role.PATIENT, joined, email_confirmed_at=joined)
    async with database.write() as transaction:
        await accounts.add_account(
            transaction,
            user,
            password_hash,
            specialty=None,
            time_zone="UTC",
            approved=True,
            event=Event(AuditAction.REGISTER, client=None),
        )
    return Actor(user.id, user.role, user.name)


async def _open_practice(
    database: Database, passwords: Passwords, doctor: DemoDoctor, patients: Sequence[Actor], now: datetime
) -> int:
    # Each patient belongs to one time zone, and visits only doctors of that zone.
    local_patients = patients[ZONES.index(doctor.time_zone) :: len(ZONES)]
    async with database.write() as transaction:
        user = await accounts.register(
            transaction,
            passwords,
            email=_address(doctor.name),
            password=PASSWORD,
            name=doctor.name,
            role=Role.DOCTOR,
            now=now - OPENED,
            refuse_weak=False,
            specialty=doctor.specialty,
            time_zone=doctor.time_zone,
            confirmed=True,
        )
        actor = Actor(user.id, user.role, user.name)
        booked = await make_calendar(transaction, actor, doctor, local_patients, now)
    found = Counter(each.status for each in booked)
    counts = ", ".join(f"{found[status]} {status}" for status in AppointmentStatus if status in found)
    print(f"  {doctor.name}, {doctor.specialty}, {doctor.time_zone}: {len(booked)} appointments ({counts})")
    return len(booked)


async def _print_log_ins(database: Database, now: datetime) -> None:
    print(f"\nLog in with the password {PASSWORD} as")
    for doctor in DOCTORS:
        actor = await _find(database, doctor.name) if doctor.shows else None
        if actor is None:  # nothing special to show, or the account has been erased since
            continue
        print(f"\n  {_address(doctor.name):<32} {doctor.name}, {doctor.specialty}, {doctor.time_zone}")
        print(f"  {'':<32} {doctor.shows}")
        for visit, shows in await _visits_to_see(database, actor, now):
            when = visit.start_time.astimezone(ZoneInfo(visit.time_zone))
            print(f"    {_address(visit.patient.name):<30} {visit.patient.name}, {when:%d %B at %H:%M}: {shows}")


async def _visits_to_see(database: Database, doctor: Actor, now: datetime) -> Sequence[tuple[AppointmentRecord, str]]:
    """Return at most one visit for each feature to try, with its description."""
    async with database.read() as transaction:
        conflicting = await conflicts.page_conflicting(
            transaction, doctor.id, as_of=now, since=None, until=None, statuses=(), after=None, limit=100
        )
        upcoming = await appointments.page_appointments(
            transaction,
            Scope(doctor_id=doctor.id),
            as_of=now,
            since=now,
            until=None,
            statuses=ACTIVE,
            after=None,
            limit=100,
        )
    free = [
        each
        for each in upcoming
        if each not in conflicting
        and now + _TIME_TO_TRY < each.start_time - timedelta(minutes=each.cancel_cutoff_minutes)
    ]
    moved = [each for each in free if each.version > 1]
    return [
        *((each, "can be cancelled or moved") for each in free[:1]),
        *((each, f"has been moved, see GET /appointments/{each.id}/history") for each in moved[:1]),
        *((each, "is booked although the doctor has time off then") for each in conflicting[:1]),
    ]
