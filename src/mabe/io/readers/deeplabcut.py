"""DeepLabCut's tracks: CSV and HDF5, of one animal or several.

Columns have the levels scorer, (individuals,) bodyparts, coords; coords are x, y and
likelihood, in any order; rows are frames. In CSV the levels are the first header rows;
HDF5 files are pandas tables, "fixed" (arrays ``axis0_level*`` and ``block0_values``) or
"table" (a PyTables table, its column names pickled in an attribute). Both are read with
h5py alone.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from mabe.errors import DataError
from mabe.io.readers.annotations import Content
from mabe.io.readers.csv_numbers import has_cut_row, read_numbers
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
from mabe.io.readers.poses import USUAL_CONFIDENCE, Poses, place_frames
from mabe.io.readers.safe_pickle import plain_data

_LEVELS = ("scorer", "individuals", "bodyparts", "coords")


_LIKELIHOOD = ("likelihood", "confidence", "prob")


ONE_ANIMAL = "animal1"


TRAINING_DATA = (
    "the frames labelled to train DeepLabCut, or an evaluation of it, not the tracks "
    "of a video; give the file that `analyze_videos` wrote."
)


_PICTURE = re.compile(r"\.(png|jpe?g|bmp|tiff?)$", re.IGNORECASE)


_NO_ANIMAL = "single"
"""The individual under which DeepLabCut has keypoints that no animal has."""


MABE22_FPS = 30.0


@dataclass(frozen=True, slots=True)
class _Column:
    """The content of one column of numbers."""

    scorer: str
    animal: str
    keypoint: str
    coord: str


def recording_stem(path: Path, scorer: str = "") -> str:
    """Return the name of the video a DeepLabCut file was made from.

    DeepLabCut adds its scorer to the video's name. Where the scorer of the file is not
    in its name, the last part that looks like one begins the addition: a video's own
    name may have *DLC* in it.
    """
    stem = path.stem
    if len(scorer) >= _SCORER_SIGNS and (at := stem.rfind(scorer)) > 0:
        return stem[:at].rstrip("_")
    for pattern in _SCORERS:
        if found := [match.start() for match in re.finditer(pattern, stem)]:
            return stem[: found[-1]] or stem
    return stem


_SCORERS = (
    r"(DLC_|DeepCut_)(?=(resnet|mobilenet|efficientnet|dlcrnet|hrnet|dekr|cspnext|rtm)"
    r"[^/]*shuffle\d)",
    r"(DLC_|DLC(?=[A-Z])|DeepCut_)(?=[^/]*shuffle\d)",
    r"DLC_|DLC(?=[A-Z])|DeepCut_",
)
"""How DeepLabCut's scorers begin, the most certain way first."""

_SCORER_SIGNS = 6
"""A shorter scorer may be in a video's name by chance."""


def is_csv(peek: Peek) -> bool:
    """Return whether a text has DeepLabCut's header rows."""
    if peek.kind != "text":
        return False
    levels = _header(peek)
    heads = list(levels)
    if heads[:3] != ["scorer", "bodyparts", "coords"] and heads != list(_LEVELS):
        return False
    return {coord.lower() for coord in levels["coords"]} >= {"x", "y"}


def _columns_before(peek: Peek) -> int:
    """Return 1 where pandas saved the table with numbers of rows before it."""
    first = peek.rows[0] if peek.rows else []
    return int(len(first) > 2 and [c.lower() for c in first[:2]] == ["", "scorer"])


def _header(peek: Peek) -> dict[str, list[str]]:
    """Return the names of the levels of columns, and the cells of each."""
    before = _columns_before(peek)
    rows = [row[before:] for row in peek.rows[:4]]
    return {row[0].lower(): row[1:] for row in rows if row}


def read_csv(peek: Peek) -> Content:
    """Return the tracks of a CSV."""
    levels, before = _header(peek), _columns_before(peek)
    count = 4 if "individuals" in levels else 3
    _refuse_pictures(
        peek.path, [c for row in peek.rows[count : count + 1] for c in row]
    )
    width = len(levels["coords"])
    if any(len(levels[name]) != width for name in _LEVELS if name in levels):
        raise DataError(
            f"{peek.path}: the header rows have different lengths "
            f"({ {name: len(row) for name, row in levels.items()} }); expected one "
            "cell a column in each."
        )
    columns = [
        _Column(scorer, animal, part, coord.lower())
        for scorer, animal, part, coord in zip(
            levels.get("scorer", [""] * width),
            levels.get("individuals", [ONE_ANIMAL] * width),
            levels["bodyparts"],
            levels["coords"],
            strict=True,
        )
    ]
    whole = before + 1 + width
    table = read_numbers(peek, skip_rows=count, columns=whole)[:, before:]
    notes: tuple[str, ...] = ()
    if has_cut_row(peek, whole):
        table, notes = table[:-1], ("the last row is cut off and was left out",)
    poses = poses_of_columns(peek.path, table[:, 0], table[:, 1:], columns)
    kind = "several animals" if count == 4 else "one animal"
    return Content(f"DeepLabCut CSV ({kind})", poses=(poses.noting(*notes),))


def _refuse_pictures(path: Path, cells: Iterable[str]) -> None:
    """Raise `NothingToImport` for frames labelled to train DeepLabCut.

    Their rows are pictures, named by a path in one cell, or in three since version
    2.2.
    """
    if any(_PICTURE.search(cell) for cell in cells):
        raise NothingToImport(path, TRAINING_DATA)


def is_evaluation(peek: Peek) -> bool:
    """Return whether a table holds errors of DeepLabCut's networks."""
    if peek.kind != "text" or not peek.rows:
        return False
    names = {name.rstrip(":") for name in peek.rows[0]}
    trained = {"Training iterations", "Training epochs"}
    return "Shuffle number" in names and bool(trained & names)


def refuse_evaluation(peek: Peek) -> Content:
    """Raise `NothingToImport`: there are no tracks in it."""
    raise NothingToImport(peek.path, TRAINING_DATA)


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
    _refuse_pictures(path, texts(index[:8]))
    raise DataError(
        f"{path}: expected frame numbers as rows, found {texts(index[:3])}."
    )


def _column(name: Sequence[str], levels: Sequence[str], path: Path) -> _Column:
    """Return the content of a column of several levels."""
    if not all(level in levels for level in ("bodyparts", "coords")):
        levels = _LEVELS if len(name) == 4 else ("scorer", "bodyparts", "coords")
    if len(name) != len(levels):
        raise DataError(
            f"{path}: expected columns named by {', '.join(_LEVELS)}, found {name!r}. "
            "Is this a table of DeepLabCut?"
        )
    of = dict(zip(levels, name, strict=True))
    return _Column(
        of.get("scorer", ""),
        of.get("individuals", ONE_ANIMAL),
        of["bodyparts"],
        of["coords"].lower(),
    )


def _without_unique_parts(
    columns: Sequence[_Column], values: np.ndarray
) -> tuple[Sequence[_Column], np.ndarray, list[str]]:
    """Return the columns without keypoints of no animal, such as a box's corners."""
    kept = [at for at, column in enumerate(columns) if column.animal != _NO_ANIMAL]
    if len(kept) in (0, len(columns)):
        return columns, values, []
    gone = dict.fromkeys(c.keypoint for c in columns if c.animal == _NO_ANIMAL)
    note = f"keypoints of no animal left out: {', '.join(gone)}"
    return [columns[at] for at in kept], values[:, kept], [note]


def _scorers(columns: Sequence[_Column]) -> list[str]:
    """Return the scorers; those that pandas numbered (``net.1``, ``net.2``) are one."""
    names = dict.fromkeys(column.scorer for column in columns)
    return [
        name
        for name in names
        if (base := re.sub(r"\.\d+$", "", name)) == name or base not in names
    ]


def poses_of_columns(
    path: Path,
    frames: Float[np.ndarray, " row"] | np.ndarray,
    values: np.ndarray,
    columns: Sequence[_Column],
) -> Poses:
    """Return columns of coordinates in the order animal, keypoint, xy."""
    if len(columns) != values.shape[1]:
        raise DataError(
            f"{path}: {len(columns)} column names for {values.shape[1]} columns."
        )
    columns, values, notes = _without_unique_parts(columns, values)
    scorers = _scorers(columns)
    if len(scorers) > 1:
        raise DataError(
            f"{path}: tracks of {len(scorers)} scorers ({', '.join(scorers)}); keep "
            "one."
        )
    animals = tuple(dict.fromkeys(column.animal for column in columns))
    keypoints = tuple(dict.fromkeys(column.keypoint for column in columns))
    shape = (len(values), len(animals), len(keypoints))
    xy = np.full((*shape, 2), np.nan, np.float32)
    confidence = np.full(shape, np.nan, np.float32)
    has_confidence = False
    for at, column in enumerate(columns):
        animal = animals.index(column.animal)
        keypoint = keypoints.index(column.keypoint)
        if column.coord in ("x", "y"):
            xy[:, animal, keypoint, "xy".index(column.coord)] = values[:, at]
        elif column.coord in _LIKELIHOOD:
            confidence[:, animal, keypoint] = values[:, at]
            has_confidence = True
    both = np.concatenate([xy, confidence[..., None]], axis=-1)
    first, placed, frame_notes = place_frames(
        np.asarray(frames, float), both, str(path)
    )
    notes += frame_notes
    coords = dict.fromkeys(column.coord for column in columns)
    if not {"x", "y"} <= coords.keys():
        raise DataError(
            f"{path}: expected the coords x, y and likelihood, found {list(coords)}."
        )
    if "z" in coords:
        notes.append("three dimensions: x and y are used")
    known = ("x", "y", "z", *_LIKELIHOOD)
    if others := [coord for coord in coords if coord not in known]:
        notes.append(f"other coords left out: {', '.join(others)}")
    return Poses(
        name=recording_stem(path, scorers[0]),
        animals=animals,
        keypoints=keypoints,
        xy_px=placed[..., :2],
        confidence=placed[..., 2] if has_confidence else None,
        usual_confidence=USUAL_CONFIDENCE if has_confidence else 0.0,
        first_frame=first,
        tracker=scorers[0],
        notes=tuple(notes),
    )
