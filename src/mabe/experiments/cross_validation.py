"""Cross-validation: each recording is predicted by models that did not learn from it.

A directory holds one run for each seed and fold (``seed42/fold0`` …), their
out-of-fold predictions averaged over seeds (``out_of_fold.npz``), the scores
(``crossval.json``), and all runs as one model (``best.safetensors``). Finished runs
are not repeated, and a run that was stopped is resumed.
"""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mabe.config import RunConfig, build_config, dump_config
from mabe.data.splits import find_groups
from mabe.decoding.rules import DecisionRules
from mabe.decoding.view_predictions import OutOfFold, score_with_confidence
from mabe.errors import ConfigError, RunError
from mabe.experiments.fold_runs import CROSSVAL_REPORT, FoldRun, train_fold_runs
from mabe.experiments.out_of_fold import FILE_NAME, blend, join, write_out_of_fold
from mabe.models.checkpoint import SUFFIX, load_checkpoint, save_ensemble
from mabe.runtime.console import count, finite_or_none, format_score, print_lines
from mabe.runtime.documents import read_json
from mabe.runtime.executors import HERE, Executor
from mabe.runtime.files import write_json
from mabe.runtime.unfinished import finished_names
from mabe.training.objectives import TrainingData, load_training_data
from mabe.training.resume import FREE_TO_CHANGE


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfFoldScore:
    """The score of out-of-fold predictions under plain decisions.

    None where nothing can be scored.
    """

    score: float | None
    """Macro F1 over classes (scene), or the challenge's score (pair)."""
    interval: tuple[float | None, float | None]
    """95 % interval over recordings."""
    f1: Mapping[str, float | None]
    """Of each class (or action), all labs together."""

    @classmethod
    def of(
        cls, predictions: OutOfFold, rules: DecisionRules | None = None
    ) -> "OutOfFoldScore":
        """Score predictions, decided plainly by default; of none there is no score."""
        if not predictions.views:
            none = dict.fromkeys(predictions.classes)
            return cls(score=None, interval=(None, None), f1=none)
        rules = rules or predictions.plain_rules
        confidence = score_with_confidence(predictions.views, rules)
        f1 = zip(predictions.classes, confidence.f1, strict=True)
        return cls(
            score=finite_or_none(confidence.score),
            interval=(finite_or_none(confidence.low), finite_or_none(confidence.high)),
            f1={name: finite_or_none(value) for name, value in f1},
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `crossval.json` and `recipe.json` hold them."""
        return {
            "score": self.score,
            "interval_95": list(self.interval),
            "f1": dict(self.f1),
        }

    @property
    def interval_text(self) -> str:
        """The interval for the terminal."""
        low, high = self.interval
        if low is None or high is None:
            return "none"
        return f"{format_score(low)} to {format_score(high)}"

    @property
    def f1_text(self) -> str:
        """The F1 of each class for the terminal."""
        return "  ".join(
            f"{name} {format_score(value)}" for name, value in self.f1.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What distinguishes one cross-validation from another, whatever its seeds."""

    config: Mapping[str, Any]
    """The settings that have an effect on the results."""
    number_of_folds: int
    recordings: str
    """Hash of all recordings and their labels; others would be split otherwise."""

    def changed_from(self, before: Mapping[str, Any]) -> list[str]:
        """Return what differs from the plain values of another identity.

        A setting that these lack was added later, and counts with its default.
        """
        defaults = dump_config(build_config({}, where="defaults"))
        now, then = _flat(asdict(self)), {**defaults, **_flat(before)}
        return sorted(key for key in now if then.get(key) != now[key])


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: identity.get(key) for key in ("number_of_folds", "recordings")}
    return {**identity.get("config", {}), **kept}


@dataclass(frozen=True, slots=True)
class Plan:
    """A cross-validation to be run."""

    config: RunConfig
    seeds: int
    identity: Identity

    @property
    def root(self) -> Path:
        """The directory."""
        return self.config.checkpoint_dir

    @property
    def holds_out(self) -> bool:
        """Whether there is anything to score: a single group is learned from."""
        return self.identity.number_of_folds > 1

    @property
    def fold_runs(self) -> list[FoldRun]:
        """All runs, seed by seed."""
        return [fold_run for seed in self.each_seed for fold_run in self.of_seed(seed)]

    @property
    def each_seed(self) -> range:
        """The seeds, beginning with the config's."""
        return range(self.config.seed, self.config.seed + self.seeds)

    def of_seed(self, seed: int) -> list[FoldRun]:
        """Return the runs of one seed, fold by fold."""
        folds = self.identity.number_of_folds
        return [
            FoldRun(
                self.config.changed(
                    folds=max(2, folds),
                    fold=fold,
                    hold_out=self.holds_out,
                    seed=seed,
                    checkpoint_dir=self.root / f"seed{seed}" / f"fold{fold}",
                )
            )
            for fold in range(folds)
        ]


@dataclass(frozen=True, slots=True)
class SeedScore:
    """The scores of one seed."""

    all_folds: OutOfFoldScore
    folds: tuple[float | None, ...]
    """The score of each fold by itself."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**self.all_folds.to_json(), "folds": list(self.folds)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossvalReport:
    """The scores of a cross-validation."""

    identity: Identity
    classes: tuple[str, ...]
    """Classes, or actions."""
    seeds: Mapping[int, SeedScore]
    all_seeds: OutOfFoldScore
    """Of predictions averaged over seeds."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `crossval.json` holds them."""
        return {
            **asdict(self.identity),
            "answers": list(self.classes),
            "seeds": {str(seed): each.to_json() for seed, each in self.seeds.items()},
            "all_seeds": self.all_seeds.to_json(),
        }

    def to_text(self) -> str:
        """Return a table for the terminal."""
        lines = [f"{'':<12}{'score':>7}  {'95 % interval':<16}single folds"]
        for seed, each in self.seeds.items():
            folds = " ".join(format_score(fold) for fold in each.folds)
            lines.append(f"{f'seed {seed}':<12}{_score_columns(each.all_folds)}{folds}")
        if len(self.seeds) > 1:
            line = f"{'averaged':<12}{_score_columns(self.all_seeds)}"
            lines.append((line + self._spread_over_seeds()).rstrip())
        return "\n".join([*lines, "", f"F1: {self.all_seeds.f1_text}"])

    def _spread_over_seeds(self) -> str:
        """Return mean and standard deviation of the seeds' scores, if all have one."""
        single = [each.all_folds.score for each in self.seeds.values()]
        known = [score for score in single if score is not None]
        if len(known) < len(single):
            return ""
        spread = np.std(known, ddof=1)
        return f"(single seeds: {np.mean(known):.3f} ± {spread:.3f})"


def _score_columns(score: OutOfFoldScore) -> str:
    return f"{format_score(score.score):>7}  {score.interval_text:<16}"


def crossval(
    config: RunConfig,
    *,
    folds: int,
    seeds: int,
    skip_bad: bool = False,
    executor: Executor = HERE,
) -> CrossvalReport:
    """Train every fold with every seed, and return the scores of all of it.

    Seeds begin with ``config.seed``. Raises `RunError` where the directory holds
    another cross-validation, and `ConfigError` where there are more folds than groups
    of recordings to split.
    """
    if config.model_type == "auto":
        raise ConfigError(
            "model_type: auto includes a cross-validation: use `mabe train`. To "
            "compare other models with it, name one: --set model_type=trees --set "
            "feature_set=social"
        )
    data = load_training_data(config, skip_bad=skip_bad)
    plan = make_plan(config, data, folds=folds, seeds=seeds)
    numbers = itertools.count(1)

    def after_each(fold_run: FoldRun) -> None:
        score = format_score(OutOfFoldScore.of(fold_run.predictions).score)
        print_lines(
            f"✓ {next(numbers)} of {len(plan.fold_runs)}: {fold_run.name} {score}"
        )

    train_fold_runs(
        plan.fold_runs, skip_bad=skip_bad, after_each=after_each, executor=executor
    )
    return assemble(plan)


def make_plan(config: RunConfig, data: TrainingData, *, folds: int, seeds: int) -> Plan:
    """Return the plan of a cross-validation, and claim its directory."""
    _check_folds(config, data, folds)
    plan = Plan(config, seeds, _identify(config, data, folds))
    _claim(plan.root, plan.identity)
    return plan


def assemble(plan: Plan) -> CrossvalReport:
    """Write the predictions of all runs, their scores, and all runs as one model."""
    by_seed = {
        seed: [fold_run.predictions for fold_run in plan.of_seed(seed)]
        for seed in plan.each_seed
    }
    joined = {seed: join(parts) for seed, parts in by_seed.items()}
    averaged = blend(list(joined.values()), [1.0] * len(joined))
    write_out_of_fold(plan.root / FILE_NAME, averaged)
    report = CrossvalReport(
        identity=plan.identity,
        classes=averaged.classes,
        seeds={
            seed: SeedScore(
                OutOfFoldScore.of(predictions),
                tuple(OutOfFoldScore.of(part).score for part in by_seed[seed]),
            )
            for seed, predictions in joined.items()
        },
        all_seeds=OutOfFoldScore.of(averaged),
    )
    write_json(plan.root / CROSSVAL_REPORT, report.to_json())
    members = [
        load_checkpoint(fold_run.model).members[0] for fold_run in plan.fold_runs
    ]
    save_ensemble(plan.root / f"best{SUFFIX}", members, [1.0] * len(members))
    return report


def _identify(config: RunConfig, data: TrainingData, folds: int) -> Identity:
    """Return what distinguishes a cross-validation.

    Patience is part of it, unlike for a single run, as it decides which of a run's
    models is used.
    """
    free = (FREE_TO_CHANGE | {"seed", "fold", "folds"}) - {"early_stopping_patience"}
    content = hashlib.sha256("".join(sorted(data.content(config))).encode()).hexdigest()
    return Identity(
        config={k: value for k, value in dump_config(config).items() if k not in free},
        number_of_folds=folds,
        recordings=content[:20],
    )


def _check_folds(config: RunConfig, data: TrainingData, folds: int) -> None:
    """Raise `ConfigError` where there are fewer groups to split than folds."""
    recordings = [data.store.recordings[i] for i in (*data.learned, *data.held_out)]
    groups = len(find_groups(recordings, by=config.split_by))
    if groups < folds:
        raise ConfigError(
            f"--folds {folds}: {count(len(recordings), 'usable recording')} in "
            f"{count(groups, 'group')}, as split_by: {config.split_by} keeps some "
            f"together; give --folds {groups} or less"
        )


def _claim(root: Path, wanted: Identity) -> None:
    """Write the identity into a directory, if it is free or holds the same.

    Raises `RunError` where it holds something else.
    """
    path = root / CROSSVAL_REPORT
    if not path.is_file():
        if finished_names(root):
            raise RunError(
                f"{root}: holds something else than a cross-validation; choose another "
                "--checkpoint-dir"
            )
        write_json(path, asdict(wanted))
        return
    try:
        before = read_json(path)
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}; restore it") from None
    if changed := wanted.changed_from(before):
        raise RunError(
            f"{root}: holds a cross-validation with other settings or data ({changed} "
            "changed); choose another --checkpoint-dir"
        )
