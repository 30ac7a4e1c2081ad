"""Tables in text files as columns of texts, where not all cells are numbers.

`mabe.io.readers.csv_numbers` reads tables of numbers faster.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl
from jaxtyping import Float

from mabe.errors import DataError
from mabe.io.readers.csv_numbers import MISSING
from mabe.io.readers.file_head import Peek, read_text
from mabe.io.readers.table_batches import POLARS_ERRORS


def read_cells(
    peek: Peek, header: Sequence[str], *, skip_rows: int = 1
) -> pl.DataFrame:
    """Return the cells below a header as texts, blanks and words such as NA as null.

    Columns are named as in `header`; of several with one name, later ones are numbered.
    Raises `DataError` where rows have more cells than the header.
    """
    names = _unique(header)
    try:
        table = pl.read_csv(
            read_text(peek).encode(),
            has_header=False,
            skip_rows=skip_rows,
            separator=peek.delimiter,
            new_columns=names,
            infer_schema_length=0,
            null_values=MISSING,
        )
    except (*POLARS_ERRORS, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{peek.path}: cannot be read as a table of {len(names)} columns "
            f"({reason}); was it edited by hand or cut off?"
        ) from error
    if table.width != len(names):
        raise DataError(
            f"{peek.path}: expected rows of {len(names)} cells below the header, found "
            f"{table.width}."
        )
    return table.with_columns(pl.all().str.strip_chars())


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
