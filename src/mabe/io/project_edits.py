"""Changes of a project.yaml that leave its comments and its other lines as they are.

Only what differs is written: a value in its line, a new key below the others. Where
that cannot be done, such as in a file in one pair of braces, the whole is written anew,
without comments.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from mabe.runtime.documents import parse_yaml

Splice = tuple[int, int, str]
"""From letter, to letter, and what takes their place."""


def edit_yaml(text: str, values: Mapping[str, Any]) -> str:
    """Return a YAML document changed so that it holds these values and no others.

    Raises `ValueError` where the text is no YAML.
    """
    before = parse_yaml(text) or {}
    if before == values:
        return text
    if not isinstance(before, dict):
        raise ValueError("it holds no `key: value` lines")
    root = yaml.compose(text, yaml.SafeLoader)
    if root is None:
        return _with_line_end(text) + _dump(values)
    edited = text
    for start, stop, new in sorted(_splices(text, root, before, values), reverse=True):
        edited = edited[:start] + new + edited[stop:]
    try:
        is_right = parse_yaml(edited) == values
    except ValueError:
        is_right = False
    return edited if is_right else _dump(values)


def _splices(text: str, node: yaml.Node, old: Any, new: Any) -> Iterator[Splice]:
    """Yield the changes within a mapping or a list that is written as lines."""
    if isinstance(node, yaml.MappingNode):
        yield from _in_mapping(text, node, old, new)
    elif isinstance(node, yaml.SequenceNode):
        for child, one, other in zip(node.value, old, new, strict=False):
            if one != other and _is_deep(child, one, other):
                yield from _splices(text, child, one, other)
            elif one != other:
                yield child.start_mark.index, _end(text, child), _flow(other)
        if len(new) > len(old):
            indent = " " * node.start_mark.column
            items = "".join(f"{indent}- {_flow(each)}\n" for each in new[len(old) :])
            yield _after(text, node, items)


def _in_mapping(
    text: str, node: yaml.MappingNode, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Splice]:
    for (key, child), (name, value) in zip(node.value, old.items(), strict=True):
        if name not in new:
            start = text.rfind("\n", 0, key.start_mark.index) + 1
            yield start, _line_end(text, _end(text, child)), ""
        elif new[name] != value and _is_deep(child, value, new[name]):
            yield from _splices(text, child, value, new[name])
        elif new[name] != value:
            yield key.end_mark.index, _end(text, child), f": {_flow(new[name])}"
    added = {name: value for name, value in new.items() if name not in old}
    if added:
        indent = " " * node.start_mark.column
        lines = "".join(f"{indent}{line}\n" for line in _lines(added))
        yield _after(text, node, lines)


def _is_deep(node: yaml.Node, old: Any, new: Any) -> bool:
    """Return whether a value is changed within, rather than as a whole."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not new:
        return False
    if isinstance(old, list):
        return isinstance(new, list) and len(new) >= len(old)
    return isinstance(old, dict) and isinstance(new, dict)


def _end(text: str, node: yaml.Node) -> int:
    """Return where a node ends, without the comments and empty lines after it.

    The parser ends lines of a block where the next key begins.
    """
    end: int = node.end_mark.index
    if not isinstance(node, yaml.CollectionNode) or node.flow_style:
        return end
    return _end(text, _last(node)) if node.value else end


def _last(node: yaml.CollectionNode) -> yaml.Node:
    last = node.value[-1]
    found: yaml.Node = last[1] if isinstance(last, tuple) else last
    return found


def _line_end(text: str, place: int) -> int:
    """Return where the line after a place begins."""
    end = text.find("\n", place)
    return len(text) if end < 0 else end + 1


def _after(text: str, node: yaml.CollectionNode, lines: str) -> Splice:
    """Return the change that puts lines below a block."""
    place = _line_end(text, _end(text, node))
    is_open = place == len(text) and not text.endswith("\n")
    return place, place, f"\n{lines}" if is_open else lines


def _with_line_end(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _dump(values: Mapping[str, Any]) -> str:
    return "".join(f"{line}\n" for line in _lines(values))


def _lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each key; the zones and lists of a project have their own."""
    for name, value in values.items():
        if isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
            yield f"{_flow(name)}:"
            yield from (f"  {line}" for line in _lines(value))
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            yield f"{_flow(name)}:"
            yield from (f"  - {_flow(each)}" for each in value)
        else:
            yield f"{_flow(name)}: {_flow(value)}"


def _flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    options: Any = {"default_flow_style": True, "allow_unicode": True}
    text: str = yaml.safe_dump(value, width=1 << 30, sort_keys=False, **options)
    return text.removesuffix("\n").removesuffix("\n...").strip()
