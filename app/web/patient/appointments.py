"""The appointments of patients and of their children: listing, moving and cancelling them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response
from icalendar import Calendar, Event
from pydantic import BaseModel

from app.core.dependencies import DbTransaction, Now, SearchTime
from app.core.errors import DomainError
from app.core.permissions import GuardianRight, Scope, scope_of, scope_to_change
from app.http.audit import Audit
from app.http.paging import APPOINTMENT_CURSOR, read_appointment_cursor
from app.repositories import appointments, doctors, patients
from app.repositories.appointments import AppointmentRecord, PageKey, page_key
from app.scheduling.decisions import check_action
from app.scheduling.intervals import MINUTE, to_instant
from app.scheduling.status import ACTIVE, Action, AppointmentStatus
from app.schemas.fields import Cursor, Instant, LocalDate, Note
from app.services import appointment_status, booking
from app.services.dependants import dependants_of, list_family
from app.web.kit.auth import ChangeOwnVisitPage, OwnVisitsPage
from app.web.kit.clocks import load_zones
from app.web.kit.drafts import restore
from app.web.kit.error_texts import explain
from app.web.kit.forms import Form, Once, RefusedForm, SentForm, refuse
from app.web.kit.lists import MAX_LISTED, cut_list
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router
from app.web.kit.slots import Slot
from app.web.patient.doctor_page import list_times

router = page_router()

_ONE = "/my/appointments/{appointment_id:uuid}"


class Cancellation(BaseModel):
    """The reason for a cancellation, and the version of the visit that the form was made for."""

    reason: Note | None = None
    version: int


class Move(BaseModel):
    """The new start of a visit, and the version of the visit that the form was made for."""

    start: Instant
    version: int


@router.get("/my/appointments")
async def list_appointments(
    page: OwnVisitsPage, transaction: DbTransaction, now: Now, trail: Audit, after: Cursor | None = None
) -> Response:
    """List the patient's upcoming visits, the next one first, then the past ones, the latest first.

    The upcoming visits of their children are among their own.
    """
    key, as_of = read_appointment_cursor(after, now)
    found = await _list_own(page, transaction, key, as_of)
    found = await _add_visits_of_children(page, transaction, found, key, as_of, now)
    listed, more = cut_list(found, "/my/appointments", APPOINTMENT_CURSOR, partial(page_key, as_of=as_of))
    await load_zones(page, transaction, *(each.time_zone for each in listed))
    trail.concerns_patient(page.actor.id)
    trail.concerns(*listed)
    return page.render(
        "patient/appointments.html",
        upcoming=[each for each in listed if is_ahead(each, as_of)],
        past=[each for each in listed if not is_ahead(each, as_of)],
        is_first=key is None,
        more=more,
    )


@router.get(_ONE)
async def get_appointment(
    appointment_id: UUID, page: OwnVisitsPage, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Show a visit, and what can be done with it."""
    visit = await _get(page, transaction, scope_of(page.actor, now.date()), appointment_id, trail)
    is_own = visit.patient_id == page.actor.id
    return page.render(
        "patient/appointment.html",
        **_shown(page, visit, now),
        can_change=is_own or visit.patient_id in await list_family(transaction, page.actor, now),
        cancelled_by=await _find_canceller(page, transaction, visit),
    )


@router.get(_ONE + "/calendar.ics")
async def get_calendar_file(
    appointment_id: UUID, page: OwnVisitsPage, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Return the visit as an iCalendar file (RFC 5545)."""
    visit = await _get(page, transaction, scope_of(page.actor, now.date()), appointment_id, trail)
    zone = page.clock_of(visit.time_zone)
    event = Event()
    # The same in every download, with a sequence that grows with each change. So calendars replace the entry and
    # do not add another one (RFC 5545 sections 3.8.4.7 and 3.8.7.4).
    event.add("uid", f"{visit.id}@appointments")
    event.add("sequence", visit.version)
    # In a file without METHOD, this is the time of the last change (RFC 5545 section 3.8.7.2).
    event.add("dtstamp", visit.changed_at or visit.created_at)
    # In UTC, so the file needs no definition of a time zone.
    event.add("dtstart", visit.start_time)
    event.add("dtend", visit.end_time)
    patient = [] if visit.patient_id == page.actor.id else [page.name_patient(visit.patient.name)]
    event.add("summary", ", ".join([visit.doctor.name, *patient]))
    # Calendars show times in the zone of the device, so the text always names the zone of its times.
    sentence = page.formatter.visit(
        visit.start_time, visit.end_time, zone, visit.doctor.name, place=page.formatter.place(zone)
    )
    elsewhere = page.formatter.elsewhere(visit.start_time, visit.end_time, zone, page.doctor_zone(visit.time_zone))
    event.add("description", "\n".join([sentence, *([elsewhere] if elsewhere else []), *patient]))
    event.add("status", "CANCELLED" if visit.status is AppointmentStatus.CANCELLED else "CONFIRMED")
    file = Calendar()
    file.add("prodid", "-//Appointments//EN")
    file.add("version", "2.0")
    file.add_component(event)
    headers = {"Content-Disposition": 'attachment; filename="visit.ics"'}
    return Response(file.to_ical(), media_type="text/calendar; charset=utf-8", headers=headers)


@router.get(_ONE + "/cancel")
async def show_cancelling(
    appointment_id: UUID, page: ChangeOwnVisitPage, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Show the form that cancels a visit; redirect to the visit if it is not active any more or is over."""
    visit = await _get(page, transaction, scope_to_change(page.actor, now.date()), appointment_id, trail)
    if not is_ahead(visit, now):
        return page.redirect(f"/my/appointments/{visit.id}")
    form = restore(page)
    return page.render("patient/cancel.html", **_shown(page, visit, now), form=form)


@router.post(_ONE + "/cancel")
async def cancel_appointment_with_reason(
    appointment_id: UUID,
    page: ChangeOwnVisitPage,
    form: SentForm,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Once,
) -> Response:
    """Cancel the visit. Its time is free again immediately."""
    visit = await _get(page, transaction, scope_to_change(page.actor, now.date()), appointment_id, trail)
    try:
        typed = form.read(Cancellation)
        await appointment_status.cancel_appointment(
            transaction,
            page.actor,
            appointment_id,
            reason=typed.reason or None,
            # A visit that was moved in another tab or by the doctor must not be cancelled unseen.
            versions=frozenset({typed.version}),
            now=now,
        )
    except DomainError as error:
        if not is_ahead(visit, now):
            raise _redirect_to_visit(page, visit, error) from error
        raise refuse(
            page, "patient/cancel.html", form, error, shown_by=show_cancelling, **_shown(page, visit, now)
        ) from error
    return page.redirect(f"/my/appointments/{visit.id}", page.gettext("The visit has been cancelled."))


@router.get(_ONE + "/move")
async def show_moving(
    appointment_id: UUID,
    page: ChangeOwnVisitPage,
    transaction: DbTransaction,
    search_time: SearchTime,
    now: Now,
    trail: Audit,
    week: LocalDate | None = None,
    start: Annotated[Instant | None, Query()] = None,
) -> Response:
    """Show the times to which a visit can be moved; with ``start``, ask for confirmation of this time.

    Redirect to the visit if it is not active any more, if it is over, or if the doctor takes no bookings.
    """
    visit = await _get(page, transaction, scope_to_change(page.actor, now.date()), appointment_id, trail)
    if not (visit.doctor_is_listed and is_ahead(visit, now)):
        return page.redirect(f"/my/appointments/{visit.id}")
    # A page of its own instead of a dialog, which would need a script (ADR 0024).
    if start is not None:
        return page.render(
            "patient/confirm_reschedule.html", **_shown(page, visit, now), slot=_moved(visit, start), form=Form()
        )
    doctor = await doctors.get_doctor(transaction, visit.doctor_id)
    shown = week or visit.start_time.astimezone(page.clock_of(visit.time_zone)).date()
    times = await list_times(page, transaction, search_time, doctor, visit.visit_type_id, shown, now, moving=visit)
    return page.render("patient/reschedule.html", **_shown(page, visit, now), times=times)


@router.post(_ONE + "/move")
async def reschedule_appointment(
    appointment_id: UUID,
    page: ChangeOwnVisitPage,
    form: SentForm,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Once,
) -> Response:
    """Move the visit. It stays where it is if the new time is not available."""
    visit = await _get(page, transaction, scope_to_change(page.actor, now.date()), appointment_id, trail)
    # Outside of the `try`: without a start there is no time to show again.
    typed = form.read(Move)
    try:
        await booking.reschedule_appointment(
            transaction,
            page.actor,
            appointment_id,
            start=typed.start,
            visit_type_id=None,
            versions=frozenset({typed.version}),
            now=now,
        )
    except DomainError as error:
        if not is_ahead(visit, now):
            raise _redirect_to_visit(page, visit, error) from error
        slot = _moved(visit, typed.start)
        raise refuse(
            page,
            "patient/confirm_reschedule.html",
            form,
            error,
            shown_by=show_moving,
            **_shown(page, visit, now),
            slot=slot,
        ) from error
    return page.redirect(f"/my/appointments/{visit.id}", page.gettext("The visit has been moved."))


async def _list_own(
    page: SignedInPage, transaction: DbTransaction, after: PageKey | None, as_of: datetime
) -> Sequence[AppointmentRecord]:
    return await appointments.page_appointments(
        transaction,
        Scope(patient_id=page.actor.id),
        as_of=as_of,
        since=None,
        until=None,
        statuses=(),
        after=after,
        limit=MAX_LISTED + 1,
    )


async def _add_visits_of_children(
    page: SignedInPage,
    transaction: DbTransaction,
    own: Sequence[AppointmentRecord],
    after: PageKey | None,
    as_of: datetime,
    now: datetime,
) -> Sequence[AppointmentRecord]:
    """Return a page of the patient's own visits with the upcoming ones of their children, in the same order.

    They are read separately, so that each list is read in the order of an index.
    """
    scope = Scope(dependants=dependants_of(page.actor, GuardianRight.SEE, now))
    if after and after.over:
        return own
    theirs = await appointments.page_appointments(
        transaction,
        scope,
        as_of=as_of,
        since=as_of,
        until=None,
        statuses=ACTIVE,
        after=after,
        limit=MAX_LISTED + 1,
    )
    to_come = [*theirs, *(each for each in own if not each.is_over(as_of))]
    to_come.sort(key=lambda each: (each.start_time, each.id))
    return [*to_come, *(each for each in own if each.is_over(as_of))]


async def _find_canceller(page: SignedInPage, transaction: DbTransaction, visit: AppointmentRecord) -> str | None:
    """Return the name of another patient who has cancelled the visit, such as the other parent; otherwise ``None``."""
    if visit.cancelled_by is None or visit.cancelled_by in {page.actor.id, visit.doctor_id}:
        return None
    found = await patients.find_patient(transaction, visit.cancelled_by)
    return found.name if found else None


async def _get(
    page: SignedInPage, transaction: DbTransaction, scope: Scope, appointment_id: UUID, trail: Audit
) -> AppointmentRecord:
    visit = await appointments.get_appointment(transaction, scope, appointment_id)
    trail.concerns(visit)
    # With the zone of the visit, because its doctor may no longer be listed.
    await load_zones(page, transaction, visit.time_zone)
    return visit


def _shown(page: SignedInPage, visit: AppointmentRecord, now: datetime) -> dict[str, Any]:
    cutoff = timedelta(minutes=visit.cancel_cutoff_minutes)
    refusal = check_action(
        Action.CANCEL,
        visit.status,
        to_instant(visit.start_time),
        to_instant(now),
        cutoff=visit.cancel_cutoff_minutes * MINUTE,
    )
    return {
        "visit": visit,
        "zone": page.clock_of(visit.time_zone),
        "refusal": refusal,
        "changeable_until": visit.start_time - cutoff,
        "is_upcoming": visit.status.is_active and visit.start_time > now,
    }


def _redirect_to_visit(page: SignedInPage, visit: AppointmentRecord, error: DomainError) -> RefusedForm:
    """Return the exception that redirects to a visit that cannot be changed any more: its page shows its state."""
    message = explain(page.formatter, "wrong_status")
    return RefusedForm(page.redirect(f"/my/appointments/{visit.id}", message, "note"), error)


def is_ahead(visit: AppointmentRecord, now: datetime) -> bool:
    """Return whether a visit is listed as upcoming: active and not over."""
    return visit.status.is_active and not visit.is_over(now)


def _moved(visit: AppointmentRecord, start: datetime) -> Slot:
    return Slot(start, start + (visit.end_time - visit.start_time))
