"""Pages where an invited person creates an account, or joins a clinic with the account that they have."""

from collections.abc import Mapping
from typing import Any

from fastapi import BackgroundTasks, Response

from app.adapters.mail import email_confirmation_mail
from app.core.dependencies import TAKES_CREDENTIALS, DbTransaction, Hashing, Now, RequestClient
from app.core.errors import DomainError
from app.core.permissions import Role
from app.db.database import Transaction
from app.http.after_response import send_after_response
from app.repositories.clinics import get_clinic
from app.repositories.invitations import InvitationRecord
from app.schemas import accounts as wire
from app.schemas.fields import Name, NewPassword
from app.services import invitations
from app.web.account.sign_in import sign_in
from app.web.kit.auth import BriefPage, BriefPublicPage, PublicPage
from app.web.kit.forms import Form, SentForm, identify, refuse, was_accepted
from app.web.kit.languages import find_country
from app.web.kit.member_roles import MEMBER_ROLES
from app.web.kit.pages import Page, sign_in_path
from app.web.kit.routes import page_router
from app.web.kit.time_zone_names import guess_time_zone, list_time_zones

router = page_router()


class NewAccount(wire.InvitationAcceptance):
    """The form of an invited person who has no account.

    ``username`` is there so that the browser saves the address with the password. The account gets the address of the
    invitation.
    """

    name: Name
    password: NewPassword
    username: str = ""


@router.get("/invitation")
async def show_invitation(page: PublicPage, transaction: DbTransaction, now: Now, token: str = "") -> Response:
    """Show the form that accepts an invitation; redirect a doctor who has accepted it to their home page."""
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
    return page.render(
        "account/invitation.html", form=form, **await _content(page, transaction, form, invitation, token)
    )


@router.post("/invitation")
async def accept_invitation(
    page: BriefPublicPage, form: SentForm, passwords: Hashing, client: RequestClient, tasks: BackgroundTasks
) -> Response:
    """Create the account, sign the person in, and redirect to their home page. A second submission does the same."""
    resources = page.resources
    submission = identify(page, form)
    email = form.value("username")
    try:
        typed = form.read(NewAccount)
        accepted = await invitations.accept_invitation(
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
        email = accepted.user.email
        if accepted.confirmation_token:
            send_after_response(tasks, resources, email_confirmation_mail(email, accepted.confirmation_token))
    except DomainError as error:
        if error.code != "invalid_invitation_token":
            raise await _refuse(page, form, error) from error
        if _has_joined(page):
            return page.redirect("/start")
        # Accepting has deleted the invitation, so a form that was sent twice finds none (ADR 0042).
        if not await was_accepted(page, submission):
            raise
    # Sign in with the password again. To repeat the first response, its session would have to be stored (ADR 0042).
    signing_in = Form({"username": email, "password": form.value("password")})
    return await sign_in(page, signing_in, passwords, client, tasks)


@router.post("/invitation/join", name="accept_invitation", dependencies=[TAKES_CREDENTIALS])
async def join_clinic(page: BriefPage, form: SentForm, client: RequestClient) -> Response:
    """Join the clinic that has sent the invitation, with the account of the visitor."""
    try:
        await invitations.accept_as_member(
            page.resources.database, page.actor, token=form.value("token"), client=client, now=page.now
        )
    except DomainError as error:
        if error.code == "invalid_invitation_token":
            raise
        raise await _refuse(page, form, error) from error
    return page.redirect("/clinic", page.gettext("You have joined the clinic."))


def _has_joined(page: Page) -> bool:
    return page.viewer is not None and page.viewer.role is Role.DOCTOR


async def _refuse(page: Page, form: Form, error: DomainError) -> Exception:
    token = form.value("token")
    async with page.resources.database.read() as transaction:
        invitation = await invitations.get_invitation(transaction, token, page.now)
        # `refuse` removes secrets from the form, but the next attempt needs the token.
        content = await _content(page, transaction, form, invitation, token)
    return refuse(page, "account/invitation.html", form, error, **content)


async def _content(
    page: Page, transaction: Transaction, form: Form, invitation: InvitationRecord, token: str
) -> Mapping[str, Any]:
    unset = ("", page.gettext("Choose a place"))
    role = invitation.member_role
    return {
        "token": token,
        "email": invitation.email,
        "clinic": await get_clinic(transaction, invitation.clinic_id) if invitation.clinic_id else None,
        "role": page.gettext(MEMBER_ROLES[role]) if role else None,
        "asks_for_practice": invitation.role is Role.DOCTOR,
        "sign_in": sign_in_path(f"/invitation?token={token}"),
        "places": list_time_zones(page.formatter, form.value("time_zone"), unset),
    }
