"""Pages of a clinic, which are open to its members."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from app.core.clinic_dependencies import require_member
from app.core.clinic_permissions import ClinicActor, ClinicPermission
from app.core.permissions import Actor
from app.core.security import AccessClaims
from app.repositories import sessions
from app.repositories.sessions import MembershipRecord
from app.web.kit.auth import find_visitor
from app.web.kit.pages import SignedInPage, make_page


@dataclass(kw_only=True)
class ClinicPage(SignedInPage):
    """A page for a member of a clinic."""

    member: ClinicActor


async def find_visiting_member(
    request: Request, clinic_id: UUID, visitor: Annotated[Actor | None, Depends(find_visitor)]
) -> MembershipRecord | None:
    """Return the signed-in user with their roles in the clinic whose id is in the path; ``None`` without a session."""
    if visitor is None:
        return None
    claims = AccessClaims(visitor.id, visitor.get_login().session_id)
    return await sessions.find_membership(request.state.transaction, claims, clinic_id)


def _page_for(permission: ClinicPermission, *, fresh: bool = False) -> Callable[..., Awaitable[ClinicPage]]:
    async def open_page(
        request: Request,
        member: Annotated[ClinicActor, Depends(require_member(permission, fresh=fresh, find=find_visiting_member))],
    ) -> ClinicPage:
        return ClinicPage(member=member, actor=member.actor, **vars(make_page(request, member.actor)))

    return open_page


ManagerPage = Annotated[ClinicPage, Depends(_page_for(ClinicPermission.MANAGE_CLINIC))]
FreshManagerPage = Annotated[ClinicPage, Depends(_page_for(ClinicPermission.MANAGE_CLINIC, fresh=True))]
"""A ``ManagerPage`` for users who have signed in within the last ten minutes."""
