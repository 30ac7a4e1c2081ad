"""Cross-validation on `rat_dyad`, and the effect of each part of V2.

    python benchmarks/rat_dyad.py folds        V1 and V2, 5 folds by video, one seed
    python benchmarks/rat_dyad.py seeds        V2, three seeds on fold 0
    python benchmarks/rat_dyad.py parts        V2 with one change, on fold 0
    python benchmarks/rat_dyad.py table        print all results so far as Markdown

The score is that of the last epoch on recordings that were not used in training: the
number of epochs is fixed in the config, so held-out recordings are not used to choose
an epoch. Finished runs are not repeated; stopped runs are resumed.
"""

import argparse
import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from torch import Tensor

from mabe.config import load_config
from mabe.features.social import motion
from mabe.models import input_scaling as entry
from mabe.training.run import train

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data")) / "rat_dyad"
PIXELS_PER_CM = 9.69
V1 = {"input_dim": 144, "use_motion_features": False}


@dataclass(frozen=True)
class FoldRun:
    """One training run: what differs from configs/rat_dyad_v2.yaml."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    fold: int = 0
    seed: int = 42

    @property
    def folder(self) -> str:
        words = "-".join(re.findall(r"[A-Za-z0-9.]+", self.name))
        return f"{words}-fold{self.fold}-seed{self.seed}"


METHODS = {
    "V2": {},
    "V2, weights [1, 5, 8]": {"class_weights": [1, 5, 8]},
    "V1, weights [0.5, 10, 15]": {**V1, "class_weights": [0.5, 10, 15]},
    "V1": V1,
}
"""With the weights of configs/rat_dyad_v2.yaml, and with those of the V1 and V2 recipes
without the one for mating, which nobody scored here."""
RECIPES = ("V2", "V2, weights [1, 5, 8]", "V1, weights [0.5, 10, 15]")

PARTS = {
    "raw pixels": {},
    "missing points as (0, 0)": {},
    "no bridging of gaps": {"max_gap_s": 0.0},
    "coordinates in the arena's frame": {"scene_frame": False},
    "no augmentation": {"use_augmentation": False},
    "equal class weights": {"class_weights": None},
    "3 s of context": {"sequence_length": 100, "batch_size": 92},
    "no weight averaging": {"ema_decay": 0.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["folds", "seeds", "parts", "table"])
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "rat_dyad")
    parser.add_argument(
        "--share",
        default="1/1",
        help="run every second fold_run, the first ones, as 1/2 (for two processes)",
    )
    given = parser.parse_args()
    if given.what == "folds":
        fold_runs = [
            FoldRun(name, METHODS[name], fold) for fold in range(5) for name in RECIPES
        ]
    elif given.what == "seeds":
        fold_runs = [FoldRun("V2", {}, 0, seed) for seed in (42, 43, 44)]
    elif given.what == "parts":
        changes = {"V2": {}, "V1": METHODS["V1"], **PARTS}
        fold_runs = [FoldRun(name, change) for name, change in changes.items()]
    else:
        print_tables(given.out)
        return
    part, parts = map(int, given.share.split("/"))
    for fold_run in fold_runs[part - 1 :: parts]:
        record = run(fold_run, given.out)
        print(f"== {fold_run.folder}: {describe(record)}", flush=True)


def run(fold_run: FoldRun, out: Path) -> dict[str, Any]:
    folder = out / fold_run.folder
    config = load_config(
        ROOT / "configs" / "rat_dyad_v2.yaml",
        {
            "data_dir": DATA,
            "checkpoint_dir": folder,
            "folds": 5,
            "fold": fold_run.fold,
            "seed": fold_run.seed,
            "save_freq": 0,
            **fold_run.changes,
        },
    )
    with PATCHES.get(fold_run.name, nullcontext)():
        train(config, resume=(folder / "state.pt").exists())
    return last_record(folder)


@contextmanager
def raw_pixels() -> Iterator[None]:
    """Give the network pixels, pixels/s and pixels/s², as the first V2 code did."""
    units = ("COORDINATE_UNIT_CM", "SPEED_UNIT_CM_PER_S", "ACCELERATION_UNIT_CM_PER_S2")
    with ExitStack() as stack:
        for unit in units:
            stack.enter_context(patch.object(entry, unit, 1 / PIXELS_PER_CM))
        yield


@contextmanager
def zeros_for_missing() -> Iterator[None]:
    """Put a missing point at the origin before any speed is taken."""

    def to_zero(poses: Tensor, *, longest: int) -> Tensor:
        return poses.nan_to_num(nan=0.0)

    with patch.object(motion, "bridge_gaps", to_zero):
        yield


PATCHES = {"raw pixels": raw_pixels, "missing points as (0, 0)": zeros_for_missing}
"""What no setting can do, because nobody should want it."""


def last_record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "history.json").read_text(encoding="utf-8"))[-1]


def describe(record: dict[str, Any]) -> str:
    per_class = ", ".join(f"{k} {v['f1']:.3f}" for k, v in record["per_class"].items())
    return f"macro F1 {record['f1_macro']:.3f} ({per_class})"


def print_tables(out: Path) -> None:
    records = {p.parent.name: last_record(p.parent) for p in out.glob("*/history.json")}
    print("| method | macro F1 | by fold | background | social | aggressive |")
    print("|---|---|---|---|---|---|")
    for method in METHODS:
        keys = [FoldRun(method, fold=fold).folder for fold in range(5)]
        done = [records[key] for key in keys if key in records]
        if len(done) == len(keys):
            scores = [record["f1_macro"] for record in done]
            each = " ".join(f"{score:.3f}" for score in scores)
            classes = " | ".join(
                f"{np.mean([record['per_class'][name]['f1'] for record in done]):.3f}"
                for name in done[0]["per_class"]
            )
            print(f"| {method} | {np.mean(scores):.3f} | {each} | {classes} |")
    seeds = [FoldRun("V2", seed=s).folder for s in (42, 43, 44)]
    scores = [records[key]["f1_macro"] for key in seeds if key in records]
    print(f"\nV2, fold 0, seeds: {', '.join(f'{s:.3f}' for s in scores)}\n")
    base = records.get(FoldRun("V2").folder)
    print("| V2 with | macro F1 | change |\n|---|---|---|")
    for part in [*PARTS, *list(METHODS)[1:]]:
        record = records.get(FoldRun(part).folder)
        if record and base:
            score = record["f1_macro"]
            print(f"| {part} | {score:.3f} | {score - base['f1_macro']:+.3f} |")


if __name__ == "__main__":
    main()
