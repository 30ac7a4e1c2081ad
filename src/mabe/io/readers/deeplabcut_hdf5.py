"""DeepLabCut's tracks in HDF5 files, and the clips of MABe22, which have their form.

They are pandas tables, "fixed" (arrays ``axis0_level*`` and ``block0_values``) or
"table" (a PyTables table, its column names pickled in an attribute), and are read with
h5py alone. What the columns mean is in `mabe.io.readers.deeplabcut`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers.annotations import Content
from mabe.io.readers.deeplabcut import (
    LEVELS,
    ONE_ANIMAL,
    TRAINING_DATA,
    Column,
    poses_of_columns,
    refuse_pictures,
)
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import (
    attribute,
    open_hdf5,
    read_array,
    read_names,
    text,
    texts,
)
from mabe.io.readers.left_out import NothingToImport
from mabe.io.readers.safe_pickle import plain_data

MABE22_FPS = 30.0


def is_hdf5(peek: Peek) -> bool:
    """Return whether an HDF5 file is a pandas table of DeepLabCut's."""
    if peek.kind != "hdf5":
        return False
    with open_hdf5(peek.path) as file:
        return any(_is_pandas(file[name], peek.path) for name in peek.names)


def _is_pandas(group: Any, path: Path) -> bool:
    return isinstance(group, h5py.Group) and text(
        attribute(group, "pandas_type", path, b"")
    ) in ("frame", "frame_table")


def read_hdf5(peek: Peek) -> Content:
    """Return the tracks of an HDF5 file."""
    with open_hdf5(peek.path) as file:
        groups = [file[name] for name in sorted(file)]
        found = [group for group in groups if _is_pandas(group, peek.path)]
        if len(found) > 1:
            raise DataError(
                f"{peek.path}: holds {len(found)} tables "
                f"({[group.name for group in found]}); expected one, as DeepLabCut "
                "writes it."
            )
        is_table = text(attribute(found[0], "pandas_type", peek.path)) == "frame_table"
        read = _read_appendable if is_table else _read_fixed
        frames, values, names, levels = read(found[0], peek.path)
    columns = [_column(name, levels, peek.path) for name in names]
    poses = poses_of_columns(peek.path, frames, values, columns)
    # MABe22's clips are stored as DeepLabCut's tables; all have 30 fps.
    if poses.tracker == "dlcscorer" and len(poses.keypoints) == 12:
        return Content("MABe22 HDF5", (replace(poses, fps=MABE22_FPS),))
    kind = "several animals" if len(poses.animals) > 1 else "one animal"
    return Content(f"DeepLabCut HDF5 ({kind})", (poses,))


def _read_fixed(
    group: h5py.Group, path: Path
) -> tuple[Any, Any, list[tuple[str, ...]], list[str]]:
    """Read a pandas "fixed" frame: index, values, column names, level names."""
    if "axis1_level0" in group:  # the path of a picture in three parts
        raise NothingToImport(path, TRAINING_DATA)
    frames = read_array(group, "axis1", path, ndim=1)
    _refuse_named_rows(frames, path)
    values = read_array(group, "block0_values", path, ndim=2)
    if int(attribute(group, "nblocks", path, 1)) != 1:
        raise DataError(f"{path}: expected numbers of one type, found several blocks.")
    levels, columns = [], []
    for level in range(int(attribute(group, "axis0_nlevels", path, 0))):
        known = read_names(group, f"block0_items_level{level}", path)
        codes = read_array(group, f"block0_items_label{level}", path, ndim=1)
        named = group[f"block0_items_level{level}"]
        levels.append(text(attribute(named, "name", path, "")))
        if len(codes) and not 0 <= codes.min() <= codes.max() < len(known):
            raise DataError(f"{path}: column names of level {level} are broken.")
        columns.append([known[code] for code in codes])
    return frames, values, list(zip(*columns, strict=True)), levels


def _read_appendable(
    group: h5py.Group, path: Path
) -> tuple[Any, Any, list[tuple[str, ...]], list[str]]:
    """Read a pandas "table" frame, whose column names are pickled."""
    table = group.get("table")
    if not isinstance(table, h5py.Dataset) or table.dtype.names is None:
        raise DataError(f"{path}: expected a table in {group.name}, found none.")
    blocks = [name for name in table.dtype.names if name.startswith("values_block_")]
    kinds = [
        plain_data(bytes(attribute(table, f"{block}_kind", path)), str(path))
        for block in blocks
    ]
    if "index" not in table.dtype.names:
        raise NothingToImport(path, TRAINING_DATA)
    rows = read_array(group, "table", path)
    _refuse_named_rows(rows["index"], path)
    values = np.concatenate([np.atleast_2d(rows[block]) for block in blocks], axis=1)
    info = plain_data(bytes(attribute(group, "info", path)), str(path))
    levels = [str(name) for name in info.get(1, {}).get("names", [])]
    return (
        rows["index"],
        values,
        [tuple(name) for kind in kinds for name in kind],
        levels,
    )


def _refuse_named_rows(index: np.ndarray, path: Path) -> None:
    """Raise an error where rows are named by texts instead of frame numbers."""
    if index.dtype.kind not in "SOU":
        return
    refuse_pictures(path, texts(index[:8]))
    raise DataError(
        f"{path}: expected frame numbers as rows, found {texts(index[:3])}."
    )


def _column(name: Sequence[str], levels: Sequence[str], path: Path) -> Column:
    """Return the content of a column of several levels."""
    if not all(level in levels for level in ("bodyparts", "coords")):
        levels = LEVELS if len(name) == 4 else ("scorer", "bodyparts", "coords")
    if len(name) != len(levels):
        raise DataError(
            f"{path}: expected columns named by {', '.join(LEVELS)}, found {name!r}. "
            "Is this a table of DeepLabCut?"
        )
    of = dict(zip(levels, name, strict=True))
    return Column(
        of.get("scorer", ""),
        of.get("individuals", ONE_ANIMAL),
        of["bodyparts"],
        of["coords"].lower(),
    )
