"""Forms: protection against forged requests, reading, double submissions, and showing a refused form again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field, ValidationError

from app.core.errors import DomainError, FieldError
from app.core.origins import normalize_origin
from app.core.permissions import Actor
from app.core.versions import changed_fields, content_version
from app.db.database import Transaction
from app.http.problems import PROBLEMS
from app.http.requests import ReplayedResponse
from app.repositories import idempotency
from app.repositories.idempotency import StoredResponse
from app.services.submissions import Submission
from app.web.kit.auth import find_visitor
from app.web.kit.error_texts import UNMARKED, explain, explain_field
from app.web.kit.formatting import Formatter
from app.web.kit.pages import FORMS, HEADERS, Page, make_page

TOKEN, KEY = "form_token", "form_key"
"""The field that every form has, and the field of forms that must not take effect twice."""
VERSION = "content_version"
"""The field with the version of the content that a form changes (see ``core.versions``)."""

SECRETS = frozenset({"password", "current_password", "new_password", "otp", "token"})
_MAX_KEY_LENGTH = 64

type AppointmentVersion = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""The version of an appointment that a form was made for."""


@dataclass(frozen=True, slots=True)
class Form:
    """The values of a form, and its errors."""

    values: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    """The error message of the whole form."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """The error message of each invalid field."""

    def value(self, name: str) -> str:
        """Return the value of a field; empty if there is none."""
        return self.values.get(name, "")

    @property
    def versions(self) -> frozenset[str]:
        """The version of the content that the form was made from, as services expect it."""
        return frozenset({self.value(VERSION)})

    def renew(self, content: Mapping[str, Any]) -> "Form":
        """Return the same form with the version of this content."""
        return Form({**self.values, VERSION: content_version(content)}, self.problem, self.errors)

    def read[Model: BaseModel](self, model: type[Model]) -> Model:
        """Return the values as a schema. Empty fields count as missing. Raises ``invalid_request``."""
        typed = {name: value for name, value in self.values.items() if value and name not in {KEY, VERSION}}
        return read_by(model.model_validate_strings, typed)


def read_by[Model: BaseModel](validate: Callable[[Mapping[str, Any]], Model], values: Mapping[str, Any]) -> Model:
    """Return these values, validated by a schema. Raises ``invalid_request`` with the invalid fields."""
    try:
        return validate(values)
    except ValidationError as error:
        fields = tuple(_field_error(each) for each in error.errors())
        raise DomainError("invalid_request", errors=fields) from None


def _field_error(error: Any) -> FieldError:
    # pydantic's message is not used: it might quote the value.
    bounds = error.get("ctx", {})
    bound = next(
        (value for name, value in bounds.items() if name in {"min_length", "max_length", "ge", "le", "longest"}), ""
    )
    return FieldError(".".join(map(str, error["loc"])), error["type"], "", str(bound))


async def receive_form(request: Request) -> Form:
    """Return the form that was sent. Raises ``foreign_form`` unless it comes from a page of this site (CSRF).

    Two checks must pass: the browser names one of our pages as the origin, and the form has a token made for this
    browser.
    """
    if not _is_from_here(request):
        raise DomainError("foreign_form")
    sent = await request.form(max_files=0)
    # A body can be read only once: this tells the error handler that there is nothing left for a draft.
    request.state.form_read = True
    # Browsers send line breaks as CRLF (HTML, "constructing the entry list").
    values = {name: value.replace("\r\n", "\n") for name, value in sent.items() if isinstance(value, str)}
    # The token belongs to the browser, not to an account, so it also protects the sign-in and survives it.
    if not make_page(request, None).owns_form_token(values.pop(TOKEN, "")):
        raise DomainError("foreign_form")
    return Form(values)


def _is_from_here(request: Request) -> bool:
    # Scripts cannot forge Sec-Fetch-Site. Browsers send it only to HTTPS origins and to localhost.
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    origin = request.headers.get("Origin")
    # For a client that sends neither header, the token alone decides.
    if origin is None:
        return True
    normal = normalize_origin(origin)
    # The scheme is taken from the Origin header: behind a TLS proxy that is not trusted, the server does not know it.
    here = f"{origin.partition('://')[0]}://{request.headers.get('Host', '')}"
    return normal is not None and normal == normalize_origin(here)


SentForm = Annotated[Form, Depends(receive_form)]
"""The dependency of every POST route of a page."""


async def answer_once(
    request: Request,
    form: SentForm,
    caller: Annotated[Actor | None, Depends(find_visitor)],
) -> None:
    """Let a form through once. A second submission gets the stored redirect of the first one."""
    key = form.value(KEY)
    # Keys are scoped to an account. Forms of visitors without one use `identify` (ADR 0042).
    if caller is None or not 0 < len(key) <= _MAX_KEY_LENGTH:
        return
    # All fields, so that a key cannot be used for another form.
    submitted = f"{request.url.path}\n{urlencode(sorted(form.values.items()))}".encode()
    transaction: Transaction = request.state.transaction
    request_hash = sha256(submitted).hexdigest()
    # The prefix keeps these keys apart from those of the API, which contain no space.
    stored = await idempotency.reserve_key(transaction, caller.id, f"form {key}", request_hash, request.state.now)
    if stored:
        raise ReplayedResponse(
            RedirectResponse(stored.body, stored.status, {**HEADERS, "Idempotency-Replayed": "true"})
        )
    request.state.before_commit.append(partial(_store_redirect, transaction, caller.id, f"form {key}"))


async def _store_redirect(transaction: Transaction, caller: UUID, key: str, response: Response) -> None:
    await idempotency.store_response(
        transaction, caller, key, StoredResponse(response.status_code, None, response.headers["Location"])
    )


Once = Annotated[None, Depends(answer_once)]
"""The dependency of routes whose form must not take effect twice. Their response must be a redirect."""


def identify(page: Page, form: Form) -> Submission | None:
    """Return what identifies a submission of a form by a browser that is signed out; ``None`` without a valid key."""
    key, browser = form.value(KEY), page.cookies.get(FORMS)
    if not browser or not 0 < len(key) <= _MAX_KEY_LENGTH:
        return None
    typed = urlencode(sorted(form.values.items()))
    return Submission.make(page.resources.settings, browser, page.request.url.path, typed)


async def was_accepted(page: Page, submission: Submission | None) -> bool:
    """Return whether the same submission was accepted within the last minute."""
    if submission is None:
        return False
    async with page.resources.database.read() as transaction:
        return await submission.was_accepted(transaction, page.now)


class RefusedForm(Exception):  # noqa: N818 - the response to an error, not one
    """The response that shows a form with its errors. It is raised, so that the transaction is rolled back."""

    def __init__(self, response: Response, error: DomainError, shown_by: str | None = None) -> None:
        super().__init__()
        self.response = response
        self.error = error
        self.shown_by = shown_by


def refuse(
    page: Page,
    template: str,
    form: Form,
    error: DomainError,
    *,
    shown_by: Callable[..., object] | None = None,
    **content: Any,
) -> RefusedForm:
    """Return the exception that shows the form again, with the typed values except secrets, and with the errors.

    A page with a patient's data names the route ``shown_by`` which it is usually shown, so that it is recorded in the
    audit trail like that route.
    """
    # The session has ended while the form was processed, so the sign-in page is shown instead.
    if error.code == "not_authenticated":
        raise error
    values = {name: value for name, value in form.values.items() if name not in SECRETS}
    role = page.viewer.role if page.viewer else None
    again = Form(values, explain(page.formatter, error.code, role), explain_fields(page.formatter, error))
    response = page.render(template, PROBLEMS[error.code][0], form=again, **content)
    if error.code == "invalid_request" and not any(
        f'id="{name}-error"'.encode() in response.body for name in again.errors
    ):
        # The page does not show the invalid field.
        unmarked = replace(again, problem=page.gettext(UNMARKED))
        response = page.render(template, PROBLEMS[error.code][0], form=unmarked, **content)
    if error.retry_after:
        response.headers["Retry-After"] = str(error.retry_after)
    return RefusedForm(response, error, shown_by and shown_by.__name__)


def explain_fields(formatter: Formatter, error: DomainError) -> dict[str, str]:
    """Return the first error message of each field, by its name."""
    explained: dict[str, str] = {}
    for each in error.errors:
        explained.setdefault(each.field, explain_field(formatter, each))
    return explained


def list_changes(
    formatter: Formatter, content: Mapping[str, Any], form: Form, labels: Mapping[str, str], values: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Return the labels and saved values of the fields that have changed since the form was opened."""
    changed = changed_fields(content, form.value(VERSION))
    return [(formatter.gettext(labels[name]), values[name]) for name in changed if name in labels]
