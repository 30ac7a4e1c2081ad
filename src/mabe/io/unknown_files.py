"""What a file that is not read holds: its columns, groups, arrays or variables.

Where it may be a table of bouts, the `columns` for project.yaml follow that would make
it readable (`mabe.io.table_columns`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py

from mabe.errors import DataError
from mabe.io.readers.containers import WORKBOOKS, below, open_peek, sheets_of
from mabe.io.readers.file_head import Peek, read_json
from mabe.io.readers.hdf5 import open_hdf5, text
from mabe.io.readers.matlab import variables_of
from mabe.io.readers.table_batches import parquet_names
from mabe.io.table_columns import SuggestedColumns, suggest_columns

_SHOWN = 20

_TITLE_LINES = 4

_MOST_JSON_BYTES = 16 << 20

_MOST_OBJECTS = 200

_LONGEST_NAME = 60


def describe_unread(path: Path) -> Iterator[str]:
    """Yield what a file that is not read holds; nothing where that cannot be told.

    A broken file has its reason elsewhere.
    """
    try:
        peek = open_peek(path)
        yield from _describe(peek)
    except DataError:
        return


def _describe(peek: Peek) -> Iterator[str]:
    if peek.kind in WORKBOOKS:
        for sheet in sheets_of(peek):
            named = f"sheet {sheet.sheet!r}: " if sheet.sheet else ""
            yield from _describe_table(sheet, named)
    elif peek.kind == "text":
        yield from _describe_table(peek)
    elif peek.kind == "parquet":
        yield _listed("columns", parquet_names(peek.path))
    elif peek.kind == "hdf5":
        yield _listed("groups and arrays", _objects(peek.path))
    elif peek.kind == "matlab":
        yield _listed("variables", list(variables_of(peek)))
    elif peek.kind == "npz":
        names = sorted(name.removesuffix(".npy") for name in peek.members)
        yield _listed("arrays", names)
    elif peek.kind == "json" and peek.path.stat().st_size < _MOST_JSON_BYTES:
        data = read_json(peek)
        if isinstance(data, dict):
            yield _listed("keys", list(map(str, data)))
        elif isinstance(data, list) and data and isinstance(data[0], dict):
            yield _listed("a list, keys of its elements", list(map(str, data[0])))


def _describe_table(peek: Peek, named: str = "") -> Iterator[str]:
    """Yield the columns of a table, and how it would be read as bouts."""
    tables = [peek]
    if peek.sheet or peek.content is not None:
        tables += [below(peek, lines) for lines in range(1, _TITLE_LINES + 1)]
    table = next((each for each in tables if suggestion_for(each)), peek)
    columns = table.rows[0] if table.rows else []
    if len(columns) < 2:
        return
    yield named + _listed("columns", columns)
    if suggestion := suggestion_for(table):
        yield (
            "if it is a table of bouts, these lines in project.yaml make it readable "
            "(check each name):"
        )
        yield from (f"  {line}" for line in suggestion.lines())


def may_be_bouts(path: Path) -> bool:
    """Return whether a file may be a table of bouts with columns of other names."""
    try:
        return suggestion_for(open_peek(path)) is not None
    except DataError:
        return False  # a broken file has its reason elsewhere


def suggestion_for(peek: Peek) -> SuggestedColumns | None:
    """Return the columns that a table of bouts needs, as far as its head shows them."""
    return suggest_columns(peek.rows) if peek.kind == "text" else None


def _objects(path: Path) -> list[str]:
    """Return the names of groups and the names and shapes of arrays."""
    found: list[str] = []

    def look(name: str, item: h5py.HLObject) -> bool | None:
        shape = f" {item.shape}" if isinstance(item, h5py.Dataset) else "/"
        found.append(f"{text(name)}{shape}")
        return True if len(found) >= _MOST_OBJECTS else None

    with open_hdf5(path) as file:
        file.visititems(look)
    return found


def _listed(what: str, names: Sequence[str]) -> str:
    shown = ", ".join(_short(name) or "(no name)" for name in names[:_SHOWN])
    more = f" … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what}: {shown or 'none'}{more}"


def _short(name: str) -> str:
    """Return a name that is not longer than a line."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
