import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from app.core.one_time_codes import (
    decrypt,
    encrypt,
    find_step,
    new_recovery_codes,
    new_totp_secret,
    normalize_recovery_code,
    provisioning_uri,
)

KEY = "0123456789abcdef0123456789abcdef"
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # from RFC 6238, appendix B
NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
PRESENT = int(NOW.timestamp()) // 30


def test_one_time_codes_of_rfc_6238() -> None:
    assert find_step(SECRET, "287082", datetime.fromtimestamp(59, UTC)) == 1
    assert find_step(SECRET, "081804", datetime.fromtimestamp(1111111109, UTC)) == 37037036


@pytest.mark.parametrize("steps", range(-3, 4))
def test_one_time_code_is_accepted_one_step_early_or_late(steps: int) -> None:
    code = pyotp.TOTP(SECRET).at(NOW + timedelta(seconds=30 * steps))
    assert find_step(SECRET, code, NOW) == (PRESENT + steps if abs(steps) <= 1 else None)


def test_code_of_two_steps_counts_for_the_present_step() -> None:
    now = datetime.fromtimestamp(59061241 * 30, UTC)
    assert pyotp.TOTP(SECRET).at(now) == pyotp.TOTP(SECRET).at(now - timedelta(seconds=30)) == "963181"
    assert find_step(SECRET, "963181", now) == 59061241


@pytest.mark.parametrize("code", ["", "abc", "000000", "28708", "２８７０８２", "é"])
def test_invalid_one_time_code_has_no_step(code: str) -> None:
    assert find_step(SECRET, code, datetime.fromtimestamp(59, UTC)) is None


def test_totp_secrets_have_160_bits_and_differ() -> None:
    secrets = {new_totp_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(re.fullmatch("[A-Z2-7]{32}", secret) for secret in secrets)


def test_provisioning_uri_names_the_account() -> None:
    uri = urlsplit(provisioning_uri(SECRET, "ann@example.com"))
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/Doctor%20Appointments:ann%40example.com")
    assert parse_qs(uri.query) == {"secret": [SECRET], "issuer": ["Doctor Appointments"]}


def test_recovery_code_has_24_letters_in_groups_of_four() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    for code in codes:
        assert re.fullmatch(r"([A-HJ-NP-Z2-9]{4}-){5}[A-HJ-NP-Z2-9]{4}", code)
    used = {letter for _ in range(20) for code in new_recovery_codes() for letter in code if letter != "-"}
    assert len(used) == 32, "a letter must have five bits, and the code 120"


def test_recovery_code_is_normalized() -> None:
    [code, *_] = new_recovery_codes()
    plain = code.replace("-", "")
    for typed in (code, plain, code.lower(), code.replace("-", " - "), f" {code} "):
        assert normalize_recovery_code(typed) == plain


@pytest.mark.parametrize("typed", ["", "492039", "K7QM-2ZPD-X4HA-9RTC", "K7QM-2ZPD-X4HA-9RTC-M5WB-8NE0", "A" * 25])
def test_invalid_recovery_code_is_none(typed: str) -> None:
    assert normalize_recovery_code(typed) is None


def test_every_letter_of_a_recovery_code_is_accepted() -> None:
    assert normalize_recovery_code("ABCDEFGHJKLMNPQRSTUVWXYZ")
    assert normalize_recovery_code("23456789" * 3)


def test_encrypted_secret_is_decrypted_only_with_its_key() -> None:
    encrypted = encrypt(SECRET, KEY)
    assert SECRET not in encrypted
    assert decrypt(encrypted, KEY) == SECRET
    assert decrypt(encrypted, KEY[::-1]) is None
    assert decrypt(encrypted[:-8] + "AAAAAAA=", KEY) is None
