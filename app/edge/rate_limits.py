"""Limits of rates: who asks too often is told when to come back."""

import asyncio

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.dependencies import CREDENTIAL_MARKERS
from app.core.errors import DomainError
from app.core.rate_limits import Quota, RateLimiter
from app.http.problems import RenderProblem, problem_response

# Whoever watches over the process asks as often as needed, and must be answered when others are not.
UNLIMITED_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
REFUSAL_DELAY = 1.0
"""Seconds that somebody who asks too often waits for the refusal: to refuse a flood at once is work, too."""
MAX_DELAYED = 500  # connections, each of which takes some memory


def credential_routes(app: FastAPI) -> list[APIRoute]:
    """The routes with the lower limit: those that hash passwords, take a secret, or send a code or an invitation.

    A route is one of them if it names one of ``CREDENTIAL_MARKERS`` as a dependency.
    """
    routes = [context.original_route for context in iter_route_contexts(app.routes)]
    return [
        route
        for route in routes
        if isinstance(route, APIRoute) and any(each.call in CREDENTIAL_MARKERS for each in route.dependant.dependencies)
    ]


class RateLimitMiddleware:
    """Middleware that counts requests by address, and says on each answer what is left.

    Who asks too often is refused after a pause, and has to connect again.

    The headers are those of draft-ietf-httpapi-ratelimit-headers-10. An account is counted where the caller becomes
    known, in ``find_viewer``.
    """

    def __init__(self, app: ASGIApp, *, render_problem: RenderProblem) -> None:
        self.app = app
        self.render_problem = render_problem
        self.pausing = 0
        self._credential_paths: frozenset[str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers 429."""
        if scope["type"] != "http" or (path := scope["path"].removeprefix(scope["root_path"])) in UNLIMITED_PATHS:
            await self.app(scope, receive, send)
            return
        quotas: list[Quota] = []
        scope.setdefault("state", {})["quotas"] = quotas

        async def send_quotas(message: Message) -> None:
            if message["type"] == "http.response.start" and quotas:
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = ", ".join(f'"{q.name}";q={q.limit};w={q.window}' for q in quotas)
                headers["RateLimit"] = ", ".join(f'"{q.name}";r={q.remaining};t={q.reset}' for q in quotas)
            await send(message)

        limits: RateLimiter = scope["app"].state.resources.limits
        client = scope["client"]
        try:
            takes_credentials = self._takes_credentials(scope, path)
            await limits.count_address(
                client[0] if client else None, takes_credentials=takes_credentials, quotas=quotas
            )
        except DomainError as error:
            await self._pause()
            refusal = self.render_problem(scope, problem_response(error))
            refusal.headers["Connection"] = "close"
            await refusal(scope, receive, send_quotas)
        else:
            await self.app(scope, receive, send_quotas)

    def _takes_credentials(self, scope: Scope, path: str) -> bool:
        if scope["method"] in {"GET", "HEAD"}:
            return False
        if self._credential_paths is None:
            # Paths are compared as they are, so none may have parameters; tests/edge/test_rate_limits.py checks that.
            self._credential_paths = frozenset(route.path for route in credential_routes(scope["app"]))
        return path in self._credential_paths

    async def _pause(self) -> None:
        if self.pausing < MAX_DELAYED:
            self.pausing += 1
            try:
                await asyncio.sleep(REFUSAL_DELAY)
            finally:
                self.pausing -= 1
