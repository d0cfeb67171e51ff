"""Confirm and change one's email address."""

from fastapi import APIRouter, BackgroundTasks, status

from app.adapters.mail import (
    email_change_mail,
    email_change_requested_mail,
    email_changed_mail,
    email_confirmation_mail,
)
from app.core.dependencies import (
    TAKES_CREDENTIALS,
    AccountActor,
    AppResources,
    BriefActor,
    DbTransaction,
    Hashing,
    Now,
    RequestClient,
)
from app.http.after_response import send_after_response
from app.http.audit import Audit
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.schemas import accounts as wire
from app.services import confirmation, email_change

router = APIRouter(prefix="/auth", tags=["Accounts"], route_class=StrictRoute)


@router.post(
    "/confirm-email",
    dependencies=[TAKES_CREDENTIALS],
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "invalid_confirmation_token", "body_too_large", "invalid_request", "busy"),
)
async def confirm_email(
    body: wire.EmailConfirmation,
    # The session is required as well: a code alone would let the owner of a mailbox confirm a stranger's account by
    # following an unexpected message (ADR 0035).
    actor: AccountActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    _: Audit,
) -> None:
    """Confirm your email address with the code that was sent to it.

    The code works once, for 24 hours, and only for the account for which it was sent. Choosing a new password with a
    reset token also confirms the address.
    """
    await confirmation.confirm_email(transaction, resources.settings, actor, body.token.get_secret_value(), now)


@router.post(
    "/resend-confirmation",
    dependencies=[TAKES_CREDENTIALS],
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "too_many_messages", "invalid_request", "busy"),
)
async def resend_confirmation(
    actor: AccountActor, resources: AppResources, transaction: DbTransaction, now: Now, tasks: BackgroundTasks, _: Audit
) -> None:
    """Request a new code to confirm your email address.

    Earlier codes stop working. Nothing is sent if the address is already confirmed.
    """
    if requested := await confirmation.request_confirmation(transaction, resources.settings, actor, now):
        # The service has counted the message already. ``send_after_response`` would count it again, and might drop it.
        tasks.add_task(resources.mailer, email_confirmation_mail(*requested))


@router.post(
    "/email",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=wire.Message,
    responses=responses(
        "not_authenticated", "too_many_attempts", "too_many_messages", "body_too_large", "invalid_request", "busy"
    ),
)
async def request_email_change(
    body: wire.EmailChangeRequest,
    # The service opens its own transactions, because a refusal must leave the counted attempt behind (ADR 0013).
    actor: BriefActor,
    resources: AppResources,
    passwords: Hashing,
    client: RequestClient,
    now: Now,
    tasks: BackgroundTasks,
) -> wire.Message:
    """Request a change of your email address.

    A code for `POST /auth/email/confirm` is sent to the new address, and a notice to the current one. The current
    address stays valid until the code is sent back. The response does not depend on whether another account has the
    new address. A new request replaces the earlier one, and a new password cancels it.
    """
    change = await email_change.request_email_change(
        resources.database,
        passwords,
        resources.settings,
        actor,
        new_email=body.new_email,
        current_password=body.current_password.get_secret_value(),
        client=client,
        now=now,
    )
    # The service has counted the messages already: ``send_after_response`` would count them again.
    tasks.add_task(resources.mailer, email_change_mail(change.new_address, change.token))
    tasks.add_task(resources.mailer, email_change_requested_mail(change.address, change.new_address))
    return wire.Message(message="A message with a code is on its way to the new address.")


@router.post(
    "/email/confirm",
    dependencies=[TAKES_CREDENTIALS],
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(
        "not_authenticated", "email_taken", "invalid_confirmation_token", "body_too_large", "invalid_request", "busy"
    ),
)
async def change_email(
    body: wire.EmailChangeConfirmation,
    # A session is required as well, as for `confirm_email`.
    actor: AccountActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    tasks: BackgroundTasks,
    _: Audit,
) -> None:
    """Change your email address, with the code that was sent to the new one.

    The code works once, for 24 hours, and only for the account that requested the change. The new address counts as
    confirmed. All your other sessions and all reset tokens end. The previous address is notified by mail, and can no
    longer be used to log in.
    """
    changed = await email_change.change_email(
        transaction, resources.settings, actor, body.token.get_secret_value(), now
    )
    send_after_response(tasks, resources, email_changed_mail(changed.previous, changed.new))
