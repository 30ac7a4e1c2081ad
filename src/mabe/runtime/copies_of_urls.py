"""Names of URLs in the place of their local copies, in all that a command writes.

A command works on temporary copies of what is at a URL; nobody finds these afterwards.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_open: list[Mapping[str, str]] = []
"""The URL of each local path, in the contexts that are open, the innermost last."""


@contextmanager
def naming_urls(url_of: Mapping[str, str]) -> Iterator[None]:
    """Within the context, `with_urls` knows these URLs of local paths.

    Paths may be added later.
    """
    _open.append(url_of)
    try:
        yield
    finally:
        _open.pop()


def with_urls(text: str) -> str:
    """Return a text with URLs in the place of their local copies."""
    for url_of in _open:
        for path, url in url_of.items():
            text = text.replace(path, url)
    return text


def values_with_urls(value: Any) -> Any:
    """Return values of a JSON document with URLs in the place of local copies.

    A path within JSON text may be written differently (backslashes), so it is replaced
    before.
    """
    if not any(_open):
        return value
    if isinstance(value, str):
        return with_urls(value)
    if isinstance(value, list | tuple):
        return [values_with_urls(each) for each in value]
    if isinstance(value, Mapping):
        return {
            with_urls(key) if isinstance(key, str) else key: values_with_urls(each)
            for key, each in value.items()
        }
    return value
