"""Pages where an invited doctor creates an account."""

from collections.abc import Mapping
from typing import Any

from fastapi import BackgroundTasks, Response

from app.core.dependencies import DbTransaction, Hashing, Now, RequestClient
from app.core.errors import DomainError
from app.core.permissions import Role
from app.schemas import accounts as wire
from app.services import invitations
from app.web.account.sign_in import sign_in
from app.web.kit.auth import BriefPublicPage, PublicPage
from app.web.kit.forms import Form, SentForm, identify, refuse, was_accepted
from app.web.kit.languages import find_country
from app.web.kit.pages import Page
from app.web.kit.routes import page_router
from app.web.kit.time_zone_names import guess_time_zone, list_time_zones

router = page_router()


class NewDoctor(wire.InvitationAcceptance):
    """An invited doctor's form.

    ``username`` is there so that the browser saves the address with the password. The account gets the address of the
    invitation.
    """

    username: str = ""


@router.get("/invitation")
async def show_invitation(page: PublicPage, transaction: DbTransaction, now: Now, token: str = "") -> Response:
    """Show the form for the new account; redirect a doctor who has accepted the invitation to their home page."""
    try:
        invitation = await invitations.get_invitation(transaction, token, now)
    except DomainError:
        if _has_joined(page):
            # The doctor has opened the link in the message a second time.
            return page.redirect("/start")
        raise
    country = find_country(page.request.headers.get("Accept-Language", ""))
    form = Form(
        {
            "username": invitation.email,
            "name": invitation.name or "",
            "specialty": invitation.specialty or "",
            # Guess only if all clocks of the country agree: a wrong zone would go unnoticed (ADR 0043).
            "time_zone": invitation.time_zone or guess_time_zone(country, page.now) or "",
        }
    )
    return page.render("account/invitation.html", form=form, **_content(page, form, token))


@router.post("/invitation")
async def accept_invitation(
    page: BriefPublicPage, form: SentForm, passwords: Hashing, client: RequestClient, tasks: BackgroundTasks
) -> Response:
    """Create the account, sign the doctor in, and redirect to their home page. A second submission does the same."""
    resources = page.resources
    submission = identify(page, form)
    email = form.value("username")
    try:
        typed = form.read(NewDoctor)
        user = await invitations.accept_invitation(
            resources.database,
            passwords,
            resources.settings,
            token=typed.token.get_secret_value(),
            name=typed.name,
            password=typed.password.get_secret_value(),
            specialty=typed.specialty,
            time_zone=typed.time_zone,
            client=client,
            now=page.now,
            submission=submission,
        )
        email = user.email
    except DomainError as error:
        if error.code != "invalid_invitation_token":
            # `refuse` removes secrets from the form, but the next attempt needs the token.
            content = _content(page, form, form.value("token"))
            raise refuse(page, "account/invitation.html", form, error, **content) from error
        if _has_joined(page):
            return page.redirect("/start")
        # Accepting has deleted the invitation, so a form that was sent twice finds none (ADR 0042).
        if not await was_accepted(page, submission):
            raise
    # Sign in with the password again. To repeat the first response, its session would have to be stored (ADR 0042).
    signing_in = Form({"username": email, "password": form.value("password")})
    return await sign_in(page, signing_in, passwords, client, tasks)


def _has_joined(page: Page) -> bool:
    return page.viewer is not None and page.viewer.role is Role.DOCTOR


def _content(page: Page, form: Form, token: str) -> Mapping[str, Any]:
    unset = ("", page.gettext("Choose a place"))
    return {"token": token, "places": list_time_zones(page.formatter, form.value("time_zone"), unset)}
