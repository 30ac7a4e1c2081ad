"""SimBA's CSV files: one row per frame, with columns of points and of targets.

Points are ``<keypoint>_<animal>_x``, ``…_y``, ``…_p`` (or without a number, for one
animal); features follow, then the targets: columns of 0 and 1 named by the behaviour,
in older files ``<behaviour>_prediction``. ``Probability_<behaviour>`` and features are
not read. A column beside a ``Probability_`` of its name, and every target below the
folder ``machine_results``, is a classifier's output and no label.

Within a project (``project_folder/csv/<stage>/VIDEO.csv``) the frame rate and the scale
of each video are read from ``project_folder/logs/video_info.csv``.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    Content,
    FileAnnotations,
    annotations_of,
    events_of_columns,
)
from mabe.io.readers.csv_numbers import has_cut_row, read_numbers
from mabe.io.readers.deeplabcut import ONE_ANIMAL
from mabe.io.readers.file_head import Peek
from mabe.io.readers.poses import USUAL_CONFIDENCE, Poses, place_frames

FACTS = facts.Facts(
    name="SimBA CSV, SimBA project",
    use="tracks, labels",
    clock="`frames` or the first column, from 0",
    stop="rows of 1",
    fps="`logs/video_info.csv` of the project",
    points="px, y down",
    scale="`pixels/mm` in it",
    missing="probability 0 with x and y 0",
    watched="all frames, the target columns",
    animals="numbers at the end or the beginning of names",
    assumed="a target has no subject: the first animal",
    notes="of a project one stage a video is read, with a person's labels first; "
    "targets beside a `Probability_` are a classifier's",
)


_POINT = re.compile(r"(.+)_(x|y|p|likelihood)", re.IGNORECASE)


_ANIMAL_FIRST = re.compile(r"([A-Za-z]+_?\d+)_(.+)")


MACHINE_STAGE = "machine_results"
"""The folder of a project that holds what its classifiers predicted."""


_FEATURES_END = re.compile(r"(low_prob_detections|sum_probabilities)", re.IGNORECASE)


_NO_TARGETS = re.compile(
    r"probability_|scorer|frames?$|video_no|unnamed|.*_centroid|mouse_\d|.*_\d+$|.*rank$",
    re.IGNORECASE,
)


def is_simba(peek: Peek) -> bool:
    """Return whether a table has SimBA's columns."""
    return peek.kind == "text" and _header_row(peek) is not None


def _header_row(peek: Peek) -> int | None:
    """Return the row that names the columns; imported poses have two rows above it."""
    rows = enumerate(peek.rows[:4])
    return next((number for number, row in rows if _points(row)), None)


def _points(header: list[str]) -> dict[str, dict[str, int]]:
    """Return the columns of x, y and p of each point that has all three."""
    found: dict[str, dict[str, int]] = {}
    for at, name in enumerate(header):
        if match := _POINT.fullmatch(name):
            coord = match[2].lower().replace("likelihood", "p")
            found.setdefault(match[1], {})[coord] = at
    return {name: at for name, at in found.items() if at.keys() == {"x", "y", "p"}}


def read(peek: Peek) -> Content:
    """Return the tracks, and the targets where there are any."""
    above = _header_row(peek) or 0
    header = peek.rows[above]
    points = _points(header)
    targets = _targets(header)
    wanted = sorted({at for each in points.values() for at in each.values()})
    wanted += [at for at in sorted(targets.values()) if at not in wanted]
    frame_at = next(
        (at for at, name in enumerate(header) if name.lower() in ("frames", "frame")),
        0 if header[0] in ("", "scorer", "coords", "Unnamed: 0") else None,
    )
    if frame_at is not None:
        wanted.append(frame_at)
    wanted = sorted(set(wanted))
    table = read_numbers(peek, skip_rows=above + 1, columns=len(header), only=wanted)
    notes: tuple[str, ...] = ()
    if has_cut_row(peek, len(header)):
        table, notes = table[:-1], ("the last row is cut off and was left out",)
    column = {at: table[:, place] for place, at in enumerate(wanted)}
    frames = column[frame_at] if frame_at is not None else np.arange(len(table))
    poses = _poses(peek, points, column, np.asarray(frames, float)).noting(*notes)
    poses = _with_video_info(poses, peek.path)
    targets, by_machine = _by_people(targets, header, peek.path)
    if by_machine:
        poses = poses.noting(
            f"predicted by SimBA, no labels: {', '.join(sorted(by_machine))}"
        )
    annotations = _annotations(peek, targets, column, poses)
    return Content(
        "SimBA CSV", poses=(poses,), annotations=(annotations,) if annotations else ()
    )


def _poses(
    peek: Peek,
    points: dict[str, dict[str, int]],
    column: dict[int, np.ndarray],
    frames: np.ndarray,
) -> Poses:
    """Return the points in the order animal, keypoint, xy."""
    whose = {name: _split_number(name, points) for name in points}
    animals = tuple(dict.fromkeys(animal for animal, _ in whose.values()))
    keypoints = tuple(dict.fromkeys(keypoint for _, keypoint in whose.values()))
    values = np.full((len(frames), len(animals), len(keypoints), 3), np.nan, np.float32)
    for name, (animal, keypoint) in whose.items():
        for depth, coord in enumerate("xyp"):
            place = animals.index(animal), keypoints.index(keypoint), depth
            values[(slice(None), *place)] = column[points[name][coord]]
    first, placed, notes = place_frames(frames, values, str(peek.path))
    return Poses(
        name=peek.stem,
        animals=animals,
        keypoints=keypoints,
        xy_px=placed[..., :2],
        confidence=placed[..., 2],
        usual_confidence=USUAL_CONFIDENCE,
        first_frame=first,
        tracker="SimBA",
        notes=tuple(notes),
    )


def _split_number(name: str, points: dict[str, dict[str, int]]) -> tuple[str, str]:
    """Return animal and keypoint of a name that ends in the animal's number.

    In projects with named animals the name comes first (``Animal_1_nose``). Where only
    some names end in a number, it is part of the keypoint (``spine_1``).
    """
    if all(re.fullmatch(r".+_\d+", each) for each in points):
        keypoint, number = name.rsplit("_", 1)
        return f"animal{number}", keypoint
    first = {each: found for each in points if (found := _ANIMAL_FIRST.fullmatch(each))}
    if len(first) == len(points) and len({found[1] for found in first.values()}) > 1:
        return first[name][1], first[name][2]
    return ONE_ANIMAL, name


def _targets(header: list[str]) -> dict[str, int]:
    """Return the columns that may be targets, by the behaviour's name."""
    last = max(
        (at for at, name in enumerate(header) if _FEATURES_END.match(name)), default=-1
    )
    found = {}
    for at, name in enumerate(header):
        is_old = name.endswith("_prediction")
        behind = last >= 0 and at > last
        plain = last < 0 and not _POINT.fullmatch(name) and not _NO_TARGETS.match(name)
        if name and (is_old or ((behind or plain) and not _NO_TARGETS.match(name))):
            found[name.removesuffix("_prediction")] = at
    return found


def _by_people(
    targets: dict[str, int], header: list[str], path: Path
) -> tuple[dict[str, int], set[str]]:
    """Return the targets that people marked, and the names of those of a classifier."""
    if path.parent.name == MACHINE_STAGE:
        return {}, set(targets)
    predicted = {
        name.lower().removeprefix("probability_")
        for name in header
        if name.lower().startswith("probability_")
    }
    by_machine = {name for name in targets if name.lower() in predicted}
    return {n: at for n, at in targets.items() if n not in by_machine}, by_machine


def _with_video_info(poses: Poses, path: Path) -> Poses:
    """Return poses with the rate and the scale that the project has for the video."""
    info = path.parent.parent.parent / "logs" / "video_info.csv"
    if path.parent.parent.name != "csv" or not info.is_file():
        return poses
    with info.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("Video") == path.stem]
    if not rows:
        return poses.noting(f"{info.name} does not list the video {path.stem!r}")
    fps, per_mm = (_positive(rows[-1].get(name)) for name in ("fps", "pixels/mm"))
    return replace(poses, fps=fps, pixels_per_cm=per_mm and 10 * per_mm)


def _positive(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if np.isfinite(value) and value > 0 else None


def _annotations(
    peek: Peek, targets: dict[str, int], column: dict[int, np.ndarray], poses: Poses
) -> FileAnnotations | None:
    """Return the behaviours of the target columns: those with only 0 and 1."""
    active = {
        name: column[at] == 1
        for name, at in targets.items()
        if np.isin(column[at], (0, 1)).all()
    }
    if not active:
        return None
    if len(next(iter(active.values()))) != len(poses.xy_px):
        raise DataError(
            f"{peek.path}: rows are missing or repeated, so the frames of its targets "
            "are not known."
        )
    return annotations_of(
        peek.stem,
        "frame",
        events_of_columns(active, start=poses.first_frame),
        behaviours=active,
        lists_behaviours=True,
        fps=poses.fps,
        length=poses.length,
    )
