"""Invitations, with which doctors join without registering themselves."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response, status
from pydantic import TypeAdapter

from app.adapters.mail import invitation_mail, invitation_path
from app.core.dependencies import (
    TAKES_CREDENTIALS,
    AppResources,
    DbTransaction,
    Hashing,
    InvitationsActor,
    InvitingActor,
    Now,
    Public,
    RequestClient,
)
from app.http.audit import Audit
from app.http.paging import LINK_HEADER, cut_page, read_cursor
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.repositories.invitations import InvitationRecord, page_invitations
from app.repositories.users import UserRecord
from app.schemas import accounts as account_wire
from app.schemas import admin as wire
from app.services import invitations

router = APIRouter(route_class=StrictRoute)

_KEY = TypeAdapter(UUID)


@router.post(
    # No `Idempotent`: the stored response would contain the token. A repeated request replaces the invitation (ADR
    # 0043).
    "/admin/invitations",
    dependencies=[TAKES_CREDENTIALS],
    tags=["Administration"],
    status_code=status.HTTP_201_CREATED,
    responses=responses(
        "not_authenticated",
        "wrong_role",
        "log_in_again",
        "email_taken",
        "too_many",
        "too_many_messages",
        "body_too_large",
        "invalid_request",
        "busy",
    ),
)
async def invite_doctor(
    body: wire.NewInvitation,
    actor: InvitingActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    tasks: BackgroundTasks,
    trail: Audit,
) -> wire.SentInvitation:
    """Invite a doctor by mail.

    The doctor is sent a link that works once, for seven days. The response contains it, too, in case you want to pass
    it on in another way. Inviting an address again replaces its earlier invitation. The account of an invited doctor is
    confirmed and approved from the start.
    """
    invitation, token = await invitations.invite_doctor(
        transaction,
        resources.settings,
        actor,
        email=body.email,
        name=body.name,
        specialty=body.specialty,
        time_zone=body.time_zone,
        now=now,
    )
    trail.about(invitation.id)
    # The service has counted the message already. ``send_after_response`` would count it again, and might drop it.
    tasks.add_task(resources.mailer, invitation_mail(invitation.email, token))
    shown = {name: value for name, value in asdict(invitation).items() if name != "role"}
    return wire.SentInvitation(**shown, token=token, path=invitation_path(token))


@router.get(
    "/admin/invitations",
    tags=["Administration"],
    response_model=list[wire.Invitation],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
    },
)
async def list_invitations(
    query: Annotated[wire.InvitationsQuery, Query()],
    request: Request,
    response: Response,
    _: InvitationsActor,
    transaction: DbTransaction,
    now: Now,
    __: Audit,
) -> Sequence[InvitationRecord]:
    """List open invitations, newest first."""
    found = await page_invitations(transaction, now, after=read_cursor(query.cursor, _KEY), limit=query.limit + 1)
    return cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda invitation: invitation.id)


@router.delete(
    "/admin/invitations/{invitation_id:uuid}",
    tags=["Administration"],
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
)
async def cancel_invitation(
    invitation_id: UUID, _: InvitationsActor, transaction: DbTransaction, now: Now, trail: Audit
) -> None:
    """Cancel an open invitation.

    Its link stops working.
    """
    trail.about(invitation_id)
    await invitations.cancel_invitation(transaction, invitation_id, now)


@router.post(
    "/auth/accept-invitation",
    tags=["Accounts"],
    status_code=status.HTTP_201_CREATED,
    response_model=account_wire.User,
    responses=responses(
        "email_taken",
        "invalid_invitation_token",
        "too_many_attempts",
        "body_too_large",
        "invalid_request",
        "busy",
    ),
)
async def accept_invitation(
    body: account_wire.InvitationAcceptance,
    resources: AppResources,
    passwords: Hashing,
    client: RequestClient,
    now: Now,
    _: Public,
) -> UserRecord:
    """Accept an invitation: create the account of the invited doctor.

    The address is confirmed, because the token was sent to it, and the doctor is approved, because an administrator
    sent the invitation. In production, passwords that are easy to guess are refused, as at registration.
    """
    return await invitations.accept_invitation(
        resources.database,
        passwords,
        resources.settings,
        token=body.token.get_secret_value(),
        name=body.name,
        password=body.password.get_secret_value(),
        specialty=body.specialty,
        time_zone=body.time_zone,
        client=client,
        now=now,
    )
