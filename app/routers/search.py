"""Search for slots across all doctors."""

import logging
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response

from app.core.dependencies import AppResources, DbTransaction, Now, SearchTime, Viewer
from app.http.after_response import save_bounds_after_response
from app.http.paging import (
    LINK_HEADER,
    SEARCH_CURSOR,
    SEARCHED_UNTIL,
    SEARCHED_UNTIL_HEADER,
    link_to_cursor,
    read_cursor,
    write_instant,
)
from app.http.problems import responses
from app.http.representations import slot_times
from app.http.requests import StrictRoute
from app.repositories.search_offers import Criteria
from app.scheduling.intervals import from_instant, to_instant
from app.schemas import search as wire
from app.services import search
from app.services.search import ClockFilter, Match

router = APIRouter(prefix="/search", tags=["Booking"], route_class=StrictRoute)

log = logging.getLogger(__name__)


@router.get(
    "/slots",
    responses={
        200: {"headers": LINK_HEADER | SEARCHED_UNTIL_HEADER},
        **responses("not_authenticated", "invalid_request", "busy"),
    },
)
async def search_slots(
    query: Annotated[wire.SlotSearch, Query()],
    request: Request,
    response: Response,
    transaction: DbTransaction,
    resources: AppResources,
    search_time: SearchTime,
    tasks: BackgroundTasks,
    now: Now,
    viewer: Viewer,
) -> list[wire.FoundSlot]:
    """Search for the earliest slots of all doctors.

    Every slot in the response can be booked now: the search applies the same rules as a booking. Slots are sorted by
    start. Slots that start together are ordered by a tie-break that is the same for all callers but differs from time
    to time, so that no doctor is always listed first.

    `Searched-Until` says up to when the response is complete, even if the list is empty. A search is limited in the
    number of calendars and in time. If few doctors match, `Searched-Until` can be earlier than the last slot of the
    page; after it, further slots may exist that are not listed.

    If you send your token, a slot that you hold yourself counts as free.
    """
    after = read_cursor(query.cursor, SEARCH_CURSOR)
    found = await search.search_slots(
        transaction,
        search_time,
        Criteria(
            specialty=query.specialty,
            language=query.language,
            mode=query.mode,
            # A number is a length; anything else is the name of a visit type.
            visit=query.visit if query.minutes is None else None,
            minutes=query.minutes,
        ),
        clock_filter=ClockFilter(ZoneInfo(query.time_zone), query.hours) if query.hours else None,
        start=query.from_,
        end=query.to,
        after=(to_instant(after[0]), after[1], after[2]) if after else None,
        limit=query.limit,
        viewer=viewer.id if viewer else None,
        now=now,
    )
    response.headers[SEARCHED_UNTIL] = write_instant(found.searched_until)
    if found.more:
        start, tie_break, offer_id = found.matches[-1].cursor
        link_to_cursor(request, response, (from_instant(start), tie_break, offer_id), SEARCH_CURSOR)
    save_bounds_after_response(tasks, resources.database, found.bound_updates)
    return [_slot(match) for match in found.matches]


def _slot(match: Match) -> wire.FoundSlot:
    offer = match.offer
    return wire.FoundSlot(
        **slot_times(offer.doctor, match.visit),
        doctor=wire.FoundDoctor.model_validate(offer.doctor),
        visit_type=wire.FoundVisitType.model_validate(offer.visit_type) if offer.visit_type else None,
    )
