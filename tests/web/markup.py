"""Reads the HTML of pages."""

import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser

import httpx2


def read_text(response: httpx2.Response) -> str:
    """Return the visible text of the main part of a page, without line breaks."""
    main = response.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def read_hidden(html: str, name: str) -> str:
    """Return the first value of the hidden fields with this name."""
    found = re.search(rf'name="{name}" value="([^"]+)"', html)
    assert found, f"the page has no field {name}"
    return found[1]


class _Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.title = ""
        self.labelled: set[str | None] = set()
        self._in_label = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self._in_label |= tag == "label"
        if self._in_label:
            self.labelled.add(attributes.get("for", attributes.get("id")))

    def handle_endtag(self, tag: str) -> None:
        self._in_label &= tag != "label"

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "title" and not self.title:
            self.title = data.strip()

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name))]


def find_defects(response: httpx2.Response) -> Iterator[str]:
    """Return the faults in the HTML of a page."""
    elements = _Elements(response.text)
    names = [tag for tag, _ in elements.tags]
    if names.count("h1") != 1:
        yield f"{names.count('h1')} headings of the first order"
    if not elements.title.removesuffix("· Appointments").strip():
        yield "no title"
    if not elements.tags[0][1].get("lang"):
        yield "no language"
    yield from (f"repeated id: {name}" for name, count in Counter(elements.values("id")).items() if count > 1)
    for tag, attributes in elements.tags:
        is_field = tag in {"input", "select", "textarea"} and attributes.get("type") != "hidden"
        if is_field and attributes.get("id") not in elements.labelled and "aria-label" not in attributes:
            yield f"no label: {attributes}"
        yield from (f"{name} in <{tag}>" for name in attributes if name == "style" or name.startswith("on"))
    if "script" in names:
        yield "a script"
    addresses = [*elements.values("href"), *elements.values("src"), *elements.values("action")]
    yield from (f"address of another site: {each}" for each in addresses if not re.match(r"[/#?](?!/)", each))
    policy = response.headers["Content-Security-Policy"]
    if "default-src 'none'" not in policy or "script-src" in policy:
        yield f"policy: {policy}"
