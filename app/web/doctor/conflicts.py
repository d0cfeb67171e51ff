"""Visits outside a doctor's hours, and the page that explains why a time can or cannot be booked."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError
from app.http.audit import Audit
from app.http.paging import APPOINTMENT_CURSOR, read_appointment_cursor
from app.http.problems import PROBLEMS
from app.repositories import doctors, visit_types
from app.repositories.appointments import page_key
from app.scheduling.decisions import Refusal
from app.scheduling.intervals import from_instant
from app.schemas.fields import Body, ClockTime, Cursor, LocalDate
from app.services import conflicts, slots
from app.services.doctor_profile import MAX_VISIT_TYPES
from app.web.doctor.calendar import moment_of
from app.web.kit.auth import CalendarPage
from app.web.kit.error_texts import explain
from app.web.kit.forms import Form, explain_fields
from app.web.kit.languages import N_
from app.web.kit.lists import MAX_LISTED, cut_list
from app.web.kit.routes import page_router

router = page_router()

REASONS: Mapping[Refusal, str] = {
    Refusal.IN_THE_PAST: N_("This time has passed."),
    Refusal.TOO_SOON: N_("It is within your minimum notice period."),
    Refusal.TOO_FAR_AHEAD: N_("It is further in advance than patients can book."),
    Refusal.OUTSIDE_AVAILABILITY: N_("Your hours do not cover all of this time."),
    Refusal.TIME_OFF: N_("You have time off at this time."),
    Refusal.OFF_GRID: N_(
        "Visits of this type start at other times: at the slot interval, counted from the start of your hours."
    ),
    Refusal.DAY_FULL: N_("Your daily limit is reached."),
    Refusal.SLOT_TAKEN: N_("Another visit, its buffer or a reservation overlaps this time."),
}
"""The reasons why a time cannot be booked, as doctors read them."""


class Question(Body):
    """A wall time in the doctor's time zone."""

    day: LocalDate
    clock: ClockTime
    visit_type: UUID | None = None


@router.get("/practice/hours/conflicts")
async def list_doctors_appointments(
    page: CalendarPage, transaction: DbTransaction, now: Now, trail: Audit, after: Cursor | None = None
) -> Response:
    """List the booked visits that are not over and lie outside the doctor's current hours, by start."""
    key, as_of = read_appointment_cursor(after, now)
    doctor = await doctors.get_own_profile(transaction, page.actor.id)
    found = await conflicts.page_conflicting(
        transaction, page.actor.id, as_of=as_of, since=None, until=None, statuses=(), after=key, limit=MAX_LISTED + 1
    )
    visits, more = cut_list(found, "/practice/hours/conflicts", APPOINTMENT_CURSOR, partial(page_key, as_of=as_of))
    trail.concerns(*visits)
    return page.render("doctor/conflicts.html", visits=visits, more=more, zone=doctor.zone)


@router.get("/practice/hours/explain")
async def explain_time(
    page: CalendarPage,
    transaction: DbTransaction,
    now: Now,
    # Texts, not days and times: FastAPI would refuse an invalid one before the form can be shown again.
    day: Annotated[str, Query()] = "",
    clock: Annotated[str, Query()] = "",
    visit_type: Annotated[str, Query()] = "",
) -> Response:
    """Show whether a visit can be booked at a time, with all reasons against it."""
    doctor = await doctors.get_own_profile(transaction, page.actor.id)
    offered = await visit_types.page_visit_types(transaction, page.actor.id, after=None, limit=MAX_VISIT_TYPES)
    zone = doctor.zone
    content: dict[str, Any] = {"offered": [(str(each.id), each.name) for each in offered], "zone": zone}
    form = Form({"day": day, "clock": clock, "visit_type": visit_type})
    if not day and not clock:
        return page.render("doctor/explain.html", form=form, found=None, **content)
    try:
        question = form.read(Question)
        found = await slots.explain_time(
            transaction,
            doctor.id,
            visit_type_id=question.visit_type,
            start=moment_of(question.day, question.clock, zone),
            viewer=None,
            now=now,
        )
    except DomainError as error:
        again = Form(form.values, explain(page.formatter, error.code), explain_fields(page.formatter, error))
        return page.render("doctor/explain.html", PROBLEMS[error.code][0], form=again, found=None, **content)
    start, end = map(from_instant, found.visit)
    reasons = [page.gettext(REASONS[each]) for each in found.reasons]
    return page.render("doctor/explain.html", form=form, found=(start, end, reasons), **content)
