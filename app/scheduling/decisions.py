"""What may be booked and what may be done with it: one engine for what is offered and what is accepted.

Pure functions over instants (microseconds since the epoch, UTC). ``now`` is always an argument. A refusal that is to
be expected is a value, never an exception.

Every rule is stated once, as the time that it blocks (``_obstacles``). What is offered is the time that nothing
blocks; a visit is refused for each rule that blocks some of it. So the two cannot disagree.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import chain, groupby
from zoneinfo import ZoneInfo

from app.scheduling.availability import Rules, away_windows, open_windows, openings_between
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
    """Why something cannot be done; the values are the API's stable error codes."""

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
    """Where time that is taken matters for visits inside ``span``: their buffers, and the whole of their days."""
    if _counted(rules, visit_type):
        first, last = day_of(span[0], rules.zone), day_of(span[1], rules.zone)
        span = min(span[0], day_span(first, rules.zone)[0]), max(span[1], day_span(last, rules.zone)[1])
    return span[0] - visit_type.buffer_before, span[1] + visit_type.buffer_after


def is_counted(rules: Rules, visit_type: VisitType) -> bool:
    """Whether a limit for a day applies, so that a decision needs to know of the other visits of that day."""
    return bool(_counted(rules, visit_type))


def notice(rules: Rules, visit_type: VisitType) -> int:
    """How long before its start a visit must be booked."""
    return max(rules.limits.min_notice, visit_type.limits.min_notice)


def find_horizon(rules: Rules, visit_type: VisitType, now: int) -> int | None:
    """The end of the last day that can be booked, if there is one."""
    limits = rules.limits.max_advance_days, visit_type.limits.max_advance_days
    days = [limit for limit in limits if limit is not None]
    if not days:
        return None
    last_day = day_of(now, rules.zone) + timedelta(days=min(days))
    return day_span(last_day, rules.zone)[1]


def free_windows(
    rules: Rules, visit_type: VisitType, taken: Sequence[BusyPeriod], span: Interval, now: int
) -> list[Interval]:
    """The time inside ``span`` that nothing blocks: merged and sorted."""
    return _free(rules, visit_type, taken, span, now, openings_between(rules, span))


def slots(rules: Rules, visit_type: VisitType, taken: Sequence[BusyPeriod], span: Interval, now: int) -> list[Interval]:
    """Every visit of this type that can be booked and starts inside ``span``, sorted.

    ``rules`` and ``taken`` must hold what ``reach`` asks for, up to a visit's length after the span.
    """
    length, step = visit_type.duration, visit_type.step or visit_type.duration
    wide = span[0], span[1] + length
    hours = openings_between(rules, wide)
    if not hours:
        return []
    free = _free(rules, visit_type, taken, wide, now, hours)
    begins, ends = [begin for begin, _ in free], [end for _, end in free]
    starts: list[int] = []
    for opens, closes in hours:
        for begin, end in free[bisect_right(ends, opens) : bisect_left(begins, closes)]:
            # The grid begins where the doctor opens, not where she happens to be free.
            first = max(opens, opens + -((opens - begin) // step) * step)
            starts += range(first, min(closes, end - length + 1, span[1]), step)
    # Availabilities may overlap, and their grids meet.
    return [(start, start + length) for start in dict.fromkeys(sorted(starts))]


def explain(
    rules: Rules, visit_type: VisitType, visit: Interval, taken: Sequence[BusyPeriod], now: int
) -> list[Refusal]:
    """Everything that speaks against a visit, the weightiest first; nothing if it can be booked."""
    hours = openings_between(rules, visit)
    blocked = _obstacles(rules, visit_type, taken, visit, now, hours)
    reasons = [reason for reason, intervals in blocked.items() if overlaps(visit, intervals)]
    if Refusal.OUTSIDE_AVAILABILITY not in reasons and not _is_on_grid(visit[0], visit_type.step, hours):
        reasons.append(Refusal.OFF_GRID)
    return sorted(reasons, key=list(Refusal).index)


def check_booking(
    rules: Rules, visit_type: VisitType, visit: Interval, taken: Sequence[BusyPeriod], now: int
) -> Refusal | None:
    """Whether the rules accept a visit. Whether the time is still free is for the database to say, at the insert.

    ``rules`` need only hold what lies around the visit, and ``taken`` only what ``reach`` asks for where
    ``is_counted`` says that it matters.
    """
    return next(iter(explain(rules, visit_type, visit, taken, now)), None)


def check_action(
    action: Action, status: AppointmentStatus, start: int, now: int, *, cutoff: int | None
) -> Refusal | None:
    """Whether something may be done with an appointment that starts at ``start``.

    ``cutoff`` is how long before that a patient must have done it; ``None`` for the doctor, who may at any time.
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
    """Whether a doctor may take back the last change of an appointment's status.

    Possible until the end of the local day on which the visit ends, or of the day of the change if that is later. A
    change that is more than a day ahead was noted by a clock that was wrong, and its day does not count.
    """
    if status is AppointmentStatus.BOOKED:
        return Refusal.WRONG_STATUS
    last_day = day_of(end - 1, zone)
    if changed_at <= now + DAY:
        last_day = max(last_day, day_of(changed_at, zone))
    return Refusal.TOO_LATE if now >= day_span(last_day, zone)[1] else None


def find_conflicting[Key](rules: Rules, visits: Iterable[tuple[Key, Interval]]) -> list[Key]:
    """The keys of those visits, given by their start, that lie outside of what the doctor is open for today.

    Only her hours and her time off are looked at: a limit that was set later makes no visit wrong.
    """
    conflicting: list[Key] = []
    for month, group in groupby(visits, key=lambda visit: visit[1][0] // _MONTH):
        span = month * _MONTH, (month + 1) * _MONTH + MAX_VISIT
        closed = subtract([span], subtract(open_windows(rules, span), away_windows(rules, span)))
        ends = [end for _, end in closed]
        for key, (start, end) in group:
            after = bisect_right(ends, start)
            if after < len(closed) and closed[after][0] < end:
                conflicting.append(key)
    return conflicting


def _free(
    rules: Rules,
    visit_type: VisitType,
    taken: Sequence[BusyPeriod],
    span: Interval,
    now: int,
    hours: Sequence[Interval],
) -> list[Interval]:
    blocked = _obstacles(rules, visit_type, taken, span, now, hours)
    return subtract([span], merge(chain.from_iterable(blocked.values())))


def _obstacles(
    rules: Rules,
    visit_type: VisitType,
    taken: Sequence[BusyPeriod],
    span: Interval,
    now: int,
    hours: Sequence[Interval],
) -> dict[Refusal, Sequence[Interval]]:
    """Each rule, as the time inside ``span`` that it blocks (and maybe more around it); what is backward is empty."""
    first, last = span
    before, after = visit_type.buffer_before, visit_type.buffer_after
    soonest = now + notice(rules, visit_type)
    horizon = find_horizon(rules, visit_type, now)
    return {
        Refusal.IN_THE_PAST: [(first, now)],
        Refusal.TOO_SOON: [(now, soonest)],
        Refusal.TOO_FAR_AHEAD: [] if horizon is None else [(horizon, last)],
        Refusal.OUTSIDE_AVAILABILITY: subtract([span], merge(clip(hours, span))),
        Refusal.TIME_OFF: away_windows(rules, span),
        Refusal.DAY_FULL: _full_days(rules, visit_type, taken),
        # The new visit's own buffers must not touch others either, which is as if theirs were longer.
        Refusal.SLOT_TAKEN: [(each.busy_start - after, each.busy_end + before) for each in taken],
    }


def _counted(rules: Rules, visit_type: VisitType) -> list[tuple[int, bool]]:
    """The limits for a day that apply, and whether only visits of this type count."""
    limits = (rules.limits.per_day, False), (visit_type.limits.per_day, True)
    return [(limit, of_type) for limit, of_type in limits if limit is not None]


def _full_days(rules: Rules, visit_type: VisitType, taken: Iterable[BusyPeriod]) -> list[Interval]:
    """The days on which no more visits may take place: a full day is closed as a whole."""
    full = set()
    for limit, of_type in _counted(rules, visit_type):
        days = Counter(
            day_of(each.start, rules.zone) for each in taken if not of_type or each.visit_type_id == visit_type.id
        )
        full |= {day for day, count in days.items() if count >= limit}
    return [day_span(day, rules.zone) for day in full]


def _is_on_grid(start: int, step: int | None, hours: Iterable[Interval]) -> bool:
    return step is None or any(opens <= start < closes and (start - opens) % step == 0 for opens, closes in hours)
