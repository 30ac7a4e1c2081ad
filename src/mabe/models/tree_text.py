"""LightGBM's text of boosted trees, checked before LightGBM reads it.

LightGBM trusts a text: a feature, child or leaf out of range makes it read other memory
and crash, and a child that leads back to its parent makes it run for ever. A text may
come from anybody, so everything that prediction uses is checked here: the text is a
list of blocks of ``key=value`` lines, a header and one block for each tree. A tree of n
leaves has n - 1 inner nodes; a child of 0 or more is an inner node, a negative one the
leaf ``-1 - child``.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

_MOST_LEAVES = 131_072
"""What the setting `tree_leaves` allows."""


_MOST_TREES = 1_000_000


_DEEPEST = 5_000
"""LightGBM follows branches by recursion."""


_HEADER = {"version", "num_class", "num_tree_per_iteration", "label_index"} | {
    *("max_feature_idx", "objective", "feature_names", "feature_infos", "tree_sizes"),
}


_END_LINE = "\nend of trees\n"


_OBJECTIVE = re.compile(r"multiclass num_class:\d+|binary sigmoid:1")


_DECISIONS = frozenset(("0", "2", "4", "6", "8", "10"))
"""Comparisons of numbers (bit 0 is for categories), with each treatment of missing."""


def without_settings(text: str) -> str:
    """Return the part of a text that prediction needs, without how it was made."""
    return text.partition(_END_LINE)[0] + f"{_END_LINE}\n"


def check_text(text: str, *, features: int, classes: int) -> None:
    """Raise `ValueError` for a text that LightGBM could not read, or must not.

    `features` is the length of a row, `classes` the number of trees of each round: 1
    for a yes or no.
    """
    head, found, _ = text.partition(_END_LINE)
    header, first, trees = head.partition("\n\nTree=0\n")
    if not (found and first):
        raise ValueError("it has no trees, or no end")
    facts = _facts(header.removeprefix("tree\n"))
    _check_header(facts, features=features, classes=classes)
    blocks = _tree_blocks(f"Tree=0\n{trees}\n", facts["tree_sizes"].split())
    if len(blocks) % classes:
        raise ValueError(f"{len(blocks)} trees for {classes} classes")
    for number, block in enumerate(blocks):
        try:
            _check_tree(_facts(block), number, features=features)
        except ValueError as error:
            raise ValueError(f"tree {number}: {error}") from None


def _facts(block: str) -> dict[str, str]:
    """Return the lines of a block by their keys, each of which occurs once."""
    facts: dict[str, str] = {}
    for line in block.strip("\n").split("\n"):
        key, sign, value = line.partition("=")
        if not sign or key in facts:
            raise ValueError(f"the line {line[:40]!r}")
        facts[key] = value
    return facts


def _check_header(facts: Mapping[str, str], *, features: int, classes: int) -> None:
    if facts.keys() != _HEADER:
        raise ValueError(f"its header has the lines {sorted(facts)[:20]}")
    expected = {
        "version": {"v3", "v4"},
        "num_class": {str(classes)},
        "num_tree_per_iteration": {str(classes)},
        "label_index": {"0"},
        "max_feature_idx": {str(features - 1)},
    }
    for key, values in expected.items():
        if facts[key] not in values:
            raise ValueError(f"{key} is {facts[key][:20]}, expected {sorted(values)}")
    objective = facts["objective"]
    if not _OBJECTIVE.fullmatch(objective) or (
        objective.startswith("multi") and objective != f"multiclass num_class:{classes}"
    ):
        raise ValueError(f"its objective is {objective[:40]!r}")
    for key in ("feature_names", "feature_infos"):
        if len(facts[key].split(" ")) != features:
            raise ValueError(f"{key} has not {features} entries")


def _tree_blocks(trees: str, sizes: Sequence[str]) -> list[str]:
    """Return the text of each tree; LightGBM jumps by the sizes that the header has."""
    data = trees.encode()
    if not 0 < len(sizes) <= _MOST_TREES:
        raise ValueError(f"{len(sizes)} trees")
    blocks, at = [], 0
    for number, size in enumerate(_whole(sizes, len(sizes)).tolist()):
        block = data[at : at + size].decode()
        start = f"Tree={number}\n"
        if size <= 0 or not block.startswith(start):
            raise ValueError(f"tree {number} is not where its size says")
        blocks.append(block.removeprefix(start))
        at += size
    if data[at:].strip():
        raise ValueError("there is more text than trees")
    return blocks


def _check_tree(facts: Mapping[str, str], number: int, *, features: int) -> None:
    leaves = int(_whole([facts.get("num_leaves", "")], 1)[0])
    if not 1 <= leaves <= _MOST_LEAVES:
        raise ValueError(f"{leaves} leaves")
    if facts.get("num_cat") != "0" or facts.get("is_linear", "0") != "0":
        raise ValueError("categories or linear leaves, which are not used here")
    _check_numbers(facts.get("leaf_value", ""), "leaf_value", leaves)
    if leaves == 1:
        return
    nodes = leaves - 1
    # An infinite one divides the known values from the missing ones.
    _check_numbers(facts.get("threshold", ""), "threshold", nodes, may_be_infinite=True)
    decisions = facts.get("decision_type", "").split(" ")
    if len(decisions) != nodes or not _DECISIONS.issuperset(decisions):
        raise ValueError("its decision_type is none of numbers")
    feature = _whole(facts.get("split_feature", "").split(" "), nodes)
    if feature.min() < 0 or feature.max() >= features:
        raise ValueError(
            f"the features {feature.min()} to {feature.max()} of {features}"
        )
    for keys, count in ((_OF_LEAVES, leaves), (_OF_NODES, nodes)):
        for key in keys:
            if facts.get(key):
                _check_numbers(facts[key], key, count)
    children = [
        _whole(facts.get(key, "").split(" "), nodes)
        for key in ("left_child", "right_child")
    ]
    _check_shape(np.stack(children, axis=1), leaves)


_OF_LEAVES = ("leaf_weight", "leaf_count")


_OF_NODES = ("split_gain", "internal_value", "internal_weight", "internal_count")


def _check_shape(children: np.ndarray, leaves: int) -> None:
    """Raise unless every node but the first, and every leaf, is one node's child.

    With as many children as that, and each node's number above its parent's, there is
    no way back.
    """
    nodes = len(children)
    if children.min() < -leaves or children.max() >= nodes:
        raise ValueError("a child that is no node of it")
    inner = np.sort(children[children >= 0])
    outer = np.sort(-1 - children[children < 0])
    if not np.array_equal(inner, np.arange(1, nodes)) or not np.array_equal(
        outer, np.arange(leaves)
    ):
        raise ValueError("a node with several parents, or with none")
    depth = np.zeros(nodes, np.int64)
    for node, pair in enumerate(children.tolist()):
        for child in pair:
            if 0 <= child <= node:
                raise ValueError(f"node {child} lies below node {node}")
            if child > 0:
                depth[child] = depth[node] + 1
    if depth.max() > _DEEPEST:
        raise ValueError(f"{depth.max():,} levels")


def _check_numbers(
    line: str, key: str, count: int, *, may_be_infinite: bool = False
) -> None:
    """Raise unless a line has so many numbers, which are finite unless allowed."""
    kind = _THRESHOLDS if may_be_infinite else _NUMBERS
    if line.count(" ") != count - 1 or not kind.fullmatch(line):
        raise ValueError(f"{key} has not {count} numbers")


def _whole(words: Sequence[str], count: int) -> np.ndarray:
    """Return so many whole numbers of a line."""
    if len(words) != count or not all(_NUMBER.fullmatch(word) for word in words):
        raise ValueError(f"expected {count} whole numbers, found {words[:4]}")
    return np.array([int(word) for word in words], np.int64)


_NUMBER = re.compile(r"-?\d{1,9}")


_ONE = r"-?\d{1,400}(\.\d{0,400})?(e[+-]?\d{1,3})?"


_NUMBERS = re.compile(rf"{_ONE}( {_ONE})*")


_THRESHOLDS = re.compile(rf"({_ONE}|-?inf)( ({_ONE}|-?inf))*")
