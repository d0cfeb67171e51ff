"""What can be booked with a doctor: visit types, free windows, slots, and explanations of times."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter

from app.core.dependencies import DbTransaction, Now, Public, SearchTime, Viewer
from app.core.errors import ERRORS
from app.core.permissions import Actor
from app.http.paging import (
    LINK_HEADER,
    SEARCHED_UNTIL,
    SEARCHED_UNTIL_HEADER,
    cut_page,
    link_to,
    read_cursor,
    write_instant,
)
from app.http.problems import responses
from app.http.representations import represent_visit_type, slot_times
from app.http.requests import StrictRoute
from app.repositories import doctors, visit_types
from app.repositories.doctors import DoctorRecord
from app.scheduling.decisions import Refusal
from app.scheduling.intervals import Interval, from_instant
from app.schemas import slots as wire
from app.schemas.fields import PageQuery
from app.services import slots

router = APIRouter(prefix="/doctors/{doctor_id:uuid}", tags=["Booking"], route_class=StrictRoute)

_KEY = TypeAdapter(UUID)


@router.get(
    "/availability",
    responses={
        200: {"headers": LINK_HEADER | SEARCHED_UNTIL_HEADER},
        **responses("not_authenticated", "not_found", "unknown_time_zone", "invalid_request", "busy"),
    },
)
async def list_free_windows(
    doctor_id: UUID,
    query: Annotated[wire.FreeWindowsQuery, Query()],
    request: Request,
    response: Response,
    transaction: DbTransaction,
    search_time: SearchTime,
    now: Now,
    viewer: Viewer,
) -> list[wire.Window]:
    """List when a doctor is free.

    The windows are the doctor's hours without time off and booked time, merged and sorted. If the doctor offers no
    visit types, any visit of 5 minutes to 12 hours within one of them can be booked.

    Without `to`, the list covers 14 days. `Searched-Until` says where it ends. If the doctor is open later, the `Link`
    header leads to the next part: up to a year from now for recurring hours, and without limit for availabilities that
    do not recur. A list contains at most 2000 windows. One that would take too long to compute ends after a week or
    more, even if `to` is later; the `Link` leads to the rest.

    If you send your token, time that you hold yourself counts as free.
    """
    listing = await slots.list_free_windows(
        transaction, search_time, doctor_id, start=query.from_, end=query.to, viewer=_id(viewer), now=now
    )
    return [
        wire.Window(start_time=from_instant(start), end_time=from_instant(end))
        for start, end in await _finish(request, response, transaction, search_time, doctor_id, query, listing, now)
    ]


@router.get(
    "/visit-types", responses={200: {"headers": LINK_HEADER}, **responses("not_found", "invalid_request", "busy")}
)
async def list_visit_types(
    doctor_id: UUID,
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    transaction: DbTransaction,
    _: Public,
) -> list[wire.VisitType]:
    """List the visit types that a doctor offers.

    Doctors who offer visit types are booked by visit type. With other doctors you choose the length of the visit
    yourself.
    """
    # Otherwise an unknown doctor would look like one without visit types.
    await doctors.get_doctor(transaction, doctor_id)
    found = await visit_types.page_visit_types(
        transaction, doctor_id, after=read_cursor(query.cursor, _KEY), limit=query.limit + 1
    )
    page = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda visit_type: visit_type.id)
    return [represent_visit_type(doctor_id, visit_type) for visit_type in page]


@router.get(
    "/slots",
    responses={
        200: {"headers": LINK_HEADER | SEARCHED_UNTIL_HEADER},
        **responses(
            "not_authenticated", "not_found", "visit_type_required", "unknown_time_zone", "invalid_request", "busy"
        ),
    },
)
async def list_slots(
    doctor_id: UUID,
    query: Annotated[wire.SlotsQuery, Query()],
    request: Request,
    response: Response,
    transaction: DbTransaction,
    search_time: SearchTime,
    now: Now,
    viewer: Viewer,
) -> list[wire.Slot]:
    """List the slots of a doctor.

    These are exactly the times that a booking accepts and that start in `[from, to)`. For a doctor without visit types,
    slots have the doctor's usual length, and you can also book other times within the free windows. If you send your
    token, a slot that you hold yourself counts as free.

    A list contains at most 2000 slots. `Searched-Until` and the `Link` header mean the same as for the free windows.
    """
    doctor, listing = await slots.page_slots(
        transaction,
        search_time,
        doctor_id,
        visit_type_id=query.visit_type_id,
        start=query.from_,
        end=query.to,
        viewer=_id(viewer),
        now=now,
    )
    listed = await _finish(request, response, transaction, search_time, doctor_id, query, listing, now)
    return [_slot(doctor, visit) for visit in listed]


@router.get(
    "/next-slot",
    responses=responses(
        "not_authenticated", "not_found", "visit_type_required", "unknown_time_zone", "invalid_request", "busy"
    ),
)
async def find_next_slot(
    doctor_id: UUID,
    query: Annotated[wire.NextSlotQuery, Query()],
    transaction: DbTransaction,
    search_time: SearchTime,
    now: Now,
    viewer: Viewer,
) -> wire.NextSlot:
    """Find the next slot of a doctor.

    The search covers a year from `from`. If there is no slot, `searched_until` says how far the search went, and
    `reason` says why the first time in the doctor's hours cannot be booked; `outside_availability` means that the
    doctor has no hours.
    """
    found = await slots.find_next_slot(
        transaction,
        search_time,
        doctor_id,
        visit_type_id=query.visit_type_id,
        start=query.from_,
        viewer=_id(viewer),
        now=now,
    )
    return wire.NextSlot(
        slot=_slot(found.doctor, found.slot) if found.slot else None,
        searched_until=from_instant(found.searched_until),
        reason=_reason(found.reason) if found.reason else None,
    )


@router.get(
    "/explain",
    responses=responses(
        "not_authenticated", "not_found", "visit_type_required", "unknown_time_zone", "invalid_request", "busy"
    ),
)
async def explain_time(
    doctor_id: UUID, query: Annotated[wire.ExplainQuery, Query()], transaction: DbTransaction, now: Now, viewer: Viewer
) -> wire.Explanation:
    """Explain why a time can or cannot be booked.

    The same rules as for a booking apply, but the response lists all reasons and not only the first. Only the doctor's
    calendar is checked, not yours: if you have another appointment at this time, the booking itself fails with
    `patient_busy`.
    """
    found = await slots.explain_time(
        transaction, doctor_id, visit_type_id=query.visit_type_id, start=query.start_time, viewer=_id(viewer), now=now
    )
    return wire.Explanation(
        **slot_times(found.doctor, found.visit),
        bookable=not found.reasons,
        reasons=[_reason(refusal) for refusal in found.reasons],
    )


async def _finish(
    request: Request,
    response: Response,
    transaction: DbTransaction,
    search_time: SearchTime,
    doctor_id: UUID,
    query: wire.FreeWindowsQuery,
    listing: slots.Listing,
    now: datetime,
) -> Sequence[Interval]:
    """Return the times of a list, and set the headers that say where it ends and where it continues."""
    _, end = slots.span_of(query.from_, query.to, slots.DEFAULT_LISTING, now)
    until = listing.searched_until
    response.headers[SEARCHED_UNTIL] = write_instant(until)
    # A list with `to` ends there. One without it continues for as long as the doctor has hours.
    has_more = (
        until < end if query.to else await slots.next_listing_start(transaction, search_time, doctor_id, until, now)
    )
    if has_more:
        link_to(request, response, {"from": write_instant(until)})
    return listing.times


def _id(viewer: Actor | None) -> UUID | None:
    return viewer.id if viewer else None


def _slot(doctor: DoctorRecord, visit: Interval) -> wire.Slot:
    return wire.Slot(**slot_times(doctor, visit))


def _reason(refusal: Refusal) -> wire.Reason:
    _, detail = ERRORS[refusal]
    return wire.Reason(code=refusal, detail=detail)
