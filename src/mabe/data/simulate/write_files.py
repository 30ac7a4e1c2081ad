"""The files of one video in the Kaggle layout, written piece by piece.

The motion of the whole video is in memory (seven numbers per animal and frame), poses
of some thousand frames at a time.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mabe.data.simulate.bodies import pose_bodies
from mabe.data.simulate.movement import move_animals
from mabe.data.simulate.plan import DataSetPlan, VideoPlan
from mabe.data.simulate.random_signals import random_stream
from mabe.data.simulate.tracker_errors import Poses, film
from mabe.runtime.csv_cells import cell_of, text_of
from mabe.runtime.files import write_atomically, write_text

_PIECE_FRAMES = 8192


def write_listings(out_dir: Path, plan: DataSetPlan) -> None:
    """Write train.csv and, if there are test videos, test.csv."""
    _write_listing(out_dir / "train.csv", plan.columns, plan.rows)
    if plan.test_rows:
        _write_listing(out_dir / "test.csv", plan.columns, plan.test_rows)


def _write_listing(
    path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in (columns, *rows):
        writer.writerow([cell_of(text_of(cell)) for cell in row])
    write_text(path, text.getvalue())


def write_video(out_dir: Path, plan: VideoPlan) -> bool:
    """Write the files of one video that are absent; return whether any was.

    Files are renamed into place when they are complete.
    """
    annotation_path = plan.annotation_path(out_dir)
    tracking_path = plan.tracking_path(out_dir)
    absent = []
    if plan.annotation is not None and not _is_whole(annotation_path):
        absent.append(annotation_path)
        write_atomically(annotation_path, lambda at: _write_labels(at, plan))
    if not _is_whole(tracking_path):
        absent.append(tracking_path)
        write_atomically(tracking_path, lambda at: _write_tracking(at, plan))
    return bool(absent)


def simulate_poses(plan: VideoPlan) -> Iterator[Poses]:
    """Yield the tracked pixels of one video, piece by piece; missing is NaN."""
    own = random_stream("movement", plan.seed, plan.lab, plan.video)
    motions = move_animals(
        plan.bouts,
        animals=plan.animals,
        arena=plan.arena,
        frames=plan.frames,
        fps=plan.camera.fps,
        rng=own,
    )
    sizes = own.uniform(0.92, 1.08, len(plan.animals))
    for first in range(0, plan.frames, _PIECE_FRAMES):
        poses_cm = pose_bodies(
            motions,
            sizes=[float(size) for size in sizes],
            parts=plan.body_parts,
            first=first,
            stop=min(first + _PIECE_FRAMES, plan.frames),
        )
        tracker = random_stream("tracker", plan.seed, plan.lab, plan.video, first)
        yield film(poses_cm, plan.camera, tracker)


def _write_labels(path: Path, plan: VideoPlan) -> None:
    pq.write_table(plan.annotation, path, compression="zstd", store_schema=False)


def _write_tracking(path: Path, plan: VideoPlan) -> None:
    """Write a row for every point that is tracked, by frame, animal and body part."""
    schema = pa.schema(
        {
            "video_frame": pa.type_for_alias(plan.widths.frame),
            "mouse_id": pa.type_for_alias(plan.widths.mouse),
            "bodypart": pa.dictionary(pa.int32(), pa.large_string()),
            "x": pa.float32(),
            "y": pa.float32(),
        }
    )
    # Readers get plain strings, although the file stores a dictionary.
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=["mouse_id", "bodypart", "video_frame"],
        store_schema=False,
    ) as writer:
        first = 0
        for points in simulate_poses(plan):
            writer.write_table(_long_table(points, first, plan, schema))
            first += len(points)


def _long_table(
    points: Poses, first: int, plan: VideoPlan, schema: pa.Schema
) -> pa.Table:
    tracked = ~np.isnan(points[..., 0])
    frames, _, parts = tracked.shape
    numbers = np.arange(first, first + frames)
    frame_type = schema.field("video_frame").type.to_pandas_dtype()
    mouse_type = schema.field("mouse_id").type.to_pandas_dtype()
    mice = np.array(plan.animals, mouse_type)
    codes = np.broadcast_to(np.arange(parts, dtype=np.int32), tracked.shape)[tracked]
    names = pa.array(plan.body_parts, pa.large_string())
    return pa.table(
        [
            np.repeat(numbers.astype(frame_type), tracked.sum(axis=(1, 2))),
            np.broadcast_to(mice[:, None], tracked.shape)[tracked],
            pa.DictionaryArray.from_arrays(codes, names),
            points[..., 0][tracked],
            points[..., 1][tracked],
        ],
        schema=schema,
    )


def _is_whole(path: Path) -> bool:
    """Return whether a parquet file exists and is complete."""
    if not path.is_file():
        return False
    try:
        pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return False
    return True
