"""Booking, listing and cancelling appointments."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import TypeAdapter

from app.core.dependencies import AnyActor, DbSession, DoctorActor, Now, PatientActor
from app.core.permissions import Actor
from app.repositories import appointments
from app.repositories.appointments import AppointmentRecord, PageKey
from app.routers.paging import LINK_HEADER, cut_page, read_cursor
from app.routers.problems import responses
from app.routers.requests import StrictRoute
from app.schemas import appointments as wire
from app.schemas.fields import Instant
from app.services import booking

router = APIRouter(tags=["Appointments"], route_class=StrictRoute)

_KEY = TypeAdapter(tuple[Instant, bool, Instant, UUID])


@router.get(
    "/doctors/me/appointments",
    response_model=list[wire.Appointment],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
    },
    tags=["Doctors"],
)
async def list_doctors_appointments(
    query: Annotated[wire.AppointmentsQuery, Query()],
    request: Request,
    response: Response,
    actor: DoctorActor,
    session: DbSession,
    now: Now,
) -> Sequence[AppointmentRecord]:
    """List your appointments as a doctor: the upcoming ones first, the next at the top; then the past, backwards."""
    return await _list_own(query, request, response, actor, session, now)


@router.post(
    "/appointments",
    status_code=status.HTTP_201_CREATED,
    response_model=wire.Appointment,
    responses=responses(
        "not_authenticated",
        "wrong_role",
        "not_found",
        "slot_taken",
        "outside_availability",
        "in_the_past",
        "patient_busy",
        "body_too_large",
        "invalid_request",
        "busy",
    ),
)
async def book_appointment(
    body: wire.NewAppointment, actor: PatientActor, session: DbSession, now: Now
) -> AppointmentRecord:
    """Book a visit for yourself.

    Whatever lies within a free window of the doctor can be booked. If several patients want the same time at once,
    exactly one of them gets it; the others are told `slot_taken`.
    """
    return await booking.book_appointment(
        session,
        actor,
        doctor_id=body.doctor_id,
        start=body.start_time,
        end=body.end_time,
        reason=body.reason or None,
        now=now,
    )


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
    session: DbSession,
    now: Now,
) -> Sequence[AppointmentRecord]:
    """List your appointments, as a patient or as a doctor.

    The upcoming ones first, the next at the top; then the past, backwards.
    """
    return await _list_own(query, request, response, actor, session, now)


@router.get(
    "/appointments/{appointment_id:uuid}",
    response_model=wire.Appointment,
    responses=responses("not_authenticated", "not_found", "invalid_request", "busy"),
)
async def get_appointment(appointment_id: UUID, actor: AnyActor, session: DbSession) -> AppointmentRecord:
    """One of your appointments."""
    return await appointments.get_appointment(session, actor, appointment_id)


@router.delete(
    "/appointments/{appointment_id:uuid}",
    response_model=wire.Appointment,
    responses=responses("not_authenticated", "not_found", "already_started", "wrong_status", "invalid_request", "busy"),
)
async def cancel_appointment(appointment_id: UUID, actor: AnyActor, session: DbSession, now: Now) -> AppointmentRecord:
    """Cancel one of your appointments; its time is free again at once.

    Cancelling again answers the same. A patient can cancel until the visit starts.
    """
    return await booking.cancel_appointment(session, actor, appointment_id, now)


async def _list_own(
    query: wire.AppointmentsQuery,
    request: Request,
    response: Response,
    actor: Actor,
    session: DbSession,
    now: Now,
) -> Sequence[AppointmentRecord]:
    cursor = read_cursor(query.cursor, _KEY)
    after = PageKey(*cursor) if cursor else None
    # What is upcoming is decided on the first page; otherwise the border would move while somebody pages.
    as_of = after.as_of if after else now
    found = await appointments.page_appointments(
        session,
        actor,
        as_of=as_of,
        since=query.from_,
        until=query.to,
        statuses=query.status,
        after=after,
        limit=query.limit + 1,
    )
    return cut_page(
        request,
        response,
        found,
        limit=query.limit,
        key_type=_KEY,
        key=partial(appointments.page_key, as_of=as_of),
    )
