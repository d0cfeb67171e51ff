"""Doctors, when they are open, and when they are free."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import NaiveDatetime, TypeAdapter

from app.core.dependencies import DbSession, DoctorActor, Now, Public
from app.repositories import availabilities, doctors
from app.repositories.availabilities import AvailabilityRecord
from app.repositories.doctors import DoctorRecord
from app.routers.paging import LINK_HEADER, cut_page, read_cursor
from app.routers.problems import responses
from app.routers.requests import StrictRoute
from app.scheduling.availability import window
from app.scheduling.intervals import from_instant
from app.schemas import doctors as wire
from app.schemas.fields import SortKey
from app.services import availability

router = APIRouter(prefix="/doctors", tags=["Doctors"], route_class=StrictRoute)

_DOCTORS_KEY = TypeAdapter(tuple[SortKey, UUID])
_AVAILABILITIES_KEY = TypeAdapter(tuple[NaiveDatetime, UUID])


@router.get(
    "",
    response_model=list[wire.Doctor],
    responses={200: {"headers": LINK_HEADER}, **responses("invalid_request", "busy")},
)
async def list_doctors(
    query: Annotated[wire.DoctorsQuery, Query()],
    request: Request,
    response: Response,
    session: DbSession,
    _: Public,
) -> Sequence[DoctorRecord]:
    """List doctors, by name."""
    found = await doctors.page_doctors(
        session,
        q=query.q,
        specialty=query.specialty,
        after=read_cursor(query.cursor, _DOCTORS_KEY),
        limit=query.limit + 1,
    )
    return cut_page(request, response, found, limit=query.limit, key_type=_DOCTORS_KEY, key=doctors.page_key)


@router.post(
    "/availability",
    status_code=status.HTTP_201_CREATED,
    response_model=wire.Availability,
    responses=responses(
        "not_authenticated", "wrong_role", "availability_overlaps", "body_too_large", "invalid_request", "busy"
    ),
)
async def publish_availability(
    body: wire.NewAvailability, actor: DoctorActor, session: DbSession, now: Now
) -> wire.Availability:
    """Open a stretch of your time for booking.

    It may touch another of yours, but not overlap it; it must lie in the future and be at most 7 days long.
    """
    doctor, published = await availability.publish_availability(
        session, actor, start=body.start_time, end=body.end_time, now=now
    )
    return _availability(doctor, published)


@router.get(
    "/me/availability",
    response_model=list[wire.Availability],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
    },
)
async def list_own_availability(
    query: Annotated[wire.AvailabilitiesQuery, Query()],
    request: Request,
    response: Response,
    actor: DoctorActor,
    session: DbSession,
) -> list[wire.Availability]:
    """List your availabilities, by their start."""
    doctor = await doctors.get_doctor(session, actor.id)
    found = await availabilities.page_availabilities(
        session, actor.id, after=read_cursor(query.cursor, _AVAILABILITIES_KEY), limit=query.limit + 1
    )
    page = cut_page(
        request, response, found, limit=query.limit, key_type=_AVAILABILITIES_KEY, key=availabilities.page_key
    )
    return [_availability(doctor, each) for each in page]


@router.delete(
    "/availability/{availability_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
)
async def withdraw_availability(availability_id: UUID, actor: DoctorActor, session: DbSession) -> None:
    """Close a stretch of your time. Appointments that are booked in it stay."""
    await availability.withdraw_availability(session, actor, availability_id)


@router.get(
    "/{doctor_id:uuid}",
    response_model=wire.Doctor,
    responses=responses("not_found", "invalid_request", "busy"),
)
async def get_doctor(doctor_id: UUID, session: DbSession, _: Public) -> DoctorRecord:
    """One doctor."""
    return await doctors.get_doctor(session, doctor_id)


@router.get(
    "/{doctor_id:uuid}/availability",
    response_model=list[wire.Window],
    responses=responses("not_found", "invalid_request", "busy"),
)
async def list_free_windows(
    doctor_id: UUID, query: Annotated[wire.FreeWindowsQuery, Query()], session: DbSession, now: Now, _: Public
) -> list[wire.Window]:
    """List when a doctor is free: open time less booked time, merged and sorted.

    Any visit of 5 minutes to 12 hours that lies within one of these windows can be booked.
    """
    free = await availability.list_free_windows(session, doctor_id, start=query.from_, end=query.to, now=now)
    return [wire.Window(start_time=from_instant(start), end_time=from_instant(end)) for start, end in free]


def _availability(doctor: DoctorRecord, record: AvailabilityRecord) -> wire.Availability:
    start, end = window(record.rule, ZoneInfo(doctor.time_zone))
    return wire.Availability(
        id=record.id,
        doctor_id=doctor.id,
        start_time=from_instant(start),
        end_time=from_instant(end),
        time_zone=doctor.time_zone,
    )
