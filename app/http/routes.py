"""The routes of the application and their dependencies, as FastAPI keeps them (docs/private-interfaces.md)."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute


def list_routes(app: FastAPI) -> list[BaseRoute]:
    """Return all routes. ``app.routes`` has one opaque object for each router instead of its routes."""
    return [context.original_route for context in iter_route_contexts(app.routes)]


def list_dependencies(route: APIRoute) -> list[Callable[..., Any] | None]:
    """Return the functions that the signature of a route depends on, without their own dependencies."""
    return [each.call for each in route.dependant.dependencies]
