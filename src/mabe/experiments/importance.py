"""What a model goes by: how much worse it gets when told wrong of one thing.

A group of features (distances, motion, facing …) is shown as it is at another moment:
shifted by half of what the model sees at once. Its values and their rhythm stay,
only what they have to do with the rest is lost. What the score on held-out recordings
falls by is the group's importance (permutation importance, Breiman, Machine Learning
2001, of whole groups). Groups that tell the same stand in for each other, so the drops
do not add up.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mabe.errors import RunError
from mabe.experiments.cross_validation import FoldRun
from mabe.inference.stitching import FeatureExtractor, extract_features
from mabe.metrics.summary import plain
from mabe.models.checkpoint import load_checkpoint
from mabe.models.model import Model
from mabe.runtime.console import show
from mabe.runtime.files import write_json
from mabe.training.objectives import Objective, load_training_data

FILE_NAME = "importance.json"


@dataclass(frozen=True, slots=True)
class Importance:
    """What one group of features is worth."""

    group: str
    drop: float
    """What macro F1 falls by without it."""
    drops: dict[str, float]
    """What each class's, or action's, F1 falls by."""


def shifted(group: str) -> FeatureExtractor:
    """Return a way to see in which one group of features is of another moment."""

    def extract(model: Model, poses_BTAK2: Tensor) -> Tensor:
        x_BTF = extract_features(model, poses_BTAK2)
        places = model.features.groups[group]
        wrong_BTF = x_BTF.clone()
        wrong_BTF[..., places] = x_BTF[..., places].roll(x_BTF.shape[1] // 2, dims=1)
        return wrong_BTF

    return extract


def explain(
    model: Model, objective: Objective, *, after_group: Callable[[], object]
) -> list[Importance]:
    """Return what each group is worth on the recordings that an objective holds out."""
    whole = objective.score(model).summary
    found = []
    for group in model.features.groups:
        without = objective.score(model, extract=shifted(group)).summary
        found.append(
            Importance(
                group,
                _fall(whole.macro_f1, without.macro_f1),
                {
                    name: _fall(scores.f1, without.per_class[name].f1)
                    for name, scores in whole.per_class.items()
                },
            )
        )
        after_group()
    return found


def explain_fold_runs(
    fold_runs: Sequence[FoldRun], *, after_group: Callable[[], object]
) -> list[Importance]:
    """Return the mean over some runs, the most important group first."""
    each = []
    for fold_run in fold_runs:
        model = load_checkpoint(fold_run.model).model
        if not isinstance(model, Model):
            raise RunError(f"{fold_run.run_dir}: expected a single model")
        objective = load_training_data(fold_run.config).objective(fold_run.config)
        each.append(explain(model, objective, after_group=after_group))
    means = [_mean(groups) for groups in zip(*each, strict=True)]
    return sorted(means, key=lambda one: -one.drop)


def write_importance(run_dir: Path, by_kind: dict[str, list[Importance]]) -> None:
    """Keep what models of each kind go by."""
    write_json(
        run_dir / FILE_NAME,
        {
            kind: {
                one.group: {
                    "f1_macro": plain(one.drop),
                    **{name: plain(drop) for name, drop in one.drops.items()},
                }
                for one in found
            }
            for kind, found in by_kind.items()
        },
    )


def read_importance(run_dir: Path) -> dict[str, Any] | None:
    """Return what was kept, or None where nothing was."""
    path = run_dir / FILE_NAME
    if not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def format_importance(by_kind: dict[str, Any]) -> str:
    """Return a table for the terminal: one block for each kind."""
    lines = ["What it goes by: F1 falls by so much when a group is told wrongly"]
    for kind, groups in by_kind.items():
        lines.append(f"  {kind}")
        for group, drops in groups.items():
            of_classes = "  ".join(
                f"{name} {show(drop)}"
                for name, drop in drops.items()
                if name != "f1_macro"
            )
            lines.append(f"    {group:<14}{show(drops['f1_macro']):>7}   {of_classes}")
    return "\n".join(lines)


def _mean(groups: Sequence[Importance]) -> Importance:
    names = groups[0].drops
    return Importance(
        groups[0].group,
        float(np.mean([one.drop for one in groups])),
        {
            name: float(np.nanmean([one.drops[name] for one in groups]))
            if any(np.isfinite(one.drops[name]) for one in groups)
            else np.nan
            for name in names
        },
    )


def _fall(before: float | None, after: float | None) -> float:
    """Return the difference; NaN where there was nothing to score."""
    return np.nan if before is None or after is None else before - after
