import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.text import canonical_email, find_unsafe_character, search_key


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
def test_addresses_that_look_the_same_are_the_same(twin: str) -> None:
    assert canonical_email(twin) == "ann@example.com"


@pytest.mark.parametrize(
    ("twin", "latin"),
    [("Вob", "bob"), ("Нenry", "henry"), ("Мike", "mike"), ("Тom", "tom"), ("paypaӏ", "paypal"), ("Іvan", "ivan")],
)
def test_capitals_and_strokes_that_look_latin_are_latin(twin: str, latin: str) -> None:
    assert canonical_email(f"{twin}@example.com") == f"{latin}@example.com"


@given(st.text(max_size=20))
def test_the_canonical_form_of_a_canonical_form_is_itself(text: str) -> None:
    once = canonical_email(text)
    assert canonical_email(once) == once


@pytest.mark.parametrize("other", ["ann1@example.com", "annl@example.com", "änn@example.com", "ann@example.org"])
def test_addresses_of_different_people_stay_different(other: str) -> None:
    assert canonical_email(other) != "ann@example.com"


def test_similar_ascii_is_never_confused() -> None:
    names = ["ann1", "annl", "anni", "ann0", "anno", "rn", "m", "vv", "w"]
    assert len({canonical_email(f"{name}@example.com") for name in names}) == len(names)


@pytest.mark.parametrize("text", ["JOSÉ  ÅNGSTRÖM", "josé ångström", "Jose\u0301 Angstrom"])
def test_names_are_searched_without_case_and_accents(text: str) -> None:
    assert search_key(text) == "jose angstrom"


def test_a_search_key_fits_its_column() -> None:
    assert len(search_key("\ufdfa" * 100)) == 200


@pytest.mark.parametrize(
    ("text", "multiline", "found"),
    [
        ("Ann Lee", False, None),
        ("李安", False, None),
        ("می‌خواهم", False, None),  # the zero-width joiner is part of how Persian is written
        ("a\x00b", False, "a control character"),
        ("a\nb", False, "a control character"),
        ("a\nb\tc", True, None),
        ("a\u2028b", True, "a control character"),
        ("a\x1bb", True, "a control character"),
        ("a\u202eb", False, "a bidirectional control character"),
        ("a\ud800b", False, "a lone surrogate"),
    ],
)
def test_characters_that_have_no_place_in_text(text: str, multiline: bool, found: str | None) -> None:
    assert find_unsafe_character(text, multiline=multiline) == found
