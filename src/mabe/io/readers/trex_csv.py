"""Tracks of TRex as CSV: a file for each individual, ``data/VIDEO_id0.csv`` ….

The columns are those of its npz files (`mabe.io.readers.trex`), with their units:
``frame``, ``time (s)``, ``X#wcentroid (cm)``, ``Y#wcentroid (cm)``, ``poseX0`` … in
pixels. Where the individual was not found cells are infinite. Neither the frame rate
nor the scale is in the file: the rate is that of the times, and centimetres are those
of TRex's setting ``cm_per_pixel``, which are pixels where it is 1. Points in pixels and
a centroid in cm cannot be brought together, so the centroid is then left out.

Source: TRex's documentation ("Export"), and headers of files that users publish.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.csv_numbers import read_numbers
from mabe.io.readers.file_head import Peek
from mabe.io.readers.joined_animals import join_animals
from mabe.io.readers.poses import Poses, place_frames
from mabe.io.readers.trex import CENTROID, NO_NAMES, split_name

FACTS = facts.tracks(
    "TRex CSV",
    clock="`frame`, from 0",
    fps="steps of `time`",
    points="px (pose) or cm (centroid), y down",
    scale="none with pose points; a centroid is in cm",
    missing="infinite, no row",
    animals="a file each: the files' names",
    assumed="TRex was calibrated (the centroid)",
    notes="npz is read instead, where it is there",
)


_UNIT = re.compile(r"\s*\([^)]*\)$")

_POSE = re.compile(r"poseX(\d{1,3})")

_SCALE = (
    "TRex's CSV gives centimetres as TRex was set up; where they are pixels (1 cm per "
    "pixel), give --pixels-per-cm, or `pixels_per_cm` in project.yaml"
)

_NO_CENTROID = "the centroid, in cm, is left out: TRex's CSV has no scale"


def is_trex_csv(peek: Peek) -> bool:
    """Return whether a table has an individual's frames and points."""
    columns = _columns(peek)
    has_points = columns.keys() >= {*CENTROID} or columns.keys() >= {"poseX0", "poseY0"}
    return "frame" in columns and has_points


def _columns(peek: Peek) -> Mapping[str, int]:
    """Return the places of the columns by their names without units."""
    header = peek.rows[0] if peek.kind == "text" and peek.rows else []
    return {_UNIT.sub("", name): at for at, name in reversed([*enumerate(header)])}


def read_trex_csv(peek: Peek) -> Content:
    """Return the recording that an individual belongs to, of all its individuals."""
    named = split_name(peek.path)
    files = [(named[1] if named else "animal1", peek)]
    if named:
        siblings = sorted(peek.path.parent.glob("*.csv"), key=_order)
        files = [
            (other[1], Peek(path))
            for path in siblings
            if (other := split_name(path)) and other[0] == named[0]
        ]
        files = [(name, each) for name, each in files if is_trex_csv(each)]
    name = named[0] if named else peek.stem
    parts = [_individual(each, animal, name) for animal, each in files]
    return Content("TRex CSV", poses=(join_animals(parts, str(peek.path)),))


def _order(path: Path) -> tuple[int, str]:
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1][:18]) if digits else 0, path.name


def _individual(peek: Peek, animal: str, name: str) -> Poses:
    """Return the points of one individual's file."""
    columns = _columns(peek)
    numbers = [int(m[1]) for each in columns if (m := _POSE.fullmatch(each))]
    points = [n for n in sorted(numbers) if f"poseY{n}" in columns]
    pairs = [(f"poseX{n}", f"poseY{n}") for n in points] or [CENTROID]
    wanted = ["frame", *(axis for pair in pairs for axis in pair)]
    wanted += ["time"] if "time" in columns else []
    width = len(peek.rows[0])
    order = sorted(range(len(wanted)), key=lambda at: columns[wanted[at]])
    held = read_numbers(
        peek, skip_rows=1, columns=width, only=[columns[wanted[at]] for at in order]
    )
    table = {wanted[at]: held[:, place] for place, at in enumerate(order)}
    with np.errstate(over="ignore"):  # infinite means missing
        axes = [table[axis] for pair in pairs for axis in pair]
        xy = np.stack(axes, axis=-1).astype(np.float32)
    xy[~np.isfinite(xy)] = np.nan
    first, placed, notes = place_frames(table["frame"], xy, str(peek.path))
    own = [NO_NAMES, *([_NO_CENTROID] if CENTROID[0] in columns else [])]
    return Poses(
        placed.reshape(len(placed), 1, len(pairs), 2),
        keypoints=[f"pose{n}" for n in points] or ["centroid"],
        animals=[animal],
        name=name,
        first_frame=first,
        fps=_fps(table),
        pixels_per_cm=None if points else 1.0,
        tracker="TRex",
        notes=(*notes, *(own if points else [_SCALE])),
    )


def _fps(table: Mapping[str, np.ndarray]) -> float | None:
    """Return frames per second, of all rows; None where no time is given."""
    if "time" not in table or len(table["time"]) < 2:
        return None
    frames, seconds = (table[name][-1] - table[name][0] for name in ("frame", "time"))
    rate = frames / seconds if seconds > 0 else 0.0
    return round(float(rate), 3) if 0 < rate < np.inf else None
