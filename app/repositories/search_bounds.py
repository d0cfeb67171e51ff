"""Write the search index: freeing time lowers the lower bounds, and scanning raises them (docs/search.md)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, bindparam, case, delete, insert, not_, select, update
from tzdata import IANA_VERSION
from uuid_utils.compat import uuid7

from app.core.text import search_key
from app.db.base import Base
from app.db.database import Transaction
from app.db.parameters import pad
from app.db.records import read_record
from app.models import Doctor, DoctorLanguage, Offer, VisitType
from app.models.search_offer import ANY_LANGUAGE
from app.repositories.time_zones import has_newer_release
from app.scheduling.intervals import from_instant
from app.scheduling.tie_break import ring_position
from app.scheduling.visits import VisitMode

MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
"""Bounds that were found further in the future than this are discarded.

Processes whose clocks differ by less keep each other's bounds, which hide at most the visits of the next minutes.
"""
DISTANT_PAST = from_instant(0)
"""The lower bound of an offer about which nothing is known."""
_REACH = timedelta(days=2)
"""How long before freed time a visit that it makes possible may start.

The longest visit and a buffer extend into the freed time, and if the day was full, the whole day becomes free.
"""


@dataclass(frozen=True, slots=True)
class _OfferedVisit:
    visit_type_id: UUID | None
    name: str | None
    mode: VisitMode
    minutes: int


@dataclass(frozen=True, slots=True)
class BoundUpdate:
    """What a scan has learned: no visit of the offer that can be booked, now or later, starts before ``bound``."""

    offer_id: UUID
    revision: UUID
    """The revision of the offer, read before everything else that the scan has read."""
    bound: datetime
    tie_break: int
    known_until: datetime
    found_at: datetime


async def rewrite_offers(transaction: Transaction, doctor_id: UUID) -> None:
    """Replace a doctor's offers and languages by those that follow from the profile and the visit types.

    Must be called with every change of these, after ``begin_rule_change`` in the same transaction.
    """
    await delete_offers(transaction, doctor_id)
    doctor = (
        await transaction.execute(
            select(Doctor.specialty_key, Doctor.languages, Doctor.default_visit_minutes).where(Doctor.id == doctor_id)
        )
    ).one()
    rows = await transaction.execute(
        select(
            VisitType.id.label("visit_type_id"),
            VisitType.name,
            VisitType.mode,
            VisitType.duration_minutes.label("minutes"),
        ).where(VisitType.doctor_id == doctor_id, VisitType.withdrawn_at.is_(None))
    )
    usual = _OfferedVisit(None, None, VisitMode.IN_PERSON, doctor.default_visit_minutes)
    languages = varieties(doctor.languages)
    unknown = _unknown(DISTANT_PAST)
    await transaction.execute(
        insert(Offer),
        [
            {
                "id": visit.visit_type_id or doctor_id,
                "language": language,
                "doctor_id": doctor_id,
                "visit_type_id": visit.visit_type_id,
                "specialty_key": doctor.specialty_key,
                "visit_key": visit.name and search_key(visit.name),
                "mode": visit.mode,
                "minutes": visit.minutes,
                "ring_position": ring_position(visit.visit_type_id or doctor_id),
                **unknown,
            }
            for visit in [read_record(_OfferedVisit, row) for row in rows] or [usual]
            for language in (ANY_LANGUAGE, *languages)
        ],
    )
    if languages:
        await transaction.execute(
            insert(DoctorLanguage), [{"language": each, "doctor_id": doctor_id} for each in languages]
        )


async def delete_offers(transaction: Transaction, doctor_id: UUID) -> None:
    """Delete a doctor's offers and languages, so that no search finds the doctor."""
    await transaction.execute(delete(Offer).where(Offer.id.in_(_locked([doctor_id]))))
    await transaction.execute(delete(DoctorLanguage).where(DoctorLanguage.doctor_id == doctor_id))


def varieties(tags: Iterable[str]) -> list[str]:
    """Return the language ranges that match these tags, in lower case: ``pt`` and ``pt-br`` for ``pt-BR``.

    See RFC 4647 section 3.3.1.
    """
    spoken = [tag.casefold().split("-") for tag in tags]
    return sorted({"-".join(subtags[: length + 1]) for subtags in spoken for length in range(len(subtags))})


async def lower_bounds(transaction: Transaction, doctor_ids: Collection[UUID], freed: datetime | None = None) -> None:
    """Lower the bounds of doctors because their time from ``freed`` on has become free or, without it, rules changed.

    Must be called in the transaction that frees the time. The bounds get a new revision, so that a scan that has read
    the calendar before cannot raise them afterwards.
    """
    bound = freed - _REACH if freed else DISTANT_PAST
    # As a CASE, because the function is called LEAST on PostgreSQL and MIN on SQLite.
    lower = case((Offer.not_before < bound, Offer.not_before), else_=bound)
    lowered = update(Offer).where(Offer.id.in_(_locked(doctor_ids))).values(_unknown(bound) | {"not_before": lower})
    await transaction.execute(lowered)


def _locked(doctor_ids: Collection[UUID]) -> Select[UUID]:
    # Locked in one order, so that two transactions that free time of the same doctors cannot deadlock. Only the row
    # for any language is locked, as every writer locks that one first. The lock is in a WITH query, which runs only
    # once. A subquery may run again for each row, and would then leave out rows that the statement itself has changed.
    offers = select(Offer.id).where(Offer.doctor_id.in_(doctor_ids), Offer.language == ANY_LANGUAGE)
    locked = offers.order_by(Offer.id).with_for_update().cte("locked")
    return select(locked.c.id)


def _unknown(bound: datetime) -> dict[str, datetime | int | UUID | None]:
    # One revision serves all rows of a statement: it only has to differ from the earlier ones.
    return {"not_before": bound, "tie_break": 0, "known_until": DISTANT_PAST, "found_at": None, "revision": uuid7()}


async def list_bounds_from_future(transaction: Transaction, now: datetime, *, limit: int) -> Sequence[UUID]:
    """Return doctors with bounds that were found by a clock ahead by more than ``MAX_CLOCK_DIFFERENCE``.

    Such a clock mistakes upcoming visits for past ones, so its bounds hide visits from searches.
    """
    found = select(Offer.doctor_id).where(Offer.language == ANY_LANGUAGE, Offer.found_at > now + MAX_CLOCK_DIFFERENCE)
    return (await transaction.scalars(found.order_by(Offer.found_at).limit(limit))).all()


_table = Base.metadata.tables[Offer.__tablename__]
_RAISE = (
    update(_table)
    .where(
        _table.c.id == bindparam("offer_id"),
        _table.c.revision == bindparam("seen"),
        # If two scans saw the same revision, keep the later bound.
        _table.c.not_before <= bindparam("bound"),
    )
    .values(
        not_before=bindparam("bound"),
        tie_break=bindparam("then"),
        known_until=bindparam("until"),
        found_at=bindparam("found"),
    )
)


async def save_bounds(transaction: Transaction, updates: Collection[BoundUpdate]) -> bool:
    """Raise the bounds of those offers whose revision has not changed; return whether there were any rows to update.

    Does not wait: offers that another transaction has locked are skipped. Saves nothing if another process already
    has newer time-zone data.
    """
    by_id = {update.offer_id: update for update in updates}
    # Only the row for any language is locked, as in `_locked`. The update then changes the rows of all languages.
    known = select(Offer.id).where(
        Offer.id.in_(pad(by_id)), Offer.language == ANY_LANGUAGE, not_(has_newer_release(IANA_VERSION))
    )
    free = known.order_by(Offer.id).with_for_update(skip_locked=True)
    raised = [
        {"offer_id": each.offer_id, "seen": each.revision, "bound": each.bound, "then": each.tie_break}
        | {"until": each.known_until, "found": each.found_at}
        for each in (by_id[offer_id] for offer_id in await transaction.scalars(free))
    ]
    if raised:
        await transaction.execute(_RAISE, raised)
    return bool(raised)
