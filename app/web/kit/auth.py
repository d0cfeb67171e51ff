"""Authentication of pages: the dependencies that page routes declare, as the routes of the API declare their actors.

A visitor is identified by a sealed cookie that names a session, the same kind of session that the API lists and ends.
The cookie is not accepted as a token of the API, nor a token as a cookie: they use different keys.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import BackgroundTasks, Depends, Request, Response

from app.core.dependencies import (
    AppResources,
    Resources,
    attach_actor,
    get_now,
    require,
    require_deciding,
    require_fresh,
)
from app.core.errors import DomainError
from app.core.permissions import Actor, Permission
from app.core.security import AccessClaims
from app.db.database import Transaction
from app.repositories import sessions
from app.repositories.sessions import VisitorRecord
from app.services.sessions import IssuedTokens, extend_session, is_idle
from app.web.kit.cookies import Cookies
from app.web.kit.pages import Page, SignedInPage, make_page

SESSION = "session"

log = logging.getLogger(__name__)


async def find_visitor(request: Request, resources: AppResources, tasks: BackgroundTasks) -> Actor | None:
    """Return the signed-in user; ``None`` without a session, or if it has ended."""
    return await _find(request, resources, request.state.transaction, tasks)


async def find_brief_visitor(request: Request, resources: AppResources, tasks: BackgroundTasks) -> Actor | None:
    """Return the same, from a transaction that ends before the route starts, for routes that open their own."""
    async with resources.database.read() as transaction:
        return await _find(request, resources, transaction, tasks)


async def _find(
    request: Request, resources: Resources, transaction: Transaction, tasks: BackgroundTasks
) -> Actor | None:
    request.state.actor = None
    now = await get_now(request)
    claims = read_claims(Cookies(request, resources), now)
    visitor = claims and await sessions.find_visitor(transaction, claims, now)
    # Not an error, unlike an invalid token of the API: public pages stay open when a session has ended.
    if not visitor:
        return None
    await attach_actor(request, resources, visitor.actor)
    if is_idle(resources.settings, visitor, now):
        # Extended after the response, so that requests for pages stay read-only.
        tasks.add_task(_extend_session, resources, visitor, now)
    return visitor.actor


async def _extend_session(resources: Resources, visitor: VisitorRecord, now: datetime) -> None:
    try:
        await extend_session(resources.database, resources.settings, visitor, now)
    except DomainError:
        log.warning("a session was not extended: the database is busy")  # the next request tries again


def read_claims(cookies: Cookies, now: datetime) -> AccessClaims | None:
    """Return the user and the session that the cookie names, even if the session has ended."""
    # Without a time limit: the session in the database decides (ADR 0024).
    match cookies.unseal(SESSION, now):
        case [str(user_id), str(session_id)]:
            return AccessClaims(UUID(user_id), UUID(session_id))
    return None


def find_cookie_account(request: Request) -> UUID | None:
    """Return the account that the session cookie names, even if the session has ended."""
    resources: Resources = request.app.state.resources
    claims = read_claims(Cookies(request, resources), resources.clock())
    return claims.user_id if claims else None


def begin_session(page: Page, response: Response, grant: IssuedTokens) -> None:
    """Set the session cookie. It lasts until the browser is closed; the session may end before that in the database.

    The refresh token is not used: a cookie that rotates would end the session in one of two open tabs.
    """
    claims = grant.claims
    page.cookies.seal(response, SESSION, [str(claims.user_id), str(claims.session_id)], page.now)


def _page(find: Callable[..., Awaitable[Actor | None]]) -> Callable[..., Awaitable[Page]]:
    async def open_page(request: Request, viewer: Annotated[Actor | None, Depends(find)]) -> Page:
        return make_page(request, viewer)

    return open_page


def _page_of(authenticate: Callable[..., Awaitable[Actor]]) -> Callable[..., Awaitable[SignedInPage]]:
    async def open_page(request: Request, actor: Annotated[Actor, Depends(authenticate)]) -> SignedInPage:
        return SignedInPage.of(request, actor)

    return open_page


def _page_for(permission: Permission) -> Callable[..., Awaitable[SignedInPage]]:
    return _page_of(require(permission, find=find_visitor))


def _deciding_page(permission: Permission) -> Callable[..., Awaitable[SignedInPage]]:
    return _page_of(require_deciding(permission, find_visitor))


# Every page names one of these. tests/architecture/test_pages.py fails if one does not.
PublicPage = Annotated[Page, Depends(_page(find_visitor))]
"""A page for all visitors, signed in or not."""
BriefPublicPage = Annotated[Page, Depends(_page(find_brief_visitor))]
"""A ``PublicPage`` whose route does not hold the request's transaction, because it opens transactions of its own."""
HoldingPage = Annotated[SignedInPage, Depends(_page_for(Permission.BOOK_ONLINE))]
BookingPage = Annotated[
    SignedInPage, Depends(_page_of(require(Permission.BOOK_ONLINE, booking=True, find=find_visitor)))
]
"""A ``HoldingPage`` for users with a confirmed email address, if the settings require one."""
OwnVisitsPage = Annotated[SignedInPage, Depends(_page_for(Permission.SEE_OWN_VISITS))]
ChangeOwnVisitPage = Annotated[SignedInPage, Depends(_page_for(Permission.CHANGE_ONLINE))]
OwnRecordPage = Annotated[SignedInPage, Depends(_page_for(Permission.EDIT_OWN_RECORD))]
CalendarPage = Annotated[SignedInPage, Depends(_page_for(Permission.SEE_OWN_CALENDAR))]
ChangeForPatientsPage = Annotated[SignedInPage, Depends(_page_for(Permission.CHANGE_FOR_PATIENTS))]
AttendancePage = Annotated[SignedInPage, Depends(_page_for(Permission.RECORD_ATTENDANCE))]
HoursPage = Annotated[SignedInPage, Depends(_page_for(Permission.SET_OWN_HOURS))]
VisitTypesPage = Annotated[SignedInPage, Depends(_page_for(Permission.SET_OWN_VISIT_TYPES))]
ProfilePage = Annotated[SignedInPage, Depends(_page_for(Permission.EDIT_OWN_PROFILE))]
AccountsPage = Annotated[SignedInPage, Depends(_page_for(Permission.SEE_ACCOUNTS))]
InvitationsPage = Annotated[SignedInPage, Depends(_page_for(Permission.INVITE_DOCTORS))]
ClinicsPage = Annotated[SignedInPage, Depends(_page_for(Permission.APPOINT_MANAGERS))]
PatientVisitsPage = Annotated[SignedInPage, Depends(_page_for(Permission.BREAK_GLASS))]
AuditTrailPage = Annotated[SignedInPage, Depends(_page_for(Permission.READ_AUDIT_TRAIL))]
AnyPage = Annotated[SignedInPage, Depends(_page_of(require(None, find=find_visitor)))]
AccountPage = Annotated[SignedInPage, Depends(_page_of(require(None, setting_up=True, find=find_visitor)))]
"""A page of the user's own account, open even if the second factor that the role requires is not set up yet."""
BriefPage = Annotated[SignedInPage, Depends(_page_of(require(None, setting_up=True, find=find_brief_visitor)))]
"""An ``AccountPage`` whose route does not hold the request's transaction, because it opens transactions of its own."""
FreshPage = Annotated[SignedInPage, Depends(_page_of(require_fresh(None, find=find_visitor)))]
"""An ``AnyPage`` for users who have signed in within the last ten minutes."""
FreshAccountPage = Annotated[SignedInPage, Depends(_page_of(require_fresh(None, setting_up=True, find=find_visitor)))]
"""An ``AccountPage`` for users who have signed in within the last ten minutes."""
# For decisions about other people (`require_deciding`): these users have signed in within the last ten minutes.
DecidingPage = Annotated[SignedInPage, Depends(_deciding_page(Permission.ADMINISTER_ACCOUNTS))]
InvitingPage = Annotated[SignedInPage, Depends(_deciding_page(Permission.INVITE_DOCTORS))]
SuspendedDoctorsPage = Annotated[SignedInPage, Depends(_deciding_page(Permission.CANCEL_FOR_SUSPENDED_DOCTORS))]
AppointingPage = Annotated[SignedInPage, Depends(_deciding_page(Permission.APPOINT_MANAGERS))]
BreakGlassPage = Annotated[SignedInPage, Depends(_deciding_page(Permission.BREAK_GLASS))]
