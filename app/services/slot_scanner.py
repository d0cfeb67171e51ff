"""Scan the calendars of many doctors for slots, in batches and with the rules that also decide bookings."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import batched, chain
from uuid import UUID

from app.core.computing import Computation, NoTurnError
from app.db.database import Transaction
from app.repositories import bookings
from app.repositories.doctor_schedules import list_rules
from app.repositories.search_bounds import BoundUpdate
from app.repositories.search_offers import OfferRecord, list_offers
from app.scheduling.availability import Rules
from app.scheduling.decisions import MAX_VISIT, find_horizon, notice, relevant_span, slots
from app.scheduling.intervals import DAY, Interval, clip, from_instant, to_instant
from app.scheduling.tie_break import tie_break_at
from app.scheduling.visits import BusyPeriod, VisitType
from app.services.slots import MAX_LISTING, ROWS_PER_STEP, visit_type_of

MAX_BATCH = 128
"""The maximum number of calendars that one statement reads."""
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The lower bound of an offer that cannot be scanned."""

type OwnWindows = Mapping[str, Sequence[Interval]]
"""When visits may start, by the doctor's time zone. Doctors in other zones have no slots."""


@dataclass(slots=True)
class Candidate:
    """An offer whose calendar is being scanned, from its lower bound on."""

    offer: OfferRecord
    rules: Rules
    visit_type: VisitType
    windows: Sequence[Interval]
    """When its visits may start."""
    scanned_until: int
    """All visits that start earlier have been found."""
    updates_bound: bool
    """Whether the next scan continues where the bound is known to end, so that it can raise the bound."""
    bound: int | None = None
    """The new lower bound: no visit that can be booked, now or later, starts earlier. ``None`` before a scan."""
    is_start: bool = False
    """Whether a visit starts exactly at ``bound``."""
    scan_length: int = DAY
    """How much of the calendar the next scan covers."""
    slots: list[Interval] = field(default_factory=list)
    """The visits that have been found, sorted."""

    def bound_update(self, now: datetime) -> BoundUpdate | None:
        """Return what the scan has learned about the lower bound, or ``None`` if that is known already."""
        if self.bound is None:
            return None
        offer, bound = self.offer, from_instant(self.bound)
        # A visit can be booked until its notice period begins; from then on, the next visit may be later.
        known_until = self.bound - notice(self.rules, self.visit_type) if self.is_start else self.bound
        tie_break = tie_break_at(offer.ring_position, self.bound)
        update = BoundUpdate(offer.id, offer.revision, bound, tie_break, from_instant(known_until), now)
        known = offer.not_before, offer.tie_break, offer.known_until
        return update if known != (bound, tie_break, update.known_until) else None


class SlotScanner:
    """Scans calendars for visits that start inside ``windows``, as ``viewer`` could book them at ``now``.

    ``windows`` must be sorted and disjoint. If ``own_windows`` are given, ``windows`` must be their union. The
    transaction holds no connection while the ``computation`` runs.
    """

    def __init__(
        self,
        transaction: Transaction,
        computation: Computation,
        windows: Sequence[Interval],
        viewer: UUID | None,
        now: datetime,
        own_windows: OwnWindows | None = None,
    ) -> None:
        self._transaction, self._computation, self._viewer, self._now = transaction, computation, viewer, now
        self.windows, self._own_windows = windows, own_windows
        self.first, self.last = windows[0][0], windows[-1][1]
        # Offers of one doctor come in different batches and share the rules.
        self._rules: dict[UUID, Rules] = {}

    async def start(self, offers: Sequence[OfferRecord]) -> list[Candidate]:
        """Return the offers as candidates that have not been scanned.

        Offers of doctors whose time zone this process does not know are left out.
        """
        doctors = {offer.doctor.id: offer.doctor for offer in offers if offer.doctor.id not in self._rules}
        if doctors:
            span = self.first, self.last + MAX_VISIT
            self._rules |= await list_rules(self._transaction, list(doctors.values()), span)
        candidates = []
        for offer in offers:
            if offer.doctor.id not in self._rules:
                continue
            bound = to_instant(offer.not_before)
            windows = self._windows_of(offer)
            candidates.append(
                Candidate(
                    offer,
                    self._rules[offer.doctor.id],
                    visit_type_of(offer.doctor, offer.visit_type),
                    windows,
                    scanned_until=self._scanned_until(windows, max(bound, windows[0][0] if windows else self.last)),
                    # Only if the scan covers everything from the bound on, except for time that has passed: there must
                    # be one window, and it must start at or before the bound or now.
                    updates_bound=len(windows) == 1 and max(bound, to_instant(self._now)) >= windows[0][0],
                )
            )
        return candidates

    def _windows_of(self, offer: OfferRecord) -> Sequence[Interval]:
        return self.windows if self._own_windows is None else self._own_windows.get(offer.doctor.time_zone, ())

    def _scanned_until(self, windows: Sequence[Interval], instant: int) -> int:
        """Return ``instant``, or the end of the last window of the scanner if no own window follows."""
        return instant if windows and instant < windows[-1][1] else self.last

    async def advance(self, candidates: Collection[Candidate]) -> None:
        """Scan the next segment of each candidate's calendar. The length of the segments doubles with each scan.

        Candidates for which the computation has no time left are not changed.
        """
        # All calendars are read before the first is scanned: no connection is held while computing (ADR 0029).
        batches = [await self._read(batch) for batch in batched(candidates, MAX_BATCH)]
        await self._transaction.release()
        await self._computation.run(chain.from_iterable(batches))

    async def _read(self, candidates: Sequence[Candidate]) -> Iterator[None]:
        """Fetch the calendars of the candidates, and return the steps that scan them."""
        segments = [
            (each, (each.scanned_until, min(each.scanned_until + each.scan_length, each.windows[-1][1])))
            for each in candidates
        ]
        relevant = [
            relevant_span(each.rules, each.visit_type, (start, end + each.visit_type.duration))
            for each, (start, end) in segments
        ]
        # One span for all of them, so that one statement reads the batch.
        rows = await bookings.fetch_busy_of(
            self._transaction,
            {each.offer.doctor.id for each in candidates},
            (min(start for start, _ in relevant), max(end for _, end in relevant)),
            self._now,
        )
        return self._scan_all(segments, rows)

    def _scan_all(
        self, segments: Sequence[tuple[Candidate, Interval]], rows: Iterable[tuple[UUID, BusyPeriod, UUID | None]]
    ) -> Iterator[None]:
        calendars = defaultdict[UUID, list[tuple[BusyPeriod, UUID | None]]](list)
        for batch in batched(rows, ROWS_PER_STEP):
            for doctor_id, busy, holder in batch:
                calendars[doctor_id].append((busy, holder))
            yield
        for candidate, segment in segments:
            self._scan(candidate, segment, calendars[candidate.offer.doctor.id])
            yield

    def _scan(
        self, candidate: Candidate, segment: Interval, calendar: Sequence[tuple[BusyPeriod, UUID | None]]
    ) -> None:
        now = to_instant(self._now)
        busy = [each for each, holder in calendar if holder is None or holder != self._viewer]
        found: list[Interval] = []
        for window in clip(candidate.windows, segment):
            found += slots(candidate.rules, candidate.visit_type, busy, window, now)
        if candidate.updates_bound:
            # Holds count as free here: a hold may end at any time, and nothing lowers the bound then.
            booked = [each for each, holder in calendar if holder is None]
            # Without holds of others the result would be the same: a candidate that updates its bound has one window.
            free = found
            if len(booked) < len(busy):
                free = slots(candidate.rules, candidate.visit_type, booked, segment, now)
            # Days after the horizon become bookable as time passes, so the bound must not be raised beyond it.
            horizon = find_horizon(candidate.rules, candidate.visit_type, now)
            known = segment[1] if horizon is None else min(segment[1], horizon)
            candidate.bound = free[0][0] if free else max(known, candidate.bound or 0)
            candidate.is_start = bool(free)
            # After a slot or the horizon, later segments say nothing about the bound.
            candidate.updates_bound = not free and known == segment[1]
        candidate.slots += found
        candidate.scanned_until = self._scanned_until(candidate.windows, segment[1])
        candidate.scan_length *= 2


async def find_bounds(
    transaction: Transaction, computation: Computation, offers: Sequence[OfferRecord], now: datetime
) -> Sequence[BoundUpdate]:
    """Return the new lower bounds of offers: ``NEVER`` if this process does not know the doctor's time zone.

    Offers whose bound has not changed, and those for which the computation has no time left, are left out. Raises
    ``NoTurnError`` if the computation did not get a turn in time and there is nothing to return.
    """
    if not offers:
        return ()
    first = to_instant(now)
    # At least a day beyond each bound. Otherwise bounds further ahead than the listing could not be raised.
    last = max(first + MAX_LISTING, *(to_instant(offer.not_before) + DAY for offer in offers))
    scanner = SlotScanner(transaction, computation, [(first, last)], None, now)
    candidates = await scanner.start(offers)
    no_turn = None
    try:
        while not computation.is_over and (
            chosen := [each for each in candidates if each.updates_bound and each.scanned_until < last]
        ):
            await scanner.advance(chosen)
    except NoTurnError as error:
        # The updates so far are returned: without them the next run would start with the same offers.
        no_turn = error
    # Offers that cannot be scanned get a bound as well. Otherwise they would stay outdated, and come first in every
    # run.
    scanned = {each.offer.id for each in candidates}
    updates = [update for each in candidates if (update := each.bound_update(now))] + [
        BoundUpdate(offer.id, offer.revision, NEVER, 0, NEVER, now) for offer in offers if offer.id not in scanned
    ]
    if no_turn and not updates:
        raise no_turn
    return updates


async def find_next_starts(
    transaction: Transaction, computation: Computation, doctor_ids: Collection[UUID], now: datetime
) -> tuple[Mapping[UUID, datetime], Sequence[BoundUpdate]]:
    """Return the start of each doctor's earliest slot of any visit type within 62 days, and new lower bounds.

    Doctors without a slot, and those for whom the computation has no time left, are left out.
    """
    first = to_instant(now)
    scanner = SlotScanner(transaction, computation, [(first, first + MAX_LISTING)], None, now)
    candidates = await scanner.start(await list_offers(transaction, doctor_ids))
    starts: dict[UUID, int] = {}
    while not computation.is_over and (chosen := _most_promising(candidates, starts, scanner.last)):
        await scanner.advance(chosen)
        for each in chosen:
            if each.slots:
                doctor_id = each.offer.doctor.id
                starts[doctor_id] = min(each.slots[0][0], starts.get(doctor_id, scanner.last))
    return (
        {doctor_id: from_instant(start) for doctor_id, start in starts.items()},
        [update for each in candidates if (update := each.bound_update(now))],
    )


def _most_promising(candidates: Sequence[Candidate], starts: Mapping[UUID, int], last: int) -> Collection[Candidate]:
    """Return for each doctor the offer that may have the earliest slot, unless a slot before it has been found."""
    chosen: dict[UUID, Candidate] = {}
    for each in candidates:
        doctor_id = each.offer.doctor.id
        until = chosen[doctor_id].scanned_until if doctor_id in chosen else starts.get(doctor_id, last)
        if each.scanned_until < until:
            chosen[doctor_id] = each
    return chosen.values()
