"""What a doctor offers: free windows, slots, the next one, and why a time can or cannot be booked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import batched, chain
from uuid import UUID

from app.core.computing import Computation
from app.core.errors import DomainError, invalid_field
from app.db.database import Transaction
from app.repositories import bookings
from app.repositories.appointments import AppointmentRecord
from app.repositories.bookings import HoldRecord
from app.repositories.doctor_schedules import DoctorSchedule, get_doctor_schedule
from app.repositories.doctors import DoctorRecord
from app.repositories.visit_types import VisitTypeRecord
from app.scheduling.availability import Rules, openings_after
from app.scheduling.decisions import Refusal, check_booking, explain, find_horizon, free_windows, relevant_span, slots
from app.scheduling.intervals import DAY, MINUTE, Interval, merge, to_instant
from app.scheduling.visits import BookingLimits, BusyPeriod, VisitType

DEFAULT_LISTING = 14 * DAY
MAX_LISTING = 62 * DAY
MAX_SEARCH = 366 * DAY
MAX_SLOTS = 2000
"""Slots, or free windows, in one answer."""
ROWS_PER_STEP = 250
"""Rows of a calendar that are converted in one step of a computation."""
_END_OF_TIME = to_instant(datetime(2999, 12, 31, tzinfo=UTC))
"""No rule begins later."""
_WEEK = 7 * DAY


type Kept = AppointmentRecord | HoldRecord
"""Time that somebody has already."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a visit can be booked, and everything that speaks against it."""

    doctor: DoctorRecord
    visit: Interval
    reasons: list[Refusal]


@dataclass(frozen=True, slots=True)
class Listing:
    """Times in order: free windows, or slots."""

    times: Sequence[Interval]
    searched_until: int
    """No time that starts earlier is missing. The end of the span, unless the list is cut."""

    @classmethod
    def of(cls, times: Sequence[Interval], until: int) -> "Listing":
        """A list of ``MAX_SLOTS`` times at most; it ends before the first one that is left out."""
        return cls(times[:MAX_SLOTS], times[MAX_SLOTS][0] if len(times) > MAX_SLOTS else until)


@dataclass(frozen=True, slots=True)
class NextSlot:
    """The next slot; if there is none, how far was looked and what the matter is."""

    doctor: DoctorRecord
    slot: Interval | None
    searched_until: int
    reason: Refusal | None


def span_of(start: datetime | None, end: datetime | None, usual: int, now: datetime) -> Interval:
    """``[start, end)``: from now unless the start is given, so long as usual unless the end is; at most 62 days."""
    first = to_instant(start or now)
    last = to_instant(end) if end else first + usual
    if not first < last <= first + MAX_LISTING:
        raise invalid_field("to", "listing_too_long")
    return first, last


def choose_visit_type(plan: DoctorSchedule, kept: Kept | None = None) -> VisitType:
    """The visit type that was asked for; the doctor's usual visit if she has none; ``visit_type_required``."""
    if plan.visit_type is None and plan.has_visit_types:
        raise DomainError("visit_type_required")
    return visit_type_of(plan.doctor, plan.visit_type, kept)


def visit_type_of(doctor: DoctorRecord, chosen: VisitTypeRecord | None, kept: Kept | None = None) -> VisitType:
    """One of the doctor's visit types; without any, her usual visit: her usual length, at any time.

    Time that is held or booked already is ``kept`` as long as it is, with its buffers, whatever the type says by now.
    """
    if chosen is None:
        duration, before, after = doctor.default_visit_minutes * MINUTE, 0, 0
    else:
        duration = chosen.duration_minutes * MINUTE
        before, after = chosen.buffer_before_minutes * MINUTE, chosen.buffer_after_minutes * MINUTE
    if kept is not None:
        start, end = to_instant(kept.start_time), to_instant(kept.end_time)
        duration, before, after = end - start, start - to_instant(kept.busy_start), to_instant(kept.busy_end) - end
    if chosen is None:
        return VisitType(duration, buffer_before=before, buffer_after=after)
    return VisitType(
        duration=duration,
        id=chosen.id,
        buffer_before=before,
        buffer_after=after,
        # One visit after another, unless she says otherwise.
        step=chosen.slot_step_minutes * MINUTE if chosen.slot_step_minutes else before + duration + after,
        limits=BookingLimits(chosen.min_notice_minutes * MINUTE, chosen.max_advance_days, chosen.daily_limit),
    )


async def list_free_windows(
    transaction: Transaction,
    computation: Computation,
    doctor_id: UUID,
    *,
    start: datetime | None,
    end: datetime | None,
    viewer: UUID | None,
    now: datetime,
) -> Listing:
    """When a doctor can be booked inside ``[start, end)``.

    If she has no visit types, the booking accepts whatever lies within one of them. From now unless ``start`` is
    given, for 14 days unless ``end`` is; at most 62 days. The list is cut after ``MAX_SLOTS`` windows, and after the
    last week that the ``computation`` had time for, but never before the end of the first one. ``busy`` if not even
    the calendar can be converted in that time.
    """
    span = span_of(start, end, DEFAULT_LISTING, now)
    plan = await get_doctor_schedule(transaction, doctor_id, span)
    visit_type = visit_type_of(plan.doctor, None)
    taken = await _read_taken(transaction, computation, plan, visit_type, span, viewer, now)
    weeks = (
        free_windows(plan.rules, visit_type, _find_near(plan.rules, visit_type, taken, week), week, to_instant(now))
        for week in _split(span, _WEEK)
    )
    found, until = await _compute_weeks(computation, weeks, span)
    return Listing.of(merge(found), until)


async def list_slots(
    transaction: Transaction,
    doctor_id: UUID,
    *,
    computation: Computation | None,
    visit_type_id: UUID | None,
    start: datetime | None,
    end: datetime | None,
    viewer: UUID | None,
    now: datetime,
    moving: AppointmentRecord | None = None,
) -> tuple[DoctorRecord, list[Interval]]:
    """Every visit of a type that can be booked and starts inside ``[start, end)``: exactly what booking accepts.

    From now unless ``start`` is given, for 14 days unless ``end`` is; at most 62 days. At most one more than
    ``MAX_SLOTS``: where there are more, the list goes on from the start of the last one. For a visit that is
    ``moving``, what moving it accepts, but for where it is: it stays its kind, even if that is no longer offered.

    ``busy`` if that takes longer than the ``computation`` allows. A writer must not wait for its turn with its locks
    in hand: it passes none, asks for a week or two, and has them computed in one go.
    """
    span = span_of(start, end, DEFAULT_LISTING, now)
    doctor, weeks = await _start_slots(transaction, computation, doctor_id, visit_type_id, span, viewer, now, moving)
    return doctor, list(chain.from_iterable(await _finish(computation, weeks)))[: MAX_SLOTS + 1]


async def page_slots(
    transaction: Transaction,
    computation: Computation,
    doctor_id: UUID,
    *,
    visit_type_id: UUID | None,
    start: datetime | None,
    end: datetime | None,
    viewer: UUID | None,
    now: datetime,
) -> tuple[DoctorRecord, Listing]:
    """The slots of ``list_slots``, in a list that is cut as that of the free windows is."""
    span = span_of(start, end, DEFAULT_LISTING, now)
    doctor, weeks = await _start_slots(transaction, computation, doctor_id, visit_type_id, span, viewer, now)
    return doctor, Listing.of(*await _compute_weeks(computation, weeks, span))


async def next_listing_start(
    transaction: Transaction, computation: Computation, doctor_id: UUID, after: int, now: datetime
) -> bool:
    """Whether the doctor has open time after a listing that ended at ``after``, and before any horizon.

    Of hours that recur, those within a year from now count, so that whoever follows a listing comes to an end. Within
    that year, also true if the ``computation`` has no time to find out.
    """
    plan = await get_doctor_schedule(transaction, doctor_id, (after, _END_OF_TIME))
    await transaction.release()
    horizon = find_horizon(plan.rules, visit_type_of(plan.doctor, None), to_instant(now))
    if horizon is not None and horizon <= after:
        return False
    last = to_instant(now) + MAX_SEARCH
    found: list[bool] = []
    is_finished = await computation.run(map(found.append, _up_to_first(openings_after(plan.rules, after, last))))
    return any(found) or (not is_finished and after < last)


async def find_next_slot(
    transaction: Transaction,
    computation: Computation,
    doctor_id: UUID,
    *,
    visit_type_id: UUID | None,
    start: datetime | None,
    viewer: UUID | None,
    now: datetime,
    moving: AppointmentRecord | None = None,
) -> NextSlot:
    """The first of the slots that ``list_slots`` lists from ``start`` (now, unless given) on.

    Looks a year ahead, no further. The calendar is read in parts, since the slot is usually in the first one. ``busy``
    if all that takes longer than the ``computation`` allows.
    """
    first = max(to_instant(start or now), to_instant(now))
    until = first + MAX_SEARCH
    plan, visit_type = await _get_plan(transaction, doctor_id, (first, until), visit_type_id, moving)
    bare = replace(plan.rules, time_off=(), limits=BookingLimits(plan.rules.limits.min_notice))
    unlimited = replace(visit_type, limits=BookingLimits(visit_type.limits.min_notice))
    reason = None
    for part in _split((first, until), MAX_LISTING):
        sought = part[0], part[1] + visit_type.duration
        taken = await _read_taken(transaction, computation, plan, visit_type, sought, viewer, now, moving)
        weeks = _slots_by_week(plan.rules, visit_type, taken, part, now, moving)
        if slot := await _find_first(computation, weeks):
            return NextSlot(plan.doctor, slot, until, None)
        if reason is None:
            # The reason is that of the first time in the doctor's hours that is not too soon; the others are usually
            # alike.
            refused = await _find_first(computation, _slots_by_week(bare, unlimited, (), part, now))
            if refused:
                near = _find_near(plan.rules, visit_type, taken, refused)
                reason = check_booking(plan.rules, visit_type, refused, near, to_instant(now))
    return NextSlot(plan.doctor, None, until, reason or Refusal.OUTSIDE_AVAILABILITY)


async def explain_time(
    transaction: Transaction,
    doctor_id: UUID,
    *,
    visit_type_id: UUID | None,
    start: datetime,
    viewer: UUID | None,
    now: datetime,
) -> Explanation:
    """Why a visit that starts then can or cannot be booked: the decision of the booking, with all its reasons."""
    first = to_instant(start)
    plan = await get_doctor_schedule(transaction, doctor_id, (first, first + DAY), visit_type_id)
    visit_type = choose_visit_type(plan)
    visit = first, first + visit_type.duration
    reached = relevant_span(plan.rules, visit_type, visit)
    taken = await bookings.list_busy(transaction, plan.doctor.id, reached, now, viewer=viewer)
    return Explanation(plan.doctor, visit, explain(plan.rules, visit_type, visit, taken, to_instant(now)))


async def _get_plan(
    transaction: Transaction,
    doctor_id: UUID,
    span: Interval,
    visit_type_id: UUID | None,
    moving: AppointmentRecord | None,
) -> tuple[DoctorSchedule, VisitType]:
    wide = span[0], span[1] + DAY
    if moving is None:
        plan = await get_doctor_schedule(transaction, doctor_id, wide, visit_type_id)
        return plan, choose_visit_type(plan)
    plan = await get_doctor_schedule(transaction, doctor_id, wide, moving.visit_type_id, withdrawn=True, listed=False)
    visit_type = visit_type_of(plan.doctor, plan.visit_type, moving)
    if visit_type.id is None:
        # It begins when others of hers might.
        visit_type = replace(visit_type, step=plan.doctor.default_visit_minutes * MINUTE)
    return plan, visit_type


async def _start_slots(
    transaction: Transaction,
    computation: Computation | None,
    doctor_id: UUID,
    visit_type_id: UUID | None,
    span: Interval,
    viewer: UUID | None,
    now: datetime,
    moving: AppointmentRecord | None = None,
) -> tuple[DoctorRecord, Iterator[list[Interval]]]:
    """Reads what the slots inside ``span`` depend on; returns the steps that compute those of each week."""
    plan, visit_type = await _get_plan(transaction, doctor_id, span, visit_type_id, moving)
    sought = span[0], span[1] + visit_type.duration
    taken = await _read_taken(transaction, computation, plan, visit_type, sought, viewer, now, moving)
    return plan.doctor, _slots_by_week(plan.rules, visit_type, taken, span, now, moving)


async def _compute_weeks(
    computation: Computation, weeks: Iterable[Sequence[Interval]], span: Interval
) -> tuple[list[Interval], int]:
    """The times of those weeks of ``span`` that the computation has time for, at least one; and where they end."""
    found: list[Sequence[Interval]] = []
    await computation.run(map(found.append, weeks))
    return list(chain.from_iterable(found)), min(span[0] + len(found) * _WEEK, span[1])


async def _read_taken(
    transaction: Transaction,
    computation: Computation | None,
    plan: DoctorSchedule,
    visit_type: VisitType,
    span: Interval,
    viewer: UUID | None,
    now: datetime,
    moving: AppointmentRecord | None = None,
) -> Sequence[BusyPeriod]:
    """What takes the doctor's time around ``span``. A reader's connection is released before the rows are converted."""
    reached = relevant_span(plan.rules, visit_type, span)
    without = moving.id if moving else None
    rows = await bookings.fetch_busy(transaction, plan.doctor.id, reached, now, viewer=viewer, without=without)
    await transaction.release()
    return list(chain.from_iterable(await _finish(computation, batched(rows, ROWS_PER_STEP))))


async def _finish[Item](computation: Computation | None, steps: Iterable[Item]) -> list[Item]:
    return await computation.finish(steps) if computation else list(steps)


async def _find_first(computation: Computation, weeks: Iterable[Sequence[Interval]]) -> Interval | None:
    *_, last = await computation.finish(_up_to_first(weeks))
    return last[0] if last else None


def _up_to_first[Item](items: Iterable[Item]) -> Iterator[Item]:
    """The items up to the first true one."""
    for item in items:
        yield item
        if item:
            return


def _slots_by_week(
    rules: Rules,
    visit_type: VisitType,
    taken: Sequence[BusyPeriod],
    span: Interval,
    now: datetime,
    moving: AppointmentRecord | None = None,
) -> Iterator[list[Interval]]:
    """The slots of each week of ``span``; those who need the first ones alone do not pay for all."""
    here = moving and to_instant(moving.start_time)
    for week in _split(span, _WEEK):
        near = _find_near(rules, visit_type, taken, (week[0], week[1] + visit_type.duration))
        found = slots(rules, visit_type, near, week, to_instant(now))
        yield [slot for slot in found if slot[0] != here]


def _find_near(rules: Rules, visit_type: VisitType, taken: Sequence[BusyPeriod], span: Interval) -> list[BusyPeriod]:
    """What of ``taken`` matters for visits inside ``span``."""
    first, last = relevant_span(rules, visit_type, span)
    return [each for each in taken if each.busy_start < last and each.busy_end > first]


def _split(span: Interval, length: int) -> Iterator[Interval]:
    for begin in range(span[0], span[1], length):
        yield begin, min(begin + length, span[1])
