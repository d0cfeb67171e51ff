"""A doctor's own visit types."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import TypeAdapter

from app.core.dependencies import DbTransaction, Now, VisitTypesActor
from app.http.idempotency import Idempotent
from app.http.paging import LINK_HEADER, cut_page, read_cursor
from app.http.problems import responses
from app.http.representations import represent_visit_type
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.repositories import visit_types
from app.schemas import slots as wire
from app.schemas.fields import PageQuery
from app.services import doctor_profile

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
    body: wire.NewVisitType,
    response: Response,
    actor: VisitTypesActor,
    transaction: DbTransaction,
    now: Now,
    _: Idempotent,
) -> wire.VisitType:
    """Offer a visit type.

    Once you offer at least one, patients book you by visit type. Two of your visit types cannot have the same name
    (`name_taken`); letter case, spaces and look-alike letters make no difference.
    """
    offered = await doctor_profile.offer_visit_type(transaction, actor.id, body.model_dump(), now)
    tag_content(response, asdict(offered))
    return represent_visit_type(actor.id, offered)


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
    actor: VisitTypesActor,
    transaction: DbTransaction,
) -> list[wire.VisitType]:
    """List the visit types that you offer."""
    found = await visit_types.page_visit_types(
        transaction, actor.id, after=read_cursor(query.cursor, _KEY), limit=query.limit + 1
    )
    page = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda visit_type: visit_type.id)
    return [represent_visit_type(actor.id, visit_type) for visit_type in page]


@router.get(
    "/{visit_type_id:uuid}",
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
    },
)
async def get_visit_type(
    visit_type_id: UUID, response: Response, actor: VisitTypesActor, transaction: DbTransaction
) -> wire.VisitType:
    """Get one of your visit types.

    The `ETag` is its version. Send it as `If-Match` when you change the visit type.
    """
    found = await visit_types.get_visit_type(transaction, actor.id, visit_type_id)
    tag_content(response, asdict(found))
    return represent_visit_type(actor.id, found)


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
    actor: VisitTypesActor,
    transaction: DbTransaction,
    versions: IfContentMatch,
) -> wire.VisitType:
    """Change one of your visit types.

    Send only the fields to change. Appointments that are booked keep their times and buffers.
    """
    changed = await doctor_profile.change_visit_type(
        transaction, actor.id, visit_type_id, body.changes(), versions=versions
    )
    tag_content(response, asdict(changed))
    return represent_visit_type(actor.id, changed)


@router.delete(
    "/{visit_type_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
)
async def withdraw_visit_type(
    visit_type_id: UUID, actor: VisitTypesActor, transaction: DbTransaction, now: Now
) -> None:
    """Withdraw one of your visit types.

    Patients can no longer book it. Appointments stay booked.
    """
    await doctor_profile.withdraw_visit_type(transaction, actor.id, visit_type_id, now)
