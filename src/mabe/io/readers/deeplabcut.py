"""DeepLabCut's tracks: what its columns mean, and its CSV files.

Columns have the levels scorer, (individuals,) bodyparts, coords; coords are x, y and
likelihood, in any order; rows are frames. In CSV the levels are the first header rows,
which pandas may have saved again with numbers of rows before them. HDF5 files are read
by `mabe.io.readers.deeplabcut_hdf5`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.csv_numbers import has_cut_row, read_numbers
from mabe.io.readers.file_head import Peek
from mabe.io.readers.left_out import NothingToImport
from mabe.io.readers.poses import USUAL_CONFIDENCE, Poses, place_frames
from mabe.runtime.console import count

FACTS = facts.tracks(
    "DeepLabCut CSV, HDF5; Lightning Pose",
    clock="frames: first column, index, from 0",
    missing="empty, NaN; likelihood below 0.6 (its `pcutoff`)",
    animals="`individuals`, else one animal",
    notes="both ways in which pandas stores a table, without PyTables; other coords "
    "(EKS) are left out; raw and filtered, CSV and HDF5 of a video are one recording; "
    "a project's training data are no recordings; of three dimensions z is the height",
)


LEVELS = ("scorer", "individuals", "bodyparts", "coords")


_LIKELIHOOD = ("likelihood", "confidence", "prob")


ONE_ANIMAL = "animal1"


TRAINING_DATA = (
    "the frames labelled to train DeepLabCut, or an evaluation of it, not the tracks "
    "of a video; give the file that `analyze_videos` wrote."
)


_PICTURE = re.compile(r"\.(png|jpe?g|bmp|tiff?)$", re.IGNORECASE)


_NO_ANIMAL = "single"
"""The individual under which DeepLabCut has keypoints that no animal has."""


@dataclass(frozen=True, slots=True)
class Column:
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
    if heads[:3] != ["scorer", "bodyparts", "coords"] and heads != list(LEVELS):
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
    refuse_pictures(peek.path, [c for row in peek.rows[count : count + 1] for c in row])
    width = len(levels["coords"])
    if any(len(levels[name]) != width for name in LEVELS if name in levels):
        raise DataError(
            f"{peek.path}: the header rows have different lengths "
            f"({ {name: len(row) for name, row in levels.items()} }); expected one "
            "cell a column in each."
        )
    columns = [
        Column(scorer, animal, part, coord.lower())
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


def refuse_pictures(path: Path, cells: Iterable[str]) -> None:
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


def _without_unique_parts(
    columns: Sequence[Column], values: np.ndarray
) -> tuple[Sequence[Column], np.ndarray, list[str]]:
    """Return the columns without keypoints of no animal, such as a box's corners."""
    kept = [at for at, column in enumerate(columns) if column.animal != _NO_ANIMAL]
    if len(kept) in (0, len(columns)):
        return columns, values, []
    gone = dict.fromkeys(c.keypoint for c in columns if c.animal == _NO_ANIMAL)
    note = f"keypoints of no animal left out: {', '.join(gone)}"
    return [columns[at] for at in kept], values[:, kept], [note]


def _scorers(columns: Sequence[Column]) -> list[str]:
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
    columns: Sequence[Column],
) -> Poses:
    """Return columns of coordinates in the order animal, keypoint, xy (and z)."""
    if len(columns) != values.shape[1]:
        raise DataError(
            f"{path}: {count(len(columns), 'column name')} for "
            f"{count(values.shape[1], 'column')}."
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
    coords = dict.fromkeys(column.coord for column in columns)
    axes = "xyz" if "z" in coords else "xy"
    points = np.full((*shape, len(axes)), np.nan, np.float32)
    confidence = np.full(shape, np.nan, np.float32)
    has_confidence = False
    for at, column in enumerate(columns):
        animal = animals.index(column.animal)
        keypoint = keypoints.index(column.keypoint)
        if column.coord in tuple(axes):
            points[:, animal, keypoint, axes.index(column.coord)] = values[:, at]
        elif column.coord in _LIKELIHOOD:
            confidence[:, animal, keypoint] = values[:, at]
            has_confidence = True
    both = np.concatenate([points, confidence[..., None]], axis=-1)
    first, placed, frame_notes = place_frames(
        np.asarray(frames, float), both, str(path)
    )
    notes += frame_notes
    if not {"x", "y"} <= coords.keys():
        raise DataError(
            f"{path}: expected the coords x, y and likelihood, found {list(coords)}."
        )
    known = ("x", "y", "z", *_LIKELIHOOD)
    if others := [coord for coord in coords if coord not in known]:
        notes.append(f"other coords left out: {', '.join(others)}")
    return Poses(
        name=recording_stem(path, scorers[0]),
        animals=animals,
        keypoints=keypoints,
        xy_px=placed[..., :2],
        z_px=placed[..., 2] if "z" in axes else None,
        confidence=placed[..., -1] if has_confidence else None,
        usual_confidence=USUAL_CONFIDENCE if has_confidence else 0.0,
        first_frame=first,
        tracker=scorers[0],
        notes=tuple(notes),
    )
