"""A doctor's free windows and slots, the next slot, and why a time can or cannot be booked."""

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
from app.repositories.doctor_schedules import DoctorSchedule, get_doctor_schedule
from app.repositories.doctors import DoctorRecord
from app.repositories.holds import HoldRecord
from app.repositories.visit_types import VisitTypeRecord
from app.scheduling.availability import Rules, is_open_after
from app.scheduling.decisions import Refusal, check_booking, explain, find_horizon, free_windows, relevant_span, slots
from app.scheduling.intervals import DAY, MINUTE, Interval, merge, to_instant
from app.scheduling.visits import BookingLimits, BusyPeriod, VisitType

DEFAULT_LISTING = 14 * DAY
MAX_LISTING = 62 * DAY
MAX_SEARCH = 366 * DAY
MAX_SLOTS = 2000
"""The maximum number of slots or free windows in one response."""
ROWS_PER_STEP = 250
"""How many rows of a calendar are converted in one step of a computation."""
_END_OF_TIME = to_instant(datetime(2999, 12, 31, tzinfo=UTC))
"""Later than the start of any rule."""
_WEEK = 7 * DAY


type ExistingTime = AppointmentRecord | HoldRecord
"""Time that a patient has already booked or holds."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a visit can be booked, with all reasons against it."""

    doctor: DoctorRecord
    visit: Interval
    reasons: list[Refusal]


@dataclass(frozen=True, slots=True)
class Listing:
    """Free windows or slots, sorted."""

    times: Sequence[Interval]
    searched_until: int
    """The list is complete up to this instant: the end of the span, or earlier if the list is cut."""

    @classmethod
    def of(cls, times: Sequence[Interval], until: int) -> "Listing":
        """Return a listing of at most ``MAX_SLOTS`` times, complete up to the first time that is left out."""
        return cls(times[:MAX_SLOTS], times[MAX_SLOTS][0] if len(times) > MAX_SLOTS else until)


@dataclass(frozen=True, slots=True)
class NextSlot:
    """The next slot or, if there is none, how far the search went and the reason."""

    doctor: DoctorRecord
    slot: Interval | None
    searched_until: int
    reason: Refusal | None


def span_of(start: datetime | None, end: datetime | None, usual: int, now: datetime) -> Interval:
    """Return ``[start, end)`` as instants; ``start`` defaults to now, ``end`` to ``usual`` microseconds later.

    Raises ``invalid_request`` for an end that is not after the start, or more than 62 days after it.
    """
    first = to_instant(start or now)
    last = to_instant(end) if end else first + usual
    if not first < last <= first + MAX_LISTING:
        raise invalid_field("to", "listing_span")
    return first, last


def choose_visit_type(schedule: DoctorSchedule, existing: ExistingTime | None = None) -> VisitType:
    """Return the requested visit type, or the usual visit of a doctor without visit types.

    Raises ``visit_type_required`` if the doctor has visit types and none was requested.
    """
    if schedule.visit_type is None and schedule.has_visit_types:
        raise DomainError("visit_type_required")
    return visit_type_of(schedule.doctor, schedule.visit_type, existing)


def visit_type_of(
    doctor: DoctorRecord, chosen: VisitTypeRecord | None, existing: ExistingTime | None = None
) -> VisitType:
    """Return a visit type with its lengths in microseconds.

    If ``chosen`` is ``None``, this is the usual visit: it has the doctor's default length and can start at any time.
    A visit with an ``existing`` time keeps its length and buffers, even if the visit type has changed since.
    """
    if chosen is None:
        duration, before, after = doctor.default_visit_minutes * MINUTE, 0, 0
    else:
        duration = chosen.duration_minutes * MINUTE
        before, after = chosen.buffer_before_minutes * MINUTE, chosen.buffer_after_minutes * MINUTE
    if existing is not None:
        start, end = to_instant(existing.start_time), to_instant(existing.end_time)
        duration, before, after = (
            end - start,
            start - to_instant(existing.busy_start),
            to_instant(existing.busy_end) - end,
        )
    if chosen is None:
        return VisitType(duration, buffer_before=before, buffer_after=after)
    return VisitType(
        duration=duration,
        id=chosen.id,
        buffer_before=before,
        buffer_after=after,
        # By default, visits follow each other without a gap.
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
    """Return when a doctor can be booked inside ``[start, end)``.

    For a doctor without visit types, a booking accepts every time that lies within one of these windows. ``start``
    defaults to now, ``end`` to 14 days later; at most 62 days. The list is cut after ``MAX_SLOTS`` windows, and after
    the last week for which the ``computation`` has time, but never before the end of the first week. Raises ``busy``
    if the time does not suffice to convert the calendar.
    """
    span = span_of(start, end, DEFAULT_LISTING, now)
    schedule = await get_doctor_schedule(transaction, doctor_id, span)
    visit_type = visit_type_of(schedule.doctor, None)
    busy = await _read_busy(transaction, computation, schedule, visit_type, span, viewer, now)
    weeks = (
        free_windows(
            schedule.rules, visit_type, _find_near(schedule.rules, visit_type, busy, week), week, to_instant(now)
        )
        for week in _split(span, _WEEK)
    )
    found, until = await _compute_weeks(computation, weeks, span)
    # A window that crosses the end of a week was found in two parts.
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
    """Return the slots of a visit type that start inside ``[start, end)``: exactly those that a booking accepts.

    ``start`` defaults to now, ``end`` to 14 days later; at most 62 days. Returns at most ``MAX_SLOTS`` plus one: the
    additional one shows where the list continues. For an appointment that is ``moving``, returns the times to which it
    can be moved, except its current one. It keeps its visit type, even if that is no longer offered.

    Raises ``busy`` if the ``computation`` has too little time. Callers that hold locks must pass ``None``, because
    waiting for the processor would prolong the locks; they should ask for no more than a week or two.
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
    """Return the slots of ``list_slots``, cut like the listing of ``list_free_windows``."""
    span = span_of(start, end, DEFAULT_LISTING, now)
    doctor, weeks = await _start_slots(transaction, computation, doctor_id, visit_type_id, span, viewer, now)
    return doctor, Listing.of(*await _compute_weeks(computation, weeks, span))


async def next_listing_start(
    transaction: Transaction, computation: Computation, doctor_id: UUID, after: int, now: datetime
) -> bool:
    """Return whether the doctor has open time after a listing that ended at ``after``, and before the horizon.

    Recurring availabilities are searched for a year from now, so that a client cannot follow the links forever.
    Also returns ``True`` if ``after`` is within that year and the ``computation`` has no time to find out.
    """
    # All later rules: a single availability may lie more than a year ahead.
    schedule = await get_doctor_schedule(transaction, doctor_id, (after, _END_OF_TIME))
    await transaction.release()
    horizon = find_horizon(schedule.rules, visit_type_of(schedule.doctor, None), to_instant(now))
    if horizon is not None and horizon <= after:
        return False
    last = to_instant(now) + MAX_SEARCH
    found: list[bool] = []
    is_finished = await computation.run(map(found.append, _up_to_first(is_open_after(schedule.rules, after, last))))
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
    """Return the first slot of ``list_slots`` at or after ``start`` (default: now), within a year.

    The calendar is read in parts, because the slot is usually in the first one. Raises ``busy`` if the ``computation``
    has too little time.
    """
    first = max(to_instant(start or now), to_instant(now))
    until = first + MAX_SEARCH
    schedule, visit_type = await _get_schedule(transaction, doctor_id, (first, until), visit_type_id, moving)
    # Only the hours and the notice period, to find the first time whose refusal can be explained.
    bare = replace(schedule.rules, time_off=(), limits=BookingLimits(schedule.rules.limits.min_notice))
    unlimited = replace(visit_type, limits=BookingLimits(visit_type.limits.min_notice))
    reason = None
    for part in _split((first, until), MAX_LISTING):
        wide = part[0], part[1] + visit_type.duration
        busy = await _read_busy(transaction, computation, schedule, visit_type, wide, viewer, now, moving)
        weeks = _slots_by_week(schedule.rules, visit_type, busy, part, now, moving)
        if slot := await _find_first(computation, weeks):
            return NextSlot(schedule.doctor, slot, until, None)
        if reason is None:
            # The reason is that of the first time within the hours and after the notice period. Later times usually
            # fail for the same reason.
            refused = await _find_first(computation, _slots_by_week(bare, unlimited, (), part, now))
            if refused:
                near = _find_near(schedule.rules, visit_type, busy, refused)
                reason = check_booking(schedule.rules, visit_type, refused, near, to_instant(now))
    return NextSlot(schedule.doctor, None, until, reason or Refusal.OUTSIDE_AVAILABILITY)


async def explain_time(
    transaction: Transaction,
    doctor_id: UUID,
    *,
    visit_type_id: UUID | None,
    start: datetime,
    viewer: UUID | None,
    now: datetime,
) -> Explanation:
    """Return whether a visit at ``start`` can be booked: the decision of a booking, with all reasons against it."""
    first = to_instant(start)
    schedule = await get_doctor_schedule(transaction, doctor_id, (first, first + DAY), visit_type_id)
    visit_type = choose_visit_type(schedule)
    visit = first, first + visit_type.duration
    span = relevant_span(schedule.rules, visit_type, visit)
    busy = await bookings.list_busy(transaction, schedule.doctor.id, span, now, viewer=viewer)
    return Explanation(schedule.doctor, visit, explain(schedule.rules, visit_type, visit, busy, to_instant(now)))


async def _get_schedule(
    transaction: Transaction,
    doctor_id: UUID,
    span: Interval,
    visit_type_id: UUID | None,
    moving: AppointmentRecord | None,
) -> tuple[DoctorSchedule, VisitType]:
    wide = span[0], span[1] + DAY
    if moving is None:
        schedule = await get_doctor_schedule(transaction, doctor_id, wide, visit_type_id)
        return schedule, choose_visit_type(schedule)
    schedule = await get_doctor_schedule(
        transaction, doctor_id, wide, moving.visit_type_id, withdrawn=True, listed=False
    )
    visit_type = visit_type_of(schedule.doctor, schedule.visit_type, moving)
    if visit_type.id is None:
        # It keeps its length, but starts on the grid of the doctor's usual visits.
        visit_type = replace(visit_type, step=schedule.doctor.default_visit_minutes * MINUTE)
    return schedule, visit_type


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
    """Read what the slots inside ``span`` depend on, and return the steps that compute the slots of each week."""
    schedule, visit_type = await _get_schedule(transaction, doctor_id, span, visit_type_id, moving)
    wide = span[0], span[1] + visit_type.duration
    busy = await _read_busy(transaction, computation, schedule, visit_type, wide, viewer, now, moving)
    return schedule.doctor, _slots_by_week(schedule.rules, visit_type, busy, span, now, moving)


async def _compute_weeks(
    computation: Computation, weeks: Iterable[Sequence[Interval]], span: Interval
) -> tuple[list[Interval], int]:
    """Return the times of the weeks for which the computation has time, at least one week, and where they end."""
    found: list[Sequence[Interval]] = []
    # `run` computes a week even if the budget is used up, so that a client that follows the links makes progress
    # (ADR 0029).
    await computation.run(map(found.append, weeks))
    return list(chain.from_iterable(found)), min(span[0] + len(found) * _WEEK, span[1])


async def _read_busy(
    transaction: Transaction,
    computation: Computation | None,
    schedule: DoctorSchedule,
    visit_type: VisitType,
    span: Interval,
    viewer: UUID | None,
    now: datetime,
    moving: AppointmentRecord | None = None,
) -> Sequence[BusyPeriod]:
    """Return the busy periods that matter for ``span``. A reader's connection is released before rows are converted."""
    relevant = relevant_span(schedule.rules, visit_type, span)
    without = moving.id if moving else None
    rows = await bookings.fetch_busy(transaction, schedule.doctor.id, relevant, now, viewer=viewer, without=without)
    await transaction.release()
    return list(chain.from_iterable(await _finish(computation, batched(rows, ROWS_PER_STEP))))


async def _finish[Item](computation: Computation | None, steps: Iterable[Item]) -> list[Item]:
    return await computation.finish(steps) if computation else list(steps)


async def _find_first(computation: Computation, weeks: Iterable[Sequence[Interval]]) -> Interval | None:
    *_, last = await computation.finish(_up_to_first(weeks))
    return last[0] if last else None


def _up_to_first[Item](items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items up to and including the first true one."""
    for item in items:
        yield item
        if item:
            return


def _slots_by_week(
    rules: Rules,
    visit_type: VisitType,
    busy: Sequence[BusyPeriod],
    span: Interval,
    now: datetime,
    moving: AppointmentRecord | None = None,
) -> Iterator[list[Interval]]:
    """Yield the slots of each week of ``span``, so that callers that need only the first ones do not compute all."""
    current_start = moving and to_instant(moving.start_time)
    for week in _split(span, _WEEK):
        near = _find_near(rules, visit_type, busy, (week[0], week[1] + visit_type.duration))
        found = slots(rules, visit_type, near, week, to_instant(now))
        yield [slot for slot in found if slot[0] != current_start]


def _find_near(rules: Rules, visit_type: VisitType, busy: Sequence[BusyPeriod], span: Interval) -> list[BusyPeriod]:
    """Return the busy periods that matter for visits inside ``span``."""
    first, last = relevant_span(rules, visit_type, span)
    return [each for each in busy if each.busy_start < last and each.busy_end > first]


def _split(span: Interval, length: int) -> Iterator[Interval]:
    for start in range(span[0], span[1], length):
        yield start, min(start + length, span[1])
