"""Searching across all doctors."""

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
from app.services.search import Match, SlotSearch

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
    """Find the earliest visits that can be booked, across all doctors.

    Each can be booked at this moment, by the same decision that a booking makes. They are sorted by their start; those
    that start together take turns, in an order that is the same for everybody and another one for each time. An empty
    list says in `Searched-Until` how far it looked. A search is limited in calendars and in time. Where that does not
    suffice, because few doctors have time at the hours asked for, `Searched-Until` is earlier than the last visit of
    the page, and from then on there may be more than what is listed. A slot that you hold yourself is still yours, if
    you send your token.
    """
    after = read_cursor(query.cursor, SEARCH_CURSOR)
    found = await search.search_slots(
        transaction,
        search_time,
        Criteria(
            specialty=query.specialty,
            language=query.language,
            mode=query.mode,
            visit=query.visit if query.minutes is None else None,
            minutes=query.minutes,
        ),
        wish=SlotSearch(ZoneInfo(query.time_zone), query.hours) if query.hours else None,
        start=query.from_,
        end=query.to,
        after=(to_instant(after[0]), after[1], after[2]) if after else None,
        limit=query.limit,
        viewer=viewer.id if viewer else None,
        now=now,
    )
    response.headers[SEARCHED_UNTIL] = write_instant(found.searched_until)
    if found.more:
        start, turn, offer_id = found.matches[-1].place
        link_to_cursor(request, response, (from_instant(start), turn, offer_id), SEARCH_CURSOR)
    save_bounds_after_response(tasks, resources.database, found.findings)
    return [_slot(each) for each in found.matches]


def _slot(match: Match) -> wire.FoundSlot:
    offer = match.offer
    return wire.FoundSlot(
        **slot_times(offer.doctor, match.visit),
        doctor=wire.FoundDoctor.model_validate(offer.doctor),
        visit_type=wire.FoundVisitType.model_validate(offer.visit_type) if offer.visit_type else None,
    )
