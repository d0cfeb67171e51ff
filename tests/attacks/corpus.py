"""The cases: read from the YAML files beside this one, and multiplied out.

``each`` sends a case once per value, wherever ``{each}`` stands; ``as`` and ``send`` may be lists; ``every`` sends the
values in every field of a kind that the OpenAPI document knows. A tag (``!repeat``, ``!token``…) is a value that is
made when it is sent.
"""

import re
from collections import Counter
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
class Made:
    """A value that is made when it is sent."""

    how: str
    of: Any


@dataclass(frozen=True)
class Expected:
    """A status; and with a code, a problem that has it."""

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
    """Tables in which something may change because the request was allowed."""
    like_absent: bool = False
    """Whether the answer must be the one that an id gets that was never given out."""
    equals: Any = None
    """What the answer must be."""


class _Loader(yaml.SafeLoader):
    pass


def _make(loader: _Loader, how: str, node: yaml.Node) -> Made:
    match node:
        case yaml.MappingNode():
            return Made(how, loader.construct_mapping(node, deep=True))
        case yaml.SequenceNode():
            return Made(how, loader.construct_sequence(node, deep=True))
        case _:
            assert isinstance(node, yaml.ScalarNode)
            return Made(how, loader.construct_scalar(node))


_Loader.add_multi_constructor("!", _make)


def read(name: str) -> Any:
    return yaml.load((HERE / name).read_text(), _Loader)


@cache
def described_cases() -> Mapping[str, tuple[Case, ...]]:
    """The cases of every file but the raw ones, by the theme and the name of their description."""
    found = {
        f"{path.stem}, {described['name']}": tuple(_expand(path.stem, described))
        for path in sorted(HERE.glob("*.yml"))
        if path.stem != "raw"
        for described in read(path.name)["cases"]
    }
    repeated = [
        name for name, count in Counter(case.id for each in found.values() for case in each).items() if count > 1
    ]
    assert not repeated
    return found


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def labelled(values: Any) -> list[tuple[str, Any]]:
    """The values of an ``each``, with something to call them by."""
    if isinstance(values, dict):
        return [(str(label), value) for label, value in values.items()]
    return [(ascii(f"!{value.how} {value.of}" if isinstance(value, Made) else value)[:60], value) for value in values]


def _expand(theme: str, described: Mapping[str, Any]) -> Iterator[Case]:
    assert described.keys() <= _MEMBERS, (described["name"], described.keys() - _MEMBERS)
    values = labelled(described["each"]) if "each" in described else [("", None)]
    for target, (label, value) in product(_targets(described), values):
        actor, send, body = target
        said = {**described, **body}
        labels = [theme, described["name"]]
        if "every" in described or isinstance(described.get("send"), list):
            labels.append(send + body.get("where", ""))
        if isinstance(described.get("as"), list):
            labels.append(actor)

        def put(what: Any, value: Any = value) -> Any:
            return substitute(what, {"each": value}, partly=True)

        yield Case(
            id=", ".join(filter(None, [*labels, label])),
            actor=actor,
            method=put(send.partition(" ")[0]),
            path=put(send.partition(" ")[2]),
            expected=tuple(map(Expected.read, as_list(said["expect"]))),
            headers=put(said.get("headers", {})),
            query=put(said.get("query")),
            json=put(said.get("json")),
            has_json="json" in said,
            body=put(said.get("body")),
            form=put(said.get("form")),
            forbid=tuple(put(said.get("forbid", []))),
            changes=frozenset(said.get("changes", [])),
            like_absent=said.get("like_absent", False),
            equals=put(said.get("equals")),
        )


def _targets(described: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if kind := described.get("every"):
        for found in fields_of(kind):
            yield found.actor, found.send, {found.place: found.content, "where": f" {found.name}"}
        return
    for actor, send in product(as_list(described.get("as", "nobody")), as_list(described["send"])):
        yield actor, send, {}


_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def substitute(what: Any, values: Mapping[str, Any], *, partly: bool = False) -> Any:
    """The same with values in place of their names in braces; ``partly`` leaves the names that have none."""

    match what:
        case str():
            whole = _PLACEHOLDER.fullmatch(what)
            if whole and whole[1] in values:
                return values[whole[1]]
            return _joined(what, values, partly)
        case list():
            return [substitute(each, values, partly=partly) for each in what]
        case dict():
            return {
                substitute(name, values, partly=partly): substitute(each, values, partly=partly)
                for name, each in what.items()
            }
        case Made(how, of):
            return Made(how, substitute(of, values, partly=partly))
        case _:
            return what


def _joined(text: str, values: Mapping[str, Any], partly: bool) -> Any:
    # The names are at the odd places.
    parts = _PLACEHOLDER.split(text)
    for place in range(1, len(parts), 2):
        name = parts[place]
        parts[place] = f"{{{name}}}" if partly and name not in values else values[name]
    if any(isinstance(part, Made) for part in parts):
        return Made("join", parts)
    return "".join(map(str, parts))
