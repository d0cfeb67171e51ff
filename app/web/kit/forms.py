"""Forms: whether one is ours, what was typed into it, and what is shown again when it cannot be accepted."""

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
from app.http.requests import StoredAnswer
from app.repositories import idempotency
from app.repositories.idempotency import Answer
from app.services.submissions import Submission
from app.web.kit.auth import find_visitor
from app.web.kit.error_texts import UNMARKED, explain, explain_field
from app.web.kit.formatting import Formatter
from app.web.kit.pages import FORMS, HEADERS, Page, make_page

TOKEN, KEY = "form_token", "form_key"
"""The fields that every form has, and that those have which must not be done twice."""
VERSION = "content_version"
"""The field with the version of what a form changes (see ``core.versions``)."""

SECRETS = frozenset({"password", "current_password", "new_password", "otp", "token"})
_MAX_KEY_LENGTH = 64

type AppointmentVersion = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""The version of an appointment that a form was made for."""


@dataclass(frozen=True, slots=True)
class Form:
    """What stands in the fields of a form, and what is wrong with it."""

    values: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    """A sentence about the whole of it."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """A sentence for each field that is at fault."""

    def value(self, name: str) -> str:
        """What stands in a field; nothing, unless something does."""
        return self.values.get(name, "")

    @property
    def versions(self) -> frozenset[str]:
        """The version of what the form was made from, as services take it."""
        return frozenset({self.value(VERSION)})

    def renew(self, content: Mapping[str, Any]) -> "Form":
        """The same form, made from this content."""
        return Form({**self.values, VERSION: content_version(content)}, self.problem, self.errors)

    def read[Model: BaseModel](self, model: type[Model]) -> Model:
        """What was typed, as one of the schemas; an empty field is as good as none. ``invalid_request``."""
        typed = {name: value for name, value in self.values.items() if value and name not in {KEY, VERSION}}
        return read_by(model.model_validate_strings, typed)


def read_by[Model: BaseModel](validate: Callable[[Mapping[str, Any]], Model], values: Mapping[str, Any]) -> Model:
    """What one of the schemas makes of these. ``invalid_request``."""
    try:
        return validate(values)
    except ValidationError as error:
        fields = tuple(_field_error(each) for each in error.errors())
        raise DomainError("invalid_request", errors=fields) from None


def _field_error(error: Any) -> FieldError:
    # The message is not taken over: it might quote the value.
    bounds = error.get("ctx", {})
    bound = next(
        (value for name, value in bounds.items() if name in {"min_length", "max_length", "ge", "le", "longest"}), ""
    )
    return FieldError(".".join(map(str, error["loc"])), error["type"], "", str(bound))


async def receive_form(request: Request) -> Form:
    """What was typed into a form of ours; ``foreign_form`` for any other.

    Two things must fit: that the browser says it comes from one of our pages, and the token that we have put there.
    """
    if not _is_from_here(request):
        raise DomainError("foreign_form")
    sent = await request.form(max_files=0)
    request.state.form_read = True
    # A browser ends the lines of a text as mail does (HTML, "constructing the entry list").
    values = {name: value.replace("\r\n", "\n") for name, value in sent.items() if isinstance(value, str)}
    if not make_page(request, None).owns_form_token(values.pop(TOKEN, "")):
        raise DomainError("foreign_form")
    return Form(values)


def _is_from_here(request: Request) -> bool:
    # Sec-Fetch-Site is beyond the reach of any page; browsers send it to TLS and to this machine alone.
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    normal = normalize_origin(origin)
    # A proxy that is not trusted may speak TLS for us: the scheme is the one that the browser names.
    here = f"{origin.partition('://')[0]}://{request.headers.get('Host', '')}"
    return normal is not None and normal == normalize_origin(here)


SentForm = Annotated[Form, Depends(receive_form)]
"""What every POST of a page names."""


async def answer_once(
    request: Request,
    form: SentForm,
    caller: Annotated[Actor | None, Depends(find_visitor)],
) -> None:
    """Lets a form through once; sent again, by a second tap or the back button, it leads to where it led before."""
    key = form.value(KEY)
    if caller is None or not 0 < len(key) <= _MAX_KEY_LENGTH:
        return
    said = f"{request.url.path}\n{urlencode(sorted(form.values.items()))}".encode()
    session: Transaction = request.state.transaction
    request_hash = sha256(said).hexdigest()
    answer = await idempotency.reserve_key(session, caller.id, f"form {key}", request_hash, request.state.now)
    if answer:
        raise StoredAnswer(RedirectResponse(answer.body, answer.status, {**HEADERS, "Idempotency-Replayed": "true"}))
    request.state.before_commit.append(partial(_keep, session, caller.id, f"form {key}"))


async def _keep(transaction: Transaction, caller: UUID, key: str, response: Response) -> None:
    await idempotency.keep_answer(
        transaction, caller, key, Answer(response.status_code, None, response.headers["Location"])
    )


Once = Annotated[None, Depends(answer_once)]
"""What a page names whose form has an effect that must not happen twice; its answer is a redirect."""


def identify(page: Page, form: Form) -> Submission | None:
    """What tells a form that this browser sends twice from all others, for a form that is sent while signed out."""
    key, browser = form.value(KEY), page.cookies.get(FORMS)
    if not browser or not 0 < len(key) <= _MAX_KEY_LENGTH:
        return None
    typed = urlencode(sorted(form.values.items()))
    return Submission.make(page.resources.settings, browser, page.request.url.path, typed)


async def was_accepted(page: Page, submission: Submission | None) -> bool:
    """Whether the same form was accepted within the last minute."""
    if submission is None:
        return False
    async with page.resources.database.read() as transaction:
        return await submission.was_accepted(transaction, page.now)


class RefusedForm(Exception):  # noqa: N818 - the answer to an error, not one
    """Raised, never returned, so that the transaction is rolled back: a form with what is wrong with it."""

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
    """The form again, with what was typed, but for secrets, and what is wrong with it; to be raised.

    A page that tells of a patient names the route that it is ``shown_by`` otherwise: it is recorded like that one.
    """
    if error.code == "not_authenticated":
        raise error
    values = {name: value for name, value in form.values.items() if name not in SECRETS}
    role = page.viewer.role if page.viewer else None
    again = Form(values, explain(page.formatter, error.code, role), explain_fields(page.formatter, error))
    response = page.render(template, PROBLEMS[error.code][0], form=again, **content)
    if error.code == "invalid_request" and not any(
        f'id="{name}-error"'.encode() in response.body for name in again.errors
    ):
        # What is wrong is in a field that is not shown.
        unmarked = replace(again, problem=page.gettext(UNMARKED))
        response = page.render(template, PROBLEMS[error.code][0], form=unmarked, **content)
    if error.retry_after:
        response.headers["Retry-After"] = str(error.retry_after)
    return RefusedForm(response, error, shown_by and shown_by.__name__)


def explain_fields(formatter: Formatter, error: DomainError) -> dict[str, str]:
    """What is wrong with each field, by its name; the first thing of each."""
    explained: dict[str, str] = {}
    for each in error.errors:
        explained.setdefault(each.field, explain_field(formatter, each))
    return explained


def list_changes(
    formatter: Formatter, content: Mapping[str, Any], form: Form, labels: Mapping[str, str], values: Mapping[str, str]
) -> list[tuple[str, str]]:
    """What has changed since a form was opened: labels of fields, and what is saved in each of them now."""
    changed = changed_fields(content, form.value(VERSION))
    return [(formatter.gettext(labels[name]), values[name]) for name in changed if name in labels]
