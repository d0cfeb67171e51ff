"""Where a request comes from."""

from dataclasses import dataclass

from app.core.addresses import bounded_network


@dataclass(frozen=True, slots=True)
class Client:
    """The far end of a connection, and the request that came from there, as far as they can be told."""

    address: str
    user_agent: str = ""
    request_id: str | None = None
    device: str | None = None
    """The device cookie, if one of ours was sent."""

    @property
    def network(self) -> str:
        """What counts as one client; see ``bounded_network``."""
        return bounded_network(self.address)
