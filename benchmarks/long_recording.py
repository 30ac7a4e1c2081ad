"""Memory needed to predict a recording of ten hours from its file.

    python benchmarks/long_recording.py RUN WORK [--hours 1 10]

Simulates one recording of two animals at 30 fps for each length (kept in `WORK`), runs
`mabe predict RUN` on it in a process of its own, and prints its time and peak memory.
`RUN` is the directory of any model. Linux and macOS.
"""

import argparse
import shutil
from pathlib import Path

import pyarrow.parquet as pq
from cost_by_size import measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--hours", type=float, nargs="+", default=[1, 10])
    given = parser.parse_args()
    for hours in given.hours:
        data, out = given.work / f"{hours:g}h", given.work / "out"
        if not (data / "train.csv").is_file():
            minutes = ("--minutes", hours * 60)
            measure("simulate", data, "--videos", 1, *minutes, "--seed", 1)
        [file] = data.glob("train_tracking/*/*.parquet")
        rows = pq.read_metadata(file).num_rows
        shutil.rmtree(out, ignore_errors=True)
        cost = measure("predict", given.run, file, "--out", out)
        frames = hours * 3600 * 30
        print(
            f"{hours:g} h, {frames:,.0f} frames, {rows:,} rows: {cost.seconds:.0f} s "
            f"({frames / cost.seconds:,.0f} frames/s, file and all), peak "
            f"{cost.peak_mb:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
