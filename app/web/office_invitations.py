"""The office: doctors who are invited."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import BackgroundTasks, Response
from pydantic import TypeAdapter

from app.adapters.mail import invitation_mail, invitation_path
from app.core.dependencies import TAKES_CREDENTIALS, DbSession, Now
from app.core.errors import DomainError
from app.core.time_zones import find_zone
from app.repositories.invitations import page_invitations
from app.routers.paging import read_cursor, write_cursor
from app.routers.trail import Trail
from app.schemas import admin as wire
from app.schemas.fields import Cursor
from app.services import invitations
from app.web.drafts import drop, restore
from app.web.forms import Form, SentForm, refuse
from app.web.pages import Page
from app.web.places import list_places
from app.web.routes import page_router
from app.web.visitors import AdminPage, FreshAdminPage

router = page_router()

INVITATIONS = "/office/invitations"
_KEY = TypeAdapter(UUID)
_MAX_LISTED = 20


@router.get(INVITATIONS)
async def list_invitations(page: AdminPage, session: DbSession, _: Trail, after: Cursor | None = None) -> Response:
    """The open invitations, the newest first, and the form for another one."""
    form = restore(page)
    return page.render("office_invitations.html", form=form, **await _content(page, session, form, after))


@router.post(INVITATIONS, dependencies=[TAKES_CREDENTIALS])
async def invite_doctor(
    page: FreshAdminPage, form: SentForm, session: DbSession, now: Now, tasks: BackgroundTasks, trail: Trail
) -> Response:
    """Invites a doctor. The link is shown only now, so this is no redirect."""
    try:
        typed = form.read(wire.NewInvitation)
        invitation, token = await invitations.invite_doctor(
            session,
            page.resources.settings,
            page.actor,
            email=typed.email,
            name=typed.name,
            specialty=typed.specialty,
            time_zone=typed.time_zone,
            now=now,
        )
    except DomainError as error:
        content = await _content(page, session, form, None)
        raise refuse(page, "office_invitations.html", form, error, **content) from error
    trail.about(invitation.id)
    # Counted already: it must not be counted again, and left out, after the answer.
    tasks.add_task(page.resources.mailer, invitation_mail(invitation.email, token))
    # Only the administrator sees the address that their own browser has asked for; the message has the path alone.
    link = str(page.request.base_url).rstrip("/") + invitation_path(token)
    response = page.render("office_invited.html", invitation=invitation, link=link)
    drop(page, response)
    return response


@router.post(INVITATIONS + "/{invitation_id:uuid}/cancel")
async def cancel_invitation(
    page: AdminPage, invitation_id: UUID, _form: SentForm, session: DbSession, now: Now, trail: Trail
) -> Response:
    """Cancels an invitation."""
    trail.about(invitation_id)
    await invitations.cancel_invitation(session, invitation_id, now)
    return page.redirect(f"{INVITATIONS}#open", page.gettext("The invitation is cancelled."))


async def _content(page: Page, session: DbSession, form: Form, after: str | None) -> Mapping[str, Any]:
    found = await page_invitations(session, page.now, after=read_cursor(after, _KEY), limit=_MAX_LISTED + 1)
    listed = found[:_MAX_LISTED]
    more = None
    if len(found) > _MAX_LISTED:
        more = f"{INVITATIONS}?{urlencode({'after': write_cursor(listed[-1].id, _KEY)})}"
    time_zone = form.value("time_zone")
    unset = ("", page.gettext("The doctor chooses"))
    return {"found": listed, "more": more, "places": list_places(page.words, time_zone, unset), "find_zone": find_zone}
