"""Reading all that a checklist looks at: a run, a cross-validation or a joined file.

A run that was not finished is gathered as far as it went; one without a finished epoch,
or with a file that cannot be read, is a `RunError` that says so in one line.

Scores and calibration from out-of-fold answers.

Rules that were tuned on the answers flatter when judged by them, so where `tuning.json`
has nested figures (each fold judged by the rules of the others) these are told instead.

What a data set holds: labels, points, and copies of tracks.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from mabe.config import RunConfig, load_config
from mabe.data.prepare import load_store
from mabe.data.store import is_store, open_store
from mabe.decoding.bootstrap import count_by_track
from mabe.decoding.calibration import measure_reliability
from mabe.decoding.rules import DecisionRules
from mabe.decoding.views import OutOfFold, ViewPredictions, tally_views
from mabe.errors import DataError
from mabe.experiments.checklist.facts import (
    CalibrationFacts,
    ClassCalibration,
    ClassScore,
    DataFacts,
    Facts,
    LabFacts,
    MemberFacts,
    ScoreFacts,
    SubmissionFacts,
    TrainingFacts,
)
from mabe.experiments.fold_runs import FoldRun, find_fold_runs
from mabe.experiments.out_of_fold import FILE_NAME, read_out_of_fold
from mabe.experiments.tune import NestedTuning, read_tuning
from mabe.io.submission import Review, Severity, review_submission
from mabe.metrics.frame_scores import HITS, LABELLED, PREDICTED, f1_scores, macro_f1
from mabe.models.checkpoint import Checkpoint, load_checkpoint, plain_rules
from mabe.models.ensemble import Ensemble
from mabe.models.model import Model
from mabe.pair_task import PairTask
from mabe.recording import StoredRecording
from mabe.runtime.console import finite_or_none
from mabe.runtime.files import usable_cores
from mabe.scene_task import SceneTask, TaskKind
from mabe.skeleton import KEYPOINTS, keypoint_of
from mabe.training.history import read_history
from mabe.training.run_directory import is_documented


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of one member; no training where it left no run directory."""

    training: TrainingFacts | None
    member: MemberFacts


def gather_facts(
    run: Path, data: Path | None = None, submission: Path | None = None
) -> Facts:
    """Return all there is to know of a run, and of data and a submission if given.

    `run` is a run directory, that of a cross-validation or an ensemble, or a checkpoint
    file. Raises `RunError` where it is none or is broken, and `DataError` where data or
    the named submission cannot be read.
    """
    fold_runs = find_fold_runs(run)
    checkpoint = load_checkpoint(run)
    root = checkpoint.path.parent
    if fold_runs:
        parts = [_part_of_fold_run(fold_run) for fold_run in fold_runs]
    else:
        parts = _parts_of_file(checkpoint)
    answers = read_answers(checkpoint)
    task = checkpoint.model.task
    return Facts(
        kind=task.kind,
        trainings=tuple(part.training for part in parts if part.training),
        members=tuple(part.member for part in parts),
        answered=frozenset(answers.tracks if answers else ()),
        scores=_gather_scores(checkpoint, answers),
        calibration=calibrate(answers, checkpoint.rules, read_tuning(root))
        if answers
        else None,
        data=gather_data(data, checkpoint.model) if data else None,
        submission=_gather_submission(root, data, submission),
    )


def _part_of_fold_run(fold_run: FoldRun) -> _Part:
    """Return one fold: its training, and the tracks that its own answers are of."""
    model = load_checkpoint(fold_run.model)
    return _Part(
        _training(fold_run.name, fold_run.run_dir, fold_run.config, model),
        _member(fold_run.name, model, 0, fold_run.predictions.tracks),
    )


def _parts_of_file(checkpoint: Checkpoint) -> list[_Part]:
    """Return the members of one file, with its history where it lies in its run."""
    root = checkpoint.path.parent
    if len(checkpoint.members) > 1 or not is_documented(root):
        return [
            _Part(None, _member(f"member {place + 1}", checkpoint, place))
            for place in range(len(checkpoint.members))
        ]
    config = load_config(root / "config.yaml")
    answers = read_answers(checkpoint)
    return [
        _Part(
            _training(str(root), root, config, checkpoint),
            _member(str(root), checkpoint, 0, answers.tracks if answers else ()),
        )
    ]


def _training(
    name: str, run_dir: Path, config: RunConfig, checkpoint: Checkpoint
) -> TrainingFacts:
    epochs = read_history(run_dir)
    used = checkpoint.members[0].provenance.epoch
    is_grown = config.is_grown  # in one go, as long as it was planned
    return TrainingFacts(
        name=name,
        epochs=epochs,
        planned_epochs=1 if is_grown else config.epochs,
        patience=config.early_stopping_patience,
        is_annealed=is_grown or config.scheduler == "cosine",
        # A run killed between the model and the history has it in the next one.
        used_epoch=min(used, len(epochs)),
    )


def _member(
    name: str, checkpoint: Checkpoint, place: int, answered: Sequence[str] = ()
) -> MemberFacts:
    provenance = checkpoint.members[place].provenance
    return MemberFacts(
        name=name,
        trained_on=frozenset(provenance.trained_on),
        validated_on=frozenset(provenance.validated_on),
        answered=frozenset(answered),
    )


def read_answers(checkpoint: Checkpoint) -> OutOfFold | None:
    """Return the out-of-fold answers of a checkpoint, None where none are its own.

    Beside a single run they may be those of another of its epochs, unless they have
    tuned it.
    """
    path = checkpoint.path.parent / FILE_NAME
    if not path.is_file():
        return None
    answers = read_out_of_fold(path)
    is_own = len(checkpoint.members) > 1 or set(answers.tracks) <= set(
        checkpoint.tuned_on
    )
    return answers if is_own else None


def _gather_scores(
    checkpoint: Checkpoint, answers: OutOfFold | None
) -> ScoreFacts | None:
    """Return out-of-fold scores, else those of the epoch; None for other ensembles."""
    if answers:
        is_tuned = checkpoint.rules != plain_rules(checkpoint.model.task)
        tuning = read_tuning(checkpoint.path.parent) if is_tuned else None
        return score_answers(answers, checkpoint.rules, is_tuned, tuning)
    if len(checkpoint.members) > 1:
        return None
    provenance = checkpoint.members[0].provenance
    where = f"on what it held out, in epoch {provenance.epoch}"
    return ScoreFacts(
        macro_f1=provenance.validation["f1_macro"],
        macro_from=where,
        classes=tuple(
            ClassScore(
                name=name,
                f1=scores["f1"],
                recall=scores["recall"],
                labelled=scores["support"],
                is_predicted=scores["precision"] is not None,
            )
            for name, scores in provenance.validation["per_class"].items()
        ),
        classes_from=where,
    )


def _gather_submission(
    root: Path, data: Path | None, submission: Path | None
) -> SubmissionFacts | None:
    """Review the submission that is named, or lies in the run.

    One in the run that cannot be read is a finding; one that was named is an error.
    """
    path = submission or root / "submission.csv"
    if submission is None and not path.is_file():
        return None
    metadata = data if data and data.is_dir() and not is_store(data) else None
    facts = SubmissionFacts(path=str(path), against_data=metadata is not None)
    try:
        review = review_submission(path, metadata)
    except DataError as error:
        if submission:
            raise
        return replace(facts, errors=(str(error),))
    return replace(
        facts,
        rows=review.rows,
        errors=_told(review, Severity.ERROR),
        warnings=_told(review, Severity.WARNING),
    )


def _told(review: Review, severity: Severity) -> tuple[str, ...]:
    return tuple(
        each.message if each.line is None else f"line {each.line}: {each.message}"
        for each in review.problems
        if each.severity is severity
    )


def score_answers(
    answers: OutOfFold,
    rules: DecisionRules,
    is_tuned: bool,
    tuning: NestedTuning | None,
) -> ScoreFacts:
    """Return scores of the answers as the rules decide."""
    counts = count_by_track(answers.views, rules).sum(axis=0)
    macro = finite_or_none(float(macro_f1(counts, answers.kind)))
    macro_from = classes_from = "out of fold"
    if is_tuned:
        macro_from = classes_from = "out of fold, by rules tuned on the same recordings"
        if tuning:
            macro, macro_from = tuning.score, "out of fold, nested: tuned on others"
    return ScoreFacts(
        macro_f1=macro,
        macro_from=macro_from,
        classes=_class_scores(counts.sum(axis=0), answers),
        classes_from=classes_from,
    )


def _class_scores(
    counts: Int[np.ndarray, "classes 3"], answers: OutOfFold
) -> tuple[ClassScore, ...]:
    labelled = counts[:, LABELLED]
    # An action that nobody marked has no F1 here, though the challenge may give it 0.
    f1 = f1_scores(counts, TaskKind.SCENE)
    return tuple(
        ClassScore(
            name=name,
            f1=finite_or_none(f1[i]),
            recall=float(counts[i, HITS] / labelled[i]) if labelled[i] else None,
            labelled=int(labelled[i]),
            is_predicted=bool(counts[i, PREDICTED]),
        )
        for i, name in enumerate(answers.classes)
    )


def calibrate(
    answers: OutOfFold, rules: DecisionRules, tuning: NestedTuning | None
) -> CalibrationFacts:
    """Return the expected error of each class, as given and as the rules refine it."""
    plain_rules = DecisionRules.plain(answers.kind, answers.classes)
    given = _expected_errors(answers.views, plain_rules)
    is_tuned = rules != plain_rules
    refined: Mapping[str, float | None] = {}
    if is_tuned:
        refined = tuning.errors if tuning else _expected_errors(answers.views, rules)
    return CalibrationFacts(
        classes=tuple(
            ClassCalibration(name, given[name], refined.get(name))
            for name in answers.classes
        ),
        is_tuned=is_tuned,
    )


def _expected_errors(
    views: Sequence[ViewPredictions], rules: DecisionRules
) -> dict[str, float | None]:
    tallies = tally_views(views, rules)
    return {
        rule.name: finite_or_none(measure_reliability(tally).expected_error)
        for rule, tally in zip(rules.classes, tallies, strict=True)
    }


def gather_data(path: Path, model: Model | Ensemble) -> DataFacts:
    """Return what a folder in the Kaggle layout, or a store of any rate, holds.

    The folder is prepared at the model's rate where it is not yet. Raises `DataError`
    where there are no recordings.
    """
    if is_store(path):
        store = open_store(path)
    else:
        store = load_store(path, rate_fps=model.config.fps, workers=usable_cores())
    return describe_data(store.recordings, model.task, where=str(path))


def describe_data(
    recordings: Sequence[StoredRecording],
    task: SceneTask | PairTask,
    *,
    where: str = "data",
) -> DataFacts:
    """Return what some recordings hold of what the task does not ignore."""
    if not recordings:
        raise DataError(f"{where}: no recordings; give a data set that has some")
    names: dict[str, list[str]] = defaultdict(list)
    by_lab: dict[str, list[StoredRecording]] = defaultdict(list)
    for recording in recordings:
        names[recording.tracking_hash].append(recording.name)
        by_lab[recording.lab].append(recording)
    return DataFacts(
        labs=tuple(
            _describe_lab(lab, those, task) for lab, those in sorted(by_lab.items())
        ),
        recordings=len(recordings),
        unlabelled=sum(not each.has_labels for each in recordings),
        without_bouts=tuple(
            each.name for each in recordings if each.has_labels and not each.bouts
        ),
        untracked=tuple(each.name for each in recordings if not _is_tracked(each)),
        names_of={track: tuple(those) for track, those in names.items()},
    )


def _describe_lab(
    lab: str, recordings: Sequence[StoredRecording], task: SceneTask | PairTask
) -> LabFacts:
    points = [each.length * len(each.slots) for each in recordings]
    missing = sum(
        each.missing_share * number
        for each, number in zip(recordings, points, strict=True)
    )
    return LabFacts(
        lab=lab,
        recordings=len(recordings),
        missing_share=missing / max(1, sum(points)),
        keypoints=frozenset(
            KEYPOINTS[keypoint_of(slot)] for each in recordings for slot in each.slots
        ),
        bouts=count_bouts(recordings, task),
    )


def count_bouts(
    recordings: Sequence[StoredRecording], task: SceneTask | PairTask
) -> dict[str, int]:
    """Return the bouts of each action that was watched or marked and is asked for."""
    counts: Counter[str] = Counter()
    for recording in recordings:
        counts.update({watched.action: 0 for watched in recording.annotated})
        counts.update(bout.action for bout in recording.bouts)
    return {
        action: number
        for action, number in sorted(counts.items())
        if task.is_scored(action)
    }


def _is_tracked(recording: StoredRecording) -> bool:
    return bool(recording.slots) and recording.missing_share < 1
