"""Tables of measures: from rows to frames, long and wide, and to files.

Each table is written as CSV and Parquet; all of them are also the sheets of one Excel
workbook. Texts are never formulas there. NaN is an empty cell.
"""

import dataclasses
import io
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import xlsxwriter

from mabe.errors import OutputError
from mabe.runtime.csv_cells import cell_of
from mabe.runtime.files import write_atomically, write_bytes, write_text

WORKBOOK = "summary.xlsx"


MOST_SHEET_ROWS = 1_048_575
"""What an Excel sheet holds below its header."""


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


def write_tables(folder: Path, tables: Mapping[str, pl.DataFrame]) -> list[Path]:
    """Write each table as CSV and Parquet, and all as one workbook.

    Raises `OutputError` where a table has more rows than a sheet holds.
    """
    files = []
    for name, table in tables.items():
        files += [folder / f"{name}.csv", folder / f"{name}.parquet"]
        write_text(files[-2], _safe(table).write_csv())
        write_atomically(files[-1], table.write_parquet)
    write_bytes(folder / WORKBOOK, _workbook(tables))
    return [*files, folder / WORKBOOK]


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
            if len(table) > MOST_SHEET_ROWS:
                raise OutputError(
                    f"{WORKBOOK}: the table {name} has {len(table):,} rows, a sheet "
                    f"holds {MOST_SHEET_ROWS:,}; use longer --bins"
                )
            sheet = book.add_worksheet(name[:31])
            sheet.freeze_panes(1, 0)
            sheet.write_row(0, 0, table.columns, head)
            sheet.set_column(0, max(0, len(table.columns) - 1), 13)
            for at, row in enumerate(table.iter_rows(), start=1):
                sheet.write_row(at, 0, ["" if cell is None else cell for cell in row])
    return buffer.getbuffer()
