"""A believable clinic, made through the services as people would make it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import batched
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from app.core.permissions import Actor, Role
from app.core.security import Passwords
from app.core.settings import InvalidSettingsError, Settings
from app.core.text import search_key
from app.db.database import Database, Transaction
from app.demo.calendar import OPENED, make_calendar
from app.demo.people import DOCTORS, NAMES, ZONES, DemoDoctor
from app.repositories import appointments, users
from app.repositories.appointments import AppointmentRecord
from app.scheduling.status import ACTIVE, AppointmentStatus
from app.services import accounts, conflicts

PASSWORD = "demo-password"  # noqa: S105 - public by purpose, and refused in production
PATIENTS = 200

_SEED = 2026
_TIME_TO_TRY = timedelta(days=1)


async def fill(database: Database, settings: Settings, now: datetime) -> None:
    """Makes what is missing of the clinic, and prints log-ins to try; the same ``now`` makes the same clinic.

    Patients come from two weeks before ``now`` to four weeks after. A doctor comes with her whole calendar in one
    transaction, after all patients: a run that was interrupted is finished by the next, and a finished clinic is
    left as it is. ``InvalidSettingsError`` in production, because everybody knows the password.
    """
    if settings.environment == "production":
        raise InvalidSettingsError("ENVIRONMENT must not be production: everybody knows the password of the demo")
    if missing := [doctor for doctor in DOCTORS if await _find(database, doctor.name) is None]:
        passwords = Passwords(settings)
        try:
            patients = await _register_patients(database, passwords, settings, now)
            booked = [await _open_practice(database, passwords, doctor, patients, now) for doctor in missing]
        finally:
            passwords.close()
        print(f"{len(missing)} doctors, {len(patients)} patients and {sum(booked)} appointments: the clinic is open.")
    else:
        print("The clinic is here already; nothing was added.")
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
    names = [f"{one} {other}" for given, family in NAMES for one in given.split() for other in family.split()]
    joined = {name: now - OPENED - timedelta(days=rng.uniform(0, 90)) for name in rng.sample(names, PATIENTS)}
    patients: list[Actor] = []
    print(f"Registering {PATIENTS} patients; hashing their passwords takes a moment.")
    # As many at a time as the queue for the hashing has room for.
    for people in batched(joined.items(), settings.password_workers + settings.password_queue):
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_register_patient(database, passwords, *each)) for each in people]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        patients += [task.result() for task in tasks]
        print(f"  {len(patients)} patients")
    return patients


async def _register_patient(database: Database, passwords: Passwords, name: str, joined: datetime) -> Actor:
    if left_by_an_interrupted_run := await _find(database, name):
        return left_by_an_interrupted_run
    async with database.write() as transaction:
        return await _register(transaction, passwords, name, Role.PATIENT, joined)


async def _register(
    transaction: Transaction, passwords: Passwords, name: str, role: Role, joined: datetime, **public: Any
) -> Actor:
    user = await accounts.register(
        transaction,
        passwords,
        email=_address(name),
        password=PASSWORD,
        name=name,
        role=role,
        now=joined,
        refuse_weak=False,
        confirmed=True,
        **public,
    )
    return Actor(user.id, user.role, user.name)


async def _open_practice(
    database: Database, passwords: Passwords, doctor: DemoDoctor, patients: Sequence[Actor], now: datetime
) -> int:
    # Patients see doctors of their own zone.
    neighbours = patients[ZONES.index(doctor.time_zone) :: len(ZONES)]
    public = {"specialty": doctor.specialty, "time_zone": doctor.time_zone}
    async with database.write() as transaction:
        actor = await _register(transaction, passwords, doctor.name, Role.DOCTOR, now - OPENED, **public)
        made = await make_calendar(transaction, actor, doctor, neighbours, now)
    found = Counter(each.status for each in made)
    counts = ", ".join(f"{found[status]} {status}" for status in AppointmentStatus if status in found)
    print(f"  {doctor.name}, {doctor.specialty}, {doctor.time_zone}: {len(made)} appointments ({counts})")
    return len(made)


async def _print_log_ins(database: Database, now: datetime) -> None:
    print(f"\nLog in with the password {PASSWORD} as")
    for doctor in DOCTORS:
        actor = await _find(database, doctor.name) if doctor.shows else None
        if actor is None:  # nothing special about her, or she has been deactivated since
            continue
        print(f"\n  {_address(doctor.name):<32} {doctor.name}, {doctor.specialty}, {doctor.time_zone}")
        print(f"  {'':<32} {doctor.shows}")
        for visit, shows in await _visits_to_see(database, actor, now):
            when = visit.start_time.astimezone(ZoneInfo(visit.time_zone))
            print(f"    {_address(visit.patient.name):<30} {visit.patient.name}, {when:%d %B at %H:%M}: {shows}")


async def _visits_to_see(database: Database, doctor: Actor, now: datetime) -> Sequence[tuple[AppointmentRecord, str]]:
    """At most one visit for each thing that there is to see."""
    async with database.read() as transaction:
        conflicting = await conflicts.page_conflicting(
            transaction, doctor, as_of=now, since=None, until=None, statuses=(), after=None, limit=100
        )
        coming = await appointments.page_appointments(
            transaction,
            doctor,
            as_of=now,
            since=now,
            until=None,
            statuses=ACTIVE,
            after=None,
            limit=100,
        )
    free = [
        each
        for each in coming
        if each not in conflicting
        and now + _TIME_TO_TRY < each.start_time - timedelta(minutes=each.cancel_cutoff_minutes)
    ]
    moved = [each for each in free if each.version > 1]
    return [
        *((each, "can be cancelled, and moved") for each in free[:1]),
        *((each, f"has been moved, see GET /appointments/{each.id}/history") for each in moved[:1]),
        *((each, "is still booked, but the doctor is away then") for each in conflicting[:1]),
    ]
