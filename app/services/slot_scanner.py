"""Looking through the calendars of many doctors at once: the engine of a booking, asked in batches."""

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
"""Calendars that are read by one statement."""
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The bound of an offer that cannot be looked at."""

type OwnWindows = Mapping[str, Sequence[Interval]]
"""When visits may start, by the doctor's time zone; nothing is found in any other zone."""


@dataclass(slots=True)
class Candidate:
    """An offer whose calendar is looked through, from its bound on."""

    offer: OfferRecord
    rules: Rules
    visit_type: VisitType
    windows: Sequence[Interval]
    """When its visits may start."""
    seen: int
    """Everything that starts earlier has been looked at."""
    traced: bool
    """Whether everything from its bound on is looked at, up to the first visit, so that the bound can be raised."""
    bound: int | None = None
    """What was found out: no visit that can be booked, now or later, starts earlier."""
    is_start: bool = False
    """Whether one starts just then."""
    stride: int = DAY
    slots: list[Interval] = field(default_factory=list)
    """What was found, sorted."""

    def finding(self, now: datetime) -> BoundUpdate | None:
        """What was found out and is not known yet, if anything."""
        if self.bound is None:
            return None
        offer, bound = self.offer, from_instant(self.bound)
        known_until = self.bound - notice(self.rules, self.visit_type) if self.is_start else self.bound
        turn = tie_break_at(offer.place, self.bound)
        finding = BoundUpdate(offer.id, offer.revision, bound, turn, from_instant(known_until), now)
        is_news = (offer.not_before, offer.turn, offer.known_until) != (bound, finding.turn, finding.known_until)
        return finding if is_news else None


class SlotScanner:
    """Looks for visits that start inside ``windows``, which are sorted and apart, for a ``viewer`` at ``now``.

    Where ``own_windows`` are given, ``windows`` is their union. The session holds no connection while the
    ``computation`` runs.
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
        self._session, self._computation, self._viewer, self._now = transaction, computation, viewer, now
        self.windows, self._own_windows = windows, own_windows
        self.first, self.last = windows[0][0], windows[-1][1]
        self._rules: dict[UUID, Rules] = {}

    async def begin(self, offers: Sequence[OfferRecord]) -> list[Candidate]:
        """The offers as candidates of which nothing has been looked at.

        Those of doctors whose time zone is not known here are left out.
        """
        doctors = {offer.doctor.id: offer.doctor for offer in offers if offer.doctor.id not in self._rules}
        if doctors:
            span = self.first, self.last + MAX_VISIT
            self._rules |= await list_rules(self._session, list(doctors.values()), span)
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
                    seen=self._seen_until(windows, max(bound, windows[0][0] if windows else self.last)),
                    # What is over need not be looked at.
                    traced=len(windows) == 1 and max(bound, to_instant(self._now)) >= windows[0][0],
                )
            )
        return candidates

    def _windows_of(self, offer: OfferRecord) -> Sequence[Interval]:
        return self.windows if self._own_windows is None else self._own_windows.get(offer.doctor.time_zone, ())

    def _seen_until(self, windows: Sequence[Interval], instant: int) -> int:
        """``instant``, or the end of the search if no window is left after it."""
        return instant if windows and instant < windows[-1][1] else self.last

    async def go_on(self, candidates: Collection[Candidate]) -> None:
        """Looks at the next stretch of each candidate; the stretches become longer and longer.

        Candidates for which the computation has no time left stay as they are.
        """
        batches = [await self._read(some) for some in batched(candidates, MAX_BATCH)]
        await self._session.release()
        await self._computation.run(chain.from_iterable(batches))

    async def _read(self, candidates: Sequence[Candidate]) -> Iterator[None]:
        """Fetches the calendars of the candidates; returns the steps in which they are looked through."""
        stretches = [(each, (each.seen, min(each.seen + each.stride, each.windows[-1][1]))) for each in candidates]
        reached = [
            relevant_span(each.rules, each.visit_type, (start, end + each.visit_type.duration))
            for each, (start, end) in stretches
        ]
        rows = await bookings.fetch_busy_of(
            self._session,
            {each.offer.doctor.id for each in candidates},
            (min(start for start, _ in reached), max(end for _, end in reached)),
            self._now,
        )
        return self._look_through(stretches, rows)

    def _look_through(
        self, stretches: Sequence[tuple[Candidate, Interval]], rows: Iterable[tuple[UUID, BusyPeriod, UUID | None]]
    ) -> Iterator[None]:
        taken = defaultdict[UUID, list[tuple[BusyPeriod, UUID | None]]](list)
        for some in batched(rows, ROWS_PER_STEP):
            for doctor_id, each, holder in some:
                taken[doctor_id].append((each, holder))
            yield
        for candidate, stretch in stretches:
            self._look(candidate, stretch, taken[candidate.offer.doctor.id])
            yield

    def _look(
        self, candidate: Candidate, stretch: Interval, calendar_of_doctor: Sequence[tuple[BusyPeriod, UUID | None]]
    ) -> None:
        now = to_instant(self._now)
        taken = [each for each, holder in calendar_of_doctor if holder is None or holder != self._viewer]
        found: list[Interval] = []
        for window in clip(candidate.windows, stretch):
            found += slots(candidate.rules, candidate.visit_type, taken, window, now)
        if candidate.traced:
            # A hold may end at any time, and nobody lowers the bound then.
            booked = [each for each, holder in calendar_of_doctor if holder is None]
            free = found
            if len(booked) < len(taken):
                free = slots(candidate.rules, candidate.visit_type, booked, stretch, now)
            horizon = find_horizon(candidate.rules, candidate.visit_type, now)
            known = stretch[1] if horizon is None else min(stretch[1], horizon)
            candidate.bound = free[0][0] if free else max(known, candidate.bound or 0)
            candidate.is_start = bool(free)
            # Behind the first visit, and behind the horizon, nothing more can be said.
            candidate.traced = not free and known == stretch[1]
        candidate.slots += found
        candidate.seen = self._seen_until(candidate.windows, stretch[1])
        candidate.stride *= 2


async def find_bounds(
    transaction: Transaction, computation: Computation, offers: Sequence[OfferRecord], now: datetime
) -> Sequence[BoundUpdate]:
    """Where the next visits of some offers are: nowhere, if the doctor's time zone is not known here.

    Those that the computation has no time for are left out; ``NoTurnError`` if nothing was found out of any.
    """
    if not offers:
        return ()
    first = to_instant(now)
    last = max(first + MAX_LISTING, *(to_instant(offer.not_before) + DAY for offer in offers))
    look = SlotScanner(transaction, computation, [(first, last)], None, now)
    candidates = await look.begin(offers)
    no_turn = None
    try:
        while not computation.is_over and (chosen := [each for each in candidates if each.traced and each.seen < last]):
            await look.go_on(chosen)
    except NoTurnError as error:
        # Without what was found the next look would begin at the same offers.
        no_turn = error
    looked_at = {each.offer.id for each in candidates}
    findings = [finding for each in candidates if (finding := each.finding(now))] + [
        BoundUpdate(offer.id, offer.revision, NEVER, 0, NEVER, now) for offer in offers if offer.id not in looked_at
    ]
    if no_turn and not findings:
        raise no_turn
    return findings


async def find_next_starts(
    transaction: Transaction, computation: Computation, doctor_ids: Collection[UUID], now: datetime
) -> tuple[Mapping[UUID, datetime], Sequence[BoundUpdate]]:
    """When the earliest visits of any kind start that can be booked with some doctors within 62 days.

    Doctors who have none are left out, and those for whom the computation had no time left. Beside it: what was found
    out of bounds.
    """
    first = to_instant(now)
    look = SlotScanner(transaction, computation, [(first, first + MAX_LISTING)], None, now)
    candidates = await look.begin(await list_offers(transaction, doctor_ids))
    starts: dict[UUID, int] = {}
    while not computation.is_over and (chosen := _most_promising(candidates, starts, look.last)):
        await look.go_on(chosen)
        for each in chosen:
            if each.slots:
                doctor_id = each.offer.doctor.id
                starts[doctor_id] = min(each.slots[0][0], starts.get(doctor_id, look.last))
    return (
        {doctor_id: from_instant(start) for doctor_id, start in starts.items()},
        [finding for each in candidates if (finding := each.finding(now))],
    )


def _most_promising(candidates: Sequence[Candidate], starts: Mapping[UUID, int], last: int) -> Collection[Candidate]:
    """Of each doctor the offer that may start the earliest, if that is earlier than what was found."""
    chosen: dict[UUID, Candidate] = {}
    for each in candidates:
        doctor_id = each.offer.doctor.id
        until = chosen[doctor_id].seen if doctor_id in chosen else starts.get(doctor_id, last)
        if each.seen < until:
            chosen[doctor_id] = each
    return chosen.values()
