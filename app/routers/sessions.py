"""Sessions: list where you are logged in, and log out."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import TypeAdapter

from app.core.dependencies import AccountActor, DbTransaction, Now
from app.http.audit import Audit
from app.http.browser import CLEAR_SITE_DATA
from app.http.paging import LINK_HEADER, cut_page, read_cursor
from app.http.problems import responses
from app.http.requests import StrictRoute
from app.repositories import sessions
from app.schemas import accounts as wire
from app.schemas.fields import PageQuery
from app.services.sessions import end_all_sessions
from app.services.sessions import end_session as end_one

router = APIRouter(prefix="/auth/sessions", tags=["Accounts"], route_class=StrictRoute)

_KEY = TypeAdapter(UUID)


@router.get(
    "",
    responses={200: {"headers": LINK_HEADER}, **responses("not_authenticated", "invalid_request", "busy")},
)
async def list_sessions(
    query: Annotated[PageQuery, Query()],
    request: Request,
    response: Response,
    actor: AccountActor,
    transaction: DbTransaction,
    now: Now,
) -> Sequence[wire.Session]:
    """List your sessions, latest log-in first."""
    current = actor.get_login().session_id
    found = await sessions.page_sessions(
        transaction, actor.id, now, after=read_cursor(query.cursor, _KEY), limit=query.limit + 1
    )
    page = cut_page(request, response, found, limit=query.limit, key_type=_KEY, key=lambda session: session.id)
    return [wire.Session(**asdict(session), current=session.id == current) for session in page]


@router.delete(
    "",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "invalid_request", "busy"),
)
async def end_sessions(actor: AccountActor, response: Response, transaction: DbTransaction, _: Audit) -> None:
    """Log out everywhere: end all your sessions.

    This session ends, too. The response tells browsers to clear the data that they have stored for this site
    (`Clear-Site-Data`).
    """
    response.headers.update(CLEAR_SITE_DATA)
    await end_all_sessions(transaction, actor)


@router.delete(
    "/{session_id:uuid}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses("not_authenticated", "not_found", "invalid_request", "busy"),
)
async def end_session(session_id: UUID, actor: AccountActor, transaction: DbTransaction, trail: Audit) -> None:
    """End one of your sessions.

    It takes effect at once.
    """
    trail.about(session_id)
    await end_one(transaction, actor, session_id)
