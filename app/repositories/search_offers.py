"""Read the search index: offers in the order of their lower bounds, or of their ring positions (docs/search.md)."""

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
from app.db.records import prefixed, read_record
from app.models import Doctor, Offer, VisitType
from app.models.search_offer import ANY_LANGUAGE
from app.repositories.doctors import LISTED, NOT_IN_SUMMARY, SUMMARY, DoctorRecord
from app.repositories.visit_types import COLUMNS, VisitTypeRecord
from app.scheduling.tie_break import RING_SIZE
from app.scheduling.visits import VisitMode


@dataclass(frozen=True, slots=True)
class OfferRecord:
    """One visit type of one doctor, with the lower bound of its next slot (see ``models.Offer``)."""

    doctor: DoctorRecord
    visit_type: VisitTypeRecord | None
    """``None`` for a doctor without visit types."""
    id: UUID
    ring_position: int
    not_before: datetime
    tie_break: int
    known_until: datetime
    revision: UUID


@dataclass(frozen=True, slots=True)
class Criteria:
    """The filters of a search. ``None`` matches everything."""

    specialty: str | None = None
    language: str | None = None
    mode: VisitMode | None = None
    visit: str | None = None
    """The name of the visit type."""
    minutes: int | None = None


_OFFER = (
    SUMMARY.add_columns(
        Offer.id.label("offer_id"),
        Offer.ring_position,
        Offer.not_before,
        Offer.tie_break,
        Offer.known_until,
        Offer.revision,
        *prefixed("visit_type_", COLUMNS),
    )
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
    "first": Offer.ring_position >= bindparam("first"),
    "last": Offer.ring_position < bindparam("last"),
}
_BY_BOUND = (Offer.not_before, Offer.tie_break, Offer.id)
_BY_RING_POSITION = (Offer.ring_position, Offer.id)
# An offer has further rows for the languages of its doctor (ADR 0022).
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
    """Return the next offers with bounds between ``above`` and ``below``, both excluded, by bound and tie-break."""
    values = _values(criteria) | {"below": below} | ({"above": above} if above else {})
    return await _page(transaction, _BY_BOUND, values, after, limit)


async def page_by_ring_position(
    transaction: Transaction,
    criteria: Criteria,
    *,
    after: OfferRecord | None,
    positions: tuple[int, int],
    until: datetime,
    limit: int,
) -> Sequence[OfferRecord]:
    """Return the next offers with ring positions in ``positions`` and lower bounds of at most ``until``, by position.

    ``positions`` is half-open: ``[first, last)``.
    """
    first, last = positions
    # Conditions that exclude nothing are omitted: with a generic plan they would still skew the row estimate.
    ring_range = ({"first": first} if first > 0 else {}) | ({"last": last} if last < RING_SIZE else {})
    values = _values(criteria) | ring_range | {"until": until}
    return await _page(transaction, _BY_RING_POSITION, values, after, limit)


async def list_offers(transaction: Transaction, doctor_ids: Collection[UUID]) -> Sequence[OfferRecord]:
    """Return all offers of doctors."""
    if not doctor_ids:
        return ()
    values = id_values(doctor_ids)
    return await _read(transaction, _offers_of(len(values)), values)


async def list_outdated(transaction: Transaction, now: datetime, *, limit: int) -> Sequence[OfferRecord]:
    """Return offers whose ``known_until`` has passed, so that their lower bounds can be raised; the oldest first."""
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
    values: dict[str, Any],
    after: OfferRecord | None,
    limit: int,
) -> Sequence[OfferRecord]:
    cursor = {f"after_{column.key}": getattr(after, column.key) for column in order} if after else {}
    # The limit is a literal, so that the planner knows it. It is rounded up to three binary digits, because every
    # limit is a prepared statement of its own.
    step = 1 << max(limit.bit_length() - 3, 0)
    statement = _page_statement(order, tuple(values), after is not None, -(-limit // step) * step)
    offers = await _read(transaction, statement, values | cursor)
    return offers[:limit]


@cache
def _page_statement(
    order: tuple[InstrumentedAttribute[Any], ...], conditions: tuple[str, ...], has_cursor: bool, limit: int
) -> Prepared:
    statement = _OFFER.where(*(_CONDITIONS[name] for name in conditions))
    if has_cursor:
        cursor = [bindparam(f"after_{column.key}", type_=column.type) for column in order]
        statement = statement.where(tuple_(*order) > tuple_(*cursor))
    return Prepared(statement.order_by(*order).limit(literal_column(str(limit))))


@cache
def _offers_of(count: int) -> Prepared:
    return Prepared(_OFFER.where(_EACH_ONCE, Offer.doctor_id.in_(id_params(count))))


async def _read(transaction: Transaction, prepared: Prepared, values: Mapping[str, Any]) -> Sequence[OfferRecord]:
    return [
        OfferRecord(
            doctor=read_record(DoctorRecord, row, without=NOT_IN_SUMMARY),
            visit_type=read_record(VisitTypeRecord, row, "visit_type_") if row.visit_type_id is not None else None,
            id=row.offer_id,
            ring_position=row.ring_position,
            not_before=row.not_before,
            tie_break=row.tie_break,
            known_until=row.known_until,
            revision=row.revision,
        )
        for row in await transaction.fetch(prepared, values)
    ]
