"""The doctor's day: the next patient, and the list of all visits."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from fastapi import Response
from pydantic import AwareDatetime, TypeAdapter

from app.core.dependencies import DbTransaction, Now
from app.http.audit import Audit
from app.http.paging import read_cursor, write_cursor
from app.repositories.appointments import AppointmentRecord
from app.repositories.availabilities import count_availabilities
from app.repositories.visit_types import count_visit_types
from app.scheduling.intervals import from_instant
from app.scheduling.status import Action, AppointmentStatus
from app.schemas.fields import Cursor
from app.services import agenda
from app.services.agenda import Agenda
from app.services.appointment_status import find_undo_refusal
from app.services.clock_changes import list_changed
from app.web.doctor.calendar import STATUSES, Day, possible_actions
from app.web.kit.auth import CalendarPage
from app.web.kit.languages import N_
from app.web.kit.lists import MARKUP_BYTES, fit, weigh_texts
from app.web.kit.routes import page_router

router = page_router()

MAX_CANCELLED = 40
"""The number of cancelled visits that the page of a day lists."""
MAX_DAY_BYTES, MAX_CANCELLED_BYTES = 32 * 1024, 12 * 1024
_A_DAY = timedelta(days=1)
UNDO_SHOWN = timedelta(minutes=10)
"""How long the list offers to undo a change of status."""
_CURSOR = TypeAdapter(tuple[AwareDatetime, UUID])


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the list."""

    visit: AppointmentRecord
    status: str
    actions: frozenset[Action]
    can_undo: bool
    """Whether its status was changed within ``UNDO_SHOWN``. Later only the page of the visit offers to undo it."""
    is_conflicting: bool


@dataclass(frozen=True, slots=True)
class SetUpStep:
    """A step of the set-up of a new practice."""

    name: str
    address: str
    is_done: bool
    is_optional: bool = False


@router.get("/practice/day")
async def list_doctors_appointments(
    page: CalendarPage, transaction: DbTransaction, now: Now, trail: Audit, day: Day = None, after: Cursor | None = None
) -> Response:
    """Show a day, today by default. A crowded day continues on another page.

    Until everything that patients need is set up, a day without visits shows the steps of the set-up instead.
    """
    found = await agenda.get_agenda(transaction, page.actor.id, day=day, now=now)
    cursor = read_cursor(after, _CURSOR)
    [shown] = found.days
    is_today = shown == found.today
    day_entries = [
        Entry(
            visit,
            STATUSES[visit.status],
            possible_actions(visit, now),
            visit.changed_at is not None
            and abs(now - visit.changed_at) < UNDO_SHOWN
            and not find_undo_refusal(visit, now),
            visit.id in found.conflicting,
        )
        for visit in found.visits
    ]
    to_come = (each for each in day_entries if each.visit.status.is_active and each.visit.end_time > now)
    following = next(to_come, None) if is_today and not cursor else None
    remaining = [each for each in day_entries if not cursor or _key(each) > cursor]
    rest = [each for each in remaining if each.visit.status is not AppointmentStatus.CANCELLED]
    cancelled = [] if cursor else [each for each in day_entries if each.visit.status is AppointmentStatus.CANCELLED]
    # Without cancelled visits, the other entries get their share of the page.
    entries = fit(rest, _weigh, MAX_DAY_BYTES + (0 if cancelled else MAX_CANCELLED_BYTES))
    # Only the rows that are shown, each once. The next visit may be a row of the list, too.
    trail.concerns(*{each.visit.id: each.visit for each in (*entries, *cancelled, *filter(None, [following]))}.values())
    return page.render(
        "doctor/day.html",
        set_up_steps=[] if found.visits else await _list_set_up_steps(transaction, found, now),
        day=shown,
        is_today=is_today,
        before=shown - _A_DAY,
        after=shown + _A_DAY,
        zone=found.zone,
        changed=len(await list_changed(transaction, page.actor.id, now)),
        entries=entries,
        cancelled=cancelled,
        max_cancelled=len(fit(cancelled[:MAX_CANCELLED], _weigh, MAX_CANCELLED_BYTES)),
        expected=sum(visit.status.occupies_time for visit in found.visits),
        following=following,
        more=f"/practice/day?day={shown}&after={write_cursor(_key(entries[-1]), _CURSOR)}"
        if len(entries) < len(rest)
        else None,
        hours=[(from_instant(start), from_instant(end)) for start, end in found.open],
        away=[(from_instant(start), from_instant(end)) for start, end in found.away],
    )


async def _list_set_up_steps(transaction: DbTransaction, found: Agenda, now: datetime) -> list[SetUpStep]:
    """Return the steps before patients can book; none once all required steps are done."""
    doctor = found.doctor
    # A doctor who registered without a zone has UTC.
    has_zone = doctor.time_zone != "UTC"
    if has_zone and found.open:
        return []
    rules, _ = await count_availabilities(transaction, doctor.id, now.astimezone(doctor.zone))
    if has_zone and rules:
        return []
    offered = await count_visit_types(transaction, doctor.id)
    has_profile = bool(doctor.languages and doctor.bio)
    return [
        SetUpStep(N_("Time zone"), "/practice/profile#time_zone", has_zone),
        SetUpStep(N_("Weekly hours"), "/practice/hours", rules > 0),
        SetUpStep(N_("Visit types"), "/practice/profile/visit-types", offered > 0, is_optional=True),
        SetUpStep(N_("Languages and a few words about you"), "/practice/profile", has_profile, is_optional=True),
    ]


def _key(entry: Entry) -> tuple[datetime, UUID]:
    return entry.visit.start_time, entry.visit.id


def _weigh(entry: Entry) -> int:
    visit = entry.visit
    names = [visit.patient.name] * (1 + len(entry.actions) + entry.can_undo)
    return MARKUP_BYTES + weigh_texts([*names, visit.reason, visit.visit_type.name if visit.visit_type else None])
