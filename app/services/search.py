"""The earliest visits across all doctors (ADR 0022)."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from heapq import nsmallest
from itertools import chain
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.computing import Computation
from app.db.database import Database, Transaction
from app.db.query_plans import use_generic_plans
from app.repositories import search_bounds, search_offers
from app.repositories.search_bounds import BoundUpdate
from app.repositories.search_offers import Criteria, OfferRecord
from app.scheduling.hours import WeeklyHours, when_shown
from app.scheduling.intervals import Interval, from_instant, merge, to_instant
from app.scheduling.tie_break import RING_SIZE, ring_start_at, tie_break_at
from app.scheduling.zones import day_span
from app.services.slot_scanner import MAX_BATCH, Candidate, SlotScanner
from app.services.slots import MAX_LISTING, span_of

MAX_SCANS = 384
"""At so many stretches of calendars is looked for one answer, and at no more."""
_OF_ONE_WINDOW = 3
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class SlotSearch:
    """When a visit should start, by what a clock shows: the clock of ``zone``, or else each doctor's own."""

    zone: ZoneInfo | None
    hours: WeeklyHours | None = None
    first_day: date | None = None
    doctor_zones: Collection[ZoneInfo] = ()
    """Without ``zone``: the zones of all listed doctors. A doctor in another zone is not found."""

    @property
    def zones(self) -> Collection[ZoneInfo]:
        """Every zone whose clock is meant."""
        return [self.zone] if self.zone else self.doctor_zones


type Place = tuple[int, int, UUID]
"""Where a visit stands in an answer: its start, its turn among those that start with it, the id of its offer."""


@dataclass(frozen=True, slots=True)
class Match:
    """A visit that can be booked."""

    offer: OfferRecord
    visit: Interval
    place: Place


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a search."""

    matches: Sequence[Match]
    more: bool
    searched_until: int
    """No match that starts earlier is missing."""
    findings: Sequence[BoundUpdate]
    """For ``save_bound_updates``."""


async def search_slots(
    transaction: Transaction,
    computation: Computation,
    criteria: Criteria,
    *,
    wish: SlotSearch | None,
    start: datetime | None,
    end: datetime | None,
    after: Place | None,
    limit: int,
    viewer: UUID | None,
    now: datetime,
) -> Found:
    """The earliest visits that can be booked and start inside ``[start, end)``; those that start together take turns.

    From now unless ``start`` is given, or from the first day of the wish; for 62 days unless ``end`` is given, which
    is the most. Offers are walked in the order of their bounds and looked at until none can have an earlier visit.
    Where that would take more than ``MAX_LOOKS``, or more time than the ``computation`` has, the answer is what was
    found, and says until when nothing is missing.
    """
    if wish and wish.first_day and wish.zones:
        start = max(start or now, min(from_instant(day_span(wish.first_day, zone)[0]) for zone in wish.zones))
    span = span_of(start, end, MAX_LISTING, now)
    first = max(span[0], to_instant(now), after[0] if after else span[0])
    if first >= span[1]:
        return Found((), more=False, searched_until=span[1], findings=())
    windows: Sequence[Interval] = [(first, span[1])]
    own_windows = None
    if wish:
        await transaction.release()
        by_zone: dict[str, Sequence[Interval]] = {}
        if not await computation.run(_find_windows(wish, (first, span[1]), by_zone)):
            return Found((), more=False, searched_until=first, findings=())
        # Zones whose clocks show the same have the same windows.
        windows = merge({*chain.from_iterable(by_zone.values())})
        own_windows = None if wish.zone else by_zone
    if not windows:
        return Found((), more=False, searched_until=span[1], findings=())
    look = SlotScanner(transaction, computation, windows, viewer, now, own_windows)
    walk = _Walk(transaction, criteria, look, after, now)
    candidates: dict[UUID, Candidate] = {}
    looks = 0
    while True:
        unfinished = [each for each in candidates.values() if each.seen < look.last]
        seen = min((each.seen for each in unfinished), default=look.last)
        sure = min((seen, 0, _NOBODY), walk.edge)
        matches = _matches(candidates.values(), after, limit + 1)
        certain = [each for each in matches if each.place <= sure]
        is_cut = looks >= MAX_SCANS or computation.is_over
        if len(certain) > limit or sure[0] >= look.last or is_cut:
            break
        # Anew each time: the connection is given back while the calendars are looked through.
        await use_generic_plans(transaction)
        if walk.edge <= (seen, 0, _NOBODY):
            page = await walk.go_on(page_size(walk.expected, limit + 1, walked=len(candidates), found=len(certain)))
            # What was raised meanwhile comes a second time.
            begun = await look.begin([offer for offer in page if offer.id not in candidates])
            candidates |= {each.offer.id: each for each in begun}
            chosen = [each for each in begun if each.seen < look.last]
        else:
            # Whoever may have an earlier visit than the last one that is wanted, or than those not walked yet.
            until = min(walk.edge[0], matches[limit].place[0] if len(matches) > limit else walk.edge[0])
            chosen = [each for each in unfinished if each.seen <= until]
        looks += len(chosen)
        await look.go_on(chosen)
    listed = matches if is_cut else certain
    more = len(listed) > limit
    return Found(
        listed[:limit],
        more,
        searched_until=min(sure[0], listed[limit - 1].place[0]) if more else min(sure[0], span[1]),
        findings=[finding for each in candidates.values() if (finding := each.finding(now))],
    )


async def discard_bounds_from_future(database: Database, now: datetime, *, limit: int) -> bool:
    """Discards what a clock that was far ahead has found out of some doctors; returns whether there may be more."""
    async with database.read() as transaction:
        doctor_ids = await search_bounds.list_bounds_from_future(transaction, now, limit=limit)
    if doctor_ids:
        async with database.write() as transaction:
            await search_bounds.lower_bounds(transaction, doctor_ids)
    return len(doctor_ids) == limit


async def save_bound_updates(database: Database, findings: Sequence[BoundUpdate]) -> bool:
    """Writes down what a search has found out of bounds, in a transaction of its own; says whether anything was."""
    async with database.write() as transaction:
        return await search_bounds.save_bounds(transaction, findings)


def page_size(expected: int, wanted: int, *, walked: int, found: int) -> int:
    """At how many offers to look next for the rest of ``wanted`` visits, if ``walked`` have led to ``found``.

    Twice those that should do, but a third more in any case: where nothing is found any more, an answer must not take
    ever so many small steps. At most as many again, and at first ``expected`` for each visit.
    """
    most = min(max(expected * wanted, walked), MAX_BATCH)
    return min(most, max(2 * (wanted - found) * walked // found, walked // 3, 1)) if found else most


class _Walk:
    """Walks the offers so that those come first that may have the earliest visit.

    First those whose bound says nothing of the windows, for they may all start with the first window: by their turns
    then, so that it suffices to look at some of them where many do. Then the others, by their bounds.
    """

    def __init__(
        self, transaction: Transaction, criteria: Criteria, look: SlotScanner, after: Place | None, now: datetime
    ) -> None:
        self._session, self._criteria, self._look = transaction, criteria, look
        self._passed = after[1] if after and after[0] == look.first else 0
        # At this very moment nothing starts, and few bounds are past.
        in_turn = look.first > to_instant(now)
        begins = (ring_start_at(look.first) + self._passed) % RING_SIZE
        self._arcs = [(begins, RING_SIZE), (0, begins)] if in_turn else []
        """What is left of the ring of turns."""
        self._above = from_instant(look.first) if in_turn else None
        self._after: OfferRecord | None = None
        self.expected = _OF_ONE_WINDOW if in_turn else 1
        """About so many offers are walked for each visit that is found."""
        self.edge: Place = (look.first, self._passed, _NOBODY)
        """No offer that is still to come has a visit before it, or at it."""

    async def go_on(self, limit: int) -> Sequence[OfferRecord]:
        """The next offers; fewer than ``limit`` only at the end."""
        page: list[OfferRecord] = []
        while len(page) < limit and self.edge[0] < self._look.last:
            wanted = limit - len(page)
            found = await (self._go_along(self._arcs[0], wanted) if self._arcs else self._go_up(wanted))
            page += found
            self._after = found[-1] if len(found) == wanted else None
            if self._after:
                self.edge = self._edge_at(self._after)
            elif self._arcs:
                self._arcs.pop(0)
                self.edge = self._edge_on_ring(0, _NOBODY) if self._arcs else (self._look.first + 1, 0, _NOBODY)
            else:
                self.edge = self._look.last, 0, _NOBODY
        return page

    async def _go_along(self, arc: tuple[int, int], limit: int) -> Sequence[OfferRecord]:
        until = from_instant(self._look.first)
        return await search_offers.page_by_ring_position(
            self._session, self._criteria, after=self._after, positions=arc, until=until, limit=limit
        )

    async def _go_up(self, limit: int) -> Sequence[OfferRecord]:
        below = from_instant(self._look.last)
        return await search_offers.page_by_bound(
            self._session, self._criteria, after=self._after, above=self._above, below=below, limit=limit
        )

    def _edge_at(self, offer: OfferRecord) -> Place:
        if self._arcs:
            return self._edge_on_ring(offer.place, offer.id)
        bound = to_instant(offer.not_before)
        begins = next((max(bound, start) for start, end in self._look.windows if bound < end), self._look.last)
        return (begins, offer.turn, offer.id) if begins == bound else (begins, 0, _NOBODY)

    def _edge_on_ring(self, place: int, offer_id: UUID) -> Place:
        turn = tie_break_at(place, self._look.first)
        # Whose turn has passed comes again behind all others.
        return self._look.first, turn if turn >= self._passed else turn + RING_SIZE, offer_id


def _matches(candidates: Iterable[Candidate], after: Place | None, limit: int) -> list[Match]:
    """The first ``limit`` visits of those found so far, in order."""
    found = (
        ((visit[0], tie_break_at(each.offer.place, visit[0]), each.offer.id), visit, each.offer)
        for each in candidates
        for visit in each.slots[: limit + 1]  # one of them may be before the cursor
    )
    # No two are in one place, so no more of them is compared than that.
    first = nsmallest(limit, (each for each in found if after is None or each[0] > after))
    return [Match(offer, visit, place) for place, visit, offer in first]


def _find_windows(wish: SlotSearch, span: Interval, by_zone: dict[str, Sequence[Interval]]) -> Iterator[None]:
    """Fills in when a visit may start by the clock of each zone; one step for each of them."""
    for zone in wish.zones:
        first = max(span[0], day_span(wish.first_day, zone)[0]) if wish.first_day else span[0]
        part = first, span[1]
        by_zone[zone.key] = [part] if wish.hours is None else when_shown(wish.hours, zone, part)
        yield
