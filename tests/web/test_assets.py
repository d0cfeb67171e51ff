"""Static files."""

import httpx2

from app.web.kit.assets import ASSETS, FOLDER


async def test_static_files_are_the_same_compressed_or_not(client: httpx2.AsyncClient) -> None:
    for name, path in ASSETS.items():
        plain, compressed = [
            await client.get(path, headers={"Accept-Encoding": encoding}) for encoding in ("identity", "gzip, br")
        ]
        assert plain.content == compressed.content, name
        assert "Content-Encoding" not in plain.headers
        assert compressed.headers["Content-Encoding"] == "gzip"
        assert int(compressed.headers["Content-Length"]) < int(plain.headers["Content-Length"])
        for response in (plain, compressed):
            assert response.headers["Vary"] == "Accept-Encoding"
            assert "immutable" in response.headers["Cache-Control"]
    assert len(ASSETS) == len(list(FOLDER.iterdir()))


async def test_unknown_static_file_is_not_found(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/static/style.css")).status_code == 404
