"""A run's report: all there is to know of it gathered, then shown as one file."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from mabe.config import RunConfig, dump_config, load_config
from mabe.decoding.views import Lane
from mabe.errors import DataError, RunError
from mabe.experiments.checklist import gather_facts, run_checks
from mabe.experiments.checklist.gather import read_answers
from mabe.experiments.fold_runs import find_fold_runs
from mabe.inference.evaluate import Unseen
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import Checkpoint, load_checkpoint
from mabe.pair_task import PairTask
from mabe.runtime.files import write_text
from mabe.training.history import HISTORY_NAME, read_history
from mabe.training.run_directory import is_documented
from mabe.viz.report.contents import (
    Check,
    ClassFrames,
    Contents,
    Setting,
    TrainingCurve,
)
from mabe.viz.report.page import render
from mabe.viz.study import Study
from mabe.viz.views import look, of_answers

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


def write_report(
    run: Path,
    out: Path,
    *,
    predictor: Predictor,
    data: Path | None = None,
    include_training: bool = False,
    skip_bad: bool = False,
) -> Contents:
    """Write the report of a run, and return what it tells.

    Figures are of answers kept by a cross-validation where there are some, else of
    recordings in `data` (or in the run's own data) that the model never saw.
    Raises `DataError` where there are neither.
    """
    contents = gather(run, predictor, data, include_training, skip_bad)
    write_text(out, render(contents))
    return contents


def gather(
    run: Path,
    predictor: Predictor,
    data: Path | None = None,
    include_training: bool = False,
    skip_bad: bool = False,
) -> Contents:
    """Return all that a report of a run tells."""
    checkpoint = predictor.checkpoint
    judged = judge(
        run, predictor, data, include_training=include_training, skip_bad=skip_bad
    )
    root = checkpoint.path.parent
    return Contents(
        run=_short_name(run),
        judged_on=judged.on,
        notes=judged.notes,
        study=judged.study,
        curves=find_training_curves(run, checkpoint),
        class_frames=_class_frames(root),
        settings=_settings(checkpoint),
        circumstances=_circumstances(root),
        checks=_checks(run, data or own_data(checkpoint)),
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """How a model does on recordings it never saw, and which those are."""

    study: Study
    on: str
    """In words: which recordings, and who had seen them."""
    notes: tuple[str, ...]


def judge(
    run: Path,
    predictor: Predictor,
    data: Path | None = None,
    *,
    include_training: bool = False,
    skip_bad: bool = False,
    only: frozenset[str] = frozenset(),
    most: int | None = None,
) -> Judged:
    """Return a study of what a run's model finds in recordings it never saw.

    `only` names recordings; `most` stops after so many. Raises `DataError` where there
    is nothing to judge it on.
    """
    checkpoint = predictor.checkpoint
    study = start_study(checkpoint)
    answers = None if data else read_answers(checkpoint)
    if answers:
        lanes = of_answers(answers, checkpoint.rules)
        taken = _take(study, (x for x in lanes if not only or x.name in only), most)
        on = f"{taken} recordings, each marked by runs that never saw it"
        return Judged(study, on, _note_on_rules(checkpoint))
    place = data or own_data(checkpoint)
    if place is None:
        raise DataError(
            f"{run}: the data it was trained on are no longer where they were; say "
            "where with --data"
        )
    unseen = Unseen(predictor, place, include_training, skip_bad, only)
    taken = _take(study, unseen_lanes(unseen), most)
    on = f"{taken} recordings of {place.resolve().name}"
    if not include_training:
        on += " that it never learned from"
    # What is said of those that are shown comes before what is said of others.
    notes = sorted(unseen.notes()[1:], key=lambda note: "left out" in note)
    return Judged(study, on, tuple(notes))


def _take(study: Study, lanes: Iterable[Lane], most: int | None) -> int:
    """Add lanes to a study, of so many recordings; return of how many they were."""
    names: set[str] = set()
    for lane in lanes:
        if most is not None and lane.name not in names and len(names) == most:
            break
        names.add(lane.name)
        study.add(lane)
    if not names:
        raise DataError(
            "nothing to show: none of the recordings that were named is among those "
            "that the model never learned from"
        )
    return len(names)


def start_study(checkpoint: Checkpoint) -> Study:
    """Return an empty study of what a model answers."""
    rules = checkpoint.rules
    return Study(rules.kind, tuple(rule.name for rule in rules.classes), rules)


def unseen_lanes(unseen: Unseen) -> Iterator[Lane]:
    """Yield the lanes of recordings that a model may be judged on."""
    for store, index in unseen.open():
        task = unseen.predictor.checkpoint.model.task
        if not isinstance(task, PairTask):
            task.check_actions(bout.action for bout in store.recordings[index].bouts)
        yield from look(unseen.predictor, store, index)


def own_data(checkpoint: Checkpoint) -> Path | None:
    """Return the data a run was trained on, None where they are no longer there."""
    data_dir = checkpoint.members[0].provenance.data_dir
    return Path(data_dir) if data_dir and Path(data_dir).exists() else None


def find_training_curves(
    run: Path, checkpoint: Checkpoint
) -> tuple[TrainingCurve, ...]:
    """Return how a run, or each run of a cross-validation, was trained.

    Trees are grown in one go: there is nothing to tell of them.
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


def _note_on_rules(checkpoint: Checkpoint) -> tuple[str, ...]:
    if not checkpoint.tuned_on:
        return ()
    return (
        "thresholds and smoothing were tuned on these same recordings, which flatters "
        "the figures a little; `mabe tune` tells the nested score",
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
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}; restore it") from None
    return facts


def _short_name(run: Path) -> str:
    """Return a name that still says something on another machine."""
    place = run.resolve()
    return f"{place.parent.name}/{place.name}" if place.is_file() else place.name


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
