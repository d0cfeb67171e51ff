"""Invitations of doctors, for administrators."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import BackgroundTasks, Response
from pydantic import TypeAdapter

from app.adapters.mail import invitation_mail, invitation_path
from app.core.dependencies import TAKES_CREDENTIALS, DbTransaction, Now
from app.core.errors import DomainError
from app.core.time_zones import find_zone
from app.http.audit import Audit
from app.http.paging import read_cursor, write_cursor
from app.repositories.invitations import page_invitations
from app.schemas import admin as wire
from app.schemas.fields import Cursor
from app.services import invitations
from app.web.kit.auth import InvitationsPage, InvitingPage
from app.web.kit.drafts import drop, restore
from app.web.kit.forms import Form, SentForm, refuse
from app.web.kit.pages import Page
from app.web.kit.routes import page_router
from app.web.kit.time_zone_names import list_time_zones

router = page_router()

INVITATIONS = "/office/invitations"
_KEY = TypeAdapter(UUID)
_MAX_LISTED = 20


@router.get(INVITATIONS)
async def list_invitations(
    page: InvitationsPage, transaction: DbTransaction, _: Audit, after: Cursor | None = None
) -> Response:
    """List the open invitations, newest first, with the form for another one."""
    form = restore(page)
    return page.render("admin/invitations.html", form=form, **await _content(page, transaction, form, after))


# No `Once`: the stored response would contain the link. A second submission replaces the invitation (ADR 0043).
@router.post(INVITATIONS, dependencies=[TAKES_CREDENTIALS])
async def invite_doctor(
    page: InvitingPage, form: SentForm, transaction: DbTransaction, now: Now, tasks: BackgroundTasks, trail: Audit
) -> Response:
    """Invite a doctor. The link is shown only once, so this is not a redirect."""
    try:
        typed = form.read(wire.NewInvitation)
        invitation, token = await invitations.invite_doctor(
            transaction,
            page.resources.settings,
            page.actor,
            email=typed.email,
            name=typed.name,
            specialty=typed.specialty,
            time_zone=typed.time_zone,
            now=now,
        )
    except DomainError as error:
        content = await _content(page, transaction, form, None)
        raise refuse(page, "admin/invitations.html", form, error, **content) from error
    trail.about(invitation.id)
    # The request has counted the message: `send_after_response` would count it again and might not send it.
    tasks.add_task(page.resources.mailer, invitation_mail(invitation.email, token))
    # The host comes from the administrator's own request, so only the administrator sees it. The message has the path.
    link = str(page.request.base_url).rstrip("/") + invitation_path(token)
    response = page.render("kit/invited.html", invitation=invitation, link=link, back=INVITATIONS)
    # The form was accepted: delete its draft, as `redirect` would.
    drop(page, response)
    return response


@router.post(INVITATIONS + "/{invitation_id:uuid}/cancel")
async def cancel_invitation(
    page: InvitationsPage, invitation_id: UUID, _form: SentForm, transaction: DbTransaction, now: Now, trail: Audit
) -> Response:
    """Cancel an invitation."""
    trail.about(invitation_id)
    await invitations.cancel_invitation(transaction, invitation_id, now)
    return page.redirect(f"{INVITATIONS}#open", page.gettext("The invitation has been cancelled."))


async def _content(page: Page, transaction: DbTransaction, form: Form, after: str | None) -> Mapping[str, Any]:
    found = await page_invitations(transaction, page.now, after=read_cursor(after, _KEY), limit=_MAX_LISTED + 1)
    listed = found[:_MAX_LISTED]
    more = None
    if len(found) > _MAX_LISTED:
        more = f"{INVITATIONS}?{urlencode({'after': write_cursor(listed[-1].id, _KEY)})}"
    time_zone = form.value("time_zone")
    unset = ("", page.gettext("Chosen by the doctor"))
    return {
        "found": listed,
        "more": more,
        "places": list_time_zones(page.formatter, time_zone, unset),
        "find_zone": find_zone,
    }
