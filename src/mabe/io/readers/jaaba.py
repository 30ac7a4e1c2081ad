"""JAABA: tracks (``trx.mat``, also of Ctrax) and labels (``labeled_X.mat``).

An experiment is a folder, whose name is the recording's. Tracks are a structure ``trx``
with an element for each animal: ``x, y`` (pixels, from 1), ``theta`` (radians, from x
towards y), ``a`` (a quarter of the major axis), ``firstframe`` (the video's frame of
the first value, from 1), ``fps``, ``pxpermm``.

Labels have a cell for each labelled animal: ``t0s``, ``t1s`` (frames from 1, the end is
not included), ``names``, and its number in ``flies``. ``None`` or ``No_X`` says that
the behaviour was looked for and did not happen; frames without a label were not looked
at. ``scores_X.mat`` are a classifier's.

Source: JAABA's documentation ("File formats") and its function ``StoreLabels``.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    Content,
    Event,
    WatchedInterval,
    annotations_of,
)
from mabe.io.readers.ellipses import KEYPOINTS, points_of_ellipse
from mabe.io.readers.file_head import Peek
from mabe.io.readers.left_out import NothingToImport
from mabe.io.readers.matlab import (
    Struct,
    flat_numbers,
    is_mat,
    number_of,
    variables_of,
)
from mabe.io.readers.poses import Poses, check_names, check_span
from mabe.recording import MAX_FRAMES

TRACKS = facts.tracks(
    "JAABA `trx.mat`",
    clock="`firstframe`, from 1",
    fps="`fps`",
    points="px from 1, y down",
    scale="`pxpermm`",
    missing="NaN, outside of an animal's frames",
    animals="numbers",
    notes="centre and the ends of the ellipse: head, tail base; MATLAB files of all "
    "versions",
)

LABELS = facts.labels(
    "JAABA `labeled_X.mat`",
    clock="frames from 1",
    stop="the frame after",
    watched="labels only: *None* and *No_X* are negatives, frames without a label are "
    "not watched",
    animals="`flies`",
    notes="scores of classifiers are not read",
)


_LABELS = {"t0s", "t1s", "names", "flies"}

_SCORES = "scores that a classifier of JAABA computed, no labels."

_MADE_FOR_JAABA = re.compile(r"[-_]JAABA$")

_NEGATIVE = re.compile(r"none|no[ _](.+)", re.IGNORECASE)


def is_tracks(peek: Peek) -> bool:
    """Return whether a file has JAABA's tracks."""
    return is_mat(peek) and bool(_trx(peek))


def is_labels(peek: Peek) -> bool:
    """Return whether a file has JAABA's labels."""
    return is_mat(peek) and variables_of(peek).keys() >= _LABELS


def is_scores(peek: Peek) -> bool:
    """Return whether a file has a classifier's scores."""
    return is_mat(peek) and "allScores" in variables_of(peek)


def refuse_scores(peek: Peek) -> Content:
    """Raise `NothingToImport` for scores."""
    raise NothingToImport(peek.path, _SCORES)


def _trx(peek: Peek) -> list[Struct]:
    """Return the structure of each animal; none where there is no such structure."""
    trx: Any = variables_of(peek).get("trx")
    needed = {"x", "y", "theta", "a", "firstframe"}
    is_list = isinstance(trx, list) and trx and isinstance(trx[0], dict)
    return trx if is_list and trx[0].keys() >= needed else []


def read_tracks(peek: Peek) -> Content:
    """Return head, centre and tail base of each animal."""
    trx = _trx(peek)
    check_names(len(trx), "animal", str(peek.path))
    parts = [_track(each, peek) for each in trx]
    stop = max(first + len(xy) for first, xy in parts)
    begin = min(first for first, _ in parts)
    rows = sum(len(xy) for _, xy in parts)
    check_span(begin, stop - 1, rows=rows, values=6 * len(trx), where=str(peek.path))
    whole = np.full((stop - begin, len(trx), 3, 2), np.nan, np.float32)
    for at, (first, xy) in enumerate(parts):
        whole[first - begin : first - begin + len(xy), at] = xy
    per_mm = number_of(trx[0].get("pxpermm"))
    poses = Poses(
        whole,
        keypoints=KEYPOINTS,
        animals=[str(number + 1) for number in range(len(trx))],
        name=_name(peek),
        first_frame=begin,
        fps=number_of(trx[0].get("fps")),
        pixels_per_cm=per_mm * 10 if per_mm else None,
        tracker="JAABA",
    )
    return Content("JAABA tracks", poses=(poses,))


def _track(animal: Struct, peek: Peek) -> tuple[int, np.ndarray]:
    """Return the first frame of an animal, from 0, and its points from there on."""
    x, y, theta, a = (flat_numbers(animal[name]) for name in ("x", "y", "theta", "a"))
    first = number_of(animal["firstframe"])
    lengths = {len(x), len(y), len(theta), len(a)}
    if len(lengths) > 1 or not len(x):
        raise DataError(
            f"{peek.path}: x, y, theta and a of an animal should be of one length, "
            f"found {sorted(lengths)}."
        )
    if first is None or first % 1 or not 1 <= first <= MAX_FRAMES:
        raise DataError(f"{peek.path}: expected a frame from 1 as firstframe: {first}.")
    with np.errstate(over="ignore", invalid="ignore"):
        xy = points_of_ellipse(np.stack([x, y], axis=-1) - 1, theta, 2 * a)
        return int(first) - 1, xy.astype(np.float32)


def _name(peek: Peek) -> str:
    """Return the name of the experiment: that of its folder.

    FlyTracker calls the folder that it makes for JAABA ``VIDEO_JAABA``.
    """
    folder = peek.path.absolute().parent.name
    return _MADE_FOR_JAABA.sub("", folder) or peek.stem


def read_labels(peek: Peek) -> Content:
    """Return the labels of all animals, and what was looked at."""
    labels = list(_labels(peek))
    named = set()
    for _, name, _, _ in labels:
        negative = _NEGATIVE.fullmatch(name)
        named |= {name if negative is None else negative[1]} - {None}
    own = re.sub(r"^label(?:ed|s)_?", "", peek.stem)
    behaviours = sorted(named) or [own]
    events, watched = [], []
    for fly, name, start, stop in labels:
        negative = _NEGATIVE.fullmatch(name)
        if negative is None:
            events.append(Event(start, stop, name, fly))
            about = [name]
        else:
            about = [negative[1]] if negative[1] else behaviours
        watched += [WatchedInterval(start, stop, each, fly) for each in about]
    annotations = annotations_of(
        _name(peek), "frame", events, behaviours=behaviours, watched=watched
    )
    return Content("JAABA labels", annotations=(annotations,))


def _labels(peek: Peek) -> Iterator[tuple[str, str, int, int]]:
    """Yield animal, name, first frame from 0 and the frame after it of each label."""
    variables = variables_of(peek)
    flies = np.asarray(variables["flies"])
    cells = [variables[key] for key in ("t0s", "t1s", "names")]
    if not all(isinstance(each, list) for each in cells):
        raise DataError(f"{peek.path}: t0s, t1s and names should be cell arrays.")
    count = len(cells[0])
    first_targets = flies.ravel(order="F")[:count]  # one animal, or a row of targets
    if any(len(each) != count for each in cells) or len(first_targets) != count:
        raise DataError(
            f"{peek.path}: labels of {[len(each) for each in cells]} animals, of which "
            f"{flies.size} are named in flies."
        )
    for fly, t0s, t1s, names in zip(first_targets, *cells, strict=True):
        starts, stops = flat_numbers(t0s), flat_numbers(t1s)
        if isinstance(names, str):
            words = [names]
        else:
            words = [str(each) for each in names] if isinstance(names, list) else []
        if not len(starts) == len(stops) == len(words):
            raise DataError(
                f"{peek.path}: animal {fly:g} has {len(starts)} starts, {len(stops)} "
                f"ends and {len(words)} names."
            )
        for start, stop, name in zip(starts, stops, words, strict=True):
            if not 1 <= start < stop <= MAX_FRAMES or start % 1 or stop % 1:
                raise DataError(
                    f"{peek.path}: expected frames from 1 in order, found {start:g} "
                    f"to {stop:g} ({name})."
                )
            yield f"{fly:g}", name, int(start) - 1, int(stop) - 1
