"""Booking a visit: a time is picked, held for five minutes, confirmed and booked."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel

from app.core.dependencies import DbTransaction, Now
from app.core.errors import DomainError, Kind, invalid_field
from app.core.permissions import GuardianRight, Scope, scope_of
from app.http.audit import Audit, AuditRecorder
from app.http.problems import PROBLEMS
from app.repositories import appointments, doctors, guardians, holds, visit_types
from app.repositories.appointments import AppointmentRecord, Reference
from app.repositories.doctors import DoctorRecord
from app.repositories.holds import HoldRecord
from app.repositories.visit_types import VisitTypeRecord
from app.scheduling.intervals import to_instant
from app.scheduling.status import ACTIVE
from app.schemas.fields import Instant, Note
from app.services import booking, slots
from app.services.booking import BookingRequest
from app.services.dependants import choose_patient, dependants_of
from app.services.patient_limits import LIMIT_CODES
from app.web.kit.auth import BookingPage, HoldingPage, OwnVisitsPage
from app.web.kit.clocks import load_zones
from app.web.kit.drafts import Draft, drop, find_draft, restore
from app.web.kit.error_texts import explain
from app.web.kit.forms import Once, RefusedForm, SentForm, refuse
from app.web.kit.languages import N_
from app.web.kit.pages import Page, SignedInPage
from app.web.kit.routes import page_router
from app.web.kit.slots import Slot, lay_out
from app.web.patient.doctor_page import show_unavailable

router = page_router()

PICK = "/visit/pick"
MAX_ALTERNATIVES = 6
_VISIT_TYPE_GONE = N_("This visit type is no longer offered. Choose another one.")
_BOOKED_BEFORE = N_(
    "You have already booked this visit, in another tab or by tapping twice. What you wrote now was not added."
)
_NEAR = timedelta(days=3)
_SEARCHED = timedelta(days=14)


class Pick(BaseModel):
    """A time that a visitor has picked."""

    doctor: UUID
    start: Instant
    type: UUID | None = None

    @property
    def booking_request(self) -> BookingRequest:
        """The same as a request to the booking service."""
        return BookingRequest(self.doctor, self.start, visit_type_id=self.type)


class Booking(Pick):
    """The visit to be booked, as the page showed it. It can be booked even if the hold has expired."""

    end: Instant | None = None
    reason: Note | None = None
    patient: UUID | None = None
    """The child whom the visit is for; ``None`` if it is for the patient who books."""

    @property
    def booking_request(self) -> BookingRequest:
        """The request with the end that was shown, so that the visit cannot become longer unnoticed."""
        return replace(super().booking_request, end=self.end)


@router.get(PICK)
async def show_pick(page: BookingPage, transaction: DbTransaction) -> Response:
    """Show the time that was picked before signing in, with the button that reserves it."""
    pick = restore(page, dict(page.request.query_params)).read(Pick)
    content = await _describe(page, transaction, pick)
    return page.render("patient/pick.html", **content) if content else show_unavailable(page, HTTPStatus.NOT_FOUND)


# No `Once`: a second hold replaces the first (ADR 0009).
@router.post(PICK)
async def hold_time(page: BookingPage, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit) -> Response:
    """Hold the time for five minutes, and redirect to the form that books it."""
    pick = form.read(Pick)
    try:
        held = await booking.hold_time(
            transaction,
            page.actor,
            pick.booking_request,
            patient=Reference(page.actor.id, page.actor.name),
            limits=page.resources.patient_limits,
            now=now,
        )
    except DomainError as error:
        raise await _refuse_time(page, transaction, pick, error, now) from error
    trail.about(held.id)
    draft = find_draft(page, page.actor.id)
    response = page.redirect(hold_page(held.id))
    # The patient had filled in the form for a time that was taken. Carry it over to the form for the new hold.
    if draft and draft.typed.keys() & {"reason", "patient"}:
        replace(draft, action=hold_page(held.id), path=hold_page(held.id)).save(page, response)
    return response


@router.get("/visit/{hold_id:uuid}")
async def show_hold(hold_id: UUID, page: HoldingPage, transaction: DbTransaction, now: Now, trail: Audit) -> Response:
    """Show the held time, with the form that books it."""
    trail.concerns_patient(page.actor.id).add(hold_id)
    held = await holds.find_hold(transaction, hold_id, page.actor.id)
    if held is None:
        return await _redirect_from_missing_hold(page, transaction, hold_id, now)
    # Not validated: the schema reads the text of a form, and these values come from the database.
    pick = Pick.model_construct(doctor=held.doctor_id, start=held.start_time, type=held.visit_type_id)
    # A hold that has expired keeps neither its length nor its time.
    content = await _describe(page, transaction, pick, held if now < held.expires_at else None)
    if content is None:
        return await _show_unavailable_doctor(page, transaction, held.doctor_id)
    if held.expires_at <= now:
        return page.render("patient/pick.html", **content, is_over=True)
    content |= {"hold_id": hold_id, "held": held, "children": await _list_children(page, transaction, now, trail)}
    return page.render("patient/confirm_booking.html", **content, form=restore(page))


async def _show_unavailable_doctor(page: SignedInPage, transaction: DbTransaction, doctor_id: UUID) -> Response:
    """Show that the doctor cannot be booked any more.

    The page may name the doctor's specialty, because the patient has seen it when picking the time.
    """
    doctor = await doctors.get_own_profile(transaction, doctor_id)
    return show_unavailable(page, PROBLEMS["doctor_unavailable"][0], doctor.specialty)


async def _list_children(
    page: SignedInPage, transaction: DbTransaction, now: datetime, trail: AuditRecorder
) -> Sequence[Reference]:
    """Return the children for whom the patient may book."""
    found = await guardians.list_dependants(transaction, dependants_of(page.actor, GuardianRight.BOOK, now))
    for each in found:
        trail.concerns_patient(each.patient.id)
    return [Reference(each.patient.id, each.patient.name) for each in found]


async def _redirect_from_missing_hold(
    page: SignedInPage, transaction: DbTransaction, hold_id: UUID, now: datetime
) -> Response:
    """Redirect to the appointment if the hold was booked. It has the same id, so the back button leads here."""
    try:
        booked = await appointments.get_appointment(transaction, scope_of(page.actor, now.date()), hold_id)
    except DomainError:
        return page.render("patient/hold_expired.html", HTTPStatus.NOT_FOUND)
    return page.redirect(_visit(booked.id))


@router.post("/visit/{hold_id:uuid}")
async def book_appointment(
    hold_id: UUID, page: BookingPage, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit, _: Once
) -> Response:
    """Book the visit."""
    pick = form.read(Pick)
    try:
        typed = form.read(Booking)
        patient = await _choose_patient(page, transaction, typed.patient, now)
    except DomainError as error:
        trail.concerns_patient(page.actor.id).add(hold_id)
        held = await holds.find_hold(transaction, hold_id, page.actor.id)
        content = await _describe(page, transaction, pick, held)
        if content is None:
            code = "doctor_unavailable" if held and held.doctor_id == pick.doctor else "not_found"
            raise await _refuse_time(page, transaction, pick, DomainError(code), now) from error
        content |= {"hold_id": hold_id, "held": held, "children": await _list_children(page, transaction, now, trail)}
        raise refuse(page, "patient/confirm_booking.html", form, error, shown_by=show_hold, **content) from error
    try:
        booked = await booking.book_appointment(
            transaction,
            page.actor,
            typed.booking_request,
            patient=patient,
            reason=typed.reason or None,
            hold_id=hold_id,
            limits=page.resources.patient_limits,
            now=now,
        )
    except DomainError as error:
        raise await _refuse_time(page, transaction, pick, error, now, typed) from error
    trail.concerns(booked)
    response = page.redirect(f"/visit/done/{booked.id}")
    # It may name the page of another hold, which `redirect` would not recognise.
    drop(page, response)
    return response


async def _choose_patient(
    page: SignedInPage, transaction: DbTransaction, child: UUID | None, now: datetime
) -> Reference:
    try:
        return await choose_patient(transaction, page.actor, child, now)
    except DomainError as error:
        # The right to book for the child has ended since the form was opened.
        raise invalid_field("patient", "not_in_list") from error


@router.post("/visit/{hold_id:uuid}/release")
async def release_hold(
    hold_id: UUID, page: HoldingPage, form: SentForm, transaction: DbTransaction, trail: Audit
) -> Response:
    """Release the hold, and redirect to the doctor's other times. A hold that no longer exists is not an error."""
    pick = form.read(Pick)
    trail.about(hold_id)
    await holds.delete_hold(transaction, hold_id, page.actor.id)
    return page.redirect(_week_of(page, pick))


@router.get("/visit/done/{appointment_id:uuid}")
async def show_booked(
    appointment_id: UUID, page: OwnVisitsPage, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Show the confirmation of a booking."""
    booked = await appointments.get_appointment(transaction, scope_of(page.actor, now.date()), appointment_id)
    trail.concerns(booked)
    await load_zones(page, transaction, booked.time_zone)
    return page.render("patient/booked.html", visit=booked, zone=page.clock_of(booked.time_zone))


def _visit(appointment_id: UUID) -> str:
    return f"/my/appointments/{appointment_id}"


def hold_page(hold_id: UUID) -> str:
    """Return the path of the page of a hold."""
    return f"/visit/{hold_id}"


def _week_of(page: Page, pick: Pick) -> str:
    query = {"week": str((pick.start.astimezone(page.zone) if page.zone else pick.start).date())} | (
        {"type": str(pick.type)} if pick.type else {}
    )
    return f"/with/{pick.doctor}?{urlencode(query)}"


async def _describe(
    page: Page, transaction: DbTransaction, pick: Pick, held: HoldRecord | None = None
) -> dict[str, Any] | None:
    """Return what pages show about a picked or held time; ``None`` if the doctor cannot be booked."""
    doctor = await doctors.find_doctor(transaction, pick.doctor)
    if doctor is None:
        return None
    visit_type = await _find_visit_type(transaction, pick)
    await load_zones(page, transaction, doctor.time_zone)
    return {
        "pick": pick,
        "doctor": doctor,
        "visit_type": visit_type,
        "zone": page.clock_of(doctor.time_zone),
        "slot": Slot(
            pick.start, held.end_time if held else pick.start + timedelta(minutes=_length(doctor, visit_type))
        ),
        "others": _week_of(page, pick if visit_type else pick.model_copy(update={"type": None})),
    }


async def _find_visit_type(transaction: DbTransaction, pick: Pick) -> VisitTypeRecord | None:
    return await visit_types.find_visit_type(transaction, pick.doctor, pick.type) if pick.type else None


def _length(doctor: DoctorRecord, visit_type: VisitTypeRecord | None) -> int:
    return visit_type.duration_minutes if visit_type else doctor.default_visit_minutes


async def _refuse_time(
    page: SignedInPage,
    transaction: DbTransaction,
    pick: Pick,
    error: DomainError,
    now: datetime,
    typed: Booking | None = None,
) -> Exception:
    """Return the exception to raise if a time cannot be booked: a page with the reason and the nearest free times.

    ``typed`` is the form of the visit, ``None`` before it was shown. What was typed is stored as a draft, so that it is
    filled in again once another time is picked.
    """
    if error.code == "doctor_unavailable":
        return RefusedForm(await _show_unavailable_doctor(page, transaction, pick.doctor), error)
    if error.kind not in {Kind.CONFLICT, Kind.INVALID, Kind.NOT_FOUND}:
        return error
    content = await _describe(page, transaction, pick)
    if content is None:
        return RefusedForm(show_unavailable(page, HTTPStatus.NOT_FOUND), error)
    slot: Slot = content["slot"]
    # First: after a second tap, or in a second tab, the patient's own visit is what is in the way.
    if own := await _find_own(page, transaction, pick.doctor, slot, now):
        message: str | None = page.gettext("You already have an appointment with this doctor at this time.")
        if typed and own.start_time == pick.start and own.patient_id == (typed.patient or page.actor.id):
            has_new_reason = typed.reason and typed.reason != own.reason
            message = page.gettext(_BOOKED_BEFORE) if has_new_reason else None
        response = page.redirect(_visit(own.id), message, "note")
        drop(page, response)
        return RefusedForm(response, error)
    # A limit of the patient would refuse any other time as well.
    is_limited = error.code in LIMIT_CODES
    near = [] if is_limited else await _list_nearest(page, transaction, pick, now)
    response = page.render(
        "patient/slot_taken.html",
        PROBLEMS[error.code][0],
        **content,
        code=error.code,
        sentence=page.gettext(_VISIT_TYPE_GONE) if error.code == "not_found" else explain(page.formatter, error.code),
        is_limited=is_limited,
        days=[day for day in near if day.parts],
    )
    kept = {"reason": typed.reason or "", "patient": str(typed.patient or "")} if typed else {}
    if any(kept.values()) and (draft := Draft.make(kept, page.actor.id, PICK, PICK)):
        draft.save(page, response)
    return RefusedForm(response, error)


async def _find_own(
    page: SignedInPage, transaction: DbTransaction, doctor_id: UUID, slot: Slot, now: datetime
) -> AppointmentRecord | None:
    """Return the appointment of the patient or of a child with the doctor at this time.

    For example one that was booked in another tab.
    """
    for scope in Scope(patient_id=page.actor.id), Scope(dependants=dependants_of(page.actor, GuardianRight.SEE, now)):
        found = await appointments.page_appointments(
            transaction,
            scope,
            as_of=now,
            since=slot.start,
            until=slot.end,
            statuses=ACTIVE,
            after=None,
            limit=MAX_ALTERNATIVES,
        )
        if own := next((each for each in found if each.doctor_id == doctor_id), None):
            return own
    return None


async def _list_nearest(page: SignedInPage, transaction: DbTransaction, pick: Pick, now: datetime) -> Sequence[Any]:
    start = max(now, pick.start - _NEAR)
    try:
        doctor, found = await slots.list_slots(
            transaction,
            pick.doctor,
            computation=None,  # without waiting for a turn: a writing transaction would hold its locks meanwhile
            visit_type_id=pick.type,
            start=start,
            end=start + _SEARCHED,
            viewer=page.actor.id,
            now=now,
        )
    except DomainError:
        return []
    picked = to_instant(pick.start)
    others = [visit for visit in found if visit[0] != picked]
    nearest = sorted(sorted(others, key=lambda visit: abs(visit[0] - picked))[:MAX_ALTERNATIVES])
    zone = page.clock_of(doctor.time_zone)
    days = sorted({Slot.of(visit).start.astimezone(zone).date() for visit in nearest})
    return lay_out(nearest, days, zone)
