"""Pages of the user's own account: name, password, sessions and data."""

from typing import Any, Literal
from uuid import UUID

from fastapi import BackgroundTasks, Response
from pydantic import BaseModel, TypeAdapter

from app.adapters.mail import password_changed_mail
from app.core.dependencies import DbTransaction, Hashing, Now, RequestClient
from app.core.errors import DomainError
from app.core.permissions import Permission
from app.core.versions import content_version
from app.http.after_response import send_after_response
from app.http.audit import Audit
from app.http.browser import CLEAR_SITE_DATA
from app.http.paging import read_cursor
from app.http.representations import EXPORT_HEADERS, represent_export
from app.repositories import members, sessions, users
from app.schemas import accounts as wire
from app.schemas.fields import Cursor
from app.services import accounts, privacy, second_factor
from app.services.profile_review import get_wanted_name
from app.services.sessions import end_all_sessions
from app.services.sessions import end_session as end_one
from app.web.kit.auth import SESSION, AccountPage, AnyPage, BriefPage, FreshPage
from app.web.kit.drafts import drop, restore
from app.web.kit.forms import VERSION, Form, SentForm, identify, refuse, was_accepted
from app.web.kit.lists import MAX_LISTED, cut_list
from app.web.kit.pages import Page, SignedInPage
from app.web.kit.routes import page_router

router = page_router()

_SESSIONS = "/my/account/sessions"
_SESSION_ID = TypeAdapter(UUID)


class Erasure(BaseModel):
    """The confirmation that the account is to be erased."""

    sure: Literal["yes"]


@router.get("/my/account")
async def me(page: AccountPage, transaction: DbTransaction) -> Response:
    """Show the account and what can be changed about it."""
    content = await _content(page, transaction)
    current = {"name": content["wanted_name"]}
    form = restore(page, {**current, VERSION: content_version(current)})
    return page.render("account/settings.html", form=form, **content)


# The page itself is an `AccountPage`, but this is an `AnyPage`: as long as a required second factor is missing, the
# name is shown but cannot be changed.
@router.post("/my/account")
async def change_name(page: AnyPage, form: SentForm, transaction: DbTransaction, now: Now, _: Audit) -> Response:
    """Change the user's name. A doctor's new name may have to be reviewed first."""
    content = await _content(page, transaction)
    try:
        name = form.read(wire.NameChange).name
        user = await accounts.change_name(
            transaction,
            page.actor,
            name,
            now,
            reviewed=page.resources.settings.requires_doctor_approval,
            versions=form.versions,
        )
    except DomainError as error:
        if error.code == "version_mismatch":
            # The page shows the saved name above the form, so no list of changes is needed.
            content = await _content(page, transaction)
            form = form.renew({"name": content["wanted_name"]})
        raise refuse(page, "account/settings.html", form, error, **content) from error
    if user.name == name:
        return page.redirect("/my/account", page.gettext("Your name has been changed."))
    message = page.gettext("An administrator will review your new name. Until then, patients see your previous name.")
    return page.redirect("/my/account", message, "note")


async def _content(page: SignedInPage, transaction: DbTransaction) -> dict[str, Any]:
    user = await users.get_user(transaction, page.actor.id)
    return {
        "user": user,
        "wanted_name": await get_wanted_name(transaction, user),
        "is_patient": page.actor.may(Permission.EDIT_OWN_RECORD),
        "works_for_clinics": bool(await members.list_roles_of(transaction, page.actor.id)),
        "factor": await second_factor.get_status(transaction, page.actor),
    }


@router.get("/my/account/password")
async def show_password(page: AccountPage) -> Response:
    """Show the form for a new password."""
    return page.render("account/password.html", form=Form())


@router.post("/my/account/password")
async def change_password(
    page: BriefPage, form: SentForm, passwords: Hashing, client: RequestClient, tasks: BackgroundTasks
) -> Response:
    """Set a new password, and end all other sessions. A second submission redirects to the same page."""
    resources = page.resources
    submission = identify(page, form)
    done = page.redirect(
        "/my/account", page.gettext("Your password has been changed. You have been signed out everywhere else.")
    )
    # Checked before the password is compared: the old password, sent again, would count as a failed attempt.
    if await was_accepted(page, submission):
        return done
    try:
        typed = form.read(wire.PasswordChange)
        address = await accounts.change_password(
            resources.database,
            passwords,
            resources.settings,
            page.actor,
            current_password=typed.current_password.get_secret_value(),
            new_password=typed.new_password.get_secret_value(),
            client=client,
            now=page.now,
            submission=submission,
        )
    except DomainError as error:
        # Two submissions of the form ran at the same time, and the other one has changed the password.
        if await was_accepted(page, submission):
            return done
        raise refuse(page, "account/password.html", form, error) from error
    send_after_response(tasks, resources, password_changed_mail(address))
    return done


@router.get(_SESSIONS)
async def list_sessions(
    page: AccountPage, transaction: DbTransaction, now: Now, after: Cursor | None = None
) -> Response:
    """List the sessions of the account, newest first."""
    last_id = read_cursor(after, _SESSION_ID)
    found = await sessions.page_sessions(transaction, page.actor.id, now, after=last_id, limit=MAX_LISTED + 1)
    shown, more = cut_list(found, _SESSIONS, _SESSION_ID, lambda each: each.id)
    return page.render("account/sessions.html", sessions=shown, more=more, current=page.actor.get_login().session_id)


@router.post("/my/account/sessions/{session_id:uuid}/end")
async def end_session(
    session_id: UUID, page: AccountPage, form: SentForm, transaction: DbTransaction, trail: Audit
) -> Response:
    """End one session immediately."""
    trail.about(session_id)
    await end_one(transaction, page.actor, session_id)
    return page.redirect_back(form.values, _SESSIONS, page.gettext("The session has ended."))


@router.post("/my/account/sessions/end")
async def end_sessions(page: AccountPage, _form: SentForm, transaction: DbTransaction, _: Audit) -> Response:
    """End all sessions, this one included."""
    await end_all_sessions(transaction, page.actor)
    return leave(page, page.gettext("You have been signed out everywhere."))


@router.get("/my/account/data")
async def show_data(page: AnyPage) -> Response:
    """Show how to download the data or to erase the account."""
    return page.render("account/data.html", form=Form())


@router.get("/my/account/export.json")
async def export_account(page: FreshPage, transaction: DbTransaction, now: Now, _: Audit) -> Response:
    """Return everything that is stored about the user as a JSON file."""
    export = represent_export(await privacy.export(transaction, page.actor, now), page.actor, now)
    return Response(export.model_dump_json(indent=1), media_type="application/json", headers=EXPORT_HEADERS)


@router.post("/my/account/data")
async def erase_account(page: FreshPage, form: SentForm, transaction: DbTransaction, now: Now, _: Audit) -> Response:
    """Erase the account, and sign out."""
    try:
        form.read(Erasure)
        await privacy.erase(transaction, page.actor.id, page.actor.role, now, by=page.actor.id)
    except DomainError as error:
        raise refuse(page, "account/data.html", form, error) from error
    return leave(page, page.gettext("Your account has been deleted."))


def leave(page: Page, message: str) -> Response:
    """Redirect a visitor whose session has ended to the search, and clear what the browser stores for this site."""
    # A message for this account would not be shown to the visitor, who is signed out now.
    page.viewer = None
    response = page.redirect("/", message)
    # This keeps the cookies: the language, the time zone and the known device belong to the browser (ADR 0041).
    response.headers.update(CLEAR_SITE_DATA)
    page.cookies.drop(response, SESSION)
    # The next person at this computer must not get the draft (ADR 0041).
    drop(page, response)
    return response
