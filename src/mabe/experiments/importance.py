"""Permutation importance: the drop in F1 when a group of features is shuffled.

A group of features (distances, motion, facing …) is shifted in time by half of what
the model reads at once. So its values and their rhythm stay, and only their relation to
the other features and to the labels is lost. The importance of the group is the drop
in the score on held-out recordings (Breiman, Machine Learning 2001, of whole groups).
Groups with the same information can replace each other, so drops do not add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mabe.errors import RunError
from mabe.experiments.fold_runs import FoldRun, find_fold_runs
from mabe.inference.frame_probabilities import FeatureExtractor, extract_features
from mabe.models.checkpoint import load_checkpoint
from mabe.models.model import Model
from mabe.runtime.console import (
    finite_or_none,
    format_score,
    progress_bar,
)
from mabe.runtime.documents import read_json, shorten_value
from mabe.runtime.executors import in_order, usual_executor
from mabe.runtime.files import write_json
from mabe.runtime.tensors import limited_threads
from mabe.training.objectives import Objective, load_training_data

FILE_NAME = "importance.json"
_MACRO = "f1_macro"


@dataclass(frozen=True, slots=True)
class Importance:
    """The importance of one group of features; NaN where nothing can be scored."""

    group: str
    macro_drop: float
    """Drop in macro F1."""
    class_drops: Mapping[str, float]
    """Drop in the F1 of each class, or action."""

    def to_json(self) -> dict[str, float | None]:
        """Return plain values, as `importance.json` holds them."""
        drops = {_MACRO: self.macro_drop, **self.class_drops}
        return {name: finite_or_none(drop) for name, drop in drops.items()}

    @classmethod
    def from_json(cls, group: str, values: Mapping[str, float | None]) -> "Importance":
        """Return the importance of `to_json`."""
        drops = {k: np.nan if drop is None else drop for k, drop in values.items()}
        return cls(group, drops.pop(_MACRO), drops)


ImportanceByKind = Mapping[str, Sequence[Importance]]
"""The importance of all groups for each kind of model, the most important first."""


def explain_run(run_dir: Path, *, folds: int | None = None) -> ImportanceByKind:
    """Measure, save and return the importance for the models of a run.

    Of each kind of model the runs of one seed are used, over so many folds (by default
    all). Raises `RunError` where there is no finished run.
    """
    by_kind: dict[str, list[FoldRun]] = {}
    for fold_run in find_fold_runs(run_dir):
        by_kind.setdefault(fold_run.kind, []).append(fold_run)
    if not by_kind:
        raise RunError(
            f"{run_dir}: no finished runs here to explain; expected the directory of "
            "`mabe train DATA`, or of a cross-validation"
        )
    importance = {}
    for kind, fold_runs in by_kind.items():
        seed = fold_runs[0].config.seed
        of_one_seed = [each for each in fold_runs if each.config.seed == seed]
        importance[kind] = explain_fold_runs(of_one_seed[:folds])
    write_importance(run_dir, importance)
    return importance


def explain_fold_runs(fold_runs: Sequence[FoldRun]) -> list[Importance]:
    """Return the mean over some runs, the most important group first.

    Several runs are spread over processes where that saves time.
    """
    executor = usual_executor(len(fold_runs), on_cpu=True)
    results = executor.run(_explain_fold_run, executor.threads, fold_runs)
    bar = progress_bar(
        in_order(results),
        total=len(fold_runs),
        desc=f"Explaining {fold_runs[0].kind}",
        unit="run",
    )
    means = [_mean(of_group) for of_group in zip(*bar, strict=True)]
    return sorted(means, key=lambda each: -each.macro_drop)


def _explain_fold_run(threads: int | None, fold_run: FoldRun) -> list[Importance]:
    members = load_checkpoint(fold_run.model).members
    if len(members) > 1:
        raise RunError(f"{fold_run.run_dir}: expected a single model")
    with limited_threads(threads):
        data = load_training_data(fold_run.config, notes=False)
        return explain(members[0].model, data.objective(fold_run.config))


def explain(model: Model, objective: Objective) -> list[Importance]:
    """Return the importance of each group on the recordings held out."""
    whole = objective.score(model).summary
    importance = []
    for group in model.features.groups:
        without = objective.score(model, extract=shifted(group)).summary
        importance.append(
            Importance(
                group,
                _drop(whole.macro_f1, without.macro_f1),
                {
                    name: _drop(scores.f1, without.per_class[name].f1)
                    for name, scores in whole.per_class.items()
                },
            )
        )
    return importance


def shifted(group: str) -> FeatureExtractor:
    """Return a way to extract features in which one group is shifted in time."""

    def extract(model: Model, poses_BTAK2: Tensor) -> Tensor:
        x_BTF = extract_features(model, poses_BTAK2)
        places = model.features.groups[group]
        shifted_BTF = x_BTF.clone()
        shifted_BTF[..., places] = x_BTF[..., places].roll(x_BTF.shape[1] // 2, dims=1)
        return shifted_BTF

    return extract


def write_importance(run_dir: Path, by_kind: ImportanceByKind) -> None:
    """Write the importance for each kind of model."""
    write_json(run_dir / FILE_NAME, importance_json(by_kind))


def read_importance(run_dir: Path) -> ImportanceByKind | None:
    """Return the importance that was written, or None where none was."""
    path = run_dir / FILE_NAME
    if not path.is_file():
        return None
    try:
        return {
            kind: [Importance.from_json(group, each) for group, each in groups.items()]
            for kind, groups in read_json(path).items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path}: expected the importance of feature groups, found something else "
            f"({shorten_value(error)}); `mabe explain` writes it again"
        ) from None


def importance_json(by_kind: ImportanceByKind) -> dict[str, Any]:
    """Return plain values, as `importance.json` holds them."""
    return {
        kind: {each.group: each.to_json() for each in groups}
        for kind, groups in by_kind.items()
    }


def format_importance(by_kind: ImportanceByKind) -> str:
    """Return a table for the terminal: one block for each kind."""
    lines = ["Feature importance: drop in F1 when a feature group is shuffled"]
    for kind, groups in by_kind.items():
        lines.append(f"  {kind}")
        for each in groups:
            drops = each.to_json()
            macro = format_score(drops.pop(_MACRO))
            of_classes = "  ".join(
                f"{name} {format_score(drop)}" for name, drop in drops.items()
            )
            lines.append(f"    {each.group:<14}{macro:>7}   {of_classes}")
    return "\n".join(lines)


def _mean(of_group: Sequence[Importance]) -> Importance:
    """Return the mean of one group over runs; runs without a score do not count."""
    return Importance(
        of_group[0].group,
        float(np.mean([each.macro_drop for each in of_group])),
        {
            name: _mean_of_known([each.class_drops[name] for each in of_group])
            for name in of_group[0].class_drops
        },
    )


def _mean_of_known(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else np.nan


def _drop(before: float | None, after: float | None) -> float:
    return np.nan if before is None or after is None else before - after
