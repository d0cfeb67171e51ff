"""Book, list, reschedule and cancel appointments."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import Field, TypeAdapter

from app.core.dependencies import AnyActor, AppResources, BookingActor, CalendarActor, DbTransaction, Now
from app.core.permissions import Scope, scope_of
from app.http.audit import Audit, AuditRecorder
from app.http.idempotency import Idempotent
from app.http.paging import APPOINTMENT_CURSOR, LINK_HEADER, cut_page, read_appointment_cursor, read_cursor
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfMatch, tag_appointment
from app.repositories import appointment_versions, appointments
from app.repositories.appointment_versions import VersionRecord
from app.repositories.appointments import AppointmentRecord
from app.scheduling.status import ACTIVE
from app.schemas import appointments as wire
from app.schemas.fields import PageQuery
from app.services import appointment_status, booking, conflicts
from app.services.booking import BookingRequest
from app.services.dependants import choose_patient
from app.services.patient_limits import LIMIT_CODES

router = APIRouter(tags=["Appointments"], route_class=StrictRoute)

REFUSALS = (
    "in_the_past",
    "too_soon",
    "too_far_ahead",
    "outside_availability",
    "time_off",
    "off_grid",
    "day_full",
    "slot_taken",
    "patient_busy",
    "visit_type_required",
    "unknown_time_zone",
)
"""The codes with which a time can be refused."""
CANCEL_REFUSALS = ("wrong_status", "already_started", "too_late")
_NO_REASON = wire.Cancellation()

# The bound is that of the database's integer: PostgreSQL would fail on a larger number.
_VERSION = TypeAdapter(Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)])


def changing(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a change of an appointment, which may also fail with these error codes."""
    return {
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "not_found", *codes, "version_mismatch", "invalid_request", "busy"),
    }


@router.get(
    "/doctors/me/appointments",
    response_model=list[wire.Appointment],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "unknown_time_zone", "invalid_request", "busy"),
    },
)
async def list_doctors_appointments(
    query: Annotated[wire.DoctorsAppointmentsQuery, Query()],
    request: Request,
    response: Response,
    actor: CalendarActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> Sequence[AppointmentRecord]:
    """List your upcoming appointments as a doctor.

    Without parameters, the list contains the appointments that are `booked` or `arrived` and have not ended, the next
    one first.

    With `from`, `to` or `status`, it contains all appointments that match, including past and cancelled ones: first
    those that have not ended, the next one first, then the past ones, the latest first.

    With `conflicting=true`, it contains only appointments that are `booked` or `arrived`, have not ended, and lie
    outside your current hours or in your time off. This is computed for every request.
    """
    page = (
        partial(conflicts.page_conflicting, transaction, actor.id)
        if query.conflicting
        else partial(appointments.page_appointments, transaction, Scope(doctor_id=actor.id))
    )
    upcoming = query.from_ is None and query.to is None and not query.status
    return await list_page(page, query, request, response, now, trail, upcoming=upcoming)


@router.post(
    "/appointments",
    status_code=status.HTTP_201_CREATED,
    response_model=wire.Appointment,
    responses={
        201: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "email_not_confirmed",
            "not_found",
            "doctor_unavailable",
            *REFUSALS,
            *LIMIT_CODES,
            "wrong_length",
            "request_in_flight",
            "body_too_large",
            "key_reused",
            "invalid_request",
            "busy",
        ),
    },
)
async def book_appointment(
    body: wire.NewAppointment,
    response: Response,
    actor: BookingActor,
    transaction: DbTransaction,
    resources: AppResources,
    now: Now,
    trail: Audit,
    # After `Audit`: a repeated request is answered here at once, and is recorded as a look (ADR 0017).
    _: Idempotent,
) -> AppointmentRecord:
    """Book an appointment for yourself, or for one of your dependants (`on_behalf_of`).

    With a doctor who offers visit types, send the `visit_type_id` and the start of one of the doctor's slots. With a
    doctor who does not, any time within one of the doctor's free windows can be booked.

    If several patients book the same time at once, exactly one succeeds, and the others get `slot_taken`. Send an
    `Idempotency-Key`, so that you can safely repeat the request if the response is lost.
    """
    booked = await booking.book_appointment(
        transaction,
        actor,
        BookingRequest(body.doctor_id, body.start_time, body.end_time, body.visit_type_id),
        patient=await choose_patient(transaction, actor, body.on_behalf_of, now),
        reason=body.reason or None,
        hold_id=body.hold_id,
        limits=resources.patient_limits,
        now=now,
    )
    trail.concerns(booked)
    return tag_appointment(response, booked)


@router.get(
    "/appointments",
    response_model=list[wire.Appointment],
    responses={200: {"headers": LINK_HEADER}, **responses("not_authenticated", "invalid_request", "busy")},
)
async def list_appointments(
    query: Annotated[wire.AppointmentsQuery, Query()],
    request: Request,
    response: Response,
    actor: AnyActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> Sequence[AppointmentRecord]:
    """List your appointments, as a patient or as a doctor.

    Those of a dependant: `GET /patients/me/dependants/{dependant_id}/appointments`.

    First those that have not ended, the next one first; then the past ones, the latest first.
    """
    page = partial(appointments.page_appointments, transaction, scope_of(actor))
    return await list_page(page, query, request, response, now, trail)


@router.get(
    "/appointments/{appointment_id:uuid}",
    response_model=wire.Appointment,
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "not_found", "invalid_request", "busy"),
    },
)
async def get_appointment(
    appointment_id: UUID, response: Response, actor: AnyActor, transaction: DbTransaction, now: Now, trail: Audit
) -> AppointmentRecord:
    """Get one of your appointments, or one of your dependants'.

    The `ETag` is its version. Send it as `If-Match` when you change the appointment.
    """
    found = await appointments.get_appointment(transaction, scope_of(actor, now.date()), appointment_id)
    trail.concerns(found)
    return tag_appointment(response, found)


@router.get(
    "/appointments/{appointment_id:uuid}/history",
    response_model=list[wire.Version],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "not_found", "invalid_request", "busy"),
    },
)
async def list_versions(
    appointment_id: UUID,
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    actor: AnyActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> Sequence[VersionRecord]:
    """List the versions of one of your appointments, or one of your dependants'.

    Oldest first. Each version shows the state of the appointment, when this state began, and who made the change.
    """
    appointment = await appointments.get_appointment(transaction, scope_of(actor, now.date()), appointment_id)
    trail.concerns(appointment)
    after = read_cursor(query.cursor, _VERSION)
    found = await appointment_versions.page_versions(transaction, appointment, after=after, limit=query.limit + 1)
    return cut_page(request, response, found, limit=query.limit, key_type=_VERSION, key=lambda version: version.version)


@router.delete(
    "/appointments/{appointment_id:uuid}",
    response_model=wire.Appointment,
    responses=changing(*CANCEL_REFUSALS),
)
async def cancel_appointment(
    appointment_id: UUID,
    response: Response,
    actor: AnyActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfMatch,
    trail: Audit,
) -> AppointmentRecord:
    """Cancel one of your appointments, or one of your dependants'.

    Its time can be booked again at once. Cancelling a second time returns the same response. Patients can cancel until
    the visit starts, or until the doctor's cancellation deadline (`cancel_cutoff_minutes` before the start). To give a
    reason, use `POST /appointments/{appointment_id}/cancel`.
    """
    cancelled = await appointment_status.cancel_appointment(
        transaction, actor, appointment_id, versions=versions, now=now
    )
    trail.concerns(cancelled)
    return tag_appointment(response, cancelled)


@router.post(
    "/appointments/{appointment_id:uuid}/cancel",
    response_model=wire.Appointment,
    responses=changing(*CANCEL_REFUSALS, "request_in_flight", "body_too_large", "key_reused"),
)
async def cancel_appointment_with_reason(
    appointment_id: UUID,
    response: Response,
    actor: AnyActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfMatch,
    trail: Audit,
    _: Idempotent,
    body: wire.Cancellation = _NO_REASON,
) -> AppointmentRecord:
    """Cancel one of your appointments, and give a reason.

    The other party can read the reason. The body is optional. Otherwise, this works like `DELETE
    /appointments/{appointment_id}`.
    """
    cancelled = await appointment_status.cancel_appointment(
        transaction, actor, appointment_id, reason=body.reason or None, versions=versions, now=now
    )
    trail.concerns(cancelled)
    return tag_appointment(response, cancelled)


@router.post(
    "/appointments/{appointment_id:uuid}/reschedule",
    response_model=wire.Appointment,
    responses=changing(
        *CANCEL_REFUSALS, *REFUSALS, "doctor_unavailable", "request_in_flight", "body_too_large", "key_reused"
    ),
)
async def reschedule_appointment(
    appointment_id: UUID,
    body: wire.Move,
    response: Response,
    actor: AnyActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfMatch,
    trail: Audit,
    _: Idempotent,
) -> AppointmentRecord:
    """Move one of your appointments, or one of your dependants', to another time.

    It keeps its id. If the new time is not available, the appointment stays where it is. The rules for booking apply
    to the new time. Patients can move a visit for as long as they can cancel it. If the doctor takes no bookings at the
    moment, patients get `doctor_unavailable`; they can still cancel.
    """
    moved = await booking.reschedule_appointment(
        transaction,
        actor,
        appointment_id,
        start=body.start_time,
        visit_type_id=body.visit_type_id,
        versions=versions,
        now=now,
    )
    trail.concerns(moved)
    return tag_appointment(response, moved)


async def list_page(
    page: Callable[..., Awaitable[Sequence[AppointmentRecord]]],
    query: wire.AppointmentsQuery,
    request: Request,
    response: Response,
    now: Now,
    trail: AuditRecorder,
    *,
    upcoming: bool = False,
) -> Sequence[AppointmentRecord]:
    """Return a page of appointments. ``page`` queries it; with ``upcoming``, only active ones that have not ended."""
    # The cursor contains the time of the first page. What was upcoming then is upcoming on all pages, so that pages
    # neither skip nor repeat an appointment.
    after, as_of = read_appointment_cursor(query.cursor, now)
    found = await page(
        as_of=as_of,
        since=as_of if upcoming else query.from_,
        until=query.to,
        statuses=ACTIVE if upcoming else query.status,
        after=after,
        limit=query.limit + 1,
    )
    listed = cut_page(
        request,
        response,
        found,
        limit=query.limit,
        key_type=APPOINTMENT_CURSOR,
        key=partial(appointments.page_key, as_of=as_of),
    )
    trail.concerns(*listed)
    return listed
