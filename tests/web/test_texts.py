"""The texts of the pages and their translations."""

import re
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from babel import Locale
from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from app.http.problems import PROBLEMS
from app.web.kit.audit_actions import list_actions
from app.web.kit.error_texts import MESSAGES
from app.web.kit.formatting import Formatter
from app.web.kit.languages import CATALOGUES, LANGUAGES, choose_locale
from app.web.kit.pages import TEMPLATES

TRANSLATED = sorted(LANGUAGES.keys() - {"en"})
ROOT = Path(__file__).parents[2]
PATTERNS = [("**.py", "python"), ("templates/**.html", "jinja2")]


def extract_texts() -> set[str | tuple[str, ...]]:
    keywords = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
    found = extract_from_dir(
        ROOT / "app/web", PATTERNS, {"**.html": {"trim_blocks": "true", "lstrip_blocks": "true"}}, keywords=keywords
    )
    return {message for _, _, message, _, _ in found}


def catalogue(language: str) -> Catalog:
    content = (CATALOGUES / language / "LC_MESSAGES" / "messages.po").read_bytes()
    return read_po(BytesIO(content), locale=language)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated(language: str) -> None:
    """After a change, run make messages, and translate the empty entries."""
    texts = {message.id: message for message in catalogue(language) if message.id}
    assert texts.keys() == extract_texts()
    for message in texts.values():
        translated = [message.string] if isinstance(message.string, str) else list(message.string or ())
        assert all(translated), message.id
        assert not message.fuzzy, message.id
        assert not message.check(), message.id


def test_email_does_not_break_at_a_hyphen() -> None:
    """English texts say "email"; German ones have a non-breaking hyphen (U+2011)."""
    texts = [each for text in extract_texts() for each in ([text] if isinstance(text, str) else text)]
    assert any("email" in text for text in texts)
    assert not [text for text in texts if re.search("e-mail", text, re.IGNORECASE)]
    german = [str(message.string) for message in catalogue("de")]
    assert any("E\u2011Mail-Adresse" in text for text in german)
    assert not [text for text in german if "E-Mail" in text]


def test_templates_contain_no_untranslated_text() -> None:
    found = []
    for template in TEMPLATES.rglob("*.html"):
        source = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", template.read_text(), flags=re.DOTALL)
        texts = re.findall(r'(?:aria-label|title|alt|placeholder)="[^"]*[^\W\d_]{2,}', source)
        shown = re.sub(r'<[^>]*>|\s[\w-]+="[^"]*"', " ", source)
        texts += re.findall(r"[^\W\d_]{2,}", shown.replace("UTC", ""))
        found += [f"{template.relative_to(TEMPLATES)}: {text}" for text in texts]
    assert not found


def test_every_problem_has_a_text() -> None:
    assert MESSAGES.keys() == PROBLEMS.keys()


@pytest.mark.parametrize(
    ("chosen", "accepted", "locale"),
    [
        (None, "", "en_GB"),
        (None, "fr, xx;q=0.9", "en_GB"),
        (None, "en-US,en;q=0.5", "en_US"),
        (None, "fr;q=0.9, de-AT;q=0.8, en;q=0.7", "de_AT"),
        (None, "en;q=0.1, es-mx", "es_MX"),
        ("de", "en-US", "de_DE"),
        ("de", "en-US, de-CH;q=0.2", "de_CH"),
        ("xx", "es", "es_ES"),
        (None, "es-419, en;q=0.5", "es_419"),
        (None, "de-Latn-AT-1996, en", "de_AT"),
        (None, "es-US-u-hc-h12", "es_US"),
        (None, "de-x-home, en;q=0.1", "de_DE"),
        (None, "de-Latnn-toolong9", "de_DE"),
        (None, "de;q=0, es;q=0.1", "es_ES"),
        (None, "spa, en-GB", "en_GB"),
        (None, "de-ZZ;;;, ,*;q=0, de-DE;q=banana, es-QQ", "es_ES"),
    ],
)
def test_locale_follows_the_chosen_language_and_the_browser(chosen: str | None, accepted: str, locale: str) -> None:
    assert choose_locale(chosen, accepted) == Locale.parse(locale)


def test_umlauts_are_sorted_with_their_letters() -> None:
    texts = list(list_actions(Formatter(Locale("de"), date(2026, 12, 1))).values())
    assert texts.index("\u00c4rztin oder Arzt eingeladen") < texts.index("Buchbarkeit einer Zeit gepr\u00fcft")
