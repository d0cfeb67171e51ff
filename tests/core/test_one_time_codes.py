import re

import pytest

from app.core.one_time_codes import new_recovery_codes, normalize_recovery_code


def test_a_recovery_code_is_24_letters_in_groups_of_four() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    for code in codes:
        assert re.fullmatch(r"([A-HJ-NP-Z2-9]{4}-){5}[A-HJ-NP-Z2-9]{4}", code)
    used = {letter for _ in range(20) for code in new_recovery_codes() for letter in code if letter != "-"}
    assert len(used) == 32, "five bits a letter, and 120 in all"


def test_how_a_recovery_code_is_typed_does_not_matter() -> None:
    [code, *_] = new_recovery_codes()
    plain = code.replace("-", "")
    for typed in (code, plain, code.lower(), code.replace("-", " - "), f" {code} "):
        assert normalize_recovery_code(typed) == plain


@pytest.mark.parametrize("typed", ["", "492039", "K7QM-2ZPD-X4HA-9RTC", "K7QM-2ZPD-X4HA-9RTC-M5WB-8NE0", "A" * 25])
def test_what_is_no_recovery_code(typed: str) -> None:
    assert normalize_recovery_code(typed) is None
