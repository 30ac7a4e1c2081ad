"""Time and memory as a function of data size: 1, 10 and 100 % of a data set.

    python benchmarks/cost_by_size.py DATA WORK [--steps 30]

`DATA` is in the Kaggle layout, for example made by `mabe simulate DATA --like
CHALLENGE`. For each share, every n-th video becomes a data set of its own in `WORK`
(hard links or copies). It is prepared, V2 takes some steps on it, and the resulting
model predicts all of its videos from the store. Each of these is a process of its own;
its wall time and peak memory are printed. Equal columns from row to row mean that time
is linear, or memory constant.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

CONFIG = Path(__file__).parent.parent / "configs" / "config_5090.yaml"
SHARES = (0.01, 0.1, 1.0)
MABE = "import sys; from mabe.cli.main import main; sys.exit(main())"
WAIT_AND_TELL = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
if done.returncode:
    sys.exit(done.stderr.decode())
print(json.dumps([usage.ru_maxrss / 1e3, usage.ru_utime + usage.ru_stime]))
"""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    seconds: float
    processor_seconds: float
    peak_mb: float
    """Of the largest process."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    given = parser.parse_args()
    print(
        "| share | M rows | prepare: M rows/s | peak MB | a V2 step, ms | peak MB | "
        "predict: frames/s | peak MB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for share in SHARES:
        print(measure_share(given.data, given.work, share, given.steps), flush=True)


def measure_share(data: Path, work: Path, share: float, steps: int) -> str:
    """Return a row of the table."""
    part = work / f"{share:g}"
    some, store, run = part / "data", part / "store", part / "run"
    if not some.is_dir():
        take_share(data, some, share)
    rows = sum(
        pq.read_metadata(path).num_rows for path in some.glob("*_tracking/*/*.parquet")
    )
    shutil.rmtree(store, ignore_errors=True)
    preparing = measure("prepare", some, "--out", store)
    shutil.rmtree(run, ignore_errors=True)
    measure(
        *("train", "--config", CONFIG, "--data-dir", store, "--checkpoint-dir", run),
        *("--set", "epochs=1", "--set", f"steps_per_epoch={steps}"),
        *("--set", "max_sequences=8"),
    )
    training = step_cost(store, part / "steps", steps)
    shutil.rmtree(part / "out", ignore_errors=True)
    prediction = measure("predict", run, store, "--out", part / "out")
    frames = native_frames(store)
    return (
        f"| {share:.0%} | {rows / 1e6:.1f} "
        f"| {rows / preparing.seconds / 1e6:.1f} | {preparing.peak_mb:.0f} "
        f"| {1e3 * training.seconds:.0f} | {training.peak_mb:.0f} "
        f"| {frames / prediction.seconds:,.0f} | {prediction.peak_mb:.0f} |"
    )


def step_cost(store: Path, run: Path, steps: int) -> Cost:
    """Return what one step costs: a longer run less a shorter one."""
    costs = []
    for count in (steps, 3 * steps):
        shutil.rmtree(run, ignore_errors=True)
        costs.append(
            measure(
                *("train", "--config", CONFIG, "--data-dir", store),
                *("--checkpoint-dir", run, "--set", "epochs=1", "--set", "folds=40"),
                *("--set", f"steps_per_epoch={count}"),
            )
        )
    short, long = costs
    return Cost(
        (long.seconds - short.seconds) / (2 * steps),
        (long.processor_seconds - short.processor_seconds) / (2 * steps),
        long.peak_mb,
    )


def take_share(data: Path, to: Path, share: float) -> None:
    """Make a data set of every so manieth video."""
    with (data / "train.csv").open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        columns, rows = list(table.fieldnames or []), list(table)
    kept = rows[:: round(1 / share)]
    to.mkdir(parents=True)
    for row in kept:
        place = Path(row["lab_id"]) / f"{row['video_id']}.parquet"
        for kind in ("train_tracking", "train_annotation"):
            if (data / kind / place).is_file():
                link(data / kind / place, to / kind / place)
    with (to / "train.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(kept)


def link(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, to)
    except OSError:  # another disk
        shutil.copyfile(source, to)


def native_frames(store: Path) -> int:
    index = json.loads((store / "index.json").read_text(encoding="utf-8"))
    return sum(recording["native_length"] for recording in index["recordings"])


def measure(*words: object) -> Cost:
    """Run a command in a process of its own."""
    command = [sys.executable, "-c", WAIT_AND_TELL, sys.executable, "-c", MABE]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, *map(str, words)], check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - began
    peak_mb, processor_seconds = json.loads(done.stdout.splitlines()[-1])
    return Cost(seconds, processor_seconds, peak_mb)


if __name__ == "__main__":
    main()
