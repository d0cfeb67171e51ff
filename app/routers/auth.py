"""Accounts: registering, logging in and out, names and passwords."""

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

MESSAGE_SENT = "If there is an account with this address, a message with a reset token is on its way."


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

    A code is sent to the address, for `POST /auth/confirm-email`. Depending on the operator's settings it is needed
    before a patient can book and a doctor is listed.

    An address that looks the same as a registered one, in another case or with look-alike letters, is taken too.
    In production, a password that is common, is your name or address, or is made of words like "doctor" is refused.
    """
    user = await accounts.register(
        transaction,
        passwords,
        email=body.email,
        password=body.password.get_secret_value(),
        name=body.name,
        role=Role(body.role),
        specialty=body.specialty,
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
    "/confirm-email",
    dependencies=[TAKES_CREDENTIALS],
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "invalid_confirmation_token", "body_too_large", "invalid_request", "busy"),
)
async def confirm_email(
    body: wire.EmailConfirmation,
    actor: AccountActor,
    resources: AppResources,
    transaction: DbTransaction,
    now: Now,
    _: Audit,
) -> None:
    """Confirm your e-mail address, with the code that was sent to it.

    The code works once, for 24 hours, and only for the account that it was sent for. Choosing a new password with a
    reset token confirms the address, too.
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
    """Have a new code sent to your e-mail address; earlier ones stop working.

    Nothing is sent if the address is confirmed already.
    """
    if requested := await confirmation.request_confirmation(transaction, resources.settings, actor, now):
        # Counted already: it must not be counted again, and left out, after the answer.
        tasks.add_task(resources.mailer, email_confirmation_mail(*requested))


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

    Send `username` (the e-mail address) and `password` as a form; then send the token with every request, as
    `Authorization: Bearer …`. It is valid for `expires_in` seconds; `POST /auth/refresh` goes on from there. For an
    account with a second factor, send its code as `otp` too: without it the answer is `second_factor_required`.
    When a recovery code is used, a message tells the owner.

    The answer sets a cookie by which the device is known from now on. A client that sends it with later log-ins does
    not have to wait because others have guessed the password.
    """
    grant = await sessions.log_in(
        resources.database,
        passwords,
        resources.settings,
        email=form.username,
        password=form.password.get_secret_value(),
        otp=form.otp.get_secret_value() if form.otp else None,
        client=client,
        now=now,
    )
    if grant.recovery_code_of:
        send_after_response(tasks, resources, recovery_code_used_mail(grant.recovery_code_of))
    set_device(response, resources.settings, grant.device)
    return _token(grant, resources, now)


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
    """Obtain a new access token, and a new refresh token, with a refresh token.

    Each works once. Sent again within ten seconds by the same client (network and `User-Agent`), as two tabs do, it
    gives the same new refresh token. One that comes a second time otherwise has been stolen or lost: it ends the
    session, and a message tells the owner. A time without any (an hour, unless the operator says otherwise) ends the
    session too, and so does the end of the day that it may last.
    """
    try:
        grant = await sessions.refresh(
            resources.database, resources.settings, token=body.refresh_token.get_secret_value(), client=client, now=now
        )
    except ReusedTokenError as error:
        # Answered, not raised: what is left for after the answer would be forgotten.
        send_after_response(tasks, resources, session_ended_mail(error.address))
        return problem_response(error)
    return _token(grant, resources, now)


def _token(grant: IssuedTokens, resources: Resources, now: datetime) -> wire.Token:
    lifetime = min(resources.token_lifetime, grant.ends_at - now)
    return wire.Token(
        access_token=issue_access_token(grant.claims, key=resources.secret, now=now, lifetime=lifetime),
        expires_in=int(lifetime.total_seconds()),
        refresh_token=grant.refresh_token,
    )


@router.post(
    "/logout",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "invalid_request", "busy"),
)
async def logout(actor: AccountActor, response: Response, transaction: DbTransaction, _: Audit) -> None:
    """End this session: its access tokens and its refresh token work no longer, anywhere.

    A browser forgets what it has kept of us.
    """
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
    """Ask for a reset token by mail.

    The answer is the same for every address. With the default mailer the message appears on the server's console.
    """
    mail = await accounts.request_password_reset(resources.database, resources.settings, email=body.email, now=now)
    if mail:
        # After the response, which therefore tells nothing by its time.
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

    The token works once, for 30 minutes, and no longer than the password or the second factor stays what it is. Every
    session of the account ends; a second factor stays. A message tells the owner of the address. The answer sets the
    cookie that a log-in sets, so that the next log-in does not have to wait.
    """
    done = await accounts.reset_password(
        resources.database,
        passwords,
        resources.settings,
        token=body.token.get_secret_value(),
        new_password=body.new_password.get_secret_value(),
        client=client,
        now=now,
    )
    set_device(response, resources.settings, done.device)
    send_after_response(tasks, resources, password_changed_mail(done.address))


@router.post(
    "/change-password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "too_many_attempts", "body_too_large", "invalid_request", "busy"),
)
async def change_password(
    body: wire.PasswordChange,
    actor: BriefActor,
    resources: AppResources,
    passwords: Hashing,
    client: RequestClient,
    now: Now,
    tasks: BackgroundTasks,
) -> None:
    """Choose a new password. Every other session of yours ends, and a message tells you."""
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
    """Your own account."""
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

    It is the one that others know you by: doctors see who comes, and patients whom they book. What a doctor says of
    herself besides is changed by `PATCH /doctors/me`, which takes a name as well.
    Where doctors are approved, an administrator reviews a doctor's new name: it is in `pending_change` of `GET
    /doctors/me` until then, and the name stays what it was.
    """
    reviewed = resources.settings.requires_doctor_approval
    user = await accounts.change_name(transaction, actor, body.name, now, reviewed=reviewed, versions=versions)
    tag_content(response, {"name": await get_wanted_name(transaction, user)})
    return user
