"""FastAPI dependencies: the caller as a member of a clinic.

Like ``core.dependencies``, this module may import repositories, and only routers, pages and the HTTP toolkit may import
it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from app.core.clinic_permissions import ClinicActor, ClinicPermission
from app.core.dependencies import (
    ByToken,
    Now,
    attach_actor,
    check_fresh,
    find_brief_caller,
    get_now,
    lacks_second_factor,
    read_resources,
    require,
    require_deciding,
)
from app.core.errors import DomainError
from app.core.permissions import Actor, Permission
from app.core.security import read_access_token
from app.core.time_zones import get_clinic_day
from app.repositories import clinics, sessions
from app.repositories.sessions import MembershipRecord


@ByToken
async def find_membership(request: Request, token: str | None) -> MembershipRecord | None:
    """Return the caller with their roles in the clinic whose id is in the path, or ``None`` without a token.

    One statement reads the session, the roles and the scope. Raises ``not_authenticated`` if the token is invalid.
    """
    request.state.actor = None
    if token is None:
        return None
    resources, now = read_resources(request), await get_now(request)
    claims = read_access_token(token, key=resources.secret, now=now, lifetime=resources.token_lifetime)
    clinic_id: UUID = request.path_params["clinic_id"]
    found = await sessions.find_membership(request.state.transaction, claims, clinic_id)
    if found is None:
        raise DomainError("not_authenticated")
    await attach_actor(request, resources, found.actor)
    return found


type _FindMember = Callable[..., Awaitable[MembershipRecord | None]]


def require_member(
    permission: ClinicPermission | None, *, fresh: bool = False, find: _FindMember = find_membership
) -> Callable[..., Awaitable[ClinicActor]]:
    """Return a dependency that requires a member with this permission (``None``: any member), found by ``find``.

    ``fresh`` requires a log-in within the last ten minutes. Members work with the data of patients, so the second
    factor that staff must have is required of all of them, even of those whose account is that of a patient. Raises
    ``not_authenticated``, ``set_up_second_factor``, ``not_found``, ``wrong_role`` or ``log_in_again``.
    """

    async def authenticate_member(
        clinic_id: UUID,
        found: Annotated[MembershipRecord | None, Depends(find)],
        request: Request,
        now: Now,
    ) -> ClinicActor:
        if found is None:
            raise DomainError("not_authenticated")
        today = get_clinic_day(found.time_zone, now)
        roles = frozenset(each.role for each in found.roles if each.is_valid(today))
        if lacks_second_factor(found.actor, read_resources(request).settings, is_staff=bool(roles)):
            raise DomainError("set_up_second_factor")
        # For others than today's members, the clinic does not exist.
        if not roles:
            raise DomainError("not_found")
        member = ClinicActor(found.actor, clinic_id, today, roles, found.scope or None)
        if permission is not None and not member.may(permission):
            raise DomainError("wrong_role")
        if fresh:
            check_fresh(found.actor, now)
        if permission is ClinicPermission.SET_HOURS:
            allowing = await clinics.list_allowing_doctors(request.state.transaction, clinic_id)
            return replace(member, allowing=allowing)
        return member

    return authenticate_member


MemberActor = Annotated[ClinicActor, Depends(require_member(None))]
ManagerActor = Annotated[ClinicActor, Depends(require_member(ClinicPermission.MANAGE_CLINIC))]
PatientsActor = Annotated[ClinicActor, Depends(require_member(ClinicPermission.FIND_PATIENTS))]
FreshManagerActor = Annotated[ClinicActor, Depends(require_member(ClinicPermission.MANAGE_CLINIC, fresh=True))]
"""A ``ManagerActor`` who has logged in within the last ten minutes."""

BriefViewer = Annotated[Actor | None, Depends(find_brief_caller)]
"""A ``Viewer`` on a route that opens its own transactions. Somebody who is signed in may accept an invitation."""
MakingClinicsActor = Annotated[Actor, Depends(require(Permission.MAKE_CLINICS))]
AppointingActor = Annotated[Actor, Depends(require_deciding(Permission.APPOINT_MANAGERS))]
"""An administrator who has logged in within the last ten minutes."""
