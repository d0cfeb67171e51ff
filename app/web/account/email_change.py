"""Pages that change the email address of an account."""

from datetime import datetime
from typing import Any

from fastapi import BackgroundTasks, Response

from app.adapters.mail import email_change_mail, email_change_requested_mail, email_changed_mail
from app.core.dependencies import TAKES_CREDENTIALS, DbTransaction, Hashing, Now, RequestClient
from app.core.errors import DomainError
from app.http.after_response import send_after_response
from app.http.audit import Audit
from app.repositories import users
from app.repositories.email_changes import find_email_change
from app.schemas import accounts as wire
from app.services import email_change
from app.web.kit.auth import AccountPage, BriefPage
from app.web.kit.drafts import restore
from app.web.kit.forms import Once, SentForm, identify, refuse, was_accepted
from app.web.kit.pages import SignedInPage
from app.web.kit.routes import page_router

router = page_router()

_PAGE = "/my/account/email"
_TEMPLATE = "account/email.html"


@router.get(_PAGE)
async def show_email_change(page: AccountPage, transaction: DbTransaction, now: Now) -> Response:
    """Show the forms for a new address and, if one was requested, for its code."""
    return page.render(_TEMPLATE, form=restore(page, {}), **await _content(page, transaction, now))


@router.post(_PAGE)
async def request_email_change(
    page: BriefPage, form: SentForm, passwords: Hashing, client: RequestClient, tasks: BackgroundTasks
) -> Response:
    """Send a code to the new address. A second submission redirects to the same page."""
    resources = page.resources
    submission = identify(page, form)
    done = page.redirect(_PAGE, page.gettext("We have sent a code to the new address."), "note")
    # Checked first, so that the second submission neither replaces the code nor sends the messages again.
    if await was_accepted(page, submission):
        return done
    try:
        typed = form.read(wire.EmailChangeRequest)
        change = await email_change.request_email_change(
            resources.database,
            passwords,
            resources.settings,
            page.actor,
            new_email=typed.new_email,
            current_password=typed.current_password.get_secret_value(),
            client=client,
            now=page.now,
            submission=submission,
        )
    except DomainError as error:
        # Two submissions of the form ran at the same time, and the other one has stored the request.
        if await was_accepted(page, submission):
            return done
        async with resources.database.read() as transaction:
            content = await _content(page, transaction, page.now)
        raise refuse(page, _TEMPLATE, form, error, **content) from error
    # The service has counted the messages already: `send_after_response` would count them again.
    tasks.add_task(resources.mailer, email_change_mail(change.new_address, change.token))
    tasks.add_task(resources.mailer, email_change_requested_mail(change.address, change.new_address))
    return done


@router.post(f"{_PAGE}/confirm", dependencies=[TAKES_CREDENTIALS])
async def change_email(
    page: AccountPage,
    form: SentForm,
    transaction: DbTransaction,
    now: Now,
    tasks: BackgroundTasks,
    _: Audit,
    _once: Once,
) -> Response:
    """Change the address. A second submission of the same form redirects to the same page."""
    # Read first: after `email_taken` the transaction can only be rolled back.
    content = await _content(page, transaction, now)
    try:
        token = form.read(wire.EmailChangeConfirmation).token.get_secret_value()
        changed = await email_change.change_email(transaction, page.resources.settings, page.actor, token, now)
    except DomainError as error:
        raise refuse(page, _TEMPLATE, form, error, **content) from error
    send_after_response(tasks, page.resources, email_changed_mail(changed.previous, changed.new))
    message = page.gettext("Your email address has been changed. You have been signed out everywhere else.")
    return page.redirect("/my/account", message)


async def _content(page: SignedInPage, transaction: DbTransaction, now: datetime) -> dict[str, Any]:
    return {
        "user": await users.get_user(transaction, page.actor.id),
        "change": await find_email_change(transaction, page.actor.id, now),
    }
