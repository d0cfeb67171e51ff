"""Codes of second factors: TOTP codes of an authenticator app (RFC 6238), and recovery codes."""

import base64
import secrets
import unicodedata
from datetime import datetime
from hmac import compare_digest

import pyotp
from cryptography.fernet import Fernet, InvalidToken

from app.core.security import derive_key

RECOVERY_CODES = 10
MAX_STEPS_APART = 1
"""The maximum difference between the clocks of an authenticator app and the server, in time steps of 30 seconds."""
_ISSUER = "Doctor Appointments"
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without 0, 1, I and O, which look alike
_LENGTH, _GROUP = 24, 4  # 120 bits: enough to be stored as a plain hash (NIST SP 800-63B-4 section 3.1.2)


def new_totp_secret() -> str:
    """Return a TOTP secret: 160 random bits in base 32."""
    return pyotp.random_base32(32)


def provisioning_uri(secret: str, email: str) -> str:
    """Return the ``otpauth`` URI that an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=_ISSUER)


def find_step(secret: str, code: str, now: datetime) -> int | None:
    """Return the time step that the code belongs to, or ``None`` if the code is wrong.

    The current, the previous and the next step are accepted (RFC 6238 section 5.2).
    """
    if not code.isascii():  # compare_digest raises an error for other characters
        return None
    totp = pyotp.TOTP(secret)
    present = totp.timecode(now)
    steps = [
        step
        for step in (present, present - MAX_STEPS_APART, present + MAX_STEPS_APART)
        if compare_digest(totp.generate_otp(step), code)
    ]
    return steps[0] if steps else None


def new_recovery_codes() -> list[str]:
    """Return new recovery codes. Store only ``hash_token(normalize_recovery_code(code))`` of each."""
    return [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_LENGTH // _GROUP))
        for _ in range(RECOVERY_CODES)
    ]


def normalize_recovery_code(typed: str) -> str | None:
    """Return the code in capitals, without spaces and dashes, or ``None`` if it cannot be a recovery code."""
    code = "".join(
        character for character in typed.upper() if not character.isspace() and unicodedata.category(character) != "Pd"
    )
    return code if len(code) == _LENGTH and set(code) <= set(_ALPHABET) else None


def encrypt(secret: str, key: str) -> str:
    """Encrypt a TOTP secret for the database: Fernet, with a key derived from ``key``, which is ``SECRET_KEY``."""
    return _cipher(key).encrypt(secret.encode()).decode()


def decrypt(encrypted: str, key: str) -> str | None:
    """Return the TOTP secret, or ``None`` if it was encrypted under another ``SECRET_KEY``."""
    try:
        return _cipher(key).decrypt(encrypted.encode()).decode()
    except InvalidToken:
        return None


def _cipher(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derive_key(key, "second factors")))
