"""The members of clinics."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import TypeAdapter

from app.core.clinic_dependencies import FreshManagerActor, ManagerActor, MemberActor
from app.core.dependencies import DbTransaction, Now
from app.http.audit import Audit
from app.http.paging import LINK_HEADER, cut_page, read_cursor
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.repositories import members as member_records
from app.repositories.members import MemberRecord, RoleRecord
from app.schemas import clinics as wire
from app.schemas.fields import PageQuery
from app.services import members

router = APIRouter(tags=["Clinics"], route_class=StrictRoute)

_KEY = TypeAdapter(UUID)


def _tag_member(response: Response, member: MemberRecord) -> MemberRecord:
    tag_content(response, member.content)
    return member


@router.get(
    "/clinics/{clinic_id:uuid}/members",
    response_model=list[wire.Member],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
    },
)
async def list_members(
    clinic_id: UUID,
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    _: ManagerActor,
    transaction: DbTransaction,
    trail: Audit,
) -> Sequence[MemberRecord]:
    """List the members of the clinic, also those whose roles are not valid today."""
    trail.about(clinic_id)
    found = await member_records.page_members(
        transaction, clinic_id, after=read_cursor(query.cursor, _KEY), limit=query.limit + 1
    )
    return cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda member: member.user_id)


@router.get(
    "/clinics/{clinic_id:uuid}/members/{user_id:uuid}",
    response_model=wire.Member,
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
    },
)
async def get_member(
    clinic_id: UUID, user_id: UUID, response: Response, _: ManagerActor, transaction: DbTransaction, trail: Audit
) -> MemberRecord:
    """Get a member of the clinic.

    The `ETag` is the version of the roles and the scope. Send it as `If-Match` when you change them.
    """
    trail.about(user_id)
    return _tag_member(response, await member_records.get_member(transaction, clinic_id, user_id))


@router.patch(
    "/clinics/{clinic_id:uuid}/members/{user_id:uuid}",  # noqa: FAST003 - the caller reads the first id
    response_model=wire.Member,
    responses={
        200: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "log_in_again",
            "not_found",
            "last_manager",
            "invitation_required",
            "version_mismatch",
            "body_too_large",
            "invalid_request",
            "busy",
        ),
    },
)
async def change_member(
    user_id: UUID,
    body: wire.MemberChanges,
    response: Response,
    member: FreshManagerActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
    trail: Audit,
) -> MemberRecord:
    """Change the roles and the scope of a member.

    The change takes effect with their next request. A clinic keeps at least one manager whose role has no last day. A
    member becomes a doctor of the clinic only by accepting an invitation.
    """
    trail.about(user_id)
    changes = body.changes()
    roles = [RoleRecord(**each) for each in changes["roles"]] if "roles" in changes else None
    changed = await members.change_member(
        transaction, member, user_id, roles=roles, doctors=changes.get("doctors"), now=now, versions=versions
    )
    return _tag_member(response, changed)


@router.delete(
    "/clinics/{clinic_id:uuid}/members/{user_id:uuid}",  # noqa: FAST003 - the same
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "wrong_role", "not_found", "last_manager", "invalid_request", "busy"),
)
async def remove_member(
    user_id: UUID,
    member: MemberActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> None:
    """Remove a member from the clinic as its manager, or leave the clinic yourself.

    Open invitations that this member has sent stop working. The last manager cannot leave.
    """
    trail.about(user_id)
    await members.end_membership(transaction, member, user_id, now)
