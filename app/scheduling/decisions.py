"""Decide which visits can be booked and which actions an appointment allows.

Pure functions over instants (microseconds since the epoch, UTC). ``now`` is always an argument. An expected refusal
is returned as a value, never raised.

Every rule is written once, as the intervals that it blocks (``_blocked_intervals``). Slots lie in the time that no
rule blocks, and a visit is refused for each rule that blocks part of it. So offering and accepting cannot disagree.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import chain, groupby
from zoneinfo import ZoneInfo

from app.scheduling.availability import Rules, open_windows, time_off_windows, windows_between
from app.scheduling.intervals import DAY, HOUR, MINUTE, Interval, clip, merge, overlaps, subtract
from app.scheduling.status import TRANSITIONS, Action, AppointmentStatus
from app.scheduling.visits import BusyPeriod, VisitType
from app.scheduling.zones import day_of, day_span

MIN_VISIT = 5 * MINUTE
MAX_VISIT = 12 * HOUR
MAX_BUFFER = 4 * HOUR
MAX_AVAILABILITY = 7 * DAY
MAX_TIME_OFF = 366 * DAY
_MONTH = 31 * DAY


class Refusal(StrEnum):
    """Why a booking or an action is refused. The values are the API's stable error codes.

    The order is the priority in which ``explain`` lists them.
    """

    IN_THE_PAST = "in_the_past"
    TOO_SOON = "too_soon"
    TOO_FAR_AHEAD = "too_far_ahead"
    OUTSIDE_AVAILABILITY = "outside_availability"
    TIME_OFF = "time_off"
    OFF_GRID = "off_grid"
    DAY_FULL = "day_full"
    SLOT_TAKEN = "slot_taken"
    PATIENT_BUSY = "patient_busy"
    ALREADY_STARTED = "already_started"
    TOO_LATE = "too_late"
    TOO_EARLY = "too_early"
    WRONG_STATUS = "wrong_status"


def relevant_span(rules: Rules, visit_type: VisitType, span: Interval) -> Interval:
    """Return the span in which busy periods matter for visits inside ``span``.

    It includes the buffers of the visits and, if a daily limit applies, all of their days.
    """
    if _daily_limits(rules, visit_type):
        first, last = day_of(span[0], rules.zone), day_of(span[1], rules.zone)
        span = min(span[0], day_span(first, rules.zone)[0]), max(span[1], day_span(last, rules.zone)[1])
    return span[0] - visit_type.buffer_before, span[1] + visit_type.buffer_after


def has_daily_limit(rules: Rules, visit_type: VisitType) -> bool:
    """Return whether a daily limit applies, so that a decision depends on the other visits of that day."""
    return bool(_daily_limits(rules, visit_type))


def notice(rules: Rules, visit_type: VisitType) -> int:
    """Return how long before its start a visit must be booked, in microseconds."""
    return max(rules.limits.min_notice, visit_type.limits.min_notice)


def find_horizon(rules: Rules, visit_type: VisitType, now: int) -> int | None:
    """Return the end of the last day that can be booked; ``None`` without a limit."""
    limits = rules.limits.max_advance_days, visit_type.limits.max_advance_days
    days = [limit for limit in limits if limit is not None]
    if not days:
        return None
    last_day = day_of(now, rules.zone) + timedelta(days=min(days))
    return day_span(last_day, rules.zone)[1]


def free_windows(
    rules: Rules, visit_type: VisitType, busy: Sequence[BusyPeriod], span: Interval, now: int
) -> list[Interval]:
    """Return the time inside ``span`` that no rule blocks, sorted and merged."""
    return _free(rules, visit_type, busy, span, now, windows_between(rules, span))


def slots(rules: Rules, visit_type: VisitType, busy: Sequence[BusyPeriod], span: Interval, now: int) -> list[Interval]:
    """Return every slot for this visit type that starts inside ``span``, sorted.

    ``rules`` and ``busy`` must cover the ``relevant_span`` of ``span`` plus one visit's length after it.
    """
    length, step = visit_type.duration, visit_type.step or visit_type.duration
    wide = span[0], span[1] + length
    hours = windows_between(rules, wide)
    if not hours:
        return []
    free = _free(rules, visit_type, busy, wide, now, hours)
    free_starts, free_ends = [start for start, _ in free], [end for _, end in free]
    starts: list[int] = []
    for opens, closes in hours:
        for start, end in free[bisect_right(free_ends, opens) : bisect_left(free_starts, closes)]:
            # The grid is anchored at the start of the window, not at the start of the free time in it.
            first = max(opens, opens + -((opens - start) // step) * step)
            # Only the start must lie in this window: the visit may end in another one that touches or overlaps it.
            starts += range(first, min(closes, end - length + 1, span[1]), step)
    # Availabilities may overlap, so their grids may yield the same start twice.
    return [(start, start + length) for start in dict.fromkeys(sorted(starts))]


def explain(
    rules: Rules, visit_type: VisitType, visit: Interval, busy: Sequence[BusyPeriod], now: int
) -> list[Refusal]:
    """Return all reasons to refuse a visit, in the order of ``Refusal``; empty if it can be booked."""
    hours = windows_between(rules, visit)
    blocked = _blocked_intervals(rules, visit_type, busy, visit, now, hours)
    reasons = [reason for reason, intervals in blocked.items() if overlaps(visit, intervals)]
    # Each window has its own grid, so there is none outside of the hours.
    if Refusal.OUTSIDE_AVAILABILITY not in reasons and not _is_on_grid(visit[0], visit_type.step, hours):
        reasons.append(Refusal.OFF_GRID)
    return sorted(reasons, key=list(Refusal).index)


def check_booking(
    rules: Rules, visit_type: VisitType, visit: Interval, busy: Sequence[BusyPeriod], now: int
) -> Refusal | None:
    """Return why the rules refuse a visit, or ``None``. The insert decides whether the time is still free.

    ``rules`` need only cover the visit. ``busy`` may be empty unless ``has_daily_limit``; then it must cover the
    ``relevant_span`` of the visit.
    """
    return next(iter(explain(rules, visit_type, visit, busy, now)), None)


def check_action(
    action: Action, status: AppointmentStatus, start: int, now: int, *, cutoff: int | None
) -> Refusal | None:
    """Return why an action on an appointment that starts at ``start`` is refused, or ``None``.

    ``cutoff`` is how long before the start the action must happen, in microseconds; ``None`` if there is no deadline.
    """
    transition = TRANSITIONS[action]
    if status not in transition.sources:
        return Refusal.WRONG_STATUS
    if transition.earliest is not None and now < start + transition.earliest:
        return Refusal.TOO_EARLY
    if cutoff is not None and start <= now:
        return Refusal.ALREADY_STARTED
    if cutoff is not None and start - cutoff < now:
        return Refusal.TOO_LATE
    return None


def check_undo(status: AppointmentStatus, end: int, changed_at: int, now: int, zone: ZoneInfo) -> Refusal | None:
    """Return why a doctor may not undo the last change of an appointment's status, or ``None``.

    It can be undone until the end of the local day on which the visit ends, or of the day of the change if that is
    later. A change dated more than a day ahead was written by a clock that was wrong, so its day does not count.
    """
    if status is AppointmentStatus.BOOKED:
        return Refusal.WRONG_STATUS
    # A visit that ends at midnight belongs to the day before: intervals are half-open.
    last_day = day_of(end - 1, zone)
    if changed_at <= now + DAY:
        last_day = max(last_day, day_of(changed_at, zone))
    return Refusal.TOO_LATE if now >= day_span(last_day, zone)[1] else None


def find_conflicting[Key](rules: Rules, visits: Iterable[tuple[Key, Interval]]) -> list[Key]:
    """Return the keys of the visits that lie outside the doctor's current hours or in time off.

    ``visits`` must be ordered by their start. Limits are ignored: a limit that was set later does not make an
    existing visit invalid.
    """
    conflicting: list[Key] = []
    # By month, so that closed time is computed once for many visits, and only where there are any.
    for month, group in groupby(visits, key=lambda visit: visit[1][0] // _MONTH):
        span = month * _MONTH, (month + 1) * _MONTH + MAX_VISIT
        closed = subtract([span], subtract(open_windows(rules, span), time_off_windows(rules, span)))
        ends = [end for _, end in closed]
        for key, (start, end) in group:
            after = bisect_right(ends, start)
            if after < len(closed) and closed[after][0] < end:
                conflicting.append(key)
    return conflicting


def _free(
    rules: Rules,
    visit_type: VisitType,
    busy: Sequence[BusyPeriod],
    span: Interval,
    now: int,
    hours: Sequence[Interval],
) -> list[Interval]:
    blocked = _blocked_intervals(rules, visit_type, busy, span, now, hours)
    return subtract([span], merge(chain.from_iterable(blocked.values())))


def _blocked_intervals(
    rules: Rules,
    visit_type: VisitType,
    busy: Sequence[BusyPeriod],
    span: Interval,
    now: int,
    hours: Sequence[Interval],
) -> dict[Refusal, Sequence[Interval]]:
    """Return the intervals that each rule blocks in ``span``.

    Intervals may extend beyond ``span``. An interval whose end is before its start is empty.
    """
    first, last = span
    before, after = visit_type.buffer_before, visit_type.buffer_after
    soonest = now + notice(rules, visit_type)
    horizon = find_horizon(rules, visit_type, now)
    return {
        Refusal.IN_THE_PAST: [(first, now)],
        Refusal.TOO_SOON: [(now, soonest)],
        Refusal.TOO_FAR_AHEAD: [] if horizon is None else [(horizon, last)],
        Refusal.OUTSIDE_AVAILABILITY: subtract([span], merge(clip(hours, span))),
        Refusal.TIME_OFF: time_off_windows(rules, span),
        Refusal.DAY_FULL: _full_days(rules, visit_type, busy),
        # The buffers of the new visit must not overlap busy periods either. Extending the busy periods by them has the
        # same effect.
        Refusal.SLOT_TAKEN: [(each.busy_start - after, each.busy_end + before) for each in busy],
    }


def _daily_limits(rules: Rules, visit_type: VisitType) -> list[tuple[int, bool]]:
    """Return the daily limits that apply, each with whether it counts only visits of this type."""
    limits = (rules.limits.per_day, False), (visit_type.limits.per_day, True)
    return [(limit, of_type) for limit, of_type in limits if limit is not None]


def _full_days(rules: Rules, visit_type: VisitType, busy: Iterable[BusyPeriod]) -> list[Interval]:
    """Return the days on which a daily limit is reached. A full day is blocked from midnight to midnight."""
    full = set()
    for limit, of_type in _daily_limits(rules, visit_type):
        days = Counter(
            day_of(each.start, rules.zone) for each in busy if not of_type or each.visit_type_id == visit_type.id
        )
        full |= {day for day, count in days.items() if count >= limit}
    return [day_span(day, rules.zone) for day in full]


def _is_on_grid(start: int, step: int | None, hours: Iterable[Interval]) -> bool:
    return step is None or any(opens <= start < closes and (start - opens) % step == 0 for opens, closes in hours)
