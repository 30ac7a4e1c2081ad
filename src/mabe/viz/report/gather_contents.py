"""The contents of a run's report, read from its run directory and its predictions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from mabe.config import RunConfig, dump_config, load_config
from mabe.decoding.view_predictions import ViewPredictions
from mabe.errors import DataError, RunError
from mabe.experiments.checklist import gather_facts, run_checks
from mabe.experiments.checklist.read_score_facts import read_answers
from mabe.experiments.fold_runs import find_fold_runs
from mabe.inference.evaluate import Unseen, predict_unseen
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import Checkpoint, load_checkpoint
from mabe.runtime.console import count
from mabe.runtime.documents import read_json
from mabe.training.history import HISTORY_NAME, read_history
from mabe.training.run_directory import is_documented
from mabe.viz.report.contents import (
    Check,
    ClassFrames,
    Contents,
    Setting,
    TrainingCurve,
)
from mabe.viz.result_summary import ResultSummary

_SHOWN_FACTS = {
    "mabe": "mabe",
    "git_commit": "commit",
    "command": "command",
    "data": "data",
    "device": "device",
    "platform": "platform",
    "python": "Python",
    "torch": "torch",
    "numpy": "NumPy",
}


def gather_contents(
    run: Path,
    predictor: Predictor,
    data: Path | None = None,
    include_training: bool = False,
    skip_bad: bool = False,
) -> Contents:
    """Return the contents of a run's report."""
    checkpoint = predictor.checkpoint
    on_unseen = summarize_run(
        run, predictor, data, include_training=include_training, skip_bad=skip_bad
    )
    root = checkpoint.path.parent
    return Contents(
        run=_short_name(run),
        data=on_unseen.data,
        recordings=on_unseen.recordings,
        notes=on_unseen.notes,
        study=on_unseen.study,
        curves=find_training_curves(run, checkpoint),
        class_frames=_class_frames(root),
        settings=_settings(checkpoint),
        circumstances=_circumstances(root),
        checks=_checks(run, data or own_data(checkpoint)),
    )


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The study of a run's model on recordings that it did not learn from."""

    study: ResultSummary
    data: str
    """Its name; empty where the data are no longer there."""
    recordings: str
    """In words: which recordings, and how they relate to the training."""
    notes: tuple[str, ...]


def summarize_run(
    run: Path,
    predictor: Predictor,
    data: Path | None = None,
    *,
    include_training: bool = False,
    skip_bad: bool = False,
    only: frozenset[str] = frozenset(),
    most: int | None = None,
) -> RunSummary:
    """Return the study of a run's model on recordings that it did not learn from.

    Out-of-fold predictions are used where the run has them and no data are named.
    `only` names recordings; `most` stops after so many. Raises `DataError` where there
    are no recordings to use.
    """
    checkpoint = predictor.checkpoint
    study = ResultSummary.of_rules(checkpoint.rules)
    answers = None if data else read_answers(checkpoint)
    place = data or own_data(checkpoint)
    if answers:
        views = answers.decide(checkpoint.rules)
        wanted = (view for view in views if not only or view.name in only)
        number = _add_views(study, wanted, most)
        them = "it" if number == 1 else "them"
        recordings = f"{count(number, 'recording')}, predicted by runs that held {them}"
        name = _short_name(place) if place else ""
        return RunSummary(study, name, f"{recordings} out", _note_on_rules(checkpoint))
    if place is None:
        raise DataError(
            f"{run}: the data it was trained on are no longer where they were; give "
            "where with --data"
        )
    unseen = Unseen(predictor, place, include_training, skip_bad, only=only)
    number = _add_views(study, predict_unseen(unseen), most)
    recordings = f"{count(number, 'recording')} of {place.resolve().name}"
    if not include_training:
        recordings += " that it did not learn from"
    # Notes on the recordings shown come before notes on those left out.
    notes = sorted(unseen.notes()[1:], key=lambda note: "left out" in note)
    return RunSummary(study, _short_name(place), recordings, tuple(notes))


def _add_views(
    study: ResultSummary, views: Iterable[ViewPredictions], most: int | None
) -> int:
    """Add the views of at most so many recordings; return how many there were."""
    names: set[str] = set()
    for view in views:
        if most is not None and view.name not in names and len(names) == most:
            break
        names.add(view.name)
        study.add(view)
    if not names:
        raise DataError(
            "nothing to show: the model learned from every recording that was named, "
            "or none of them exists"
        )
    return len(names)


def own_data(checkpoint: Checkpoint) -> Path | None:
    """Return the data a run was trained on, None where they are no longer there."""
    data_dir = checkpoint.members[0].provenance.data_dir
    return Path(data_dir) if data_dir and Path(data_dir).exists() else None


def find_training_curves(
    run: Path, checkpoint: Checkpoint
) -> tuple[TrainingCurve, ...]:
    """Return how a run, or each run of a cross-validation, was trained.

    Trees are grown in one step and have no curve.
    """
    fold_runs = find_fold_runs(run)
    if fold_runs:
        return tuple(
            TrainingCurve(
                name=f"seed {fold_run.config.seed}, fold {fold_run.config.fold}",
                epochs=read_history(fold_run.run_dir),
                used_epoch=load_checkpoint(fold_run.model).members[0].provenance.epoch,
            )
            for fold_run in fold_runs
            if not fold_run.config.is_grown
        )
    root = checkpoint.path.parent
    if len(checkpoint.members) > 1 or not (root / HISTORY_NAME).is_file():
        return ()
    if checkpoint.model.config.is_grown:
        return ()
    used = checkpoint.members[0].provenance.epoch
    return (TrainingCurve(name=root.name, epochs=read_history(root), used_epoch=used),)


def read_training_curves(runs: Sequence[Path]) -> list[TrainingCurve]:
    """Return the training curves of some runs; raises `RunError` for one without."""
    curves: list[TrainingCurve] = []
    for run in runs:
        of_run = find_training_curves(run, load_checkpoint(run))
        if not of_run:
            raise RunError(f"{run}: no history.json here; give a run directory")
        curves += of_run
    return curves


def _note_on_rules(checkpoint: Checkpoint) -> tuple[str, ...]:
    if not checkpoint.tuned_on:
        return ()
    return (
        "thresholds and smoothing were tuned on these same recordings, so "
        "these scores are slightly too high; `mabe tune` prints the nested score",
    )


def _class_frames(root: Path) -> tuple[ClassFrames, ...]:
    facts = _facts(root)
    return tuple(ClassFrames(**each) for each in facts.get("class_frames", []))


def _settings(checkpoint: Checkpoint) -> tuple[Setting, ...]:
    path = checkpoint.path.parent / "config.yaml"
    if not path.is_file():
        return ()
    usual = dump_config(RunConfig())
    return tuple(
        Setting(key, _as_yaml(value), value == usual[key])
        for key, value in dump_config(load_config(path)).items()
    )


def _circumstances(root: Path) -> tuple[tuple[str, str], ...]:
    facts = _facts(root)
    return tuple(
        (name, _as_text(facts[key]))
        for key, name in _SHOWN_FACTS.items()
        if facts.get(key)
    )


def _facts(root: Path) -> dict[str, Any]:
    """Return what a run wrote down of itself; nothing where it is no run directory."""
    if not is_documented(root):
        return {}
    path = root / "run.json"
    try:
        facts: dict[str, Any] = read_json(path)
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}; restore it") from None
    return facts


def _short_name(place: Path) -> str:
    """Return a name that is meaningful on another machine: its last two parts."""
    return "/".join(place.resolve().parts[1:][-2:])


def _as_yaml(value: Any) -> str:
    """Return a setting as a config file has it, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _as_text(value: Any) -> str:
    return " · ".join(map(str, value)) if isinstance(value, list) else str(value)


def _checks(run: Path, place: Path | None) -> tuple[Check, ...]:
    tqdm.write("Going through the checklist")
    findings = run_checks(gather_facts(run, place))
    return tuple(
        Check(
            name=finding.name,
            verdict=str(finding.verdict),
            found=finding.found,
            advice=finding.advice,
        )
        for finding in findings
    )
