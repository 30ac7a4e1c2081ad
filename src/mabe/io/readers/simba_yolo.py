"""SimBA's tables of YOLO pose results: a row for each animal and frame.

Columns are ``FRAME, CLASS_ID, CLASS_NAME, CONFIDENCE, X1, Y1 … X4, Y4`` (a box) and
``<KEYPOINT>_X, <KEYPOINT>_Y, <KEYPOINT>_P``. Classes are the animals. A frame in which
an animal was not found has −1 or 0 everywhere, or no row.
"""

import re

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.csv_table import column_of_numbers, read_cells
from mabe.io.readers.file_head import Peek
from mabe.io.readers.instances import Instance, poses_of_instances

FACTS = facts.tracks(
    "SimBA YOLO CSV",
    clock="`FRAME`, from 0",
    missing="−1, 0, no row",
    animals="`CLASS_NAME`",
)


_POINT = re.compile(r"(.+)_(X|Y|P)")

_NEEDED = {"FRAME", "CLASS_NAME"}


def is_simba_yolo(peek: Peek) -> bool:
    """Return whether a table has the columns of YOLO results."""
    return peek.kind == "text" and bool(peek.rows) and set(peek.rows[0]) >= _NEEDED


def read_simba_yolo(peek: Peek) -> Content:
    """Return the keypoints of all animals; boxes are not read."""
    header = peek.rows[0]
    table = read_cells(peek, header)
    columns: dict[str, dict[str, np.ndarray]] = {}
    for name in header:
        if match := _POINT.fullmatch(name):
            numbers = column_of_numbers(table, name, peek)
            columns.setdefault(match[1].lower(), {})[match[2]] = numbers
    keypoints = tuple(name for name, of in columns.items() if of.keys() >= {"X", "Y"})
    if not keypoints:
        raise DataError(
            f"{peek.path}: SimBA's YOLO boxes without keypoints; export the results of "
            "a pose model."
        )
    frames = column_of_numbers(table, "FRAME", peek)
    values = np.full((len(frames), len(keypoints), 3), np.nan, np.float32)
    values[..., 2] = 1
    for at, name in enumerate(keypoints):
        for depth, coord in enumerate("XYP"):
            if coord in columns[name]:
                values[:, at, depth] = columns[name][coord]
    values[(values[..., :2] <= 0).all(axis=-1), :2] = np.nan
    names = [str(name) for name in table["CLASS_NAME"].to_list()]
    if not np.isfinite(frames).all() or (frames % 1).any():
        raise DataError(f"{peek.path}: every row needs a whole number as FRAME.")
    poses = poses_of_instances(
        [
            Instance(int(frame), name, points)
            for frame, name, points in zip(frames, names, values, strict=True)
        ],
        tuple(dict.fromkeys(names)),
        keypoints,
        name=peek.stem,
        where=str(peek.path),
        tracker="YOLO",
    )
    if poses is None:
        raise DataError(f"{peek.path}: no animal was found in any frame.")
    return Content("SimBA YOLO CSV", poses=(poses,))
