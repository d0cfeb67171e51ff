"""The route class and the router of pages."""

from fastapi import APIRouter

from app.http.requests import StrictRoute


class PageRoute(StrictRoute):
    """A route of a page: its errors are HTML pages, and its callers are identified by their session cookie."""


def page_router() -> APIRouter:
    """Return a router for pages. Its routes are left out of the OpenAPI document."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)
