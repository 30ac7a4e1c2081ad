"""SLEAP's tracks in CSV files, in the three layouts that SLEAP and sleap-io write.

- Analysis CSV: a row for each animal and frame, ``track, frame_idx, instance.score``,
  then ``<node>.x, <node>.y, <node>.score``.
- Instances: the same, with ``track_score, score`` instead of ``instance.score``.
- Frames: a row for each frame, the animals side by side, ``inst0.track,
  inst0.<node>.x`` …; the place of an animal in the row is no identity, its track is.
  Where tracks name the columns (``<track>.<node>.x``), they are the animals.

Points that SLEAP did not find are empty. A frame that is absent has no animal.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.csv_table import column_of_numbers, read_cells
from mabe.io.readers.file_head import Peek
from mabe.io.readers.instances import Instance, poses_of_instances

FACTS = facts.tracks(
    "SLEAP CSV",
    clock="`frame_idx`, from 0",
    missing="empty, no row",
    animals="`track`; the order in the frame without tracks",
    assumed="broken tracks are joined by place",
    notes="Analysis CSV, and the layouts *instances* and *frames* of sleap-io",
)


_FRAME = "frame_idx"

_COORD = re.compile(r"(.+)\.(x|y|score)")

_PLACE = re.compile(r"inst(ance)?_?\d+")


@dataclass(frozen=True, slots=True)
class _Block:
    """The columns of one animal in a row."""

    animal: str
    """The animal, where the columns' names give it."""
    track: str
    """The column that names the animal, where there is one."""
    points: Mapping[str, Mapping[str, str]]
    """The columns of each keypoint, by ``x``, ``y`` and ``score``."""


def is_sleap_csv(peek: Peek) -> bool:
    """Return whether a table has SLEAP's columns."""
    if peek.kind != "text" or not peek.rows or _FRAME not in peek.rows[0]:
        return False
    return any(name.endswith(".x") for name in peek.rows[0])


def read_sleap_csv(peek: Peek) -> Content:
    """Return the tracks of a table in any of the three layouts."""
    header = peek.rows[0]
    blocks = _blocks(header)
    table = read_cells(peek, header)
    if "video" in table.columns and table["video"].n_unique() > 1:
        videos = sorted(str(name) for name in table["video"].unique())
        raise DataError(
            f"{peek.path}: rows of {len(videos)} videos ({', '.join(videos[:3])} …); "
            "export one file a video from SLEAP."
        )
    nodes = tuple(dict.fromkeys(node for block in blocks for node in block.points))
    frames = column_of_numbers(table, _FRAME, peek)
    if not np.isfinite(frames).all() or (frames % 1).any():
        raise DataError(f"{peek.path}: every row needs a whole number as {_FRAME}.")
    by_block = [_instances(block, nodes, frames, table, peek) for block in blocks]
    instances = sorted(
        (each for those in by_block for each in those), key=lambda each: each.frame
    )
    poses = poses_of_instances(
        instances,
        tuple(dict.fromkeys(each.track for each in instances if each.track)),
        nodes,
        name=re.sub(r"\.analysis$", "", peek.stem),
        where=str(peek.path),
    )
    if poses is None:
        raise DataError(f"{peek.path}: a SLEAP table without any tracked point.")
    return Content("SLEAP CSV", poses=(poses,))


def _blocks(header: Sequence[str]) -> list[_Block]:
    """Return the columns of each animal of a row."""
    columns: dict[str, dict[str, str]] = {}
    for name in header:
        if match := _COORD.fullmatch(name):
            columns.setdefault(match[1], {})[match[2]] = name
    points = {name: of for name, of in columns.items() if of.keys() >= {"x", "y"}}
    if not all("." in name for name in points):
        return [_Block("", "track" if "track" in header else "", points)]
    owners: dict[str, dict[str, Mapping[str, str]]] = {}
    for name, of in points.items():
        owner, node = name.split(".", 1)
        owners.setdefault(owner, {})[node] = of
    found = []
    for owner, those in owners.items():
        track = f"{owner}.track"
        if track in header or _PLACE.fullmatch(owner):
            found.append(_Block("", track if track in header else "", those))
        else:
            found.append(_Block(owner, "", those))
    return found


def _instances(
    block: _Block,
    nodes: Sequence[str],
    frames: np.ndarray,
    table: pl.DataFrame,
    peek: Peek,
) -> list[Instance]:
    """Return the animals of some columns, one for each row that has any point."""
    values = np.full((len(frames), len(nodes), 3), np.nan, np.float32)
    values[..., 2] = 1
    for node, of in block.points.items():
        for depth, coord in enumerate(("x", "y", "score")):
            if coord in of:
                at = nodes.index(node)
                values[:, at, depth] = column_of_numbers(table, of[coord], peek)
    names = table[block.track].to_list() if block.track else [None] * len(frames)
    given = np.isfinite(values[..., :2]).all(axis=-1).any(axis=-1)
    return [
        Instance(int(frames[at]), block.animal or names[at] or "", values[at])
        for at in np.flatnonzero(given).tolist()
    ]
