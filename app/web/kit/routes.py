"""The route of a page."""

from fastapi import APIRouter

from app.http.requests import StrictRoute


class PageRoute(StrictRoute):
    """A route for people, in a browser: its errors are pages, and its callers are known by their cookie."""


def page_router() -> APIRouter:
    """A router of pages, which the description of the API does not mention."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)
