"""Second factors: codes of an authenticator app (TOTP, RFC 6238), and recovery codes."""

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
"""Time steps by which the clocks of an authenticator and the server may differ."""
_ISSUER = "Doctor Appointments"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that is read as another one
_LENGTH, _GROUP = 24, 4  # 120 bits: enough to be kept as a plain hash (NIST SP 800-63B-4 section 3.1.2)


def new_totp_secret() -> str:
    """160 random bits in base 32."""
    return pyotp.random_base32(32)


def provisioning_uri(secret: str, email: str) -> str:
    """What an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=_ISSUER)


def find_step(secret: str, code: str, now: datetime) -> int | None:
    """The time step of which this is the code: the present one, the last or the next (RFC 6238 section 5.2)."""
    if not code.isascii():
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
    """Codes to be written down, and kept by us as ``hash_token`` of ``normalize_recovery_code``."""
    return [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_LENGTH // _GROUP))
        for _ in range(RECOVERY_CODES)
    ]


def normalize_recovery_code(typed: str) -> str | None:
    """The code without what people add and leave out; ``None`` if it cannot be one."""
    code = "".join(each for each in typed.upper() if not each.isspace() and unicodedata.category(each) != "Pd")
    return code if len(code) == _LENGTH and set(code) <= set(_LETTERS) else None


def encrypt(secret: str, key: str) -> str:
    """For the database: authenticated encryption under a key of its own, derived from ``SECRET_KEY``."""
    return _cipher(key).encrypt(secret.encode()).decode()


def decrypt(encrypted: str, key: str) -> str | None:
    """The secret, or ``None`` if ``SECRET_KEY`` was another one when it was kept."""
    try:
        return _cipher(key).decrypt(encrypted.encode()).decode()
    except InvalidToken:
        return None


def _cipher(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derive_key(key, "second factors")))
