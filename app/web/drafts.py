"""Forms that could not be taken yet: what was typed is kept by the browser, sealed, until it can."""

from collections.abc import Mapping
from datetime import timedelta

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from app.web.forms import KEY, SECRETS, TOKEN, Form
from app.web.pages import Page, SignedInPage, make_page
from app.web.visitors import read_claims

DRAFT = "draft"
LASTS = timedelta(minutes=15)

_LONGEST = 2500  # a browser keeps some 4,000 bytes, sealed


async def keep_draft(request: Request, response: Response) -> None:
    """Keeps a form that was sent when its session had ended, or before there was one, for who signs in next.

    If there was a session, that is the same person, or nobody.
    """
    page = make_page(request, None)
    try:
        sent = await request.form(max_files=0)
    except HTTPException:
        return  # too much, too slow, or no form at all
    fields = {name: value.replace("\r\n", "\n") for name, value in sent.items() if isinstance(value, str)}
    if page.owns_form_token(fields.get(TOKEN, "")):
        claims = read_claims(page.cookies, page.now)
        keep(page, response, request.scope["route"].name, fields, of=str(claims.user_id) if claims else None)


def keep(page: Page, response: Response, name: str, fields: Mapping[str, str], of: str | None) -> None:
    """Keeps the fields of a form, but for secrets, under the name of the route that takes it."""
    kept = {field: value for field, value in fields.items() if field not in {*SECRETS, TOKEN, KEY}}
    if sum(len(value.encode()) for value in kept.values()) <= _LONGEST:
        page.cookies.seal(response, DRAFT, [name, of, kept], page.now, LASTS)


def is_kept(page: Page) -> bool:
    """Whether a form waits for the visitor to sign in."""
    return page.cookies.unseal(DRAFT, page.now, LASTS) is not None


def drop(page: Page, response: Response) -> None:
    """Forgets what was kept, for it is done."""
    if page.cookies.get(DRAFT) is not None:
        page.cookies.drop(response, DRAFT)


def restore(page: SignedInPage, *names: str) -> Form:
    """The form that was kept for this person and one of these routes; an empty one if there is none."""
    match page.cookies.unseal(DRAFT, page.now, LASTS):
        case [kept_name, of, dict(fields)] if kept_name in names and of in {None, str(page.actor.id)}:
            return Form(fields)
    return Form()
