"""Tables of numbers in text files, read fast and checked cell by cell.

Blank cells and words such as NA are NaN. Decimal commas are read where semicolons or
tabs separate the cells.
"""

import io

import numpy as np
import polars as pl
from jaxtyping import Float

from mabe.errors import DataError
from mabe.io.readers.file_head import Peek, read_text
from mabe.io.readers.table_batches import text_batches
from mabe.runtime.file_names import shorten

MISSING = ["", "NaN", "nan", "NA", "N/A", "None", "null", "-"]


def read_numbers(
    peek: Peek, *, skip_rows: int, columns: int, only: list[int] | None = None
) -> Float[np.ndarray, "row column"]:
    """Return the numbers of a table below its header, by default of all columns.

    Raises `DataError` where a cell is not a number, or where there is no row.
    """
    blocks: list[np.ndarray] = []
    rows = 0
    for table in text_batches(peek, skip_lines=skip_rows, columns=columns, only=only):
        blocks.append(_as_floats(table, peek, rows_before=rows))
        rows += table.height
    if not rows:
        raise DataError(
            f"{peek.path}: expected rows of {columns} numbers below the header, found "
            "none."
        )
    if len(blocks) == 1:
        return blocks[0]
    whole = np.empty((rows, blocks[0].shape[1]))
    at = 0
    blocks.reverse()
    while blocks:  # each is freed when it is copied
        block = blocks.pop()
        whole[at : at + len(block)] = block
        at += len(block)
    return whole


def has_cut_row(peek: Peek, columns: int) -> bool:
    """Return whether the file's last line is incomplete: it has too few cells."""
    if peek.content is not None or peek.encoding.startswith("utf-16"):
        end = read_text(peek)
    else:
        with peek.path.open("rb") as file:
            file.seek(0, io.SEEK_END)
            file.seek(max(0, file.tell() - (1 << 20)))
            end = file.read().decode("latin-1")
    lines = end.rstrip("\r\n").splitlines()
    return len(lines) > 1 and lines[-1].count(peek.delimiter) < columns - 1


def _as_floats(
    table: pl.DataFrame, peek: Peek, *, rows_before: int
) -> Float[np.ndarray, "row column"]:
    """Return the cells as numbers; raise `DataError` for the first that is not one."""
    texts = table.with_columns(pl.all().str.strip_chars())
    if peek.delimiter != ",":
        texts = texts.with_columns(pl.all().str.replace(",", ".", literal=True))
    numbers = texts.with_columns(pl.all().cast(pl.Float64, strict=False))
    for name in texts.columns:
        bad = texts[name].is_not_null() & numbers[name].is_null()
        bad &= ~texts[name].is_in(MISSING)
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise DataError(
                f"{peek.path}: expected a number in column {int(name) + 1}, row "
                f"{rows_before + row + 1} below the header, found "
                f"{shorten(texts[name][row])}."
            )
    return np.stack(
        [numbers[name].fill_null(np.nan).to_numpy() for name in numbers.columns], axis=1
    )
