"""Errors as ``application/problem+json`` (RFC 9457): one shape, whatever went wrong and wherever."""

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.core.errors import ERRORS, DomainError, FieldError, Kind
from app.schemas.problems import Problem

MEDIA_TYPE = "application/problem+json"
STATUS = {
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
}
_HEADERS = {
    Kind.UNAUTHENTICATED: {"WWW-Authenticate": "Bearer"},
    Kind.BUSY: {"Retry-After": "1"},
}
# What the framework itself refuses, beyond the errors of the domain.
_FRAMEWORK = {
    HTTPStatus.NOT_FOUND: ("no_such_path", "There is nothing at this path."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "method_not_allowed",
        "This path does not take this method; see the Allow header.",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("body_too_large", "The body of a request may have at most 64 KiB."),
}
_MOST_ERRORS = 20
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")

log = logging.getLogger(__name__)


def responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of the errors that a route may answer, by their codes."""
    described: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind, detail = ERRORS[code]
        example = _body(STATUS[kind], code, detail)
        answer = described.setdefault(
            STATUS[kind].value,
            {
                "description": STATUS[kind].phrase,
                "model": Problem,
                "content": {MEDIA_TYPE: {"examples": {}}},
            },
        )
        answer["content"][MEDIA_TYPE]["examples"][code] = {"summary": code, "value": example}
    return described


def add_handlers(app: FastAPI) -> None:
    """Makes every error of the application a problem."""
    app.exception_handler(DomainError)(_on_domain_error)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(HTTPException)(_on_framework_error)
    app.exception_handler(Exception)(_on_bug)


def _body(status: HTTPStatus, code: str, detail: str, errors: tuple[FieldError, ...] = ()) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = [{"field": error.field, "message": error.message} for error in errors]
    return body


def _problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    errors: tuple[FieldError, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    return JSONResponse(_body(status, code, detail, errors), status, headers, media_type=MEDIA_TYPE)


async def _on_domain_error(_request: Request, error: DomainError) -> Response:
    if error.kind is Kind.BUSY:
        log.warning("busy: %r", error.__cause__)
    return _problem(STATUS[error.kind], error.code, error.detail, error.errors, _HEADERS.get(error.kind))


async def _on_invalid_request(_request: Request, error: RequestValidationError) -> Response:
    return _invalid(tuple(_field_error(each) for each in error.errors()[:_MOST_ERRORS]))


def _invalid(errors: tuple[FieldError, ...]) -> Response:
    kind, detail = ERRORS["invalid_request"]
    return _problem(STATUS[kind], "invalid_request", detail, errors)


def _field_error(error: Mapping[str, Any]) -> FieldError:
    # Neither the value nor an unknown name of any length goes back: the request may hold a secret, or an attack.
    names = [str(part) for part in error["loc"][1:] if isinstance(part, int) or _PLAIN_NAME.fullmatch(part)]
    field = ".".join(names) or str(error["loc"][0])
    match error["type"]:
        case "json_invalid":
            return FieldError("body", f"is not valid JSON: {error['ctx']['error']}")
        case "extra_forbidden":
            return FieldError(field, "is not known here")
        case "value_error":
            return FieldError(field, str(error["ctx"]["error"]))
        case _:
            return FieldError(field, error["msg"])


async def _on_framework_error(_request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.BAD_REQUEST:  # a form that cannot be read
        return _invalid((FieldError("body", "cannot be read"),))
    code, detail = _FRAMEWORK.get(status, (status.phrase.lower().replace(" ", "_"), status.phrase))
    return _problem(status, code, detail, headers=error.headers)


async def _on_bug(_request: Request, _error: Exception) -> Response:
    # The server logs the traceback; the client learns nothing of it.
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _problem(status, "internal_error", "Something went wrong on our side.")
