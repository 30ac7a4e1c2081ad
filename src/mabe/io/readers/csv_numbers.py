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

MISSING = ["", "NaN", "nan", "NA", "N/A", "None", "null", "-"]


def read_numbers(
    peek: Peek, *, skip_rows: int, columns: int, only: list[int] | None = None
) -> Float[np.ndarray, "row column"]:
    """Return the numbers of a table below its header, by default of all columns.

    Raises `DataError` where a cell is not a number, or where there is no row.
    """
    wanted = list(range(columns)) if only is None else only
    try:
        table = pl.read_csv(
            _source(peek),
            has_header=False,
            skip_rows=skip_rows,
            separator=peek.delimiter,
            columns=wanted,
            encoding="utf8-lossy",
            null_values=MISSING,
            infer_schema_length=0,
        )
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{peek.path}: cannot be read as a table of {columns} columns ({reason}); "
            "was it edited by hand or cut off?"
        ) from error
    if not table.height or table.width != len(wanted):
        raise DataError(
            f"{peek.path}: expected rows of {columns} numbers below the header, found "
            f"{'none' if not table.height else f'{table.width} columns'}."
        )
    return _as_floats(
        table.rename(dict(zip(table.columns, _number(wanted), strict=True))), peek
    )


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


def _number(columns: list[int]) -> list[str]:
    """Return the numbers of columns, counted from 1."""
    return [str(at + 1) for at in columns]


def _source(peek: Peek) -> io.BytesIO | str:
    if peek.content is not None or peek.encoding.startswith("utf-16"):
        return io.BytesIO(read_text(peek).encode())
    return str(peek.path)


def _as_floats(table: pl.DataFrame, peek: Peek) -> Float[np.ndarray, "row column"]:
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
                f"{peek.path}: expected a number in column {name}, row "
                f"{row + 1} below the header, found {texts[name][row]!r}."
            )
    return np.stack(
        [numbers[name].fill_null(np.nan).to_numpy() for name in numbers.columns], axis=1
    )
