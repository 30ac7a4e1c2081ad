"""Reading all facts of a run, a cross-validation or a joined model.

A run that was not finished is read as far as it went. One without a finished epoch, or
with a file that cannot be read, is a `RunError` in one line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.config import RunConfig, load_config
from mabe.data.store import is_store
from mabe.errors import DataError
from mabe.experiments.checklist.facts import (
    Facts,
    MemberFacts,
    SubmissionFacts,
    TrainingFacts,
)
from mabe.experiments.checklist.read_data_facts import gather_data
from mabe.experiments.checklist.read_score_facts import (
    calibrate,
    gather_scores,
    read_answers,
)
from mabe.experiments.fold_runs import FoldRun, find_fold_runs
from mabe.experiments.rule_tuning import read_tuning
from mabe.io.submission import Review, Severity, review_submission
from mabe.models.checkpoint import Checkpoint, load_checkpoint
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
        scores=gather_scores(checkpoint, answers),
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
