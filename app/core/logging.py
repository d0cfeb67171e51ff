"""Logging: lines of the standard library's loggers as JSON objects, or in a readable form for development."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog
from asgi_correlation_id import correlation_id
from structlog.types import EventDict, Processor


@contextmanager
def logging_to(stream: TextIO, *, readable: bool, level: str = "info") -> Iterator[None]:
    """Write the log lines of all loggers, from ``level`` on, to ``stream`` while the context lasts.

    If they are not ``readable``, each line is a JSON object, and tracebacks contain no messages of exceptions, because
    these may quote values.
    """
    render: list[Processor] = [_traceback, structlog.processors.JSONRenderer(ensure_ascii=True)]
    if readable:
        plain = structlog.dev.plain_traceback
        render = [_escape, structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _add_request_id,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # uvicorn.access logs the path and the query. app.edge.access_log writes a line without them.
    logging.getLogger("uvicorn.access").propagate = False
    # asgi_correlation_id warns of each X-Request-ID that it replaces, so a client could fill the log.
    logging.getLogger("asgi_correlation_id").setLevel(logging.ERROR)
    # Always log the heads of the audit trail: the log is the copy that shows whether the trail has lost its end.
    logging.getLogger("app.jobs.audit_seal").setLevel(logging.INFO)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level.upper())
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def _add_request_id(_logger: object, _method: str, event: EventDict) -> EventDict:
    if request_id := correlation_id.get():
        event.setdefault("request_id", request_id)
    return event


def _traceback(_logger: object, _method: str, event: EventDict) -> EventDict:
    _, error, _ = event.pop("exc_info", None) or (None, None, None)
    if error is not None:
        event["exception"] = "\n".join(_frames(error))
    return event


def _frames(error: BaseException) -> Iterator[str]:
    """Yield the types and frames of an exception and of its causes, the first cause first, without any message."""
    if cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        yield from _frames(cause)
    yield "".join(traceback.format_tb(error.__traceback__)) + f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _frames(each)


def _escape(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {name: _printable(value) if isinstance(value, str) else value for name, value in event.items()}


def _printable(text: str) -> str:
    # A client that can write a line break or an escape sequence could forge the next line (ADR 0020).
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
