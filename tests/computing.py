"""Observers of the functions that compute while a request is served."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from app.core.computing import Computation
from app.repositories import bookings
from app.scheduling import availability
from app.services import search, slot_scanner, slots

COMPUTED: tuple[tuple[Any, str], ...] = (
    (slot_scanner, "slots"),
    (slots, "slots"),
    (slots, "free_windows"),
    (availability, "windows_between"),
    (bookings, "BusyPeriod"),
    (search, "when_shown"),
    (Computation, "run"),
)
"""Functions that are called often or take long."""


def watch(monkeypatch: pytest.MonkeyPatch, note: Callable[[str], None]) -> None:
    """Call ``note`` with the name of the function at each call of one of these functions."""

    def wrap(owner: Any, name: str) -> None:
        compute = getattr(owner, name)

        def watched(*arguments: Any) -> Any:
            note(name)
            return compute(*arguments)

        monkeypatch.setattr(owner, name, watched)

    for owner, name in COMPUTED:
        wrap(owner, name)


def watch_connections(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a growing list: the number of connections that were taken at each of these calls."""
    pool = app.state.resources.database.engine.sync_engine.pool
    held: list[int] = []
    watch(monkeypatch, lambda _: held.append(pool.checkedout()))
    return held
