"""One's own account: what it is, its name and password, where it is signed in, and one's own data."""

from typing import Any, Literal
from uuid import UUID

from fastapi import BackgroundTasks, Response
from pydantic import BaseModel, TypeAdapter

from app.adapters.mail import password_changed_mail
from app.core.dependencies import DbTransaction, Hashing, Now, RequestClient
from app.core.errors import DomainError
from app.core.versions import content_version
from app.http.after_response import send_after_response
from app.http.audit import Audit
from app.http.browser import CLEAR_SITE_DATA
from app.http.paging import read_cursor
from app.http.representations import EXPORT_HEADERS, represent_export
from app.repositories import sessions, users
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
    """That she is sure."""

    sure: Literal["yes"]


@router.get("/my/account")
async def me(page: AccountPage, transaction: DbTransaction) -> Response:
    """All that can be looked after."""
    content = await _content(page, transaction)
    current = {"name": content["wanted_name"]}
    form = restore(page, {**current, VERSION: content_version(current)})
    return page.render("account/settings.html", form=form, **content)


@router.post("/my/account")
async def change_name(page: AnyPage, form: SentForm, transaction: DbTransaction, now: Now, _: Audit) -> Response:
    """Changes the name that others know her by."""
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
            # The name that is saved now stands above the form.
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
        "factor": await second_factor.get_status(transaction, page.actor),
    }


@router.get("/my/account/password")
async def show_password(page: AccountPage) -> Response:
    """Asks for the password and a new one."""
    return page.render("account/password.html", form=Form())


@router.post("/my/account/password")
async def change_password(
    page: BriefPage, form: SentForm, passwords: Hashing, client: RequestClient, tasks: BackgroundTasks
) -> Response:
    """Sets a new password; all other sessions end. Sent twice, the form leads where it led before."""
    resources = page.resources
    submission = identify(page, form)
    done = page.redirect(
        "/my/account", page.gettext("Your password has been changed. You have been signed out everywhere else.")
    )
    # Before the password is compared: the old one, sent again, would count as a wrong guess.
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
        # Both were on their way at once.
        if await was_accepted(page, submission):
            return done
        raise refuse(page, "account/password.html", form, error) from error
    send_after_response(tasks, resources, password_changed_mail(address))
    return done


@router.get(_SESSIONS)
async def list_sessions(
    page: AccountPage, transaction: DbTransaction, now: Now, after: Cursor | None = None
) -> Response:
    """Where she is signed in, the last first."""
    place = read_cursor(after, _SESSION_ID)
    found = await sessions.page_sessions(transaction, page.actor.id, now, after=place, limit=MAX_LISTED + 1)
    shown, more = cut_list(found, _SESSIONS, _SESSION_ID, lambda each: each.id)
    return page.render("account/sessions.html", sessions=shown, more=more, current=page.actor.get_login().session_id)


@router.post("/my/account/sessions/{session_id:uuid}/end")
async def end_session(
    session_id: UUID, page: AccountPage, form: SentForm, transaction: DbTransaction, trail: Audit
) -> Response:
    """Signs out somewhere, at once."""
    trail.about(session_id)
    await end_one(transaction, page.actor, session_id)
    return page.redirect_back(form.values, _SESSIONS, page.gettext("The session has ended."))


@router.post("/my/account/sessions/end")
async def end_sessions(page: AccountPage, _form: SentForm, transaction: DbTransaction, _: Audit) -> Response:
    """Signs out everywhere, here too."""
    await end_all_sessions(transaction, page.actor)
    return leave(page, page.gettext("You have been signed out everywhere."))


@router.get("/my/account/data")
async def show_data(page: AnyPage) -> Response:
    """What can be done with one's data."""
    return page.render("account/data.html", form=Form())


@router.get("/my/account/export.json")
async def export_account(page: FreshPage, transaction: DbTransaction, now: Now, _: Audit) -> Response:
    """All that is stored about the user, as a file."""
    export = represent_export(await privacy.export(transaction, page.actor, now), page.actor, now)
    return Response(export.model_dump_json(indent=1), media_type="application/json", headers=EXPORT_HEADERS)


@router.post("/my/account/data")
async def erase_account(page: FreshPage, form: SentForm, transaction: DbTransaction, now: Now, _: Audit) -> Response:
    """Erases the account."""
    try:
        form.read(Erasure)
        await privacy.erase(transaction, page.actor, now, by=page.actor.id)
    except DomainError as error:
        raise refuse(page, "account/data.html", form, error) from error
    return leave(page, page.gettext("Your account has been deleted."))


def leave(page: Page, message: str) -> Response:
    """Leads a visitor whose session has ended to the first page; the browser forgets the session and the draft."""
    page.viewer = None
    response = page.redirect("/", message)
    response.headers.update(CLEAR_SITE_DATA)
    page.cookies.drop(response, SESSION)
    drop(page, response)
    return response
