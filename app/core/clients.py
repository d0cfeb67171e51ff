"""Where a request comes from."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address


@dataclass(frozen=True, slots=True)
class Client:
    """The far end of a connection, and the request that came from there, as far as they can be told."""

    address: str
    user_agent: str = ""
    request_id: str | None = None

    @property
    def network(self) -> str:
        """What one household has: an IPv4 address, or the first 64 bits of an IPv6 one (RFC 8981)."""
        try:
            address = ip_address(self.address)
        except ValueError:
            return self.address
        if not isinstance(address, IPv6Address):
            return self.address
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
