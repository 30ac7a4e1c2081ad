"""HDF5 files: h5py's errors become `DataError`, memory is bounded, one file is read.

A header can declare more than the file holds (unwritten chunks need no space), and a
dataset can have its values in any other file of the machine (external links, external
storage, virtual datasets). So files with parts elsewhere are refused when they are
opened, and every array, name and attribute is sized before it is read. Readers read by
the functions here alone.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.recording import MAX_FRAMES

MAX_VALUES = 1 << 30
"""Files with larger arrays are treated as broken: 4 GiB as float32."""


_SMALL_BYTES = 64 << 20


_SMALL_COMPRESSION = 1200
"""Deflate makes data at most about a thousand times smaller."""


_USUAL_COMPRESSION = 100
"""Of large arrays: tracks in which nearly every point is missing become 80 times
smaller."""


_MOST_NAME_BYTES = 4 << 20
"""Of a list of names, or of a text."""


_MOST_LINKS = 1_000_000


_OPEN_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""h5py raises any of these for broken files."""


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file to read; h5py's errors become one line.

    Raises `DataError` where parts of it are in other files.
    """
    try:
        status = path.stat()
        with h5py.File(path, "r") as file:
            _refuse_parts_elsewhere(path, status.st_size, status.st_mtime_ns)
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file.") from error
    except _OPEN_ERRORS as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read as HDF5 ({reason}); is it cut off? Copy it again."
        ) from error


@functools.lru_cache(maxsize=64)
def _refuse_parts_elsewhere(path: Path, size: int, changed_ns: int) -> None:
    """Raise `DataError` where a link or a dataset leads to another file."""
    with h5py.File(path, "r") as file:
        links = 0
        elsewhere: list[str] = []

        def look(name: bytes, info: Any) -> bool | None:
            nonlocal links
            links += 1
            if info.type == h5py.h5l.TYPE_EXTERNAL:
                elsewhere.append(f"the external link {text(name)}")
            return bool(elsewhere) or links > _MOST_LINKS or None

        file.id.links.visit(look, info=True)
        if links > _MOST_LINKS:
            raise DataError(
                f"{path}: has over {_MOST_LINKS:,} objects; expected tracks or labels. "
                "Is the file broken?"
            )
        if not elsewhere and (found := file.visititems(_stored_elsewhere)):
            elsewhere.append(found)
    if elsewhere:
        raise DataError(
            f"{path}: {elsewhere[0]} reads another file, which is not followed; save a "
            "copy that holds its data itself."
        )


def _stored_elsewhere(_: str, item: h5py.HLObject) -> str | None:
    """Return what of an object is in other files; None where nothing is."""
    if not isinstance(item, h5py.Dataset):
        return None
    if item.external:
        return f"the external storage of {item.name}"
    return f"the virtual dataset {item.name}" if item.is_virtual else None


def read_array(parent: h5py.Group, name: str, path: Path, *, ndim: int = 0) -> Any:
    """Return a whole array of numbers or texts, checked before it is read.

    Raises `DataError` where it is absent, has another number of axes than `ndim`
    (0: any), is longer than any recording, or holds far less than it declares.
    """
    dataset = parent.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise DataError(
            f"{path}: expected the array {name!r} in {parent.name}, found "
            f"{sorted(parent)[:12]}."
        )
    if ndim and dataset.ndim != ndim:
        raise DataError(
            f"{path}: {name} should have {ndim} axes, found the shape {dataset.shape}."
        )
    check_size(dataset, path)
    return dataset[()]


def read_names(parent: h5py.Group, name: str, path: Path) -> tuple[str, ...]:
    """Return a list of names, or one text as a list of one.

    Raises `DataError` where it is absent, or longer than any list of names.
    """
    dataset = parent.get(name)
    if isinstance(dataset, h5py.Dataset):
        _check_names(dataset, path)
    return texts(read_array(parent, name, path))


def read_text(parent: h5py.Group, name: str, path: Path) -> str:
    """Return a text; an empty one where there is none.

    Raises `DataError` where it is longer than any text.
    """
    return "".join(read_names(parent, name, path)[:1]) if name in parent else ""


def read_number(parent: h5py.Group, name: str, path: Path) -> float:
    """Return the only number of a dataset; raises `DataError` where it is none."""
    dataset = parent.get(name)
    if not isinstance(dataset, h5py.Dataset) or dataset.size != 1:
        raise DataError(f"{path}: expected one number as {name!r} in {parent.name}.")
    return float(np.ravel(dataset[()])[0])


def attribute(holder: h5py.HLObject, name: str, path: Path, default: Any = None) -> Any:
    """Return an attribute, or `default` where there is none or it is empty.

    Raises `DataError` where it declares more than the file holds.
    """
    if name not in holder.attrs:
        return default
    held = holder.attrs.get_id(name)
    size = held.get_space().get_simple_extent_npoints() * held.get_type().get_size()
    if size > min(_MOST_NAME_BYTES * 4, path.stat().st_size):
        raise DataError(
            f"{path}: the attribute {name!r} of {holder.name} declares {size:,} bytes, "
            "more than the file can hold for it. Is the file broken?"
        )
    value = holder.attrs[name]
    return default if isinstance(value, h5py.Empty) else value


def attributes(holder: h5py.HLObject, path: Path) -> dict[str, Any]:
    """Return all attributes that are not empty; raises as `attribute` does."""
    values = {str(name): attribute(holder, name, path) for name in holder.attrs}
    return {name: value for name, value in values.items() if value is not None}


def check_size(dataset: h5py.Dataset, path: Path) -> None:
    """Raise `DataError` where an array cannot have the size it declares."""
    size = dataset.size or 0
    if max(dataset.shape or (), default=0) > MAX_FRAMES or size > MAX_VALUES:
        raise DataError(
            f"{path}: {dataset.name} declares the shape {dataset.shape}; expected "
            f"at most {MAX_FRAMES:,} frames and {MAX_VALUES:,} values. Is the file "
            "broken?"
        )
    declared = size * dataset.dtype.itemsize
    held = dataset.id.get_storage_size()
    is_small = declared <= _SMALL_BYTES
    allowed = held * (_SMALL_COMPRESSION if is_small else _USUAL_COMPRESSION)
    if declared > 1 << 20 and allowed < declared:
        raise DataError(
            f"{path}: {dataset.name} declares {declared:,} bytes and holds {held:,}; "
            "is the file complete? Copy or export it again."
        )


def check_all_sizes(file: h5py.File, path: Path) -> None:
    """Raise `DataError` where any array of a file cannot have its size.

    For files that a library reads, which does not check.
    """

    def look(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            check_size(item, path)

    file.visititems(look)


def _check_names(dataset: h5py.Dataset, path: Path) -> None:
    declared = (dataset.size or 0) * dataset.dtype.itemsize
    if declared > _MOST_NAME_BYTES:
        raise DataError(
            f"{path}: {dataset.name} declares {declared:,} bytes of names (shape "
            f"{dataset.shape}); expected at most {_MOST_NAME_BYTES:,}. Is the file "
            "broken?"
        )


def texts(values: Any) -> tuple[str, ...]:
    """Return an array of texts, bytes or not, as plain strings."""
    return tuple(text(value) for value in np.ravel(values))


def text(value: Any) -> str:
    """Return one text of an HDF5 file, bytes or not."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)
