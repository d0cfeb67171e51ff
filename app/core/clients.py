"""The client that a request comes from."""

from dataclasses import dataclass

from app.core.addresses import bounded_network


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a request: its address, and the identifiers that it sent."""

    address: str
    user_agent: str = ""
    request_id: str | None = None
    device: str | None = None
    """The device cookie, or ``None`` if the client sent none or one that this application has not signed."""

    @property
    def network(self) -> str:
        """The network that counts as one client; see ``bounded_network``."""
        return bounded_network(self.address)
