"""The fields that the API takes, by kind, from its OpenAPI document."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.access.table import TABLE
from tests.openapi import Schema, find_body, make_example, read_document, resolve

_IDS = {"change_id": "019abcde-f012-7890-8abc-def012345678", "user_id": "{other_patient}"}
"""What stands for an id in a path, unless it is ``{hold}`` for ``{hold_id}``."""


@dataclass(frozen=True)
class Place:
    """A field of one route, and a request that is all right but for ``{each}`` in it."""

    actor: str
    send: str
    place: str
    """``json`` or ``query``."""
    name: str
    content: dict[str, Any]
    kind: str


def fields_of(kind: str) -> list[Place]:
    """The fields that take a ``string``, an ``integer``, an ``instant`` or an ``id``; perhaps only those in bodies."""
    kind, _, in_body = kind.partition(" ")
    places = [each for each in _places() if not in_body or each.place == "json"]
    found = [each for each in places if kind == each.kind or (kind == "string" and each.kind != "integer")]
    assert found, kind
    return found


@cache
def _places() -> tuple[Place, ...]:
    return tuple(
        place
        for path, operations in read_document()["paths"].items()
        for method, operation in operations.items()
        for place in _of(path, method.upper(), operation)
    )


def _of(path: str, method: str, operation: Schema) -> Iterator[Place]:
    row = TABLE[f"{method} {path}"]
    actors = {
        "patient": "patient",
        "doctor": "other_doctor" if "{visit_type_id}" in path else "doctor",  # whose visit type it is
        "administrator": "admin",
    }
    actor = "nobody" if row.pattern in {"public", "viewer"} else actors[row.owner]
    send = re.sub(r"\{((\w+)_id)\}", lambda name: _IDS.get(name[1], f"{{{name[2]}}}"), f"{method} {path}")
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            for kind in _kinds(parameter["schema"]):
                yield Place(actor, send, "query", parameter["name"], {parameter["name"]: "{each}"}, kind)
    if body := find_body(operation):
        example = make_example(body)
        for name, described in body["properties"].items():
            for kind in _kinds(described):
                yield Place(actor, send, "json", name, {**example, name: "{each}"}, kind)


def _kinds(schema: Schema) -> set[str]:
    schema = resolve(schema)
    kinds = {kind for choice in schema.get("anyOf", []) for kind in _kinds(choice)}
    match schema.get("type"), schema.get("format"):
        case "string", "date-time":
            kinds.add("instant")
        case "string", "uuid":
            kinds.add("id")
        case "string", _:
            kinds.add("string")
        case "integer", _:
            kinds.add("integer")
    return kinds
