"""Makers of computed values: long texts, encodings, forged tokens."""

import base64
import gzip
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.attacks.corpus import Computed


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public_key() -> bytes:
    return (
        _rsa_key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _sign(content: bytes, algorithm: str, key: bytes) -> bytes:
    match algorithm:
        case "none":
            return b""
        case "rsa":
            return _rsa_key().sign(content, padding.PKCS1v15(), hashes.SHA256())
        case _:
            return hmac.digest(key, content, algorithm)


def forge(claims: Mapping[str, Any], secret: str, now: datetime, changes: Mapping[str, Any]) -> str:
    """Return a token with these claims; without changes it is valid.

    ``header`` and ``claims`` replace members: ``!absent`` removes one, and ``now+60`` is a time. ``sign`` is the hash,
    ``rsa`` or ``none``. ``key`` replaces the key of the application; ``public`` is the public key of the RSA pair.
    """

    def apply_changes(members: Mapping[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
        merged = {**members, **by}
        return {name: _resolve_time(value, now) for name, value in merged.items() if not isinstance(value, Computed)}

    assert changes.keys() <= {"header", "claims", "sign", "key", "as"}, changes
    header = apply_changes({"alg": "HS256", "typ": "at+jwt"}, changes.get("header", {}))
    key = changes.get("key", secret)
    key = _public_key() if key == "public" else key.encode()
    payload = apply_changes(claims, changes.get("claims", {}))
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, payload))
    token = f"{signed}.{_base64url(_sign(signed.encode(), changes.get('sign', 'sha256'), key))}"
    return str(changes.get("as", "Bearer *")).replace("*", token)


def _resolve_time(value: Any, now: datetime) -> Any:
    if isinstance(value, str) and (match := re.fullmatch(r"now([+-]\d+)?(\.\d+)?", value)):
        seconds = int(now.timestamp()) + int(match[1] or 0)
        return seconds + float(match[2]) if match[2] else seconds
    return value


def _as_bytes(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    return (content if isinstance(content, str) else json.dumps(content)).encode()


MAKERS: dict[str, Callable[[Any], Any]] = {
    # text, how often; optionally a prefix and a suffix
    "repeat": lambda of: (of[2] if len(of) > 2 else "") + of[0] * of[1] + (of[3] if len(of) > 3 else ""),
    # parts
    "join": "".join,
    # encoding, text or data
    "encode": lambda of: (of[1] if isinstance(of[1], str) else json.dumps(of[1])).encode(of[0]),
    "hex": bytes.fromhex,
    "gzip": lambda of: gzip.compress(_as_bytes(of[0]), mtime=0),
    "base64": lambda of: base64.b64encode(_as_bytes(of)).decode(),
    "cursor": lambda of: _base64url(_as_bytes(of)),
    # the fields f0, f1… with this value
    "fields": lambda of: {f"f{number}": of[1] for number in range(of[0])},
    # how often, value
    "list": lambda of: [of[1]] * of[0],
    "json": lambda of: json.dumps(of[0]),
}
