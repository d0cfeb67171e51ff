"""The second factor of an account: an authenticator app (TOTP), and recovery codes in case it is lost."""

from fastapi import BackgroundTasks, Response
from pydantic import BaseModel, Field
from segno import make

from app.adapters.mail import recovery_codes_renewed_mail, second_factor_removed_mail, second_factor_set_up_mail
from app.core.dependencies import TAKES_CREDENTIALS, DbTransaction, Now
from app.core.errors import DomainError
from app.core.one_time_codes import provisioning_uri
from app.http.after_response import send_after_response
from app.http.audit import Audit
from app.repositories import users
from app.schemas.accounts import Code
from app.services import second_factor
from app.web.kit.auth import AccountPage, FreshAccountPage
from app.web.kit.forms import Form, SentForm, identify, refuse
from app.web.kit.routes import page_router

router = page_router()


class PendingSecret(BaseModel):
    """The secret that was shown for the app, sent along to show it again after a wrong code."""

    secret: str = Field(max_length=64, pattern=r"^[A-Z2-7]+$")


class Confirmation(Code, PendingSecret):
    """The secret with the first code that the app shows for it."""


@router.get("/my/account/second-factor")
async def get_second_factor(page: AccountPage, transaction: DbTransaction) -> Response:
    """Show whether a second factor is set up."""
    return page.render("account/second_factor.html", factor=await second_factor.get_status(transaction, page.actor))


@router.post("/my/account/second-factor")
async def set_up_second_factor(
    page: FreshAccountPage, _form: SentForm, transaction: DbTransaction, _: Audit
) -> Response:
    """Show a new secret for the app. It takes effect once it is confirmed; another request replaces it."""
    # Shown by the POST itself: a redirect would have to carry the secret in a URL or a cookie.
    new = await second_factor.set_up(transaction, page.resources.settings, page.actor)
    form = Form({"secret": new.secret})
    return page.render("account/second_factor_new.html", form=form, picture=_draw(new.provisioning_uri))


@router.post("/my/account/second-factor/confirm", dependencies=[TAKES_CREDENTIALS])
async def confirm_second_factor(
    page: FreshAccountPage, form: SentForm, transaction: DbTransaction, now: Now, tasks: BackgroundTasks, _: Audit
) -> Response:
    """Turn the second factor on, and show the recovery codes. They are shown only once, so this is not a redirect.

    A second submission of the same form shows new codes, because the browser has discarded the first response.
    """
    # Outside of the `try`: without the secret the form cannot be shown again.
    pending = form.read(PendingSecret)
    submission = identify(page, form)
    try:
        typed = form.read(Confirmation)
        code = typed.otp.get_secret_value()
        new = await second_factor.confirm(transaction, page.resources.settings, page.actor, code, now)
        if submission:
            await submission.accept(transaction, page.actor.id, now)
    except DomainError as error:
        # Only hashes of the first codes are stored, so they cannot be shown again (ADR 0042).
        if error.code == "second_factor_exists" and submission and await submission.was_accepted(transaction, now):
            new = await second_factor.renew_recovery_codes(transaction, page.actor)
            return page.render("account/recovery_codes.html", codes=new.codes)
        user = await users.get_user(transaction, page.actor.id)
        # The secret from the form is only used for the picture. The code was checked against the one in the database.
        picture = _draw(provisioning_uri(pending.secret, user.email))
        raise refuse(page, "account/second_factor_new.html", form, error, picture=picture) from error
    send_after_response(tasks, page.resources, second_factor_set_up_mail(new.address))
    return page.render("account/recovery_codes.html", codes=new.codes)


@router.post("/my/account/second-factor/recovery-codes")
async def renew_recovery_codes(
    page: FreshAccountPage, _form: SentForm, transaction: DbTransaction, tasks: BackgroundTasks, _: Audit
) -> Response:
    """Replace the recovery codes, and show the new ones. The previous codes stop working."""
    new = await second_factor.renew_recovery_codes(transaction, page.actor)
    send_after_response(tasks, page.resources, recovery_codes_renewed_mail(new.address))
    return page.render("account/recovery_codes.html", codes=new.codes)


@router.post("/my/account/second-factor/remove")
async def remove_second_factor(
    page: FreshAccountPage, _form: SentForm, transaction: DbTransaction, tasks: BackgroundTasks, _: Audit
) -> Response:
    """Remove the second factor. Only the password is required from now on."""
    if address := await second_factor.remove(transaction, page.actor):
        send_after_response(tasks, page.resources, second_factor_removed_mail(address))
    return page.redirect("/my/account/second-factor", page.gettext("The second factor has been removed."))


def _draw(uri: str) -> str:
    """Return the QR code as SVG, dark on white in every colour scheme, because scanners expect that."""
    drawing: str = make(uri, error="m").svg_inline(dark="#000", light="#fff", border=3, omitsize=True)
    return drawing
