"""The limit of requests that one client may have in flight."""

from collections import Counter
from collections.abc import Callable
from uuid import UUID

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.addresses import bounded_network
from app.core.dependencies import Resources
from app.core.errors import DomainError
from app.core.fair_locks import current_client
from app.core.security import read_access_token
from app.edge.rate_limits import UNLIMITED_PATHS
from app.http.problems import RenderProblem, problem_response


class InFlightMiddleware:
    """Middleware that limits the requests in flight of each address, and answers 429 beyond that.

    If an address is at its limit, a request with a valid token or session cookie is counted for its account instead,
    which has the same limit: colleagues behind one address are not an attack. The check does not use the database, so
    the session may have ended.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int,
        render_problem: RenderProblem,
        find_cookie_account: Callable[[Request], UUID | None],
    ) -> None:
        self.app = app
        self.limit = limit
        self.render_problem = render_problem
        self.find_cookie_account = find_cookie_account
        self.in_flight: Counter[str | UUID] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, or answer 429."""
        if scope["type"] != "http" or scope["path"].removeprefix(scope["root_path"]) in UNLIMITED_PATHS:
            await self.app(scope, receive, send)
            return
        address = bounded_network(scope["client"][0] if scope["client"] else None)
        # Set for every request, so that every search and every write counts for a client (ADR 0029).
        current_client.set(address)
        client = self._choose_client(scope, address)
        if client is None:
            await self.render_problem(scope, problem_response(DomainError("too_many_requests", retry_after=1)))(
                scope, receive, send
            )
            return
        self.in_flight[client] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_flight[client] -= 1
            # A counter of 0 is removed, so that memory does not grow with the number of addresses.
            if not self.in_flight[client]:
                del self.in_flight[client]

    def _choose_client(self, scope: Scope, address: str) -> str | UUID | None:
        """Return what the request is counted for: its address or its account. ``None`` if both are at the limit."""
        # The address comes first: checking the signature of every token would cost 30 µs per request (ADR 0029).
        if self.in_flight[address] < self.limit:
            return address
        account = self._find_account(Request(scope))
        return account if account and self.in_flight[account] < self.limit else None

    def _find_account(self, request: Request) -> UUID | None:
        """Return the account that a token or a cookie names, even if its session has ended."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return self.find_cookie_account(request)
        resources: Resources = request.app.state.resources
        try:
            return read_access_token(
                token, key=resources.secret, now=resources.clock(), lifetime=resources.token_lifetime
            ).user_id
        except DomainError:
            return None
