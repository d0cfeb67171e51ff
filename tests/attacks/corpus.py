"""Read the cases from the YAML files in this folder, and expand them.

``each`` sends a case once per value, which replaces ``{each}``. ``as`` and ``send`` may be lists. ``every`` sends the
values in every field of that type in the OpenAPI document. A tag (``!repeat``, ``!token``…) is a value that is
computed when it is sent.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from tests.attacks.fields import fields_of

HERE = Path(__file__).parent
_MEMBERS = {
    "name", "as", "send", "headers", "query", "json", "body", "form", "expect", "forbid", "changes", "like_absent",
    "equals", "each", "every",
}  # fmt: skip


@dataclass(frozen=True)
class Computed:
    """A value that is computed when it is sent, by the maker with this name."""

    maker: str
    argument: Any


@dataclass(frozen=True)
class Expected:
    """A status, and the code of the problem if it is an error."""

    status: int
    code: str | None

    @classmethod
    def read(cls, text: str | int) -> "Expected":
        status, _, code = str(text).partition(" ")
        assert int(status) < 400 or code, f"{text} needs a code"
        return cls(int(status), code or None)


@dataclass(frozen=True)
class Case:
    id: str
    actor: str
    method: str
    path: Any
    expected: tuple[Expected, ...]
    headers: Mapping[str, Any] = field(default_factory=dict)
    query: Any = None
    json: Any = None
    has_json: bool = False
    body: Any = None
    form: Any = None
    forbid: tuple[str, ...] = ()
    changes: frozenset[str] = frozenset()
    """Tables in which the request may change rows."""
    like_absent: bool = False
    """Whether the response must equal the one for an id that does not exist."""
    equals: Any = None
    """The JSON value that the response must equal."""


class _Loader(yaml.SafeLoader):
    pass


def _construct(loader: _Loader, maker: str, node: yaml.Node) -> Computed:
    match node:
        case yaml.MappingNode():
            return Computed(maker, loader.construct_mapping(node, deep=True))
        case yaml.SequenceNode():
            return Computed(maker, loader.construct_sequence(node, deep=True))
        case _:
            assert isinstance(node, yaml.ScalarNode)
            return Computed(maker, loader.construct_scalar(node))


_Loader.add_multi_constructor("!", _construct)


def read(name: str) -> Any:
    return yaml.load((HERE / name).read_text(), _Loader)


@cache
def read_descriptions() -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """Return the theme and the description of the cases of every file but ``raw.yml``, by both names."""
    return {
        f"{path.stem}, {described['name']}": (path.stem, described)
        for path in sorted(HERE.glob("*.yml"))
        if path.stem != "raw"
        for described in read(path.name)["cases"]
    }


def expand(description: str) -> tuple[Case, ...]:
    """Return the cases of a description."""
    theme, described = read_descriptions()[description]
    return tuple(_expand(theme, described))


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def label_values(values: Any) -> list[tuple[str, Any]]:
    """Return the values of an ``each``, each with a label."""
    if isinstance(values, dict):
        return [(str(label), value) for label, value in values.items()]
    return [
        (ascii(f"!{value.maker} {value.argument}" if isinstance(value, Computed) else value)[:60], value)
        for value in values
    ]


def _expand(theme: str, described: Mapping[str, Any]) -> Iterator[Case]:
    assert described.keys() <= _MEMBERS, (described["name"], described.keys() - _MEMBERS)
    values = label_values(described["each"]) if "each" in described else [("", None)]
    for target, (label, value) in product(_targets(described), values):
        actor, send, body = target
        merged = {**described, **body}
        labels = [theme, described["name"]]
        if "every" in described or isinstance(described.get("send"), list):
            labels.append(send + body.get("where", ""))
        if isinstance(described.get("as"), list):
            labels.append(actor)

        def insert(what: Any, value: Any = value) -> Any:
            return substitute(what, {"each": value}, partly=True)

        yield Case(
            id=", ".join(filter(None, [*labels, label])),
            actor=actor,
            method=insert(send.partition(" ")[0]),
            path=insert(send.partition(" ")[2]),
            expected=tuple(map(Expected.read, as_list(merged["expect"]))),
            headers=insert(merged.get("headers", {})),
            query=insert(merged.get("query")),
            json=insert(merged.get("json")),
            has_json="json" in merged,
            body=insert(merged.get("body")),
            form=insert(merged.get("form")),
            forbid=tuple(insert(merged.get("forbid", []))),
            changes=frozenset(merged.get("changes", [])),
            like_absent=merged.get("like_absent", False),
            equals=insert(merged.get("equals")),
        )


def _targets(described: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if field_type := described.get("every"):
        for found in fields_of(field_type):
            yield found.actor, found.send, {found.location: found.content, "where": f" {found.name}"}
        return
    for actor, send in product(as_list(described.get("as", "nobody")), as_list(described["send"])):
        yield actor, send, {}


_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def substitute(what: Any, values: Mapping[str, Any], *, partly: bool = False) -> Any:
    """Replace names in braces by their values; ``partly`` keeps names that have no value."""

    match what:
        case str():
            whole = _PLACEHOLDER.fullmatch(what)
            if whole and whole[1] in values:
                return values[whole[1]]
            return _substitute_in_text(what, values, partly)
        case list():
            return [substitute(each, values, partly=partly) for each in what]
        case dict():
            return {
                substitute(name, values, partly=partly): substitute(each, values, partly=partly)
                for name, each in what.items()
            }
        case Computed(maker, argument):
            return Computed(maker, substitute(argument, values, partly=partly))
        case _:
            return what


def _substitute_in_text(text: str, values: Mapping[str, Any], partly: bool) -> Any:
    # The names are at the odd indexes.
    parts = _PLACEHOLDER.split(text)
    for index in range(1, len(parts), 2):
        name = parts[index]
        parts[index] = f"{{{name}}}" if partly and name not in values else values[name]
    if any(isinstance(part, Computed) for part in parts):
        return Computed("join", parts)
    return "".join(map(str, parts))
