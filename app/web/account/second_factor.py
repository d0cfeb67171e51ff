"""The second factor of an account: an authenticator app, and recovery codes for the day it is lost."""

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
    """What an app was told, to show it again."""

    secret: str = Field(max_length=64, pattern=r"^[A-Z2-7]+$")


class Confirmation(Code, PendingSecret):
    """The first code that it shows."""


@router.get("/my/account/second-factor")
async def get_second_factor(page: AccountPage, transaction: DbTransaction) -> Response:
    """Whether there is one."""
    return page.render("account/second_factor.html", factor=await second_factor.get_status(transaction, page.actor))


@router.post("/my/account/second-factor")
async def set_up_second_factor(
    page: FreshAccountPage, _form: SentForm, transaction: DbTransaction, _: Audit
) -> Response:
    """Shows what the app is to be told; it is not asked for yet. Sent again, it begins anew."""
    new = await second_factor.set_up(transaction, page.resources.settings, page.actor)
    form = Form({"secret": new.secret})
    return page.render("account/second_factor_new.html", form=form, picture=_draw(new.provisioning_uri))


@router.post("/my/account/second-factor/confirm", dependencies=[TAKES_CREDENTIALS])
async def confirm_second_factor(
    page: FreshAccountPage, form: SentForm, transaction: DbTransaction, now: Now, tasks: BackgroundTasks, _: Audit
) -> Response:
    """From now on it is asked for. The recovery codes are shown only now, so this is no redirect.

    Sent twice, the form shows new codes: the browser has thrown the first answer away.
    """
    pending = form.read(PendingSecret)
    submission = identify(page, form)
    try:
        typed = form.read(Confirmation)
        code = typed.otp.get_secret_value()
        new = await second_factor.confirm(transaction, page.resources.settings, page.actor, code, now)
        if submission:
            await submission.accept(transaction, page.actor.id, now)
    except DomainError as error:
        if error.code == "second_factor_exists" and submission and await submission.was_accepted(transaction, now):
            new = await second_factor.renew_recovery_codes(transaction, page.actor)
            return page.render("account/recovery_codes.html", codes=new.codes)
        user = await users.get_user(transaction, page.actor.id)
        picture = _draw(provisioning_uri(pending.secret, user.email))
        raise refuse(page, "account/second_factor_new.html", form, error, picture=picture) from error
    send_after_response(tasks, page.resources, second_factor_set_up_mail(new.address))
    return page.render("account/recovery_codes.html", codes=new.codes)


@router.post("/my/account/second-factor/recovery-codes")
async def renew_recovery_codes(
    page: FreshAccountPage, _form: SentForm, transaction: DbTransaction, tasks: BackgroundTasks, _: Audit
) -> Response:
    """New codes; the ones from before work no longer."""
    new = await second_factor.renew_recovery_codes(transaction, page.actor)
    send_after_response(tasks, page.resources, recovery_codes_renewed_mail(new.address))
    return page.render("account/recovery_codes.html", codes=new.codes)


@router.post("/my/account/second-factor/remove")
async def remove_second_factor(
    page: FreshAccountPage, _form: SentForm, transaction: DbTransaction, tasks: BackgroundTasks, _: Audit
) -> Response:
    """Nothing but the password is asked for from now on."""
    if address := await second_factor.remove(transaction, page.actor):
        send_after_response(tasks, page.resources, second_factor_removed_mail(address))
    return page.redirect("/my/account/second-factor", page.gettext("The second factor has been removed."))


def _draw(uri: str) -> str:
    """The code that an app's camera reads: always dark on white."""
    drawing: str = make(uri, error="m").svg_inline(dark="#000", light="#fff", border=3, omitsize=True)
    return drawing
