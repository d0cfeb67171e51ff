"""Search for the earliest visits across all doctors (docs/search.md, ADR 0022)."""

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
"""The maximum number of calendar segments that one search scans."""
_OFFERS_PER_MATCH = 3
"""How many offers to read for each visit at first, if their bounds say nothing about the windows."""
_NO_OFFER = UUID(int=0)
"""Sorts before the id of every offer."""


@dataclass(frozen=True, slots=True)
class ClockFilter:
    """When visits should start by the clock of ``zone``, or of each doctor's own zone if ``zone`` is ``None``."""

    zone: ZoneInfo | None
    hours: WeeklyHours | None = None
    first_day: date | None = None
    doctor_zones: Collection[ZoneInfo] = ()
    """The zones of all listed doctors, needed if ``zone`` is ``None``. Doctors in other zones are not found."""

    @property
    def zones(self) -> Collection[ZoneInfo]:
        """Every zone whose clock counts."""
        return [self.zone] if self.zone else self.doctor_zones


type SearchCursor = tuple[int, int, UUID]
"""The position of a visit in the order of results: its start, its tie-break at that start, and the id of its offer."""


@dataclass(frozen=True, slots=True)
class Match:
    """A visit that can be booked."""

    offer: OfferRecord
    visit: Interval
    cursor: SearchCursor


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One page of the visits that a search has found."""

    matches: Sequence[Match]
    more: bool
    searched_until: int
    """The matches are complete up to this instant."""
    bound_updates: Sequence[BoundUpdate]
    """What the search has learned about lower bounds, for ``save_bound_updates``."""


async def search_slots(
    transaction: Transaction,
    computation: Computation,
    criteria: Criteria,
    *,
    clock_filter: ClockFilter | None,
    start: datetime | None,
    end: datetime | None,
    after: SearchCursor | None,
    limit: int,
    viewer: UUID | None,
    now: datetime,
) -> SearchResult:
    """Return the earliest visits that can be booked and start inside ``[start, end)``, in the order of their cursors.

    ``start`` defaults to now, or to the first day of the filter. ``end`` defaults to 62 days later, which is also the
    maximum. Holds of the ``viewer`` do not count as busy.

    Offers are read in the order of their lower bounds, and their calendars are scanned, until no other offer can have
    an earlier visit. A search that would need more than ``MAX_SCANS`` scans, or more time than the ``computation``
    has, returns what it has found so far; ``searched_until`` says up to when that is complete.
    """
    if clock_filter and clock_filter.first_day and clock_filter.zones:
        # The earliest of all zones, so that no doctor's first day is cut off.
        days = (day_span(clock_filter.first_day, zone) for zone in clock_filter.zones)
        start = max(start or now, min(from_instant(day[0]) for day in days))
    span = span_of(start, end, MAX_LISTING, now)
    first = max(span[0], to_instant(now), after[0] if after else span[0])
    if first >= span[1]:
        return SearchResult((), more=False, searched_until=span[1], bound_updates=())
    windows: Sequence[Interval] = [(first, span[1])]
    own_windows = None
    if clock_filter:
        # Computing the windows may wait for turns, and must hold no connection meanwhile (ADR 0029).
        await transaction.release()
        by_zone: dict[str, Sequence[Interval]] = {}
        if not await computation.run(_find_windows(clock_filter, (first, span[1]), by_zone)):
            # Without the windows of all zones, nothing is known to be complete.
            return SearchResult((), more=False, searched_until=first, bound_updates=())
        # As a set, because zones whose clocks show the same have the same windows.
        windows = merge({*chain.from_iterable(by_zone.values())})
        own_windows = None if clock_filter.zone else by_zone
    if not windows:
        return SearchResult((), more=False, searched_until=span[1], bound_updates=())
    scanner = SlotScanner(transaction, computation, windows, viewer, now, own_windows)
    reader = _OfferReader(transaction, criteria, scanner, after, now)
    candidates: dict[UUID, Candidate] = {}
    scans = 0
    while True:
        # Invariant: every visit whose cursor is at most complete_until has been found, so these visits are final.
        # Of the candidates, all visits before scanned_until are found; the offers that have not been read yet have
        # none up to reader.lower_bound.
        unfinished = [each for each in candidates.values() if each.scanned_until < scanner.last]
        scanned_until = min((each.scanned_until for each in unfinished), default=scanner.last)
        complete_until = min((scanned_until, 0, _NO_OFFER), reader.lower_bound)
        matches = _matches(candidates.values(), after, limit + 1)
        final = [each for each in matches if each.cursor <= complete_until]
        is_cut = scans >= MAX_SCANS or computation.is_over
        if len(final) > limit or complete_until[0] >= scanner.last or is_cut:
            break
        # In every round, because the connection is released while calendars are scanned.
        await use_generic_plans(transaction)
        if reader.lower_bound <= (scanned_until, 0, _NO_OFFER):
            batch = await reader.advance(
                batch_size(reader.expected, limit + 1, scanned=len(candidates), found=len(final))
            )
            # An offer whose bound has been raised meanwhile is read a second time.
            added = await scanner.start([offer for offer in batch if offer.id not in candidates])
            candidates |= {each.offer.id: each for each in added}
            chosen = [each for each in added if each.scanned_until < scanner.last]
        else:
            # Candidates that may have an earlier visit than the last match of the page, or than all unread offers.
            until = min(
                reader.lower_bound[0], matches[limit].cursor[0] if len(matches) > limit else reader.lower_bound[0]
            )
            chosen = [each for each in unfinished if each.scanned_until <= until]
        scans += len(chosen)
        await scanner.advance(chosen)
    # A search that was cut short lists the visits that it has found, even if earlier ones may be missing:
    # `Searched-Until` says so (ADR 0022).
    listed = matches if is_cut else final
    more = len(listed) > limit
    return SearchResult(
        listed[:limit],
        more,
        searched_until=min(complete_until[0], listed[limit - 1].cursor[0]) if more else min(complete_until[0], span[1]),
        bound_updates=[update for each in candidates.values() if (update := each.bound_update(now))],
    )


async def discard_bounds_from_future(database: Database, now: datetime, *, limit: int) -> bool:
    """Discard lower bounds that were found by a clock that was far ahead, for at most ``limit`` doctors.

    Returns whether there may be more.
    """
    # Read first: usually there are none, and on SQLite a writer would queue behind all others.
    async with database.read() as transaction:
        doctor_ids = await search_bounds.list_bounds_from_future(transaction, now, limit=limit)
    if doctor_ids:
        async with database.write() as transaction:
            await search_bounds.lower_bounds(transaction, doctor_ids)
    return len(doctor_ids) == limit


async def save_bound_updates(database: Database, updates: Sequence[BoundUpdate]) -> bool:
    """Save what a search has learned about lower bounds, in a transaction of its own.

    Returns whether anything was saved.
    """
    async with database.write() as transaction:
        return await search_bounds.save_bounds(transaction, updates)


def batch_size(expected: int, wanted: int, *, scanned: int, found: int) -> int:
    """Return how many offers to read next, if ``scanned`` offers have led to ``found`` of the ``wanted`` visits.

    The first batch has ``expected`` offers for each visit. Later ones have twice the number that should suffice, at
    least a third of those scanned, and at most as many as those scanned (or as the first batch, if that is larger).
    The batch grows when little is found, so that a sparse search does not need many small queries.
    """
    most = min(max(expected * wanted, scanned), MAX_BATCH)
    return min(most, max(2 * (wanted - found) * scanned // found, scanned // 3, 1)) if found else most


class _OfferReader:
    """Reads offers in an order in which a search can stop early.

    Invariant: no offer that has not been read yet has a visit that can be booked at or before ``lower_bound``. Each
    batch raises ``lower_bound``, so the search can stop as soon as it has enough visits before it.

    A search that starts in the future first reads the offers whose bound is at or before the start of the first
    window. Their bounds say nothing about their order: each of them may have a visit exactly then. They are read in
    the order of their tie-break at that start, so if many doctors have a visit then, a few batches suffice. The other
    offers, or all offers of a search that starts now, are read in the order of their bounds.
    """

    def __init__(
        self,
        transaction: Transaction,
        criteria: Criteria,
        scanner: SlotScanner,
        after: SearchCursor | None,
        now: datetime,
    ) -> None:
        self._transaction, self._criteria, self._scanner = transaction, criteria, scanner
        self._passed = after[1] if after and after[0] == scanner.first else 0
        """The tie-break at the first start up to which earlier pages have listed visits."""
        # If the search starts now, hardly any visit starts exactly then, and few bounds lie before it.
        by_ring = scanner.first > to_instant(now)
        ring_start = (ring_start_at(scanner.first) + self._passed) % RING_SIZE
        self._ring_ranges = [(ring_start, RING_SIZE), (0, ring_start)] if by_ring else []
        """The ranges of ring positions that have not been read completely."""
        self._above = from_instant(scanner.first) if by_ring else None
        self._after: OfferRecord | None = None
        self.expected = _OFFERS_PER_MATCH if by_ring else 1
        """About how many offers must be read for each visit that is found."""
        self.lower_bound: SearchCursor = (scanner.first, self._passed, _NO_OFFER)

    async def advance(self, limit: int) -> Sequence[OfferRecord]:
        """Return the next ``limit`` offers, or fewer if there are no more."""
        batch: list[OfferRecord] = []
        while len(batch) < limit and self.lower_bound[0] < self._scanner.last:
            missing = limit - len(batch)
            offers = await (
                self._page_by_ring(self._ring_ranges[0], missing) if self._ring_ranges else self._page_by_bound(missing)
            )
            batch += offers
            self._after = offers[-1] if len(offers) == missing else None
            if self._after:
                self.lower_bound = self._lower_bound_after(self._after)
            elif self._ring_ranges:
                self._ring_ranges.pop(0)
                self.lower_bound = (
                    self._lower_bound_on_ring(0, _NO_OFFER)
                    if self._ring_ranges
                    # The whole ring was read. The offers that are left have later bounds.
                    else (self._scanner.first + 1, 0, _NO_OFFER)
                )
            else:
                self.lower_bound = self._scanner.last, 0, _NO_OFFER
        return batch

    async def _page_by_ring(self, positions: tuple[int, int], limit: int) -> Sequence[OfferRecord]:
        until = from_instant(self._scanner.first)
        return await search_offers.page_by_ring_position(
            self._transaction, self._criteria, after=self._after, positions=positions, until=until, limit=limit
        )

    async def _page_by_bound(self, limit: int) -> Sequence[OfferRecord]:
        below = from_instant(self._scanner.last)
        return await search_offers.page_by_bound(
            self._transaction, self._criteria, after=self._after, above=self._above, below=below, limit=limit
        )

    def _lower_bound_after(self, offer: OfferRecord) -> SearchCursor:
        """Return the lower bound of the offers that follow ``offer``."""
        if self._ring_ranges:
            return self._lower_bound_on_ring(offer.ring_position, offer.id)
        bound = to_instant(offer.not_before)
        earliest = next((max(bound, start) for start, end in self._scanner.windows if bound < end), self._scanner.last)
        # The stored tie-break belongs to the bound. At any other start the order is different.
        return (earliest, offer.tie_break, offer.id) if earliest == bound else (earliest, 0, _NO_OFFER)

    def _lower_bound_on_ring(self, position: int, offer_id: UUID) -> SearchCursor:
        tie_break = tie_break_at(position, self._scanner.first)
        # Offers whose visit at the first start was on an earlier page wrap around to the end of the ring.
        return self._scanner.first, tie_break if tie_break >= self._passed else tie_break + RING_SIZE, offer_id


def _matches(candidates: Iterable[Candidate], after: SearchCursor | None, limit: int) -> list[Match]:
    """Return the first ``limit`` visits after a cursor that have been found so far, in order."""
    found = (
        ((visit[0], tie_break_at(each.offer.ring_position, visit[0]), each.offer.id), visit, each.offer)
        for each in candidates
        for visit in each.slots[: limit + 1]  # one of them may be before the cursor
    )
    # Cursors are unique, so comparing the tuples never reaches the offers, which have no order.
    first = nsmallest(limit, (each for each in found if after is None or each[0] > after))
    return [Match(offer, visit, cursor) for cursor, visit, offer in first]


def _find_windows(clock_filter: ClockFilter, span: Interval, by_zone: dict[str, Sequence[Interval]]) -> Iterator[None]:
    """Add to ``by_zone`` when a visit may start by the clock of each zone; one step for each zone."""
    for zone in clock_filter.zones:
        first = max(span[0], day_span(clock_filter.first_day, zone)[0]) if clock_filter.first_day else span[0]
        part = first, span[1]
        by_zone[zone.key] = [part] if clock_filter.hours is None else when_shown(clock_filter.hours, zone, part)
        yield
