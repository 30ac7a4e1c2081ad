"""Speed of `prepare` in keypoint rows, beside a baseline with a pivot.

    python benchmarks/prepare.py                 simulated rows in a temporary folder
    python benchmarks/prepare.py --data DIR      any data set in the Kaggle layout

Both read the same files in the same run. The pivot only makes one table of points per
video (pandas if it is installed, else polars); `prepare` also resamples, hashes, and
writes its store to the disk. The limit is the time in which Arrow decodes the same
columns; processes are run one after the other and counted as if in parallel.
"""

import argparse
import csv
import importlib.util
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mabe.data.prepare import prepare
from mabe.io.readers.kaggle import read_index
from mabe.skeleton import KEYPOINTS

PARTS = KEYPOINTS[:11]
MICE = 2
SEEN_SHARE = 0.9


def write_data(folder: Path, *, rows: int, videos: int) -> None:
    """Write videos of two mice with eleven keypoints, a tenth of them missing."""
    header = "lab_id video_id frames_per_second pix_per_cm_approx behaviors_labeled"
    watched = json.dumps(["mouse1,mouse2,sniff"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(header.split())
        table.writerows(["Lab", video, 30, 10, watched] for video in range(videos))
    frames = round(rows / videos / len(PARTS) / MICE / SEEN_SHARE)
    for video in range(videos):
        path = folder / "train_tracking" / "Lab" / f"{video}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(simulate_rows(frames, seed=video), path, compression="zstd")


def simulate_rows(frames: int, *, seed: int) -> pa.Table:
    """Return the long table of points that wander."""
    rng = np.random.default_rng(seed)
    columns = MICE * len(PARTS)
    seen = rng.random(frames * columns) < SEEN_SHARE
    steps = rng.normal(size=(2, frames, columns)).astype(np.float32)
    x, y = (500 + np.cumsum(steps, axis=1) * 0.1).reshape(2, -1)[:, seen]
    cell = np.tile(np.arange(columns), frames)[seen]
    parts = pa.DictionaryArray.from_arrays(
        pa.array((cell % len(PARTS)).astype(np.int32)), pa.array(PARTS)
    )
    return pa.table(
        {
            "video_frame": np.repeat(np.arange(frames, dtype=np.int32), columns)[seen],
            "mouse_id": (cell // len(PARTS) + 1).astype(np.int8),
            "bodypart": parts.cast(pa.large_string()),
            "x": x,
            "y": y,
        }
    )


def pivot_with_polars(path: Path) -> np.ndarray:
    """Return a video's points as one row per frame."""
    import polars

    wide = polars.read_parquet(path).pivot(
        on=["mouse_id", "bodypart"], index="video_frame", values=["x", "y"]
    )
    return wide.to_numpy()


def pivot_with_pandas(path: Path) -> np.ndarray:
    """Return a video's points as one row per frame."""
    import pandas

    wide = pandas.read_parquet(path).pivot(
        index="video_frame", columns=["mouse_id", "bodypart"], values=["x", "y"]
    )
    return wide.to_numpy()


def decode(path: Path) -> int:
    """Read the columns that are needed, and drop them."""
    with pq.ParquetFile(path, read_dictionary=["bodypart"]) as file:
        columns = ["video_frame", "mouse_id", "bodypart", "x", "y"]
        batches = file.iter_batches(1 << 17, columns=columns, use_threads=False)
        return sum(batch.num_rows for batch in batches)


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure both ways and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a data set in the Kaggle layout")
    parser.add_argument("--rows", type=int, default=24_000_000)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = args.data or Path(temporary) / "data"
        if args.data is None:
            write_data(data, rows=args.rows, videos=args.videos)
        paths = [info.tracking_path for info in read_index(data)]
        rows = sum(pq.read_metadata(path).num_rows for path in paths)
        print(f"{rows:,} keypoint rows in {len(paths)} videos")

        has_pandas = importlib.util.find_spec("pandas") is not None
        pivot = pivot_with_pandas if has_pandas else pivot_with_polars
        label = "pandas" if has_pandas else "polars"
        # Two rounds, best of each: the first also brings the files into the cache.
        store = Path(temporary) / "store"
        ours, theirs = [], []
        for _ in range(2):
            shutil.rmtree(store, ignore_errors=True)
            ours.append(
                seconds(
                    lambda: prepare(
                        data,
                        store,
                        rate_fps=33.3,
                        workers=args.workers,
                        progress=False,
                    )
                )
            )
            theirs.append(seconds(lambda: [pivot(path) for path in paths]))
        floor = seconds(lambda: [decode(path) for path in paths]) / args.workers
    print(f"prepare, {args.workers} workers   {rows / min(ours) / 1e6:6.1f} M rows/s")
    print(f"pivot with {label}     {rows / min(theirs) / 1e6:6.1f} M rows/s")
    print(f"ratio                {min(theirs) / min(ours):6.1f}")
    print(f"floor: decoding      {rows / floor / 1e6:6.1f} M rows/s")
    print(f"ours to the floor    {floor / min(ours):6.2f}")


if __name__ == "__main__":
    main()
