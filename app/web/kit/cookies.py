"""Cookies: what they are called, how they are set, and how what is in them is kept from whoever holds them."""

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

    All are for this host alone, for no script, and come with no request that another site makes but the following of
    a link. In production their names say so, and a browser takes them over TLS only (``__Host-``, RFC 6265bis).
    """

    def __init__(self, request: Request, resources: Resources) -> None:
        self._sent = request.cookies
        self._cipher = Fernet(base64.urlsafe_b64encode(derive_key(resources.secret, "page cookies")))
        self._settings = resources.settings
        self._production = resources.settings.environment == "production"

    def get(self, name: str) -> str | None:
        """What the browser has sent."""
        return self._sent.get(self._name(name))

    def set(self, response: Response, name: str, value: str, lasts: timedelta | None = None) -> None:
        """Gives the browser something to keep: for so long, or until it is closed."""
        response.set_cookie(
            self._name(name),
            value,
            max_age=None if lasts is None else int(lasts.total_seconds()),
            secure=self._production,
            httponly=True,
            samesite="lax",
        )

    def drop(self, response: Response, name: str) -> None:
        """Has the browser forget it."""
        response.delete_cookie(self._name(name), secure=self._production, httponly=True, samesite="lax")

    def unseal(self, name: str, now: datetime, lasts: timedelta | None = None) -> Any:
        """What ``seal`` has put into this cookie, at most so long ago; ``None`` for what is not ours or too old."""
        sealed = (self.get(name) or "").encode()
        try:
            if lasts is None:
                opened = self._cipher.decrypt(sealed)
            else:
                opened = self._cipher.decrypt_at_time(sealed, int(lasts.total_seconds()), int(now.timestamp()))
        except InvalidToken:
            return None
        named, content = json.loads(opened)
        return content if named == name else None

    def seal(self, response: Response, name: str, content: Any, now: datetime, lasts: timedelta | None = None) -> None:
        """Sets a cookie that nobody can read or change, and that stands for nothing under another name."""
        sealed = self._cipher.encrypt_at_time(json.dumps([name, content]).encode(), int(now.timestamp()))
        self.set(response, name, sealed.decode(), lasts)

    def _name(self, name: str) -> str:
        return cookie_name(self._settings, name)
