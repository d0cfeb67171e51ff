"""The fields of all requests of the API by type, read from the OpenAPI document."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.access.table import TABLE
from tests.openapi import Schema, find_body, make_example, read_document, resolve

_IDS = {"change_id": "019abcde-f012-7890-8abc-def012345678", "user_id": "{other_patient}"}
"""The values of path parameters whose placeholder is not the name without ``_id``, as ``{hold}`` for ``{hold_id}``."""


@dataclass(frozen=True)
class RouteField:
    """A field of a route, and a valid request in which the field has the placeholder ``{each}``."""

    actor: str
    send: str
    location: str
    """``json`` or ``query``."""
    name: str
    content: dict[str, Any]
    kind: str


def fields_of(kind: str) -> list[RouteField]:
    """Return the fields of a type: ``string`` (which includes the next two), ``instant``, ``id`` or ``integer``.

    With a suffix, as in ``string in a body``, return only fields of bodies.
    """
    kind, _, in_body = kind.partition(" ")
    fields = [each for each in _list_fields() if not in_body or each.location == "json"]
    matching = [each for each in fields if kind == each.kind or (kind == "string" and each.kind != "integer")]
    assert matching, kind
    return matching


@cache
def _list_fields() -> tuple[RouteField, ...]:
    return tuple(
        field
        for path, operations in read_document()["paths"].items()
        for method, operation in operations.items()
        for field in _fields_of_operation(path, method.upper(), operation)
    )


def _fields_of_operation(path: str, method: str, operation: Schema) -> Iterator[RouteField]:
    row = TABLE[f"{method} {path}"]
    actors = {
        "patient": "patient",
        "doctor": "other_doctor" if "{visit_type_id}" in path else "doctor",  # the owner of the visit type
        "administrator": "admin",
    }
    actor = "nobody" if row.pattern in {"public", "viewer"} else actors[row.owner]
    send = re.sub(r"\{((\w+)_id)\}", lambda name: _IDS.get(name[1], f"{{{name[2]}}}"), f"{method} {path}")
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            for kind in _kinds(parameter["schema"]):
                yield RouteField(actor, send, "query", parameter["name"], {parameter["name"]: "{each}"}, kind)
    if body := find_body(operation):
        example = make_example(body)
        for name, field_schema in body["properties"].items():
            for kind in _kinds(field_schema):
                yield RouteField(actor, send, "json", name, {**example, name: "{each}"}, kind)


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
