"""The report of a run, written as one HTML file."""

from pathlib import Path

from mabe.inference.predict import Predictor
from mabe.runtime.files import write_text
from mabe.viz.report.contents import (
    Contents,
)
from mabe.viz.report.gather_contents import gather_contents
from mabe.viz.report.page import render


def write_report(
    run: Path,
    out: Path,
    *,
    predictor: Predictor,
    data: Path | None = None,
    include_training: bool = False,
    skip_bad: bool = False,
) -> Contents:
    """Write the report of a run, and return its contents.

    Figures are of answers kept by a cross-validation where there are some, else of
    recordings in `data` (or in the run's own data) that the model did not learn from.
    Raises `DataError` where there are neither.
    """
    contents = gather_contents(run, predictor, data, include_training, skip_bad)
    write_text(out, render(contents))
    return contents
