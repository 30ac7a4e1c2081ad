"""The card of a model: what to know before one uses, shares or cites it.

Made from the model's file and from what lies beside it: out-of-fold predictions (the
scores with intervals, and where the model fails), or else the scores of the recordings
that a single run held out. ``MODEL_CARD.md`` is the same as Markdown; its head is the
one that model repositories read.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mabe.decoding.rules import DecisionRules
from mabe.decoding.view_predictions import OutOfFold, count_by_track
from mabe.experiments.calibrate import REPORT_NAME as CALIBRATION
from mabe.experiments.fold_runs import RECIPE_REPORT
from mabe.experiments.out_of_fold import FILE_NAME, read_out_of_fold
from mabe.experiments.rule_tuning import read_tuning
from mabe.metrics.confidence_interval import confidence_of_counts
from mabe.metrics.frame_scores import macro_f1
from mabe.models.checkpoint import (
    HUB_CARD,
    Checkpoint,
    load_checkpoint,
    plain_rules,
)
from mabe.pair_task import PairTask
from mabe.runtime.console import count, finite_or_none, format_score, one_line
from mabe.runtime.documents import read_json
from mabe.runtime.files import hash_file, write_text

FILE = "MODEL_CARD.md"
_WORST = 3
"""Recordings, and confusions, that are named as where a model fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """How well one class (or action) is predicted."""

    name: str
    f1: float | None
    low: float | None
    high: float | None
    """95 % interval over recordings; None with too few that contain it."""
    recordings: int | None
    """How many contain it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardScores:
    """How well a model predicts recordings that it did not learn from."""

    how: str
    """Which recordings were scored, and how."""
    score: float | None
    low: float | None
    high: float | None
    recordings: int | None
    tuned_nested: float | None
    """Of tuned rules, on recordings that did not choose them."""
    classes: tuple[ClassScore, ...]
    worst: tuple[tuple[str, float | None], ...]
    """The recordings with the lowest scores."""
    confusions: tuple[str, ...]
    """The most frequent ones, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What to know of a model."""

    name: str
    file: str
    file_hash: str
    task: str
    classes: Mapping[str, tuple[str, ...]]
    """The annotated actions of each class that a model predicts."""
    undirected: tuple[str, ...]
    members: tuple[str, ...]
    rate_fps: float
    keypoints: tuple[str, ...]
    """Those of the recordings that it learned from; else of its skeleton."""
    landmarks: Mapping[str, tuple[str, ...]]
    animals: tuple[int, ...]
    rates_fps: tuple[float, ...]
    labs: tuple[str, ...]
    trained_on: int
    """Number of tracks."""
    pretrained_on: int
    """Number of further tracks, used without labels in pretraining."""
    data: tuple[str, ...]
    """The folders' names, or URLs."""
    started_from: tuple[str, ...]
    distilled_from: tuple[str, ...]
    rules: str
    scores: CardScores | None
    authors: tuple[str, ...]
    licences: tuple[str, ...]
    citations: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return json.loads(json.dumps(asdict(self)))

    def to_text(self) -> str:
        """Return the card for the terminal."""
        rows = [*self._about(), *self._rights()]
        width = max(len(name) for name, _ in rows) + 2
        lines = [one_line(f"{name:<{width}}{value}") for name, value in rows]
        return "\n".join([*lines, "", *self._score_lines()])

    def to_markdown(self) -> str:
        """Return the card as a page."""
        head = {
            "library_name": "mabe",
            "tags": ["animal-behavior", "pose-estimation", f"mabe-{self.task}"],
            **_license_of_repository(self.licences),
        }
        table = [f"| {name} | {_cell(value)} |" for name, value in self._about()]
        rights = [f"| {name} | {_cell(value)} |" for name, value in self._rights()]
        parts = [
            "---",
            *(f"{key}: {json.dumps(value)}" for key, value in head.items()),
            "---",
            f"# {_cell(self.name)}",
            "A model of mabe: poses of animals in, behaviour out.",
            "",
            "| | |",
            "|---|---|",
            *table,
            *rights,
            "",
            "## Scores",
            *self._markdown_scores(),
            "",
            "## How to use it",
            "```",
            "pip install mabe",
            "mabe predict MODEL recordings --out out",
            "```",
            "Scores are of recordings like those that it learned from. Score a few of "
            "yours and compare: `mabe evaluate`, `mabe calibrate`.",
        ]
        return "\n".join(parts) + "\n"

    def _about(self) -> list[tuple[str, str]]:
        directed = "who does what to whom" if self.task == "pair" else "one class"
        rows = [
            ("Model", f"{self.name} ({self.file}, {self.file_hash})"),
            ("Task", f"{self.task}: {directed} in each frame"),
            ("Predicts", "; ".join(map(_class_text, self.classes.items()))),
        ]
        if self.undirected:
            rows.append(("Without direction", ", ".join(self.undirected)))
        rows += [
            ("Made of", ", ".join(self.members)),
            ("Learned from", self._learned_from()),
        ]
        if self.started_from:
            rows.append(("Started from", ", ".join(self.started_from)))
        if self.distilled_from:
            rows.append(("Imitates", ", ".join(self.distilled_from)))
        rows += [
            ("Keypoints", ", ".join(self.keypoints)),
            (
                "Landmarks",
                "; ".join(
                    f"{name}: {', '.join(sources)}"
                    for name, sources in self.landmarks.items()
                    if sources
                ),
            ),
            ("Animals", _numbers(self.animals)),
            (
                "Frame rates",
                f"{_numbers(self.rates_fps)} fps, resampled to {self.rate_fps:g}",
            ),
            ("Decision rules", self.rules),
        ]
        return rows

    def _learned_from(self) -> str:
        where = f" of {', '.join(self.data)}" if self.data else ""
        labs = f"; labs: {', '.join(self.labs)}" if self.labs else ""
        further = (
            f"; pretrained on the poses of {count(self.pretrained_on, 'track')} more, "
            "without labels"
            if self.pretrained_on
            else ""
        )
        return f"{count(self.trained_on, 'track')}{where}{labs}{further}"

    def _rights(self) -> list[tuple[str, str]]:
        missing = "not given (mabe train --{})"
        return [
            ("Author", "; ".join(self.authors) or missing.format("author")),
            ("Licence", "; ".join(self.licences) or missing.format("licence")),
            ("Cite as", "; ".join(self.citations) or missing.format("cite")),
        ]

    def _score_lines(self) -> list[str]:
        scores = self.scores
        if scores is None:
            return ["No scores: nothing was held out, or they do not lie beside it"]
        lines = [scores.how, f"{'all':<24}{_with_interval(scores)}"]
        if scores.tuned_nested is not None:
            lines.append(f"{'tuned, nested':<24}{format_score(scores.tuned_nested)}")
        lines += [
            f"{each.name:<24}{_with_interval(each)}{_of_recordings(each)}"
            for each in scores.classes
        ]
        return [one_line(line) for line in [*lines, *self._failures()]]

    def _failures(self) -> list[str]:
        """Return lines on where the model fails."""
        if self.scores is None:
            return []
        worst = [f"{name} {format_score(value)}" for name, value in self.scores.worst]
        lines = [f"Lowest scores: {', '.join(worst)}"] if worst else []
        if self.scores.confusions:
            lines.append(f"Most frequent: {'; '.join(self.scores.confusions)}")
        return lines

    def _markdown_scores(self) -> list[str]:
        scores = self.scores
        if scores is None:
            return self._score_lines()
        rows = [
            f"| {_cell(each.name)} | {_with_interval(each)} | "
            f"{'' if each.recordings is None else each.recordings} |"
            for each in scores.classes
        ]
        number = "" if scores.recordings is None else scores.recordings
        tuned = format_score(scores.tuned_nested)
        return [
            f"{scores.how}.",
            "",
            "| | F1 (95 % interval over recordings) | recordings with it |",
            "|---|---|---|",
            f"| **all** | {_with_interval(scores)} | {number} |",
            *(
                []
                if scores.tuned_nested is None
                else [f"| tuned, nested | {tuned} | |"]
            ),
            *rows,
            "",
            *(f"- {_cell(line)}" for line in self._failures()),
        ]


def _license_of_repository(licences: Sequence[str]) -> dict[str, str]:
    """Return licences as the head of a repository's README names them."""
    if not licences:
        return {}
    if len(licences) == 1 and re.fullmatch(r"[a-z0-9][a-z0-9.\-]*", licences[0]):
        return {"license": licences[0]}
    return {"license": "other", "license_name": "; ".join(licences)}


def read_model_card(model: Path) -> ModelCard:
    """Return the card of a model: a run directory, or a file.

    Raises `RunError` where there is no model.
    """
    checkpoint = load_checkpoint(model)
    return card_of(checkpoint)


def card_of(checkpoint: Checkpoint) -> ModelCard:
    """Return the card of a loaded model."""
    task, config = checkpoint.model.task, checkpoint.model.config
    path, contract = checkpoint.path, checkpoint.contract
    places = task.kind.bout_classes(len(task.classes))
    origins = [member.provenance for member in checkpoint.members]
    return ModelCard(
        name=path.parent.name if path.stem == "best" else path.stem,
        file=path.name,
        file_hash=hash_file(path),
        task=str(task.kind),
        classes={task.classes[i]: task.actions_of_classes[i] for i in places},
        undirected=tuple(sorted(task.undirected)),
        members=_members(checkpoint),
        rate_fps=config.fps,
        keypoints=contract.keypoints if contract else config.body.keypoints,
        landmarks=config.body.landmarks,
        animals=contract.animals if contract else (),
        rates_fps=contract.rates_fps if contract else (),
        labs=task.labs if isinstance(task, PairTask) else (),
        trained_on=len(checkpoint.trained_on),
        pretrained_on=len(checkpoint.pretrained_on),
        data=_distinct(Path(each.data_dir).name for each in origins if each.data_dir),
        started_from=_distinct(each.started_from for each in origins),
        distilled_from=_distinct(each.distilled_from for each in origins),
        rules="plain" if checkpoint.rules == plain_rules(task) else "tuned",
        scores=_scores(checkpoint),
        authors=_distinct(each.author for each in origins),
        licences=_distinct(each.licence for each in origins),
        citations=_distinct(each.cite for each in origins),
    )


def write_model_card(model: Path) -> Path:
    """Write the card of a finished model beside it, and return its path."""
    checkpoint = load_checkpoint(model)
    place = checkpoint.path.parent / FILE
    write_text(place, card_of(checkpoint).to_markdown())
    return place


def _members(checkpoint: Checkpoint) -> tuple[str, ...]:
    kinds = [member.model.config.model_type for member in checkpoint.members]
    return tuple(f"{kinds.count(kind)} × {kind}" for kind in dict.fromkeys(kinds))


def _scores(checkpoint: Checkpoint) -> CardScores | None:
    """Return the scores that lie beside a model, or in it; None without any."""
    folder = checkpoint.path.parent
    predictions = folder / FILE_NAME
    is_of_folder = checkpoint.path.stem == "best"
    if is_of_folder and predictions.is_file():
        found = read_out_of_fold(predictions)
        if found.views and found.classes == tuple(checkpoint.model.task.classes):
            return _out_of_fold_scores(found, folder)
    if (pushed := folder / HUB_CARD).is_file():
        return _pushed_scores(read_json(pushed), hash_file(checkpoint.path))
    if is_of_folder and (folder / CALIBRATION).is_file():
        return _calibrated_scores(read_json(folder / CALIBRATION))
    if len(checkpoint.members) == 1:
        return _validation_scores(checkpoint.members[0].provenance.validation)
    return None


def _out_of_fold_scores(predictions: OutOfFold, folder: Path) -> CardScores:
    rules = predictions.plain_rules
    counts = count_by_track(predictions.views, rules)
    confidence = confidence_of_counts(counts, predictions.kind)
    tracks = sorted({view.track for view in predictions.views})
    names = {view.track: view.name for view in predictions.views}
    each = [
        (names[track], finite_or_none(float(macro_f1(one, predictions.kind))))
        for track, one in zip(tracks, counts, strict=True)
    ]
    known = sorted((pair for pair in each if pair[1] is not None), key=_value)
    tuning = read_tuning(folder)
    is_recipe = (folder / RECIPE_REPORT).is_file()
    return CardScores(
        how="On recordings that the predicting models did not learn from"
        + (", models of the folds" if is_recipe else "")
        + ", default thresholds",
        score=finite_or_none(confidence.score),
        low=finite_or_none(confidence.low),
        high=finite_or_none(confidence.high),
        recordings=confidence.tracks,
        tuned_nested=tuning.score if tuning else None,
        classes=tuple(
            ClassScore(
                name=name,
                f1=finite_or_none(f1),
                low=finite_or_none(low),
                high=finite_or_none(high),
                recordings=number,
            )
            for name, f1, (low, high), number in zip(
                predictions.classes,
                confidence.f1.tolist(),
                confidence.f1_interval.tolist(),
                confidence.tracks_with.tolist(),
                strict=True,
            )
        ),
        worst=tuple(known[:_WORST]),
        confusions=_confusions(predictions, rules),
    )


def _value(pair: tuple[str, float | None]) -> float:
    return -1.0 if pair[1] is None else pair[1]


def _confusions(predictions: OutOfFold, rules: DecisionRules) -> tuple[str, ...]:
    """Return the most frequent confusions, of frames annotated with another class."""
    total = sum(view.confusion() for view in predictions.decide(rules))
    matrix = np.array(total)
    names = predictions.kind.choice_names(predictions.classes)
    annotated = matrix.sum(axis=1)
    wrong = [
        (int(matrix[row, column]), row, column)
        for row in range(len(matrix))
        for column in range(len(matrix))
        if row != column and matrix[row, column]
    ]
    return tuple(
        f"{100 * number / annotated[row]:.0f} % of {names[row]} predicted as "
        f"{names[column]}"
        for number, row, column in sorted(wrong, reverse=True)[:_WORST]
    )


def _calibrated_scores(report: Mapping[str, Any]) -> CardScores:
    scores = report["score"]
    folds = [name for fold in report["folds"] for name in fold["recordings"]]
    kept = report["rules"] == "kept"
    return CardScores(
        how=f"On {count(len(folds), 'recording')} that it was calibrated with, each "
        "scored by rules of the others",
        score=scores["before"] if kept else scores["nested"],
        low=None,
        high=None,
        recordings=len(folds),
        tuned_nested=None,
        classes=(),
        worst=(),
        confusions=(),
    )


def _pushed_scores(card: Any, file_hash: str) -> CardScores | None:
    """Return the scores of a card that came with a model; None if it is another's."""
    try:
        scores = card["scores"]
        if card["file_hash"] != file_hash or scores is None:
            return None
        return CardScores(
            **{
                **scores,
                "classes": tuple(ClassScore(**each) for each in scores["classes"]),
                "worst": tuple((name, value) for name, value in scores["worst"]),
                "confusions": tuple(scores["confusions"]),
            }
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        return None  # anybody may have written it; the model's own card is checked


def _validation_scores(validation: Mapping[str, Any]) -> CardScores | None:
    per_class = validation.get("per_class") or {}
    if validation.get("f1_macro") is None:
        return None
    return CardScores(
        how="On recordings that were held out and chose the epoch, so slightly too "
        "high",
        score=validation["f1_macro"],
        low=None,
        high=None,
        recordings=None,
        tuned_nested=None,
        classes=tuple(
            ClassScore(
                name=name, f1=each.get("f1"), low=None, high=None, recordings=None
            )
            for name, each in per_class.items()
        ),
        worst=(),
        confusions=(),
    )


def _with_interval(scores: CardScores | ClassScore) -> str:
    value = scores.score if isinstance(scores, CardScores) else scores.f1
    if scores.low is None or scores.high is None:
        return format_score(value)
    low, high = format_score(scores.low), format_score(scores.high)
    return f"{format_score(value)} ({low} to {high})"


def _of_recordings(score: ClassScore) -> str:
    if score.recordings is None:
        return ""
    return f"  in {count(score.recordings, 'recording')}"


def _class_text(entry: tuple[str, Sequence[str]]) -> str:
    name, actions = entry
    if list(actions) == [name]:
        return name
    return f"{name} ({', '.join(actions)})"


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{each:g}" for each in values) or "not known"


def _distinct(values: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in values if each))


def _cell(text: str) -> str:
    """Return a text in one cell of a table: names come from anybody's data."""
    plain = one_line(text).replace("\\", "\\\\").replace("|", "\\|")
    return plain.replace("<", "&lt;").replace("[", "\\[")
