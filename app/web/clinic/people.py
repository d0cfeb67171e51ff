"""The clinics of a visitor, and the people who work for a clinic."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import BackgroundTasks, Response
from pydantic import TypeAdapter

from app.adapters.mail import clinic_invitation_mail, invitation_path
from app.core.clinic_permissions import ClinicPermission, MemberRole, reaches_of
from app.core.dependencies import TAKES_CREDENTIALS, DbTransaction, Now
from app.core.errors import DomainError
from app.core.time_zones import get_clinic_day
from app.http.audit import Audit
from app.http.paging import read_cursor, write_cursor
from app.repositories import clinics as clinic_records
from app.repositories import members as member_records
from app.repositories.invitations import page_invitations
from app.schemas import clinics as wire
from app.schemas.fields import Cursor
from app.services import clinics, members
from app.web.kit.auth import AnyPage
from app.web.kit.clinic_auth import ClinicPage, FreshManagerPage, ManagerPage
from app.web.kit.drafts import drop, restore
from app.web.kit.forms import SentForm, refuse
from app.web.kit.member_roles import MEMBER_ROLES
from app.web.kit.routes import page_router

router = page_router()

PEOPLE = "/clinic/{clinic_id:uuid}/people"
_KEY = TypeAdapter(UUID)
_MAX_LISTED, _MAX_CLINICS, _MAX_INVITATIONS = 30, 100, 100


@router.get("/clinic", name="list_clinics")
async def list_own_clinics(page: AnyPage, transaction: DbTransaction, _: Audit) -> Response:
    """List the clinics for which the visitor works today, with their roles."""
    given = await member_records.list_roles_of(transaction, page.actor.id)
    found = await clinic_records.page_clinics(transaction, member_id=page.actor.id, after=None, limit=_MAX_CLINICS)
    listed = []
    for clinic in found:
        today = get_clinic_day(clinic.time_zone, page.now)
        roles = [each.role for each in given.get(clinic.id, ()) if each.is_valid(today)]
        if roles:
            listed.append((clinic, roles, bool(reaches_of(roles, ClinicPermission.MANAGE_CLINIC))))
    return page.render("clinic/clinics.html", found=listed, names=MEMBER_ROLES)


@router.get(PEOPLE, name="list_members")
async def show_people(
    page: ManagerPage, transaction: DbTransaction, trail: Audit, after: Cursor | None = None
) -> Response:
    """List the members of a clinic and its open invitations, with the form for another one."""
    trail.about(page.member.clinic_id)
    form = restore(page)
    return page.render("clinic/people.html", form=form, **await _content(page, transaction, after))


# No `Once`: the stored response would contain the link. A second submission replaces the invitation (ADR 0043).
@router.post(PEOPLE, name="invite_member", dependencies=[TAKES_CREDENTIALS])
async def invite(
    page: FreshManagerPage, form: SentForm, transaction: DbTransaction, now: Now, tasks: BackgroundTasks, trail: Audit
) -> Response:
    """Invite somebody. The link is shown only once, so this is not a redirect."""
    try:
        typed = form.read(wire.NewInvitation)
        invitation, token = await clinics.invite_member(
            transaction,
            page.resources.settings,
            page.member,
            email=typed.email,
            role=typed.role,
            valid_until=typed.valid_until,
            now=now,
        )
    except DomainError as error:
        content = await _content(page, transaction, None)
        raise refuse(page, "clinic/people.html", form, error, **content) from error
    trail.about(page.member.clinic_id)
    # The request has counted the message: `send_after_response` would count it again and might not send it.
    tasks.add_task(page.resources.mailer, clinic_invitation_mail(invitation.email, token))
    # The host comes from the manager's own request, so only the manager sees it. The message has the path.
    link = str(page.request.base_url).rstrip("/") + invitation_path(token)
    response = page.render("kit/invited.html", invitation=invitation, link=link, back=_path(page))
    # The form was accepted: delete its draft, as `redirect` would.
    drop(page, response)
    return response


@router.post(PEOPLE + "/invitations/{invitation_id:uuid}/cancel", name="cancel_clinic_invitation")
async def cancel_invitation(
    page: ManagerPage, invitation_id: UUID, _form: SentForm, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Cancel an invitation."""
    trail.about(page.member.clinic_id)
    await clinics.cancel_invitation(transaction, page.member, invitation_id, now)
    return page.redirect(f"{_path(page)}#open", page.gettext("The invitation has been cancelled."))


@router.post(PEOPLE + "/{user_id:uuid}/remove", name="remove_member")
async def remove(
    page: ManagerPage, user_id: UUID, form: SentForm, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Remove a member from the clinic."""
    trail.about(user_id)
    try:
        await members.end_membership(transaction, page.member, user_id, now)
    except DomainError as error:
        content = await _content(page, transaction, None)
        raise refuse(page, "clinic/people.html", form, error, **content) from error
    return page.redirect(_path(page), page.gettext("This person no longer works for the clinic."))


def _path(page: ClinicPage) -> str:
    return f"/clinic/{page.member.clinic_id}/people"


async def _content(page: ClinicPage, transaction: DbTransaction, after: str | None) -> Mapping[str, Any]:
    clinic = await clinic_records.get_clinic(transaction, page.member.clinic_id)
    found = await member_records.page_members(
        transaction, clinic.id, after=read_cursor(after, _KEY), limit=_MAX_LISTED + 1
    )
    listed = found[:_MAX_LISTED]
    more = None
    if len(found) > _MAX_LISTED:
        more = f"{_path(page)}?{urlencode({'after': write_cursor(listed[-1].user_id, _KEY)})}"
    return {
        "clinic": clinic,
        "path": _path(page),
        "found": listed,
        "more": more,
        "invitations": await page_invitations(
            transaction, page.now, after=None, limit=_MAX_INVITATIONS, clinic_id=clinic.id
        ),
        "names": MEMBER_ROLES,
        "roles": [(role.value, page.gettext(MEMBER_ROLES[role])) for role in MemberRole],
    }
