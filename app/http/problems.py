"""Errors as ``application/problem+json`` (RFC 9457): one shape, whatever went wrong and wherever."""

import logging
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from app.core.errors import ERRORS, DomainError, FieldError, Kind
from app.http.audit import record_refusal

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
# As in RFC 9110; older releases of Python have older words.
TITLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}
HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "1"},
    HTTPStatus.REQUEST_TIMEOUT: {"Connection": "close"},
}
RETRY = {"request_in_flight": {"Retry-After": "1"}}
PROBLEMS: dict[str, tuple[HTTPStatus, str]] = {
    code: (STATUS[kind], detail) for code, (kind, detail) in ERRORS.items()
} | {
    # What the framework itself refuses, beyond the errors of the domain.
    "no_such_path": (HTTPStatus.NOT_FOUND, "There is nothing at this path."),
    "method_not_allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "This path does not take this method; see the Allow header."),
    "head_too_slow": (HTTPStatus.REQUEST_TIMEOUT, "The head of the request took too long to arrive."),
    "head_too_large": (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The head of a request may have at most 64 KiB. Send fewer or shorter headers, or a shorter address.",
    ),
    "body_too_slow": (HTTPStatus.REQUEST_TIMEOUT, "The body of the request took too long to arrive."),
    "body_too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body of a request may have at most 64 KiB."),
    "internal_error": (HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side."),
}
"""Every code that an answer of the API can carry, with its status and its sentence."""

_OF_THE_FRAMEWORK = {PROBLEMS[code][0]: code for code in ("no_such_path", "body_too_slow", "body_too_large")}
_MAX_ERRORS = 20
# Where pydantic's own sentence would quote the value, or is not one for a person.
_SENTENCES = {
    "uuid_parsing": "must be a UUID",
    "too_short": "is too short",
    "too_long": "is too long",
}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")

log = logging.getLogger(__name__)


def responses(*codes: str, limited: bool = True) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of the errors that a route may answer, by their codes.

    A body that may be too large may be too slow, too; and requests may always be too many, unless they are not
    ``limited``.
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
    """Makes every error of the application a problem."""
    app.exception_handler(DomainError)(_on_domain_error)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(HTTPException)(_on_framework_error)


def _body(code: str, errors: tuple[FieldError, ...] = ()) -> dict[str, Any]:
    status, detail = PROBLEMS[code]
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": _title(status),
        "status": status.value,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = [{"field": error.field, "message": error.message} for error in errors]
    return body


class ProblemResponse(JSONResponse):
    """A problem that leaves its code on the request's state, for the line in the log."""

    media_type = MEDIA_TYPE

    def __init__(self, code: str, errors: tuple[FieldError, ...], headers: Mapping[str, str] | None) -> None:
        super().__init__(_body(code, errors), PROBLEMS[code][0], headers or _headers(code))
        self.code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, and leaves the code."""
        scope.setdefault("state", {})["code"] = self.code
        await super().__call__(scope, receive, send)


type RenderProblem = Callable[[Scope, ProblemResponse], Response]
"""Shows a problem to whoever has asked: to a program as it is, to a person as a page."""


def _problem(
    code: str, errors: tuple[FieldError, ...] = (), headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    return ProblemResponse(code, errors, headers)


def problem_response(error: DomainError) -> ProblemResponse:
    """The error as a problem."""
    headers = None if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return _problem(error.code, error.errors, headers)


def server_error_response() -> ProblemResponse:
    """The problem for what nobody expected; the log has the traceback, and the client learns nothing of it."""
    return _problem("internal_error")


async def _on_domain_error(request: Request, error: DomainError) -> ProblemResponse:
    await record_refusal(request, error)
    if error.kind is Kind.BUSY:
        log.warning("busy: %r", error.__cause__ or error.reason or "no room")
    return problem_response(error)


async def _on_invalid_request(_request: Request, error: RequestValidationError) -> ProblemResponse:
    return _problem("invalid_request", tuple(_field_error(each) for each in error.errors()[:_MAX_ERRORS]))


def _field_error(error: Mapping[str, Any]) -> FieldError:
    # The value never goes back, and an unknown name only if it is a plain one: it may be a secret, or an attack.
    names = [str(part) for part in error["loc"][1:] if isinstance(part, int) or _PLAIN_NAME.fullmatch(part)]
    field = ".".join(names) or str(error["loc"][0])
    match error["type"]:
        case "json_invalid":
            return FieldError("body", f"is not valid JSON: {error['ctx']['error']}")
        case "extra_forbidden":
            return FieldError(field, "is not known here")
        case "value_error":
            return FieldError(field, str(error["ctx"]["error"]))
        case kind:
            return FieldError(field, _SENTENCES.get(kind, error["msg"]))


async def _on_framework_error(request: Request, error: HTTPException) -> ProblemResponse:
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        return _problem("method_not_allowed", headers={"Allow": ", ".join(methods_of(request))})
    if code := _OF_THE_FRAMEWORK.get(status):
        return _problem(code)
    # The one thing left that the framework refuses is a form that cannot be read.
    return _problem("invalid_request", (FieldError("body", "cannot be read"),))


def methods_of(request: Request) -> list[str]:
    """All methods that the path takes; the framework names those of the first route alone."""
    routes = [context.original_route for context in iter_route_contexts(request.app.routes)]
    methods = {
        method
        for route in routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    # Where no route has the path, there are files. A HEAD is answered wherever a GET is.
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()) if methods else {"GET", "HEAD"})
