"""Invitations, with which doctors join without registering themselves."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response, status
from pydantic import TypeAdapter

from app.adapters.mail import email_confirmation_mail, invitation_mail, invitation_path
from app.core.clinic_dependencies import BriefViewer
from app.core.dependencies import (
    TAKES_CREDENTIALS,
    AppResources,
    DbTransaction,
    Hashing,
    InvitationsActor,
    InvitingActor,
    Now,
    RequestClient,
)
from app.core.errors import DomainError
from app.http.after_response import send_after_response
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
    return wire.SentInvitation(**asdict(invitation), token=token, path=invitation_path(token))


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
        "not_authenticated",
        "wrong_role",
        "email_taken",
        "not_a_doctor",
        "invalid_invitation_token",
        "too_many_attempts",
        "body_too_large",
        "invalid_request",
        "busy",
    ),
)
async def accept_invitation(
    body: account_wire.InvitationAcceptance,
    caller: BriefViewer,
    resources: AppResources,
    passwords: Hashing,
    client: RequestClient,
    now: Now,
    tasks: BackgroundTasks,
) -> UserRecord:
    """Accept an invitation.

    With a name and a password, this creates the account of the invited person. If an administrator has invited a
    doctor, the address is confirmed, because the token was sent to it, and the doctor is approved. If a clinic has
    sent the invitation, a code for `POST /auth/confirm-email` is sent to the address, and the person becomes a member
    of the clinic. In production, passwords that are easy to guess are refused, as at registration.

    With the token alone, and signed in, you join the clinic that has invited you with the account that you have.
    """
    token = body.token.get_secret_value()
    if body.password is None or body.name is None:
        if caller is None:
            raise DomainError("not_authenticated")
        accepted = await invitations.accept_as_member(resources.database, caller, token=token, client=client, now=now)
        return accepted.user
    accepted = await invitations.accept_invitation(
        resources.database,
        passwords,
        resources.settings,
        token=token,
        name=body.name,
        password=body.password.get_secret_value(),
        specialty=body.specialty,
        time_zone=body.time_zone,
        client=client,
        now=now,
    )
    if accepted.confirmation_token:
        mail = email_confirmation_mail(accepted.user.email, accepted.confirmation_token)
        send_after_response(tasks, resources, mail)
    return accepted.user
