"""Reads lists that are longer than a page."""

import re

import httpx2

from tests.web.table import MAX_BYTES, weigh


async def collect_rows(client: httpx2.AsyncClient, path: str, row: str) -> list[str]:
    """Return the matches of ``row`` on all pages of a list, in order."""
    found: list[str] = []
    pages = 0
    more: str | None = path
    while more:
        response = await client.get(more)
        assert response.status_code == 200, more
        assert await weigh(client, response) < MAX_BYTES, more
        found += re.findall(row, response.text)
        link = re.search(
            r'<p class="more"><a class="button quiet" href="([^"]+[?;](?:after|cursor)=[^"]+)"', response.text
        )
        more = link[1].replace("&amp;", "&") if link else None
        pages += 1
    assert pages > 1
    return found
