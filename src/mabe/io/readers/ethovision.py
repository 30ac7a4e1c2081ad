"""Raw data of Noldus EthoVision XT: the track of one subject, as text or as a sheet.

As text (UTF-16 or ANSI, often ``;``) each track is a file, of which those of one arena
in one trial belong together; in Excel all tracks of a trial are sheets of a workbook,
or a workbook each.
Lines about the trial (``Number of header lines``, ``Trial name``, ``Arena name``,
``Subject name``, ``Video file`` …) are followed by the names of columns, their units,
and a row for each sample.

- Clock: ``Recording time`` in seconds from the first sample; ``Trial time`` may begin
  earlier. The frame rate is that of its steps.
- ``X center, Y center, X nose …`` are centimetres from the calibration's origin, y
  upwards. Here a pixel is a centimetre, and y points downwards. A missing value is
  ``-``, unless another sign was chosen for the export.
- Behaviours scored by a person are columns of 0 and 1 called ``NAME(Mutually
  exclusive)`` or ``NAME(Start-stop)``. Zones, states of mobility, trial control
  (``Result 1``) and all measures are none.

Source: Noldus's help, "Export the raw data (track and dependent variables)" and "Export
manually-scored behaviors"; column names as in files of published studies.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float

from mabe.bouts import find_spans
from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    Content,
    Event,
    FileAnnotations,
    WatchedInterval,
    annotations_of,
    events_of_columns,
)
from mabe.io.readers.boris_events import media_stems
from mabe.io.readers.csv_table import column_of_numbers, read_cells
from mabe.io.readers.ethovision_trials import (
    TIMES,
    about_trial,
    cells_of_line,
    describe_delay,
    names_line,
    points_of,
    recording_name,
    subject_of,
    tracks_beside,
    with_partners,
)
from mabe.io.readers.file_head import Peek
from mabe.io.readers.joined_animals import join_animals
from mabe.io.readers.poses import Poses, place_frames

FACTS = facts.Facts(
    name="EthoVision XT raw data, text or Excel",
    use="tracks, labels",
    clock="`Recording time` in s, from the first sample",
    stop="rows of 1",
    fps="steps of `Recording time`",
    points="cm, y up: turned over",
    scale="1 pixel is 1 cm",
    missing="`-`",
    watched="samples with a value, columns `NAME(Mutually exclusive)`, "
    "`NAME(Start-stop)`",
    animals="`Subject name`: a file, sheet or workbook each",
    notes="zones and other states are no behaviours",
)


FORMAT = "EthoVision XT raw data"

_CM = {"cm": 1.0, "mm": 0.1, "m": 100.0, "in": 2.54, "inch": 2.54, "ft": 30.48}

_SCORED = re.compile(
    r"(.+?)\s*\((?:mutually[- ]exclusive|start[- ]stop|(?:state|point) events?)\)",
    re.IGNORECASE,
)

_GAP = 1.4
"""Times of two digits make steps of 0.03 and 0.04 s at 30 frames per second; longer
ones leave out samples."""

_SHOWN = 8


def read_raw(peek: Peek) -> Content:
    """Return the tracks of all subjects of an arena.

    Raises `NothingToImport` for all files of an arena but the first one.
    """
    own = subject_of(peek)
    others = tracks_beside(peek.path)
    arenas = {own.arena, *(each.arena for _, each in others if each.trial == own.trial)}
    together = with_partners(peek, own, others)
    return _read_arena(together, is_named=len(arenas) > 1)


def read_sheets(sheets: Sequence[Peek]) -> Content:
    """Return the recordings of a workbook that has a sheet for each subject.

    Where it has one subject of an arena, others may be in other workbooks; raises
    `NothingToImport` for all of these but the first one.
    """
    groups: dict[tuple[tuple[str, ...], str], list[Peek]] = {}
    for sheet in sheets:
        subject = subject_of(sheet)
        groups.setdefault((subject.trial, subject.arena), []).append(sheet)
    if len(groups) == 1 and len(sheets) == 1:
        others = tracks_beside(sheets[0].path)
        together = with_partners(sheets[0], subject_of(sheets[0]), others)
        return _read_arena(together, is_named=False)
    trials = [trial for trial, _ in groups]
    read = [
        _read_arena(those, is_named=trials.count(trial) > 1)
        for (trial, _), those in groups.items()
    ]
    return Content(
        FORMAT,
        tuple(poses for each in read for poses in each.poses),
        tuple(labels for each in read for labels in each.annotations),
    )


def _read_arena(peeks: Sequence[Peek], *, is_named: bool) -> Content:
    """Return the tracks and labels of all subjects of an arena."""
    read = [_read_subject(peek, is_named=is_named) for peek in peeks]
    poses = join_animals([each for each, _ in read], str(peeks[0].path))
    labels = [each for _, each in read if each is not None]
    return Content(FORMAT, (poses,), (_join_labels(labels, poses),) if labels else ())


def _join_labels(labels: Sequence[FileAnnotations], poses: Poses) -> FileAnnotations:
    """Return the labels of all subjects of an arena, on the frames of one recording."""
    watched = [each for one in labels for each in one.watched or ()]
    fps = poses.fps or 1.0
    whole = (poses.first_frame / fps, poses.length / fps)
    is_whole = len(watched) == sum(len(each.behaviours) for each in labels) and all(
        (each.start, each.stop) == whole for each in watched
    )
    return annotations_of(
        poses.name,
        "s",
        [event for each in labels for event in each.events],
        behaviours=[name for each in labels for name in each.behaviours],
        subjects=[name for each in labels for name in each.subjects],
        fps=fps,
        length=poses.length / fps,
        media=labels[0].media,
        watched=None if is_whole else watched,
    )


def _read_subject(
    peek: Peek, *, is_named: bool
) -> tuple[Poses, FileAnnotations | None]:
    """Return the track of one subject, and what a person scored of it."""
    at = names_line(peek)
    if at is None:
        raise DataError(f"{peek.path}: expected a line that names the columns.")
    names = cells_of_line(peek, at)
    about = about_trial([cells_of_line(peek, line) for line in range(at)])
    time = next(name for name in TIMES if name in names)
    units = cells_of_line(peek, at + 1) if at + 1 < len(peek.lines) else []
    has_units = units[names.index(time) : names.index(time) + 1] == ["s"]
    table = read_cells(peek, names, skip_rows=at + 1 + has_units)
    times_s = column_of_numbers(table, time, peek)
    fps = _frame_rate(times_s, peek.path)
    points = points_of(names)
    scored = {name: match[1] for name in names if (match := _SCORED.fullmatch(name))}
    columns = [f"{axis} {point}" for point in points for axis in "XY"]
    values = np.stack(
        [column_of_numbers(table, name, peek) for name in (*columns, *scored)], axis=1
    )
    first, placed, notes = place_frames(
        np.round(times_s * fps), values.astype(np.float32), str(peek.path)
    )
    if set(TIMES) - set(names):
        notes.append(f"has no {TIMES[0]}: {time} is used")
    xy, unit = placed[:, : len(columns)], units[names.index(columns[0])]
    xy = xy.reshape(len(placed), 1, len(points), 2) * np.array([1, -1], np.float32)
    if (scale := _CM.get(unit.lower())) is None:
        notes.append(f"the unit of x and y is {unit!r}: read as pixels")
    name = recording_name(about, peek.stem)
    name = f"{name} {about.get('Arena name', '')}" if is_named else name
    subject = subject_of(peek).name
    notes += [*_describe_others(table, names, scored), *describe_delay(about, fps)]
    poses = Poses(
        xy * np.float32(scale or 1),
        keypoints=points,
        animals=[subject],
        name=name,
        first_frame=first,
        fps=fps,
        pixels_per_cm=None if scale is None else 1.0,
        tracker="EthoVision XT",
        video=about.get("Video file", ""),
        notes=tuple(notes),
    )
    if not scored:
        return poses, None
    flags = dict(zip(scored.values(), placed[:, len(columns) :].T, strict=True))
    return poses, _labels_of(flags, poses, subject, about)


def _labels_of(
    flags: Mapping[str, Float[np.ndarray, " frame"]],
    poses: Poses,
    subject: str,
    about: Mapping[str, str],
) -> FileAnnotations:
    """Return the intervals of ones; where a value is missing nothing was scored."""
    fps = poses.fps or 1.0
    events: list[Event] = events_of_columns(
        {name: values == 1 for name, values in flags.items()},
        start=poses.first_frame / fps,
        step=1 / fps,
        subject=subject,
    )
    watched = [
        WatchedInterval(
            (poses.first_frame + first) / fps,
            (poses.first_frame + stop) / fps,
            name,
            subject,
        )
        for name, values in flags.items()
        for first, stop in find_spans(np.isfinite(values)).tolist()
    ]
    return annotations_of(
        poses.name,
        "s",
        events,
        behaviours=list(flags),
        subjects=[subject],
        media=media_stems([about.get("Video file", "")]),
        watched=watched,
    )


def _frame_rate(times_s: Float[np.ndarray, " row"], path: Path) -> float:
    """Return the samples per second; samples may have been left out."""
    steps = np.diff(times_s)
    usual = float(np.median(steps)) if len(steps) else 0.0
    if not np.isfinite(times_s).all() or not usual > 0:
        raise DataError(
            f"{path}: expected a time in every row, increasing, and two rows or more."
        )
    step_s = steps[steps < _GAP * usual].mean()
    rate = float(np.round(steps / step_s).sum() / (times_s[-1] - times_s[0]))
    whole = round(rate)
    return float(whole) if whole and abs(rate / whole - 1) < 2e-4 else round(rate, 4)


def _describe_others(
    table: pl.DataFrame, names: Sequence[str], scored: Mapping[str, str]
) -> list[str]:
    """Return a note on columns of 0 and 1 that are not read as behaviours."""
    found = [
        name
        for name in dict.fromkeys(names)
        if name and name not in scored and _is_flags(table[name])
    ]
    if not found:
        return []
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return [f"no behaviours by a person: {', '.join(found[:_SHOWN])}{more}"]


def _is_flags(cells: pl.Series) -> bool:
    return set(cells.drop_nulls().unique().head(3).to_list()) in (
        *({"0", "1"}, {"0"}, {"1"}),
    )
