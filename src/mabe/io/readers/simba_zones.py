"""SimBA's regions of interest, ``ROI_definitions.h5``.

Three pandas tables in one HDF5 file: ``rectangles``, ``circleDf`` and ``polygons``,
each with the columns ``Video`` and ``Name``, in pixels (``topLeftX`` …; ``centerX``,
``centerY``, ``radius``; ``vertices``). Columns of objects are pickled arrays, which are
read as plain data. SimBA's ``width_cm``, ``Tags`` and colours are not used.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers.column_names import squeeze
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import attribute, open_hdf5, read_array, read_names
from mabe.io.readers.safe_pickle import plain_data
from mabe.io.readers.zone_tables import ZoneFile, zones_of_rows
from mabe.zones import Zone

TABLES = ("rectangles", "circleDf", "polygons")

_MOST_BLOCKS = 64


def is_simba_zones(peek: Peek) -> bool:
    """Return whether an HDF5 file holds SimBA's tables of regions."""
    return peek.kind == "hdf5" and peek.names.issuperset(TABLES)


def read_simba_zones(path: Path) -> ZoneFile:
    """Return the zones of each video, rectangles first, then circles, then polygons.

    Raises `DataError` for a file that is broken, or that is none of SimBA's.
    """
    found: dict[str, tuple[Zone, ...]] = {}
    with open_hdf5(path) as file:
        if lacking := [name for name in TABLES if name not in file]:
            raise DataError(
                f"{path}: has no table {lacking[0]!r}; expected SimBA's "
                f"ROI_definitions.h5, found {sorted(file)[:12]}."
            )
        for name in TABLES:
            rows = [
                {squeeze(str(column)): cell for column, cell in row.items()}
                for row in _rows(file[name], path)
            ]
            for video, zones in zones_of_rows(rows, path).items():
                found[video] = found.get(video, ()) + zones
    return ZoneFile(path, "px", found)


def _rows(table: h5py.Group, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a pandas "fixed" table; its columns lie in blocks of a type."""
    columns: dict[str, Any] = {}
    blocks = int(attribute(table, "nblocks", path, 0))
    for block in range(min(blocks, _MOST_BLOCKS)):
        names = read_names(table, f"block{block}_items", path)
        values = _values(table, f"block{block}_values", path)
        if values.size == 0:
            return  # a table without rows
        if values.ndim != 2 or values.shape[1] != len(names):
            raise DataError(
                f"{path}: {table.name} has {len(names)} columns of one type and "
                f"values of shape {values.shape}. Is the file broken?"
            )
        columns |= dict(zip(names, values.T, strict=True))
    if len({len(column) for column in columns.values()}) > 1:
        raise DataError(f"{path}: the columns of {table.name} differ in length.")
    for cells in zip(*columns.values(), strict=True):
        yield dict(zip(columns, cells, strict=True))


def _values(table: h5py.Group, name: str, path: Path) -> np.ndarray:
    """Return the values of a block, ``[row, column]``; those of objects are pickled."""
    values = read_array(table, name, path)
    if values.dtype != object:
        return values
    if values.shape != (1,):
        raise DataError(f"{path}: expected one pickled array as {name}.")
    unpickled = plain_data(bytes(values[0]), str(path))
    as_rows = np.empty(np.shape(unpickled)[:2] if len(unpickled) else 0, object)
    if as_rows.ndim == 2:
        for row, cells in enumerate(unpickled):
            for column, cell in enumerate(cells):
                as_rows[row, column] = cell
    return as_rows
