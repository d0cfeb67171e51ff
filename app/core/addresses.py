"""IP addresses of clients."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

UNKNOWN = "unknown"


@lru_cache(1024)  # each is read several times in a request
def read_address(host: str | None) -> IPv4Address | IPv6Address | None:
    """Return the address without its scope, an IPv4-mapped IPv6 address as IPv4, or ``None`` if it is not an address.

    The text may come from a client: a proxy passes on any text that it received, and the scope behind a ``%`` may also
    be any text.
    """
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def bounded_network(host: str | None) -> str:
    """Return the network that counts as one client: an IPv4 address or an IPv6 /64 (one subscriber).

    It is ``UNKNOWN`` if ``host`` is not an address.
    """
    address = read_address(host)
    if address is None:
        return UNKNOWN
    return str(IPv6Network((int(address), 64), strict=False) if isinstance(address, IPv6Address) else address)
