"""Device cookies: a browser that has logged in is known, and not slowed down by the guesses of others (ADR 0033)."""

from fastapi import Response

from app.core.dependencies import DEVICE, cookie_name
from app.core.settings import Settings
from app.repositories.login_attempts import DEVICE_LIFETIME

CLEAR_SITE_DATA = {"Clear-Site-Data": '"cache", "storage"'}
"""Headers of an answer that ends a session: the browser deletes what it has stored of this site."""


def set_device(response: Response, settings: Settings, device: str) -> None:
    """Has the browser keep its device cookie for as long as the device is known without another log-in."""
    response.set_cookie(
        cookie_name(settings, DEVICE),
        device,
        max_age=int(DEVICE_LIFETIME.total_seconds()),
        secure=settings.environment == "production",
        httponly=True,
        samesite="strict",
    )
