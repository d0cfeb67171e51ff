"""Pages for registration, signing in and out, and resetting a forgotten password."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

from fastapi import BackgroundTasks, Query, Response

from app.adapters.mail import (
    email_confirmation_mail,
    password_changed_mail,
    password_reset_mail,
    recovery_code_used_mail,
)
from app.core.clients import Client
from app.core.dependencies import TAKES_CREDENTIALS, AppResources, DbTransaction, Hashing, Now, RequestClient
from app.core.errors import DomainError
from app.core.permissions import Role
from app.http.after_response import send_after_response
from app.http.audit import Audit
from app.http.browser import set_device
from app.repositories.sessions import delete_session
from app.schemas import accounts as wire
from app.schemas.fields import Body, Email, Name, NewPassword
from app.services import accounts, confirmation, sessions
from app.services.sessions import CodeRequiredError, LogIn, PendingLogIn
from app.web.account.settings import leave
from app.web.kit.auth import AccountPage, AnyPage, BriefPublicPage, PublicPage, begin_session
from app.web.kit.drafts import Draft, claim, drop, find_any, find_draft, without_draft
from app.web.kit.forms import Form, SentForm, identify, refuse, was_accepted
from app.web.kit.pages import FORMS, Page, local_path, sign_in_path
from app.web.kit.routes import page_router
from app.web.patient.picked_time import hold_picked

router = page_router()

_NEXT = Annotated[str, Query(alias="next")]
_PENDING = "pending"
PENDING_LOG_IN_LIFETIME = timedelta(minutes=5)
"""How long after the password the code of the second factor is accepted."""


class SignIn(wire.LoginForm):
    """A log-in, and the path to continue at."""

    next: str = ""


class NewPatient(Body):
    """A new patient's account, and the path to continue at."""

    name: Name
    email: Email
    password: NewPassword
    next: str = ""


@router.get("/sign-in")
async def show_sign_in(page: PublicPage, next_: _NEXT = "") -> Response:
    """Show the form for address and password."""
    form = Form({"next": local_path(next_) or ""})
    return page.render("account/sign_in.html", form=form, is_draft_kept=_waits_at(next_, find_any(page)))


@router.post("/sign-in")
async def sign_in(
    page: BriefPublicPage, form: SentForm, passwords: Hashing, client: RequestClient, tasks: BackgroundTasks
) -> Response:
    """Begin a session, and redirect to the page that the visitor wanted; first to the code form if a code is needed."""
    resources = page.resources
    try:
        typed = form.read(SignIn)
        grant = await sessions.log_in(
            resources.database,
            passwords,
            resources.settings,
            email=typed.username,
            password=typed.password.get_secret_value(),
            otp=typed.otp.get_secret_value() if typed.otp else None,
            client=client,
            now=page.now,
            submission=identify(page, form),
        )
    except CodeRequiredError as error:
        # The cookie binds the pending log-in to this browser.
        # The password is neither kept nor asked for again. `proof` becomes void if it changes meanwhile.
        response = page.redirect("/sign-in/code")
        content = [asdict(error.pending), page.cookies.get(FORMS), typed.next]
        page.cookies.seal(response, _PENDING, content, page.now, PENDING_LOG_IN_LIFETIME)
        return response
    except DomainError as error:
        raise refuse(page, "account/sign_in.html", form, error) from error
    return await _enter(page, grant, typed.next, client, tasks)


@router.get("/sign-in/code")
async def show_code_form(page: PublicPage) -> Response:
    """Show the form for the code of the second factor, after the password."""
    pending, next_ = _find_pending(page)
    if pending is None:
        return _ask_again(page, next_)
    return page.render("account/sign_in_code.html", form=Form(), email=pending.email)


@router.post("/sign-in/code", dependencies=[TAKES_CREDENTIALS])
async def sign_in_with_code(
    page: BriefPublicPage, form: SentForm, client: RequestClient, tasks: BackgroundTasks
) -> Response:
    """Begin the session of the pending log-in of this browser."""
    pending, next_ = _find_pending(page)
    if pending is None:
        return _ask_again(page, next_)
    resources = page.resources
    try:
        code = form.read(wire.Code).otp.get_secret_value()
        grant = await sessions.finish_log_in(
            resources.database,
            resources.settings,
            pending,
            otp=code,
            client=client,
            now=page.now,
            submission=identify(page, form),
        )
    except DomainError as error:
        # The password was changed, or the account suspended, since it was typed.
        if error.code == "invalid_credentials":
            return _ask_again(page, next_)
        raise refuse(page, "account/sign_in_code.html", form, error, email=pending.email) from error
    return await _enter(page, grant, next_, client, tasks)


def _find_pending(page: Page) -> tuple[PendingLogIn | None, str]:
    """Return the log-in of this browser that waits for a code, if any, and the path to continue at."""
    match page.cookies.unseal(_PENDING, page.now, PENDING_LOG_IN_LIFETIME):
        # The cookie alone does not work in another browser.
        case [dict(pending), str(browser), str(next_)] if browser == page.cookies.get(FORMS):
            return PendingLogIn(**pending), next_
    return None, ""


def _ask_again(page: Page, next_: str) -> Response:
    """Redirect to the password form; a visitor who is signed in, because the form was sent twice, to ``/start``."""
    if page.viewer:
        return page.redirect("/start")
    message = page.gettext("Enter your password again, and then the code within five minutes.")
    response = page.redirect(sign_in_path(next_) if next_ else "/sign-in", message, "note")
    page.cookies.drop(response, _PENDING)
    return response


async def _enter(page: Page, grant: LogIn, next_path: str, client: Client, tasks: BackgroundTasks) -> Response:
    """Set the session cookie, and redirect to the path that the visitor wanted."""
    resources = page.resources
    if page.viewer:
        # The visitor was asked to sign in again: the new session replaces the old one.
        async with resources.database.write() as transaction:
            login = page.viewer.get_login()
            await delete_session(transaction, page.viewer.id, login.session_id)
    if grant.recovery_code_of:
        send_after_response(tasks, resources, recovery_code_used_mail(grant.recovery_code_of))
    next_ = local_path(next_path) or "/start"
    # A time that was picked while signed out is held now, before another patient books it (ADR 0024).
    if held := await hold_picked(page, next_, grant, client):
        response = page.redirect(held)
        drop(page, response)
    else:
        # A draft of another person is deleted by `claim` (ADR 0041).
        draft = find_draft(page, grant.claims.user_id, signed_in_by=next_)
        message = page.gettext("Your entries have been restored. They have not been sent yet.")
        response = page.redirect(next_, message if _waits_at(next_, draft) else None, "note")
        claim(page, response, draft, grant.claims.user_id)
    begin_session(page, response, grant)
    set_device(response, resources.settings, grant.device)
    if page.cookies.get(_PENDING) is not None:
        page.cookies.drop(response, _PENDING)
    return response


def _waits_at(path: str, draft: Draft | None) -> bool:
    """Return whether the page that a sign-in leads to shows this draft."""
    if draft is None or draft.path != without_draft(path):
        return False
    return bool(draft.owner) or draft.is_meant_by(path)


@router.get("/start")
async def start(page: AnyPage) -> Response:
    """Redirect to the home page of the user's role."""
    return page.redirect(page.home)


@router.get("/register")
async def show_registration(page: PublicPage, next_: _NEXT = "") -> Response:
    """Show the registration form for patients."""
    return page.render(
        "account/register.html",
        form=Form({"next": local_path(next_) or ""}),
        is_draft_kept=_waits_at(next_, find_any(page)),
    )


@router.post("/register")
async def register(
    page: BriefPublicPage, form: SentForm, passwords: Hashing, client: RequestClient, tasks: BackgroundTasks
) -> Response:
    """Create a patient's account, and sign the patient in. A second submission only signs in."""
    resources = page.resources
    submission = identify(page, form)
    try:
        typed = form.read(NewPatient)
        async with resources.database.write() as transaction:
            user = await accounts.register(
                transaction,
                passwords,
                email=typed.email,
                password=typed.password.get_secret_value(),
                name=typed.name,
                # Doctors join by an invitation (ADR 0043) or with the API.
                role=Role.PATIENT,
                now=page.now,
                refuse_weak=resources.settings.refuses_weak_passwords,
                client=client,
            )
            token = await confirmation.issue_token(transaction, user.id, page.now)
            if submission:
                await submission.accept(transaction, user.id, page.now)
    except DomainError as error:
        # If the form was sent twice, the second submission finds the account of the first (ADR 0042).
        if error.code != "email_taken" or not await was_accepted(page, submission):
            raise refuse(page, "account/register.html", form, error) from error
    else:
        send_after_response(tasks, resources, email_confirmation_mail(user.email, token))
    return await sign_in(page, Form({**form.values, "username": typed.email}), passwords, client, tasks)


@router.post("/sign-out")
async def logout(page: AccountPage, _form: SentForm, transaction: DbTransaction, _: Audit) -> Response:
    """End the session, and clear what the browser stores for this site."""
    await sessions.end_session(transaction, page.actor, page.actor.get_login().session_id)
    return leave(page, page.gettext("You have signed out."))


@router.get("/forgotten")
async def show_forgotten(page: PublicPage) -> Response:
    """Show the form that requests a code for a new password."""
    return page.render("account/forgot_password.html", form=Form())


@router.post("/forgotten", dependencies=[TAKES_CREDENTIALS])
async def forgot_password(
    page: BriefPublicPage, form: SentForm, resources: AppResources, now: Now, tasks: BackgroundTasks
) -> Response:
    """Send a code by email. The response is the same for every address, so it does not reveal accounts."""
    try:
        typed = form.read(wire.ForgottenPassword)
    except DomainError as error:
        raise refuse(page, "account/forgot_password.html", form, error) from error
    mail = await accounts.request_password_reset(
        resources.database, resources.settings, email=typed.email, now=now, submission=identify(page, form)
    )
    if mail:
        # Sent after the response, so that the response time does not reveal whether the account exists.
        tasks.add_task(resources.mailer, password_reset_mail(mail.address, mail.token))
    message = page.gettext(
        "If there is an account with this address, we have sent it a code. We send only a few codes per hour."
    )
    return page.redirect("/reset", message, "note")


@router.get("/reset")
async def show_reset(page: PublicPage) -> Response:
    """Show the form for the code and a new password."""
    return page.render("account/reset_password.html", form=Form())


@router.post("/reset")
async def reset_password(
    page: BriefPublicPage,
    form: SentForm,
    resources: AppResources,
    passwords: Hashing,
    client: RequestClient,
    now: Now,
    tasks: BackgroundTasks,
) -> Response:
    """Set the new password, and end every session of the account. A second submission redirects to the same page."""
    submission = identify(page, form)
    message = page.gettext("Your password has been changed. Sign in with the new one.")
    try:
        typed = form.read(wire.PasswordReset)
        done = await accounts.reset_password(
            resources.database,
            passwords,
            resources.settings,
            token=typed.token.get_secret_value(),
            new_password=typed.new_password.get_secret_value(),
            client=client,
            now=now,
            submission=submission,
        )
    except DomainError as error:
        # The first submission has used up the token.
        if await was_accepted(page, submission):
            return page.redirect("/sign-in", message)
        raise refuse(page, "account/reset_password.html", form, error) from error
    send_after_response(tasks, resources, password_changed_mail(done.address))
    # No session begins: an account with a second factor still needs its code.
    response = page.redirect("/sign-in", message)
    set_device(response, resources.settings, done.device)
    return response
