"""What a route may ask for in its signature: a session, the time, and who calls.

The one module of ``core`` that may import anything, and that only edges may import.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession

from app.adapters.mail import Mailer
from app.core.clock import Clock
from app.core.errors import DomainError
from app.core.limits import Limits
from app.core.permissions import Actor, Role
from app.core.security import Passwords, read_access_token
from app.core.settings import Settings
from app.db.session import Sessions
from app.repositories import users


@dataclass(frozen=True, slots=True)
class Resources:
    """What one running application owns; made at its start, on ``app.state.resources``."""

    settings: Settings
    sessions: Sessions
    passwords: Passwords
    clock: Clock
    mailer: Mailer
    limits: Limits

    @property
    def secret(self) -> str:
        """The key that signs access tokens."""
        return self.settings.secret_key.get_secret_value()

    @property
    def token_lifetime(self) -> timedelta:
        """How long an access token is valid."""
        return timedelta(minutes=self.settings.access_token_minutes)


async def get_resources(request: Request) -> Resources:
    """The resources of the application that serves this request."""
    resources: Resources = request.app.state.resources
    return resources


AppResources = Annotated[Resources, Depends(get_resources)]


async def get_now(resources: AppResources) -> datetime:
    """The time of this request: read once, the same for all that it does."""
    return resources.clock()


Now = Annotated[datetime, Depends(get_now)]


async def open_session(request: Request, resources: AppResources) -> AsyncIterator[AsyncSession]:
    """The one transaction of this request. A GET cannot change anything; whatever else is committed at the end."""
    transaction = resources.sessions.read if request.method == "GET" else resources.sessions.write
    async with transaction() as session:
        yield session


# The scope matters: by default the commit would come after the response, and a failed one would have answered 201.
DbSession = Annotated[AsyncSession, Depends(open_session, scope="function")]

_bearer = OAuth2PasswordBearer(
    tokenUrl="auth/login", auto_error=False, description="An access token of `POST /auth/login`."
)


async def public() -> None:
    """Lets everybody in; a route says so in its signature."""


async def find_viewer(
    request: Request,
    resources: AppResources,
    session: DbSession,
    now: Now,
    token: Annotated[str | None, Depends(_bearer)],
) -> Actor | None:
    """The caller, or nobody if no token was sent; a token that is not valid is an error."""
    if token is None:
        return None
    claims = read_access_token(token, key=resources.secret, now=now, lifetime=resources.token_lifetime)
    await resources.limits.count_account(claims.user_id, request.state.quotas)
    actor = await users.find_actor(session, claims)
    if actor is None:
        raise DomainError("not_authenticated")
    return actor


def _require(*roles: Role) -> Callable[..., Awaitable[Actor]]:
    async def authenticate(caller: Annotated[Actor | None, Depends(find_viewer)]) -> Actor:
        if caller is None:
            raise DomainError("not_authenticated")
        if caller.role not in roles:
            raise DomainError("wrong_role")
        return caller

    return authenticate


# Every route names one of these; a test fails the one that does not.
Public = Annotated[None, Depends(public)]
Viewer = Annotated[Actor | None, Depends(find_viewer)]
"""Everybody; who has logged in may see a little more."""
PatientActor = Annotated[Actor, Depends(_require(Role.PATIENT))]
DoctorActor = Annotated[Actor, Depends(_require(Role.DOCTOR))]
AnyActor = Annotated[Actor, Depends(_require(*Role))]
