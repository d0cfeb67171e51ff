"""The open connections of a process, and their limits (ADR 0031)."""

import logging
import resource
import sys
from collections import Counter
from ipaddress import ip_network
from typing import Protocol

from app.core.addresses import bounded_network, read_address
from app.core.settings import Settings

RESERVED_DESCRIPTORS = 100
"""File descriptors that are kept free for uses other than connections of clients and of the database."""
DESCRIPTORS_PER_DATABASE_CONNECTION = 4  # SQLite opens a database, a log and an index file for each
# With a very low `ulimit -n` the server still answers.
MIN_CONNECTIONS = 10

log = logging.getLogger(__name__)


class Closable(Protocol):
    """A connection that can be closed at once."""

    def abort(self) -> None:
        """Close the connection without sending what is still unsent."""


class Connections:
    """The open connections of one server, limited in total and per address.

    If a new connection exceeds the limit of its address, an idle connection of the same address is closed. If it
    exceeds the total limit, an idle connection of the address with the most connections is closed. In both cases it is
    the one that has been idle the longest.

    A connection is idle while the server waits for its client: for a request, or for the rest of a head or a body.
    Connections with a complete request in progress are never closed. For trusted proxies and clients of a UNIX socket,
    only the total limit applies.
    """

    def __init__(self, settings: Settings) -> None:
        self.max_connections = min(settings.max_connections, _affordable_connections(settings.database_pool_size))
        self.max_per_address = settings.max_connections_per_address
        self.head_seconds = settings.request_head_seconds
        self.stall_seconds = settings.response_stall_seconds
        self._trusted = [ip_network(proxy) for proxy in settings.proxies]
        self._open: dict[Closable, str | None] = {}
        self._per_address: Counter[str] = Counter()
        # A dict, because it keeps the order and removes an entry in constant time.
        self._idle: dict[Closable, None] = {}  # in the order in which they became idle

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    def admit(self, connection: Closable, host: str | None) -> str | None:
        """Add a new connection. Return an error code if a limit is exceeded and no idle connection could be closed.

        The connection is counted until ``remove`` is called, even if it is refused.
        """
        address = self._bounded_address(host)
        code = self._make_room(address)
        self._open[connection] = address
        self._idle[connection] = None
        if address:
            self._per_address[address] += 1
        return code

    def set_busy(self, connection: Closable) -> None:
        """Mark the connection as having a complete request in progress."""
        self._idle.pop(connection, None)

    def set_idle(self, connection: Closable) -> None:
        """Mark the connection as waiting for its client from now on."""
        self._idle.pop(connection, None)
        if connection in self._open:
            self._idle[connection] = None

    def remove(self, connection: Closable) -> None:
        """Remove a closed connection. It may have been removed before."""
        self._idle.pop(connection, None)
        if address := self._open.pop(connection, None):
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]

    def _make_room(self, address: str | None) -> str | None:
        # More than one may have to be closed: refused connections also count until they are closed.
        while address and self._per_address[address] >= self.max_per_address:
            if not self._close(next((idle for idle in self._idle if self._open[idle] == address), None)):
                return "too_many_requests"
        while len(self._open) >= self.max_connections:
            # Of several with the same count, `max` returns the first, which has been idle the longest.
            if not self._close(max(self._idle, key=self._count_of_same_address, default=None)):
                return "busy"
        return None

    def _count_of_same_address(self, connection: Closable) -> int:
        address = self._open[connection]
        return self._per_address[address] if address else 0

    def _close(self, connection: Closable | None) -> bool:
        if connection is None:
            return False
        # Removed now: the event loop reports the loss of the connection only after the next one has been counted.
        self.remove(connection)
        connection.abort()
        return True

    def _bounded_address(self, host: str | None) -> str | None:
        address = read_address(host)
        # All clients of a proxy come from its address, so a limit for it would be one for all of them.
        if host is None or (address and any(address in network for network in self._trusted)):
            return None
        return bounded_network(host)


def _affordable_connections(database_pool_size: int) -> int:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # On Linux RLIM_INFINITY is -1, so it cannot be compared like a number.
    if descriptors == resource.RLIM_INFINITY:
        return sys.maxsize
    reserved = RESERVED_DESCRIPTORS + DESCRIPTORS_PER_DATABASE_CONNECTION * database_pool_size
    return max(MIN_CONNECTIONS, descriptors - reserved)


def warn_unless_bounded() -> None:
    """Log a warning if the server does not use ``BoundedProtocol``."""
    # The application itself never imports the protocol. A server that uses it has imported it before the application.
    if "app.edge.protocol" not in sys.modules:
        log.warning("heads and connections are not limited; start with --http app.edge.protocol:BoundedProtocol")
