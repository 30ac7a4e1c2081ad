"""Ablation of the recipe of `mabe train DATA`, on `rat_dyad`.

    python benchmarks/recipe.py curve     each kind, and both, from few videos to all
    python benchmarks/recipe.py parts     each feature group removed, on some folds
    python benchmarks/recipe.py network   each part of the network removed, on the same
    python benchmarks/recipe.py speed RUN speed of prediction of a run's models
    python benchmarks/recipe.py table     print the results of `curve` and `parts`

Scores are macro F1 over the frames of a fold's held-out videos at the working rate;
these videos were not used in training, and the last step is scored. Finished runs are
not repeated. `RUN` is the directory of `mabe train --config configs/rat_dyad.yaml`.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from mabe.config import RunConfig, read_settings
from mabe.data.prepare import load_store
from mabe.experiments.auto_recipe import choose_recipe
from mabe.experiments.cross_validation import OutOfFoldScore
from mabe.experiments.fold_runs import FoldRun, find_fold_runs
from mabe.experiments.out_of_fold import blend, predict_held_out
from mabe.features.social import SocialFeatures
from mabe.inference.frame_probabilities import Tracks, frame_probabilities
from mabe.models.checkpoint import load_checkpoint
from mabe.models.conv_gru import ConvGRU
from mabe.models.ensemble import Ensemble
from mabe.runtime.files import write_json
from mabe.training import run as runs
from mabe.training.objectives import TrainingData

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data")) / "rat_dyad"
OUT = ROOT / "out" / "recipe"
VIDEOS = 43
SIZES = (3, 5, 10, 20, 34)
"""Videos learned from; a fold leaves 34 or 35."""
GROUPS = tuple(SocialFeatures(rate_fps=10, max_gap_s=0.5, directed=False).groups)
PARTS: dict[str, dict[str, Any]] = {
    "second GRU layer": {"gru_layers": 1},
    "pooling before the GRU": {"gru_pooling": 1},
    "long windows (12 s, not 46 s)": {"sequence_length": 115, "batch_size": 64},
    "averaged weights": {"ema_decay": 0.0},
    "class weights": {"class_weights": None},
    "dropout": {"dropout": 0.0},
    "gradient clipping": {"grad_clip": 0.0},
    "GRU": {},
    "convolution": {},
    "quick head": {},
}
"""What is changed where a part of the network is left out; the last three are code."""


@dataclass(frozen=True)
class Cell:
    """One training run of a table."""

    fold: int
    kinds: tuple[str, ...] = ("trees", "network")
    videos: int | None = None
    without: str | None = None
    """A group of features, or a part of the network."""

    @property
    def name(self) -> str:
        size = f"videos{self.videos}" if self.videos else f"without-{self.without}"
        return f"{size}-fold{self.fold}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["curve", "parts", "network", "speed", "table"])
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 2, 4])
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.what == "speed":
        measure_speed(given.run)
        return
    if given.what == "curve":
        run_all([Cell(f, videos=n) for n in SIZES for f in given.folds], given.workers)
    if given.what == "parts":
        parts = ("nothing", *GROUPS)
        run_all([Cell(f, without=g) for g in parts for f in given.folds], given.workers)
    if given.what == "network":
        parts = ("nothing", *PARTS)
        run_all([Cell(f, without=p) for p in parts for f in given.folds], given.workers)
    print_tables()


def run_all(cells: list[Cell], workers: int) -> None:
    with get_context("spawn").Pool(workers) as pool:
        for name in pool.imap_unordered(run_cell, cells):
            print(f"== {name}", flush=True)


def run_cell(cell: Cell) -> str:
    """Train both kinds, and keep the scores of each alone and of both together."""
    torch.set_num_threads(1)
    path = OUT / f"{cell.name}.json"
    if path.is_file():
        return cell.name
    trees, network = kinds(cell)
    if cell.without in PARTS:
        changed = network.changed(**PARTS[cell.without])
        with without_part(cell.without):
            found = {"network": train_kind(cell, changed)}
    else:
        with without_group(cell.without) if cell.without else nullcontext():
            answers = [train_kind(cell, kind) for kind in (trees, network)]
        found = dict(zip(("trees", "network"), answers, strict=True))
        found["both"] = blend(answers, [0.5, 0.5])
    write_json(
        path, {name: OutOfFoldScore.of(each).to_json() for name, each in found.items()}
    )
    return cell.name


def kinds(cell: Cell) -> list[RunConfig]:
    """Return the recipe's settings of trees and of one network, for so many videos."""
    given = read_settings(ROOT / "configs" / "rat_dyad.yaml", {"data_dir": DATA})
    frames = 175_000 * (cell.videos or VIDEOS) // VIDEOS
    recipe = choose_recipe(given, groups=VIDEOS, counted_frames=frames)
    changes = {"folds": 5, "fold": cell.fold, "num_workers": 1}
    return [kind.config.changed(**changes) for kind in recipe.kinds]


def train_kind(cell: Cell, config: RunConfig) -> Any:
    folder = OUT / "runs" / cell.name / config.model_type
    config = config.changed(checkpoint_dir=folder)
    data = some_videos(runs.load_training_data(config), cell)
    with patch.object(runs, "load_training_data", lambda *_args, **_how: data):
        trained = runs.train(config)
    model = load_checkpoint(FoldRun(config).model).model
    return predict_held_out(model, trained.objective)


def some_videos(data: TrainingData, cell: Cell) -> TrainingData:
    """Learn from some videos only, others in each fold."""
    if not cell.videos:
        return data
    order = np.random.default_rng(cell.fold).permutation(len(data.learned))
    chosen = sorted(data.learned[place] for place in order[: cell.videos])
    return replace(data, learned=chosen)


@contextmanager
def without_group(group: str) -> Iterator[None]:
    """Leave a group of features missing everywhere."""
    real = SocialFeatures.forward

    def forward(self: SocialFeatures, poses: torch.Tensor) -> torch.Tensor:
        x = real(self, poses)
        x[..., self.groups.get(group, [])] = torch.nan
        return x

    with patch.object(SocialFeatures, "forward", forward):
        yield


@contextmanager
def without_part(part: str) -> Iterator[None]:
    """Let a part of the network give zeros wherever one is built."""
    named = {"GRU": "gru", "convolution": "look", "quick head": "quick_head"}
    if part not in named:
        yield
        return
    real = ConvGRU.__init__

    def build(self: ConvGRU, *args: Any, **settings: Any) -> None:
        real(self, *args, **settings)
        silence = silent_gru if part == "GRU" else torch.zeros_like
        getattr(self, named[part]).register_forward_hook(
            lambda _module, _given, found: silence(found)
        )

    with patch.object(ConvGRU, "__init__", build):
        yield


def silent_gru(found: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.zeros_like(each) for each in found)


def print_tables() -> None:
    found = {path.stem: json.loads(path.read_text()) for path in OUT.glob("*.json")}
    print("\n| videos | trees | network | both |\n|---|---|---|---|")
    for size in SIZES:
        cells = [v for k, v in found.items() if k.startswith(f"videos{size}-")]
        if cells:
            print(
                f"| {size} | " + " | ".join(spread(cells, k) for k in cells[0]) + " |"
            )
    base = {k: v for k, v in found.items() if k.startswith("without-nothing-")}
    print("\n| without | trees | network | both |\n|---|---|---|---|")
    for part in (*GROUPS, *PARTS):
        pairs = [
            (found[key.replace("nothing", part)], whole)
            for key, whole in base.items()
            if key.replace("nothing", part) in found
        ]
        if pairs:
            changes = [
                f"{change(pairs, kind):+.3f}" if kind in pairs[0][0] else ""
                for kind in ("trees", "network", "both")
            ]
            print(f"| {part} | " + " | ".join(changes) + " |")


def change(pairs: list[tuple[Any, Any]], kind: str) -> float:
    return np.mean(
        [part[kind]["score"] - whole[kind]["score"] for part, whole in pairs]
    )


def spread(cells: list[dict[str, Any]], kind: str) -> str:
    scores = [cell[kind]["score"] for cell in cells]
    each = " ".join(f"{value:.3f}" for value in scores)
    return f"{np.mean(scores):.3f} ({each})"


def measure_speed(run: Path) -> None:
    """Tell frames of the recording (30 fps) marked a second, features included.

    Of one model of each kind, of the model in use, and of all models of the folds,
    which were the model in use before version 0.3.
    """
    torch.set_num_threads(os.cpu_count() or 1)
    first: dict[str, FoldRun] = {}
    for fold_run in find_fold_runs(run):
        first.setdefault(fold_run.config.model_type, fold_run)
    config = next(iter(first.values())).config
    store = load_store(DATA, rate_fps=config.fps, store_dir=config.store_dir)
    subjects = {
        **{
            kind: load_checkpoint(fold_run.model).model
            for kind, fold_run in first.items()
        },
        "the model in use": load_checkpoint(run).model,
        "all models of the folds": Ensemble.of(
            [load_checkpoint(each.model).model for each in find_fold_runs(run)]
        ),
    }
    for name, model in subjects.items():
        possible = np.ones(len(model.task.classes), bool)
        frames, seconds = 0, 0.0
        for index, about in enumerate(store.recordings[:11]):
            began = time.perf_counter()
            frame_probabilities(model, Tracks.of_stored(store, index), possible)
            if index:  # the first one warms up
                seconds += time.perf_counter() - began
                frames += about.native_length
        print(f"{name}: {frames / seconds:,.0f} frames/s of 30 fps video")


if __name__ == "__main__":
    main()
