"""Origins (RFC 6454): scheme, host and port."""

from ipaddress import ip_address
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def normalize_origin(text: str) -> str | None:
    """Return the origin as browsers write it: lower case, without a default port. ``None`` if it is not an origin."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        port = parts.port
        if ":" in host:
            host = f"[{ip_address(host)}]"
    except ValueError:
        return None
    if (
        not host
        or "@" in parts.netloc
        or parts.scheme not in _DEFAULT_PORTS
        or text.partition("://")[2] != parts.netloc
    ):
        return None
    return f"{parts.scheme}://{host}" + ("" if port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{port}")
