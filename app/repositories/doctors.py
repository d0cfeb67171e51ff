"""Doctors: the public list, and what a doctor says of herself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    and_,
    exists,
    false,
    insert,
    literal_column,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute

from app.core.errors import DomainError
from app.core.text import search_key, search_words
from app.core.time_zones import get_zone
from app.db.database import Transaction
from app.db.prepared import Prepared
from app.models import Doctor, DoctorLanguage, Offer, User
from app.repositories.search_bounds import lower_bounds, rewrite_offers
from app.repositories.users import is_erased
from app.scheduling.visits import VisitMode


@dataclass(frozen=True, slots=True)
class DoctorRecord:
    """What everybody may know of a doctor."""

    id: UUID
    name: str
    specialty: str | None
    time_zone: str
    default_visit_minutes: int = 30
    min_notice_minutes: int = 0
    max_advance_days: int | None = None
    daily_limit: int | None = None
    cancel_cutoff_minutes: int = 0
    languages: Sequence[str] = ()
    bio: str | None = None

    @property
    def zone(self) -> ZoneInfo:
        """Whose clock the rules are on; ``unknown_time_zone`` if the time-zone data do not have it."""
        return get_zone(self.id, self.time_zone)


SUMMARY = select(
    Doctor.id,
    User.name,
    Doctor.specialty,
    Doctor.time_zone,
    Doctor.default_visit_minutes,
    Doctor.min_notice_minutes,
    Doctor.max_advance_days,
    Doctor.daily_limit,
    Doctor.cancel_cutoff_minutes,
).join(User, User.id == Doctor.id)
"""What a ``DoctorRecord`` begins with: all that decisions need."""


def is_listed(user: type[User]) -> ColumnElement[bool]:
    """Whether patients see a doctor, whose account is ``user``, and can book visits."""
    return and_(user.suspended_at.is_(None), user.erased_at.is_(None), Doctor.approved_at.is_not(None))


LISTED = is_listed(User)
"""Of those whom patients see and can book."""
_FOUND_BY = frozenset({"specialty", "languages", "default_visit_minutes"})
"""What her offers are made of."""
_RECORD = SUMMARY.add_columns(Doctor.languages, Doctor.bio)
_ONE = literal_column("1", Integer)
"""Known to the planner, which looks for the fastest way to the first row then, not to all of them."""


def _each(key: InstrumentedAttribute[Any], listed: Select[*tuple[Any, ...]]) -> CTE:
    """Every ``key`` of those ``listed``, and NULL: from each to the next along an index, however many share it."""

    def first(condition: ColumnElement[bool]) -> ScalarSelect[Any]:
        return listed.with_only_columns(key).where(condition).order_by(key).limit(_ONE).scalar_subquery()

    walk = select(first(key.is_not(None)).label("key")).cte("walk", recursive=True)
    return walk.union_all(select(first(key > walk.c.key)).where(walk.c.key.is_not(None)))


_LISTED_DOCTORS = select(Doctor).join(User, User.id == Doctor.id).where(LISTED)
_SPECIALTY_KEYS = _each(Doctor.specialty_key, _LISTED_DOCTORS)
_SPECIALTIES = Prepared(
    select(
        _LISTED_DOCTORS.with_only_columns(Doctor.specialty)
        .where(Doctor.specialty_key == _SPECIALTY_KEYS.c.key)
        .order_by(Doctor.name_key, Doctor.id)
        .limit(_ONE)
        .scalar_subquery()
        .label("specialty")
    )
    .where(_SPECIALTY_KEYS.c.key.is_not(None))
    .order_by(_SPECIALTY_KEYS.c.key)
)
_ZONES = _each(Doctor.time_zone, _LISTED_DOCTORS)
_TIME_ZONES = Prepared(select(_ZONES.c.key.label("time_zone")).where(_ZONES.c.key.is_not(None)))
# To be asked of one after another, not joined: PostgreSQL would prepare for all of them each time.
_OF_LISTED = _LISTED_DOCTORS.with_only_columns(true()).where(Doctor.id == DoctorLanguage.doctor_id).scalar_subquery()
_SPOKEN = _each(DoctorLanguage.language, select(DoctorLanguage).where(_OF_LISTED))
_LANGUAGES = Prepared(select(_SPOKEN.c.key.label("language")).where(_SPOKEN.c.key.is_not(None)).order_by(_SPOKEN.c.key))


async def insert_doctor(transaction: Transaction, doctor: DoctorRecord, *, approved_at: datetime | None) -> None:
    """Adds what makes an existing account a doctor's."""
    await transaction.execute(
        insert(Doctor).values(
            id=doctor.id,
            specialty=doctor.specialty,
            time_zone=doctor.time_zone,
            approved_at=approved_at,
            name_key=search_key(doctor.name),
            specialty_key=doctor.specialty and search_key(doctor.specialty),
        )
    )
    await rewrite_offers(transaction, doctor.id)


async def get_doctor(transaction: Transaction, doctor_id: UUID) -> DoctorRecord:
    """One doctor as patients see her, or ``not_found``."""
    return _there(await find_doctor(transaction, doctor_id))


async def find_doctor(transaction: Transaction, doctor_id: UUID) -> DoctorRecord | None:
    """One doctor as patients see them; ``None`` for one who is unknown or cannot be booked."""
    return await _find_doctor(transaction, _RECORD.where(Doctor.id == doctor_id, LISTED))


async def get_own_profile(transaction: Transaction, doctor_id: UUID) -> DoctorRecord:
    """A doctor as she sees herself, listed or not."""
    return _there(await _find_doctor(transaction, _RECORD.where(Doctor.id == doctor_id)))


async def _find_doctor(transaction: Transaction, found: Select[*tuple[Any, ...]]) -> DoctorRecord | None:
    row = (await transaction.execute(found)).one_or_none()
    return DoctorRecord(*row) if row else None


def _there(doctor: DoctorRecord | None) -> DoctorRecord:
    if doctor is None:
        raise DomainError("not_found")
    return doctor


type PageKey = tuple[str, UUID]


def page_key(doctor: DoctorRecord) -> PageKey:
    """Where a doctor stands in the list."""
    return search_key(doctor.name), doctor.id


async def page_doctors(
    transaction: Transaction,
    *,
    q: str | None,
    specialty: str | None,
    language: str | None,
    mode: VisitMode | None,
    after: PageKey | None,
    limit: int,
) -> Sequence[DoctorRecord]:
    """Doctors by name. Every word of ``q`` is part of the name, in any order; ``specialty`` is a whole one.

    Both are compared by their search keys (``core.text.search_key``).
    """
    found = _RECORD.where(LISTED)
    if q and not q.isspace():
        # Punctuation alone has no words, and matches nothing.
        words = [Doctor.name_key.contains(word, autoescape=True) for word in search_words(q)]
        found = found.where(*(words or [false()]))
    if specialty is not None:
        found = found.where(Doctor.specialty_key == search_key(specialty))
    if language is not None:
        found = found.where(
            exists().where(DoctorLanguage.doctor_id == Doctor.id, DoctorLanguage.language == language.casefold())
        )
    if mode is not None:
        found = found.where(exists().where(Offer.doctor_id == Doctor.id, Offer.mode == mode))
    if after is not None:
        found = found.where(tuple_(Doctor.name_key, Doctor.id) > after)
    rows = await transaction.execute(found.order_by(Doctor.name_key, Doctor.id).limit(limit))
    return [DoctorRecord(*row) for row in rows]


async def list_specialties(transaction: Transaction) -> Sequence[str]:
    """What there are doctors for; of several spellings that of the doctor who comes first by name."""
    return [row.specialty for row in await transaction.fetch(_SPECIALTIES, {})]


async def list_languages(transaction: Transaction) -> Sequence[str]:
    """What doctors speak: tags of BCP 47 in lower case."""
    return [row.language for row in await transaction.fetch(_LANGUAGES, {})]


async def list_time_zones(transaction: Transaction) -> Sequence[str]:
    """The time zones of all listed doctors; none if no doctor is listed."""
    return [row.time_zone for row in await transaction.fetch(_TIME_ZONES, {})]


async def begin_rule_change(transaction: Transaction, doctor_id: UUID) -> None:
    """Opens a change of a doctor's rules: her other changes wait, and bookings checked against the old rules fail.

    Searches know nothing of her any more, until somebody has looked. ``not_authenticated`` if her account was erased
    while this waited.
    """
    # Two statements: one that has waited for a row looks at the rows of other tables as they were before.
    opened = update(Doctor).where(Doctor.id == doctor_id).values(schedule_version=Doctor.schedule_version + 1)
    if await transaction.scalar(opened.returning(Doctor.id)) is None or await is_erased(transaction, doctor_id):
        raise DomainError("not_authenticated")
    await lower_bounds(transaction, [doctor_id])


async def lock_doctor(transaction: Transaction, doctor_id: UUID) -> bool:
    """Locks a doctor's row until the transaction ends; ``False`` if there is none, or the account was erased."""
    # Two statements, as in ``begin_rule_change``.
    locked = select(Doctor.id).where(Doctor.id == doctor_id).with_for_update(key_share=True)
    return await transaction.scalar(locked) is not None and not await is_erased(transaction, doctor_id)


async def update_name_key(transaction: Transaction, doctor_id: UUID, name: str) -> None:
    """Has a doctor found, and listed, by this name."""
    await transaction.execute(update(Doctor).where(Doctor.id == doctor_id).values(name_key=search_key(name)))


async def update_doctor(transaction: Transaction, doctor_id: UUID, changes: Mapping[str, Any]) -> None:
    """Changes fields of a ``DoctorRecord``, but for her name; to be called inside ``begin_rule_change``."""
    columns = dict(changes)
    if "specialty" in columns:
        columns["specialty_key"] = columns["specialty"] and search_key(columns["specialty"])
    if columns:
        await transaction.execute(update(Doctor).where(Doctor.id == doctor_id).values(columns))
    if columns.keys() & _FOUND_BY:
        await rewrite_offers(transaction, doctor_id)
