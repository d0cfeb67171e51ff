"""Time-zone files like those of an operating system, with rules that differ from those of the pinned package."""

from pathlib import Path
from struct import pack


def write_zone(folder: Path, name: str, rule: str) -> None:
    """Write a zone that always follows one rule, such as ``PST8PDT,M3.2.0,M11.1.0`` (RFC 9636 section 3.3.2)."""
    head = pack(">4s c 15x 6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4)
    only_type = pack(">lbb 4s", 0, 0, 0, b"LMT\0")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((head + only_type) * 2 + f"\n{rule}\n".encode())
