"""The dependencies of routes."""

from collections.abc import Callable, Iterator
from typing import Any

from fastapi.routing import APIRoute


def every_dependency(route: APIRoute) -> Iterator[Callable[..., Any] | None]:
    """The functions that a route depends on, and those that these depend on."""
    waiting = list(route.dependant.dependencies)
    for each in waiting:
        waiting += each.dependencies
        yield each.call
