"""Rate limits by address, and the headers that tell clients what is left."""

import asyncio
import re

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.dependencies import CREDENTIAL_MARKERS
from app.core.errors import DomainError
from app.core.rate_limits import Quota, RateLimiter
from app.http.problems import RenderProblem, problem_response
from app.http.routes import list_dependencies, list_routes

# Monitoring may send as many requests as it needs, and must get responses while clients are refused.
UNLIMITED_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
REFUSAL_DELAY = 1.0
"""Seconds before a refusal is sent. Without the delay, a flood of refusals would itself be a lot of work."""
MAX_DELAYED = 500  # refusals that wait at a time, because each of their connections takes some memory


def credential_routes(app: FastAPI) -> list[APIRoute]:
    """Return the routes with the lower limit: those that hash passwords, accept a secret, or send a code or invitation.

    These are the routes that depend on one of ``CREDENTIAL_MARKERS``.
    """
    return [
        route
        for route in list_routes(app)
        if isinstance(route, APIRoute) and not CREDENTIAL_MARKERS.isdisjoint(list_dependencies(route))
    ]


class RateLimitMiddleware:
    """Middleware that counts requests by address, and answers 429 if there are too many.

    A refusal is sent after ``REFUSAL_DELAY``, and closes the connection. Each response has the headers of
    draft-ietf-httpapi-ratelimit-headers-10. Requests of an account are counted when the caller is known, in
    ``attach_actor``.
    """

    def __init__(self, app: ASGIApp, *, render_problem: RenderProblem) -> None:
        self.app = app
        self.render_problem = render_problem
        self.pausing = 0
        self._credential_paths: frozenset[str] | None = None
        self._credential_patterns: list[re.Pattern[str]] = []
        """The paths with parameters, such as that of the invitations to a clinic."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, or answer 429."""
        if scope["type"] != "http" or (path := scope["path"].removeprefix(scope["root_path"])) in UNLIMITED_PATHS:
            await self.app(scope, receive, send)
            return
        quotas: list[Quota] = []
        # `attach_actor` adds the quota of the account to the same list, before the response starts.
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
            # The client has to connect again, which slows a flood down further (ADR 0021).
            refusal.headers["Connection"] = "close"
            await refusal(scope, receive, send_quotas)
        else:
            await self.app(scope, receive, send_quotas)

    def _takes_credentials(self, scope: Scope, path: str) -> bool:
        # Pages show their forms at the same paths. Opening a form hashes and sends nothing.
        if scope["method"] in {"GET", "HEAD"}:
            return False
        # Found with the first request, because routes are added after the middleware.
        if self._credential_paths is None:
            routes = credential_routes(scope["app"])
            self._credential_paths = frozenset(route.path for route in routes if not route.param_convertors)
            self._credential_patterns = [route.path_regex for route in routes if route.param_convertors]
        return path in self._credential_paths or any(each.match(path) for each in self._credential_patterns)

    async def _pause(self) -> None:
        if self.pausing < MAX_DELAYED:
            self.pausing += 1
            try:
                await asyncio.sleep(REFUSAL_DELAY)
            finally:
                self.pausing -= 1
