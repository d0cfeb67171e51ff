"""The routes of the application: their operations, their dependencies and the callers that they name."""

from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Annotated, Any, get_origin

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.core import clinic_dependencies, dependencies
from app.core.settings import Settings
from app.http.routes import list_dependencies, list_routes
from app.main import create_app
from app.web.kit import auth, clinic_auth
from app.web.kit.routes import PageRoute

type Call = Callable[..., Any]


@cache
def assemble() -> FastAPI:
    """Return the application without resources. For what is needed before fixtures, which have their own."""
    return create_app(Settings(_env_file=None))


@cache
def list_all_routes() -> list[APIRoute]:
    """Return the routes of the API and of the pages."""
    return [route for route in list_routes(assemble()) if isinstance(route, APIRoute)]


def list_api_routes() -> list[APIRoute]:
    return [route for route in list_all_routes() if not isinstance(route, PageRoute)]


def list_pages() -> list[PageRoute]:
    return [route for route in list_all_routes() if isinstance(route, PageRoute)]


def list_operations(route: APIRoute) -> list[str]:
    """Return ``GET /doctors/{doctor_id}``, written as in the OpenAPI document; one for each method of the route."""
    return [f"{method} {route.path_format}" for method in sorted(route.methods or ())]


def every_dependency(route: APIRoute) -> Iterator[Call | None]:
    """The functions that a route depends on, and those that these depend on."""
    waiting = list(route.dependant.dependencies)
    for each in waiting:
        waiting += each.dependencies
        yield each.call


def _read_callers(module: ModuleType, *endings: str) -> dict[Call | None, str]:
    return {
        value.__metadata__[0].dependency: name
        for name, value in vars(module).items()
        if name.endswith(endings) and get_origin(value) is Annotated
    }


CALLERS = (
    _read_callers(dependencies, "Actor", "Public", "Viewer")
    | _read_callers(clinic_dependencies, "Actor", "Viewer")
    | _read_callers(auth, "Page")
    | _read_callers(clinic_auth, "Page")
)
"""The names of the callers that a route can name, such as ``BookingActor`` and ``HoursPage``, by dependency."""

_SAME_CALLER = {
    "BriefActor": "AccountActor",
    "BriefViewer": "Viewer",
    "BriefPage": "AccountPage",
    "BriefPublicPage": "PublicPage",
}
"""These admit the same callers, but find them in a transaction that ends before the route begins."""

OPEN_TO_ALL = {"Public", "Viewer", "PublicPage"}


def get_caller(route: APIRoute) -> str:
    """Return the name of the route's only caller; for a ``Brief`` caller, the name of the one that admits the same."""
    named = [CALLERS[call] for call in list_dependencies(route) if call in CALLERS]
    assert len(named) == 1, f"{list_operations(route)} names {named or 'no caller'}"
    return _SAME_CALLER.get(named[0], named[0])
