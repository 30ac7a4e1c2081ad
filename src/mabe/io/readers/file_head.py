"""The beginning of a file, from which its format is recognised, not from its name.

A `Peek` has the first bytes, the first lines where the file is text, and the names
inside where it is HDF5 or a zip archive. Nothing large is read for it. Compressed files
and sheets of workbooks are read as what they contain (`mabe.io.readers.containers`).
"""

import codecs
import csv
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mabe.errors import DataError
from mabe.io.readers.hdf5 import attributes, open_hdf5, text
from mabe.runtime.documents import parse_json

_HEAD_BYTES = 1 << 18


_HEAD_LINES = 200


_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


_MAGICS = {
    b"PAR1": "parquet",
    b"\x93NUMPY": "npy",
    b"CDF\x01": "netcdf3",
    b"CDF\x02": "netcdf3",
    b"CDF\x05": "netcdf3",
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gzip",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "xls",
    b"SQLite format 3\0": "sqlite",
    b"MATLAB 5.0 MAT-file": "matlab",
    b"MATLAB 7.3 MAT-file": "matlab",
    b"\x80": "pickle",
}


_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


_DELIMITERS = ",\t;"


@dataclass(frozen=True)
class Peek:
    """What is known of a file without reading it whole."""

    path: Path
    content: bytes | None = None
    """What is read instead of the file's own bytes: a decompressed file, or a sheet."""
    sheet: str = ""
    """The name of one of several sheets."""

    @property
    def stem(self) -> str:
        """The file's name without its endings, or the name of one of its sheets."""
        if self.sheet:
            return self.sheet
        return Path(self.path.name.removesuffix(".gz")).stem

    @cached_property
    def head(self) -> bytes:
        """The first bytes."""
        if self.content is not None:
            return self.content[:_HEAD_BYTES]
        try:
            with self.path.open("rb") as file:
                return file.read(_HEAD_BYTES)
        except FileNotFoundError as error:
            raise DataError(f"{self.path}: there is no such file.") from error
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error}.") from error

    @cached_property
    def kind(self) -> str:
        """What the file is: hdf5, parquet, npy, json, text, empty, zip, binary …."""
        if not self.head:
            return "empty"
        if self.head.startswith(_HDF5_MAGIC):
            return "hdf5"
        for magic, kind in _MAGICS.items():
            if self.head.startswith(magic):
                return self._kind_of_zip() if kind == "zip" else kind
        if self.encoding == "binary":
            return "binary"
        return "json" if self.text.lstrip()[:1] in ("{", "[") else "text"

    def _kind_of_zip(self) -> str:
        """Return xlsx or ods for a workbook, npz for arrays, zip for others."""
        if any(name.startswith("xl/") for name in self.members):
            return "xlsx"
        if {"content.xml", "mimetype"} <= self.members:
            return "ods"
        arrays = [name.endswith(".npy") for name in self.members]
        return "npz" if arrays and all(arrays) else "zip"

    @cached_property
    def members(self) -> frozenset[str]:
        """The names in a zip archive."""
        if not self.head.startswith(b"PK"):
            return frozenset()
        try:
            with zipfile.ZipFile(self.path) as archive:
                return frozenset(archive.namelist())
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return frozenset()  # cut off

    @cached_property
    def encoding(self) -> str:
        """The encoding of a text; ``binary`` where it is none."""
        for bom, name in _BOMS.items():
            if self.head.startswith(bom):
                return name
        if b"\0" in self.head:
            return "binary"
        try:
            # The last character may be incomplete.
            self.head[:-4].decode("utf-8")
        except UnicodeDecodeError:
            return "cp1252"
        return "utf-8"

    @cached_property
    def text(self) -> str:
        """The first bytes as text; nothing where they are none."""
        if self.encoding == "binary":
            return ""
        return self.head.decode(self.encoding, errors="replace")

    @cached_property
    def lines(self) -> list[str]:
        """The first lines."""
        return self.text.splitlines()[:_HEAD_LINES]

    @cached_property
    def delimiter(self) -> str:
        """The separator of a table's cells: the likeliest of comma, tab and semicolon.

        Semicolons are preferred to commas where both occur in as many lines: the commas
        are then decimal separators.
        """
        lines = [line for line in self.lines if line.strip()]
        best = {
            sign: (sum(sign in line for line in lines), sign == ";", sign == "\t")
            for sign in _DELIMITERS
        }
        return max(best, key=lambda sign: best[sign])

    @cached_property
    def rows(self) -> list[list[str]]:
        """The first rows of a table, cells stripped."""
        reader = csv.reader(self.lines, delimiter=self.delimiter)
        try:
            return [[cell.strip() for cell in row] for row in reader]
        except csv.Error:  # a line of a hundred thousand characters: no table
            return []

    @cached_property
    def names(self) -> frozenset[str]:
        """The names at the top of an HDF5 file."""
        if self.kind != "hdf5":
            return frozenset()
        with open_hdf5(self.path) as file:
            return frozenset(text(name) for name in file)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The attributes at the top of an HDF5 file."""
        if self.kind != "hdf5":
            return {}
        with open_hdf5(self.path) as file:
            return attributes(file, self.path)


def read_json(peek: Peek) -> Any:
    """Return the values of a JSON file; raises `DataError` where it is broken."""
    try:
        return parse_json(read_text(peek))
    except ValueError as error:
        raise DataError(
            f"{peek.path}: cannot be read as JSON ({error}); is it cut off?"
        ) from error


def read_text(peek: Peek) -> str:
    """Return a whole text file; a character that cannot be decoded is replaced."""
    if peek.content is not None:
        return peek.content.decode(peek.encoding, errors="replace")
    try:
        return peek.path.read_bytes().decode(peek.encoding, errors="replace")
    except OSError as error:
        raise DataError(f"{peek.path}: cannot be read: {error}.") from error
