"""What is booked outside of a doctor's hours, and why a time can or cannot be booked."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response

from app.core.dependencies import DbSession, Now
from app.core.errors import DomainError
from app.repositories import doctors, visit_types
from app.repositories.appointments import page_key
from app.routers.appointments import PLACE, read_place
from app.routers.problems import PROBLEMS
from app.routers.trail import Trail
from app.scheduling.decisions import Refusal
from app.scheduling.intervals import from_instant
from app.schemas.fields import Body, ClockTime, Cursor, LocalDate
from app.services import conflicts, offers
from app.services.practice import MOST_VISIT_TYPES
from app.web.forms import Form, explain_fields
from app.web.languages import N_
from app.web.lists import MOST_LISTED, cut_list
from app.web.practice_calendar import moment_of
from app.web.routes import page_router
from app.web.sentences import explain
from app.web.visitors import DoctorPage

router = page_router()

REASONS: Mapping[Refusal, str] = {
    Refusal.IN_THE_PAST: N_("This time has passed."),
    Refusal.TOO_SOON: N_("It is sooner than the notice that you ask for."),
    Refusal.TOO_FAR_AHEAD: N_("It is further ahead than you let patients book."),
    Refusal.OUTSIDE_AVAILABILITY: N_("You are not open for all of this time."),
    Refusal.TIME_OFF: N_("You have time off then."),
    Refusal.OFF_GRID: N_("Visits of this kind start at other times: counted in their steps from when you open."),
    Refusal.DAY_FULL: N_("As many visits are booked on this day as you take on one."),
    Refusal.SLOT_TAKEN: N_("Another visit, its buffer, or somebody who is about to book, takes some of this time."),
}
"""What speaks against a time, as the doctor is told it."""


class Question(Body):
    """A time on the doctor's clock."""

    day: LocalDate
    clock: ClockTime
    kind: UUID | None = None


@router.get("/practice/hours/conflicts")
async def list_doctors_appointments(
    page: DoctorPage, session: DbSession, now: Now, trail: Trail, after: Cursor | None = None
) -> Response:
    """What is booked, not over, and outside of her hours as they are now, by its start."""
    key, as_of = read_place(after, now)
    doctor = await doctors.get_own_practice(session, page.actor.id)
    found = await conflicts.page_conflicting(
        session, page.actor, as_of=as_of, since=None, until=None, statuses=(), after=key, limit=MOST_LISTED + 1
    )
    visits, more = cut_list(found, "/practice/hours/conflicts", PLACE, partial(page_key, as_of=as_of))
    trail.concerns(*visits)
    return page.render("practice_conflicts.html", visits=visits, more=more, zone=doctor.zone)


@router.get("/practice/hours/explain")
async def explain_time(
    page: DoctorPage,
    session: DbSession,
    now: Now,
    day: Annotated[str, Query()] = "",
    clock: Annotated[str, Query()] = "",
    kind: Annotated[str, Query()] = "",
) -> Response:
    """Why a visit that starts then can or cannot be booked, with everything that speaks against it."""
    doctor = await doctors.get_own_practice(session, page.actor.id)
    kinds = await visit_types.page_visit_types(session, page.actor.id, after=None, limit=MOST_VISIT_TYPES)
    zone = doctor.zone
    content: dict[str, Any] = {"kinds": [(str(each.id), each.name) for each in kinds], "zone": zone}
    form = Form({"day": day, "clock": clock, "kind": kind})
    if not day and not clock:
        return page.render("practice_explain.html", form=form, found=None, **content)
    try:
        asked = form.read(Question)
        found = await offers.explain_time(
            session,
            doctor.id,
            visit_type_id=asked.kind,
            start=moment_of(asked.day, asked.clock, zone),
            viewer=None,
            now=now,
        )
    except DomainError as error:
        again = Form(form.values, explain(page.words, error.code), explain_fields(page.words, error))
        return page.render("practice_explain.html", PROBLEMS[error.code][0], form=again, found=None, **content)
    start, end = map(from_instant, found.visit)
    reasons = [page.gettext(REASONS[each]) for each in found.reasons]
    return page.render("practice_explain.html", form=form, found=(start, end, reasons), **content)
