"""The hash chain of the audit trail: no change goes unnoticed without the key."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.hash_chain import GENESIS_HASH, Head, chain_key, extend

KEY = chain_key("a secret")
FACTS = st.dictionaries(st.text(), st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=4)
type Facts = dict[str, str | None]


def compute_chain(links: list[Facts], key: bytes = KEY) -> list[Head]:
    heads = [GENESIS_HASH]
    for facts in links:
        heads.append(extend(key, heads[-1], facts))
    return heads


@given(st.lists(FACTS, max_size=5))
def test_hash_chain_does_not_depend_on_the_order_of_facts(links: list[Facts]) -> None:
    heads = compute_chain(links)
    assert heads == compute_chain([dict(reversed(facts.items())) for facts in links])
    assert [head.position for head in heads] == list(range(len(links) + 1))
    assert all(Head.parse(str(head)) == head for head in heads)


@given(st.lists(FACTS, min_size=1, max_size=5), FACTS, st.data())
def test_changed_event_changes_every_later_hash(links: list[Facts], other: Facts, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(links) - 1))
    assume({name: fact for name, fact in links[index].items() if name != "position"} != other)
    assume("position" not in other)
    changed = compute_chain([*links[:index], other, *links[index + 1 :]])
    same = [before == after for before, after in zip(compute_chain(links), changed, strict=True)]
    assert same == [True] * (index + 1) + [False] * (len(links) - index)


@given(st.lists(FACTS, min_size=1, max_size=5), st.data())
def test_removed_event_changes_every_later_hash(links: list[Facts], data: st.DataObject) -> None:
    whole = compute_chain(links)
    index = data.draw(st.integers(0, len(links) - 1))
    shorter = compute_chain([*links[:index], *links[index + 1 :]])
    assert shorter[: index + 1] == whole[: index + 1]
    if links[index : index + 1] != links[index + 1 : index + 2]:
        assert not set(shorter[index + 1 :]) & set(whole)


def test_chain_of_another_key_has_other_hashes() -> None:
    links: list[Facts] = [{"action": "look"}] * 3
    own, foreign = compute_chain(links), compute_chain(links, chain_key("another secret"))
    assert not {head.hash for head in own[1:]} & {head.hash for head in foreign[1:]}
    assert len({head.hash for head in own}) == len(own), "equal events have equal hashes"
    assert all(first.position + 1 == second.position for first, second in pairwise(own))


def test_hash_of_an_event_stays_the_same() -> None:
    """A change of the algorithm would make every existing chain invalid."""
    head = extend(chain_key("a secret"), GENESIS_HASH, {"id": "1", "reason": None})
    assert str(head) == "1:630af8c55b89489c490264f60ec1820e3cdbde0b29b88c624795a0cb07912812"


@pytest.mark.parametrize("text", ["", "1", "1:", "1:xyz", "x:" + "0" * 64, "1:" + "0" * 63, "1:" + "0" * 66])
def test_invalid_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Head.parse(text)
