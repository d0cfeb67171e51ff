"""Clinics and their invitations."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response, status
from pydantic import TypeAdapter

from app.adapters.mail import clinic_invitation_mail, invitation_path
from app.core.clinic_dependencies import (
    AppointingActor,
    FreshManagerActor,
    MakingClinicsActor,
    ManagerActor,
    MemberActor,
)
from app.core.dependencies import (
    TAKES_CREDENTIALS,
    AnyActor,
    AppResources,
    DbTransaction,
    Now,
)
from app.core.permissions import Permission
from app.core.time_zones import get_clinic_day
from app.http.audit import Audit
from app.http.idempotency import Idempotent
from app.http.paging import LINK_HEADER, cut_page, read_cursor
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.repositories import clinics as clinic_records
from app.repositories import members as member_records
from app.repositories.clinics import ClinicRecord
from app.repositories.invitations import InvitationRecord, page_invitations
from app.schemas import clinics as wire
from app.schemas.fields import PageQuery
from app.services import clinics

router = APIRouter(tags=["Clinics"], route_class=StrictRoute)

_KEY = TypeAdapter(UUID)


def _tag_clinic(response: Response, clinic: ClinicRecord) -> ClinicRecord:
    tag_content(response, clinic.content)
    return clinic


@router.post(
    "/clinics",
    dependencies=[TAKES_CREDENTIALS],
    status_code=status.HTTP_201_CREATED,
    response_model=wire.Clinic,
    responses={
        201: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "already_in_clinic",
            "too_many_messages",
            "request_in_flight",
            "key_reused",
            "body_too_large",
            "invalid_request",
            "busy",
        ),
    },
)
async def make_clinic(
    body: wire.NewClinic,
    response: Response,
    actor: MakingClinicsActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    tasks: BackgroundTasks,
    trail: Audit,
    _: Idempotent,
) -> ClinicRecord:
    """Make a clinic.

    An administrator invites the first manager by mail. A doctor who is approved and works for no clinic becomes the
    manager and the only doctor of the new clinic.
    """
    clinic, token = await clinics.make_clinic(transaction, resources.settings, actor, **body.model_dump(), now=now)
    trail.about(clinic.id)
    if token is not None and body.manager_email is not None:
        # The service has counted the message already.
        tasks.add_task(resources.mailer, clinic_invitation_mail(body.manager_email, token))
    return _tag_clinic(response, clinic)


@router.get(
    "/clinics",
    responses={200: {"headers": LINK_HEADER}, **responses("not_authenticated", "invalid_request", "busy")},
)
async def list_clinics(
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    actor: AnyActor,
    transaction: DbTransaction,
    now: Now,
    _: Audit,
) -> list[wire.ListedClinic]:
    """List the clinics of which you are a member today; for administrators: all clinics.

    A page can have fewer clinics than `limit` although there is another one.
    """
    sees_all = actor.may(Permission.APPOINT_MANAGERS)
    found = await clinic_records.page_clinics(
        transaction,
        member_id=None if sees_all else actor.id,
        after=read_cursor(query.cursor, _KEY),
        limit=query.limit + 1,
    )
    page = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda clinic: clinic.id)
    given = await member_records.list_roles_of(transaction, actor.id)
    listed = []
    for clinic in page:
        today = get_clinic_day(clinic.time_zone, now)
        roles = [each.role for each in given.get(clinic.id, ()) if each.is_valid(today)]
        if roles or sees_all:
            listed.append(wire.ListedClinic(**asdict(clinic), roles=roles))
    return listed


@router.get(
    "/clinics/{clinic_id:uuid}",
    response_model=wire.Clinic,
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "not_found", "invalid_request", "busy"),
    },
)
async def get_clinic(
    clinic_id: UUID, response: Response, _: MemberActor, transaction: DbTransaction, trail: Audit
) -> ClinicRecord:
    """Get a clinic of which you are a member.

    The `ETag` is its version. Send it as `If-Match` when you change the clinic.
    """
    trail.about(clinic_id)
    return _tag_clinic(response, await clinic_records.get_clinic(transaction, clinic_id))


@router.patch(
    "/clinics/{clinic_id:uuid}",
    response_model=wire.Clinic,
    responses={
        200: {"headers": ETAG_HEADER},
        **responses(
            "not_authenticated",
            "wrong_role",
            "not_found",
            "version_mismatch",
            "body_too_large",
            "invalid_request",
            "busy",
        ),
    },
)
async def change_clinic(
    clinic_id: UUID,
    body: wire.ClinicChanges,
    response: Response,
    member: ManagerActor,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
    trail: Audit,
) -> ClinicRecord:
    """Change a clinic as its manager.

    Send only the fields to change.
    """
    trail.about(clinic_id)
    changed = await clinics.change_clinic(transaction, member, body.changes(), now, versions=versions)
    return _tag_clinic(response, changed)


def _represent_sent(invitation: InvitationRecord, token: str) -> wire.SentInvitation:
    return wire.SentInvitation(**asdict(invitation), token=token, path=invitation_path(token))


@router.post(
    # No `Idempotent`: the stored response would contain the token. A repeated request replaces the invitation.
    "/clinics/{clinic_id:uuid}/invitations",
    dependencies=[TAKES_CREDENTIALS],
    status_code=status.HTTP_201_CREATED,
    responses=responses(
        "not_authenticated",
        "wrong_role",
        "log_in_again",
        "not_found",
        "too_many",
        "too_many_messages",
        "body_too_large",
        "invalid_request",
        "busy",
    ),
)
async def invite_member(
    clinic_id: UUID,
    body: wire.NewInvitation,
    member: FreshManagerActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    tasks: BackgroundTasks,
    trail: Audit,
) -> wire.SentInvitation:
    """Invite somebody to work for the clinic.

    They are sent a link that works once, for seven days. The response contains it, too, so that you can print it.
    Inviting an address again replaces its earlier invitation to this clinic. Who has an account accepts with it;
    everybody else chooses a password. A new account has to confirm its address.
    """
    invitation, token = await clinics.invite_member(
        transaction,
        resources.settings,
        member,
        email=body.email,
        role=body.role,
        valid_until=body.valid_until,
        now=now,
    )
    trail.about(clinic_id)
    # The service has counted the message already.
    tasks.add_task(resources.mailer, clinic_invitation_mail(invitation.email, token))
    return _represent_sent(invitation, token)


@router.get(
    "/clinics/{clinic_id:uuid}/invitations",
    response_model=list[wire.Invitation],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
    },
)
async def list_clinic_invitations(
    clinic_id: UUID,
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    _: ManagerActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> Sequence[InvitationRecord]:
    """List the open invitations of the clinic, newest first."""
    trail.about(clinic_id)
    after = read_cursor(query.cursor, _KEY)
    found = await page_invitations(transaction, now, after=after, limit=query.limit + 1, clinic_id=clinic_id)
    return cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda invitation: invitation.id)


@router.delete(
    "/clinics/{clinic_id:uuid}/invitations/{invitation_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "wrong_role", "not_found", "invalid_request", "busy"),
)
async def cancel_clinic_invitation(
    clinic_id: UUID,
    invitation_id: UUID,
    member: ManagerActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
) -> None:
    """Cancel an open invitation of the clinic.

    Its link stops working.
    """
    trail.about(clinic_id)
    await clinics.cancel_invitation(transaction, member, invitation_id, now)


@router.post(
    # No `Idempotent`: the stored response would contain the token. A repeated request replaces the invitation.
    "/admin/clinics/{clinic_id:uuid}/manager",
    dependencies=[TAKES_CREDENTIALS],
    status_code=status.HTTP_201_CREATED,
    responses=responses(
        "not_authenticated",
        "wrong_role",
        "log_in_again",
        "not_found",
        "has_manager",
        "too_many",
        "too_many_messages",
        "body_too_large",
        "invalid_request",
        "busy",
    ),
)
async def appoint_manager(
    clinic_id: UUID,
    body: wire.NewManager,
    actor: AppointingActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    tasks: BackgroundTasks,
    trail: Audit,
) -> wire.SentInvitation:
    """Invite a manager for a clinic that has none.

    For example because the first invitation was lost, or because the account of the only manager was suspended.
    """
    invitation, token = await clinics.appoint_manager(
        transaction, resources.settings, actor, clinic_id, email=body.email, now=now
    )
    trail.about(clinic_id)
    tasks.add_task(resources.mailer, clinic_invitation_mail(invitation.email, token))
    return _represent_sent(invitation, token)
