"""Cookies: their names and attributes, and how their content is encrypted."""

import base64
import json
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from fastapi import Request, Response

from app.core.dependencies import Resources, cookie_name
from app.core.security import derive_key


class Cookies:
    """The cookies of one request.

    All are limited to this host, hidden from scripts (HttpOnly), and not sent with requests from other sites except
    when a link is followed (SameSite=Lax). In production their names start with ``__Host-`` (RFC 6265bis), so browsers
    accept them over TLS only.
    """

    def __init__(self, request: Request, resources: Resources) -> None:
        self._sent = request.cookies
        self._cipher = Fernet(base64.urlsafe_b64encode(derive_key(resources.secret, "page cookies")))
        self._settings = resources.settings
        self._production = resources.settings.environment == "production"

    def get(self, name: str) -> str | None:
        """Return the value that the browser has sent, if any."""
        return self._sent.get(self._name(name))

    def set(self, response: Response, name: str, value: str, lasts: timedelta | None = None) -> None:
        """Set a cookie that lasts for this time, by default until the browser is closed."""
        # No Domain, and the default path /: both are conditions of the prefix `__Host-`.
        response.set_cookie(
            self._name(name),
            value,
            max_age=None if lasts is None else int(lasts.total_seconds()),
            secure=self._production,
            httponly=True,
            # With Strict, a visitor who follows a link from a mail would seem to be signed out.
            samesite="lax",
        )

    def drop(self, response: Response, name: str) -> None:
        """Delete a cookie."""
        # With the same attributes: a browser ignores a `__Host-` cookie without Secure, even to delete it.
        response.delete_cookie(self._name(name), secure=self._production, httponly=True, samesite="lax")

    def unseal(self, name: str, now: datetime, lasts: timedelta | None = None) -> Any:
        """Return the content that ``seal`` has put into a cookie; ``None`` if it is invalid or older than ``lasts``."""
        sealed = (self.get(name) or "").encode()
        try:
            if lasts is None:
                opened = self._cipher.decrypt(sealed)
            else:
                # The age is checked here as well, because a browser may keep a cookie for longer.
                opened = self._cipher.decrypt_at_time(sealed, int(lasts.total_seconds()), int(now.timestamp()))
        except InvalidToken:
            return None
        named, content = json.loads(opened)
        return content if named == name else None

    def seal(self, response: Response, name: str, content: Any, now: datetime, lasts: timedelta | None = None) -> None:
        """Set a cookie with encrypted and authenticated content. It is not valid under another cookie name."""
        sealed = self._cipher.encrypt_at_time(json.dumps([name, content]).encode(), int(now.timestamp()))
        self.set(response, name, sealed.decode(), lasts)

    def _name(self, name: str) -> str:
        return cookie_name(self._settings, name)
