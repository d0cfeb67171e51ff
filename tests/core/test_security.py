import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any
from uuid import UUID

import jwt
import pytest

from app.core.errors import DomainError
from app.core.security import (
    AccessClaims,
    Passwords,
    _Hmac,
    derive_key,
    find_weakness,
    hash_token,
    issue_access_token,
    keyed_hash,
    new_token,
    read_access_token,
)
from app.core.settings import Settings

KEY = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
LIFETIME = timedelta(minutes=30)
CLAIMS = AccessClaims(UUID("019abcde-f012-7345-8678-9abcdef01234"), UUID("019abcde-f012-789a-8abc-ef0123456789"))
ISSUED = int(NOW.timestamp())
PAYLOAD: dict[str, Any] = {
    "iss": "doctor-appointments",
    "aud": "doctor-appointments",
    "sub": str(CLAIMS.user_id),
    "sid": str(CLAIMS.session_id),
    "iat": ISSUED,
    "exp": ISSUED + 1800,
}
HEADER: dict[str, Any] = {"typ": "at+jwt"}


def read_token(token: str, now: datetime = NOW) -> AccessClaims:
    return read_access_token(token, key=KEY, now=now, lifetime=LIFETIME)


def sign_token(
    payload: dict[str, Any] = PAYLOAD, header: dict[str, Any] = HEADER, key: str = KEY, **change: Any
) -> str:
    return jwt.encode(payload | change, key, algorithm="HS256", headers=header)


def test_access_token_returns_its_claims() -> None:
    assert read_token(issue_access_token(CLAIMS, key=KEY, now=NOW, lifetime=LIFETIME)) == CLAIMS


def test_access_claims_are_immutable() -> None:
    claims = read_token(sign_token())
    with pytest.raises(FrozenInstanceError):
        setattr(claims, "user_id", UUID(int=0))  # noqa: B010 - the type checker refuses it otherwise


def test_token_signed_by_the_test_is_valid() -> None:
    assert read_token(sign_token()) == CLAIMS


@pytest.mark.parametrize(
    ("seconds", "valid"),
    [(0, True), (1799, True), (1800, False), (1801, False), (-29, True), (-30, True), (-31, False)],
)
def test_access_token_is_valid_for_its_lifetime(seconds: int, valid: bool) -> None:
    token = issue_access_token(CLAIMS, key=KEY, now=NOW, lifetime=LIFETIME)
    if valid:
        assert read_token(token, NOW + timedelta(seconds=seconds)) == CLAIMS
    else:
        with pytest.raises(DomainError, match="not_authenticated"):
            read_token(token, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("year", [2001, 2101])
def test_access_token_is_checked_against_the_given_time(year: int) -> None:
    now = NOW.replace(year=year)
    assert read_token(issue_access_token(CLAIMS, key=KEY, now=now, lifetime=LIFETIME), now) == CLAIMS


def test_token_with_a_shorter_lifetime_is_valid() -> None:
    assert read_token(sign_token(exp=ISSUED + 60)) == CLAIMS


@pytest.mark.parametrize("claim", sorted(PAYLOAD))
def test_every_claim_is_required(claim: str) -> None:
    with pytest.raises(DomainError, match="not_authenticated"):
        read_token(sign_token({name: value for name, value in PAYLOAD.items() if name != claim}))


@pytest.mark.parametrize(
    "change",
    [
        {"exp": ISSUED + 10**9},
        {"exp": ISSUED + 1801},
        {"exp": 10**30},
        {"exp": "1e999"},
        {"iat": ISSUED + 3600, "exp": ISSUED + 5400},
        {"iat": float(ISSUED)},
        {"iat": True},
        {"sub": "abc"},
        {"sub": 12},
        {"sub": ""},
        {"sid": "abc"},
        {"sid": None},
        {"role": "admin"},
        {"iss": "another issuer"},
        {"aud": "another audience"},
        {"nbf": ISSUED},
        {"admin": True},
    ],
    ids=str,
)
def test_unexpected_claim_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DomainError, match="not_authenticated"):
        read_token(sign_token(**change))


@pytest.mark.parametrize(
    "header", [{}, {"typ": "JWT"}, {"typ": "at+jwt", "crit": ["b64"]}, {"typ": "at+jwt", "kid": "1"}]
)
def test_unexpected_token_header_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(DomainError, match="not_authenticated"):
        read_token(sign_token(header=header))


@pytest.mark.parametrize("payload", [b"[]", b"1", b"null", b"", b"{", b"\xff"])
def test_signed_payload_that_is_not_an_object_is_refused(payload: bytes) -> None:
    token = jwt.api_jws.encode(payload, KEY, algorithm="HS256", headers=HEADER)
    with pytest.raises(DomainError, match="not_authenticated"):
        read_token(token)


def _part(data: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "abc",
        "a.b.c",
        "é.é.é",
        "\ud800",
        f"{_part({'alg': 'none', 'typ': 'at+jwt'})}.{_part(PAYLOAD)}.",
        f"{_part({'alg': 'None', 'typ': 'at+jwt'})}.{_part(PAYLOAD)}.",
        jwt.encode(PAYLOAD, "another key, which is just as long", algorithm="HS256", headers=HEADER),
        jwt.encode(PAYLOAD, KEY * 2, algorithm="HS512", headers=HEADER),
        "x" * 43,  # a password reset token
    ],
)
def test_token_with_another_signature_is_refused(token: str) -> None:
    with pytest.raises(DomainError, match="not_authenticated"):
        read_token(token)


def test_key_is_checked_once_and_not_with_every_token() -> None:
    key = "abcdef0123456789abcdef0123456789"
    before = _Hmac.prepare_key.cache_info()
    token = issue_access_token(CLAIMS, key=key, now=NOW, lifetime=LIFETIME)
    for _ in range(3):
        assert read_access_token(token, key=key, now=NOW, lifetime=LIFETIME) == CLAIMS
    after = _Hmac.prepare_key.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 3)


def test_random_tokens_have_256_bits_and_are_hashed() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}  # 256 bits in base 64
    assert {len(hash_token(token)) for token in tokens} == {64}


@pytest.mark.parametrize(
    ("password", "weak"),
    [
        ("password1", True),
        ("PassWord1", True),
        ("ann@example.com", True),
        ("ANN@example.com", True),
        ("Ann  Marie Lee", True),
        ("annmarie", False),
        ("Doctor2026!", True),
        ("welcome-to-no-clinic", False),
        ("Welcome, Patients!", True),
        ("12-health_clinics-34", True),
        ("AdminPassword", True),
        ("doctor who runs", False),
        ("doctor" * 21 + "x", False),
        ("8316-2209-4471", False),
        ("aardvark in a hat", False),
        ("zzz top of the zoo", False),
        ("correct horse battery", False),
    ],
)
def test_weak_passwords_are_found(password: str, weak: bool) -> None:
    assert (find_weakness(password, email="ann@example.com", name="Ann Marie Lee") is not None) == weak


def test_local_part_of_the_address_is_a_weak_password() -> None:
    assert find_weakness("annmarie", email="annmarie@example.com", name="X")


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(Settings(_env_file=None, password_workers=2, password_queue=3))
    yield passwords
    passwords.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives threads a priority of their own")
async def test_hashing_threads_have_a_lower_priority(passwords: Passwords) -> None:
    await passwords.hash("correct horse")
    [thread] = [thread for thread in threading.enumerate() if thread.name.startswith("passwords") and thread.native_id]
    assert thread.native_id
    assert os.getpriority(os.PRIO_PROCESS, thread.native_id) > os.getpriority(os.PRIO_PROCESS, 0)


def test_process_of_the_lowest_priority_can_hash() -> None:
    program = """
import asyncio, os
from app.core.security import Passwords
from app.core.settings import Settings
os.nice(19)
passwords = Passwords(Settings(_env_file=None, password_memory_kib=8, password_passes=1))
print(asyncio.run(passwords.hash("correct horse")))
passwords.close()
"""
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert completed.stdout.startswith("$argon2id$")


async def test_password_matches_only_its_own_hash(passwords: Passwords) -> None:
    encoded = await passwords.hash("correct horse")
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.matches("correct horse", encoded)
    assert not await passwords.matches("correct horsf", encoded)
    assert not await passwords.matches("correct horse", None)


@pytest.mark.parametrize(
    ("encoded", "outdated"),
    [
        ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", False),
        ("$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$aGFzaA", False),
        ("$argon2id$v=19$m=19455,t=2,p=1$c2FsdA$aGFzaA", True),
        ("$argon2id$v=19$m=19456,t=1,p=1$c2FsdA$aGFzaA", True),
        ("$argon2i$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", True),
        ("$argon2id$v=16$m=19456,t=2,p=1$c2FsdA$aGFzaA", True),
    ],
)
async def test_cheaper_hash_is_outdated(passwords: Passwords, encoded: str, outdated: bool) -> None:
    assert passwords.is_outdated(encoded) == outdated
    assert not passwords.is_outdated(await passwords.hash("correct horse"))


async def test_password_matches_in_another_unicode_form(passwords: Passwords) -> None:
    assert await passwords.matches("cafe\u0301 crème", await passwords.hash("caf\u00e9 crème"))


async def test_every_byte_of_a_long_password_counts(passwords: Passwords) -> None:
    encoded = await passwords.hash("x" * 73)
    assert not await passwords.matches("x" * 72 + "y", encoded)


async def test_full_hashing_queue_is_busy_and_recovers(passwords: Passwords) -> None:
    for _ in range(2):
        outcomes = await asyncio.gather(*(passwords.hash("correct horse") for _ in range(10)), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, DomainError)]
        assert [error.code for error in refused] == ["busy"] * 5  # two are running and three are waiting


async def test_closing_finishes_running_hashes_and_cancels_waiting_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(Settings(_env_file=None, password_workers=1))
    started, finish = Event(), Event()

    def hash_slowly(_password: str) -> str:
        started.set()
        finish.wait()
        return "a hash"

    monkeypatch.setattr(passwords._hasher, "hash", hash_slowly)
    async with asyncio.timeout(60):
        running, *waiting = [asyncio.ensure_future(passwords.hash("correct horse")) for _ in range(10)]
        await asyncio.to_thread(started.wait)
        closing = asyncio.create_task(asyncio.to_thread(passwords.close))
        await asyncio.wait(waiting)
        finish.set()
        await closing
        assert await running == "a hash"
    assert all(each.cancelled() for each in waiting)


def test_derived_keys_and_hashes_stay_the_same() -> None:
    key = derive_key("a secret", "a purpose")
    assert key.hex() == "c5f4a9eac47ddcf222a6267bdf01016862a4970fbdfadd3c9eded4eb1141fa0b"
    assert keyed_hash(key, "a text") == "eaedbac6fc8ced8f87f8689344acc8de4bf26c9c59d31fc2937041e5c9e73952"
    assert hash_token("a token") == "e3316e2bafebb6103a3418e8778c0adc960d40213a03a7e7f4fcd3426ed807bf"
