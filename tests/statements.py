"""An observer of the statements that are sent to a database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from app.db.driver import observers


@contextmanager
def observing(observe: Callable[[str, Any], None]) -> Iterator[None]:
    """Call ``observe`` with each statement and its parameters before it is sent, on any engine.

    The driver's own statements do not fire events of SQLAlchemy, so there are two sources.
    """

    def listen(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        observe(statement, parameters)

    event.listen(Engine, "before_cursor_execute", listen)
    observers.append(observe)
    try:
        yield
    finally:
        observers.remove(observe)
        event.remove(Engine, "before_cursor_execute", listen)
