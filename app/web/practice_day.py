"""The doctor's day: who comes next, and the list of all who come."""

from dataclasses import dataclass
from datetime import timedelta

from fastapi import Response

from app.core.dependencies import DbSession, Now
from app.repositories.appointments import AppointmentRecord
from app.routers.trail import Trail
from app.scheduling.intervals import from_instant
from app.scheduling.status import Action, AppointmentStatus
from app.services import agenda
from app.services.lifecycle import find_undo_refusal
from app.web.practice_calendar import STATUSES, Day, possible_actions
from app.web.routes import page_router
from app.web.visitors import DoctorPage

router = page_router()

MAX_CANCELLED = 40
"""Cancelled visits that the page of a day lists."""
_A_DAY = timedelta(days=1)
UNDO_SHOWN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list."""

    visit: AppointmentRecord
    status: str
    actions: frozenset[Action]
    can_undo: bool
    """Whether its status was changed a moment ago; afterwards the page of the visit offers it."""
    is_conflicting: bool


@router.get("/practice/day")
async def list_doctors_appointments(
    page: DoctorPage, session: DbSession, now: Now, trail: Trail, day: Day = None
) -> Response:
    """A day, today unless another one is named."""
    found = await agenda.get_agenda(session, page.actor, day=day, now=now)
    trail.concerns(*found.visits)
    [shown] = found.days
    entries = [
        Entry(
            visit,
            STATUSES[visit.status],
            possible_actions(visit, now),
            visit.changed_at is not None and now - visit.changed_at < UNDO_SHOWN and not find_undo_refusal(visit, now),
            visit.id in found.conflicting,
        )
        for visit in found.visits
    ]
    is_today = shown == found.today
    to_come = (each for each in entries if each.visit.status.is_active and each.visit.end_time > now)
    return page.render(
        "practice_day.html",
        day=shown,
        is_today=is_today,
        before=shown - _A_DAY,
        after=shown + _A_DAY,
        zone=found.zone,
        entries=[each for each in entries if each.visit.status is not AppointmentStatus.CANCELLED],
        cancelled=[each for each in entries if each.visit.status is AppointmentStatus.CANCELLED],
        max_cancelled=MAX_CANCELLED,
        expected=sum(each.visit.status.occupies_time for each in entries),
        following=next(to_come, None) if is_today else None,
        hours=[(from_instant(start), from_instant(end)) for start, end in found.open],
        away=[(from_instant(start), from_instant(end)) for start, end in found.away],
    )
