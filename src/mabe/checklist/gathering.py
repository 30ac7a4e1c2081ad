"""Reading all that a checklist looks at: a run, a cross-validation or a joined file.

A run that was not finished is gathered as far as it went; one without a finished epoch,
or with a file that cannot be read, is a `RunError` that says so in one line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.checklist.answers import calibrate, read_tuning, score_answers
from mabe.checklist.data_facts import gather_data
from mabe.checklist.facts import (
    ClassScore,
    Facts,
    MemberFacts,
    ScoreFacts,
    SubmissionFacts,
    TrainingFacts,
)
from mabe.checklist.history import read_history
from mabe.checkpoint import Checkpoint, load_checkpoint, plain_rules
from mabe.config import RunConfig, load_config
from mabe.errors import DataError
from mabe.out_of_fold import FILE_NAME, OutOfFold, read_out_of_fold
from mabe.pairs import PairTask
from mabe.run_directory import is_documented
from mabe.store import is_store
from mabe.submission import Review, Severity, review_submission
from mabe.trials import Trial, find_trials


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
    trials = find_trials(run)
    checkpoint = load_checkpoint(run)
    root = checkpoint.path.parent
    if trials:
        parts = [_part_of_trial(trial) for trial in trials]
    else:
        parts = _parts_of_file(checkpoint)
    answers = read_answers(checkpoint)
    task = checkpoint.recogniser.task
    return Facts(
        kind="pair" if isinstance(task, PairTask) else "scene",
        trainings=tuple(part.training for part in parts if part.training),
        members=tuple(part.member for part in parts),
        answered=frozenset(answers.tracks if answers else ()),
        scores=_gather_scores(checkpoint, answers),
        calibration=calibrate(answers, checkpoint.rules, read_tuning(checkpoint))
        if answers
        else None,
        data=gather_data(data, checkpoint.recogniser.config) if data else None,
        submission=_gather_submission(root, data, submission),
    )


def _part_of_trial(trial: Trial) -> _Part:
    """Return one fold: its training, and the tracks that its own answers are of."""
    model = load_checkpoint(trial.model)
    return _Part(
        _training(trial.name, trial.run_dir, trial.config, model),
        _member(trial.name, model, 0, trial.answers.tracks),
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
    is_grown = config.model_type == "trees"  # in one go, as long as it was planned
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
        is_tuned = checkpoint.rules != plain_rules(checkpoint.recogniser.task)
        tuning = read_tuning(checkpoint) if is_tuned else None
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
