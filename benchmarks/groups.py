"""Cost and accuracy of "who does what to whom" as a function of the group's size.

    python benchmarks/groups.py WORK [--animals 2 4 8 12 24] [--videos 12] [--minutes 1]

For each number of animals, simulated recordings (six labs in turns, arenas with as much
room for each animal) are divided into some to learn from and some to predict. Trees of
the pair task are trained, then predict the others; each command is a process of its own
on one thread. `score` is the challenge's F-score. `target right`: of the predicted
frames of an agent in which it acts, the share with the right target. Times are
processor seconds.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl

COMMAND = "import sys; from mabe.cli.main import main; sys.exit(main())"
MEASURED = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
if done.returncode:
    sys.exit(done.stderr.decode())
print(json.dumps([usage.ru_maxrss / 1e3, usage.ru_utime + usage.ru_stime]))
"""
HELD_OUT = 3
"""Every third recording is predicted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--animals", type=int, nargs="+", default=[2, 4, 8, 12, 24])
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=1.0)
    given = parser.parse_args()
    print(
        "| animals | bouts | score | target right | train, s | peak MB | "
        "predict, s | peak MB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for animals in given.animals:
        print(measure(given.work / str(animals), animals, given), flush=True)


def measure(work: Path, animals: int, given: argparse.Namespace) -> str:
    """Return a row of the table."""
    whole = work / "data"
    options = ["--videos", str(given.videos), "--minutes", str(given.minutes)]
    actions = ["--actions", "chase,sniff,attack", "--animals", str(animals)]
    run("simulate", str(whole), *options, *actions)
    learn, unseen = divide(whole, work)
    settings = ("model_type=trees", "feature_set=social", "task=pair")
    sets = [word for each in settings for word in ("--set", each)]
    shutil.rmtree(work / "run", ignore_errors=True)
    train_mb, train_s = run("train", str(learn), "--out", str(work / "run"), *sets)
    predict_mb, predict_s = run(
        *("predict", str(work / "run"), str(unseen), "--out", str(work / "predicted"))
    )
    run("evaluate", str(work / "run"), str(unseen), "--out", str(work / "score"))
    scores = json.loads((work / "score" / "metrics.json").read_text(encoding="utf-8"))
    right, bouts = target_right(work / "predicted" / "bouts.csv", unseen)
    return (
        f"| {animals} | {bouts:,} | {scores['score']:.3f} | {right:.3f} | "
        f"{train_s:.0f} | {train_mb:,.0f} | {predict_s:.0f} | {predict_mb:,.0f} |"
    )


def divide(whole: Path, work: Path) -> tuple[Path, Path]:
    """Return two data sets made of links to the files of one."""
    with (whole / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for name, rest in (("learn", (1, 2)), ("unseen", (0,))):
        part = work / name
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        # Labs take turns, so that every third video would be of the same labs.
        some = [r for n, r in enumerate(rows) if (n // 6 + n) % HELD_OUT in rest]
        with (part / "train.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(some)
        for kind in ("train_tracking", "train_annotation"):
            (part / kind).symlink_to((whole / kind).resolve())
        found.append(part)
    return found[0], found[1]


def target_right(bouts: Path, data: Path) -> tuple[float, int]:
    """Return how often the target is right where the action is, and the bouts."""
    predicted = pl.read_csv(bouts, infer_schema_length=0)
    right = found = 0
    for video, those in predicted.group_by("video"):
        path = next((data / "train_annotation").glob(f"*/{video[0]}.parquet"), None)
        if path is None:
            continue
        true = pl.read_parquet(path)
        for row in those.iter_rows(named=True):
            start, stop = int(row["start_frame"]), int(row["stop_frame"])
            agent = int(row["agent"].removeprefix("mouse"))
            target = row["target"].removeprefix("mouse")
            same = true.filter(
                (pl.col("agent_id") == agent) & (pl.col("action") == row["action"])
            )
            for bout in same.iter_rows(named=True):
                both = min(stop, bout["stop_frame"]) - max(start, bout["start_frame"])
                if both > 0:
                    found += both
                    right += both * (str(bout["target_id"]) == target)
    return right / max(1, found), len(predicted)


def run(*words: str) -> tuple[float, float]:
    """Return the peak memory in MB and the processor time in seconds of a command."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MABE_CACHE": "/tmp/mabe-groups",
    }
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, sys.executable, "-c", COMMAND, *words],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    peak_mb, seconds = json.loads(done.stdout)
    return peak_mb, seconds


if __name__ == "__main__":
    main()
