"""JSON and YAML documents that anybody may have written: parsed, or one reason why not.

Parsing raises `ValueError` alone, whatever is wrong with the text, and takes time and
memory in proportion to it. So YAML aliases (``*a``), which let a few lines stand for
billions of values, are not read. `shorten_value` prints a value in a message.
"""

import json
import re
import reprlib
from pathlib import Path
from typing import Any

import yaml

_MOST_JSON_BYTES = 1 << 30
"""The index of a store of ten thousand recordings has some ten megabytes."""


_MOST_YAML_LETTERS = 1 << 20
"""YAML is parsed by some hundred kilobytes a second."""


_MOST_DIGITS = 300


_MOST_LEVELS = 100


_BRACKETS = re.compile(r"[\[\]{}]")


_OF_YAML = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What PyYAML raises besides its own errors, for dates and numbers that are none."""


class _Loader(yaml.SafeLoader):
    """Builds plain values; a value that is referred to again is refused."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None,
                None,
                f"the alias *{event.anchor} is not read; write its value out",
                event.start_mark,
            )
        return super().compose_node(parent, index)


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML document; raises `ValueError` where it is none."""
    if len(text) > _MOST_YAML_LETTERS:
        raise ValueError(f"it has {len(text):,} characters; expected some settings")
    if _deepest_brackets(text) > _MOST_LEVELS:
        raise ValueError("it is nested too deeply")
    try:
        value = yaml.load(text, _Loader)
        _check_numbers(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, *_OF_YAML) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from None
    return value


def _deepest_brackets(text: str) -> int:
    """Return how deeply brackets are nested; parsing takes the square of it."""
    depth = deepest = 0
    for sign in _BRACKETS.findall(text):
        depth += 1 if sign in "[{" else -1 if depth else 0
        deepest = max(deepest, depth)
    return deepest


def _check_numbers(value: Any) -> None:
    """Raise for whole numbers that cannot be printed, such as 59:59:59."""
    if isinstance(value, int) and value.bit_length() > 3.33 * _MOST_DIGITS:
        raise ValueError(f"a number has more than {_MOST_DIGITS} digits")
    if isinstance(value, dict):
        for key, each in value.items():
            _check_numbers(key)
            _check_numbers(each)
    elif isinstance(value, list | tuple | set):
        for each in value:
            _check_numbers(each)


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON document; raises `ValueError` where it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises `OSError` where it cannot be read, `ValueError` where it is no JSON in UTF-8.
    """
    size = path.stat().st_size
    if size > _MOST_JSON_BYTES:
        raise ValueError(
            f"it has {size:,} bytes; expected {_MOST_JSON_BYTES:,} or less"
        )
    return parse_json(path.read_text(encoding="utf-8"))


def shorten_value(value: Any) -> str:
    """Return a value as a message shows it: on one line, not longer than one."""
    return "".join(
        each if each.isprintable() else ascii(each)[1:-1]
        for each in _short.repr(value)[:_SHOWN]
    )


_SHOWN = 120


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
