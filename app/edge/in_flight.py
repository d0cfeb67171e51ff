"""How many requests one client may have in flight."""

from collections import Counter
from uuid import UUID

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.addresses import neighbourhood
from app.core.dependencies import Resources
from app.core.errors import DomainError
from app.core.security import read_access_token
from app.core.turns import current_client
from app.edge.limits import UNLIMITED
from app.routers.problems import answer
from app.web.cookies import Cookies
from app.web.problems import for_whom
from app.web.visitors import read_claims


class InFlight:
    """Middleware that bounds the requests in flight of each address, and answers 429 beyond that.

    A request of an address that is full is let through if it has a valid token or session cookie and its account is
    not full, too: colleagues behind one address are not an attack. Nothing is asked of the database for that.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit
        self.in_flight: Counter[str | UUID] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers 429."""
        if scope["type"] != "http" or scope["path"].removeprefix(scope["root_path"]) in UNLIMITED:
            await self.app(scope, receive, send)
            return
        address = neighbourhood(scope["client"][0] if scope["client"] else None)
        current_client.set(address)
        client = self._choose_client(scope, address)
        if client is None:
            await for_whom(scope, answer(DomainError("too_many_requests", retry_after=1)))(scope, receive, send)
            return
        self.in_flight[client] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_flight[client] -= 1
            if not self.in_flight[client]:
                del self.in_flight[client]

    def _choose_client(self, scope: Scope, address: str) -> str | UUID | None:
        """For whom the request counts: the address, else the account; ``None`` if neither has room."""
        if self.in_flight[address] < self.limit:
            return address
        account = _find_account(Request(scope))
        return account if account and self.in_flight[account] < self.limit else None


def _find_account(request: Request) -> UUID | None:
    """The account that a token or a cookie names. Whether its session has ended is not looked at."""
    resources: Resources = request.app.state.resources
    now = resources.clock()
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        claims = read_claims(Cookies(request, resources), now)
        return claims.user_id if claims else None
    try:
        return read_access_token(token, key=resources.secret, now=now, lifetime=resources.token_lifetime).user_id
    except DomainError:
        return None
