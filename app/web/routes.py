"""The route of a page."""

from collections.abc import Callable
from typing import Any, ClassVar

from fastapi import APIRouter

from app.routers.requests import StrictRoute
from app.web.visitors import open_page_trail


class PageRoute(StrictRoute):
    """A route for people, in a browser: its errors are pages, and its callers are known by their cookie."""

    recorded_by: ClassVar[Callable[..., Any]] = open_page_trail


def page_router() -> APIRouter:
    """A router of pages, which the description of the API does not mention."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)
