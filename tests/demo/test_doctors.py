"""The accounts, the hours and the visit types of the demo clinic."""

from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from app.core.permissions import Role
from app.demo.clinic import PASSWORD
from app.models import Appointment, Availability, Doctor, TimeOff, User, VisitType
from app.scheduling.availability import windows_between
from app.scheduling.intervals import DAY, MINUTE, Interval, from_instant, overlaps, to_instant
from app.scheduling.visits import VisitMode
from app.schemas.doctors import DoctorChanges
from app.schemas.fields import Email, Name, NewPassword, Note, Recurrence, TimeZone
from app.schemas.slots import NewVisitType
from app.services.schedule import get_weekly_hours
from tests.demo.clinic import NOT_BLOCKING, NOW, SPAN, WEEKS, DemoClinic


async def test_clinic_has_varied_doctors_and_patients(clinic: DemoClinic) -> None:
    people = await clinic.read_rows(User.email, User.name, User.role)
    assert Counter(person.role for person in people) == {Role.DOCTOR: 14, Role.PATIENT: 200}
    assert len({person.name for person in people}) == 214
    doctors = await clinic.read_rows(Doctor.specialty, Doctor.time_zone, Doctor.languages, Doctor.bio)
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


async def test_accounts_are_created_in_the_order_of_their_dates_before_the_first_booking(clinic: DemoClinic) -> None:
    people = await clinic.read_rows(User.id, User.created_at)
    dates = [person.created_at for person in sorted(people, key=lambda each: each.id)]
    assert dates == sorted(dates)
    joined = {person.id: person.created_at for person in people}
    for visit in await clinic.read_rows(Appointment.patient_id, Appointment.doctor_id, Appointment.created_at):
        assert max(joined[visit.patient_id], joined[visit.doctor_id]) <= visit.created_at


async def test_clinic_contains_only_values_that_the_api_accepts(clinic: DemoClinic) -> None:
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
        for (value,) in await clinic.read_rows(column):
            assert TypeAdapter[Any](field).validate_python(value) == value
    for schema, model in ((DoctorChanges, Doctor), (NewVisitType, VisitType)):
        columns = [column for column in model.__table__.columns if column.key in schema.model_fields]
        assert len(columns) >= 8
        for row in await clinic.read_rows(*columns):
            assert TypeAdapter(schema).validate_python(row._asdict()).model_dump(exclude_unset=True) == row._asdict()
    assert all(email.isascii() and email.endswith("@example.com") for (email,) in await clinic.read_rows(User.email))


async def test_weekly_hours_stay_the_same_when_clocks_change(clinic: DemoClinic) -> None:
    split = nights = 0
    for doctor in await clinic.list_doctors():
        async with clinic.database.read() as transaction:
            week = (await get_weekly_hours(transaction, doctor.id, first=None, now=NOW)).current.hours
        split += any(len(windows) > 1 for windows in week.values())
        nights += any(end > 24 * 60 for windows in week.values() for _, end in windows)
        rules = await clinic.get_rules(doctor.id)
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


async def test_most_doctors_are_booked_by_visit_type(clinic: DemoClinic) -> None:
    visit_types = {each.id: each for each in await clinic.read_rows(VisitType)}
    assert {visit_type.mode for visit_type in visit_types.values()} == set(VisitMode)
    assert {True, False} == {visit_type.buffer_before_minutes > 0 for visit_type in visit_types.values()}
    assert {True, False} == {visit_type.buffer_after_minutes > 0 for visit_type in visit_types.values()}
    offering = Counter(visit_type.doctor_id for visit_type in visit_types.values())
    assert len(offering) == 11
    assert min(offering.values()) >= 2
    used = set()
    for each in await clinic.list_appointments():
        assert (each.visit_type_id is not None) == (each.doctor_id in offering)
        if each.visit_type_id is None:
            continue
        visit_type = visit_types[each.visit_type_id]
        used.add(visit_type.id)
        assert each.end_time - each.start_time == timedelta(minutes=visit_type.duration_minutes)
        assert each.start_time - each.busy_start == timedelta(minutes=visit_type.buffer_before_minutes)
        assert each.busy_end - each.end_time == timedelta(minutes=visit_type.buffer_after_minutes)
    assert used == visit_types.keys()


async def test_doctors_have_free_slots_in_every_week_without_time_off(clinic: DemoClinic) -> None:
    visit_types = [
        (doctor.id, visit_type)
        for doctor in await clinic.read_rows(Doctor)
        for visit_type in [each for each in await clinic.read_rows(VisitType) if each.doctor_id == doctor.id] or [None]
    ]
    busy: dict[UUID, list[Interval]] = defaultdict(list)
    for each in await clinic.list_appointments():
        if each.status not in NOT_BLOCKING:
            busy[each.doctor_id].append((to_instant(each.busy_start), to_instant(each.busy_end)))
    weeks: dict[UUID, set[int]] = defaultdict(set)
    for doctor_id, visit_type in visit_types:
        before, after = (visit_type.buffer_before_minutes, visit_type.buffer_after_minutes) if visit_type else (0, 0)
        for start, end in await clinic.list_slots(doctor_id, visit_type and visit_type.id):
            assert start >= to_instant(NOW)
            assert not overlaps((start - before * MINUTE, end + after * MINUTE), busy[doctor_id])
            weeks[doctor_id].add((start - to_instant(NOW)) // (7 * DAY))
    assert len(weeks) == 14
    assert sum(map(len, weeks.values())) >= 14 * WEEKS - 3, "except for weeks of time off"
