"""Register, log in and out, and change names and passwords."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Form, Response, status

from app.adapters.mail import (
    email_confirmation_mail,
    password_changed_mail,
    password_reset_mail,
    recovery_code_used_mail,
    session_ended_mail,
)
from app.core.dependencies import (
    TAKES_CREDENTIALS,
    AccountActor,
    AnyActor,
    AppResources,
    BriefActor,
    DbTransaction,
    Hashing,
    Now,
    Public,
    RequestClient,
    Resources,
)
from app.core.permissions import Role
from app.core.security import issue_access_token
from app.http.after_response import send_after_response
from app.http.audit import Audit
from app.http.browser import CLEAR_SITE_DATA, set_device
from app.http.problems import problem_response, responses
from app.http.requests import StrictRoute
from app.http.versions import ETAG_HEADER, IfContentMatch, tag_content
from app.repositories import users
from app.repositories.users import UserRecord
from app.schemas import accounts as wire
from app.services import accounts, confirmation, sessions
from app.services.profile_review import get_wanted_name
from app.services.sessions import IssuedTokens, ReusedTokenError

router = APIRouter(prefix="/auth", tags=["Accounts"], route_class=StrictRoute)

MESSAGE_SENT = "If an account with this address exists, a message with a reset token is on its way."


@router.post(
    "/register",
    status_code=status.HTTP_201_CREATED,
    response_model=wire.User,
    responses=responses("email_taken", "too_many_attempts", "body_too_large", "invalid_request", "busy"),
)
async def register(
    body: wire.Registration,
    resources: AppResources,
    passwords: Hashing,
    transaction: DbTransaction,
    client: RequestClient,
    now: Now,
    tasks: BackgroundTasks,
    _: Public,
) -> UserRecord:
    """Create an account, as a doctor or as a patient.

    A code for `POST /auth/confirm-email` is sent to the address. Depending on the operator's settings, patients must
    confirm their address before they can book, and doctors before they are listed.

    An address that looks the same as a registered one, for example in another letter case or with look-alike letters,
    is `email_taken`. In production, a password is refused if it is common, is your name or address, or consists of
    words such as "doctor".
    """
    # Holds no connection while the password is hashed: a transaction takes one with its first statement (ADR 0026).
    user = await accounts.register(
        transaction,
        passwords,
        email=body.email,
        password=body.password.get_secret_value(),
        name=body.name,
        role=Role(body.role),
        specialty=body.specialty,
        # UTC counts as not chosen: the pages then ask the doctor to set a zone.
        time_zone=body.time_zone or "UTC",
        now=now,
        refuse_weak=resources.settings.refuses_weak_passwords,
        approved=resources.settings.lists_new_doctors,
        client=client,
    )
    token = await confirmation.issue_token(transaction, user.id, now)
    send_after_response(tasks, resources, email_confirmation_mail(user.email, token))
    return user


@router.post(
    "/login",
    response_model=wire.Token,
    responses=responses(
        "invalid_credentials",
        "second_factor_required",
        "invalid_second_factor",
        "too_many_attempts",
        "body_too_large",
        "invalid_request",
        "busy",
    ),
)
async def login(
    form: Annotated[wire.LoginForm, Form()],
    response: Response,
    resources: AppResources,
    passwords: Hashing,
    client: RequestClient,
    now: Now,
    tasks: BackgroundTasks,
    _: Public,
) -> wire.Token:
    """Obtain an access token (OAuth2 password grant).

    Send `username` (the email address) and `password` as a form. Then send the token with every request, as
    `Authorization: Bearer …`. It is valid for `expires_in` seconds; use `POST /auth/refresh` to get the next one. For
    an account with a second factor, also send its code as `otp`; without it the response is `second_factor_required`.
    If a recovery code is used, the owner is notified by mail.

    The response sets a cookie that identifies the device. A client that sends it with later log-ins does not have to
    wait when others have tried to guess the password.
    """
    issued = await sessions.log_in(
        resources.database,
        passwords,
        resources.settings,
        email=form.username,
        password=form.password.get_secret_value(),
        otp=form.otp.get_secret_value() if form.otp else None,
        client=client,
        now=now,
    )
    if issued.recovery_code_of:
        send_after_response(tasks, resources, recovery_code_used_mail(issued.recovery_code_of))
    set_device(response, resources.settings, issued.device)
    return _token(issued, resources, now)


@router.post(
    "/refresh",
    dependencies=[TAKES_CREDENTIALS],
    response_model=wire.Token,
    responses=responses("invalid_refresh_token", "body_too_large", "invalid_request", "busy"),
)
async def refresh(
    body: wire.Refresh,
    resources: AppResources,
    client: RequestClient,
    now: Now,
    tasks: BackgroundTasks,
    _: Public,
) -> wire.Token | Response:
    """Exchange a refresh token for a new access token and a new refresh token.

    Each refresh token works once. If the same client (network and `User-Agent`) sends it again within ten seconds, for
    example from two tabs, it gets the same new refresh token. Any other second use means that the token may have been
    stolen: the session ends, and the owner is notified by mail.

    The session also ends if it is not refreshed for an hour, and 24 hours after the log-in, unless the operator has set
    other times.
    """
    try:
        issued = await sessions.refresh(
            resources.database, resources.settings, token=body.refresh_token.get_secret_value(), client=client, now=now
        )
    except ReusedTokenError as error:
        # Returned, not raised: FastAPI discards background tasks when a route raises.
        send_after_response(tasks, resources, session_ended_mail(error.address))
        return problem_response(error)
    return _token(issued, resources, now)


def _token(issued: IssuedTokens, resources: Resources, now: datetime) -> wire.Token:
    # An access token must not outlive its session.
    lifetime = min(resources.token_lifetime, issued.ends_at - now)
    return wire.Token(
        access_token=issue_access_token(issued.claims, key=resources.secret, now=now, lifetime=lifetime),
        expires_in=int(lifetime.total_seconds()),
        refresh_token=issued.refresh_token,
    )


@router.post(
    "/logout",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "invalid_request", "busy"),
)
async def logout(actor: AccountActor, response: Response, transaction: DbTransaction, _: Audit) -> None:
    """Log out: end this session.

    Its access tokens and its refresh token stop working at once. The response tells browsers to clear the data that
    they have stored for this site (`Clear-Site-Data`).
    """
    # This keeps the cookies: a known device stays known after a log-out (ADR 0041).
    response.headers.update(CLEAR_SITE_DATA)
    await sessions.end_session(transaction, actor, actor.get_login().session_id)


@router.post(
    "/forgot-password",
    dependencies=[TAKES_CREDENTIALS],
    response_model=wire.Message,
    responses=responses("body_too_large", "invalid_request", "busy"),
)
async def forgot_password(
    body: wire.ForgottenPassword,
    resources: AppResources,
    now: Now,
    tasks: BackgroundTasks,
    _: Public,
) -> wire.Message:
    """Request a reset token by mail.

    The response is the same whether or not the address has an account. With the default mailer, the message is written
    to the server's console.
    """
    mail = await accounts.request_password_reset(resources.database, resources.settings, email=body.email, now=now)
    if mail:
        # Sent after the response, so that its timing does not reveal whether there is an account.
        tasks.add_task(resources.mailer, password_reset_mail(mail.address, mail.token))
    return wire.Message(message=MESSAGE_SENT)


@router.post(
    "/reset-password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("invalid_reset_token", "too_many_attempts", "body_too_large", "invalid_request", "busy"),
)
async def reset_password(
    body: wire.PasswordReset,
    response: Response,
    resources: AppResources,
    passwords: Hashing,
    client: RequestClient,
    now: Now,
    tasks: BackgroundTasks,
    _: Public,
) -> None:
    """Choose a new password with a reset token.

    The token works once, for 30 minutes, and becomes invalid when the password or the second factor is changed. All
    sessions of the account end; a second factor stays. The owner of the address is notified by mail. The response sets
    the same cookie as a log-in, so that the next log-in from this device does not have to wait.
    """
    reset = await accounts.reset_password(
        resources.database,
        passwords,
        resources.settings,
        token=body.token.get_secret_value(),
        new_password=body.new_password.get_secret_value(),
        client=client,
        now=now,
    )
    set_device(response, resources.settings, reset.device)
    send_after_response(tasks, resources, password_changed_mail(reset.address))


@router.post(
    "/change-password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "too_many_attempts", "body_too_large", "invalid_request", "busy"),
)
async def change_password(
    body: wire.PasswordChange,
    # The service opens its own transactions, because a refusal must leave the counted attempt behind (ADR 0013).
    actor: BriefActor,
    resources: AppResources,
    passwords: Hashing,
    client: RequestClient,
    now: Now,
    tasks: BackgroundTasks,
) -> None:
    """Change your password.

    All your other sessions end, and you are notified by mail.
    """
    address = await accounts.change_password(
        resources.database,
        passwords,
        resources.settings,
        actor,
        current_password=body.current_password.get_secret_value(),
        new_password=body.new_password.get_secret_value(),
        client=client,
        now=now,
    )
    send_after_response(tasks, resources, password_changed_mail(address))


@router.get(
    "/me",
    response_model=wire.User,
    responses={200: {"headers": ETAG_HEADER}, **responses("not_authenticated", "invalid_request", "busy")},
)
async def me(response: Response, actor: AccountActor, transaction: DbTransaction) -> UserRecord:
    """Get your own account.

    The `ETag` is the version of the name, including a new name of a doctor that awaits a decision. Send it as
    `If-Match` when you change the name.
    """
    user = await users.get_user(transaction, actor.id)
    tag_content(response, {"name": await get_wanted_name(transaction, user)})
    return user


@router.patch(
    "/me",
    response_model=wire.User,
    responses={
        200: {"headers": ETAG_HEADER},
        **responses("not_authenticated", "version_mismatch", "body_too_large", "invalid_request", "busy"),
    },
)
async def change_name(
    body: wire.NameChange,
    response: Response,
    actor: AnyActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    versions: IfContentMatch,
    _: Audit,
) -> UserRecord:
    """Change your name.

    Doctors see the names of their patients, and patients those of doctors. To change the rest of a doctor's profile, or
    all of it together, use `PATCH /doctors/me`.

    If the operator requires the approval of doctors, an administrator reviews a doctor's new name. Until the decision
    the name stays as it was, and the new one is in `pending_change` of `GET /doctors/me`.
    """
    reviewed = resources.settings.requires_doctor_approval
    user = await accounts.change_name(transaction, actor, body.name, now, reviewed=reviewed, versions=versions)
    tag_content(response, {"name": await get_wanted_name(transaction, user)})
    return user
