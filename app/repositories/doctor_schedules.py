"""Read doctor schedules: everything that decides about bookings in a span, with one statement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    DateTime,
    Subquery,
    Uuid,
    and_,
    bindparam,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute

from app.core.errors import DomainError
from app.core.time_zones import has_zone
from app.db.database import Transaction
from app.db.parameters import id_params, id_values
from app.db.prepared import Prepared
from app.db.records import prefixed, read_record
from app.models import Appointment, Availability, ClinicDoctor, Doctor, TimeOff, VisitType
from app.repositories.availabilities import RULE_COLUMNS, to_rule
from app.repositories.doctors import LISTED, NOT_IN_SUMMARY, SUMMARY, DoctorRecord
from app.repositories.visit_types import COLUMNS, VisitTypeRecord
from app.scheduling.availability import Rules
from app.scheduling.availability import TimeOff as TimeOffRule
from app.scheduling.intervals import MINUTE, Interval, from_instant
from app.scheduling.status import ACTIVE
from app.scheduling.visits import BookingLimits

# Wall times are never further from UTC than this.
_CLOCKS_APART = timedelta(days=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PatientVisits:
    """How many visits a patient has booked and cancelled."""

    with_doctor: int
    """Upcoming visits with the doctor of the schedule."""
    in_all: int
    """Upcoming visits with all doctors."""
    cancelled: int
    """Visits that the patient has cancelled in the last 24 hours, before they had started."""


@dataclass(frozen=True, slots=True)
class DoctorSchedule:
    """A doctor's rules around a span, and their version."""

    doctor: DoctorRecord
    rules: Rules
    version: int
    visit_type: VisitTypeRecord | None
    """The requested visit type."""
    has_visit_types: bool
    in_clinic: bool
    """Whether the doctor works for a clinic."""
    visits: PatientVisits | None = None
    """The visits of the requested patient; ``None`` if none was requested."""


async def get_doctor_schedule(
    transaction: Transaction,
    doctor_id: UUID,
    span: Interval,
    visit_type_id: UUID | None = None,
    *,
    withdrawn: bool = False,
    listed: bool = True,
    patient: tuple[UUID, datetime] | None = None,
) -> DoctorSchedule:
    """Return the doctor's rules for everything inside ``span``, with a visit type if ``visit_type_id`` is given.

    If ``patient``, a patient's id and the current time, is given, the statement also counts the patient's visits.

    Raises ``not_found`` for an unknown doctor; if ``listed``, for a doctor whom patients cannot book; and for a visit
    type that is not the doctor's or, unless ``withdrawn``, is no longer offered.
    """
    values: dict[str, Any] = _bounds(span) | {"doctor_id": doctor_id, "visit_type_id": visit_type_id}
    if patient:
        patient_id, now = patient
        values |= {"patient_id": patient_id, "now": now, "day_ago": now - _DAY, "day_ahead": now + _DAY}
    statement = _schedule_statement(withdrawn=withdrawn, listed=listed, counted=patient is not None)
    rows = await transaction.fetch(statement, values)
    if not rows:
        raise DomainError("not_found")
    # One row for each rule of the doctor; the other columns are the same in all of them.
    row = rows[0]
    doctor = read_record(DoctorRecord, row, without=NOT_IN_SUMMARY)
    visit_type = read_record(VisitTypeRecord, row, "visit_type_") if row.visit_type_id is not None else None
    if visit_type_id is not None and visit_type is None:
        raise DomainError("not_found")
    return DoctorSchedule(
        doctor,
        _rules(doctor, [each for each in rows if each.opens is not None]),
        row.schedule_version,
        visit_type,
        row.has_visit_types,
        row.in_clinic,
        read_record(PatientVisits, row) if patient else None,
    )


async def list_rules(transaction: Transaction, doctors: Sequence[DoctorRecord], span: Interval) -> Mapping[UUID, Rules]:
    """Return the rules of doctors for everything inside ``span``, by the doctor's id.

    Doctors whose time zone this process does not know are left out.
    """
    doctors = [doctor for doctor in doctors if has_zone(doctor.id, doctor.time_zone)]
    if not doctors:
        return {}
    rows: dict[UUID, list[Any]] = {doctor.id: [] for doctor in doctors}
    ids = id_values(rows)
    for row in await transaction.fetch(_rules_of(len(ids)), _bounds(span) | ids):
        rows[row.doctor_id].append(row)
    return {doctor.id: _rules(doctor, rows[doctor.id]) for doctor in doctors}


def _rules(doctor: DoctorRecord, rows: Sequence[Any]) -> Rules:
    return Rules(
        doctor.zone,
        tuple(to_rule(row) for row in rows if row.opens),
        tuple(
            TimeOffRule(row.starts.replace(fold=row.starts_fold), row.ends.replace(fold=row.ends_fold))
            for row in rows
            if not row.opens
        ),
        BookingLimits(doctor.min_notice_minutes * MINUTE, doctor.max_advance_days, doctor.daily_limit),
    )


def _bounds(span: Interval) -> dict[str, Any]:
    """Return bounds for the wall times of rules, a day wider than the span: offsets from UTC are ignored."""
    first, last = (from_instant(instant).replace(tzinfo=None) for instant in span)
    return {"after": first - _CLOCKS_APART, "before": last + _CLOCKS_APART}


def _rules_near(is_wanted: Callable[[InstrumentedAttribute[UUID]], ColumnElement[bool]]) -> Subquery:
    after, before = (bindparam(name, type_=DateTime()) for name in ("after", "before"))
    return union_all(
        # `last_ends` is stored, so an index leaves out rules that have ended, however old they are (ADR 0012).
        select(Availability.doctor_id.label("doctor_id"), literal(1).label("opens"), *RULE_COLUMNS).where(
            is_wanted(Availability.doctor_id), Availability.last_ends > after, Availability.starts < before
        ),
        select(
            TimeOff.doctor_id,
            literal(0),
            TimeOff.starts,
            TimeOff.starts_fold,
            TimeOff.ends,
            TimeOff.ends_fold,
            null(),
            TimeOff.ends,
        ).where(is_wanted(TimeOff.doctor_id), TimeOff.ends > after, TimeOff.starts < before),
    ).subquery("rules")


_RULES = _rules_near(lambda column: column == bindparam("doctor_id"))


@cache
def _rules_of(count: int) -> Prepared:
    return Prepared(select(_rules_near(lambda column: column.in_(id_params(count)))))


def _count_visits() -> Subquery:
    patient_id: BindParameter[Any] = bindparam("patient_id", type_=Uuid())
    now, day_ago, day_ahead = (
        bindparam(name, type_=Appointment.start_time.type) for name in ("now", "day_ago", "day_ahead")
    )
    is_active = or_(*(Appointment.status == status for status in sorted(ACTIVE)))
    upcoming = and_(is_active, Appointment.start_time > now)
    return (
        select(
            func.count().filter(upcoming, Appointment.doctor_id == bindparam("doctor_id")).label("with_doctor"),
            func.count().filter(upcoming).label("in_all"),
            func.count()
            .filter(
                Appointment.cancelled_by == patient_id,
                Appointment.cancelled_at > day_ago,
                # Later cancellations were written by a clock that was ahead.
                Appointment.cancelled_at <= day_ahead,
            )
            .label("cancelled"),
        )
        # Patients can only cancel before the start, so all visits that count start after this.
        .where(Appointment.patient_id == patient_id, Appointment.start_time > day_ago)
        .subquery("visits")
    )


@cache  # building the statement takes longer than running it
def _schedule_statement(*, withdrawn: bool, listed: bool, counted: bool) -> Prepared:
    doctor_id: BindParameter[Any] = bindparam("doctor_id")
    offered = true() if withdrawn else VisitType.withdrawn_at.is_(None)
    has_visit_types = exists().where(VisitType.doctor_id == doctor_id, VisitType.withdrawn_at.is_(None))
    # The version comes with the rules: under READ COMMITTED, a statement of its own could see a later one (ADR 0003).
    in_clinic = exists().where(ClinicDoctor.doctor_id == doctor_id)
    columns = [Doctor.schedule_version, has_visit_types.label("has_visit_types"), in_clinic.label("in_clinic")]
    columns += [*prefixed("visit_type_", COLUMNS), *_RULES.columns]
    statement = (
        SUMMARY.add_columns(*columns)
        .outerjoin(
            VisitType,
            and_(VisitType.id == bindparam("visit_type_id"), VisitType.doctor_id == Doctor.id, offered),
        )
        .outerjoin(_RULES, true())
        .where(Doctor.id == doctor_id, LISTED if listed else true())
    )
    if counted:
        visits = _count_visits()
        statement = statement.join(visits, true()).with_only_columns(*visits.columns, *statement.selected_columns)
    return Prepared(statement)
