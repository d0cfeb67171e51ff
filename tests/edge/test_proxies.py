"""Which forwarded addresses are trusted."""

from io import StringIO
from ipaddress import ip_address
from json import loads

import pytest
from fastapi import FastAPI

from app.core.logging import logging_to
from tests.edge.conftest import Start, client_of

PROXY = "10.0.0.7"
UNTRUSTED = "192.0.2.66"


@pytest.fixture
async def app_behind_proxies(start: Start) -> FastAPI:
    return await start(trusted_proxies=f"{PROXY}, 172.16.0.0/12, 2001:db8:ffff::/48", rate_limit_per_address="1/day")


async def get_logged_client(app: FastAPI, peer: str, *forwarded: str, name: str = "X-Forwarded-For") -> tuple[str, int]:
    """Send a request; return the address that was logged, and the status."""
    log = StringIO()
    with logging_to(log, readable=False):
        async with client_of(app, peer) as client:
            await client.get("/doctors", headers=[(name, value) for value in forwarded])
    [line] = [line for line in map(loads, log.getvalue().splitlines()) if line["event"] == "request"]
    return line["client"], line["status"]


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Client-IP", "True-Client-IP"])
async def test_forwarded_address_from_an_untrusted_peer_is_ignored(app_behind_proxies: FastAPI, name: str) -> None:
    assert await get_logged_client(app_behind_proxies, UNTRUSTED, name=name) == (UNTRUSTED, 200)
    for claimed in ("198.51.100.1", PROXY, "127.0.0.1", "for=198.51.100.2"):
        assert await get_logged_client(app_behind_proxies, UNTRUSTED, claimed, name=name) == (UNTRUSTED, 429)


async def test_no_proxy_is_trusted_by_default(start: Start) -> None:
    app = await start()
    for peer in ("127.0.0.1", "::1", PROXY):
        assert await get_logged_client(app, peer, "198.51.100.1") == (peer, 200)


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (["198.51.100.1"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # addresses further left are written by the client
        (["6.6.6.6, 198.51.100.1, 172.16.5.5"], "198.51.100.1"),
        (["6.6.6.6", "198.51.100.1", "172.31.0.1, 2001:db8:ffff::9"], "198.51.100.1"),
        (["198.51.100.1:4711"], "198.51.100.1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["[2001:db8::1]:4711, [2001:db8:ffff::1]:1"], "2001:db8::1"),
        (["172.16.0.1, 172.16.0.2"], "172.16.0.1"),
        ([], PROXY),
        ([""], PROXY),
    ],
)
async def test_client_address_is_the_last_untrusted_hop_of_a_trusted_proxy(
    app_behind_proxies: FastAPI, forwarded: list[str], client: str
) -> None:
    assert await get_logged_client(app_behind_proxies, PROXY, *forwarded) == (client, 200)
    assert await get_logged_client(app_behind_proxies, PROXY, *forwarded) == (client, 429)
    assert await get_logged_client(app_behind_proxies, PROXY, "203.0.113.9") == ("203.0.113.9", 200)


@pytest.mark.parametrize(
    "forwarded",
    ["unknown", "_hidden", "<script>", "1.2.3.4.5", "[::1", ",,,", "1e9", "x" * 5000, '{"status": 200}', "::g"],
)
async def test_unreadable_addresses_share_one_limit(app_behind_proxies: FastAPI, forwarded: str) -> None:
    address, status = await get_logged_client(app_behind_proxies, PROXY, forwarded)
    assert (address, status) == (PROXY if not forwarded.strip(",") else "unknown", 200)
    with pytest.raises(ValueError, match="address"):
        ip_address(forwarded)
    assert await get_logged_client(app_behind_proxies, PROXY, forwarded) == (address, 429)


async def test_zone_of_an_ipv6_address_is_ignored(app_behind_proxies: FastAPI) -> None:
    assert await get_logged_client(app_behind_proxies, PROXY, "fe80::1%forged") == ("fe80::1", 200)
