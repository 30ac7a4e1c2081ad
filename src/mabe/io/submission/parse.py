"""A submission file as a table of its rows, each with its line in the file.

The table has the columns of `COLUMNS` that the file has, as strings, and

``line``
    the row's line in the file, from 1
``position``
    the row's index among all rows, from 0
``start``, ``stop``
    the frames as whole numbers, null where they are not (or negative)

Rows with too many or too few fields are reported and left out. No field of a valid
submission has a comma or a line break, so every line is a row, and every comma
separates fields, also in quotes.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mabe.errors import DataError
from mabe.io.submission.problems import Problem, problems_of
from mabe.io.submission.write import SUBMISSION_COLUMNS

COLUMNS = tuple(SUBMISSION_COLUMNS)


BOUT_COLUMNS = COLUMNS[1:]
"""The columns of a bout."""


WHOLE_NUMBER = r"^\d{1,18}$"
"""With at most as many digits as 64 bits can always hold."""


@dataclass(frozen=True, slots=True)
class SubmissionRows:
    """The rows with the right number of fields, and problems of the file's form."""

    table: pl.DataFrame
    rows: int
    """The number of all rows, also of those with a wrong number of fields."""
    problems: tuple[Problem, ...]


def read_rows(path: Path) -> SubmissionRows:
    """Return the rows of a submission, as far as its form allows.

    Raises `DataError` when the file cannot be opened.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror or error}; expected a "
            "submission.csv."
        ) from error
    if b"\0" in data:
        message = (
            "not a CSV: it has bytes that no text has; is it UTF-16 or compressed?"
        )
        return _unreadable(message, "encoding")
    text, problems = _decode(data)
    if not text.strip():
        return _unreadable("the file is empty", "empty")
    lines = _number_lines(text)
    header = [_without_quotes(name) for name in lines["text"][0].split(",")]
    problems += _check_header(header, lines["line"][0])
    rows = lines[1:]
    if rows.is_empty():
        message = "no rows; the host refuses an empty submission"
        problems.append(Problem(None, message, "empty"))
    if _named_twice(header):
        return SubmissionRows(pl.DataFrame(), len(rows), tuple(problems))
    table, wrong = _split_lines(rows, header, has_quotes='"' in text)
    return SubmissionRows(table, len(rows), (*problems, *wrong))


def _unreadable(message: str, kind: str) -> SubmissionRows:
    return SubmissionRows(pl.DataFrame(), 0, (Problem(None, message, kind),))


def _decode(data: bytes) -> tuple[str, list[Problem]]:
    """Return the text, and a problem for each line that is not UTF-8."""
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        problems = [
            Problem(line, "not UTF-8; save the file as UTF-8", "encoding")
            for line, content in enumerate(data.split(b"\n"), start=1)
            if not _is_utf8(content)
        ]
        return data.decode("utf-8-sig", errors="replace"), problems


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _number_lines(text: str) -> pl.DataFrame:
    """Return the lines that are not blank, with their numbers."""
    numbered = pl.DataFrame({"text": text.split("\n")}).with_row_index("line", 1)
    # Readers of tables skip blank lines without a message, as here.
    return numbered.with_columns(
        pl.col("line").cast(pl.Int64), pl.col("text").str.strip_suffix("\r")
    ).filter(pl.col("text").str.contains(r"\S"))


def _without_quotes(field: str) -> str:
    is_quoted = len(field) > 1 and field[0] == field[-1] == '"'
    return field[1:-1] if is_quoted else field


def _named_twice(header: list[str]) -> list[str]:
    return [name for name in COLUMNS if header.count(name) > 1]


def _check_header(header: list[str], line: int) -> list[Problem]:
    """Report columns that are missing, additional, repeated or in another order."""
    missing = [name for name in COLUMNS if name not in header]
    extra = [name for name in header if name not in COLUMNS]
    found, expected = _shorten(",".join(header)), ",".join(COLUMNS)
    messages = []
    if missing:
        messages.append(f"no column {missing}; expected {expected}, found {found}")
    if extra:
        messages.append(f"columns that are not expected: {_shorten(str(extra))}")
    if twice := _named_twice(header):
        messages.append(f"columns that occur twice: {twice}")
    if not messages and header != [*COLUMNS]:
        messages.append(f"columns must be in the order {expected}, found {found}")
    return [Problem(line, message, "columns") for message in messages]


def _shorten(text: str, most: int = 200) -> str:
    """Return the beginning of a text: a file without line ends is all header."""
    return text if len(text) <= most else f"{text[:most]}…"


def _split_lines(
    lines: pl.DataFrame, header: list[str], *, has_quotes: bool
) -> tuple[pl.DataFrame, list[Problem]]:
    """Return the rows with as many fields as the header, and report the others."""
    counted = lines.with_columns(
        position=pl.int_range(pl.len()),
        fields=pl.col("text").str.count_matches(",", literal=True) + 1,
    )
    fits = pl.col("fields") == len(header)
    wrong = problems_of(
        counted.filter(~fits),
        "fields",
        f"expected {len(header)} fields as in the header, found {{fields}}",
    )
    names = [
        name if name in COLUMNS else f"column {place}"
        for place, name in enumerate(header)
    ]
    split = pl.col("text").str.split_exact(",", len(header) - 1)
    table = (
        counted.filter(fits)
        .select("line", "position", split.struct.rename_fields(names).alias("fields"))
        .unnest("fields")
        .select("line", "position", *(name for name in COLUMNS if name in header))
    )
    if has_quotes:
        bare = pl.col(pl.String).str.replace(r'^"(.*)"$', "$1")
        table = table.with_columns(bare)
    numbers = {
        name.removesuffix("_frame"): _whole_number(name)
        for name in ("start_frame", "stop_frame")
        if name in header
    }
    return table.with_columns(**numbers), wrong


def _whole_number(column: str) -> pl.Expr:
    """Return the column as whole numbers, null for anything else."""
    digits = pl.when(pl.col(column).str.contains(WHOLE_NUMBER)).then(pl.col(column))
    return digits.cast(pl.Int64)
