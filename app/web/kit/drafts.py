"""Drafts: the content of a submitted form, stored in a sealed cookie until the user has signed in.

A draft belongs to the account whose session had ended, and no other account gets to see it. A draft that was typed
while signed out has no owner yet: the address that the sign-in returns to names it (``?draft=``), and the account that
signs in through that address becomes its owner. Any other sign-in deletes it, and so does every sign-out.
"""

import json
import zlib
from base64 import b85decode, b85encode
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from datetime import timedelta
from typing import Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from app.core.security import new_token
from app.web.kit.forms import KEY, SECRETS, TOKEN, Form
from app.web.kit.pages import DRAFT, Page, SignedInPage, make_page

LIFETIME = timedelta(minutes=30)

_NEVER_STORED = frozenset({*SECRETS, TOKEN, KEY, "secret", "sure"})
"""Passwords and codes, the token and the key of one submission, and the consent to erase an account."""
_MAX_LENGTH = 2850
"""Of a draft as JSON. Sealing makes it a third longer, and browsers store cookies of up to 4,096 bytes."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The content of one form."""

    id: str
    owner: str | None
    """The id of the account; ``None`` while signed out."""
    action: str
    """The path that the form is sent to. Once the form is accepted, the draft is deleted (``Page.redirect``)."""
    path: str
    """The path of the page that shows the form, with its query."""
    packed: str

    @classmethod
    def make(cls, typed: Mapping[str, str], owner: UUID | None, action: str, path: str) -> Self | None:
        """Return a new draft; ``None`` if the text is too long for a cookie."""
        # Base 85 is shorter than base 64, and has no character that JSON has to escape.
        packed = b85encode(zlib.compress(json.dumps(dict(typed), ensure_ascii=False).encode(), 9)).decode()
        draft = cls(new_token(), str(owner) if owner else None, action, without_draft(path), packed)
        return draft if len(json.dumps(astuple(draft))) <= _MAX_LENGTH else None

    @property
    def typed(self) -> dict[str, str]:
        """The values of the fields."""
        fields: dict[str, str] = json.loads(zlib.decompress(b85decode(self.packed)))
        return fields

    @property
    def return_path(self) -> str:
        """The path that a sign-in returns to. It names the draft if that has no owner yet."""
        if self.owner:
            return self.path
        return f"{self.path}{'&' if '?' in self.path else '?'}{urlencode({DRAFT: self.id})}"

    def is_meant_by(self, path: str) -> bool:
        """Return whether a sign-in that leads to this path may become the owner."""
        return self.id in parse_qs(urlsplit(path).query).get(DRAFT, [])

    def save(self, page: Page, response: Response) -> None:
        """Store the draft in a cookie until the browser is closed. It cannot be opened after ``LIFETIME``."""
        page.cookies.seal(response, DRAFT, astuple(self), page.now)


async def read_typed(request: Request) -> dict[str, str]:
    """Return what was typed into a form of this site, without passwords and codes; empty if it cannot be read."""
    try:
        sent = await request.form(max_files=0)
    except HTTPException:
        return {}  # too large, too slow, or not a form
    fields = {name: value.replace("\r\n", "\n") for name, value in sent.items() if isinstance(value, str)}
    # Otherwise another site could plant a text that is shown after the sign-in.
    if not make_page(request, None).owns_form_token(fields.get(TOKEN, "")):
        return {}
    return {name: value for name, value in fields.items() if name not in _NEVER_STORED}


def find_any(page: Page) -> Draft | None:
    """Return the draft in the cookie, no matter which account owns it. It must not be shown without a check."""
    match page.cookies.unseal(DRAFT, page.now, LIFETIME):
        case [str(draft_id), str() | None as owner, str(action), str(path), str(packed)]:
            return Draft(draft_id, owner, action, path, packed)
    return None


def find_draft(page: Page, user_id: UUID, signed_in_by: str = "") -> Draft | None:
    """Return the user's draft; also a draft without an owner, if the path that the user ``signed_in_by`` names it."""
    draft = find_any(page)
    # On a shared computer the next person must not see what was typed before (ADR 0041).
    if draft is None or draft.owner not in {None, str(user_id)}:
        return None
    return draft if draft.owner or draft.is_meant_by(signed_in_by) else None


def claim(page: Page, response: Response, draft: Draft | None, user_id: UUID) -> None:
    """Make the user who has just signed in the owner of this draft; without one, delete the cookie."""
    if draft:
        replace(draft, owner=str(user_id)).save(page, response)
    else:
        drop(page, response)


def drop(page: Page, response: Response) -> None:
    """Delete the draft."""
    if page.cookies.get(DRAFT) is not None:
        page.cookies.drop(response, DRAFT)


def restore(page: SignedInPage, values: Mapping[str, str] | None = None) -> Form:
    """Return the form of a page with these values, overridden by the user's draft for this page, if there is one."""
    draft = find_draft(page, page.actor.id)
    typed = draft.typed if draft and draft.path == without_draft(page.path) else {}
    return Form({**(values or {}), **typed})


def without_draft(path: str) -> str:
    """Return the path without the parameter that names a draft."""
    parts = urlsplit(path)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != DRAFT]
    return urlunsplit(parts._replace(query=urlencode(query)))
