"""The second factor: codes of an authenticator app (TOTP), and recovery codes."""

from fastapi import APIRouter, BackgroundTasks, status

from app.adapters.mail import (
    recovery_codes_renewed_mail,
    second_factor_removed_mail,
    second_factor_set_up_mail,
)
from app.core.dependencies import (
    TAKES_CREDENTIALS,
    AccountActor,
    AppResources,
    DbTransaction,
    FreshAccountActor,
    Now,
)
from app.http.after_response import send_after_response
from app.http.audit import Audit
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.schemas import accounts as wire
from app.services import second_factor

router = APIRouter(prefix="/auth/second-factor", tags=["Accounts"], route_class=StrictRoute)


@router.get("", response_model=wire.SecondFactor, responses=responses("not_authenticated", "invalid_request", "busy"))
async def get_second_factor(actor: AccountActor, transaction: DbTransaction) -> second_factor.Status:
    """Get the status of your second factor.

    It says whether you have one, and how many recovery codes are left.
    """
    return await second_factor.get_status(transaction, actor)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=wire.Enrolment,
    responses=responses(
        "not_authenticated", "log_in_again", "email_not_confirmed", "second_factor_exists", "invalid_request", "busy"
    ),
)
async def set_up_second_factor(
    actor: FreshAccountActor, resources: AppResources, transaction: DbTransaction, _: Audit
) -> second_factor.Enrolment:
    """Start setting up a second factor.

    Show `provisioning_uri` to an authenticator app as a QR code, or type `secret` into the app. Then send the code that
    the app shows to `POST /auth/second-factor/confirm`. Until then nothing changes. Requires a log-in within the last
    ten minutes and a confirmed email address.
    """
    return await second_factor.set_up(transaction, resources.settings, actor)


@router.post(
    # No `Idempotent`, here and below: the stored response would contain secrets (`docs/booking.md`).
    "/confirm",
    dependencies=[TAKES_CREDENTIALS],
    response_model=wire.RecoveryCodes,
    responses=responses(
        "not_authenticated",
        "log_in_again",
        "not_found",
        "second_factor_exists",
        "body_too_large",
        "invalid_request",
        "busy",
    ),
)
async def confirm_second_factor(
    body: wire.Code,
    actor: FreshAccountActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    tasks: BackgroundTasks,
    _: Audit,
) -> wire.RecoveryCodes:
    """Finish setting up a second factor.

    Send the code that the authenticator app shows. From now on, every log-in requires a code. Keep the recovery codes
    in a safe place: each of them replaces the app once, and they are shown only in this response. Your other sessions
    end, and you are notified by mail.
    """
    code = body.otp.get_secret_value()
    new = await second_factor.confirm(transaction, resources.settings, actor, code, now)
    send_after_response(tasks, resources, second_factor_set_up_mail(new.address))
    return wire.RecoveryCodes(recovery_codes=new.codes)


@router.post(
    "/recovery-codes",
    response_model=wire.RecoveryCodes,
    responses=responses("not_authenticated", "log_in_again", "not_found", "invalid_request", "busy"),
)
async def renew_recovery_codes(
    actor: FreshAccountActor, resources: AppResources, transaction: DbTransaction, tasks: BackgroundTasks, _: Audit
) -> wire.RecoveryCodes:
    """Replace your recovery codes.

    The earlier codes stop working, and you are notified by mail. The new codes are shown only in this response.
    """
    new = await second_factor.renew_recovery_codes(transaction, actor)
    send_after_response(tasks, resources, recovery_codes_renewed_mail(new.address))
    return wire.RecoveryCodes(recovery_codes=new.codes)


@router.delete(
    "",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "log_in_again", "invalid_request", "busy"),
)
async def remove_second_factor(
    actor: FreshAccountActor, resources: AppResources, transaction: DbTransaction, tasks: BackgroundTasks, _: Audit
) -> None:
    """Remove your second factor.

    You are notified by mail. If your role requires a second factor, you must set up a new one before you continue.
    """
    if address := await second_factor.remove(transaction, actor):
        send_after_response(tasks, resources, second_factor_removed_mail(address))
