"""Who looks at a page: what a route names in its signature, as those of the API name their actors.

A visitor is known by a sealed cookie that names her session, one of those that the API lists and ends. The cookie is
no token of the API, nor the other way round: each is read with a key of its own.
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
from app.core.permissions import Actor, Role
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
    """Who has signed in, or nobody: a session that has ended is as good as none."""
    return await _find(request, resources, request.state.transaction, tasks)


async def find_brief_visitor(request: Request, resources: AppResources, tasks: BackgroundTasks) -> Actor | None:
    """The same, in a transaction that is over before the route begins, for one that has transactions of its own."""
    async with resources.database.read() as transaction:
        return await _find(request, resources, transaction, tasks)


async def _find(
    request: Request, resources: Resources, transaction: Transaction, tasks: BackgroundTasks
) -> Actor | None:
    request.state.actor = None
    now = await get_now(request)
    claims = read_claims(Cookies(request, resources), now)
    visitor = claims and await sessions.find_visitor(transaction, claims, now)
    if not visitor:
        return None
    await attach_actor(request, resources, visitor.actor)
    if is_idle(resources.settings, visitor, now):
        # After the answer: it costs nobody time, and a page that is looked at needs no right to write.
        tasks.add_task(_extend_session, resources, visitor, now)
    return visitor.actor


async def _extend_session(resources: Resources, visitor: VisitorRecord, now: datetime) -> None:
    try:
        await extend_session(resources.database, resources.settings, visitor, now)
    except DomainError:
        log.warning("a session was not extended: the database is busy")  # the next page does it


def read_claims(cookies: Cookies, now: datetime) -> AccessClaims | None:
    """Whose session the cookie names, whether or not it has ended."""
    match cookies.unseal(SESSION, now):
        case [str(user_id), str(session_id)]:
            return AccessClaims(UUID(user_id), UUID(session_id))
    return None


def find_cookie_account(request: Request) -> UUID | None:
    """The account that the session cookie names, whether or not the session has ended."""
    resources: Resources = request.app.state.resources
    claims = read_claims(Cookies(request, resources), resources.clock())
    return claims.user_id if claims else None


def begin_session(page: Page, response: Response, grant: IssuedTokens) -> None:
    """Gives the browser the cookie of a session that has begun. It ends with the browser, or before, in the database.

    The refresh token of the grant is given to nobody: a cookie that changed would end one of two tabs.
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


# Every page names one of these; a test fails the one that does not.
PublicPage = Annotated[Page, Depends(_page(find_visitor))]
"""For everybody; who has signed in may see a little more."""
BriefPublicPage = Annotated[Page, Depends(_page(find_brief_visitor))]
"""A ``PublicPage`` whose route holds no transaction while it works."""
PatientPage = Annotated[SignedInPage, Depends(_page_of(require(Role.PATIENT, find=find_visitor)))]
BookingPage = Annotated[SignedInPage, Depends(_page_of(require(Role.PATIENT, booking=True, find=find_visitor)))]
"""A ``PatientPage`` of somebody whose e-mail address is confirmed, where the settings ask for that."""
DoctorPage = Annotated[SignedInPage, Depends(_page_of(require(Role.DOCTOR, find=find_visitor)))]
AdminPage = Annotated[SignedInPage, Depends(_page_of(require(Role.ADMIN, find=find_visitor)))]
AnyPage = Annotated[SignedInPage, Depends(_page_of(require(*Role, find=find_visitor)))]
AccountPage = Annotated[SignedInPage, Depends(_page_of(require(*Role, setting_up=True, find=find_visitor)))]
"""Anybody who looks after her own account, even if the second factor that her role asks for is not set up yet."""
BriefPage = Annotated[SignedInPage, Depends(_page_of(require(*Role, setting_up=True, find=find_brief_visitor)))]
"""An ``AccountPage`` whose route holds no transaction while it works."""
FreshPage = Annotated[SignedInPage, Depends(_page_of(require_fresh(*Role, find=find_visitor)))]
"""An ``AnyPage`` of somebody who has signed in within the last ten minutes."""
FreshAccountPage = Annotated[SignedInPage, Depends(_page_of(require_fresh(*Role, setting_up=True, find=find_visitor)))]
"""An ``AccountPage`` of somebody who has."""
FreshAdminPage = Annotated[SignedInPage, Depends(_page_of(require_deciding(find_visitor)))]
"""An ``AdminPage`` of somebody who has."""
