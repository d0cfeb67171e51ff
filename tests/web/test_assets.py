"""Static files."""

import httpx2

from app.web.kit.assets import ASSETS, FOLDER


async def test_they_are_the_same_compressed_or_not(client: httpx2.AsyncClient) -> None:
    for name, where in ASSETS.items():
        plain, compressed = [
            await client.get(where, headers={"Accept-Encoding": encoding}) for encoding in ("identity", "gzip, br")
        ]
        assert plain.content == compressed.content, name
        assert "Content-Encoding" not in plain.headers
        assert compressed.headers["Content-Encoding"] == "gzip"
        assert int(compressed.headers["Content-Length"]) < int(plain.headers["Content-Length"])
        for answer in (plain, compressed):
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert "immutable" in answer.headers["Cache-Control"]
    assert len(ASSETS) == len(list(FOLDER.iterdir()))


async def test_what_is_not_there(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/static/style.css")).status_code == 404
