"""Who chases whom, of two fish of one point each: real tracks, 43 chases by hand.

    python benchmarks/fish_fights.py WORK [--folds 5]

The film of `$MABE_DATA/fish_fights` is cut into folds by time, with as many chases in
each. What the annotator named (chases and bites with their direction, normal swimming)
was watched in both directions, everything else was not. Trees of the pair task are
trained on all folds but one. Of each chase held out, the direction is the one whose
mean log-odds of `chase` over its frames are higher; a rule that needs no learning (who
swims more towards the other) is printed beside it. One film of two fish shows that the
features can tell the direction, and nothing of other fish.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from mabe.bouts import Bout, View, Watched, WatchedSpan
from mabe.experiments.out_of_fold import read_out_of_fold
from mabe.io.writers.kaggle import (
    MetadataRow,
    write_annotation,
    write_coverage,
    write_metadata,
    write_tracking,
)

FPS = 30.0
PIXELS_PER_CM = 30.0
"""Neither is given with the film: both are guesses, and the same for both fish."""
LAB, FISH = "fish", ("fish0", "fish1")
ACTIONS = ("bite", "chase")
MARGIN = 60
"""Frames of the tracks before and after the first and the last bout of a fold."""
COMMAND = "import sys; from mabe.cli.main import main; sys.exit(main())"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args()
    source = Path(os.environ["MABE_DATA"]) / "fish_fights"
    xy = read_tracks(source / "film1_14.parquet")
    directed = read_bouts(source / "film1_14_directed_bouts.csv")
    named = read_bouts(source / "film1_14_undirected_bouts.csv")
    pieces = cut(directed, given.folds)
    data = given.work / "data"
    shutil.rmtree(given.work, ignore_errors=True)
    write_data(data, xy, directed, named, pieces)
    train(data, given.work / "run", given.folds)
    chases = [bout for bout in directed if bout.action == "chase"]
    learned = directions(given.work / "run" / "out_of_fold.npz", chases, pieces)
    by_rule = [rule(xy[bout.start : bout.stop]) for bout in chases]
    for name, found in (("trees", learned), ("who swims towards whom", by_rule)):
        right = sum(a > 0 for a in signed(found, chases))
        print(f"{name}: direction right in {right} of {len(chases)} chases")


def read_tracks(path: Path) -> np.ndarray:
    """Return positions ``[frame, fish, keypoint, xy]`` in pixels."""
    table = pl.read_parquet(path)
    xy = np.full((table["frame"].max() + 1, 2, 1, 2), np.nan, np.float32)
    for number, fish in enumerate(FISH):
        own = table.filter(pl.col("individual") == fish)
        xy[own["frame"].to_numpy(), number, 0] = own.select("x", "y").to_numpy()
    return xy


def read_bouts(path: Path) -> list[Bout]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Bout(
                int(row["start_frame"]),
                int(row["stop_frame"]),
                row["action"],
                FISH.index(row["agent"]) + 1,
                FISH.index(row["target"]) + 1,
            )
            for row in csv.DictReader(file)
        ]


def cut(directed: list[Bout], folds: int) -> list[tuple[int, int]]:
    """Return the frames of each fold: about as many chases in each, whole bouts."""
    ordered = sorted(directed)
    shares = np.array_split(np.arange(len(ordered)), folds)
    return [
        (
            max(0, ordered[share[0]].start - MARGIN),
            max(ordered[place].stop for place in share) + MARGIN,
        )
        for share in shares
    ]


def write_data(data, xy, directed, named, pieces) -> None:
    rows = []
    watched = tuple(Watched(a, b, x) for a, b in ((1, 2), (2, 1)) for x in ACTIONS)
    for number, (start, stop) in enumerate(pieces):
        video = f"piece{number}"
        inside = [bout for bout in directed if start <= bout.start < stop - MARGIN]
        seen = [
            WatchedSpan(one.start - start, one.stop - start, each.action, *pair(each))
            for one in (*inside, *(b for b in named if b.action == "normal"))
            if start <= one.start and one.stop <= stop
            for each in watched
        ]
        places = {
            kind: data / f"train_{kind}" / LAB / f"{video}.parquet"
            for kind in ("tracking", "annotation", "coverage")
        }
        for path in places.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        write_tracking(places["tracking"], xy[start:stop], ["body"], first_frame=0)
        moved = [
            Bout(b.start - start, b.stop - start, b.action, b.agent, b.target)
            for b in inside
        ]
        write_annotation(places["annotation"], moved)
        write_coverage(places["coverage"], tuple(seen))
        rows.append(
            MetadataRow(
                lab=LAB,
                video=video,
                fps=FPS,
                pixels_per_cm=PIXELS_PER_CM,
                length=stop - start,
                animals=FISH,
                parts=("body",),
                watched=watched,
                tracker="",
            )
        )
    write_metadata(data / "train.csv", rows)


def pair(each: Watched) -> tuple[int, int]:
    return each.agent, each.target


def train(data: Path, run: Path, folds: int) -> None:
    settings = {
        "task": "pair",
        "model_type": "trees",
        "feature_set": "social",
        "fps": FPS,
        "store_dir": data.parent / "store",
    }
    words = [
        word for key, value in settings.items() for word in ("--set", f"{key}={value}")
    ]
    subprocess.run(
        [
            *(sys.executable, "-c", COMMAND, "crossval", "--data-dir", str(data)),
            *("--checkpoint-dir", str(run), "--folds", str(folds), *words),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def directions(path: Path, chases: list[Bout], pieces) -> list[float]:
    """Return the mean log-odds of fish 1 as agent less those of fish 2, held out."""
    predictions = read_out_of_fold(path)
    place = predictions.classes.index("chase")
    odds = {}
    for each in predictions.views:
        p = np.clip(each.probabilities[:, place].astype(float), 1e-4, 1 - 1e-4)
        odds[each.video, each.view] = np.log(p / (1 - p))
    found = []
    for bout in chases:
        number = next(
            n for n, (a, b) in enumerate(pieces) if a <= bout.start < b - MARGIN
        )
        first = pieces[number][0]
        frames = slice(bout.start - first, bout.stop - first)
        one, other = (odds[f"piece{number}", view] for view in (View(1, 2), View(2, 1)))
        found.append(float(one[frames].mean() - other[frames].mean()))
    return found


def rule(xy: np.ndarray) -> float:
    """Return how much more fish 1 swims towards fish 2 than fish 2 towards fish 1."""
    line = xy[:-1, 1, 0] - xy[:-1, 0, 0]
    line = line / np.linalg.norm(line, axis=1, keepdims=True).clip(min=1e-6)
    steps = np.diff(xy[:, :, 0], axis=0)
    towards = (steps[:, 0] * line).sum(axis=1), -(steps[:, 1] * line).sum(axis=1)
    return float(np.nanmean(towards[0]) - np.nanmean(towards[1]))


def signed(found: list[float], chases: list[Bout]) -> list[float]:
    return [x if b.agent == 1 else -x for x, b in zip(found, chases, strict=True)]


if __name__ == "__main__":
    main()
