"""Drafts: what was typed into a form that could not be accepted yet, kept by the browser until it is shown again.

A draft belongs to the account whose session had ended, and no other account gets it back. One that was typed while
signed out has no owner yet: the address to which the sign-in leads back names it (``?draft=``), and the account that
signs in by that address becomes its owner. Any other sign-in deletes it, and every sign-out does.
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

_NEVER_KEPT = frozenset({*SECRETS, TOKEN, KEY, "secret", "sure"})
"""Passwords and codes, what belongs to one sending of a form, and the consent to erase an account."""
_MAX_LENGTH = 2850
"""Of a draft as JSON. Sealed it is a third longer, and a browser keeps cookies of up to 4,096 bytes."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed into one form."""

    id: str
    owner: str | None
    """The id of the account; ``None`` while signed out."""
    action: str
    """The path that the form is sent to. Accepted there, it takes its draft with it (``Page.redirect``)."""
    path: str
    """The page that shows the form, with its query."""
    packed: str

    @classmethod
    def make(cls, typed: Mapping[str, str], owner: UUID | None, action: str, path: str) -> Self | None:
        """A new draft; ``None`` if the text is too long for a cookie."""
        packed = b85encode(zlib.compress(json.dumps(dict(typed), ensure_ascii=False).encode(), 9)).decode()
        draft = cls(new_token(), str(owner) if owner else None, action, without_draft(path), packed)
        return draft if len(json.dumps(astuple(draft))) <= _MAX_LENGTH else None

    @property
    def typed(self) -> dict[str, str]:
        """The fields and what stands in them."""
        fields: dict[str, str] = json.loads(zlib.decompress(b85decode(self.packed)))
        return fields

    @property
    def return_path(self) -> str:
        """Where a sign-in leads back to; it names a draft that has no owner yet."""
        if self.owner:
            return self.path
        return f"{self.path}{'&' if '?' in self.path else '?'}{urlencode({DRAFT: self.id})}"

    def is_meant_by(self, path: str) -> bool:
        """Whether a sign-in that leads to this address may become the owner."""
        return self.id in parse_qs(urlsplit(path).query).get(DRAFT, [])

    def save(self, page: Page, response: Response) -> None:
        """Gives it to the browser, which keeps it until it is closed; after ``LIFETIME`` it cannot be opened."""
        page.cookies.seal(response, DRAFT, astuple(self), page.now)


async def read_typed(request: Request) -> dict[str, str]:
    """What was typed into a form of ours, without passwords and codes; nothing if the form cannot be read."""
    try:
        sent = await request.form(max_files=0)
    except HTTPException:
        return {}  # too large, too slow, or not a form
    fields = {name: value.replace("\r\n", "\n") for name, value in sent.items() if isinstance(value, str)}
    if not make_page(request, None).owns_form_token(fields.get(TOKEN, "")):
        return {}
    return {name: value for name, value in fields.items() if name not in _NEVER_KEPT}


def find_any(page: Page) -> Draft | None:
    """The draft that the browser keeps, whoever it belongs to: not to be shown."""
    match page.cookies.unseal(DRAFT, page.now, LIFETIME):
        case [str(draft_id), str() | None as owner, str(action), str(path), str(packed)]:
            return Draft(draft_id, owner, action, path, packed)
    return None


def find_draft(page: Page, user_id: UUID, signed_in_by: str = "") -> Draft | None:
    """The draft of this user, also one without an owner if the address that the user ``signed_in_by`` names it."""
    draft = find_any(page)
    if draft is None or draft.owner not in {None, str(user_id)}:
        return None
    return draft if draft.owner or draft.is_meant_by(signed_in_by) else None


def claim(page: Page, response: Response, draft: Draft | None, user_id: UUID) -> None:
    """Makes the user who has just signed in the owner of this draft; without one, deletes what the browser keeps."""
    if draft:
        replace(draft, owner=str(user_id)).save(page, response)
    else:
        drop(page, response)


def drop(page: Page, response: Response) -> None:
    """Deletes the draft."""
    if page.cookies.get(DRAFT) is not None:
        page.cookies.drop(response, DRAFT)


def restore(page: SignedInPage, values: Mapping[str, str] | None = None) -> Form:
    """The form of a page with the draft that was typed there; with these values if there is none."""
    draft = find_draft(page, page.actor.id)
    typed = draft.typed if draft and draft.path == without_draft(page.path) else {}
    return Form({**(values or {}), **typed})


def without_draft(path: str) -> str:
    """The address without the name of a draft."""
    parts = urlsplit(path)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != DRAFT]
    return urlunsplit(parts._replace(query=urlencode(query)))
