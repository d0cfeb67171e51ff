"""Limits on connections, and which connection is closed for a new one."""

import sys

import pytest

from app.edge.connections import Connections
from tests.databases import settings_for
from tests.edge.conftest import Start

URL = "sqlite+aiosqlite:///./unused.db"


class Peer:
    """A connection with only the methods that ``Connections`` calls."""

    def __init__(self) -> None:
        self.closed = False

    def abort(self) -> None:
        self.closed = True


def make_connections(**changes: object) -> Connections:
    return Connections(settings_for(URL, **changes))


def test_longest_idle_connection_of_the_address_is_closed_for_a_new_one() -> None:
    connections = make_connections(max_connections_per_address=2)
    other, first, second, third = [Peer() for _ in range(4)]
    for peer, host in ((other, "192.0.2.1"), (first, "192.0.2.7"), (second, "192.0.2.7")):
        assert connections.admit(peer, host) is None
    connections.set_busy(first)
    connections.set_idle(first)
    assert connections.admit(third, "192.0.2.7") is None
    assert [peer.closed for peer in (other, first, second, third)] == [False, False, True, False]
    assert len(connections) == 3


def test_ipv6_network_counts_as_one_address() -> None:
    connections = make_connections(max_connections_per_address=1)
    first, second = Peer(), Peer()
    connections.admit(first, "2001:db8::1")
    connections.admit(second, "2001:db8::2:3:4:5")
    assert first.closed


def test_idle_connection_of_any_address_is_closed_at_the_total_limit() -> None:
    connections = make_connections(max_connections=2)
    busy, idle, newest = Peer(), Peer(), Peer()
    connections.admit(busy, "192.0.2.1")
    connections.set_busy(busy)
    connections.admit(idle, "192.0.2.2")
    assert connections.admit(newest, "192.0.2.3") is None
    assert [peer.closed for peer in (busy, idle, newest)] == [False, True, False]
    connections.set_busy(newest)
    assert connections.admit(Peer(), "192.0.2.4") == "busy"


def test_connection_is_refused_if_all_connections_of_its_address_are_busy() -> None:
    connections = make_connections(max_connections_per_address=1)
    busy = Peer()
    connections.admit(busy, "192.0.2.1")
    connections.set_busy(busy)
    refused = Peer()
    assert connections.admit(refused, "192.0.2.1") == "too_many_requests"
    connections.remove(refused)
    connections.remove(busy)
    connections.remove(busy)
    connections.set_idle(busy)
    assert len(connections) == 0
    assert connections.admit(Peer(), "192.0.2.1") is None


def test_address_with_most_connections_loses_one_at_the_total_limit() -> None:
    connections = make_connections(max_connections=4)
    other, first, second, third, newest = [Peer() for _ in range(5)]
    for peer, host in ((other, "192.0.2.1"), (first, "192.0.2.7"), (second, "192.0.2.7"), (third, "192.0.2.7")):
        assert connections.admit(peer, host) is None
    connections.set_idle(first)
    assert connections.admit(newest, "192.0.2.8") is None
    assert [peer.closed for peer in (other, first, second, third)] == [False, False, True, False]


@pytest.mark.parametrize(
    ("bound", "code"), [("max_connections", "busy"), ("max_connections_per_address", "too_many_requests")]
)
def test_refused_connection_frees_no_room_for_another(bound: str, code: str) -> None:
    connections = make_connections(**{bound: 1})
    busy, *refused = [Peer() for _ in range(4)]
    connections.admit(busy, "192.0.2.1")
    connections.set_busy(busy)
    assert [connections.admit(peer, "192.0.2.1") for peer in refused] == [code] * 3
    assert [peer.closed for peer in refused] == [True, True, False]
    assert len(connections) == 2


@pytest.mark.parametrize("host", ["10.1.2.3", "::ffff:10.1.2.3", None])
def test_proxies_have_only_the_total_limit(host: str | None) -> None:
    connections = make_connections(max_connections_per_address=1, max_connections=3, trusted_proxies="10.0.0.0/8")
    peers = [Peer() for _ in range(4)]
    for peer in peers:
        connections.admit(peer, host)
    assert [peer.closed for peer in peers] == [True, False, False, False]


def test_default_connection_limit_leaves_file_descriptors_for_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for descriptors, expected in ((1024, 884), (64, 10), (1_000_000, 1000), (-1, 1000)):
        monkeypatch.setattr("resource.getrlimit", lambda _, soft=descriptors: (soft, soft))
        assert make_connections().max_connections == expected


async def test_server_without_bounded_protocol_is_warned_about_in_production(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    production = {"environment": "production", "secret_key": "0123456789abcdef" * 2, "password_memory_kib": 19456}
    for missing in (False, True):
        monkeypatch.setitem(sys.modules, "app.edge.protocol", sys)
        if missing:
            monkeypatch.delitem(sys.modules, "app.edge.protocol")
        await start(**production, password_passes=2)
        assert ("BoundedProtocol" in capsys.readouterr().err) is missing
