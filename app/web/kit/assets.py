"""The files that pages need: read at the start, and named after what is in them, so that a browser may keep them.

They are sent compressed. Pages are not: from their lengths one could guess what is secret in them (BREACH).
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
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".css":  # without what is for its readers: comments, and blanks that mean nothing
        content = re.sub(rb"/\*.*?\*/", b"", content, flags=re.DOTALL)
        content = re.sub(rb"\s*([{};,])\s*|(?<=:) ", rb"\1", content)
    return content


def _named(path: Path) -> str:
    return f"{path.stem}.{sha256(_read(path)).hexdigest()[:12]}{path.suffix}"


ASSETS = {path.name: f"/static/{_named(path)}" for path in FOLDER.iterdir()}
"""Where each file is found."""
_CONTENTS = {_named(path): (_read(path), _TYPES[path.suffix]) for path in FOLDER.iterdir()}
_COMPRESSED = {name: gzip.compress(content, mtime=0) for name, (content, _) in _CONTENTS.items()}

router = APIRouter(include_in_schema=False)


@router.get("/static/{name}")
async def get_asset(name: str, _: Public, accept_encoding: Annotated[str, Header()] = "") -> Response:
    """One of the files."""
    if name not in _CONTENTS:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    content, media_type = _CONTENTS[name]
    if "gzip" in accept_encoding:
        return Response(_COMPRESSED[name], media_type=media_type, headers=_FOR_EVER | {"Content-Encoding": "gzip"})
    return Response(content, media_type=media_type, headers=_FOR_EVER)
