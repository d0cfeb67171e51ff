"""Passwords, access tokens, and secrets that are sent and only kept as a hash."""

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
"""What a guesser tries here before anything else (OWASP ASVS 6.1.2); a password of nothing but these is weak."""

MAX_QUEUED_HASHES = 10
"""How many requests of one account may be hashed or wait at a time; more are refused."""

_HEADER = {"alg": ALGORITHM, "typ": TOKEN_TYPE}
_CLAIMS = frozenset({"iss", "aud", "sub", "sid", "iat", "exp"})
_NO_LETTER = re.compile(r"[\W\d_]+")
_OF_THE_CONTEXT = re.compile(rf"(?:(?:{'|'.join(CONTEXT_WORDS)})s?)+")
_COST = re.compile(r"\$argon2id\$v=19\$m=(?P<memory>\d+),t=(?P<passes>\d+),p=1\$")
_COMMON_PASSWORDS = frozenset(FREQUENCY_LISTS["passwords"])


def _lower_priority() -> None:
    # Linux has a nice value for each thread; elsewhere this would slow down the whole process.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19))


class Passwords:
    """Argon2id in a few threads of its own, behind a queue that has an end.

    Hashing is made to be expensive: unbounded, forty log-ins at once took 2.6 GB and 40 s. Work that finds the queue
    full is refused as ``busy``. On Linux the threads run at a lower priority than the rest of the process. Close it
    when done.
    """

    def __init__(self, settings: Settings) -> None:
        self._hasher = Argon2Hasher(settings.password_passes, settings.password_memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(
            settings.password_workers, thread_name_prefix="passwords", initializer=_lower_priority
        )
        self._room = settings.password_workers + settings.password_queue
        self._nobody = self._hasher.hash(secrets.token_urlsafe())
        self._memory_kib = settings.password_memory_kib
        self._passes = settings.password_passes
        self._lines: dict[str, _Line] = {}

    def close(self) -> None:
        """Lets running work finish and drops what waits."""
        self._threads.shutdown(cancel_futures=True)

    @asynccontextmanager
    async def line(self, account: str) -> AsyncIterator[None]:
        """Waits for the account's turn: its requests are hashed one at a time, so it cannot fill the shared queue.

        ``too_many_attempts`` if ``MAX_QUEUED_HASHES`` of its requests are waiting already.
        """
        line = self._lines.setdefault(account, _Line())
        if line.length == MAX_QUEUED_HASHES:
            raise DomainError("too_many_attempts", retry_after=1)
        line.length += 1
        try:
            async with line.turn:
                yield
        finally:
            line.length -= 1
            if line.length == 0:
                del self._lines[account]

    async def hash(self, password: str) -> str:
        """The encoded hash (PHC string) of a password."""
        return await self._run(self._hasher.hash, _normalize(password))

    async def matches(self, password: str, encoded: str | None) -> bool:
        """Whether the password is the one. Without an encoded hash it takes the same time, and the answer is no."""
        matches = await self._run(self._hasher.verify, _normalize(password), encoded or self._nobody)
        return matches and encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Whether a hash was cheaper to make than one is today."""
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
class _Line:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


def _normalize(password: str) -> str:
    # Keyboards differ in how they compose an accent (NIST SP 800-63B-4 section 3.1.1.2).
    return unicodedata.normalize("NFC", password)


def find_weakness(password: str, *, email: str, name: str) -> str | None:
    """Why a password is easy to guess, as a sentence, or ``None`` (NIST SP 800-63B-4 section 3.1.1.2)."""
    folded = password.casefold()
    if folded in _COMMON_PASSWORDS:
        return "This password is one of the most common ones."
    if _OF_THE_CONTEXT.fullmatch(_NO_LETTER.sub("", folded)):
        return "This password is made of nothing but words that everybody would try here."
    if search_key(password) == search_key(name) or canonical_email(password) in {
        canonical_email(email),
        canonical_email(email).partition("@")[0],
    }:
        return "The password must differ from your name and your e-mail address."
    return None


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a valid access token says. Whether that still holds is for the database to say."""

    user_id: UUID
    session_id: UUID


def issue_access_token(claims: AccessClaims, *, key: str, now: datetime, lifetime: timedelta) -> str:
    """A signed JWT (RFC 9068) that is valid from ``now`` for ``lifetime``."""
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
    """The claims of an access token that we issued, that has not expired and lives no longer than ``lifetime``.

    Raises ``DomainError`` ``not_authenticated`` for anything else, whatever is wrong with it.
    """
    try:
        signed = _SIGNED.decode_complete(token, key, algorithms=[ALGORITHM])
        payload = json.loads(signed["payload"])
        # Nothing but what we write ourselves, so there is no more to be asked of a token than whether it is that.
        if signed["header"] != _HEADER or payload.keys() != _CLAIMS:
            raise DomainError("not_authenticated")
        return _claims(payload, int(now.timestamp()), int(lifetime.total_seconds()))
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        raise DomainError("not_authenticated") from error


def _claims(payload: dict[str, Any], now: int, lifetime: int) -> AccessClaims:
    if (payload["iss"], payload["aud"]) != (ISSUER, AUDIENCE):
        raise ValueError("not ours, or not for us")
    issued, expires = payload["iat"], payload["exp"]
    if not (type(issued) is type(expires) is int):
        raise TypeError("iat and exp are whole numbers")
    # Issued in the future or living longer than ours do: signed with our key, but not by this code.
    if not (issued - CLOCK_SKEW <= now < expires <= issued + lifetime):
        raise ValueError("outside its time of validity")
    return AccessClaims(UUID(payload["sub"]), UUID(payload["sid"]))


class _Hmac(HMACAlgorithm):
    """Looks once, and not with every token, whether the key is a certificate or a key of another kind by mistake."""

    prepare_key = lru_cache(maxsize=4)(HMACAlgorithm.prepare_key)


_SIGNED = jwt.PyJWS(algorithms=[ALGORITHM])
"""Tokens of one algorithm; it knows no other, so no header of a token can ask for one."""
_SIGNED.unregister_algorithm(ALGORITHM)
_SIGNED.register_algorithm(ALGORITHM, _Hmac(_Hmac.SHA256))


def derive_key(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose; whoever knows them knows nothing of the secret or of the keys for other purposes."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")


def keyed_hash(key: bytes, text: str) -> str:
    """In hexadecimal; equal for equal texts, and no use to whoever does not have the key."""
    return hmac.digest(key, text.encode(), "sha256").hex()


def new_token() -> str:
    """256 random bits, safe in a URL. Store a hash of it, never the token."""
    return secrets.token_urlsafe(32)


def new_device(secret: str) -> str:
    """A device cookie: random, and signed, so that no device is known by a value that a client has chosen."""
    token = new_token()
    return f"{token}.{_sign_device(secret, token)}"


def is_device(secret: str, cookie: str) -> bool:
    """Whether this is a device cookie of ours."""
    token, _, signature = cookie.partition(".")
    return hmac.compare_digest(_sign_device(secret, token).encode(), signature.encode())


def _sign_device(secret: str, token: str) -> str:
    return keyed_hash(derive_key(secret, "device cookies"), token)


def hash_token(token: str) -> str:
    """SHA-256 in hexadecimal; enough for a secret that nobody can guess, where a password needs argon2."""
    return hashlib.sha256(token.encode()).hexdigest()
