"""The kinds of visits that a doctor offers, as she keeps them."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import TypeAdapter

from app.core.dependencies import DbSession, DoctorActor, Now
from app.repositories import visit_types
from app.routers.idempotency import Idempotent
from app.routers.offers import visit_type_of
from app.routers.paging import LINK_HEADER, cut_page, read_cursor
from app.routers.problems import responses
from app.routers.requests import StrictRoute
from app.routers.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.schemas import offers as wire
from app.schemas.fields import PageQuery
from app.services import practice

router = APIRouter(prefix="/doctors/me/visit-types", tags=["Visit types"], route_class=StrictRoute)

_KEY = TypeAdapter(UUID)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses={
        201: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "name_taken",
            "too_many",
            "request_in_flight",
            "body_too_large",
            "key_reused",
            "invalid_request",
            "busy",
        ),
    },
)
async def offer_visit_type(
    body: wire.NewVisitType, response: Response, actor: DoctorActor, session: DbSession, now: Now, _: Idempotent
) -> wire.VisitType:
    """Offer a kind of visit. From the first one on, patients book you by visit type.

    No two that you offer can have the same name. Letter case, spaces and look-alike letters make no difference.
    """
    offered = await practice.offer_visit_type(session, actor, body.model_dump(), now)
    tag_content(response, asdict(offered))
    return visit_type_of(actor.id, offered)


@router.get(
    "",
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
    },
)
async def list_own_visit_types(
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    actor: DoctorActor,
    session: DbSession,
) -> list[wire.VisitType]:
    """List the kinds of visits that you offer."""
    found = await visit_types.page_visit_types(
        session, actor.id, after=read_cursor(query.cursor, _KEY), limit=query.limit + 1
    )
    page = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda each: each.id)
    return [visit_type_of(actor.id, each) for each in page]


@router.get(
    "/{visit_type_id:uuid}",
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
    },
)
async def get_visit_type(
    visit_type_id: UUID, response: Response, actor: DoctorActor, session: DbSession
) -> wire.VisitType:
    """One of the kinds of visits that you offer."""
    found = await visit_types.get_visit_type(session, actor.id, visit_type_id)
    tag_content(response, asdict(found))
    return visit_type_of(actor.id, found)


@router.patch(
    "/{visit_type_id:uuid}",
    responses={
        200: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "not_found",
            "name_taken",
            "version_mismatch",
            "body_too_large",
            "invalid_request",
            "busy",
        ),
    },
)
async def change_visit_type(
    visit_type_id: UUID,
    body: wire.VisitTypeChanges,
    response: Response,
    actor: DoctorActor,
    session: DbSession,
    versions: IfContentMatch,
) -> wire.VisitType:
    """Change a kind of visit. Appointments that are booked keep their times and buffers."""
    changed = await practice.change_visit_type(session, actor, visit_type_id, body.changes(), versions=versions)
    tag_content(response, asdict(changed))
    return visit_type_of(actor.id, changed)


@router.delete(
    "/{visit_type_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
)
async def withdraw_visit_type(visit_type_id: UUID, actor: DoctorActor, session: DbSession, now: Now) -> None:
    """Offer a kind of visit no longer. Appointments that are booked stay."""
    await practice.withdraw_visit_type(session, actor, visit_type_id, now)
