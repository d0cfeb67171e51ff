"""The OpenAPI document of the application, and the examples in it.

It is read from the snapshot, because generating it takes a second in each worker.
``tests/architecture/test_openapi.py`` compares the snapshot with the application.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI

type Schema = Mapping[str, Any]

METHODS = {"get", "put", "post", "patch", "delete", "head", "options", "trace"}
SNAPSHOT = Path(__file__).parent / "architecture/openapi.json"


@cache
def read_document() -> Schema:
    document: Schema = json.loads(SNAPSHOT.read_text())
    return document


def resolve(schema: Schema) -> Schema:
    """Return the schema that a ``$ref`` names, or the schema itself."""
    while "$ref" in schema:
        schema = read_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def find_body(operation: Schema) -> Schema | None:
    """Return the schema of the operation's JSON body, if it takes one."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return resolve(content["schema"]) if content else None


def make_example(body: Schema) -> dict[str, Any]:
    """Return the example of a body. Fields that it lacks have the examples of their own, if there are any."""
    example = {name: value for name, value in body.get("examples", [{}])[0].items() if name in body["properties"]}
    for name, described in body["properties"].items():
        example.setdefault(name, described.get("examples", [None])[0])
    return {name: value for name, value in example.items() if value is not None}


def list_documented_operations(app: FastAPI) -> set[str]:
    """Return the operations of the document as the application generates it."""
    return {
        f"{method.upper()} {path}"
        for path, item in app.openapi()["paths"].items()
        for method in item
        if method in METHODS
    }
