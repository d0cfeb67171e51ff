"""Public profiles of doctors, and a doctor's own profile."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from pydantic import TypeAdapter

from app.core.dependencies import AppResources, DbTransaction, Now, ProfileActor, Public, SearchTime
from app.http.after_response import save_bounds_after_response
from app.http.audit import Audit
from app.http.paging import LINK_HEADER, cut_page, read_cursor
from app.http.problems import responses
from app.http.representations import affected_members, review_members
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.repositories import doctors
from app.repositories.doctors import DoctorRecord
from app.schemas import doctors as wire
from app.schemas.fields import SortKey
from app.services import doctor_profile
from app.services.slot_scanner import find_next_starts

router = APIRouter(prefix="/doctors", tags=["Doctors"], route_class=StrictRoute)

_KEY = TypeAdapter(tuple[SortKey, UUID])


@router.get("", responses={200: {"headers": LINK_HEADER}, **responses("invalid_request", "busy")})
async def list_doctors(
    query: Annotated[wire.DoctorsQuery, Query()],
    request: Request,
    response: Response,
    transaction: DbTransaction,
    resources: AppResources,
    search_time: SearchTime,
    tasks: BackgroundTasks,
    now: Now,
    _: Public,
) -> list[wire.ListedDoctor]:
    """List doctors by name, with their next available times.

    `next_available` is the start of the earliest visit that can be booked with the doctor, in UTC.
    """
    found = await doctors.page_doctors(
        transaction,
        q=query.q,
        specialty=query.specialty,
        language=query.language,
        mode=query.mode,
        after=read_cursor(query.cursor, _KEY),
        limit=query.limit + 1,
    )
    page = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=doctors.page_key)
    starts, bounds = await find_next_starts(transaction, search_time, [doctor.id for doctor in page], now)
    # After the response, because a GET cannot write (ADR 0002).
    save_bounds_after_response(tasks, resources.database, bounds)
    return [wire.ListedDoctor(**asdict(doctor), next_available=starts.get(doctor.id)) for doctor in page]


@router.get(
    "/me",
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
    },
)
async def get_own_practice(response: Response, actor: ProfileActor, transaction: DbTransaction) -> wire.OwnPractice:
    """Get your own profile as a doctor.

    It contains what patients see, and in `pending_change` what an administrator still has to decide. The `ETag` is the
    version of the profile including the pending change.
    """
    doctor, review = await doctor_profile.get_profile(transaction, actor.id)
    tag_content(response, asdict(doctor_profile.apply_pending_change(doctor, review)))
    return wire.OwnPractice(**asdict(doctor), **review_members(review))


@router.patch(
    "/me",
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "wrong_role", "version_mismatch", "body_too_large", "invalid_request", "busy"),
    },
)
async def change_practice(
    body: wire.DoctorChanges,
    response: Response,
    actor: ProfileActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
    trail: Audit,
) -> wire.ChangedDoctor:
    """Change your profile and your booking limits.

    Send only the fields to change. Appointments that are booked stay booked. If you change the time zone, your hours
    keep their wall times, and the response lists the appointments that are then outside your hours.

    If the operator requires the approval of doctors, an administrator reviews a new name or specialty. Until the
    decision it is in `pending_change`, and patients continue to see the current one.
    """
    reviewed = resources.settings.requires_doctor_approval
    doctor, review, affected = await doctor_profile.change_profile(
        transaction, actor.id, body.changes(), now, reviewed=reviewed, versions=versions
    )
    tag_content(response, asdict(doctor_profile.apply_pending_change(doctor, review)))
    trail.shows(*affected.appointments)
    return wire.ChangedDoctor(**asdict(doctor), **affected_members(affected), **review_members(review))


@router.get(
    "/{doctor_id:uuid}",
    response_model=wire.Doctor,
    responses=responses("not_found", "invalid_request", "busy"),
)
async def get_doctor(doctor_id: UUID, transaction: DbTransaction, _: Public) -> DoctorRecord:
    """Get a doctor's public profile."""
    return await doctors.get_doctor(transaction, doctor_id)
