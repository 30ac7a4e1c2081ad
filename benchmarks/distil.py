"""A few scored videos of rats and many others without labels: what the others give.

    python benchmarks/distil.py WORK --videos 5 --folds 0 2 4
    python benchmarks/distil.py WORK --videos 5 --folds 0 2 4 --alone
    python benchmarks/distil.py WORK --videos 5 --folds 0 --steps 300

In each fold of `rat_dyad`, `mabe train` learns by the automatic recipe from the videos
that are not held out, of which N have labels: networks are pretrained on the poses of
all. `mabe distil` makes one network of it, which learns its probabilities on all of
them. With `--alone`, `mabe train` also learns from the N without the others.
`mabe evaluate` scores each on the videos held out. The N are those of
`benchmarks/accuracy.py --videos N`. Prints macro F1 of each class, and how many frames
a second each marks, with one thread.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch

from mabe.config import load_config
from mabe.data.prepare import load_store
from mabe.inference.frame_probabilities import in_layout_of
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import load_checkpoint
from mabe.training.objectives import load_training_data

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data")) / "rat_dyad"
CONFIG = ROOT / "configs" / "rat_dyad.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--videos", type=int, default=5)
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 2, 4])
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--steps", type=int, help="of the student, instead of its own")
    given = parser.parse_args()
    rows = [
        compare(given.work / f"{given.videos}-of-fold{fold}", given, fold)
        for fold in given.folds
    ]
    print("| fold | model | macro F1 | each class | frames/s |\n|---|---|---|---|---|")
    print("\n".join(line for lines in rows for line in lines))


def compare(folder: Path, given: argparse.Namespace, fold: int) -> list[str]:
    """Train and distil in one fold, and return a line for each of the models."""
    videos, held_out = split_fold(fold)
    scored = videos[: given.videos]
    write_subset(folder / "scored", scored, labelled=scored)
    write_subset(folder / "all", videos, labelled=scored)
    write_subset(folder / "held_out", held_out, labelled=held_out)

    run, student = folder / "run", folder / "student"
    rows = [("with the others' poses", run), ("distilled", student)]
    if given.alone:
        alone = folder / "alone"
        train(folder / "scored", alone)
        rows.insert(0, ("from the scored alone", alone))
    train(folder / "all", run)
    steps = ("--set", f"steps_per_epoch={given.steps // 2}") if given.steps else ()
    mabe("distil", run, folder / "all", "--out", student, *steps, resume=student)
    return [line_of(fold, name, path, folder / "held_out") for name, path in rows]


def train(data: Path, run: Path) -> None:
    """Train by the automatic recipe, or go on with it."""
    mabe("train", data, "--config", CONFIG, "--out", run, resume=run)


def split_fold(fold: int) -> tuple[list[str], list[str]]:
    """Return a fold's videos to learn from, in the order drawn, and those held out."""
    settings = {"data_dir": DATA, "model_type": "conv_gru", "feature_set": "social"}
    config = load_config(CONFIG, settings).changed(folds=5, fold=fold, fps=10.0)
    data = load_training_data(config, notes=False)
    order = np.random.default_rng(fold).permutation(len(data.learned))
    videos = [data.store.recordings[index].video for index in data.learned]
    held_out = [data.store.recordings[index].video for index in data.held_out]
    return [videos[place] for place in order], held_out


def write_subset(
    folder: Path, videos: Sequence[str], labelled: Collection[str]
) -> None:
    """Write some videos of the data set as one of their own, some without labels."""
    with (DATA / "train.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if row["video_id"] in videos]
        names = reader.fieldnames or []
    shutil.rmtree(folder, ignore_errors=True)
    for row in rows:
        lab, video = row["lab_id"], row["video_id"]
        kinds = ["train_tracking"]
        if video in labelled:
            kinds.append("train_annotation")
        else:
            row["behaviors_labeled"] = "[]"
        for kind in kinds:
            place = folder / kind / lab
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(DATA / kind / lab / f"{video}.parquet", place)
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def mabe(*words: object, resume: Path | None = None) -> str:
    """Run a command, going on with what an earlier call began; return its output."""
    going_on = ["--resume"] if resume and (resume / "config.yaml").exists() else []
    command = [sys.executable, "-m", "mabe", *map(str, words), *going_on]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def line_of(fold: int, name: str, model: Path, data: Path) -> str:
    """Score a model and time it on a folder of recordings."""
    metrics = json.loads(mabe("evaluate", model, data, "--out", model, "--json"))
    classes = metrics["scores"]["per_class"]
    of_each = ", ".join(f"{key} {each['f1']:.3f}" for key, each in classes.items())
    speed = f"{frames_a_second(model, data):,.0f}"
    return f"| {fold} | {name} | {metrics['macro_f1']:.3f} | {of_each} | {speed} |"


def frames_a_second(model: Path, data: Path) -> float:
    """Return how many of the recordings' own frames a model marks, with one thread."""
    torch.set_num_threads(1)
    predictor = Predictor(load_checkpoint(model))
    store = load_store(data, rate_fps=predictor.rate_fps, notes=False)
    store = in_layout_of(predictor.checkpoint.model, store)
    list(predictor.predict_views(store, 0))  # loads what is loaded once
    began = time.perf_counter()
    for index in range(len(store.recordings)):
        list(predictor.predict_views(store, index))
    frames = sum(each.native_length for each in store.recordings)
    return frames / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
