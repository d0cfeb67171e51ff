"""Addresses of clients."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

UNKNOWN = "unknown"


@lru_cache(1024)  # each is read several times in a request
def read_address(host: str | None) -> IPv4Address | IPv6Address | None:
    """The address, without a scope and as IPv4 if it is one in IPv6's clothes; ``None`` for anything else.

    A proxy passes on what it was told, which may be any text; and what stands behind a ``%`` may be, too.
    """
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def bounded_network(host: str | None) -> str:
    """What counts as one client: an IPv4 address, or the /64 that is the least an IPv6 subscriber has."""
    address = read_address(host)
    if address is None:
        return UNKNOWN
    return str(IPv6Network((int(address), 64), strict=False) if isinstance(address, IPv6Address) else address)
