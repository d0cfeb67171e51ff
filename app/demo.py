"""A believable clinic, made through the services as people would make it."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from heapq import nsmallest
from itertools import batched, cycle
from random import Random
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DomainError, invalid_field
from app.core.permissions import Actor, Role
from app.core.security import Passwords
from app.core.settings import Settings
from app.core.text import search_key
from app.db.session import Sessions
from app.repositories import appointments, users
from app.repositories.appointments import AppointmentRecord
from app.scheduling.decisions import Refusal
from app.scheduling.intervals import DAY, MINUTE, Interval, from_instant, to_instant
from app.scheduling.status import AppointmentStatus
from app.scheduling.zones import resolve
from app.services import accounts, availability, booking

PASSWORD = "demo-password"  # noqa: S105 - public by purpose, and refused in production
PATIENTS = 200

_SEED = 2026
_VISITS = 45  # that each doctor is asked for
_CANCELLED, _CANCELLED_BY_DOCTOR = 0.08, 0.3
_DAYS_BEFORE, _DAYS_AFTER = 14, 28
_OPENED = timedelta(days=_DAYS_BEFORE + 1)  # before now: no day she works is past when her calendar opens
_LOG_INS = 3

type _Hours = tuple[tuple[time, time], ...]

_USUAL: _Hours = (time(9), time(12)), (time(13), time(17))
_EARLY: _Hours = (time(7, 30), time(11, 30)), (time(12), time(15, 30))
_LATE: _Hours = (time(11), time(14)), (time(15), time(19))
_LONG_LUNCH: _Hours = (time(9), time(14)), (time(16), time(19))

_MONDAY_TO_FRIDAY = (0, 1, 2, 3, 4)
_NO_WEDNESDAYS = (0, 1, 3, 4)
_TUESDAY_TO_SATURDAY = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class _Doctor:
    name: str
    specialty: str
    time_zone: str
    hours: _Hours = _USUAL
    weekdays: tuple[int, ...] = _MONDAY_TO_FRIDAY
    minutes: int = 30


# The first ones are the log-ins to try; each lives in another zone, and so sees other patients.
_DOCTORS = (
    _Doctor("Dr Ifeoma Adichie", "Cardiology", "America/New_York"),
    _Doctor("Dr Annika Feldmann", "General practice", "Europe/Berlin", _EARLY, minutes=20),
    _Doctor("Dr Arjun Mehta", "Dermatology", "Asia/Kolkata", _LATE),
    _Doctor("Dr Lucía Ortega", "Pediatrics", "Europe/Madrid", _LONG_LUNCH),
    _Doctor("Dr Charlotte Nguyen", "Psychiatry", "Australia/Sydney", _USUAL, _NO_WEDNESDAYS, minutes=60),
    _Doctor("Dr Kwame Mensah", "Orthopedics", "Europe/London", _EARLY),
    _Doctor("Dr Daniel Rosenberg", "General practice", "America/New_York", _LATE, minutes=20),
    _Doctor("Dr Elif Demir", "Neurology", "Europe/Berlin", _USUAL, _NO_WEDNESDAYS, minutes=45),
    _Doctor("Dr Nandini Rao", "General practice", "Asia/Kolkata", _USUAL, _TUESDAY_TO_SATURDAY, minutes=20),
    _Doctor("Dr Javier Iglesias", "Orthopedics", "Europe/Madrid", _LONG_LUNCH),
    _Doctor("Dr Matiu Parata", "General practice", "Australia/Sydney", _EARLY, _TUESDAY_TO_SATURDAY),
    _Doctor("Dr Fiona Gallagher", "Dermatology", "Europe/London"),
)
_ZONES = tuple(dict.fromkeys(doctor.time_zone for doctor in _DOCTORS))

_REASONS = {
    "Cardiology": (
        "Palpitations when climbing stairs",
        "Blood pressure check",
        "Follow-up after a stent",
        "Shortness of breath",
        "ECG before an operation",
        "Review of blood thinners",
    ),
    "Dermatology": (
        "A mole that has changed",
        "Eczema on both hands",
        "Yearly skin check",
        "Acne, second visit",
        "Rash after a new medicine",
        "Hair loss",
    ),
    "General practice": (
        "Sore throat and fever",
        "Repeat prescription",
        "Flu vaccination",
        "Blood test results",
        "Back pain since last week",
        "Tired all the time",
        "Travel vaccinations",
    ),
    "Neurology": (
        "Migraine, twice a week",
        "Numbness in the left hand",
        "Dizzy spells",
        "Follow-up on epilepsy medicine",
        "Trouble sleeping",
    ),
    "Orthopedics": (
        "Knee pain when running",
        "Sprained ankle",
        "Shoulder, third visit",
        "Follow-up on a broken wrist",
        "Hip replacement, questions",
    ),
    "Pediatrics": (
        "Two-year check-up",
        "Measles vaccination",
        "Ear ache since the weekend",
        "Cough that does not go away",
        "Hay fever",
    ),
    "Psychiatry": (
        "First conversation",
        "Follow-up",
        "Review of medication",
        "Panic attacks",
        "Sleep and low mood",
    ),
}

# Given names and family names that go together.
_NAMES = (
    ("Adaeze Chidi Ngozi Emeka Zainab Tunde", "Okafor Adeyemi Balogun Eze Bello Nwosu"),
    ("Anna Lukas Greta Jonas Marlene Felix", "Hoffmann Schäfer Krüger Vogel Lindner Brandt"),
    ("Carmen Mateo Inés Álvaro Rocío Hugo", "Herrera Navarro Ibáñez Serrano Cortés Molina"),
    ("Priya Rohan Ananya Vikram Meera Kabir", "Sharma Iyer Banerjee Reddy Kulkarni Nair"),
    ("Grace Oliver Hannah Callum Imogen Toby", "Whitfield Ashworth Barlow Prescott Thornton Hale"),
    ("Mei Jun Xiu Wei Lan Hao", "Chen Zhang Liu Huang Zhao Lin"),
    ("Yuki Haruto Sakura Kenta Aiko Ren", "Tanaka Mori Fujita Ishikawa Nakamura Ono"),
    ("Leila Omar Yasmin Karim Samira Tariq", "Haddad Mansour Rahimi Nasser Farouk Aziz"),
    ("Sofia Marek Zuzana Pavel Irena Tomas", "Novak Kowalski Horvath Petrov Kovac Dvorak"),
    ("Maya Marcus Naomi Isaiah Simone Jerome", "Washington Coleman Brooks Sinclair Rivers Hayes"),
)


async def fill(sessions: Sessions, settings: Settings, now: datetime) -> None:
    """Makes what is missing of the clinic, and prints log-ins to try; the same ``now`` makes the same clinic.

    Doctors are open from two weeks before ``now`` to four weeks after. A doctor comes with her whole calendar in one
    transaction, after all patients: a run that was interrupted is finished by the next, and a finished clinic is
    left as it is. Refused in production (``invalid_request``), because everybody knows the password.
    """
    if settings.environment == "production":
        raise invalid_field("ENVIRONMENT", "must not be production: everybody knows the password of the demo")
    if missing := [doctor for doctor in _DOCTORS if await _find(sessions, doctor.name) is None]:
        passwords = Passwords(settings)
        try:
            patients = await _register_patients(sessions, passwords, settings, now)
            booked = [await _open_practice(sessions, passwords, doctor, patients, now) for doctor in missing]
        finally:
            passwords.close()
        print(f"{len(missing)} doctors, {len(patients)} patients and {sum(booked)} appointments: the clinic is open.")
    else:
        print("The clinic is here already; nothing was added.")
    await _print_log_ins(sessions, now)


def _address(name: str) -> str:
    return f"{search_key(name.removeprefix('Dr ')).replace(' ', '.')}@example.com"


async def _find(sessions: Sessions, name: str) -> Actor | None:
    async with sessions.read() as session:
        credentials = await users.find_credentials(session, _address(name))
        return await users.find_actor(session, credentials.claims) if credentials else None


async def _register_patients(
    sessions: Sessions, passwords: Passwords, settings: Settings, now: datetime
) -> Sequence[Actor]:
    rng = Random(_SEED)
    names = [f"{one} {other}" for given, family in _NAMES for one in given.split() for other in family.split()]
    joined = {name: now - _OPENED - timedelta(days=rng.uniform(0, 90)) for name in rng.sample(names, PATIENTS)}
    patients: list[Actor] = []
    print(f"Registering {PATIENTS} patients; hashing their passwords takes a moment.")
    # As many at a time as the queue for the hashing has room for.
    for people in batched(joined.items(), settings.password_workers + settings.password_queue):
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_register_patient(sessions, passwords, *each)) for each in people]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        patients += [task.result() for task in tasks]
        print(f"  {len(patients)} patients")
    return patients


async def _register_patient(sessions: Sessions, passwords: Passwords, name: str, joined: datetime) -> Actor:
    if left_by_an_interrupted_run := await _find(sessions, name):
        return left_by_an_interrupted_run
    async with sessions.write() as session:
        return await _register(session, passwords, name, Role.PATIENT, joined)


async def _register(
    session: AsyncSession, passwords: Passwords, name: str, role: Role, joined: datetime, **practice: str
) -> Actor:
    user = await accounts.register(
        session,
        passwords,
        email=_address(name),
        password=PASSWORD,
        name=name,
        role=role,
        now=joined,
        refuse_weak=False,
        **practice,
    )
    return Actor(user.id, user.role, user.name)


async def _open_practice(
    sessions: Sessions, passwords: Passwords, doctor: _Doctor, patients: Sequence[Actor], now: datetime
) -> int:
    # Seeded by her name, a doctor's calendar is the same whichever doctors are missing.
    rng = Random(doctor.name)
    opened = now - _OPENED
    windows = _windows(doctor, now)
    # Patients see doctors of their own zone, in turn and in order of time: who comes twice comes some weeks later.
    neighbours = patients[_ZONES.index(doctor.time_zone) :: len(_ZONES)]
    visits = zip(_starts(doctor, windows, now, rng), cycle(rng.sample(neighbours, len(neighbours))), strict=False)
    async with sessions.write() as session:
        practice = {"specialty": doctor.specialty, "time_zone": doctor.time_zone}
        actor = await _register(session, passwords, doctor.name, Role.DOCTOR, opened, **practice)
        for start, end in windows:
            await availability.publish_availability(
                session, actor, start=from_instant(start), end=from_instant(end), now=opened
            )
        asked = [await _book(session, patient, actor, doctor, start, now, rng) for start, patient in visits]
    booked = [appointment.status for appointment in asked if appointment]
    print(
        f"  {doctor.name}, {doctor.specialty}, {doctor.time_zone}: {len(windows)} windows, "
        f"{len(booked)} appointments, {booked.count(AppointmentStatus.CANCELLED)} of them cancelled"
    )
    return len(booked)


def _windows(doctor: _Doctor, now: datetime) -> list[Interval]:
    zone = ZoneInfo(doctor.time_zone)
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=ahead) for ahead in range(-_DAYS_BEFORE, _DAYS_AFTER + 1))
    return [
        (resolve(datetime.combine(day, start), zone), resolve(datetime.combine(day, end), zone))
        for day in days
        if day.weekday() in doctor.weekdays
        for start, end in doctor.hours
    ]


def _starts(doctor: _Doctor, windows: Iterable[Interval], now: datetime, rng: Random) -> list[int]:
    length, today = doctor.minutes * MINUTE, to_instant(now)
    possible = (start for opens, closes in windows for start in range(opens, closes - length + 1, length))
    # A race of exponential clocks is a weighted choice without replacement: the days around now are the fullest.
    return sorted(nsmallest(_VISITS, possible, lambda start: rng.expovariate(1 / (7 * DAY + abs(start - today)))))


async def _book(
    session: AsyncSession, patient: Actor, doctor: Actor, practice: _Doctor, start: int, now: datetime, rng: Random
) -> AppointmentRecord | None:
    opened, latest = now - _OPENED, min(now, from_instant(start) - timedelta(hours=1))
    asked = opened + (latest - opened) * rng.random()
    try:
        appointment = await booking.book_appointment(
            session,
            patient,
            doctor_id=doctor.id,
            start=from_instant(start),
            end=from_instant(start + practice.minutes * MINUTE),
            reason=rng.choice(_REASONS[practice.specialty]),
            now=asked,
        )
    except DomainError as error:
        if error.code == Refusal.PATIENT_BUSY:  # with another doctor, as happens to people
            return None
        raise
    if rng.random() >= _CANCELLED:
        return appointment
    canceller = doctor if rng.random() < _CANCELLED_BY_DOCTOR else patient
    return await booking.cancel_appointment(session, canceller, appointment.id, asked + (latest - asked) * rng.random())


async def _print_log_ins(sessions: Sessions, now: datetime) -> None:
    print(f"\nLog in with the password {PASSWORD} as")
    for doctor in _DOCTORS[:_LOG_INS]:
        print(f"  {_address(doctor.name):<30} {doctor.name}, {doctor.specialty}, {doctor.time_zone}")
        for visit in await _next_visits(sessions, doctor, now):
            when = visit.start_time.astimezone(ZoneInfo(visit.time_zone))
            patient = visit.patient.name
            print(f"  {_address(patient):<30} {patient}, sees {doctor.name} on {when:%d %B at %H:%M}")


async def _next_visits(sessions: Sessions, doctor: _Doctor, now: datetime) -> Sequence[AppointmentRecord]:
    actor = await _find(sessions, doctor.name)
    if actor is None:  # she has been deactivated since
        return ()
    async with sessions.read() as session:
        return await appointments.page_appointments(
            session,
            actor,
            as_of=now + timedelta(days=1),  # leaves time to try and cancel it
            since=None,
            until=None,
            statuses=[AppointmentStatus.BOOKED],
            after=None,
            limit=1,
        )
