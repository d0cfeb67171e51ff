"""Pages that confirm the email address of an account."""

from typing import Annotated

from fastapi import BackgroundTasks, Query, Response

from app.adapters.mail import email_confirmation_mail
from app.core.dependencies import TAKES_CREDENTIALS, DbTransaction, Now
from app.core.errors import DomainError
from app.http.audit import Audit
from app.repositories import users
from app.schemas import accounts as wire
from app.services import confirmation
from app.web.kit.auth import AccountPage
from app.web.kit.forms import Form, Once, SentForm, refuse
from app.web.kit.pages import CONFIRM_EMAIL, SignedInPage, local_path
from app.web.kit.routes import page_router

router = page_router()

Next = Annotated[str, Query(alias="next")]


class Typed(wire.EmailConfirmation):
    """The code from the message, and the path to continue at."""

    next: str = ""


@router.get(CONFIRM_EMAIL)
async def show_email_confirmation(
    page: AccountPage, transaction: DbTransaction, token: str = "", next_: Next = ""
) -> Response:
    """Show the form for the code. A code in the query is filled in; opening the link does not use it up."""
    if page.actor.email_confirmed:
        return _go_on(page, next_)
    form = Form({"token": token, "next": local_path(next_) or ""})
    return page.render("account/confirm_email.html", form=form, user=await users.get_user(transaction, page.actor.id))


@router.post(CONFIRM_EMAIL, dependencies=[TAKES_CREDENTIALS])
async def confirm_email(
    page: AccountPage, form: SentForm, transaction: DbTransaction, now: Now, _: Audit, _once: Once
) -> Response:
    """Confirm the address. A second submission of the same form redirects to the same page."""
    next_ = form.value("next")
    if page.actor.email_confirmed:
        return _go_on(page, next_)
    try:
        token = form.read(Typed).token.get_secret_value()
        await confirmation.confirm_email(transaction, page.resources.settings, page.actor, token, now)
    except DomainError as error:
        user = await users.get_user(transaction, page.actor.id)
        raise refuse(page, "account/confirm_email.html", form, error, user=user) from error
    return _go_on(page, next_)


@router.post(f"{CONFIRM_EMAIL}/resend", dependencies=[TAKES_CREDENTIALS])
async def resend_confirmation(
    page: AccountPage, form: SentForm, transaction: DbTransaction, now: Now, tasks: BackgroundTasks, _: Audit
) -> Response:
    """Send a new code, if the address is not confirmed yet."""
    try:
        requested = await confirmation.request_confirmation(transaction, page.resources.settings, page.actor, now)
    except DomainError as error:
        user = await users.get_user(transaction, page.actor.id)
        raise refuse(page, "account/confirm_email.html", form, error, user=user) from error
    if requested is None:
        return _go_on(page, form.value("next"))
    # The request has counted the message: `send_after_response` would count it again and might not send it.
    tasks.add_task(page.resources.mailer, email_confirmation_mail(*requested))
    return page.redirect(page.confirm_email_path(form.value("next")), page.gettext("We have sent a new code."), "note")


def _go_on(page: SignedInPage, next_path: str) -> Response:
    return page.redirect(local_path(next_path) or "/my/account", page.gettext("Your email address has been confirmed."))
