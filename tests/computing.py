"""Watching what is computed while a request is answered."""

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
    """Has the name of each of these functions noted whenever it is called."""

    def wrap(owner: Any, name: str) -> None:
        compute = getattr(owner, name)

        def watched(*arguments: Any) -> Any:
            note(name)
            return compute(*arguments)

        monkeypatch.setattr(owner, name, watched)

    for owner, name in COMPUTED:
        wrap(owner, name)


def watch_connections(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many connections were taken at each of these calls; the list grows."""
    pool = app.state.resources.database.engine.sync_engine.pool
    held: list[int] = []
    watch(monkeypatch, lambda _: held.append(pool.checkedout()))
    return held
