"""For administrators.

Decisions about other people's accounts ask for a log-in within the last ten minutes.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response, status
from pydantic import TypeAdapter

from app.adapters.mail import second_factor_removed_mail
from app.core.dependencies import AdminActor, AppResources, DbTransaction, FreshAdminActor, Now
from app.core.permissions import Role
from app.http.after_response import send_after_response
from app.http.audit import Audit
from app.http.idempotency import Idempotent
from app.http.paging import LINK_HEADER, cut_page, read_cursor
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.repositories import accounts
from app.repositories.accounts import AccountRecord
from app.repositories.profile_changes import ProfileReview, page_waiting
from app.schemas import admin as wire
from app.schemas.accounts import User
from app.schemas.appointments import Appointment
from app.services import administration, profile_review

router = APIRouter(prefix="/admin", tags=["Administration"], route_class=StrictRoute)

_KEY = TypeAdapter(UUID)
_ERRORS = ("not_authenticated", "wrong_role", "not_found")
_DECISION_ERRORS = (
    *_ERRORS,
    "log_in_again",
    "request_in_flight",
    "body_too_large",
    "key_reused",
    "invalid_request",
    "busy",
)


@router.get(
    "/users",
    response_model=list[wire.Account],
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
    },
)
async def list_users(
    query: Annotated[wire.AccountsQuery, Query()],
    request: Request,
    response: Response,
    _: AdminActor,
    transaction: DbTransaction,
    trail: Audit,
) -> Sequence[AccountRecord]:
    """List accounts, the newest first."""
    found = await accounts.page_accounts(
        transaction,
        q=query.q,
        email=query.email,
        role=query.role,
        status=query.status,
        after=read_cursor(query.cursor, _KEY),
        limit=query.limit + 1,
    )
    listed = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda account: account.id)
    for account in listed:
        trail.about_account(account)
    return listed


@router.get(
    "/users/{user_id:uuid}",
    response_model=wire.Account,
    responses={200: {"headers": ETAG_HEADER}, **responses(*_ERRORS, "invalid_request", "busy")},
)
async def get_account(
    user_id: UUID, response: Response, _: AdminActor, transaction: DbTransaction, trail: Audit
) -> AccountRecord:
    """One account.

    The `ETag` is that of the name and the specialty; send it back to approve what you have seen.
    """
    account = trail.about_account(await accounts.get_account(transaction, user_id))
    tag_content(response, account.reviewed_content)
    return account


@router.post(
    "/users/{user_id:uuid}/approve",
    response_model=wire.Account,
    responses=responses(*_DECISION_ERRORS, "doctor_not_confirmed", "version_mismatch"),
)
async def approve_doctor(
    user_id: UUID,
    body: wire.Decision,
    _: FreshAdminActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    versions: IfContentMatch,
    __: Idempotent,
) -> AccountRecord:
    """List a doctor who has registered, so that patients can book. Needed with `DOCTOR_APPROVAL=required`.

    Send the `ETag` of the account in `If-Match`: until the approval the doctor can change the name and specialty.
    """
    account = await administration.approve_doctor(transaction, resources.settings, user_id, now, versions=versions)
    return trail.about_account(account, body.reason)


@router.get(
    "/profile-changes",
    responses={
        200: {"headers": LINK_HEADER},
        **responses("not_authenticated", "wrong_role", "invalid_request", "busy"),
    },
)
async def list_profile_changes(
    query: Annotated[wire.ProfileChangesQuery, Query()],
    request: Request,
    response: Response,
    _: AdminActor,
    transaction: DbTransaction,
    __: Audit,
) -> list[wire.ProfileChange]:
    """List the changes of names and specialties that wait for a decision, the oldest first."""
    after = read_cursor(query.cursor, _KEY)
    found = [_change(each) for each in await page_waiting(transaction, after=after, limit=query.limit + 1)]
    return list(cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda change: change.id))


def _change(standing: ProfileReview) -> wire.ProfileChange:
    wanted = asdict(standing.change) if standing.change else {}
    return wire.ProfileChange(**wanted, current_name=standing.name, current_specialty=standing.specialty)


@router.post(
    "/users/{user_id:uuid}/profile-changes/{change_id:uuid}/accept",
    response_model=wire.Account,
    responses=responses(*_DECISION_ERRORS),
)
async def accept_profile_change(
    user_id: UUID,
    change_id: UUID,
    body: wire.Decision,
    _: FreshAdminActor,
    transaction: DbTransaction,
    trail: Audit,
    __: Idempotent,
) -> AccountRecord:
    """Accept the name and specialty that a doctor wants: patients see them from now on.

    A wish that the doctor has replaced meanwhile is `not_found`: look at the newest one first.
    """
    return trail.about_account(await profile_review.accept_change(transaction, user_id, change_id), body.reason)


@router.post(
    "/users/{user_id:uuid}/profile-changes/{change_id:uuid}/decline",
    response_model=wire.Account,
    responses=responses(*_DECISION_ERRORS),
)
async def decline_profile_change(
    user_id: UUID,
    change_id: UUID,
    body: wire.Decision,
    _: FreshAdminActor,
    transaction: DbTransaction,
    trail: Audit,
    __: Idempotent,
) -> AccountRecord:
    """Decline the name and specialty that a doctor wants: patients go on seeing what they see."""
    return trail.about_account(await profile_review.decline_change(transaction, user_id, change_id), body.reason)


@router.post(
    "/users/{user_id:uuid}/suspend",
    response_model=wire.Account,
    responses=responses(*_DECISION_ERRORS, "not_yourself"),
)
async def suspend_user(
    user_id: UUID,
    body: wire.Decision,
    actor: FreshAdminActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Idempotent,
) -> AccountRecord:
    """Keep somebody out: her sessions end at once. A doctor is no longer listed; what is booked with her stays."""
    return trail.about_account(await administration.suspend_user(transaction, actor, user_id, now), body.reason)


@router.post("/users/{user_id:uuid}/reinstate", response_model=wire.Account, responses=responses(*_DECISION_ERRORS))
async def reinstate_user(
    user_id: UUID, body: wire.Decision, _: FreshAdminActor, transaction: DbTransaction, trail: Audit, __: Idempotent
) -> AccountRecord:
    """Let somebody in again who was suspended."""
    return trail.about_account(await administration.reinstate_user(transaction, user_id), body.reason)


@router.post(
    "/users/{user_id:uuid}/erase",
    response_model=wire.Account,
    responses=responses(*_DECISION_ERRORS, "not_yourself", "has_appointments"),
)
async def erase_user(
    user_id: UUID,
    body: wire.Decision,
    actor: FreshAdminActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Idempotent,
) -> AccountRecord:
    """Erase the account of a patient or a doctor. It cannot be undone.

    What a patient has booked is cancelled. A doctor whom patients expect is `has_appointments`, unless the account is
    suspended: then these visits are cancelled, because the doctor can no longer do so. That there were visits stays,
    without the name. The audit trail keeps your reason: write no names in it.
    """
    account, cancelled = await administration.erase_user(transaction, actor, user_id, now)
    if account.role is Role.DOCTOR:
        trail.shows(*cancelled)
    return trail.about_account(account, body.reason)


@router.delete(
    "/users/{user_id:uuid}/sessions",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(*_ERRORS, "log_in_again", "invalid_request", "busy"),
)
async def end_sessions_of_user(user_id: UUID, _: FreshAdminActor, transaction: DbTransaction, trail: Audit) -> None:
    """Log somebody out everywhere."""
    trail.about_account(await administration.end_sessions(transaction, user_id))


@router.delete(
    "/users/{user_id:uuid}/second-factor",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(*_ERRORS, "log_in_again", "not_yourself", "invalid_request", "busy"),
)
async def remove_second_factor_of_user(
    user_id: UUID,
    actor: FreshAdminActor,
    resources: AppResources,
    transaction: DbTransaction,
    tasks: BackgroundTasks,
    trail: Audit,
) -> None:
    """Remove the second factor of somebody who has lost it and the recovery codes. Logs her out everywhere.

    Make sure that it is she who asks. A message tells her. Your own is removed by `DELETE /auth/second-factor`.
    """
    account, removed = await administration.remove_second_factor(transaction, actor, user_id)
    trail.about_account(account)
    if removed:
        send_after_response(tasks, resources, second_factor_removed_mail(account.email))


@router.post("/break-glass", responses=responses(*_ERRORS, "log_in_again", "body_too_large", "invalid_request", "busy"))
async def break_glass(
    body: wire.BreakGlass, _: FreshAdminActor, transaction: DbTransaction, now: Now, trail: Audit
) -> wire.PatientFile:
    """See a patient and her visits in an emergency.

    Administrators have no part in visits, and see none otherwise. The reason is kept in the audit trail, where the
    patient can see it in her export.
    """
    trail.concerns_patient(body.patient_id)
    trail.because(body.reason)
    patient, visits = await administration.break_glass(transaction, body.patient_id, now)
    return wire.PatientFile(
        patient=User.model_validate(patient), appointments=[Appointment.model_validate(each) for each in visits]
    )
