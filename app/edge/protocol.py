"""uvicorn's HTTP protocol with limits on heads, connections and slow readers (ADR 0031).

Select it with ``uvicorn --http app.edge.protocol:BoundedProtocol``, or ``UVICORN_HTTP``.
"""

import asyncio
import logging
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.core.addresses import UNKNOWN, read_address
from app.edge.connections import Connections
from app.http.problems import ProblemResponse

MAX_HEAD_BYTES = 64 * 1024
MAX_PIPELINED = 16
PIECE_BYTES = 16 * 1024
"""The size of the pieces that are given to the parser, so that it parses little beyond a limit."""
MAX_DISCARDED_BYTES = 1024 * 1024
DISCARDING_SECONDS = 2.0
"""How much is read and discarded after a refusal, and for how long. If the connection were closed at once, the client
might not get the response."""
MIN_READ_BYTES = 64 * 1024
"""How much of an unsent response a client must read within ``RESPONSE_STALL_SECONDS``; all of it, if less is left."""
SEND_BUFFER_BYTES = 64 * 1024
"""The size of the kernel's send buffer for each connection. Linux doubles it."""

log = logging.getLogger(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with limits on heads, pipelined requests and connections.

    Everything in a request except its body (the head, the sizes of chunks, the trailers) may have at most
    ``MAX_HEAD_BYTES``; otherwise the response is 431. The head must be complete ``REQUEST_HEAD_SECONDS`` after the
    connection was opened, or after its own first byte; otherwise it is 408. A request must have exactly one ``Host``
    (RFC 9112 section 3.2); otherwise it is 400. WebSockets are not supported: a request for one is answered like any
    other request.

    A connection is busy while a complete request is in progress. While the server waits for its client (for a request,
    or for the rest of a head or a body), it may be closed to make room, even if that request has been refused already.

    A client is disconnected if part of its response is unsent and it reads less than ``MIN_READ_BYTES`` of it within
    ``RESPONSE_STALL_SECONDS``. The next pipelined request starts when a response is complete, but its own response is
    not written until the earlier one has been sent. So a connection keeps at most two responses in memory.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # A WebSocket would be handed to another protocol, which has none of these limits.
        self.ws_protocol_class = None
        self.open_connections: Connections = app_state["connections"]
        self.working = False
        self.non_body_bytes = 0  # of the current request: all bytes that are not part of its body
        self.deadline: asyncio.TimerHandle | None = None
        self.stall_timer: asyncio.TimerHandle | None = None
        self.started: RequestResponseCycle | None = None
        self.refused = False
        self.discarded = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Admit the connection, or refuse it if there are too many."""
        super().connection_made(transport)
        # Writing pauses at the first byte that is not sent at once. So every wait for the client has a time limit, even
        # at the end of a small response.
        transport.set_write_buffer_limits(high=0)
        # Linux accepts more data only when a third of its buffer is free. If the buffer could grow to megabytes, a slow
        # client that does read would seem to be stalled.
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES)
        self._start_deadline()
        if code := self.open_connections.admit(self, self.client[0] if self.client else None):
            self._refuse(code)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection, and tell its requests that the client is gone."""
        self.open_connections.remove(self)
        self._stop_deadline()
        self._stop_stall_timer()
        if self.started:  # uvicorn only tells the newest request, which may still be waiting for an earlier one
            self.started.disconnected = True
            self.started.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Pause writing, and start checking that the client reads."""
        super().pause_writing()
        self._start_stall_timer()

    def resume_writing(self) -> None:
        """Continue writing after everything has been sent."""
        self._stop_stall_timer()
        super().resume_writing()

    def abort(self) -> None:
        """Close the connection without sending what is still unsent."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse the received data, as far as the limits allow."""
        for start in range(0, len(data), PIECE_BYTES):
            if self.refused:
                self._discard(len(data) - start)
                return
            piece = data[start : start + PIECE_BYTES]
            self.non_body_bytes += len(piece)
            super().data_received(piece)
            if self.transport.is_closing():
                return
            if self.non_body_bytes > MAX_HEAD_BYTES and not self.refused:
                self._refuse("head_too_large")
        # The head of the next request has begun, and has a deadline of its own.
        if self.deadline is None and not self.working:
            self._start_deadline()

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is too large or too many requests are waiting before it."""
        if self.refused:
            return
        if self.non_body_bytes > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            self._refuse("head_too_large")
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._refuse("too_many_requests")
        else:
            self._check_host()
            super().on_headers_complete()
            self._stop_deadline()
            if not self.working:
                self.started = self.cycle
                self.working = True
                self.open_connections.set_idle(self)  # until the body is complete

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self.non_body_bytes -= len(body)
        if not self.refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request. The following bytes belong to the next one."""
        self.non_body_bytes = 0
        if not self.refused:
            super().on_message_complete()
            if self.working:
                self.open_connections.set_busy(self)

    def on_response_complete(self) -> None:
        """Start the next request, if there is one."""
        # Asked before uvicorn takes the next request out of the pipeline.
        self.working = bool(self.pipeline) and not self.transport.is_closing()
        if self.working:
            self.started, _ = self.pipeline[-1]
        super().on_response_complete()
        if not self.working or (self.started and self.started.more_body):
            self.open_connections.set_idle(self)

    def send_400_response(self, msg: str) -> None:
        """Answer 400 to a malformed request.

        If the response to an earlier request is still due, close the connection after it instead: the client would take
        the 400 for that response.
        """
        if self.refused:
            return
        if self.working and (self.pipeline or self.cycle.response_started or not self.cycle.more_body):
            self.refused = True
            self.shutdown()
        else:
            super().send_400_response(msg)

    def _check_host(self) -> None:
        hosts = [value for name, value in self.headers if name == b"host"]
        # A proxy and the server could otherwise disagree about the host that is meant.
        if len(hosts) > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            # An exception stops the parser, and uvicorn then refuses the request as malformed.
            raise ValueError("a request must have exactly one Host header")

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
        if self.non_body_bytes:
            self._refuse("head_too_slow")
        else:  # an unused connection
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
        """Answer with an error and close the connection.

        If a request is in progress, close it after its response and send no error.
        """
        self.refused = True
        self._stop_deadline()
        self._log(code)
        # The client would take an error for the response to the request in progress.
        if self.working:
            self.shutdown()
            return
        problem = ProblemResponse(code, (), None)
        headers = [*self.server_state.default_headers, *problem.raw_headers, (b"connection", b"close")]
        lines = [b"%b: %b\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[problem.status_code], *lines, b"\r\n", problem.body]))
        # Only half closed, so that the client can still read the response.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.deadline = self.loop.call_later(DISCARDING_SECONDS, self.abort)

    def _discard(self, size: int) -> None:
        self.discarded += size
        if self.discarded > MAX_DISCARDED_BYTES:
            self.flow.pause_reading()
