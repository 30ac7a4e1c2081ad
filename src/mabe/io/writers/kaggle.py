"""The Kaggle layout: metadata tables, and parquet files of points and labels.

`mabe.io.readers.kaggle` describes and reads it. A missing point is an absent row; extra
body parts keep their own names.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from mabe.bouts import Bout, Coverage, Watched, WatchedSpan, name_animal, name_target
from mabe.runtime.csv_cells import cell_of
from mabe.runtime.files import write_atomically, write_text
from mabe.skeleton import ANIMALS

_LABEL_TYPES = {
    "agent_id": None,
    "target_id": None,
    "action": pa.string(),
    "start_frame": pa.int32(),
    "stop_frame": pa.int32(),
}


_MOST_IN_INT8 = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataRow:
    """The row of one video in ``train.csv``."""

    lab: str
    video: str
    fps: float
    pixels_per_cm: float
    length: int
    animals: tuple[str, ...]
    objects: tuple[int, ...] = ()
    """The numbers of those animals that are objects."""
    zones: tuple[int, ...] = ()
    """The numbers of those that are zones, which are in zones.csv by their names."""
    parts: tuple[str, ...]
    watched: tuple[Watched, ...]
    tracker: str


def write_metadata(path: Path, rows: Iterable[MetadataRow]) -> None:
    """Write a metadata table."""
    buffer, rows = io.StringIO(), list(rows)
    writer = csv.writer(buffer, lineterminator="\n")
    most = max([ANIMALS, *(len(row.animals) for row in rows)])
    has_objects = any(row.objects for row in rows)
    has_zones = any(row.zones for row in rows)
    ids = [f"mouse{number}_id" for number in range(1, most + 1)]
    writer.writerow(
        [
            *("lab_id", "video_id", *ids, "frames_per_second", "video_duration_sec"),
            *("pix_per_cm_approx", "body_parts_tracked", "behaviors_labeled"),
            "tracking_method",
            *(["objects"] if has_objects else []),
            *(["zones"] if has_zones else []),
        ]
    )
    for row in rows:
        animals = [*map(cell_of, row.animals), *[""] * most][:most]
        writer.writerow(
            [
                *(cell_of(row.lab), cell_of(row.video), *animals, repr(row.fps)),
                round(row.length / row.fps, 3),
                repr(float(f"{row.pixels_per_cm:.6g}")),
                json.dumps(list(row.parts), ensure_ascii=False),
                format_watched(row.watched),
                cell_of(row.tracker),
                *([json.dumps(row.objects)] if has_objects else []),
                *([json.dumps(row.zones)] if has_zones else []),
            ]
        )
    write_text(path, buffer.getvalue())


def format_watched(watched: Iterable[Watched]) -> str:
    """Return what was watched as the cell ``behaviors_labeled`` of a table."""
    entries = [
        f"{name_animal(of.agent)},{name_target(of.agent, of.target)},{of.action}"
        for of in watched
    ]
    return json.dumps(entries, ensure_ascii=False)


def write_tracking(
    path: Path,
    xy_px: Float[np.ndarray, "time animal part 2"],
    parts: Sequence[str | None],
    *,
    first_frame: int,
    z_px: Float[np.ndarray, "time animal part"] | None = None,
) -> None:
    """Write the points that are not missing as rows; parts named None are left out.

    There is a column of heights where these are known; objects have none.
    """
    schema = pa.schema(
        [
            ("video_frame", pa.int32()),
            ("mouse_id", _id_type(xy_px.shape[1])),
            ("bodypart", pa.dictionary(pa.int16(), pa.string())),
            ("x", pa.float32()),
            ("y", pa.float32()),
            *([] if z_px is None else [("z", pa.float32())]),
        ]
    )
    kept = [at for at, name in enumerate(parts) if name is not None]
    names = pa.array([str(parts[at]) for at in kept], pa.string())

    def write(place: Path) -> None:
        with pq.ParquetWriter(place, schema) as writer:
            for animal in range(xy_px.shape[1]):
                points = xy_px[:, animal][:, kept]
                frame, part = np.nonzero(np.isfinite(points).all(axis=-1))
                present = points[frame, part]
                columns = [
                    pa.array((frame + first_frame).astype(np.int32)),
                    pa.array(np.full(len(frame), animal + 1), schema.field(1).type),
                    pa.DictionaryArray.from_arrays(
                        pa.array(part.astype(np.int16)), names
                    ),
                    pa.array(present[:, 0].astype(np.float32)),
                    pa.array(present[:, 1].astype(np.float32)),
                ]
                if z_px is not None:
                    heights = z_px[:, animal][:, kept][frame, part].astype(np.float32)
                    columns.append(pa.array(heights, from_pandas=True))
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))

    write_atomically(path, write)


def _id_type(animals: int) -> pa.DataType:
    """Return the type of the numbers of so many animals: the challenge's, or wider."""
    return pa.int8() if animals <= _MOST_IN_INT8 else pa.int16()


def write_annotation(path: Path, bouts: Iterable[Bout]) -> None:
    """Write annotated bouts as rows, in time order."""
    _write_spans(path, sorted(bouts))


def write_coverage(path: Path, coverage: Coverage) -> None:
    """Write when annotators watched for what as rows, in time order."""
    _write_spans(path, sorted(coverage))


def _write_spans(path: Path, spans: Iterable[Bout | WatchedSpan]) -> None:
    rows = [
        (span.agent, span.target, span.action, span.start, span.stop) for span in spans
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(_LABEL_TYPES)
    ids = _id_type(max((max(agent, target) for agent, target, *_ in rows), default=0))
    arrays = [
        pa.array(column, kind or ids)
        for column, kind in zip(columns, _LABEL_TYPES.values(), strict=True)
    ]
    table = pa.Table.from_arrays(arrays, names=list(_LABEL_TYPES))
    write_atomically(path, lambda place: pq.write_table(table, place))
