"""The doctor's week: a grid of half hours on a wide screen, a list of days on a narrow one.

Each day is laid out by its own local time. On the day on which the clocks go back, the repeated hour has rows of its
own, which the other days of the week show as closed. On the day on which the clocks go forward, the rows of the
skipped hour are marked as missing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise, zip_longest
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Response

from app.core.dependencies import DbTransaction, Now
from app.http.audit import Audit
from app.repositories.appointments import AppointmentRecord
from app.repositories.availabilities import count_availabilities
from app.scheduling.intervals import HOUR, MINUTE, Interval, clip, from_instant, to_instant
from app.scheduling.status import AppointmentStatus
from app.scheduling.zones import wall_time
from app.services import agenda
from app.services.agenda import DAYS_OF_WEEK, Agenda
from app.web.doctor.calendar import STATUSES, Day
from app.web.kit.auth import CalendarPage
from app.web.kit.lists import weigh_texts
from app.web.kit.routes import page_router

router = page_router()

_HALF = HOUR // 2
_UNIT = 5 * MINUTE
_MAX_UNITS = 24
"""The largest size that the stylesheet has. A longer piece fills most of its rows anyway."""
MAX_WEEK_BYTES = 38 * 1024
MAX_VISITS_PER_ROW = 2
"""With more, each would be lower than 24 px, which is too small to press (WCAG 2.2, 2.5.8)."""
MAX_LISTED = 8
"""The number of visits of a day that a narrow screen lists. The page of the day has the others."""
_VISIT_BYTES = 220  # of markup
_DEFAULT_HOURS = 8, 18
MAX_EMPTY_ROWS = 12
"""The longest gap between rows with hours or visits that the grid shows. A longer one is left out."""
_MINUTES_OF_HOUR = 60
_A_DAY = timedelta(days=1)
_A_WEEK = timedelta(days=DAYS_OF_WEEK)

type Row = tuple[int, int]
"""A half hour of local time: minutes after midnight, and the fold (PEP 495): 1 if it occurs for the second time."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a block. Its ``kind`` is ``visit``, ``visits`` (several in one), ``buffer``, ``held`` or ``gap``."""

    kind: str
    interval: Interval
    visits: Sequence[AppointmentRecord] = ()
    """The visit, or all of ``visits``."""

    @property
    def status(self) -> AppointmentStatus | None:
        """The status that all visits have; ``None`` if they differ."""
        statuses = {visit.status for visit in self.visits}
        return statuses.pop() if len(statuses) == 1 else None

    def count_outside(self, conflicting: frozenset[UUID]) -> int:
        """Return how many of the visits are ``conflicting``."""
        return sum(visit.id in conflicting for visit in self.visits)

    @property
    def units(self) -> int:
        """The length in units of five minutes, which is its height relative to the other pieces of its block."""
        return max(1, min((self.interval[1] - self.interval[0]) // _UNIT, _MAX_UNITS))

    @property
    def start(self) -> datetime:
        """The start, cut off at the day's start."""
        return from_instant(self.interval[0])

    @property
    def end(self) -> datetime:
        """The end, cut off at the day's end."""
        return from_instant(self.interval[1])


@dataclass(frozen=True, slots=True)
class Block:
    """A run of rows of a day, with the pieces in them."""

    kind: str
    row: int
    rows: int
    pieces: Sequence[Piece] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A day of the week."""

    day: date
    hours: int
    """The length of the day: usually 24, or 23 or 25 if the clocks change."""
    open: Sequence[tuple[datetime, datetime]]
    away: Sequence[tuple[datetime, datetime]]
    ground: Sequence[Block]
    blocks: Sequence[Block]
    now: tuple[int, int] | None
    """The row of the current time, and the units of it that have passed; ``None`` if it is not shown."""
    visits: int
    unlisted: frozenset[Interval]
    """The intervals of the visits that a narrow screen leaves out."""


@router.get("/practice/week")
async def list_doctors_appointments(
    page: CalendarPage, transaction: DbTransaction, now: Now, trail: Audit, day: Day = None
) -> Response:
    """Show the week of a day, today by default. The reader's locale decides on which day a week begins."""
    week_begins = page.formatter.locale.first_week_day
    found = await agenda.get_agenda(transaction, page.actor.id, day=day, week_begins=week_begins, now=now)
    trail.concerns(*found.visits)
    is_empty = not (found.open or found.visits)
    rules, _ = (
        await count_availabilities(transaction, found.doctor.id, now.astimezone(found.zone)) if is_empty else (1, 0)
    )
    axis = Axis(found)
    is_crowded = sum(map(_weigh, found.visits)) > MAX_WEEK_BYTES
    first = next(iter(found.days))
    return page.render(
        "doctor/week.html",
        zone=found.zone,
        today=found.today,
        first=first,
        last=first + _A_WEEK - _A_DAY,
        before=first - _A_WEEK,
        after=first + _A_WEEK,
        expected=len(found.busy),
        has_hours=rules > 0,
        is_this_week=found.today in found.days,
        rows=axis.rows,
        cuts=axis.cuts,
        columns=[_column(found, axis, day, to_instant(now), is_crowded=is_crowded) for day in found.days],
        statuses=STATUSES,
        conflicting=found.conflicting,
    )


def _weigh(visit: AppointmentRecord) -> int:
    return _VISIT_BYTES + weigh_texts([visit.patient.name, visit.visit_type.name if visit.visit_type else None])


class Axis:
    """The rows that all days of a week share: those of the longest day, from the first to the last one needed.

    A gap of more than ``MAX_EMPTY_ROWS`` is left out, for example the day between hours that end after midnight and
    those that begin in the evening.
    """

    def __init__(self, found: Agenda) -> None:
        self._days = found.days
        self._cells = {
            day: [_row(start, found.zone) for start in range(*span, _HALF)] for day, span in found.days.items()
        }
        # The day on which clocks go back has rows that no other day has.
        longest = max(self._cells.values(), key=len)
        self._indexes = {row: index for index, row in enumerate(longest)}
        needed: set[int] = set()
        for day, span in found.days.items():
            for interval in clip([*found.open, *found.busy.values(), *found.held], span):
                first, last = self._find_indexes(day, interval)
                # Only full hours are labelled, so the first row, and that after a gap, must be one.
                while longest[first][0] % _MINUTES_OF_HOUR:
                    first -= 1
                needed.update(range(first, last + 1))
        gaps = [(end, start) for end, start in pairwise(sorted(needed)) if start - end > MAX_EMPTY_ROWS + 1]
        first, last = (self._indexes[hour * _MINUTES_OF_HOUR, 0] for hour in _DEFAULT_HOURS)
        self._shown = [
            index
            for index in range(min({first, *needed}), max({last - 1, *needed}) + 1)
            if not any(end < index < start for end, start in gaps)
        ]
        self.rows = [longest[index] for index in self._shown]
        self.cuts = {self._shown.index(start) for _, start in gaps}
        """The rows before which a gap is left out."""

    def find_rows(self, day: date, interval: Interval) -> tuple[int, int]:
        """Return the first and the last shown row that an interval of this day touches.

        The last row is before the first one if none of them is shown.
        """
        first, last = self._find_indexes(day, interval)
        return bisect_left(self._shown, first), bisect_right(self._shown, last) - 1

    def block(self, kind: str, day: date, interval: Interval, pieces: Sequence[Piece] = ()) -> Iterator[Block]:
        """Yield the block of the shown rows that an interval of this day touches, if there are any."""
        first, last = self.find_rows(day, interval)
        if first <= last:
            yield Block(kind, first, last - first + 1, pieces)

    def missing(self, day: date) -> Iterator[Block]:
        """Yield the rows that this day does not have."""
        own = set(self._cells[day])
        for row, shown in enumerate(self.rows):
            if shown not in own:
                yield Block("missing", row, 1)

    def _find_indexes(self, day: date, interval: Interval) -> tuple[int, int]:
        begin, cells = self._days[day][0], self._cells[day]
        # The end is not part of the interval: a visit that ends at 11:00 does not touch the row of 11:00.
        first, last = (interval[0] - begin) // _HALF, (interval[1] - 1 - begin) // _HALF
        return self._indexes[cells[first]], self._indexes[cells[last]]


def _row(instant: int, zone: ZoneInfo) -> Row:
    shown = wall_time(instant, zone)
    return shown.hour * _MINUTES_OF_HOUR + shown.minute, shown.fold


def _column(found: Agenda, axis: Axis, day: date, now: int, *, is_crowded: bool) -> Column:
    span = found.days[day]
    busy = _list_busy(found, span)
    blocks = [_fold(axis, day, block, is_crowded=is_crowded) for block in _blocks(axis, day, span, busy)]
    windows, away = clip(found.open, span), clip(found.away, span)
    row, last = axis.find_rows(day, (now, now + 1)) if span[0] <= now < span[1] else (0, -1)
    return Column(
        day,
        (span[1] - span[0]) // HOUR,
        [(from_instant(start), from_instant(end)) for start, end in windows],
        [(from_instant(start), from_instant(end)) for start, end in away],
        [
            *(block for each in windows for block in axis.block("open", day, each)),
            *(block for each in away for block in axis.block("away", day, each)),
            *axis.missing(day),
        ],
        blocks,
        (row, (now - span[0]) % _HALF // _UNIT) if row <= last else None,
        sum(bool(piece.visits) for piece in busy),
        _list_unlisted(blocks, now),
    )


def _list_unlisted(blocks: Sequence[Block], now: int) -> frozenset[Interval]:
    """Return all visits of a day but the next ``MAX_LISTED``; once the day is over, all but the first ones."""
    shown = [piece.interval for block in blocks for piece in block.pieces if piece.visits]
    listed = [interval for interval in shown if interval[1] > now] or shown
    return frozenset(shown) - frozenset(listed[:MAX_LISTED])


def _list_busy(found: Agenda, span: Interval) -> list[Piece]:
    """Return the visits, buffers and holds inside a span, sorted by time."""
    pieces = [Piece("held", interval) for interval in found.held]
    for visit in found.visits:
        if visit.status.occupies_time:
            start, end = to_instant(visit.start_time), to_instant(visit.end_time)
            busy_start, busy_end = found.busy[start]
            pieces += (
                Piece("buffer", (busy_start, start)),
                Piece("visit", (start, end), [visit]),
                Piece("buffer", (end, busy_end)),
            )
    inside = (replace(piece, interval=part) for piece in pieces for part in clip([piece.interval], span))
    return sorted(inside, key=lambda piece: piece.interval)


def _blocks(axis: Axis, day: date, span: Interval, busy: Sequence[Piece]) -> Iterator[Block]:
    """Yield the blocks of a day. Pieces that share a row share a block; gaps fill it up to the edges of its rows."""
    together: list[Piece] = []
    for piece, following in zip_longest(busy, busy[1:]):
        if together:
            together += _gap(together[-1].interval[1], piece.interval[0])
        else:
            into = (piece.interval[0] - span[0]) % _HALF
            together += _gap(piece.interval[0] - into, piece.interval[0])
        together.append(piece)
        end = piece.interval[1]
        if following and axis.find_rows(day, following.interval)[0] <= axis.find_rows(day, piece.interval)[1]:
            continue
        together += _gap(end, end + (span[0] - end) % _HALF)
        yield from axis.block("taken", day, (together[0].interval[0], together[-1].interval[1]), together)
        together = []


def _fold(axis: Axis, day: date, block: Block, *, is_crowded: bool) -> Block:
    """Return the block with its visits combined by half hour, if its rows are too low to show each visit.

    In a crowded week all visits of a block are combined, because hundreds of links would make the page too heavy.
    """
    busy = [piece for piece in block.pieces if piece.kind in {"visit", "held"}]
    if len(busy) <= MAX_VISITS_PER_ROW * block.rows and not is_crowded:
        return block
    folded: list[Piece] = []
    end = block.pieces[0].interval[0]
    for _, together in groupby(busy, lambda piece: is_crowded or axis.find_rows(day, piece.interval)[0]):
        pieces = list(together)
        visits = [visit for piece in pieces for visit in piece.visits]
        interval = pieces[0].interval[0], pieces[-1].interval[1]
        folded += _gap(end, interval[0])
        folded.append(Piece("visits", interval, visits) if visits else replace(pieces[0], interval=interval))
        end = interval[1]
    folded += _gap(end, block.pieces[-1].interval[1])
    return replace(block, pieces=folded)


def _gap(start: int, end: int) -> list[Piece]:
    return [Piece("gap", (start, end))] if start < end else []
