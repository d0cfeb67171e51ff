"""All errors as ``application/problem+json`` (RFC 9457)."""

import logging
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from app.core.audit_actions import AuditAction
from app.core.errors import ERRORS, FIELD_ERRORS, DomainError, FieldError, Kind
from app.http.audit import record_refusal, record_showing
from app.http.routes import list_routes

MEDIA_TYPE = "application/problem+json"
STATUS = {
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.OUTDATED: HTTPStatus.PRECONDITION_FAILED,
    Kind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.THROTTLED: HTTPStatus.TOO_MANY_REQUESTS,
}
# The reason phrases of RFC 9110. Older releases of Python have those of its predecessors.
TITLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}
HEADERS = {
    # RFC 9110 section 15.5.2 requires this header.
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "1"},
    HTTPStatus.REQUEST_TIMEOUT: {"Connection": "close"},
}
RETRY = {"request_in_flight": {"Retry-After": "1"}}
PROBLEMS: dict[str, tuple[HTTPStatus, str]] = {
    code: (STATUS[kind], detail) for code, (kind, detail) in ERRORS.items()
} | {
    # Refusals by the framework and the middleware, in addition to the errors of the domain.
    "no_such_path": (HTTPStatus.NOT_FOUND, "This path does not exist."),
    "method_not_allowed": (
        HTTPStatus.METHOD_NOT_ALLOWED,
        "This path does not support this method. See the Allow header.",
    ),
    "head_too_slow": (HTTPStatus.REQUEST_TIMEOUT, "The head of the request took too long to arrive."),
    "head_too_large": (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The head of a request may have at most 64 KiB. Send fewer or shorter headers, or a shorter URL.",
    ),
    "body_too_slow": (HTTPStatus.REQUEST_TIMEOUT, "The body of the request took too long to arrive."),
    "body_too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body of a request may have at most 64 KiB."),
    "internal_error": (HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on the server."),
}
"""Every error code of the API, with its status and its text."""

_FRAMEWORK_CODES = {PROBLEMS[code][0]: code for code in ("no_such_path", "body_too_slow", "body_too_large")}
_MAX_ERRORS = 20  # a small request can have thousands of errors
# Used where pydantic's own message would quote the value or is hard to understand.
_MESSAGES = {
    "uuid_parsing": "must be a UUID",
    # Also for lists, so the messages name a length and not a number of characters.
    "too_short": "must have a length of at least {min_length}",
    "too_long": "must have a length of at most {max_length}",
}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")

log = logging.getLogger(__name__)


def responses(*codes: str, limited: bool = True) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of the errors that a route may answer with, given their codes.

    ``body_too_slow`` is added to ``body_too_large``, ``set_up_second_factor`` to ``not_authenticated``, and
    ``too_many_requests`` to everything unless the route is not ``limited``.
    """
    described: dict[int | str, dict[str, Any]] = {}
    if "not_authenticated" in codes:
        codes = (*codes, "set_up_second_factor")
    slow = ["body_too_slow"] if "body_too_large" in codes else []
    for code in (*codes, *slow, *(["too_many_requests"] if limited else [])):
        status, _ = PROBLEMS[code]
        content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
        problem_response = described.setdefault(
            status.value, {"description": _title(status), "content": {MEDIA_TYPE: content}}
        )
        if headers := _headers(code):
            problem_response["headers"] = {name: {"schema": {"type": "string"}} for name in headers}
        problem_response["content"][MEDIA_TYPE]["examples"][code] = {"value": _body(code)}
    return described


def _headers(code: str) -> Mapping[str, str]:
    return HEADERS.get(PROBLEMS[code][0], {}) | RETRY.get(code, {})


def _title(status: HTTPStatus) -> str:
    return TITLES.get(status, status.phrase)


def add_handlers(app: FastAPI) -> None:
    """Add exception handlers that turn every error into a problem."""
    app.exception_handler(DomainError)(_on_domain_error)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(HTTPException)(_on_framework_error)


def _body(
    code: str, errors: tuple[FieldError, ...] = (), candidates: tuple[Mapping[str, Any], ...] = ()
) -> dict[str, Any]:
    status, detail = PROBLEMS[code]
    body: dict[str, Any] = {
        # With this type, the title is the reason phrase of the status (RFC 9457 section 4.2.1).
        "type": "about:blank",
        "title": _title(status),
        "status": status.value,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = [{"field": error.field, "message": error.message} for error in errors]
    if candidates:
        body["candidates"] = list(candidates)
    return body


class ProblemResponse(JSONResponse):
    """A problem. It stores its code in the state of the request, for the access log."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        code: str,
        errors: tuple[FieldError, ...],
        headers: Mapping[str, str] | None,
        candidates: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        super().__init__(_body(code, errors, candidates), PROBLEMS[code][0], headers or _headers(code))
        self.code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store the code and send the response."""
        scope.setdefault("state", {})["code"] = self.code
        await super().__call__(scope, receive, send)


type RenderProblem = Callable[[Scope, ProblemResponse], Response]
"""A function that renders a problem: as it is for the API, as a page for a browser."""


def _problem(
    code: str, errors: tuple[FieldError, ...] = (), headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    return ProblemResponse(code, errors, headers)


def problem_response(error: DomainError) -> ProblemResponse:
    """Return the error as a problem, with ``Retry-After`` if the error has it."""
    headers = None if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return ProblemResponse(error.code, error.errors, headers, error.candidates)


def server_error_response() -> ProblemResponse:
    """Return the problem for an unexpected exception. It contains no details, which are only logged."""
    return _problem("internal_error")


async def _on_domain_error(request: Request, error: DomainError) -> ProblemResponse:
    await record_refusal(request, error)
    if error.candidates:
        await record_showing(request, AuditAction.FIND_PATIENTS)
    if error.kind is Kind.BUSY:
        log.warning("busy: %r", error.__cause__ or error.reason or "the queue is full")
    return problem_response(error)


async def _on_invalid_request(_request: Request, error: RequestValidationError) -> ProblemResponse:
    return _problem("invalid_request", tuple(_field_error(each) for each in error.errors()[:_MAX_ERRORS]))


def _field_error(error: Mapping[str, Any]) -> FieldError:
    # Never echo the value. Echo an unknown name only if it is plain. Either may be a secret or an attack.
    names = [str(part) for part in error["loc"][1:] if isinstance(part, int) or _PLAIN_NAME.fullmatch(part)]
    field = ".".join(names) or str(error["loc"][0])
    match error["type"]:
        case "json_invalid":
            return FieldError("body", "json_invalid", f"is not valid JSON: {error['ctx']['error']}")
        case "extra_forbidden":
            return FieldError(field, "extra_forbidden", "unknown field")
        case "value_error":
            return FieldError(field, "value_error", str(error["ctx"]["error"]))
        case code:
            message = _MESSAGES[code].format(**error.get("ctx", {})) if code in _MESSAGES else error["msg"]
            return FieldError(field, code, message)


async def _on_framework_error(request: Request, error: HTTPException) -> ProblemResponse:
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        return _problem("method_not_allowed", headers={"Allow": ", ".join(methods_of(request))})
    if code := _FRAMEWORK_CODES.get(status):
        return _problem(code)
    # The only other refusal of the framework is a form that cannot be parsed.
    return _problem("invalid_request", (FieldError("body", "unreadable", FIELD_ERRORS["unreadable"]),))


def methods_of(request: Request) -> list[str]:
    """Return all methods that the path supports. The framework would name only those of the first matching route."""
    methods = {
        method
        for route in list_routes(request.app)
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    # A path without a route is that of a static file. HEAD is supported wherever GET is.
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()) if methods else {"GET", "HEAD"})
