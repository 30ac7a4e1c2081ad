"""Effect of each step from probabilities to decisions, on a cross-validation.

    mabe crossval --config configs/rat_dyad_v2.yaml --checkpoint-dir CV --folds 5
    mabe train --config configs/rat_dyad_v2.yaml --set folds=5 --set fold=0 \\
        --set seed=43 --checkpoint-dir CV/seed43/fold0      (and so on, for more seeds)
    python benchmarks/decisions.py CV

Every figure is on recordings that were not used to train the model, and tuned scores
are nested: rules are chosen on other recordings than those they are scored on. The base
uses the weights of the last step and default decision rules; each row makes one
addition to it, the last row all of them. First all folds of the first seed; then fold 0
alone, with the mean and the standard deviation over all seeds. The ensemble joins the
seeds of fold 0, so there is one.
"""

import argparse
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from mabe.config import load_config
from mabe.decoding.fit_rules import CANDIDATES, SearchSpace
from mabe.decoding.nested_tuning import tune
from mabe.decoding.view_predictions import OutOfFold
from mabe.experiments.out_of_fold import blend, join, predict_held_out
from mabe.models.checkpoint import load_checkpoint
from mabe.models.model import Model, build_model
from mabe.training.objectives import Objective, load_training_data
from mabe.training.resume import read_state

PLAIN = SearchSpace(
    smoothings=(("none", 0.0),), calibrated=False, thresholds=False, tidied=False
)
THRESHOLDS = SearchSpace(smoothings=(("none", 0.0),), calibrated=False, tidied=False)
SMOOTHING = SearchSpace(
    smoothings=CANDIDATES, calibrated=False, thresholds=False, tidied=False
)
VARIANTS = 4


@dataclass(frozen=True)
class Row:
    """One line of the table: which answers, and what is tuned on them."""

    name: str
    search: SearchSpace
    averaged: bool = False
    variants: int = 1
    joined: bool = False


ROWS = (
    Row("base", PLAIN),
    Row("+ thresholds", THRESHOLDS),
    Row("+ smoothing", SMOOTHING),
    Row("+ thresholds, smoothing, shortest bouts", SearchSpace()),
    Row("+ test-time augmentation", PLAIN, variants=VARIANTS),
    Row("+ averaged weights (EMA)", PLAIN, averaged=True),
    Row("+ ensemble of the seeds", PLAIN, joined=True),
    Row("all but the ensemble", SearchSpace(), averaged=True, variants=VARIANTS),
    Row("all together", SearchSpace(), averaged=True, variants=VARIANTS, joined=True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cv", type=Path)
    given = parser.parse_args()
    folds = sorted((given.cv / "seed42").glob("fold*"))
    seeds = sorted(given.cv.glob("seed*/fold0"))
    base = {"folds": np.nan, "seeds": np.nan}
    counts = f"{len(folds)} folds", f"fold 0, {len(seeds)} seeds"
    print(f"| | {counts[0]} | gain | by class | {counts[1]} | gain |")
    print("|---|---|---|---|---|---|")
    for row in ROWS:
        cells = []
        if not row.joined:
            parts = [ask(run, row.averaged, row.variants) for run in folds]
            score, classes = nested(join(parts), row.search)
            base["folds"] = score if row.name == "base" else base["folds"]
            by_class = " ".join(f"{value:.3f}" for value in classes)
            cells += [f"{score:.4f}", f"{score - base['folds']:+.4f}", by_class]
        else:
            cells += ["", "", ""]
        parts = [ask(run, row.averaged, row.variants) for run in seeds]
        if row.joined:
            parts = [blend(parts, [1.0] * len(parts))]
        scores = [nested(part, row.search)[0] for part in parts]
        mean = float(np.mean(scores))
        base["seeds"] = mean if row.name == "base" else base["seeds"]
        spread = f" ± {np.std(scores, ddof=1):.4f}" if len(scores) > 1 else ""
        cells += [f"{mean:.4f}{spread}", f"{mean - base['seeds']:+.4f}"]
        print(f"| {row.name} | {' | '.join(cells)} |", flush=True)


def nested(answers: OutOfFold, search: SearchSpace) -> tuple[float, list[float]]:
    """Return the nested score, and each class's."""
    tuned = tune(answers.views, search=search)
    return tuned.nested, [line.nested for line in tuned.lines]


@cache
def objective_of(run: Path) -> Objective:
    config = load_config(run / "config.yaml")
    return load_training_data(config).objective(config)


@cache
def ask(run: Path, averaged: bool, variants: int) -> OutOfFold:
    """Return what a run's last model says of the recordings it held out."""
    objective = objective_of(run)
    return predict_held_out(
        load_last(run, objective, averaged=averaged), objective, variants=variants
    )


def load_last(run: Path, objective: Objective, *, averaged: bool) -> Model:
    """Return a run's last model, with averaged weights or the last step's own."""
    if averaged:
        return load_checkpoint(run / "last.safetensors").members[0].model
    state = read_state(run)
    assert state is not None
    model = build_model(objective.config.model, objective.task)
    model.load_state_dict(state["model"])
    return model.eval()


if __name__ == "__main__":
    main()
