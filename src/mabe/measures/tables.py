"""Tables of measures: from rows to frames, long and wide, and to files.

Each table is written as CSV and Parquet; all of them are also the sheets of one Excel
workbook, where they fit a sheet. Texts are never formulas there. NaN is an empty cell.
"""

import dataclasses
import io
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import xlsxwriter

from mabe.runtime.csv_cells import cell_of
from mabe.runtime.files import remove, write_atomically, write_bytes, write_text

WORKBOOK = "summary.xlsx"


MOST_SHEET_ROWS = 1_048_575
"""What an Excel sheet holds below its header."""


MOST_SHEET_COLUMNS = 16_384


_TYPES: dict[Any, Any] = {str: pl.String, int: pl.Int64, float: pl.Float64}


def table_of(rows: Iterable[Any], kind: type) -> pl.DataFrame:
    """Return dataclasses as a table; fields that are dataclasses give their fields."""
    columns = list(_columns_of(kind))
    values = [tuple(_cells(row)) for row in rows]
    schema = dict(columns)
    table = pl.DataFrame(values, schema=schema, orient="row")
    return table.with_columns(pl.selectors.float().fill_nan(None))


def _columns_of(kind: type) -> Iterable[tuple[str, Any]]:
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        of_field = hints[field.name]
        if dataclasses.is_dataclass(of_field):
            yield from _columns_of(typing.cast(type, of_field))
        else:
            yield field.name, _TYPES[of_field]


def _cells(row: Any) -> Iterable[Any]:
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        if dataclasses.is_dataclass(value):
            yield from _cells(value)
        else:
            yield value


def to_long(table: pl.DataFrame, index: Sequence[str]) -> pl.DataFrame:
    """Return a row for each measure: the index, `measure` and `value`."""
    measures = [name for name in table.columns if name not in index]
    numbers = table.with_columns(pl.col(measures).cast(pl.Float64))
    return numbers.unpivot(
        on=measures, index=list(index), variable_name="measure", value_name="value"
    )


def to_wide(
    table: pl.DataFrame, index: Sequence[str], on: Sequence[str]
) -> pl.DataFrame:
    """Return a row for each index and a column ``action measure`` for each measure.

    `on` are the columns whose values name columns, such as the action.
    """
    long = to_long(table, [*index, *on])
    named = long.with_columns(
        pl.concat_str([*on, "measure"], separator=" ").alias("column")
    )
    return named.pivot(
        on="column", index=list(index), values="value", sort_columns=False
    )


def write_tables(folder: Path, tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """Write each table as CSV and Parquet, and all as one workbook.

    Returns the names of the tables that the workbook lacks: those that have more rows
    or columns than a sheet holds.
    """
    for name, table in tables.items():
        write_text(folder / f"{name}.csv", _safe(table).write_csv())
        write_atomically(folder / f"{name}.parquet", table.write_parquet)
    fitting = {name: table for name, table in tables.items() if _fits(table)}
    write_bytes(folder / WORKBOOK, _workbook(fitting))
    return [name for name in tables if name not in fitting]


def remove_table(folder: Path, name: str) -> None:
    """Remove the files of a table that may be absent."""
    for ending in (".csv", ".parquet"):
        remove(folder / f"{name}{ending}")


def _fits(table: pl.DataFrame) -> bool:
    return table.height <= MOST_SHEET_ROWS and table.width <= MOST_SHEET_COLUMNS


def _safe(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with texts that a spreadsheet does not take for formulas."""
    texts = pl.selectors.string()
    return table.with_columns(texts.map_elements(cell_of, return_dtype=pl.String))


def _workbook(tables: Mapping[str, pl.DataFrame]) -> memoryview:
    buffer = io.BytesIO()
    options = {"strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(buffer, {"in_memory": True, **options}) as book:
        head = book.add_format({"bold": True, "bottom": 1})
        for name, table in tables.items():
            sheet = book.add_worksheet(name[:31])
            sheet.freeze_panes(1, 0)
            sheet.write_row(0, 0, table.columns, head)
            sheet.set_column(0, max(0, len(table.columns) - 1), 13)
            for at, row in enumerate(table.iter_rows(), start=1):
                sheet.write_row(at, 0, ["" if cell is None else cell for cell in row])
    return buffer.getbuffer()
