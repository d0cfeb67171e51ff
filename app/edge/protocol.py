"""uvicorn's HTTP protocol, with bounds on what a client may send before its request is known, and on slow readers.

Chosen by ``uvicorn --http app.edge.protocol:BoundedProtocol``, or ``UVICORN_HTTP``.
"""

import asyncio
import logging
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.core.addresses import UNKNOWN, read_address
from app.edge.connections import Connections
from app.http.problems import ProblemResponse

MAX_HEAD_BYTES = 64 * 1024
MAX_PIPELINED = 16
PIECE_BYTES = 16 * 1024
"""What is given to the parser at once, so that little is parsed beyond a bound."""
MAX_DISCARDED_BYTES = 1024 * 1024
DISCARDING_SECONDS = 2.0
"""So much, for so long, is read and thrown away after a refusal; closing at once could lose the answer on its way."""
MIN_READ_BYTES = 64 * 1024
"""What a client must read of an unsent answer within ``RESPONSE_STALL_SECONDS``; all of it, if less is left."""
SEND_BUFFER_BYTES = 64 * 1024
"""What the kernel is asked to keep of an unsent answer; Linux keeps twice as much."""

log = logging.getLogger(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with bounds on heads, pipelined requests and connections.

    What belongs to a request and not to its body (its head, the sizes of its chunks, its trailers) may have
    ``MAX_HEAD_BYTES``: 431. The head must be complete ``REQUEST_HEAD_SECONDS`` after the connection was opened, or
    after its first byte: 408. A request names its host once (RFC 9112 section 3.2): 400. There are no WebSockets: a
    request for one is answered as an ordinary request.

    A connection is busy while a complete request is in progress. One whose client has yet to send something, be it a
    request, the rest of a head or the rest of a body, may be closed to make room, even if that request has been
    refused already.

    A client that reads less than ``MIN_READ_BYTES`` within ``RESPONSE_STALL_SECONDS``, and leaves some of its answer
    unsent, is disconnected. The next pipelined request starts when an answer is complete, but its own answer waits
    until the earlier one has been sent, so a connection keeps two answers in memory at most.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.ws_protocol_class = None
        self.open_connections: Connections = app_state["connections"]
        self.working = False
        self.unbodied_bytes = 0  # of the current request
        self.deadline: asyncio.TimerHandle | None = None
        self.stall_timer: asyncio.TimerHandle | None = None
        self.started: RequestResponseCycle | None = None
        self.refused = False
        self.discarded = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Admits the connection, if there is room."""
        super().connection_made(transport)
        # Writing pauses at the first byte that is not sent at once, so every wait for the client has a time limit, even
        # for the end of a small answer.
        transport.set_write_buffer_limits(high=0)
        # Linux takes more only once a third of its buffer is free. A buffer that has grown to megabytes would hide for
        # a long time that a slow client reads.
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES)
        self._start_deadline()
        if code := self.open_connections.admit(self, self.client[0] if self.client else None):
            self._refuse(code)

    def connection_lost(self, exc: Exception | None) -> None:
        """Makes room for another one."""
        self.open_connections.remove(self)
        self._stop_deadline()
        self._stop_stall_timer()
        if self.started:  # uvicorn tells the newest request alone, which may still wait for an earlier one
            self.started.disconnected = True
            self.started.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Waits for the client to read, within a time limit."""
        super().pause_writing()
        self._start_stall_timer()

    def resume_writing(self) -> None:
        """Continues after everything has been sent."""
        self._stop_stall_timer()
        super().resume_writing()

    def abort(self) -> None:
        """Closes the connection without waiting for anything."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parses what has arrived, as far as the bounds allow."""
        for start in range(0, len(data), PIECE_BYTES):
            if self.refused:
                self._discard(len(data) - start)
                return
            piece = data[start : start + PIECE_BYTES]
            self.unbodied_bytes += len(piece)
            super().data_received(piece)
            if self.transport.is_closing():
                return
            if self.unbodied_bytes > MAX_HEAD_BYTES and not self.refused:
                self._refuse("head_too_large")
        if self.deadline is None and not self.working:
            self._start_deadline()

    def on_headers_complete(self) -> None:
        """Starts the request, unless its head is too large or too many requests are waiting before it."""
        if self.refused:
            return
        if self.unbodied_bytes > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            self._refuse("head_too_large")
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._refuse("too_many_requests")
        else:
            self._check_host()
            super().on_headers_complete()
            self._stop_deadline()
            if not self.working:
                self.working = True
                self.open_connections.set_idle(self)  # until the body is complete

    def on_body(self, body: bytes) -> None:
        """Passes a part of the body on."""
        self.unbodied_bytes -= len(body)
        if not self.refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Ends the request; what comes next belongs to another one."""
        self.unbodied_bytes = 0
        if not self.refused:
            super().on_message_complete()
            if self.working:
                self.open_connections.set_busy(self)

    def on_response_complete(self) -> None:
        """Goes on with the next request, if there is one."""
        self.working = bool(self.pipeline) and not self.transport.is_closing()
        super().on_response_complete()
        if not self.working or (self.started and self.started.more_body):
            self.open_connections.set_idle(self)

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP; never in the place of the answer to an earlier request."""
        if self.refused:
            return
        if self.working and (self.pipeline or self.cycle.response_started or not self.cycle.more_body):
            self.refused = True
            self.shutdown()
        else:
            super().send_400_response(msg)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.started = cycle
        super()._start_asgi_task(cycle, app)

    def _check_host(self) -> None:
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            # An exception stops the parser, and uvicorn refuses the request like any that is not HTTP.
            raise ValueError("a request names its host once")

    def _head_bytes(self) -> int:
        separators = len(": \r\n")
        return len(self.url) + sum(len(name) + len(value) + separators for name, value in self.headers)

    def _start_deadline(self) -> None:
        self.deadline = self.loop.call_later(self.open_connections.head_seconds, self._on_deadline)

    def _stop_deadline(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def _on_deadline(self) -> None:
        self.deadline = None
        if self.unbodied_bytes:
            self._refuse("head_too_slow")
        else:  # a connection on which nothing was asked for
            self.transport.close()

    def _start_stall_timer(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self.stall_timer = self.loop.call_later(self.open_connections.stall_seconds, self._check_progress, unsent)

    def _stop_stall_timer(self) -> None:
        if self.stall_timer is not None:
            self.stall_timer.cancel()
            self.stall_timer = None

    def _check_progress(self, unsent_before: int) -> None:
        if unsent_before - self.transport.get_write_buffer_size() < MIN_READ_BYTES:
            self._log("response_stalled")
            self.abort()
        else:
            self._start_stall_timer()

    def _log(self, code: str) -> None:
        client = read_address(self.client[0] if self.client else None)
        log.info("refused", extra={"code": code, "client": str(client or UNKNOWN)})

    def _refuse(self, code: str) -> None:
        """Answers with an error, and closes the connection; with a request in progress, after the answer to that."""
        self.refused = True
        self._stop_deadline()
        self._log(code)
        if self.working:
            self.shutdown()
            return
        problem = ProblemResponse(code, (), None)
        headers = [*self.server_state.default_headers, *problem.raw_headers, (b"connection", b"close")]
        lines = [b"%b: %b\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[problem.status_code], *lines, b"\r\n", problem.body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.deadline = self.loop.call_later(DISCARDING_SECONDS, self.abort)

    def _discard(self, size: int) -> None:
        self.discarded += size
        if self.discarded > MAX_DISCARDED_BYTES:
            self.flow.pause_reading()
