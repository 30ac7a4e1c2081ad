"""Text results of Ultralytics (YOLO) for a video: a file for each frame.

``model.track(video, save_txt=True)`` writes ``labels/VIDEO_1.txt``, ``VIDEO_2.txt`` …:
frames count from 1, so file 1 is frame 0; a frame in which nothing was found has no
file. A row is an animal: ``class x y width height``, the keypoints as ``x y`` or, where
the model knows visibility, ``x y confidence``, then the confidence of the box (with
``save_conf``), and the number of the track (of ``track`` only). Coordinates are
relative to the picture, y downwards; a point that was not found is (0, 0). The files
name neither the keypoints, nor the size of the picture, nor the frame rate.

The columns are not named either: which of the layouts it is follows from which one
places the keypoints into the boxes. Without tracks, animals are classes where a class
occurs once a frame.

Source: Ultralytics' documentation of ``save_txt`` and ``Results.save_txt`` (8.3).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek
from mabe.io.readers.instances import Instance, poses_of_instances
from mabe.io.readers.left_out import LeftOut
from mabe.recording import MAX_FRAMES
from mabe.runtime.console import count

FACTS = facts.tracks(
    "Ultralytics (YOLO) texts of `save_txt`",
    clock="a file for each frame: file 1 is frame 0",
    points="0 to 1, y down: needs `size`",
    missing="(0, 0), no file",
    animals="tracks, else classes",
    assumed="the layout of columns that places points into boxes",
    notes="points have no names: needs `keypoints`",
)


_NAME = re.compile(r"(.+)_(0|[1-9]\d{0,8})")
"""The video and the number of the frame, which has no leading zeros."""

_BOX = 5
"""Columns of the class and the box."""

_MOST_COLUMNS = 1_000

_MOST_ROWS = 100

_MAX_BYTES = 1 << 20

_TOLD_FROM = 200
"""Files from which the layout is told, from the whole video: where an animal lies on
the picture's diagonal, x and y are alike."""

_INSIDE = 0.8
"""Share of the keypoints that lie in the box of their animal, or near it."""

_UNCLEAR = (
    "Ultralytics' (YOLO) text results whose columns cannot be told (no keypoints, or "
    "several layouts fit), not read; write the points as a CSV with the columns frame, "
    "individual, keypoint, x, y, confidence, in pixels of the video."
)

_NO_IDENTITY = (
    "Ultralytics' (YOLO) text results without tracks, of several animals a frame, not "
    "read; use `model.track(…, save_txt=True)`."
)

_NO_FRAMES = (
    "Ultralytics' (YOLO) texts of pictures, not of a video (VIDEO_1.txt, VIDEO_2.txt "
    "…), not read; use `model.track(video, save_txt=True)`."
)


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the columns after the box are."""

    has_track: bool
    has_score: bool
    depth: int
    """Numbers of a keypoint: 2 or 3."""
    keypoints: int

    @property
    def columns(self) -> int:
        """Number of columns of a row with its track."""
        return _BOX + self.keypoints * self.depth + self.has_score + self.has_track

    def points(self, row: Sequence[float]) -> np.ndarray:
        """Return x, y and confidence of each keypoint; NaN where it was not found."""
        numbers = np.asarray(row[_BOX:][: self.keypoints * self.depth], np.float32)
        points = np.ones((self.keypoints, 3), np.float32)
        points[:, : self.depth] = numbers.reshape(self.keypoints, self.depth)
        points[(points[:, :2] == 0).all(axis=1), :2] = np.nan
        return points


def is_yolo(peek: Peek) -> bool:
    """Return whether rows are a class, a box, and points relative to the picture."""
    rows = [line.split() for line in peek.lines if line.strip()]
    if peek.kind != "text" or not rows or len(rows) > _MOST_ROWS:
        return False
    if not all(_BOX <= len(row) <= _MOST_COLUMNS for row in rows):
        return False
    try:
        numbers = [[float(cell) for cell in row] for row in rows]
    except ValueError:
        return False
    return all(
        row[0] % 1 == 0 and row[0] >= 0 and all(0 <= each <= 1 for each in row[1:_BOX])
        for row in numbers
    )


def split_name(path: Path) -> tuple[str, int] | None:
    """Return the video and the number of the frame in the name of a file."""
    match = _NAME.fullmatch(path.stem) if path.suffix == ".txt" else None
    return (match[1], int(match[2])) if match else None


def read_yolo(peek: Peek) -> Content:
    """Return the recording that a file is a frame of, from all files of its video."""
    named = split_name(peek.path)
    if named is None:
        raise LeftOut(peek.path, _NO_FRAMES)
    files = _files_of(named[0], peek.path.parent)
    first = 0 if 0 in files else 1
    layout = _layout_of(
        row
        for frame in list(files)[:: 1 + len(files) // _TOLD_FROM]
        for row in _rows(files[frame])
    )
    if layout is None:
        raise LeftOut(peek.path, _UNCLEAR)
    found = list(_instances(files, first, layout))
    if not layout.has_track and _are_ambiguous(found):
        raise LeftOut(peek.path, _NO_IDENTITY)
    poses = poses_of_instances(
        found,
        sorted({each.track for each in found if each.track}, key=_number),
        [f"point{number + 1}" for number in range(layout.keypoints)],
        name=named[0],
        where=str(peek.path.parent),
        tracker="YOLO",
    )
    if poses is None:
        raise DataError(f"{peek.path}: no animal was found in any frame.")
    notes = [
        f"{count(len(files), 'file')}, a frame each",
        "keypoints have no names in the files: name them in project.yaml, "
        "`keypoints: {point1: nose, …}`",
    ]
    if first == 0:
        notes.append("there is a file 0: it is taken as frame 0, not file 1")
    poses = replace(poses, unit="picture").noting(*notes)
    return Content("Ultralytics (YOLO) texts", poses=(poses,))


def _number(track: str) -> tuple[int, str]:
    return int(re.sub(r"\D", "", track) or 0), track


def _files_of(video: str, folder: Path) -> dict[int, Path]:
    """Return the files of a video by the numbers of their frames, in order."""
    numbers = {}
    for path in folder.iterdir():
        named = split_name(path)
        if named and named[0] == video and path.is_file():
            numbers[named[1]] = path
    if max(numbers) > MAX_FRAMES:
        raise DataError(
            f"{folder}: {video}_{max(numbers)}.txt is beyond {MAX_FRAMES:,} frames."
        )
    return dict(sorted(numbers.items()))


def _rows(path: Path) -> list[list[float]]:
    """Return the numbers of each row of a file."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path}: has over {_MAX_BYTES:,} bytes for one frame.")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        rows = [
            [float(cell) for cell in line.split()] for line in lines if line.strip()
        ]
    except ValueError as error:
        raise DataError(f"{path}: expected rows of numbers ({error}).") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}.") from error
    if any(not _BOX <= len(row) <= _MOST_COLUMNS for row in rows):
        raise DataError(f"{path}: expected a class, a box and keypoints in each row.")
    return rows


def _layout_of(rows: Iterable[Sequence[float]]) -> _Layout | None:
    """Return the only layout that places the keypoints into the boxes."""
    known = list(rows)
    if not known:
        return None
    width = max(len(row) for row in known)
    full = [row for row in known if len(row) == width]
    has_track = all(row[-1] % 1 == 0 and row[-1] >= 1 for row in full)
    rest = width - _BOX - has_track
    layouts = [
        _Layout(has_track, bool(score), depth, (rest - score) // depth)
        for depth in (2, 3)
        for score in (0, 1)
        if rest - score >= depth and (rest - score) % depth == 0
    ]
    fitting = [each for each in layouts if _share_inside(full, each) >= _INSIDE]
    return fitting[0] if len(fitting) == 1 else None


def _share_inside(rows: Iterable[Sequence[float]], layout: _Layout) -> float:
    """Return the share of keypoints in the box of their animal, or near it."""
    inside = []
    for row in rows:
        points = layout.points(row)
        away = np.abs(points[:, :2] - row[1:3]) / np.maximum(row[3:5], 1e-6)
        is_given = np.isfinite(away).all(axis=1)
        is_sure = (points[:, 2] >= 0) & (points[:, 2] <= 1)
        inside += ((away <= 0.6).all(axis=1) & is_sure)[is_given].tolist()
    return float(np.mean(inside)) if inside else 0.0


def _instances(
    files: dict[int, Path], first: int, layout: _Layout
) -> Iterator[Instance]:
    """Yield the animals of all frames, with their tracks or classes."""
    for number, path in files.items():
        for row in _rows(path):
            if len(row) == layout.columns:
                track = f"{row[-1]:g}" if layout.has_track else f"class {row[0]:g}"
            elif len(row) == layout.columns - 1 and layout.has_track:
                track = ""  # not tracked in this frame
            else:
                raise DataError(
                    f"{path}: expected rows of {layout.columns} numbers, as in the "
                    f"other frames, found {len(row)}."
                )
            yield Instance(number - first, track, layout.points(row))


def _are_ambiguous(found: Iterable[Instance]) -> bool:
    """Return whether a class occurs twice in a frame."""
    counts = Counter((each.frame, each.track) for each in found)
    return any(count > 1 for count in counts.values())
