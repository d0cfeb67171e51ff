"""Doctors: the public list, their profiles, and the start of every change of their rules."""

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
from app.db.records import read_record
from app.models import Doctor, DoctorLanguage, Offer, User
from app.repositories.search_bounds import lower_bounds, rewrite_offers
from app.repositories.users import is_erased
from app.scheduling.visits import VisitMode


@dataclass(frozen=True, slots=True)
class DoctorRecord:
    """The public data of a doctor."""

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
        """The time zone of the rules. Raises ``unknown_time_zone`` if the time-zone data do not contain it."""
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
"""The columns of a ``DoctorRecord`` that scheduling needs."""
NOT_IN_SUMMARY = ("languages", "bio")


def is_listed(user: type[User]) -> ColumnElement[bool]:
    """Match doctors whom patients can see and book; ``user`` is the account of the doctor."""
    return and_(user.suspended_at.is_(None), user.erased_at.is_(None), Doctor.approved_at.is_not(None))


LISTED = is_listed(User)
"""Matches doctors whom patients can see and book."""
_FOUND_BY = frozenset({"specialty", "languages", "default_visit_minutes"})
"""The fields that are copied into the search index."""
_RECORD = SUMMARY.add_columns(Doctor.languages, Doctor.bio)
_ONE = literal_column("1", Integer)
"""A literal, so that the planner knows the limit and optimises for the first row."""


def _each(key: InstrumentedAttribute[Any], listed: Select[*tuple[Any, ...]]) -> CTE:
    """Return a query for every distinct ``key`` of ``listed``, and NULL.

    It skips from each key to the next in the index ("loose index scan"), regardless of how many rows share the key.
    """

    def first(condition: ColumnElement[bool]) -> ScalarSelect[Any]:
        return listed.with_only_columns(key).where(condition).order_by(key).limit(_ONE).scalar_subquery()

    keys = select(first(key.is_not(None)).label("key")).cte("keys", recursive=True)
    return keys.union_all(select(first(key > keys.c.key)).where(keys.c.key.is_not(None)))


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
# A scalar subquery instead of a join: for a join, PostgreSQL would read all doctors at each step.
_OF_LISTED = _LISTED_DOCTORS.with_only_columns(true()).where(Doctor.id == DoctorLanguage.doctor_id).scalar_subquery()
_SPOKEN = _each(DoctorLanguage.language, select(DoctorLanguage).where(_OF_LISTED))
_LANGUAGES = Prepared(select(_SPOKEN.c.key.label("language")).where(_SPOKEN.c.key.is_not(None)).order_by(_SPOKEN.c.key))


async def insert_doctor(transaction: Transaction, doctor: DoctorRecord, *, approved_at: datetime | None) -> None:
    """Insert the doctor of an existing account, with the offers."""
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
    """Return a doctor whom patients can book. Raises ``not_found``."""
    return _require(await find_doctor(transaction, doctor_id))


async def find_doctor(transaction: Transaction, doctor_id: UUID) -> DoctorRecord | None:
    """Return a doctor whom patients can book; ``None`` if the doctor is unknown or not listed."""
    return await _find_doctor(transaction, _RECORD.where(Doctor.id == doctor_id, LISTED))


async def get_own_profile(transaction: Transaction, doctor_id: UUID) -> DoctorRecord:
    """Return a doctor, listed or not. Raises ``not_found``."""
    return _require(await _find_doctor(transaction, _RECORD.where(Doctor.id == doctor_id)))


async def _find_doctor(transaction: Transaction, found: Select[*tuple[Any, ...]]) -> DoctorRecord | None:
    row = (await transaction.execute(found)).one_or_none()
    return read_record(DoctorRecord, row) if row else None


def _require(doctor: DoctorRecord | None) -> DoctorRecord:
    if doctor is None:
        raise DomainError("not_found")
    return doctor


type PageKey = tuple[str, UUID]


def page_key(doctor: DoctorRecord) -> PageKey:
    """Return the cursor after a doctor in ``page_doctors``."""
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
    """Return a page of listed doctors by name.

    ``q`` matches if each of its words is part of the name, in any order; ``specialty`` must match as a whole. Both are
    compared by their search keys (``core.text.search_key``).
    """
    found = _RECORD.where(LISTED)
    if q and not q.isspace():
        # Without any words, such as with punctuation only, it matches nothing.
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
    return [read_record(DoctorRecord, row) for row in rows]


async def list_specialties(transaction: Transaction) -> Sequence[str]:
    """Return the specialties of listed doctors. Of several spellings, that of the first doctor by name is used."""
    return [row.specialty for row in await transaction.fetch(_SPECIALTIES, {})]


async def list_languages(transaction: Transaction) -> Sequence[str]:
    """Return the languages of listed doctors, as BCP 47 tags in lower case."""
    return [row.language for row in await transaction.fetch(_LANGUAGES, {})]


async def list_time_zones(transaction: Transaction) -> Sequence[str]:
    """Return the distinct time zones of all listed doctors."""
    return [row.time_zone for row in await transaction.fetch(_TIME_ZONES, {})]


async def begin_rule_change(transaction: Transaction, doctor_id: UUID) -> None:
    """Begin a change of a doctor's rules. Every such change must call this first, in the same transaction.

    It locks the doctor against other changes, makes bookings that were checked against the old rules fail (ADR 0003),
    and discards the lower bounds of the search index. Raises ``not_authenticated`` if the account was erased while this
    waited for the lock.
    """
    # Two statements, because a statement that has waited for a row lock still reads other tables as of its start.
    started = update(Doctor).where(Doctor.id == doctor_id).values(schedule_version=Doctor.schedule_version + 1)
    if await transaction.scalar(started.returning(Doctor.id)) is None or await is_erased(transaction, doctor_id):
        raise DomainError("not_authenticated")
    await lower_bounds(transaction, [doctor_id])


async def lock_doctor(transaction: Transaction, doctor_id: UUID) -> bool:
    """Lock a doctor until the transaction ends; return ``False`` if it does not exist or the account was erased."""
    # Two statements, as in ``begin_rule_change``.
    # With `key_share` (FOR NO KEY UPDATE), so that bookings, which refer to the doctor, do not wait.
    locked = select(Doctor.id).where(Doctor.id == doctor_id).with_for_update(key_share=True)
    return await transaction.scalar(locked) is not None and not await is_erased(transaction, doctor_id)


async def update_name_key(transaction: Transaction, doctor_id: UUID, name: str) -> None:
    """Change the name by which a doctor is found and sorted in lists."""
    await transaction.execute(update(Doctor).where(Doctor.id == doctor_id).values(name_key=search_key(name)))


async def update_doctor(transaction: Transaction, doctor_id: UUID, changes: Mapping[str, Any]) -> None:
    """Change fields of a ``DoctorRecord`` except the name. Must be called after ``begin_rule_change``."""
    columns = dict(changes)
    if "specialty" in columns:
        columns["specialty_key"] = columns["specialty"] and search_key(columns["specialty"])
    if columns:
        await transaction.execute(update(Doctor).where(Doctor.id == doctor_id).values(columns))
    if columns.keys() & _FOUND_BY:
        await rewrite_offers(transaction, doctor_id)
