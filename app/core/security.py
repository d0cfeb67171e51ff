"""Passwords, access tokens, and secrets that are stored as hashes."""

import asyncio
import hashlib
import hmac
import json
import os
import re
import secrets
import sys
import unicodedata
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt
from jwt.algorithms import HMACAlgorithm
from pwdlib.hashers.argon2 import Argon2Hasher
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.core.errors import DomainError
from app.core.settings import Settings
from app.core.text import canonical_email, search_key

ALGORITHM = "HS256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type, RFC 9068 section 2.1
ISSUER = AUDIENCE = "doctor-appointments"
CLOCK_SKEW = 30  # seconds by which the clocks of two servers may differ

CONTEXT_WORDS = (
    "admin",
    "administrator",
    "appointment",
    "booking",
    "care",
    "clinic",
    "doctor",
    "health",
    "hospital",
    "login",
    "medical",
    "medicine",
    "nurse",
    "password",
    "patient",
    "physician",
    "practice",
    "welcome",
)
"""Words that attackers try first on this service (OWASP ASVS 6.1.2). A password of only these words is weak."""

MAX_QUEUED_HASHES = 10
"""The maximum number of requests for one account that hash a password or wait to do so. More are refused."""

_HEADER = {"alg": ALGORITHM, "typ": TOKEN_TYPE}
_CLAIMS = frozenset({"iss", "aud", "sub", "sid", "iat", "exp"})
_NO_LETTER = re.compile(r"[\W\d_]+")
_ONLY_CONTEXT_WORDS = re.compile(rf"(?:(?:{'|'.join(CONTEXT_WORDS)})s?)+")
_COST = re.compile(r"\$argon2id\$v=19\$m=(?P<memory>\d+),t=(?P<passes>\d+),p=1\$")
_COMMON_PASSWORDS = frozenset(FREQUENCY_LISTS["passwords"])


def _lower_priority() -> None:
    # On Linux each thread has its own nice value. Elsewhere this would slow down the whole process.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19))


class Passwords:
    """Password hashing with argon2id, in a few threads, behind a bounded queue.

    Hashing is expensive on purpose: without a bound, forty concurrent log-ins took 2.6 GB and 40 s. If the queue is
    full, ``busy`` is raised. On Linux the threads run at a lower priority than the rest of the process. Call ``close``
    at the end.
    """

    def __init__(self, settings: Settings) -> None:
        # One lane per hash: the threads of the pool are the parallelism.
        self._hasher = Argon2Hasher(settings.password_passes, settings.password_memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(
            settings.password_workers, thread_name_prefix="passwords", initializer=_lower_priority
        )
        self._room = settings.password_workers + settings.password_queue
        # Verified when there is no account, so that a log-in takes the same time (ADR 0005).
        self._dummy_hash = self._hasher.hash(secrets.token_urlsafe())
        self._memory_kib = settings.password_memory_kib
        self._passes = settings.password_passes
        self._queues: dict[str, _AccountQueue] = {}

    def close(self) -> None:
        """Wait for running work to finish, and cancel queued work."""
        self._threads.shutdown(cancel_futures=True)

    @asynccontextmanager
    async def take_turn(self, account: str) -> AsyncIterator[None]:
        """Wait for the account's turn, and keep it inside the context.

        Requests for one account hash one at a time, so that they cannot fill the shared queue. Raises
        ``too_many_attempts`` if ``MAX_QUEUED_HASHES`` of them are hashing or waiting already.
        """
        queue = self._queues.setdefault(account, _AccountQueue())
        if queue.length == MAX_QUEUED_HASHES:
            raise DomainError("too_many_attempts", retry_after=1)
        queue.length += 1
        try:
            async with queue.turn:
                yield
        finally:
            queue.length -= 1
            if queue.length == 0:
                del self._queues[account]

    async def hash(self, password: str) -> str:
        """Return the encoded hash (PHC string) of a password."""
        return await self._run(self._hasher.hash, _normalize(password))

    async def matches(self, password: str, encoded: str | None) -> bool:
        """Return whether the password matches the encoded hash.

        Without an encoded hash the result is ``False``, after the same time, so that the time does not show whether an
        account exists (ADR 0005).
        """
        matches = await self._run(self._hasher.verify, _normalize(password), encoded or self._dummy_hash)
        return matches and encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Return whether a hash was made with lower costs than the settings ask for now."""
        cost = _COST.match(encoded)
        return cost is None or int(cost["memory"]) < self._memory_kib or int(cost["passes"]) < self._passes

    async def _run[*Args, Result](self, work: Callable[[*Args], Result], *args: *Args) -> Result:
        if self._room == 0:
            raise DomainError("busy")
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)
        finally:
            self._room += 1


@dataclass(slots=True)
class _AccountQueue:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


def _normalize(password: str) -> str:
    # Keyboards encode accented letters in different ways (NIST SP 800-63B-4 section 3.1.1.2).
    return unicodedata.normalize("NFC", password)


def find_weakness(password: str, *, email: str, name: str) -> str | None:
    """Return why a password is easy to guess (a code of ``FIELD_ERRORS``), or ``None``.

    NIST SP 800-63B-4 section 3.1.1.2.
    """
    folded = password.casefold()
    if folded in _COMMON_PASSWORDS:
        return "password_common"
    if _ONLY_CONTEXT_WORDS.fullmatch(_NO_LETTER.sub("", folded)):
        return "password_obvious"
    if search_key(password) == search_key(name) or canonical_email(password) in {
        canonical_email(email),
        canonical_email(email).partition("@")[0],
    }:
        return "password_personal"
    return None


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The claims of a valid access token. The caller must look up in the database whether the session still exists."""

    user_id: UUID
    session_id: UUID


def issue_access_token(claims: AccessClaims, *, key: str, now: datetime, lifetime: timedelta) -> str:
    """Return a signed JWT (RFC 9068) that is valid from ``now`` for ``lifetime``."""
    issued = int(now.timestamp())
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(claims.user_id),
        "sid": str(claims.session_id),
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
    }
    return _SIGNED.encode(json.dumps(payload).encode(), key, algorithm=ALGORITHM, headers=_HEADER)


def read_access_token(token: str, *, key: str, now: datetime, lifetime: timedelta) -> AccessClaims:
    """Return the claims of an access token.

    Raises ``DomainError`` ``not_authenticated`` unless this application has issued the token, it has not expired, and
    it is not valid for longer than ``lifetime``.
    """
    try:
        signed = _SIGNED.decode_complete(token, key, algorithms=[ALGORITHM])
        payload = json.loads(signed["payload"])
        # Accept exactly the header and the claims of ``issue_access_token``, so no optional claim has to be checked.
        if signed["header"] != _HEADER or payload.keys() != _CLAIMS:
            raise DomainError("not_authenticated")
        return _claims(payload, int(now.timestamp()), int(lifetime.total_seconds()))
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        raise DomainError("not_authenticated") from error


def _claims(payload: dict[str, Any], now: int, lifetime: int) -> AccessClaims:
    if (payload["iss"], payload["aud"]) != (ISSUER, AUDIENCE):
        raise ValueError("wrong issuer or audience")
    issued, expires = payload["iat"], payload["exp"]
    # Not isinstance, for which True is an integer as well.
    if not (type(issued) is type(expires) is int):
        raise TypeError("iat and exp must be integers")
    # A token that was issued in the future, or is valid for too long, was signed with our key, but not by this code.
    if not (issued - CLOCK_SKEW <= now < expires <= issued + lifetime):
        raise ValueError("expired, not yet valid, or valid for too long")
    return AccessClaims(UUID(payload["sub"]), UUID(payload["sid"]))


class _Hmac(HMACAlgorithm):
    """Checks once per key, and not with every token, that the key is not a certificate or another kind of key."""

    prepare_key = lru_cache(maxsize=4)(HMACAlgorithm.prepare_key)


_SIGNED = jwt.PyJWS(algorithms=[ALGORITHM])
"""Signs and verifies tokens with one algorithm. No other is registered, so the header of a token cannot choose one."""
_SIGNED.unregister_algorithm(ALGORITHM)
_SIGNED.register_algorithm(ALGORITHM, _Hmac(_Hmac.SHA256))


def derive_key(secret: str, purpose: str) -> bytes:
    """Return a key of 32 bytes for one purpose. It reveals nothing about the secret or the keys for other purposes."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")


def keyed_hash(key: bytes, text: str) -> str:
    """Return the HMAC-SHA256 of ``text`` in hexadecimal. Without the key, a guess of the text cannot be checked."""
    return hmac.digest(key, text.encode(), "sha256").hex()


def new_token() -> str:
    """Return a token of 256 random bits, safe in a URL. Store a hash of it, never the token."""
    return secrets.token_urlsafe(32)


def new_device(secret: str) -> str:
    """Return a new device cookie. It is random, and signed, so that clients cannot choose its value."""
    token = new_token()
    return f"{token}.{_sign_device(secret, token)}"


def is_device(secret: str, cookie: str) -> bool:
    """Return whether this application has signed this device cookie."""
    token, _, signature = cookie.partition(".")
    # As bytes: for text, compare_digest accepts only ASCII, and the cookie may contain anything.
    return hmac.compare_digest(_sign_device(secret, token).encode(), signature.encode())


def _sign_device(secret: str, token: str) -> str:
    return keyed_hash(derive_key(secret, "device cookies"), token)


def hash_token(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal.

    This is enough for tokens, which are random and too long to guess. Passwords need argon2.
    """
    return hashlib.sha256(token.encode()).hexdigest()
