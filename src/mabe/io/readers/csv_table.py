"""Tables in text files as columns of texts, where not all cells are numbers.

`mabe.io.readers.csv_numbers` reads tables of numbers faster.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from jaxtyping import Float

from mabe.errors import DataError
from mabe.io.readers.csv_numbers import MISSING
from mabe.io.readers.file_head import Peek
from mabe.io.readers.table_batches import text_batches


def read_cells(
    peek: Peek,
    header: Sequence[str],
    *,
    skip_rows: int = 1,
    narrow: Callable[[pl.DataFrame, int], pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Return the cells below a header as texts, blanks and words such as NA as null.

    Columns are named as in `header`; of several with one name, later ones are numbered.
    `narrow` makes rows smaller before they are kept, and is given the number of rows
    before them. Raises `DataError` where rows have more cells than the header.
    """
    names = _unique(header)
    parts: list[pl.DataFrame] = []
    rows = 0
    for batch in text_batches(peek, skip_lines=skip_rows, columns=len(names)):
        texts = batch.rename(dict(zip(batch.columns, names, strict=True)))
        texts = texts.with_columns(pl.all().str.strip_chars())
        cells = texts.with_columns(
            pl.when(pl.all().is_in(MISSING)).then(None).otherwise(pl.all()).name.keep()
        )
        parts.append(narrow(cells, rows) if narrow else cells)
        rows += cells.height
    if not parts:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    return pl.concat(parts)


def _unique(header: Sequence[str]) -> list[str]:
    """Return the names of columns, numbered where several are equal."""
    seen: Counter[str] = Counter()
    names = []
    for name in header:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def column_of_numbers(
    table: pl.DataFrame, name: str, peek: Peek
) -> Float[np.ndarray, " row"]:
    """Return a column of texts as numbers; NaN where a cell is empty.

    Raises `DataError` for the first cell that is no number.
    """
    texts = table[name]
    if peek.delimiter != ",":
        texts = texts.str.replace(",", ".", literal=True)
    numbers = texts.cast(pl.Float64, strict=False)
    bad = numbers.is_null() & texts.is_not_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise DataError(
            f"{peek.path}: expected a number for {name!r}, row {row + 1} below the "
            f"header, found {texts[row]!r}."
        )
    return numbers.fill_null(np.nan).to_numpy()
