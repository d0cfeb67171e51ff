"""Device cookies. Password guesses by others do not slow down a browser that has logged in before (ADR 0033)."""

from fastapi import Response

from app.core.dependencies import DEVICE, cookie_name
from app.core.settings import Settings
from app.repositories.login_attempts import DEVICE_LIFETIME

CLEAR_SITE_DATA = {"Clear-Site-Data": '"cache", "storage"'}
"""Headers of a response that ends a session. The browser deletes its cache and storage for this site."""


def set_device(response: Response, settings: Settings, device: str) -> None:
    """Set the device cookie. It lasts as long as the server remembers a device that does not log in again."""
    response.set_cookie(
        cookie_name(settings, DEVICE),
        device,
        max_age=int(DEVICE_LIFETIME.total_seconds()),
        secure=settings.environment == "production",
        httponly=True,
        samesite="strict",
    )
