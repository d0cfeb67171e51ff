"""A configuration for Schemathesis: the statuses with which a request that satisfies its schema may be answered."""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.openapi import Schema, read_document, resolve

# What the schema cannot say: who the caller is, what exists, and what has changed since it was read.
OF_THE_STATE = {"401", "403", "404", "409", "412"}
EXACT_FORMATS = {"uuid", "email"}
"""A time or a cursor can be refused although it has the form of one."""


def write_config(path: Path) -> None:
    """Write which statuses each operation may answer with."""
    with path.open("w") as file:
        for item in read_document()["paths"].values():
            for operation in item.values():
                expected = json.dumps(["2xx", *sorted(list_statuses(operation))])
                file.write(f"[[operations]]\ninclude-operation-id = {json.dumps(operation['operationId'])}\n")
                file.write(f"checks.positive_data_acceptance.expected-statuses = {expected}\n\n")


def list_statuses(operation: Schema) -> set[str]:
    """Return the documented statuses other than success."""
    responses = operation["responses"]
    statuses = {status for status in responses if status in OF_THE_STATE}
    schemas = [parameter["schema"] for parameter in operation.get("parameters", [])]
    schemas += [content["schema"] for content in operation.get("requestBody", {}).get("content", {}).values()]
    is_refused = any(is_open(each) for schema in schemas for each in walk(schema))
    if is_refused or list_codes(responses, "422") - {"invalid_request"}:
        statuses.add("422")
    # There are no rate limits here, so only a limit of attempts can be reached.
    if list_codes(responses, "429") - {"too_many_requests"}:
        statuses.add("429")
    return statuses


def list_codes(responses: Schema, status: str) -> set[str]:
    """Return the error codes that the document names for this status."""
    content = responses.get(status, {}).get("content", {}).get("application/problem+json", {})
    return set(content.get("examples", {}))


def is_open(schema: Schema) -> bool:
    """Return whether there are strings that satisfy the schema and are refused: blanks, an end before the start."""
    if schema.get("type") != "string" or {"enum", "const", "pattern"} & schema.keys():
        return False
    return schema.get("format") not in EXACT_FORMATS


def walk(schema: Schema) -> Iterator[Schema]:
    """Yield the schema and all schemas in it."""
    schema = resolve(schema)
    yield schema
    parts = [*schema.get("properties", {}).values()]
    parts += [part for key in ("anyOf", "allOf", "oneOf", "prefixItems") for part in schema.get(key, [])]
    parts += [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    for part in parts:
        yield from walk(part)
