"""Accounts, decisions about them and emergencies, for administrators.

Decisions about accounts require a log-in within the last ten minutes.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response, status
from pydantic import TypeAdapter

from app.adapters.mail import second_factor_removed_mail
from app.core.dependencies import AccountsActor, AppResources, BreakGlassActor, DbTransaction, DecidingActor, Now
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
    _: AccountsActor,
    transaction: DbTransaction,
    trail: Audit,
) -> Sequence[AccountRecord]:
    """List accounts, newest first."""
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
        # A list shows personal data of each account, so each is recorded.
        trail.about_account(account)
    return listed


@router.get(
    "/users/{user_id:uuid}",
    response_model=wire.Account,
    responses={200: {"headers": ETAG_HEADER}, **responses(*_ERRORS, "invalid_request", "busy")},
)
async def get_account(
    user_id: UUID, response: Response, _: AccountsActor, transaction: DbTransaction, trail: Audit
) -> AccountRecord:
    """Get an account.

    The `ETag` is the version of the name and the specialty. Send it as `If-Match` when you approve a doctor, so that
    you approve exactly what you have seen.
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
    _: DecidingActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    versions: IfContentMatch,
    __: Idempotent,
) -> AccountRecord:
    """Approve a doctor.

    From then on the doctor is listed, and patients can book. Required for doctors who register themselves if the
    operator has set `DOCTOR_APPROVAL=required`. Until the approval the doctor can change the name and the specialty, so
    send the `ETag` of the account in `If-Match`. Approving again changes nothing.
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
    _: AccountsActor,
    transaction: DbTransaction,
    __: Audit,
) -> list[wire.ProfileChange]:
    """List the changes of names and specialties that await a decision, oldest first."""
    after = read_cursor(query.cursor, _KEY)
    found = [_change(review) for review in await page_waiting(transaction, after=after, limit=query.limit + 1)]
    return list(cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda change: change.id))


def _change(review: ProfileReview) -> wire.ProfileChange:
    requested = asdict(review.change) if review.change else {}
    return wire.ProfileChange(**requested, current_name=review.name, current_specialty=review.specialty)


@router.post(
    "/users/{user_id:uuid}/profile-changes/{change_id:uuid}/accept",
    response_model=wire.Account,
    responses=responses(*_DECISION_ERRORS),
)
async def accept_profile_change(
    user_id: UUID,
    change_id: UUID,
    body: wire.Decision,
    _: DecidingActor,
    transaction: DbTransaction,
    trail: Audit,
    __: Idempotent,
) -> AccountRecord:
    """Accept a doctor's new name and specialty.

    Patients see them from now on. If the doctor has replaced the request in the meantime, the response is `not_found`:
    list the changes again, and decide about the newest one.
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
    _: DecidingActor,
    transaction: DbTransaction,
    trail: Audit,
    __: Idempotent,
) -> AccountRecord:
    """Decline a doctor's new name and specialty.

    Patients continue to see the current ones. If the doctor has replaced the request in the meantime, the response is
    `not_found`.
    """
    return trail.about_account(await profile_review.decline_change(transaction, user_id, change_id), body.reason)


@router.post(
    "/users/{user_id:uuid}/suspend",
    response_model=wire.Account,
    responses=responses(*_DECISION_ERRORS, "not_yourself"),
)
async def suspend_user(
    user_id: UUID,
    body: wire.Decision,
    actor: DecidingActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Idempotent,
) -> AccountRecord:
    """Suspend an account.

    The owner can no longer log in, and all their sessions end at once. A suspended doctor is no longer listed and
    cannot be booked; visits that are booked already stay booked.
    """
    return trail.about_account(await administration.suspend_user(transaction, actor, user_id, now), body.reason)


@router.post("/users/{user_id:uuid}/reinstate", response_model=wire.Account, responses=responses(*_DECISION_ERRORS))
async def reinstate_user(
    user_id: UUID, body: wire.Decision, _: DecidingActor, transaction: DbTransaction, trail: Audit, __: Idempotent
) -> AccountRecord:
    """Reinstate a suspended account.

    The owner can log in again, and a doctor who was listed before is listed again.
    """
    return trail.about_account(await administration.reinstate_user(transaction, user_id), body.reason)


@router.post(
    "/users/{user_id:uuid}/erase",
    response_model=wire.Account,
    responses=responses(*_DECISION_ERRORS, "not_yourself", "has_appointments"),
)
async def erase_user(
    user_id: UUID,
    body: wire.Decision,
    actor: DecidingActor,
    transaction: DbTransaction,
    now: Now,
    trail: Audit,
    _: Idempotent,
) -> AccountRecord:
    """Erase the account of a patient or a doctor.

    This cannot be undone. Upcoming visits of a patient are cancelled. For a doctor with upcoming visits the response is
    `has_appointments`, unless the account is suspended: then these visits are cancelled, because the doctor can no
    longer do so. A record that visits took place is kept, without the name. The audit trail keeps your reason, so do
    not write names in it.
    """
    account, cancelled = await administration.erase_user(transaction, actor, user_id, now)
    # The visits of a doctor are data of the patients, so each of these patients gets an event.
    if account.role is Role.DOCTOR:
        trail.shows(*cancelled)
    return trail.about_account(account, body.reason)


@router.delete(
    "/users/{user_id:uuid}/sessions",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(*_ERRORS, "log_in_again", "invalid_request", "busy"),
)
async def end_sessions_of_user(user_id: UUID, _: DecidingActor, transaction: DbTransaction, trail: Audit) -> None:
    """End all sessions of an account.

    The owner is logged out everywhere at once.
    """
    trail.about_account(await administration.end_sessions(transaction, user_id))


@router.delete(
    "/users/{user_id:uuid}/second-factor",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(*_ERRORS, "log_in_again", "not_yourself", "invalid_request", "busy"),
)
async def remove_second_factor_of_user(
    user_id: UUID,
    actor: DecidingActor,
    resources: AppResources,
    transaction: DbTransaction,
    tasks: BackgroundTasks,
    trail: Audit,
) -> None:
    """Remove the second factor of an account.

    For owners who have lost both the authenticator and the recovery codes. All their sessions end, and they are
    notified by mail. Verify first that the request comes from the owner. To remove your own second factor, use
    `DELETE /auth/second-factor`.
    """
    account, removed = await administration.remove_second_factor(transaction, actor, user_id)
    trail.about_account(account)
    if removed:
        send_after_response(tasks, resources, second_factor_removed_mail(account.email))


# A POST, although it only reads: the reason belongs in a body and not in a URL, which proxies may log.
@router.post("/break-glass", responses=responses(*_ERRORS, "log_in_again", "body_too_large", "invalid_request", "busy"))
async def break_glass(
    body: wire.BreakGlass, _: BreakGlassActor, transaction: DbTransaction, now: Now, trail: Audit
) -> wire.PatientFile:
    """Read a patient's data and visits in an emergency.

    Administrators cannot see patients' visits in any other way. The audit trail keeps your reason, and the patient can
    read it in the export of their data.
    """
    trail.concerns_patient(body.patient_id)
    trail.because(body.reason)
    patient, visits = await administration.break_glass(transaction, body.patient_id, now)
    return wire.PatientFile(
        patient=User.model_validate(patient), appointments=[Appointment.model_validate(visit) for visit in visits]
    )
