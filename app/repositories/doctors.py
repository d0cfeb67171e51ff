"""Doctors: the public list, and the rules by which they may be booked."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DomainError
from app.core.text import search_key
from app.models import Availability, Doctor, User
from app.repositories.availabilities import RULE_COLUMNS, near, to_rule
from app.scheduling.availability import Rules
from app.scheduling.intervals import MINUTE, Interval


@dataclass(frozen=True, slots=True)
class DoctorRecord:
    """What everybody may know of a doctor."""

    id: UUID
    name: str
    specialty: str | None
    time_zone: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a booking is checked against: the doctor's rules around some span, and their version."""

    doctor: DoctorRecord
    rules: Rules
    default_visit: int
    """Microseconds."""
    version: int


_RECORD = select(Doctor.id, User.name, Doctor.specialty, Doctor.time_zone).join(User, User.id == Doctor.id)


async def insert_doctor(session: AsyncSession, doctor: DoctorRecord) -> None:
    """Adds what makes an existing account a doctor's."""
    await session.execute(
        insert(Doctor).values(
            id=doctor.id,
            specialty=doctor.specialty,
            time_zone=doctor.time_zone,
            name_key=search_key(doctor.name),
            specialty_key=doctor.specialty and search_key(doctor.specialty),
        )
    )


async def get_doctor(session: AsyncSession, doctor_id: UUID) -> DoctorRecord:
    """One doctor, or ``not_found``."""
    row = (await session.execute(_active(_RECORD).where(Doctor.id == doctor_id))).one_or_none()
    if row is None:
        raise DomainError("not_found")
    return DoctorRecord(*row)


type PageKey = tuple[str, UUID]


def page_key(doctor: DoctorRecord) -> PageKey:
    """Where a doctor stands in the list."""
    return search_key(doctor.name), doctor.id


async def page_doctors(
    session: AsyncSession, *, q: str | None, specialty: str | None, after: PageKey | None, limit: int
) -> Sequence[DoctorRecord]:
    """Doctors by name; ``q`` is part of a name, ``specialty`` a whole one, both without case and accents."""
    found = _active(_RECORD)
    if q is not None:
        found = found.where(Doctor.name_key.contains(search_key(q), autoescape=True))
    if specialty is not None:
        found = found.where(Doctor.specialty_key == search_key(specialty))
    if after is not None:
        found = found.where(tuple_(Doctor.name_key, Doctor.id) > after)
    rows = await session.execute(found.order_by(Doctor.name_key, Doctor.id).limit(limit))
    return [DoctorRecord(*row) for row in rows]


async def get_plan(session: AsyncSession, doctor_id: UUID, span: Interval) -> Plan:
    """The doctor's rules for all that may happen inside ``span``, or ``not_found``; one statement."""
    rows = (
        await session.execute(
            _active(_RECORD)
            .add_columns(Doctor.default_visit_minutes, Doctor.schedule_version, *RULE_COLUMNS)
            .outerjoin(Availability, and_(Availability.doctor_id == Doctor.id, near(span)))
            .where(Doctor.id == doctor_id)
        )
    ).all()
    if not rows:
        raise DomainError("not_found")
    *record, default_visit_minutes, version, _starts, _starts_fold, _ends, _ends_fold = rows[0]
    rules = tuple(to_rule(row[-4:]) for row in rows if row.starts is not None)
    return Plan(
        DoctorRecord(*record),
        Rules(ZoneInfo(rows[0].time_zone), rules),
        default_visit_minutes * MINUTE,
        version,
    )


async def begin_rule_change(session: AsyncSession, doctor_id: UUID) -> None:
    """Opens a change of a doctor's rules: her other changes wait, and bookings checked against the old rules fail."""
    await session.execute(
        update(Doctor).where(Doctor.id == doctor_id).values(schedule_version=Doctor.schedule_version + 1)
    )


def _active[*Columns](found: Select[*Columns]) -> Select[*Columns]:
    return found.where(User.is_active)
