"""Static files. They are read at start-up and named after a hash of their content, so that browsers may cache them.

They are sent compressed. Pages are not, because the length of a compressed page can reveal secrets in it (BREACH).
"""

import gzip
import re
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Response

from app.core.dependencies import Public

FOLDER = Path(__file__).parents[1] / "static"

_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
# A changed file has another name, so no copy is ever stale. `Vary` keeps a shared cache from sending a compressed copy
# to a client that does not accept it.
_IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".css":  # strip comments and insignificant whitespace
        content = re.sub(rb"/\*.*?\*/", b"", content, flags=re.DOTALL)
        content = re.sub(rb"\s*([{};,])\s*|(?<=:) ", rb"\1", content)
    return content


def _named(path: Path) -> str:
    return f"{path.stem}.{sha256(_read(path)).hexdigest()[:12]}{path.suffix}"


ASSETS = {path.name: f"/static/{_named(path)}" for path in FOLDER.iterdir()}
"""The path of each file, by its name in the folder."""
_CONTENTS = {_named(path): (_read(path), _TYPES[path.suffix]) for path in FOLDER.iterdir()}
_COMPRESSED = {name: gzip.compress(content, mtime=0) for name, (content, _) in _CONTENTS.items()}

router = APIRouter(include_in_schema=False)


@router.get("/static/{name}")
async def get_asset(name: str, _: Public, accept_encoding: Annotated[str, Header()] = "") -> Response:
    """Return a static file, compressed if the browser accepts gzip. 404 for an unknown name."""
    # A look-up in memory, not on disk, so no name can lead out of the folder.
    if name not in _CONTENTS:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    content, media_type = _CONTENTS[name]
    if "gzip" in accept_encoding:
        return Response(_COMPRESSED[name], media_type=media_type, headers=_IMMUTABLE | {"Content-Encoding": "gzip"})
    return Response(content, media_type=media_type, headers=_IMMUTABLE)
