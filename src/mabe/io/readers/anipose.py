"""Anipose's three-dimensional points: ``pose-3d/TRIAL.csv``.

``NAME_x, NAME_y, NAME_z, NAME_error, NAME_ncams, NAME_score`` for each keypoint of one
animal, ``M_00`` … and ``center_0`` …, and the frame, ``fnum``, from 0. Points that were
not triangulated are blank. Coordinates have the unit of the calibration board, most
often mm; the file tells neither unit nor frame rate.

``M`` is the rotation from the first camera to the axes that ``config.toml`` names.
Where it is none, z points away from that camera.

Source: anipose's ``triangulate.py``.
"""

import numpy as np

from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.csv_numbers import read_numbers
from mabe.io.readers.deeplabcut import ONE_ANIMAL
from mabe.io.readers.file_head import Peek
from mabe.io.readers.poses import Poses, place_frames

FACTS = facts.tracks(
    "Anipose CSV (pose-3d)",
    clock="`fnum`, from 0",
    points="x, y, z in the unit of the calibration board",
    missing="blank",
    animals="one animal",
    notes="give --pixels-per-cm: units per cm, 10 for mm",
)


_FRAME = "fnum"


_AXES = ("x", "y", "z")


OF_A_CAMERA = (
    "Anipose's axes are those of its first camera, so z points away from it: set "
    "`axes` in Anipose's config.toml, or `vertical: -z` in project.yaml if it looks "
    "straight down"
)


def is_anipose(peek: Peek) -> bool:
    """Return whether a table has Anipose's columns."""
    header = peek.rows[0] if peek.kind == "text" and peek.rows else []
    return _FRAME in header and any(name.endswith("_ncams") for name in header)


def read_anipose(peek: Peek) -> Content:
    """Return the tracks of a table."""
    header = peek.rows[0]
    values = read_numbers(peek, skip_rows=1, columns=len(header))
    column = {name: values[:, at] for at, name in enumerate(header)}
    keypoints = [
        name.removesuffix("_ncams")
        for name in header
        if name.endswith("_ncams")
        and all(f"{name.removesuffix('_ncams')}_{axis}" in column for axis in _AXES)
    ]
    with np.errstate(over="ignore"):  # infinite means missing
        points = np.stack(
            [[column[f"{name}_{axis}"] for axis in _AXES] for name in keypoints]
        ).astype(np.float32)
    first, placed, notes = place_frames(
        column[_FRAME], points.transpose(2, 0, 1), str(peek.path)
    )
    turn = [column.get(f"M_{row}{at}") for row in range(3) for at in range(3)]
    is_turned = not all(
        each is not None and (each == (place % 4 == 0)).all()
        for place, each in enumerate(turn)
    )
    poses = Poses(
        placed[:, None, :, :2],
        z_px=placed[:, None, :, 2],
        keypoints=keypoints,
        animals=[ONE_ANIMAL],
        name=peek.stem,
        first_frame=first,
        tracker="Anipose",
        notes=tuple(notes if is_turned else [*notes, OF_A_CAMERA]),
    )
    return Content("Anipose CSV", poses=(poses,))
