"""The doctor's page of one visit: its status, and what can be done with it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response

from app.core.dependencies import DbTransaction, Now, SearchTime
from app.core.errors import DomainError
from app.core.permissions import Scope
from app.core.text import isolate
from app.http.audit import Audit, AuditRecorder
from app.repositories import appointments, guardians, patients
from app.repositories.appointments import AppointmentRecord
from app.scheduling.intervals import from_instant, to_instant
from app.scheduling.status import Action, AppointmentStatus
from app.scheduling.zones import day_of, day_span
from app.schemas.fields import Body, Instant, Note
from app.services import appointment_status, booking, slots
from app.web.doctor.calendar import STATUSES, Day, day_page, possible_actions
from app.web.kit.auth import AttendancePage, CalendarPage, ChangeForPatientsPage
from app.web.kit.drafts import restore
from app.web.kit.error_texts import explain
from app.web.kit.forms import AppointmentVersion, Form, Once, RefusedForm, SentForm, refuse
from app.web.kit.languages import N_
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router
from app.web.kit.slots import DAYS, MAX_TIMES, lay_out

router = page_router()

_DONE_MESSAGES: Mapping[Action, str] = {
    Action.ARRIVE: N_("%(patient)s has arrived."),
    Action.COMPLETE: N_("The visit of %(patient)s is marked as completed."),
    Action.NO_SHOW: N_("%(patient)s is marked as a no-show. The rest of the time is free again."),
}

_UNDONE_MESSAGES: Mapping[AppointmentStatus, str] = {
    AppointmentStatus.ARRIVED: N_("Undone. %(patient)s is expected again."),
    AppointmentStatus.FULFILLED: N_("Undone. The visit of %(patient)s is open again."),
    AppointmentStatus.NOSHOW: N_("Undone. The visit of %(patient)s is open again."),
    AppointmentStatus.CANCELLED: N_("Undone. The visit will take place after all. Inform %(patient)s."),
}
"""The message after a status has been undone, by that status."""


class Cancellation(Body):
    """The reason for a cancellation, and the version of the visit that the form was made for."""

    version: AppointmentVersion
    reason: Note | None = None


class Move(Body):
    """The new start of a visit, and the version of the visit that the form was made for."""

    version: AppointmentVersion
    start: Instant


@router.get("/practice/visits/{appointment_id:uuid}")
async def get_appointment(
    page: CalendarPage, appointment_id: UUID, transaction: DbTransaction, trail: Audit
) -> Response:
    """Show the visit."""
    visit = await _get_visit(page, appointment_id, transaction, trail)
    content = await _describe(page, transaction, visit)
    trail.concerns_patient(content["called"].id).add(visit.id)
    return page.render("doctor/visit.html", form=restore(page), **content)


@router.post("/practice/visits/{appointment_id:uuid}/arrive")
async def arrive(
    page: AttendancePage, appointment_id: UUID, form: SentForm, transaction: DbTransaction, trail: Audit, _: Once
) -> Response:
    """Mark the patient as arrived."""
    return await _advance(page, Action.ARRIVE, appointment_id, form, transaction, trail)


@router.post("/practice/visits/{appointment_id:uuid}/complete")
async def complete(
    page: AttendancePage, appointment_id: UUID, form: SentForm, transaction: DbTransaction, trail: Audit, _: Once
) -> Response:
    """Mark the visit as completed."""
    return await _advance(page, Action.COMPLETE, appointment_id, form, transaction, trail)


@router.post("/practice/visits/{appointment_id:uuid}/no-show")
async def no_show(
    page: AttendancePage, appointment_id: UUID, form: SentForm, transaction: DbTransaction, trail: Audit, _: Once
) -> Response:
    """Mark the visit as a no-show."""
    return await _advance(page, Action.NO_SHOW, appointment_id, form, transaction, trail)


@router.post("/practice/visits/{appointment_id:uuid}/undo")
async def undo_status_change(
    page: AttendancePage,
    appointment_id: UUID,
    # In the address: the button is one of several in a form, and its own value is already the key.
    version: Annotated[AppointmentVersion, Query()],
    form: SentForm,
    transaction: DbTransaction,
    trail: Audit,
    _: Once,
) -> Response:
    """Undo the last change of the visit's status."""
    async with _changing(page, appointment_id, form, transaction, trail) as visit:
        await appointment_status.undo_status_change(
            transaction, page.actor, appointment_id, versions=frozenset({version}), now=page.now
        )
    return page.redirect(day_page(visit), page.gettext(_UNDONE_MESSAGES[visit.status], patient=visit.patient.name))


@router.post("/practice/visits/{appointment_id:uuid}/cancel")
async def cancel_appointment(
    page: ChangeForPatientsPage, appointment_id: UUID, form: SentForm, transaction: DbTransaction, trail: Audit, _: Once
) -> Response:
    """Cancel the visit, optionally with a reason for the patient."""
    async with _changing(page, appointment_id, form, transaction, trail):
        typed = form.read(Cancellation)
        cancelled = await appointment_status.cancel_appointment(
            transaction,
            page.actor,
            appointment_id,
            reason=typed.reason or None,
            versions=frozenset({typed.version}),
            now=page.now,
        )
    return page.redirect(day_page(cancelled), page.gettext("The visit has been cancelled. The time is free again."))


@router.get("/practice/visits/{appointment_id:uuid}/move")
async def show_free_times(
    page: ChangeForPatientsPage,
    appointment_id: UUID,
    transaction: DbTransaction,
    search_time: SearchTime,
    now: Now,
    trail: Audit,
    day: Day = None,
) -> Response:
    """List the times to which the visit can be moved, within seven days from ``day``.

    Redirect to the visit if it cannot be moved.
    """
    visit = await _get_visit(page, appointment_id, transaction, trail)
    if Action.RESCHEDULE not in possible_actions(visit, now):
        return page.redirect(f"/practice/visits/{visit.id}")
    content = await _list_times(transaction, visit, day, now, computation=search_time)
    return page.render("doctor/reschedule.html", form=Form(), **content)


@router.post("/practice/visits/{appointment_id:uuid}/move")
async def reschedule_appointment(
    page: ChangeForPatientsPage,
    appointment_id: UUID,
    form: SentForm,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Once,
    day: Day = None,
) -> Response:
    """Move the visit. It stays where it is if the new time is not available."""
    visit = await _get_visit(page, appointment_id, transaction, trail)
    # The times are listed first, because the transaction cannot be used any more after a conflict.
    # Without a `computation`, so without waiting for a turn: a writing transaction would hold its locks meanwhile.
    content = await _list_times(transaction, visit, day, now, computation=None)
    try:
        typed = form.read(Move)
        moved = await booking.reschedule_appointment(
            transaction,
            page.actor,
            appointment_id,
            start=typed.start,
            visit_type_id=None,
            versions=frozenset({typed.version}),
            now=now,
        )
    except DomainError as error:
        if Action.RESCHEDULE not in possible_actions(visit, now):
            message = explain(page.formatter, "wrong_status")
            raise RefusedForm(page.redirect(f"/practice/visits/{visit.id}", message, "note"), error) from error
        raise refuse(page, "doctor/reschedule.html", form, error, shown_by=show_free_times, **content) from error
    message = page.gettext(
        "The visit of %(patient)s has been moved to %(moment)s.",
        patient=isolate(moved.patient.name),
        moment=page.formatter.moment(moved.start_time, moved.zone),
    )
    return page.redirect(day_page(moved), message)


async def _get_visit(
    page: SignedInPage, appointment_id: UUID, transaction: DbTransaction, trail: AuditRecorder
) -> AppointmentRecord:
    visit = await appointments.get_appointment(transaction, Scope(doctor_id=page.actor.id), appointment_id)
    trail.concerns(visit)
    return visit


@asynccontextmanager
async def _changing(
    page: SignedInPage, appointment_id: UUID, form: Form, transaction: DbTransaction, trail: AuditRecorder
) -> AsyncIterator[AppointmentRecord]:
    """Yield the visit as it is before the change. If the change is refused, show the visit again with the reason."""
    visit = await _get_visit(page, appointment_id, transaction, trail)
    # Read before the change, because the transaction cannot be used any more after a conflict.
    content = await _describe(page, transaction, visit)
    try:
        yield visit
    except DomainError as error:
        trail.concerns_patient(content["called"].id).add(visit.id)
        raise refuse(page, "doctor/visit.html", form, error, shown_by=get_appointment, **content) from error


async def _advance(
    page: SignedInPage,
    action: Action,
    appointment_id: UUID,
    form: Form,
    transaction: DbTransaction,
    trail: AuditRecorder,
) -> Response:
    async with _changing(page, appointment_id, form, transaction, trail) as visit:
        await appointment_status.advance_appointment(transaction, page.actor, appointment_id, action, now=page.now)
    return page.redirect(day_page(visit), page.gettext(_DONE_MESSAGES[action], patient=isolate(visit.patient.name)))


async def _describe(page: SignedInPage, transaction: DbTransaction, visit: AppointmentRecord) -> dict[str, Any]:
    patient = await patients.get_patient(transaction, visit.patient_id)
    by_another = visit.booked_by != visit.patient_id
    booked_by = await patients.find_patient(transaction, visit.booked_by) if by_another else None
    # Of the parent only while they act for the child: an adult is not reached through them.
    called = patient
    if (
        booked_by
        and not patient.phone
        and await guardians.is_guardian(transaction, booked_by.id, patient.id, page.now.date())
    ):
        called = booked_by
    return {
        "visit": visit,
        "patient": patient,
        "booked_by": booked_by,
        "called": called,
        "word": STATUSES[visit.status],
        "zone": visit.zone,
        "actions": possible_actions(visit, page.now),
        "can_undo": not appointment_status.find_undo_refusal(visit, page.now),
        "back": day_page(visit),
    }


async def _list_times(
    transaction: DbTransaction, visit: AppointmentRecord, day: Day, now: datetime, *, computation: SearchTime | None
) -> dict[str, Any]:
    zone = visit.zone
    today = day_of(to_instant(now), zone)
    first = max(day or day_of(to_instant(visit.start_time), zone), today)
    days = [first + timedelta(days=number) for number in range(DAYS)]
    _, found = await slots.list_slots(
        transaction,
        visit.doctor_id,
        computation=computation,
        visit_type_id=visit.visit_type_id,
        start=from_instant(day_span(days[0], zone)[0]),
        end=from_instant(day_span(days[-1], zone)[1]),
        viewer=visit.patient_id,
        now=now,
        moving=visit,
    )
    if len(found) > MAX_TIMES:
        # Only whole days are shown, as many as fit, and at least the first day with times.
        cut_day = day_of(found[MAX_TIMES][0], zone)
        days = [each for each in days if each < cut_day or each <= day_of(found[0][0], zone)]
    return {
        "visit": visit,
        "zone": zone,
        "days": [each for each in lay_out(found, days, zone) if each.parts],
        "first": first,
        "earlier": max(first - timedelta(days=len(days)), today) if first > today else None,
        "later": days[-1] + timedelta(days=1),
        "last": days[-1],
    }
