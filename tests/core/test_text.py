from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.text import (
    DIRECTION_MARKS,
    LINE_BREAKS,
    canonical_email,
    find_unsafe_character,
    isolate,
    look_alike_key,
    mask_email,
    normalize_newlines,
    search_key,
    search_words,
)


@pytest.mark.parametrize(
    "twin",
    [
        "ANN@Example.COM",
        "аnn@example.com",
        "ａｎｎ@example.com",
        "𝐚nn@example.com",
        "ann@exаmple.com",
        "ann@example.com.",
        " ann@example.com ",
        "ΑNN@example.com",  # a Greek capital alpha
        "aΝn@example.com",  # a Greek capital nu, whose small letter looks like a v
    ],
)
def test_addresses_that_look_the_same_have_one_canonical_form(twin: str) -> None:
    assert canonical_email(twin) == "ann@example.com"


@pytest.mark.parametrize(
    ("twin", "latin"),
    [("Вob", "bob"), ("Нenry", "henry"), ("Мike", "mike"), ("Тom", "tom"), ("paypaӏ", "paypal"), ("Іvan", "ivan")],
)
def test_capitals_that_look_latin_become_latin(twin: str, latin: str) -> None:
    assert canonical_email(f"{twin}@example.com") == f"{latin}@example.com"


@given(st.text(max_size=20))
def test_canonical_email_is_idempotent(text: str) -> None:
    once = canonical_email(text)
    assert canonical_email(once) == once


@pytest.mark.parametrize("other", ["ann1@example.com", "annl@example.com", "änn@example.com", "ann@example.org"])
def test_different_addresses_stay_different(other: str) -> None:
    assert canonical_email(other) != "ann@example.com"


def test_similar_ascii_letters_stay_different() -> None:
    names = ["ann1", "annl", "anni", "ann0", "anno", "rn", "m", "vv", "w"]
    assert len({canonical_email(f"{name}@example.com") for name in names}) == len(names)


@pytest.mark.parametrize("text", ["JOSÉ  ÅNGSTRÖM", "josé ångström", "Jose\u0301 Angstrom"])
def test_search_key_ignores_case_and_accents(text: str) -> None:
    assert search_key(text) == "jose angstrom"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("O'Brien", "obrien"),
        ("O\u2019Brien", "obrien"),
        ("O\u02bcBrien", "obrien"),
        ("O\u00b4Brien", "obrien"),
        ("O\uff07Brien", "obrien"),
        ("\u0141ukasz", "lukasz"),
        ("S\u00f8ren \u0110okovi\u0107", "soren dokovic"),
        ("\u01feyvind", "oyvind"),
        ("Stra\u00dfe", "strasse"),
        ("STRASSE", "strasse"),
        ("\u00c6sir \u00deorsson", "aesir thorsson"),
        ("I\u015f\u0131k \u0130pek", "isik ipek"),
        ("Anne-Marie", "anne marie"),
        ("Anne\u2010Marie", "anne marie"),
        ("Anne\u2011Marie", "anne marie"),
        ("Anne \u2013 Marie", "anne marie"),
        ("Okafor, Amara", "okafor amara"),
        ("Dr. Amara", "dr amara"),
        ("Gal\u00b7la", "galla"),
        ("Ma\u00adrie\u200b\ufeff", "marie"),
        ("\u200fLayla\ufe0f", "layla"),
        ("\u674e\u5b89", "\u674e\u5b89"),
        ("\u0401\u043b\u043a\u0438\u043d", "\u0435\u043b\u043a\u0438\u043d"),
        ("\u2019", ""),
    ],
)
def test_search_key_of_names(text: str, key: str) -> None:
    assert search_key(text) == key


@given(st.text(max_size=20))
def test_search_key_is_idempotent(text: str) -> None:
    key = search_key(text)
    assert search_key(key) == key
    assert set(search_words(text)) == set(key.split())


def test_search_key_fits_its_column() -> None:
    assert len(search_key("\ufdfa" * 100)) == 200


@pytest.mark.parametrize(
    ("text", "allowed", "found"),
    [
        ("Ann Lee", "", None),
        ("李安", "", None),
        ("می‌خواهم", "", None),  # Persian is written with zero-width joiners
        ("a\x00b", "", "a control character"),
        ("a\nb", "", "a control character"),
        ("a\nb\tc", LINE_BREAKS, None),
        ("a\u2028b", LINE_BREAKS, "a control character"),
        ("a\x1bb", LINE_BREAKS, "a control character"),
        ("a\u200eb", "", "a bidirectional control character"),
        ("a\u200eb\u200f\u061c", DIRECTION_MARKS, None),
        ("a\u202eb", DIRECTION_MARKS, "a bidirectional control character"),
        ("a\u2067b\u2069", DIRECTION_MARKS, "a bidirectional control character"),
        ("a\ud800b", "", "a lone surrogate"),
    ],
)
def test_unsafe_characters_are_found(text: str, allowed: Iterable[str], found: str | None) -> None:
    assert find_unsafe_character(text, allowed=frozenset(allowed)) == found


def test_newlines_of_all_systems_become_line_feeds() -> None:
    assert normalize_newlines("a\r\nb\rc\n\rd\x85e\u2028f\u2029g\v") == "a\nb\nc\n\nd\ne\nf\ng\v"


@pytest.mark.parametrize("name", ["דנה לוי", "سارة", "Dr سارة"])
def test_right_to_left_name_is_isolated(name: str) -> None:
    assert isolate(name) == f"\u2068{name}\u2069"


@pytest.mark.parametrize("name", ["Ann Lee", "李安", "Łukasz O’Brien 3"])
def test_left_to_right_name_is_unchanged(name: str) -> None:
    assert isolate(name) == name


@pytest.mark.parametrize(
    "twin",
    [
        "check-up ANNA",
        "  Check-up   Anna ",
        "Check-up\N{NO-BREAK SPACE}Anna",
        "Check-up \N{CYRILLIC CAPITAL LETTER A}nna",
        "\N{FULLWIDTH LATIN CAPITAL LETTER C}heck-up Anna",
        "Check\N{SOFT HYPHEN}-up An\N{ZERO WIDTH SPACE}na",
    ],
)
def test_names_that_look_the_same_have_one_key(twin: str) -> None:
    assert look_alike_key(twin) == look_alike_key("Check-up Anna")


def test_different_names_have_different_keys() -> None:
    names = (
        "Check-up",
        "Check up",
        "Checkup",
        "Check-up 1",
        "Check-up l",
        "Ch\N{LATIN SMALL LETTER E WITH ACUTE}ck-up",
    )
    assert len({look_alike_key(name) for name in names}) == len(names)
    assert len(look_alike_key("\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 100)) == 200


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("ann.lee@example.com", "a…@e….com"),
        ("a@b.example", "a…@b….example"),
        ("ann@mail.example.co.uk", "a…@m….uk"),
    ],
)
def test_masked_address_shows_two_letters_and_the_top_level_domain(address: str, masked: str) -> None:
    assert mask_email(address) == masked
