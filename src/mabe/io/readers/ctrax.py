"""Raw tracks of Ctrax: a MAT-file with a row for each detection.

``ntargets`` has the number of flies in each frame, ``startframe`` the first of these
frames (from 0). The detections of all frames follow each other: ``x_pos``, ``y_pos``
(pixels from 0), ``angle`` (radians, from x towards y), ``maj_ax`` (a quarter of the
major axis) and ``identity``: a lost fly gets a new number, so numbers are pieces of
track. ``timestamps`` are in seconds. Which way y points depends on the film: upwards
for AVI. Tracks that the MATLAB tools for Ctrax corrected are JAABA's ``trx.mat``.

Source: Ctrax's documentation; ``cleanup_ctrax_data`` of JAABA, which converts them; a
comparison with another tracker on one film (Track2Data, "tracker formats").
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.ellipses import KEYPOINTS, points_of_ellipse
from mabe.io.readers.file_head import Peek
from mabe.io.readers.instances import Instance, poses_of_instances
from mabe.io.readers.matlab import Variables, flat_numbers, is_mat, variables_of
from mabe.recording import MAX_FRAMES

FACTS = facts.tracks(
    "Ctrax, raw `.mat`",
    clock="`startframe`, from 0, then `ntargets`",
    fps="steps of `timestamps`",
    points="px from 0; y up for AVI films, else down",
    missing="no row",
    animals="`identity`: pieces of track",
    assumed="pieces are joined by place",
    notes="centre and the ends of the ellipse: head, tail base",
)


_ROWS = ("x_pos", "y_pos", "angle", "maj_ax", "identity")

_Y = (
    "y points upwards in Ctrax's files of AVI films, and downwards in others: left and "
    "right may be exchanged"
)

_FEWEST_FPS, _MOST_FPS = 1.0, 2000.0
"""Beyond these, timestamps are not in seconds."""


def is_ctrax(peek: Peek) -> bool:
    """Return whether a file has the variables of Ctrax's raw tracks."""
    return is_mat(peek) and variables_of(peek).keys() >= {*_ROWS, "ntargets"}


def read_ctrax(peek: Peek) -> Content:
    """Return head, centre and tail base of each fly."""
    variables = variables_of(peek)
    identities = flat_numbers(variables["identity"])
    poses = poses_of_instances(
        _instances(variables, peek),
        [_name(each) for each in np.unique(identities)],
        KEYPOINTS,
        name=peek.stem,
        where=str(peek.path),
        tracker="Ctrax",
    )
    if poses is None:
        raise DataError(f"{peek.path}: no fly was found in any frame.")
    poses = replace(poses, fps=_fps(variables), confidence=None).noting(_Y)
    return Content("Ctrax", poses=(poses,))


def _name(identity: float) -> str:
    return f"track_{identity:.0f}"


def _instances(variables: Variables, peek: Peek) -> Iterator[Instance]:
    """Yield each detection with its frame and track."""
    counts = flat_numbers(variables["ntargets"])
    x, y, angle, quarter, identity = (flat_numbers(variables[name]) for name in _ROWS)
    lengths = {len(x), len(y), len(angle), len(quarter), len(identity)}
    is_counted = bool(np.isfinite(counts).all()) and not (counts % 1).any()
    if not is_counted or (counts < 0).any() or lengths != {int(counts.sum())}:
        raise DataError(
            f"{peek.path}: ntargets counts {counts.sum():g} detections, the columns "
            f"have {sorted(lengths)}."
        )
    first = flat_numbers(variables.get("startframe"))
    start = first[0] if len(first) else 0.0
    if not 0 <= start < MAX_FRAMES or start % 1 or not np.isfinite(identity).all():
        raise DataError(f"{peek.path}: expected a startframe from 0 and identities.")
    frames = int(start) + np.repeat(np.arange(len(counts)), counts.astype(np.int64))
    with np.errstate(over="ignore", invalid="ignore"):  # infinite means missing
        xy = points_of_ellipse(np.stack([x, y], axis=-1), angle, 2 * quarter)
        points = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], axis=-1)
    for frame, number, each in zip(
        frames.tolist(), identity, points.astype(np.float32), strict=True
    ):
        yield Instance(frame, _name(number), each)


def _fps(variables: Variables) -> float | None:
    """Return the usual rate of the timestamps; None where they are no seconds."""
    steps = np.diff(flat_numbers(variables.get("timestamps")))
    steps = steps[steps > 0]
    rate = 1 / float(np.median(steps)) if len(steps) else 0.0
    return round(rate, 3) if _FEWEST_FPS <= rate <= _MOST_FPS else None
