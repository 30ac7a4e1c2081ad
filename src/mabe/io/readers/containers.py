"""Files that contain others: gzip files, and workbooks of sheets.

What is inside is read as if it lay in a file of its own: ``study.boris.gz`` as a BORIS
project, and a sheet of an Excel workbook as a table in a text file. Dates and times of
cells become seconds: a time of day is a time from the beginning of the recording.
"""

import csv
import datetime
import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mabe.errors import DataError
from mabe.io.readers.file_head import Peek, read_text

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

_MAX_BYTES = 1 << 29
"""What a compressed file may contain; a table of 512 MB is no label file."""

_MAX_CELLS = 5_000_000


_FREE_BYTES = 16 << 20


_COMPRESSION = 100
"""Texts become about ten times smaller."""

_SEPARATOR = re.compile(rb"(\xef\xbb\xbf)?sep=[,;\t]\r?\n")
"""The line by which Excel is told how the cells of a CSV are separated."""

WORKBOOKS = ("xlsx", "xls", "ods")
"""The kinds of files that are workbooks."""


def open_peek(path: Path) -> Peek:
    """Return what is known of a file, or of the file that is compressed in it."""
    peek = Peek(path)
    if peek.kind == "gzip":
        peek = Peek(path, _decompress(path))
    if peek.kind == "text" and _SEPARATOR.match(peek.head):
        content = read_text(peek).removeprefix("\ufeff").split("\n", 1)[-1]
        return Peek(path, content.encode())
    return peek


def _decompress(path: Path) -> bytes:
    """Return the content of a gzip file, of bounded size."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        most = _most_bytes(path)
        with path.open("rb") as file:
            content = unpack.decompress(file.read(most), most)
    except (OSError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be decompressed ({error}); copy it again."
        ) from error
    if not unpack.eof:
        reason = "is cut off" if len(content) < most else "is too large"
        raise DataError(
            f"{path}: the compressed file {reason}; decompress it with gunzip first."
        )
    return content


def _most_bytes(path: Path) -> int:
    """Return how much a compressed file may contain, by its own size."""
    return min(_MAX_BYTES, _FREE_BYTES + _COMPRESSION * path.stat().st_size)


def sheets_of(peek: Peek) -> list[Peek]:
    """Return the cells of each sheet of a workbook, as texts.

    Where several have cells, each is named by its sheet instead of the file. Raises
    `DataError` where the workbook is broken or too large.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    if peek.kind != "xls":
        _check_size(peek)
    try:
        book = CalamineWorkbook.from_path(str(peek.path))
        found = {name: _rows(book, name, peek.path) for name in book.sheet_names}
    except (CalamineError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"{peek.path}: cannot be read as an Excel file ({reason}); open it and "
            "save the sheet as CSV (UTF-8)."
        ) from error
    used = {name: rows for name, rows in found.items() if rows}
    return [
        Peek(peek.path, _as_text(rows), name if len(used) > 1 else "")
        for name, rows in used.items()
    ]


def below(sheet: Peek, lines: int) -> Peek:
    """Return a sheet without so many of its first lines."""
    rest = (sheet.content or b"").split(b"\n", lines)[-1]
    return Peek(sheet.path, rest, sheet.sheet)


def _rows(book: "CalamineWorkbook", name: str, path: Path) -> list[list[object]]:
    """Return the cells of a sheet, of bounded size."""
    sheet = book.get_sheet_by_name(name)
    if sheet.total_height * sheet.total_width > _MAX_CELLS:
        raise DataError(
            f"{path}: sheet {name!r} declares {sheet.total_height:,} rows of "
            f"{sheet.total_width:,} cells; save it as CSV (UTF-8)."
        )
    return [list(row) for row in sheet.to_python(skip_empty_area=True)]


def _check_size(peek: Peek) -> None:
    """Raise `DataError` where the sheets are larger than any table of labels."""
    try:
        with zipfile.ZipFile(peek.path) as archive:
            size = sum(each.file_size for each in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(
            f"{peek.path}: an Excel file that is cut off or broken ({error})."
        ) from error
    if size > _most_bytes(peek.path):
        raise DataError(
            f"{peek.path}: an Excel file of {size:,} bytes; save the sheet as CSV."
        )


def _as_text(rows: Sequence[Sequence[object]]) -> bytes:
    """Return a sheet as a table whose cells are separated by tabs."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _cell(cell: object) -> str:
    """Return a cell as text: whole numbers without a point, times in seconds."""
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime.timedelta):
        return f"{cell.total_seconds():.6f}".rstrip("0").rstrip(".")
    if isinstance(cell, datetime.time):
        moment = datetime.datetime.combine(datetime.date.min, cell)
        return _cell(moment - datetime.datetime.min)
    return " ".join(str(cell).split())
