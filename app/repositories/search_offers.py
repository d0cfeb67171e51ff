"""What searches go by: offers in the order of their lower bounds, or of their turns (ADR 0022)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, bindparam, literal_column, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app.core.text import search_key
from app.db.database import Transaction
from app.db.parameters import id_params, id_values
from app.db.prepared import Prepared
from app.models import Doctor, Offer, VisitType
from app.models.search_offer import ANY_LANGUAGE
from app.repositories.doctors import LISTED, SUMMARY, DoctorRecord
from app.repositories.visit_types import COLUMNS, VisitTypeRecord
from app.scheduling.tie_break import RING_SIZE
from app.scheduling.visits import VisitMode


@dataclass(frozen=True, slots=True)
class OfferRecord:
    """One visit type of one doctor, and what is known of its earliest start."""

    doctor: DoctorRecord
    visit_type: VisitTypeRecord | None
    """None for the usual visit of a doctor who has no kinds."""
    id: UUID
    place: int
    not_before: datetime
    turn: int
    known_until: datetime
    revision: UUID


@dataclass(frozen=True, slots=True)
class Criteria:
    """What somebody looks for; what is not given does not matter."""

    specialty: str | None = None
    language: str | None = None
    mode: VisitMode | None = None
    visit: str | None = None
    """The name of the visit type."""
    minutes: int | None = None


_OWN = (Offer.id, Offer.place, Offer.not_before, Offer.turn, Offer.known_until, Offer.revision)
_OFFER = (
    SUMMARY.add_columns(*_OWN, *COLUMNS)
    .join(Offer, Offer.doctor_id == Doctor.id)
    .outerjoin(VisitType, VisitType.id == Offer.visit_type_id)
    .where(LISTED)
)
_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "specialty": Offer.specialty_key == bindparam("specialty"),
    "language": Offer.language == bindparam("language"),
    "mode": Offer.mode == bindparam("mode", type_=Offer.mode.type),
    "visit": Offer.visit_key == bindparam("visit"),
    "minutes": Offer.minutes == bindparam("minutes"),
    "above": Offer.not_before > bindparam("above", type_=Offer.not_before.type),
    "until": Offer.not_before <= bindparam("until", type_=Offer.not_before.type),
    "below": Offer.not_before < bindparam("below", type_=Offer.not_before.type),
    "first": Offer.place >= bindparam("first"),
    "last": Offer.place < bindparam("last"),
}
_BY_BOUND = (Offer.not_before, Offer.turn, Offer.id)
_BY_RING_POSITION = (Offer.place, Offer.id)
_EACH_ONCE = Offer.language == ANY_LANGUAGE
_OUTDATED = Prepared(
    _OFFER.where(_EACH_ONCE, Offer.known_until < bindparam("now", type_=Offer.known_until.type))
    .order_by(Offer.known_until)
    .limit(bindparam("limit", type_=Integer))
)


async def page_by_bound(
    transaction: Transaction,
    criteria: Criteria,
    *,
    after: OfferRecord | None,
    above: datetime | None,
    below: datetime,
    limit: int,
) -> Sequence[OfferRecord]:
    """The next offers with bounds between ``above`` and ``below``, both excluded, by bound and turn."""
    asked = _values(criteria) | {"below": below} | ({"above": above} if above else {})
    return await _page(transaction, _BY_BOUND, asked, after, limit)


async def page_by_ring_position(
    transaction: Transaction,
    criteria: Criteria,
    *,
    after: OfferRecord | None,
    positions: tuple[int, int],
    until: datetime,
    limit: int,
) -> Sequence[OfferRecord]:
    """The next offers with bounds of ``until`` at the latest, along ``[first, last)`` of the ring of turns."""
    first, last = positions
    # Where its values are not known to the planner, a bound that leaves nothing out looks as if it did.
    arc = ({"first": first} if first > 0 else {}) | ({"last": last} if last < RING_SIZE else {})
    asked = _values(criteria) | arc | {"until": until}
    return await _page(transaction, _BY_RING_POSITION, asked, after, limit)


async def list_offers(transaction: Transaction, doctor_ids: Collection[UUID]) -> Sequence[OfferRecord]:
    """All offers of some doctors."""
    if not doctor_ids:
        return ()
    asked = id_values(doctor_ids)
    return await _read(transaction, _offers_of(len(asked)), asked)


async def list_outdated(transaction: Transaction, now: datetime, *, limit: int) -> Sequence[OfferRecord]:
    """Offers of which it is not known any more where their next visits are."""
    return await _read(transaction, _OUTDATED, {"now": now, "limit": limit})


def _values(criteria: Criteria) -> dict[str, Any]:
    values = {
        "specialty": criteria.specialty and search_key(criteria.specialty),
        "language": criteria.language.casefold() if criteria.language else ANY_LANGUAGE,
        "mode": criteria.mode,
        "visit": criteria.visit and search_key(criteria.visit),
        "minutes": criteria.minutes,
    }
    return {name: value for name, value in values.items() if value is not None}


async def _page(
    transaction: Transaction,
    order: tuple[InstrumentedAttribute[Any], ...],
    asked: dict[str, Any],
    after: OfferRecord | None,
    limit: int,
) -> Sequence[OfferRecord]:
    place = {f"after_{column.key}": getattr(after, column.key) for column in order} if after else {}
    # Known to the planner, so each one is a statement of its own: few of them, of three binary digits.
    step = 1 << max(limit.bit_length() - 3, 0)
    walk = _walk(order, tuple(asked), after is not None, -(-limit // step) * step)
    offers = await _read(transaction, walk, asked | place)
    return offers[:limit]


@cache
def _walk(
    order: tuple[InstrumentedAttribute[Any], ...], conditions: tuple[str, ...], goes_on: bool, limit: int
) -> Prepared:
    walk = _OFFER.where(*(_CONDITIONS[name] for name in conditions))
    if goes_on:
        place = [bindparam(f"after_{column.key}", type_=column.type) for column in order]
        walk = walk.where(tuple_(*order) > tuple_(*place))
    return Prepared(walk.order_by(*order).limit(literal_column(str(limit))))


@cache
def _offers_of(count: int) -> Prepared:
    return Prepared(_OFFER.where(_EACH_ONCE, Offer.doctor_id.in_(id_params(count))))


async def _read(transaction: Transaction, prepared: Prepared, asked: Mapping[str, Any]) -> Sequence[OfferRecord]:
    begin = len(SUMMARY.selected_columns)
    end = begin + len(_OWN)
    return [
        OfferRecord(
            DoctorRecord(*row[:begin]), VisitTypeRecord(*row[end:]) if row[end] is not None else None, *row[begin:end]
        )
        for row in await transaction.fetch(prepared, asked)
    ]
