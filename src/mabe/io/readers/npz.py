"""Arrays of numbers in npz files (zip archives of npy), of bounded size.

Nothing is unpickled. What an array declares must be what its part of the file holds.
"""

import io
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mabe.errors import DataError
from mabe.io.readers.hdf5 import MAX_VALUES
from mabe.io.readers.npy import OF_NPY_HEADERS

_FREE_BYTES = 16 << 20

_COMPRESSION = 200
"""Coordinates become a few times smaller; columns of one value, a hundred times."""

_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, KeyError),
    *OF_NPY_HEADERS,
)


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return those of the named arrays of numbers that a file has.

    Raises `DataError` where the file is broken, or an array has no plain numbers.
    """
    arrays: dict[str, np.ndarray] = {}
    try:
        most = _FREE_BYTES + _COMPRESSION * path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            held = set(archive.namelist())
            for name in names:
                if f"{name}.npy" not in held:
                    continue
                info = archive.getinfo(f"{name}.npy")
                most -= info.file_size
                if most < 0:
                    raise DataError(
                        f"{path}: its arrays declare far more bytes than the file "
                        "holds; is it broken? Export it again."
                    )
                with archive.open(info) as file:
                    arrays[name] = _array(file.read(info.file_size + 1), name, path)
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(
            f"{path}: cannot be read as npz ({reason}); copy or export it again."
        ) from error
    return arrays


def _array(content: bytes, name: str, path: Path) -> np.ndarray:
    """Return the array of an npy file; raises `DataError` where it has no numbers."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, is_fortran, dtype = header(file)
    rest = content[file.tell() :]
    count = int(np.prod([int(side) for side in shape], dtype=object)) if shape else 1
    is_plain = dtype.kind in "biuf" and not dtype.hasobject
    if not is_plain or min(shape, default=0) < 0 or count > MAX_VALUES:
        raise DataError(f"{path}: {name} is no array of numbers ({dtype}, {shape}).")
    if count * dtype.itemsize != len(rest):
        raise DataError(
            f"{path}: {name} declares the shape {shape} and holds {len(rest):,} bytes; "
            "is the file cut off?"
        )
    return np.frombuffer(rest, dtype).reshape(shape, order="F" if is_fortran else "C")
