"""What searches go by: offers in the order of their lower bounds, or of their turns (ADR 0022)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.text import search_key
from app.db.lists import padded
from app.models import Doctor, DoctorLanguage, Offer, VisitType
from app.repositories.doctors import BRIEFLY, LISTED, DoctorRecord
from app.repositories.visit_types import COLUMNS, VisitTypeRecord
from app.scheduling.visits import VisitMode


@dataclass(frozen=True, slots=True)
class OfferRecord:
    """One kind of visit of one doctor, and what is known of its earliest start."""

    doctor: DoctorRecord
    visit_type: VisitTypeRecord | None
    """None for the usual visit of a doctor who has no kinds."""
    id: UUID
    place: int
    not_before: datetime
    turn: int
    known_until: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Criteria:
    """What somebody looks for; what is not given does not matter."""

    specialty: str | None = None
    language: str | None = None
    mode: VisitMode | None = None
    visit: str | None = None
    """The name of the kind of visit."""
    minutes: int | None = None


_OWN = (Offer.id, Offer.place, Offer.not_before, Offer.turn, Offer.known_until, Offer.revision)
_OFFER = (
    BRIEFLY.add_columns(*_OWN, *COLUMNS)
    .join(Offer, Offer.doctor_id == Doctor.id)
    .outerjoin(VisitType, VisitType.id == Offer.visit_type_id)
    .where(LISTED)
)


async def page_by_bound(
    session: AsyncSession,
    criteria: Criteria,
    *,
    after: OfferRecord | None,
    above: datetime | None,
    below: datetime,
    limit: int,
) -> Sequence[OfferRecord]:
    """The next offers with bounds between ``above`` and ``below``, both excluded, by bound and turn."""
    found = _matching(criteria).where(Offer.not_before < below)
    if above is not None:
        found = found.where(Offer.not_before > above)
    if after is not None:
        found = found.where(tuple_(Offer.not_before, Offer.turn, Offer.id) > (after.not_before, after.turn, after.id))
    return await _offers(session, found.order_by(Offer.not_before, Offer.turn, Offer.id).limit(limit))


async def page_by_place(
    session: AsyncSession,
    criteria: Criteria,
    *,
    after: OfferRecord | None,
    places: tuple[int, int],
    until: datetime,
    limit: int,
) -> Sequence[OfferRecord]:
    """The next offers with bounds of ``until`` at the latest, along ``[first, last)`` of the ring of turns."""
    first, last = places
    found = _matching(criteria).where(Offer.not_before <= until, Offer.place >= first, Offer.place < last)
    if after is not None:
        found = found.where(tuple_(Offer.place, Offer.id) > (after.place, after.id))
    return await _offers(session, found.order_by(Offer.place, Offer.id).limit(limit))


async def list_offers(session: AsyncSession, doctor_ids: Collection[UUID]) -> Sequence[OfferRecord]:
    """All offers of some doctors."""
    return await _offers(session, _OFFER.where(Offer.doctor_id.in_(padded(doctor_ids))))


async def list_outdated(session: AsyncSession, now: datetime, *, limit: int) -> Sequence[OfferRecord]:
    """Offers of which it is not known any more where their next visits are."""
    return await _offers(session, _OFFER.where(Offer.known_until < now).order_by(Offer.known_until).limit(limit))


def _matching(criteria: Criteria) -> Select[*tuple[Any, ...]]:
    found = _OFFER
    if criteria.specialty is not None:
        found = found.where(Offer.specialty_key == search_key(criteria.specialty))
    if criteria.language is not None:
        speaks = exists().where(
            DoctorLanguage.doctor_id == Offer.doctor_id, DoctorLanguage.language == criteria.language.casefold()
        )
        found = found.where(speaks)
    if criteria.mode is not None:
        found = found.where(Offer.mode == criteria.mode)
    if criteria.visit is not None:
        found = found.where(Offer.visit_key == search_key(criteria.visit))
    if criteria.minutes is not None:
        found = found.where(Offer.minutes == criteria.minutes)
    return found


async def _offers(session: AsyncSession, found: Select[*tuple[Any, ...]]) -> Sequence[OfferRecord]:
    begin = len(BRIEFLY.selected_columns)
    end = begin + len(_OWN)
    rows: Iterable[Sequence[Any]] = await session.execute(found)
    return [
        OfferRecord(
            DoctorRecord(*row[:begin]), VisitTypeRecord(*row[end:]) if row[end] is not None else None, *row[begin:end]
        )
        for row in rows
    ]
