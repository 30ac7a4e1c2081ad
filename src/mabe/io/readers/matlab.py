"""MATLAB's MAT-files of level 5 (versions 5 to 7.2), read as plain data.

A file is a header of 128 bytes and a data element for each variable, which may be
compressed. An element is a tag (type, number of bytes) and its content; a matrix is an
element of elements: flags, dimensions, name, then its values or, in cells and
structures, further matrices. Numbers become arrays, text a string, a cell array a list,
a structure array a list of dictionaries (both in MATLAB's order, down the columns).
Sparse matrices, functions and objects of classes are None.

SciPy reads these files too, and allocates what they declare; here every size is checked
against the bytes that are there. Files of version 7.3 are HDF5
(`mabe.io.readers.matlab_hdf5`) and give the same values.

Source: The MathWorks, "MAT-File Format".
"""

import functools
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mabe.errors import DataError
from mabe.io.readers.file_head import Peek
from mabe.io.readers.matlab_hdf5 import Hdf5Variables

_HEADER_BYTES = 128

_NUMBERS = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}

_TEXTS = {1: "latin-1", 2: "latin-1", 16: "utf-8", 17: "utf-16", 18: "utf-32"}

_UINT16 = 4

_MATRIX, _COMPRESSED = 14, 15

_CELL, _STRUCT, _OBJECT, _CHAR = 1, 2, 3, 4

_NUMERIC_CLASSES = range(6, 16)

_DEEPEST = 24

_MAX_BYTES = 2 << 30

_FREE_BYTES = 16 << 20

_COMPRESSION = 200

_VERSION_73 = b"MATLAB 7.3"

Struct = dict[str, Any]

Variables = Mapping[str, Any]


def variables_of(peek: Peek) -> Variables:
    """Return the variables of a file by their names; raises `DataError`."""
    status = peek.path.stat()
    return _variables(peek.path, status.st_size, status.st_mtime_ns)


def is_mat(peek: Peek) -> bool:
    """Return whether a file is a MAT-file."""
    return peek.kind == "matlab"


@functools.lru_cache(maxsize=1)
def _variables(path: Path, size: int, changed_ns: int) -> Variables:
    try:
        with path.open("rb") as file:
            if file.read(len(_VERSION_73)) == _VERSION_73:
                return Hdf5Variables(path)
        content = path.read_bytes()
        order = ">" if content[126:128] == b"MI" else "<"
        reader = _Elements(order, min(_MAX_BYTES, _FREE_BYTES + _COMPRESSION * size))
        return reader.variables(content[_HEADER_BYTES:])
    except (ValueError, StopIteration, zlib.error, struct.error, OSError) as error:
        reason = " ".join(str(error).split())[:100] or "it ends early"
        raise DataError(
            f"{path}: cannot be read as a MATLAB file ({reason}); copy it again."
        ) from error


@dataclass(frozen=True, slots=True)
class _Elements:
    """How the elements of one file are read."""

    order: str
    """The order of bytes: ``<`` or ``>``."""
    most_bytes: int
    """What compressed elements may contain."""

    def variables(self, content: bytes) -> Struct:
        """Return the variables of all elements."""
        found: Struct = {}
        free = self.most_bytes
        for kind, data in self.split(content):
            if kind == _COMPRESSED:
                unpack = zlib.decompressobj()
                inner = unpack.decompress(data, free)
                free -= len(inner)
                if unpack.unconsumed_tail or free <= 0:
                    raise ValueError("a variable is too large")
                matrices = [each for k, each in self.split(inner) if k == _MATRIX]
            else:
                matrices = [data] if kind == _MATRIX else []
            for matrix in matrices:
                name, value = self.matrix(matrix, 0)
                found[name] = value
        return found

    def split(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the type and content of each element."""
        at = 0
        while at + 8 <= len(content):
            kind, size = struct.unpack_from(f"{self.order}II", content, at)
            if kind >> 16:  # at most 4 bytes, beside the tag
                kind, size = kind & 0xFFFF, kind >> 16
                start, step = at + 4, 8
            else:
                padding = 0 if kind == _COMPRESSED else -size % 8
                start, step = at + 8, 8 + size + padding
            if start + size > len(content):
                raise ValueError(f"an element of {size:,} bytes is cut off")
            yield kind, content[start : start + size]
            at += step

    def matrix(self, content: bytes, depth: int) -> tuple[str, Any]:
        """Return the name and value of a matrix; an empty element is an empty array."""
        if depth > _DEEPEST:
            raise ValueError(f"structures are nested more than {_DEEPEST} deep")
        if not content:
            return "", np.empty(0)
        parts = self.split(content)
        _, flags = next(parts)
        kind = struct.unpack_from(f"{self.order}I", flags)[0] & 0xFF
        if kind not in (_CELL, _STRUCT, _OBJECT, _CHAR, *_NUMERIC_CLASSES):
            return "", None
        shape = self.numbers(*next(parts)).tolist()
        name = next(parts)[1].decode("latin-1")
        if len(shape) < 2 or min(shape) < 0:
            raise ValueError(f"a matrix declares the shape {shape}")
        count = math.prod(shape)
        if kind == _CHAR:
            return name, self.text(*next(parts))
        if kind in _NUMERIC_CLASSES:
            values = self.numbers(*next(parts))
            if values.size != count:
                raise ValueError(f"{name} of the shape {shape} has {values.size:,}")
            return name, values.reshape(shape, order="F")
        if kind == _CELL:
            return name, self.matrices(parts, count, len(content), depth)
        if kind == _OBJECT:
            next(parts)  # the name of the class
        fields = self.field_names(parts)
        flat = self.matrices(parts, count * len(fields), len(content), depth)
        rows = range(0, len(flat), len(fields) or 1)
        return name, [
            dict(zip(fields, flat[at : at + len(fields)], strict=True)) for at in rows
        ]

    def matrices(
        self, parts: Iterator[tuple[int, bytes]], count: int, size: int, depth: int
    ) -> list[Any]:
        """Return the values of so many matrices, which have a tag of 8 bytes each."""
        if count * 8 > size:
            raise ValueError(f"{count:,} cells are declared in {size:,} bytes")
        return [self.matrix(next(parts)[1], depth + 1)[1] for _ in range(count)]

    def field_names(self, parts: Iterator[tuple[int, bytes]]) -> list[str]:
        """Return the names of a structure's fields, which are padded with zeros."""
        length = int(self.numbers(*next(parts))[0])
        names = next(parts)[1]
        if length < 1:
            raise ValueError("names of fields have no length")
        cut = [names[at : at + length] for at in range(0, len(names), length)]
        return [each.split(b"\0")[0].decode("latin-1") for each in cut]

    def numbers(self, kind: int, content: bytes) -> np.ndarray:
        """Return the numbers of an element."""
        if kind not in _NUMBERS:
            raise ValueError(f"an element of type {kind} instead of numbers")
        return np.frombuffer(content, self.order + _NUMBERS[kind])

    def text(self, kind: int, content: bytes) -> str:
        """Return the characters of an element."""
        if kind == _UINT16:
            encoding = "utf-16-le" if self.order == "<" else "utf-16-be"
        elif kind in _TEXTS:
            wide = "-le" if self.order == "<" else "-be"
            encoding = _TEXTS[kind] + (wide if kind in (17, 18) else "")
        else:
            raise ValueError(f"an element of type {kind} instead of text")
        return content.decode(encoding, errors="replace")


def flat_numbers(value: Any) -> np.ndarray:
    """Return the numbers of a matrix in one row; none where it holds no numbers."""
    if not isinstance(value, np.ndarray):
        return np.empty(0)
    return value.ravel(order="F").astype(np.float64)


def number_of(value: Any) -> float | None:
    """Return the first finite number of a matrix, where it has one."""
    numbers = flat_numbers(value)
    return float(numbers[0]) if len(numbers) and math.isfinite(numbers[0]) else None
