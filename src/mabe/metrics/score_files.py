"""Solutions and submissions from CSV files, and their scores as text and JSON.

CSV files have the challenge's columns; further ones, such as `row_id`, do not matter.
Rows count from 0 in messages, without the header.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from mabe.errors import DataError
from mabe.metrics.challenge import challenge_table, score_table
from mabe.metrics.challenge_tables import as_text, check_bouts, check_labs
from mabe.metrics.lab_action_scores import ActionScore, LabScore, ScoreTable
from mabe.runtime.console import finite_or_none, format_score

_FRAMES = ("start_frame", "stop_frame")


_HEADER = (
    f"  {'action':<16}{'F1':>7}{'prec.':>7}{'recall':>7}{'frames':>10}{'TP':>10}"
    f"{'FP':>10}{'FN':>10}{'bout F1':>9}{'bouts':>8}"
)


@dataclass(frozen=True, slots=True)
class Report:
    """The challenge's score of a submission and, if asked for, the strict one."""

    challenge: ScoreTable
    strict: ScoreTable | None
    notes: tuple[str, ...]
    """Notes on what was not counted."""

    @property
    def shown(self) -> ScoreTable:
        """The table that is printed: the strict one if there is one."""
        return self.strict or self.challenge

    @property
    def macro_f1(self) -> float | None:
        """The challenge's score."""
        return finite_or_none(self.challenge.f_score())

    def to_text(self, *, per_lab: bool = True) -> str:
        """Return the scores as text, with a table for each lab if wanted."""
        lines = [_score_line("score", self.challenge)]
        if self.strict is not None:
            lines.append(_score_line("strict", self.strict))
        if per_lab:
            rules = "challenge's" if self.strict is None else "strict"
            lines += ["", f"By the {rules} rules, counted in frames"]
            for lab in self.shown.labs:
                lines += ["", *_lab_lines(lab)]
        if self.notes:
            lines += ["", *self.notes]
        return "\n".join(lines)

    def to_frame(self) -> pl.DataFrame:
        """Return a row for each lab and action; NaN where there is no score."""
        return self.shown.to_frame()

    def to_json(self) -> dict[str, Any]:
        """Return plain values; None where there is no score."""
        strict = None if self.strict is None else finite_or_none(self.strict.f_score())
        return {
            "score": self.macro_f1,
            "strict": strict,
            "rules": "challenge" if self.strict is None else "strict",
            "labs": [
                {
                    "lab": lab.lab,
                    "f1": finite_or_none(lab.f_score()),
                    "bout_f1": finite_or_none(lab.bout_f1),
                    "actions": [
                        _action_json(row)
                        for row in ScoreTable((lab,)).to_frame().to_dicts()
                    ],
                }
                for lab in self.shown.labs
            ],
            "notes": list(self.notes),
        }


def score_files(
    solution_path: Path,
    submission_path: Path,
    *,
    strict: bool = False,
    watched: pl.DataFrame | None = None,
) -> Report:
    """Score one CSV file against another.

    `watched` (see `score_table`) is for the strict score. Raises `DataError` where a
    file is absent, broken or cannot be scored, with its path, and `HostVisibleError`.
    """
    solution, submission = read_bouts(solution_path), read_bouts(submission_path)
    check_labs(solution, str(solution_path), lists_needed=True)
    challenge = challenge_table(solution, submission)
    if not strict:
        return Report(challenge, None, challenge.notes)
    table = score_table(solution, submission, watched)
    note = _note_on_silent_videos(solution, submission, watched)
    return Report(challenge, table, (*table.notes, note))


def read_bouts(path: Path) -> pl.DataFrame:
    """Return a CSV file of bouts, ids as text, frames as numbers; checked.

    Raises `DataError` when the file is absent, no table, or a row is no bout.
    """
    try:
        table = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; expected a CSV of bouts.") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read as CSV ({reason[:200]}); is it one, in UTF-8?"
        ) from error
    for column in _FRAMES:
        if column in table.columns:
            table = table.with_columns(_whole_numbers(table[column], path))
    check_bouts(table, str(path))
    return table


def _whole_numbers(texts: pl.Series, path: Path) -> pl.Series:
    """Return a column of whole numbers; empty cells stay empty."""
    numbers = texts.str.strip_chars().cast(pl.Int64, strict=False)
    if (wrong := numbers.is_null() & texts.is_not_null()).any():
        row = wrong.arg_max() or 0
        raise DataError(
            f"{path}: row {row}: {texts.name} must be a whole number, found "
            f"{texts[row]!r}; was the table saved with fractions?"
        )
    return numbers


def _note_on_silent_videos(
    solution: pl.DataFrame, submission: pl.DataFrame, watched: pl.DataFrame | None
) -> str:
    """Return a note on watched videos without a label."""
    if watched is None:
        return (
            "watched videos without a label: not counted, because a solution does not "
            "list them; --metadata train.csv does"
        )
    labelled = set(as_text(solution, "video_id"))
    silent = set(as_text(watched, "video_id")) - labelled
    predicted = silent & set(as_text(submission, "video_id"))
    return (
        f"watched videos without a label: {len(silent):,}, {len(predicted):,} of them "
        "with predictions, which are all wrong"
    )


def _score_line(name: str, table: ScoreTable) -> str:
    actions = sum(action.in_mean for action in table.actions)
    labs = sum(not math.isnan(lab.f_score()) for lab in table.labs)
    return (
        f"{name:<8}{format_score(table.f_score(), digits=6):>8}"
        f"   labs: {labs}, actions: {actions}"
    )


def _lab_lines(lab: LabScore) -> list[str]:
    """Return a lab's mean and a row for each action; not in the mean in brackets."""
    f1, bout_f1 = format_score(lab.f_score()), format_score(lab.bout_f1)
    head = f"{lab.lab}  F1 {f1}  bout F1 {bout_f1}"
    return [head, _HEADER, *(_action_line(action) for action in lab.actions)]


def _action_line(action: ActionScore) -> str:
    name = action.action if action.in_mean else f"({action.action})"
    return (
        f"  {name:<16}{format_score(action.f1):>7}{format_score(action.precision):>7}"
        f"{format_score(action.recall):>7}{action.label_frames:>10,}{action.hit_frames:>10,}"
        f"{action.wrong_frames:>10,}{action.missed_frames:>10,}"
        f"{format_score(action.bout_f1):>9}{action.label_bouts:>8,}"
    )


def _action_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the score table as plain values, without its lab."""
    return {
        key: finite_or_none(cell) if isinstance(cell, float) else cell
        for key, cell in row.items()
        if key != "lab"
    }
