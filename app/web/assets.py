"""The files that pages need: read at the start, and named after what is in them, so that a browser may keep them."""

import re
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response

from app.core.dependencies import Public

FOLDER = Path(__file__).parent / "static"

_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


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

router = APIRouter(include_in_schema=False)


@router.get("/static/{name}")
async def get_asset(name: str, _: Public) -> Response:
    """One of the files."""
    if name not in _CONTENTS:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    content, media_type = _CONTENTS[name]
    return Response(content, media_type=media_type, headers=_FOR_EVER)
