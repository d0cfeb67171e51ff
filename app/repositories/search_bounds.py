"""The lower bounds by which a search goes (ADR 0022): whoever frees time lowers them, whoever looks raises them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, bindparam, case, delete, insert, not_, select, update
from tzdata import IANA_VERSION
from uuid_utils.compat import uuid7

from app.core.text import search_key
from app.db.base import Base
from app.db.database import Transaction
from app.db.parameters import pad
from app.models import Doctor, DoctorLanguage, Offer, VisitType
from app.models.search_offer import ANY_LANGUAGE
from app.repositories.time_zones import has_newer_release
from app.scheduling.intervals import from_instant
from app.scheduling.tie_break import ring_position
from app.scheduling.visits import VisitMode

MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
"""What was found later from now than this is discarded.

Processes whose clocks differ by less keep each other's findings, which hide at most the visits of the next minutes.
"""
DISTANT_PAST = from_instant(0)
"""The bound of an offer of which nothing is known."""
_REACH = timedelta(days=2)
"""How long before time that is freed a visit may begin that could not be had before.

A longest visit and a buffer reach into it; and where a day was full, the whole day is free again.
"""


class _OfferedVisit(NamedTuple):
    visit_type_id: UUID | None
    name: str | None
    mode: VisitMode
    minutes: int


@dataclass(frozen=True, slots=True)
class BoundUpdate:
    """What was found out of an offer: that no visit of it can start before ``bound``, now or later."""

    offer_id: UUID
    revision: UUID
    """The one that was read before anything else that the finding was made from."""
    bound: datetime
    turn: int
    known_until: datetime
    found_at: datetime


async def rewrite_offers(transaction: Transaction, doctor_id: UUID) -> None:
    """Makes a doctor's offers and languages anew from what she says of herself and of her visit types.

    To be called in every change of these, inside ``begin_rule_change``.
    """
    await delete_offers(transaction, doctor_id)
    doctor = (
        await transaction.execute(
            select(Doctor.specialty_key, Doctor.languages, Doctor.default_visit_minutes).where(Doctor.id == doctor_id)
        )
    ).one()
    rows = await transaction.execute(
        select(VisitType.id, VisitType.name, VisitType.mode, VisitType.duration_minutes).where(
            VisitType.doctor_id == doctor_id, VisitType.withdrawn_at.is_(None)
        )
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
                "place": ring_position(visit.visit_type_id or doctor_id),
                **unknown,
            }
            for visit in [_OfferedVisit(*row) for row in rows] or [usual]
            for language in (ANY_LANGUAGE, *languages)
        ],
    )
    if languages:
        await transaction.execute(
            insert(DoctorLanguage), [{"language": each, "doctor_id": doctor_id} for each in languages]
        )


async def delete_offers(transaction: Transaction, doctor_id: UUID) -> None:
    """Lets nobody find a doctor any more."""
    await transaction.execute(delete(Offer).where(Offer.id.in_(_locked([doctor_id]))))
    await transaction.execute(delete(DoctorLanguage).where(DoctorLanguage.doctor_id == doctor_id))


def varieties(tags: Iterable[str]) -> list[str]:
    """What somebody who speaks these is found under: for ``pt-BR`` ``pt`` and ``pt-br`` (RFC 4647 section 3.3.1)."""
    spoken = [tag.casefold().split("-") for tag in tags]
    return sorted({"-".join(subtags[: length + 1]) for subtags in spoken for length in range(len(subtags))})


async def lower_bounds(transaction: Transaction, doctor_ids: Collection[UUID], freed: datetime | None = None) -> None:
    """To be called whenever time of these doctors becomes free at ``freed``, or (without it) their rules change.

    Inside the same transaction: what was found out before it cannot be written after it.
    """
    bound = freed - _REACH if freed else DISTANT_PAST
    lower = case((Offer.not_before < bound, Offer.not_before), else_=bound)
    lowered = update(Offer).where(Offer.id.in_(_locked(doctor_ids))).values(_unknown(bound) | {"not_before": lower})
    await transaction.execute(lowered)


def _locked(doctor_ids: Collection[UUID]) -> Select[UUID]:
    # In one order, whoever locks them: two who free time of the same doctors must not wait for each other. Of each
    # offer the one row that everybody locks before the others. As a WITH it is looked through once: looked at again,
    # for another language, what the statement has changed itself would be left out.
    mine = select(Offer.id).where(Offer.doctor_id.in_(doctor_ids), Offer.language == ANY_LANGUAGE)
    locked = mine.order_by(Offer.id).with_for_update().cte("locked")
    return select(locked.c.id)


def _unknown(bound: datetime) -> dict[str, datetime | int | UUID | None]:
    return {"not_before": bound, "turn": 0, "known_until": DISTANT_PAST, "found_at": None, "revision": uuid7()}


async def list_bounds_from_future(transaction: Transaction, now: datetime, *, limit: int) -> Sequence[UUID]:
    """Doctors with findings that were dated by a clock ahead by more than ``MAX_CLOCK_DIFFERENCE``.

    It mistook upcoming visits for past ones, and its bounds would hide them from searches.
    """
    found = select(Offer.doctor_id).where(Offer.language == ANY_LANGUAGE, Offer.found_at > now + MAX_CLOCK_DIFFERENCE)
    return (await transaction.scalars(found.order_by(Offer.found_at).limit(limit))).all()


_table = Base.metadata.tables[Offer.__tablename__]
_RAISE = (
    update(_table)
    .where(
        _table.c.id == bindparam("offer_id"),
        _table.c.revision == bindparam("seen"),
        _table.c.not_before <= bindparam("bound"),
    )
    .values(
        not_before=bindparam("bound"),
        turn=bindparam("then"),
        known_until=bindparam("until"),
        found_at=bindparam("found"),
    )
)


async def save_bounds(transaction: Transaction, findings: Collection[BoundUpdate]) -> bool:
    """Writes down what was found out, of those offers of which it still holds; says whether there was anything.

    Waits for nobody: an offer that somebody else is about to change is left out. Once another process has newer
    time-zone data, nothing is written.
    """
    by_id = {finding.offer_id: finding for finding in findings}
    known = select(Offer.id).where(
        Offer.id.in_(pad(by_id)), Offer.language == ANY_LANGUAGE, not_(has_newer_release(IANA_VERSION))
    )
    free = known.order_by(Offer.id).with_for_update(skip_locked=True)
    raised = [
        {"offer_id": each.offer_id, "seen": each.revision, "bound": each.bound, "then": each.turn}
        | {"until": each.known_until, "found": each.found_at}
        for each in (by_id[offer_id] for offer_id in await transaction.scalars(free))
    ]
    if raised:
        await transaction.execute(_RAISE, raised)
    return bool(raised)
