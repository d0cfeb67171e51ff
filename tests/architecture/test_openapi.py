"""The OpenAPI document matches its snapshot, so that a review shows each change, and explains every operation."""

import json
import os

import pytest

from app.http.problems import PROBLEMS
from tests.openapi import SNAPSHOT, Schema, read_document
from tests.routing import assemble

DOCUMENT = read_document()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def test_document_matches_the_snapshot() -> None:
    """After an intended change: UPDATE_SNAPSHOT=1 pytest tests/architecture/test_openapi.py"""
    document = assemble().openapi()
    if os.environ.get("UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    assert json.loads(SNAPSHOT.read_text()) == document


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_is_explained(operation: Schema) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_has_examples(operation: Schema) -> None:
    contents = [operation["requestBody"]] if "requestBody" in operation else []
    contents += operation["responses"].values()
    for content in contents:
        for media_type in content.get("content", {}).values():
            assert "example" in media_type or "examples" in media_type or has_examples(media_type["schema"]), content


def has_examples(schema: Schema) -> bool:
    if "$ref" in schema:
        return has_examples(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if schema.get("type") == "array":
        return has_examples(schema["items"])
    if "examples" in schema or "const" in schema:
        return True
    required = [schema["properties"][name] for name in schema.get("required", ())]
    return bool(required) and all(has_examples(each) for each in required)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_error_is_a_problem_with_a_known_code(operation: Schema) -> None:
    for status, response in operation["responses"].items():
        if int(status) >= 400:
            assert list(response["content"]) == ["application/problem+json"]
            assert set(response["content"]["application/problem+json"]["examples"]) <= set(PROBLEMS)


@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS.values() if "security" in o], ids=lambda operation: operation["operationId"]
)
def test_protected_operation_documents_401(operation: Schema) -> None:
    assert "401" in operation["responses"]


def test_no_body_takes_unknown_fields() -> None:
    bodies = {
        content["schema"]["$ref"].rpartition("/")[2]
        for operation in OPERATIONS.values()
        for media_type, content in operation.get("requestBody", {"content": {}})["content"].items()
        if media_type == "application/json"
    }
    assert len(bodies) >= 5
    for name in bodies:
        assert DOCUMENT["components"]["schemas"][name]["additionalProperties"] is False, name
