"""The fields that the API takes, by kind, from its OpenAPI document."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[1] / "architecture" / "openapi.json"
_IDS = {
    "appointment_id": "{appointment}",
    "availability_id": "{availability}",
    "change_id": "019abcde-f012-7890-8abc-def012345678",
    "doctor_id": "{doctor}",
    "hold_id": "{hold}",
    "session_id": "{session}",
    "time_off_id": "{time_off}",
    "user_id": "{other_patient}",
    "visit_type_id": "{visit_type}",
}
# Whom the route lets in; the first that matches. Any other that asks for a token lets a patient in.
_ACTORS = (
    ("/admin", "admin"),
    ("/doctors/me/visit-types", "other_doctor"),
    ("/doctors/{", "nobody"),
    ("/doctors/", "doctor"),
    ("/appointments/{appointment_id}/arrive", "doctor"),
)


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
    document = json.loads(DOCUMENT.read_text())
    return tuple(
        place
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for place in _of(document, path, method.upper(), operation)
    )


def _of(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Iterator[Place]:
    send = f"{method} {path}"
    for name, value in _IDS.items():
        send = send.replace(f"{{{name}}}", value)
    actor = "nobody"
    if operation.get("security"):
        actor = next((actor for prefix, actor in _ACTORS if path.startswith(prefix)), "patient")
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            for kind in _kinds(document, parameter["schema"]):
                yield Place(actor, send, "query", parameter["name"], {parameter["name"]: "{each}"}, kind)
    content = operation.get("requestBody", {}).get("content", {})
    if schema := content.get("application/json", {}).get("schema"):
        schema = _resolved(document, schema)
        example = schema.get("examples", [{}])[0]
        example = {name: value for name, value in example.items() if name in schema["properties"]}
        for name, described in schema["properties"].items():
            example.setdefault(name, described.get("examples", [None])[0])
        example = {name: value for name, value in example.items() if value is not None}
        for name, described in schema["properties"].items():
            for kind in _kinds(document, described):
                yield Place(actor, send, "json", name, {**example, name: "{each}"}, kind)


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kinds(document: Mapping[str, Any], schema: Mapping[str, Any]) -> set[str]:
    schema = _resolved(document, schema)
    kinds = {kind for choice in schema.get("anyOf", []) for kind in _kinds(document, choice)}
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
