"""Problems of a submission with their lines, and how they are printed.

Lines count from 1, which is the header, as in editors. For an *error* the challenge's
host refuses the file, or cannot use the line; a *warning* is accepted but may lower the
score.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from mabe.errors import DataError
from mabe.runtime.console import count

SHOWN = 20
"""Number of problems of one kind that are printed."""


class Severity(StrEnum):
    """Whether a problem makes the file invalid."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of one line, or of the whole file."""

    line: int | None
    """None: the whole file."""
    message: str
    kind: str
    """The kind by which problems are grouped, such as ``overlap``."""
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Review:
    """The result of checking one submission."""

    rows: int
    videos: int
    problems: tuple[Problem, ...]
    """By line; those of the whole file first."""

    @property
    def errors(self) -> int:
        """The number of errors."""
        return sum(problem.severity is Severity.ERROR for problem in self.problems)

    @property
    def warnings(self) -> int:
        """The number of warnings."""
        return len(self.problems) - self.errors

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "valid": not self.errors,
            "rows": self.rows,
            "videos": self.videos,
            "errors": self.errors,
            "warnings": self.warnings,
            "problems": [asdict(problem) for problem in self.problems],
        }


def problems_of(
    rows: pl.DataFrame,
    kind: str,
    message: str,
    severity: Severity = Severity.ERROR,
) -> list[Problem]:
    """Return one problem a row; `message` names the row's columns in braces."""
    return [
        Problem(row["line"], message.format(**row), kind, severity)
        for row in rows.iter_rows(named=True)
    ]


def sort_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems in the order of lines, those of the whole file first."""
    return tuple(sorted(problems, key=lambda problem: problem.line or 0))


def describe_review(path: Path, review: Review) -> str:
    """Return the problems as text, with a last line on the file."""
    lines = _describe_problems(path, review.problems)
    rows, videos = count(review.rows, "row"), count(review.videos, "video")
    if review.errors:
        errors = count(review.errors, "error")
        lines.append(f"✗ {path}: not valid, {errors} in {rows}")
    else:
        warned = f", {count(review.warnings, 'warning')}" if review.warnings else ""
        lines.append(f"✓ {path}: valid, {rows}, {videos}{warned}")
    return "\n".join(lines)


def require_valid(path: Path, review: Review) -> None:
    """Raise `DataError` for a submission with errors."""
    if review.errors:
        raise DataError(
            f"{path}: not a valid submission: {count(review.errors, 'error')} in "
            f"{count(review.rows, 'row')}; correct these lines and check again"
        )


def _describe_problems(path: Path, problems: Iterable[Problem]) -> list[str]:
    """Return one line per problem, errors first, with at most `SHOWN` of one kind.

    They begin as those of a compiler, ``file:line: error: …``, which editors recognise.
    """
    groups: dict[tuple[Severity, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        groups[problem.severity, problem.kind].append(problem)
    lines = []
    for (severity, kind), group in sorted(groups.items(), key=lambda item: item[0][0]):
        for problem in group[:SHOWN]:
            place = path if problem.line is None else f"{path}:{problem.line}"
            lines.append(f"{place}: {severity}: {problem.message}")
        if len(group) > SHOWN:
            lines.append(f"  … and {len(group) - SHOWN:,} more of this kind ({kind})")
    return lines
