"""Registering and logging in."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Form, status

from app.adapters.mail import password_reset_mail
from app.core.dependencies import AnyActor, AppResources, DbSession, Now, Public
from app.core.permissions import Role
from app.core.security import issue_access_token
from app.repositories import users
from app.repositories.users import UserRecord
from app.routers.problems import responses
from app.routers.requests import StrictRoute
from app.schemas import accounts as wire
from app.services import accounts

router = APIRouter(prefix="/auth", tags=["Accounts"], route_class=StrictRoute)

ON_ITS_WAY = "If there is an account with this address, a message with a reset token is on its way."


@router.post(
    "/register",
    status_code=status.HTTP_201_CREATED,
    response_model=wire.User,
    responses=responses("email_taken", "body_too_large", "invalid_request", "busy"),
)
async def register(
    body: wire.Registration, resources: AppResources, session: DbSession, now: Now, _: Public
) -> UserRecord:
    """Create an account, as a doctor or as a patient.

    An address that looks the same as a registered one, in another case or with look-alike letters, is taken too.
    In production, a password that is common or is your name or address is refused.
    """
    return await accounts.register(
        session,
        resources.passwords,
        email=body.email,
        password=body.password.get_secret_value(),
        name=body.name,
        role=Role(body.role),
        specialty=body.specialty,
        time_zone=body.time_zone or "UTC",
        now=now,
        refuse_weak=resources.settings.environment == "production",
    )


@router.post(
    "/login",
    response_model=wire.Token,
    responses=responses("invalid_credentials", "body_too_large", "invalid_request", "busy"),
)
async def login(form: Annotated[wire.LoginForm, Form()], resources: AppResources, now: Now, _: Public) -> wire.Token:
    """Obtain an access token (OAuth2 password grant).

    Send `username` (the e-mail address) and `password` as a form; then send the token with every request, as
    `Authorization: Bearer …`. It is valid for `expires_in` seconds.
    """
    claims = await accounts.log_in(
        resources.sessions,
        resources.passwords,
        email=form.username,
        password=form.password.get_secret_value(),
    )
    token = issue_access_token(claims, key=resources.secret, now=now, lifetime=resources.token_lifetime)
    return wire.Token(access_token=token, expires_in=int(resources.token_lifetime.total_seconds()))


@router.post(
    "/forgot-password", response_model=wire.Message, responses=responses("body_too_large", "invalid_request", "busy")
)
async def forgot_password(
    body: wire.ForgottenPassword,
    resources: AppResources,
    session: DbSession,
    now: Now,
    tasks: BackgroundTasks,
    _: Public,
) -> wire.Message:
    """Ask for a reset token by mail.

    The answer is the same for every address. With the default mailer the message appears on the server's console.
    """
    mail = await accounts.request_password_reset(session, email=body.email, now=now)
    if mail:
        # After the commit and after the response, which therefore tells nothing by its time.
        tasks.add_task(resources.mailer, password_reset_mail(mail.address, mail.token))
    return wire.Message(message=ON_ITS_WAY)


@router.post(
    "/reset-password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("invalid_reset_token", "body_too_large", "invalid_request", "busy"),
)
async def reset_password(
    body: wire.PasswordReset, resources: AppResources, session: DbSession, now: Now, _: Public
) -> None:
    """Choose a new password with a reset token.

    The token works once, for 30 minutes. Every access token of the account ends.
    """
    await accounts.reset_password(
        session,
        resources.passwords,
        token=body.token.get_secret_value(),
        new_password=body.new_password.get_secret_value(),
        now=now,
        refuse_weak=resources.settings.environment == "production",
    )


@router.get("/me", response_model=wire.User, responses=responses("not_authenticated", "invalid_request", "busy"))
async def me(actor: AnyActor, session: DbSession) -> UserRecord:
    """Your own account."""
    return await users.get_user(session, actor.id)
