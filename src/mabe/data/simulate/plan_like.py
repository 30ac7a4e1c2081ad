"""Plans after a real data set: its labs, metadata and labels, with simulated poses."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mabe.bouts import Bout
from mabe.data.simulate.arena import Arena
from mabe.data.simulate.plan import (
    ANNOTATION_COLUMNS,
    METADATA_COLUMNS,
    DataSetPlan,
    VideoPlan,
    Widths,
)
from mabe.data.simulate.random_signals import random_stream
from mabe.data.simulate.tracker_errors import Camera
from mabe.errors import DataError
from mabe.runtime.csv_cells import text_of
from mabe.runtime.documents import parse_json
from mabe.runtime.file_names import path_under, problem_with_name, shorten

_MOUSE_COLUMNS = [name for name in METADATA_COLUMNS if name.startswith("mouse")]


def plan_like(folder: Path, *, videos: int | None, seed: int) -> DataSetPlan:
    """Return the plan of a data set in the Kaggle layout, or of some of its videos.

    Its test videos are those of test.csv; without one, the first training video, as
    the challenge's public test.csv lists one of these.

    Raises
    ------
    DataError
        If train.csv is absent or lacks a column, or a value or annotation in it
        cannot be read.

    """
    listing = folder / "train.csv"
    columns, rows = _read_listing(listing)
    if videos is not None:
        rows = _in_turns(rows, columns.index("lab_id"))[:videos]
    plans = [
        _plan_video(_Row(listing, dict(zip(columns, row, strict=True))), folder, seed)
        for row in rows
    ]
    test_rows = _test_rows(folder, columns) or tuple(rows[:1])
    tested = [
        _plan_video(_Row(listing, dict(zip(columns, row, strict=True))), folder, seed)
        for row in test_rows
    ]
    return DataSetPlan(
        columns=columns,
        rows=tuple(rows),
        videos=tuple(plans),
        test_rows=test_rows,
        test_videos=tuple(
            replace(each, split="test", annotation=None) for each in tested
        ),
    )


def _test_rows(folder: Path, columns: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the rows of test.csv, in the columns of train.csv; none without it."""
    path = folder / "test.csv"
    if not path.is_file():
        return ()
    own, rows = _read_listing(path)
    cells = (dict(zip(own, row, strict=True)) for row in rows)
    return tuple(tuple(each.get(name, "") for name in columns) for each in cells)


class _Row:
    """One row of train.csv; values that cannot be read raise `DataError`."""

    def __init__(self, path: Path, values: dict[str, str]) -> None:
        self.path = path
        self.values = values
        self.name = f"{values['lab_id']}/{values['video_id']}"

    def own_name(self, column: str) -> str:
        """Return the lab or the video, which names files."""
        name = text_of(self.values[column])
        if problem := problem_with_name(name):
            raise DataError(
                f"{self.path}: {column} {shorten(name)} {problem}. Rename it."
            )
        return name

    def number(self, column: str, *, otherwise: float | None = None) -> float:
        """Return a number above zero; `otherwise` for an empty cell."""
        text = self.values[column]
        if not text and otherwise is not None:
            return otherwise
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not (np.isfinite(value) and value > 0):
            raise DataError(
                f"{self.path}: {self.name}: {column} must be a number above 0, "
                f"found {text!r}. Correct it or leave the video out."
            )
        return value

    def names(self, column: str) -> list[str]:
        """Return a JSON list of names; an empty cell is an empty list."""
        text = self.values[column]
        try:
            names = parse_json(text) if text else []
            if not isinstance(names, list):
                raise ValueError("it is no list")
        except ValueError as error:
            raise DataError(
                f"{self.path}: {self.name}: {column} must be a JSON list of names, "
                f"found {text[:60]!r} ({error}). Correct it in the file."
            ) from error
        return [str(name) for name in names]


def _read_listing(path: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; expected a folder in the Kaggle layout with "
            "train.csv and train_annotation/. Is it one folder up or down?"
        )
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if missing := set(METADATA_COLUMNS) - set(header):
        raise DataError(
            f"{path}: no column {sorted(missing)}; it has {header[:5]}... "
            "Is this the challenge's train.csv?"
        )
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DataError(
                f"{path}: row {number} has {len(row)} values where the header names "
                f"{len(header)}. Was the file truncated? Download it again."
            )
    return tuple(header), [tuple(row) for row in rows]


def _in_turns(rows: Sequence[tuple[str, ...]], lab: int) -> list[tuple[str, ...]]:
    """Return the rows in an order that takes labs in turns."""
    by_lab = defaultdict(list)
    for row in rows:
        by_lab[row[lab]].append(row)
    rounds = zip_longest(*by_lab.values())
    return [row for row in chain.from_iterable(rounds) if row is not None]


def _plan_video(row: _Row, folder: Path, seed: int) -> VideoPlan:
    lab, video = row.own_name("lab_id"), row.own_name("video_id")
    path = path_under(folder / "train_annotation", lab, video, ending=".parquet")
    annotation = _read_annotation(path) if path.is_file() else None
    bouts = _bouts(annotation) if annotation is not None else ()
    fps = row.number("frames_per_second")
    scale = row.number("pix_per_cm_approx")
    frames = round(fps * row.number("video_duration_sec"))
    frames = max(frames, 1, *(bout.stop for bout in bouts))
    arena, camera = _arena_and_camera(row, fps=fps, scale=scale)
    body_parts = row.names("body_parts_tracked")
    if not body_parts:
        raise DataError(
            f"{row.path}: {row.name}: body_parts_tracked names no body part, so there "
            "is nothing to simulate. Leave the video out."
        )
    return VideoPlan(
        lab=lab,
        video=video,
        seed=seed,
        frames=frames,
        animals=_animals(row, bouts),
        body_parts=tuple(body_parts),
        arena=arena,
        camera=camera,
        bouts=bouts,
        annotation=annotation,
        widths=_widths(lab).holding(frames),
    )


def _read_annotation(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: expected an annotation in parquet, which could not be read "
            f"({str(error).splitlines()[0]}). Download it again."
        ) from error
    if missing := set(ANNOTATION_COLUMNS) - set(table.column_names):
        raise DataError(
            f"{path}: no column {sorted(missing)}; it has {table.column_names}. "
            "Is this a tracking file?"
        )
    return table


def _bouts(table: pa.Table) -> tuple[Bout, ...]:
    """Return the bouts of labels that have a length."""
    lasting = table.filter(pc.less(table["start_frame"], table["stop_frame"]))
    columns = [lasting[name].to_pylist() for name in ANNOTATION_COLUMNS]
    return tuple(
        Bout(start=start, stop=stop, action=action, agent=agent, target=target)
        for agent, target, action, start, stop in zip(*columns, strict=True)
    )


def _animals(row: _Row, bouts: Sequence[Bout]) -> tuple[int, ...]:
    """Return the animals that are described, watched or have a bout."""
    described = {int(name[5]) for name in _MOUSE_COLUMNS if row.values[name]}
    watched = {
        int(mouse.removeprefix("mouse"))
        for entry in row.names("behaviors_labeled")
        for mouse in entry.replace("'", "").split(",")[:2]
        if mouse.removeprefix("mouse").isdecimal()
    }
    acting = {animal for bout in bouts for animal in (bout.agent, bout.target)}
    return tuple(sorted(described | watched | acting)) or (1,)


def _arena_and_camera(row: _Row, *, fps: float, scale: float) -> tuple[Arena, Camera]:
    width_px = row.number("video_width_pix", otherwise=40 * scale)
    height_px = row.number("video_height_pix", otherwise=40 * scale)
    arena = Arena(
        width_cm=row.number("arena_width_cm", otherwise=width_px / scale),
        height_cm=row.number("arena_height_cm", otherwise=height_px / scale),
        is_round="circ" in row.values["arena_shape"],
    )
    rng = random_stream("tracker", row.values["lab_id"])
    camera = Camera(
        fps=fps,
        pixels_per_cm=scale,
        width_px=width_px,
        height_px=height_px,
        missing_share=float(rng.uniform(0.02, 0.35)),
        jitter_cm=float(rng.uniform(0.04, 0.15)),
    )
    return arena, camera


def _widths(lab: str) -> Widths:
    """Return integer types that differ from lab to lab."""
    rng = random_stream("widths", lab)
    return Widths(
        frame=str(rng.choice(["int16", "int32", "int64"])),
        mouse=str(rng.choice(["int8", "int16", "int64"])),
    )
