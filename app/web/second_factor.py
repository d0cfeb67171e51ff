"""The second factor of an account: an authenticator app, and recovery codes for the day it is lost."""

from fastapi import BackgroundTasks, Response
from pydantic import BaseModel, Field
from segno import make

from app.adapters.mail import recovery_codes_renewed_mail, second_factor_removed_mail, second_factor_set_up_mail
from app.core.dependencies import TAKES_CREDENTIALS, DbSession, Now
from app.core.errors import DomainError
from app.core.one_time_codes import provisioning_uri
from app.repositories import users
from app.routers.mailing import send_after_answer
from app.routers.trail import Trail
from app.schemas.accounts import Code
from app.services import second_factor
from app.web.forms import Form, SentForm, identify, refuse
from app.web.routes import page_router
from app.web.visitors import AccountPage, FreshAccountPage

router = page_router()


class Told(BaseModel):
    """What an app was told, to show it again."""

    secret: str = Field(max_length=64, pattern=r"^[A-Z2-7]+$")


class Confirmation(Code, Told):
    """The first code that it shows."""


@router.get("/my/account/second-factor")
async def get_second_factor(page: AccountPage, session: DbSession) -> Response:
    """Whether there is one."""
    return page.render("second_factor.html", factor=await second_factor.get_status(session, page.actor))


@router.post("/my/account/second-factor")
async def set_up_second_factor(page: FreshAccountPage, _form: SentForm, session: DbSession, _: Trail) -> Response:
    """Shows what the app is to be told; it is not asked for yet. Sent again, it begins anew."""
    new = await second_factor.set_up(session, page.resources.settings, page.actor)
    form = Form({"secret": new.secret})
    return page.render("second_factor_new.html", form=form, picture=_draw(new.provisioning_uri))


@router.post("/my/account/second-factor/confirm", dependencies=[TAKES_CREDENTIALS])
async def confirm_second_factor(
    page: FreshAccountPage, form: SentForm, session: DbSession, now: Now, tasks: BackgroundTasks, _: Trail
) -> Response:
    """From now on it is asked for. The recovery codes are shown only now, so this is no redirect.

    Sent twice, the form shows new codes: the browser has thrown the first answer away.
    """
    told = form.read(Told)
    submission = identify(page, form)
    try:
        typed = form.read(Confirmation)
        code = typed.otp.get_secret_value()
        new = await second_factor.confirm(session, page.resources.settings, page.actor, code, now)
        if submission:
            await submission.accept(session, page.actor.id, now)
    except DomainError as error:
        if error.code == "second_factor_exists" and submission and await submission.was_accepted(session, now):
            new = await second_factor.renew_recovery_codes(session, page.actor)
            return page.render("recovery_codes.html", codes=new.codes)
        user = await users.get_user(session, page.actor.id)
        picture = _draw(provisioning_uri(told.secret, user.email))
        raise refuse(page, "second_factor_new.html", form, error, picture=picture) from error
    send_after_answer(tasks, page.resources, second_factor_set_up_mail(new.address))
    return page.render("recovery_codes.html", codes=new.codes)


@router.post("/my/account/second-factor/recovery-codes")
async def renew_recovery_codes(
    page: FreshAccountPage, _form: SentForm, session: DbSession, tasks: BackgroundTasks, _: Trail
) -> Response:
    """New codes; the ones from before work no longer."""
    new = await second_factor.renew_recovery_codes(session, page.actor)
    send_after_answer(tasks, page.resources, recovery_codes_renewed_mail(new.address))
    return page.render("recovery_codes.html", codes=new.codes)


@router.post("/my/account/second-factor/remove")
async def remove_second_factor(
    page: FreshAccountPage, _form: SentForm, session: DbSession, tasks: BackgroundTasks, _: Trail
) -> Response:
    """Nothing but the password is asked for from now on."""
    if address := await second_factor.remove(session, page.actor):
        send_after_answer(tasks, page.resources, second_factor_removed_mail(address))
    return page.redirect("/my/account/second-factor", page.gettext("The second factor is removed."))


def _draw(uri: str) -> str:
    """The code that an app's camera reads: always dark on white."""
    drawing: str = make(uri, error="m").svg_inline(dark="#000", light="#fff", border=3, omitsize=True)
    return drawing
