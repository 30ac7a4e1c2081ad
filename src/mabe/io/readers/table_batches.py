"""Tables read a piece at a time, so that memory holds the result and little else.

Text is cut at line ends and parsed by polars, parquet is decoded by Arrow; both give
batches of rows as polars tables. What a table declares is compared with the size of its
file first: a parquet file of half a megabyte can stand for thirty million rows.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mabe.errors import DataError
from mabe.io.readers.file_head import Peek
from mabe.runtime.file_names import shorten

POLARS_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What polars raises for broken files; the second one is no `Exception`."""


_BLOCK_BYTES = 8 << 20


_LONGEST_LINE_BYTES = 64 << 20


_BATCH_ROWS = 1 << 17


_MOST_COLUMNS = 10_000


_FREE_ROWS = 1 << 20


_ROWS_PER_BYTE = 16
"""Rows of tracks take several bytes each, whatever the compression."""


_COMPRESSION = 100
"""Of a large column chunk."""


_LONGEST_NAME = 1_000
"""Characters of a name in a cell."""


def text_batches(
    peek: Peek, *, skip_lines: int, columns: int, only: Sequence[int] | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a text table below its header, as strings.

    The columns are named by their numbers from 0, by default all of them. Raises
    `DataError` where a row has more cells than `columns`, or the first one has fewer.
    """
    if columns > _MOST_COLUMNS:
        raise DataError(
            f"{peek.path}: has {columns:,} columns, at most {_MOST_COLUMNS:,} are read."
        )
    wanted = [str(at) for at in (range(columns) if only is None else only)]
    header = peek.delimiter.join(map(str, range(columns))).encode() + b"\n"
    is_first = True
    for block in _line_blocks(peek, skip_lines=skip_lines):
        if is_first and block.strip():
            _check_width(block, columns, peek)
            is_first = False
        try:
            table = pl.read_csv(
                header + block,
                separator=peek.delimiter,
                columns=wanted,
                encoding="utf8-lossy",
                infer_schema_length=0,
            )
        except (*POLARS_ERRORS, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{peek.path}: cannot be read as a table of {columns} columns "
                f"({reason}); was it edited by hand or cut off?"
            ) from error
        yield table.select(wanted)


def _check_width(block: bytes, columns: int, peek: Peek) -> None:
    """Raise `DataError` where the first row has fewer cells than there are columns."""
    line = block.lstrip(b"\r\n").split(b"\n", 1)[0].decode("utf-8", errors="replace")
    try:
        found = len(next(csv.reader([line.rstrip("\r")], delimiter=peek.delimiter), []))
    except csv.Error:
        found = 0
    if found < columns:
        raise DataError(
            f"{peek.path}: expected rows of {columns} cells below the header, found "
            f"{found} columns."
        )


def _line_blocks(peek: Peek, *, skip_lines: int) -> Iterator[bytes]:
    """Yield the lines of a text in UTF-8, some megabytes at a time."""
    rest = b""
    for piece in _utf8_pieces(peek):
        block, end, rest = (rest + piece).rpartition(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES:
            raise DataError(
                f"{peek.path}: has a line of over {_LONGEST_LINE_BYTES >> 20} MB; "
                "expected a table with a row on each line."
            )
        skip_lines, block = _without_lines(block + end, skip_lines)
        if block:
            yield block
    _, block = _without_lines(rest, skip_lines)
    if block:
        yield block


def _utf8_pieces(peek: Peek) -> Iterator[bytes]:
    """Yield a text piece by piece, in UTF-8 and with line feeds between lines."""
    encoding = "utf-8-sig" if peek.encoding == "utf-8" else peek.encoding
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    has_returns = b"\n" not in peek.head and b"\r" in peek.head
    try:
        with _opened(peek) as file:
            while piece := file.read(_BLOCK_BYTES):
                text = decoder.decode(piece)
                yield (text.replace("\r", "\n") if has_returns else text).encode()
    except OSError as error:
        raise DataError(f"{peek.path}: cannot be read: {error}.") from error
    yield decoder.decode(b"", final=True).encode()


def _opened(peek: Peek) -> io.BufferedIOBase:
    """Return the bytes of a file, or those of the file that is inside it."""
    return peek.path.open("rb") if peek.content is None else io.BytesIO(peek.content)


def _without_lines(block: bytes, count: int) -> tuple[int, bytes]:
    """Return how many lines are still to be left out, and the block without them."""
    at = 0
    while count and (end := block.find(b"\n", at)) >= 0:
        at, count = end + 1, count - 1
    return (count, block[at:]) if not count else (count, b"")


def parquet_names(path: Path) -> list[str]:
    """Return the names of a parquet file's columns; raises `DataError`."""
    with _arrow_errors(path):
        return [str(name) for name in pq.read_schema(path).names]


def parquet_batches(
    path: Path, columns: Sequence[str], *, numbers: Sequence[str] = ()
) -> Iterator[pl.DataFrame]:
    """Yield the rows of some columns of a parquet file.

    `numbers` are those that have to be numeric, as 64-bit floats; all others become
    strings. Raises `DataError` for columns of another type, for broken files, and for
    files that declare more than they can hold.
    """
    with _arrow_errors(path):
        schema = pq.read_schema(path)
        for name in columns:
            if schema.names.count(name) > 1:
                raise DataError(f"{path}: has two columns called {shorten(name)}.")
            _check_type(schema.field(name), path, is_number=name in numbers)
        texts = [name for name in columns if name not in numbers]
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            check_rows(file.metadata, path)
            batches = file.iter_batches(
                _BATCH_ROWS, columns=list(columns), use_threads=False
            )
            for batch in batches:
                yield _as_polars(batch, columns, numbers, path)


def check_rows(metadata: pq.FileMetaData, path: Path) -> None:
    """Raise `DataError` where a file declares more rows or bytes than it can hold."""
    size = path.stat().st_size
    if metadata.num_rows > _FREE_ROWS + _ROWS_PER_BYTE * size:
        raise DataError(
            f"{path}: declares {metadata.num_rows:,} rows and has {size:,} bytes; "
            "expected tracks or labels. Is the file complete? Export it again."
        )
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group)
        for column in range(rows.num_columns):
            chunk = rows.column(column)
            if chunk.total_uncompressed_size > max(64 << 20, _COMPRESSION * size):
                raise DataError(
                    f"{path}: declares {chunk.total_uncompressed_size:,} bytes in a "
                    f"column and has {size:,}. Is the file complete? Export it again."
                )


@contextmanager
def _arrow_errors(path: Path) -> Iterator[None]:
    """Raise `DataError` for what Arrow and polars raise for broken files."""
    try:
        yield
    except DataError:
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError, *POLARS_ERRORS) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{path}: cannot be read as parquet ({reason}); copy it again."
        ) from error


def _check_type(field: pa.Field, path: Path, *, is_number: bool) -> None:
    """Raise `DataError` for a column that holds neither numbers nor texts."""
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    is_text |= pa.types.is_string_view(kind) or pa.types.is_binary(kind)
    is_count = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    is_count |= pa.types.is_decimal(kind) or pa.types.is_boolean(kind)
    if not (is_text or is_count or pa.types.is_null(kind)):
        wanted = "numbers" if is_number else "names"
        raise DataError(
            f"{path}: expected {wanted} in the column {shorten(field.name)}, found "
            f"{str(field.type)[:60]}."
        )


def _as_polars(
    batch: pa.RecordBatch, columns: Sequence[str], numbers: Sequence[str], path: Path
) -> pl.DataFrame:
    """Return some rows with 64-bit floats for numbers, and strings for all others."""
    made = {}
    for name in columns:
        column = batch.column(name)
        if name in numbers:
            if pa.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            if pa.types.is_binary(column.type):
                column = column.cast(pa.string())
            made[name] = pl.Series(pl.from_arrow(column)).cast(pl.Float64, strict=False)
        else:
            made[name] = _as_texts(column, name, path)
    return pl.DataFrame(made)


def _as_text(value: Any) -> str | None:
    """Return a cell as text; raises `ValueError` for bytes that are none."""
    if isinstance(value, bytes):
        return value.decode()
    return None if value is None else str(value)


def _as_texts(column: pa.Array, name: str, path: Path) -> pl.Series:
    """Return names; each occurs many times and is checked once."""
    if not pa.types.is_dictionary(column.type):
        if pa.types.is_binary(column.type) or pa.types.is_null(column.type):
            column = column.cast(pa.string())
        column = column.dictionary_encode()
    known = [_as_text(each) for each in column.dictionary.to_pylist()]
    if longest := next((n for n in known if n and len(n) > _LONGEST_NAME), None):
        raise DataError(
            f"{path}: {shorten(name)} has a name of {len(longest):,} characters; "
            f"expected at most {_LONGEST_NAME:,}."
        )
    names = pl.Series([*known, None], dtype=pl.String)
    codes = pl.Series(pl.from_arrow(column.indices)).cast(pl.Int64)
    return names.gather(codes.fill_null(len(known)))
