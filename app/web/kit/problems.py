"""Errors as HTML pages. The API keeps answering with problem+json (``app/http/problems.py``)."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, cast

from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.core.errors import DomainError
from app.http.audit import record_refusal, record_showing
from app.http.problems import PROBLEMS, ProblemResponse, problem_response
from app.web.kit.auth import SESSION, read_claims
from app.web.kit.drafts import Draft, read_typed
from app.web.kit.error_texts import UNMARKED, explain
from app.web.kit.forms import RefusedForm
from app.web.kit.languages import N_
from app.web.kit.pages import Page, make_page, sign_in_path
from app.web.kit.routes import PageRoute

type Handler = Callable[[Request, Any], Awaitable[ProblemResponse]]

_TITLES = {
    403: N_("This is not possible"),
    404: N_("Not found"),
    405: N_("Not found"),
    409: N_("This is no longer possible"),
    412: N_("This has changed"),
    413: N_("Text too long"),
    422: N_("This is not valid"),
    429: N_("One moment, please"),
    503: N_("One moment, please"),
}
_ANY_TITLE = N_("Something went wrong")
# RFC 9110 section 15.5.6 requires Allow with a 405.
_KEPT_HEADERS = ("Retry-After", "Allow")


def add_handlers(app: FastAPI) -> None:
    """Wrap the application's exception handlers: errors of pages become HTML, those of the API stay as they are."""
    for error_type in (DomainError, RequestValidationError, HTTPException):
        app.exception_handler(error_type)(_for_pages(cast("Handler", app.exception_handlers[error_type])))
    app.exception_handler(RefusedForm)(_on_refused_form)


def _for_pages(handle_api_error: Handler) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def on_error(request: Request, error: Exception) -> Response:
        problem = await handle_api_error(request, error)
        is_resumable = problem.code in {"not_authenticated", "log_in_again", "email_not_confirmed"}
        # A body can be read only once. A form that the route has read already needs no draft.
        is_unread = request.method == "POST" and not hasattr(request.state, "form_read")
        typed = await read_typed(request) if is_resumable and is_unread and _wants_html(request.scope) else {}
        return render_problem(request.scope, problem, typed)

    return on_error


async def _on_refused_form(request: Request, refused: RefusedForm) -> Response:
    await record_refusal(request, refused.error)
    if refused.shown_by:
        try:
            await record_showing(request, refused.shown_by)
        except DomainError as busy:
            # Patient data must not be shown if that cannot be recorded (ADR 0017).
            return render_problem(request.scope, problem_response(busy))
    return refused.response


def render_problem(scope: Scope, problem: ProblemResponse, typed: Mapping[str, str] = MappingProxyType({})) -> Response:
    """Return a problem as a page for a browser, otherwise as it is. After a sign-in, ``typed`` is shown again."""
    if not _wants_html(scope):
        return problem
    # For the access log: the page may be a redirect, whose status says nothing.
    scope.setdefault("state", {})["code"] = problem.code
    request = Request(scope)
    page = make_page(request, getattr(request.state, "actor", None))
    if problem.code in {"not_authenticated", "log_in_again"}:
        message = explain(page.formatter, problem.code)
        # A visitor who has never signed in has no session that could have ended.
        if problem.code == "not_authenticated" and not page.cookies.get(SESSION):
            message = page.gettext("Sign in or create an account to continue.")
        return _interrupt(page, sign_in_path, message, typed)
    if problem.code == "set_up_second_factor":
        return page.redirect("/my/account/second-factor", explain(page.formatter, problem.code), "note")
    if problem.code == "email_not_confirmed":
        return _interrupt(page, page.confirm_email_path, explain(page.formatter, problem.code), typed)
    return _show(page, problem)


def _interrupt(page: Page, lead: Callable[[str], str], message: str, typed: Mapping[str, str]) -> Response:
    """Redirect to a page that leads back here. What was typed is stored as a draft, and shown again then."""
    if not typed:
        return page.redirect(lead(page.path), message, "note")
    claims = read_claims(page.cookies, page.now)
    draft = Draft.make(typed, claims.user_id if claims else None, page.request.url.path, page.path)
    # The text is not split over two cookies, because servers bound the size of all headers together (ADR 0041).
    if draft is None:
        text = "\n\n".join(typed.values())
        return page.render(
            "kit/too_long.html", HTTPStatus.UNAUTHORIZED, sentence=message, text=text, next=lead(page.path)
        )
    response = page.redirect(lead(draft.return_path), message, "note")
    draft.save(page, response)
    return response


def _show(page: Page, problem: ProblemResponse) -> Response:
    status = PROBLEMS[problem.code][0]
    title = page.gettext(_TITLES.get(status, _ANY_TITLE))
    # The id by which the log can be searched, for readers who report a server error.
    request_id = correlation_id.get() if status.is_server_error else None
    # This page has no form in which a field could be marked.
    sentence = page.gettext(UNMARKED) if problem.code == "invalid_request" else explain(page.formatter, problem.code)
    shown = page.render("kit/problem.html", status, title=title, sentence=sentence, request_id=request_id)
    for name in _KEPT_HEADERS:
        if name in problem.headers:
            shown.headers[name] = problem.headers[name]
    return shown


def _wants_html(scope: Scope) -> bool:
    if route := scope.get("route"):
        return isinstance(route, PageRoute)
    # There is no route: the path is unknown, or the error occurred before routing. Browsers ask for HTML.
    accepted = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return b"text/html" in accepted
