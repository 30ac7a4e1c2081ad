"""A submission: predicted, written, and checked by the rules of the challenge's host.

The host scores the videos of ``test.csv``, whose labels are not public. For a score on
this machine, `submit_held_out` predicts labelled recordings outside the model's
training set, and writes their labels as a solution beside the submission.
"""

from pathlib import Path

import polars as pl

from mabe.data.sources import find_sources
from mabe.data.store import is_store
from mabe.errors import DataError, RunError
from mabe.inference.evaluate import Unseen, compare
from mabe.inference.predict import PredictionJob, Predictor, predict_all
from mabe.io.readers.kaggle import SPLITS
from mabe.io.submission import Review, describe_review, require_valid, review_submission
from mabe.io.submission.write import refuse_formulas, write_submission
from mabe.runtime.files import write_text


def submit(
    predictor: Predictor, data: Path, out: Path, *, skip_bad: bool = False
) -> Review:
    """Write and check the submission of a folder's test videos, or of a store.

    Raises `RunError` for a model of scenes and `DataError` where there are no test
    videos, and where the host would refuse the submission; the file is written in that
    case too.
    """
    require_pairs(predictor)
    has_test = (data / "test.csv").is_file()
    if not (has_test or is_store(data)):
        raise DataError(
            f"{data}: has no test.csv, whose videos a submission is of; for labelled "
            "recordings that the model did not learn from, and a score: --held-out"
        )
    sources = find_sources(
        data,
        rate_fps=predictor.rate_fps,
        splits=("test",) if has_test else SPLITS,
    )
    predicted = predict_all(PredictionJob(predictor), sources, skip_bad=skip_bad)
    write_submission(out, [each.bouts for each in predicted])
    metadata = data / "test.csv" if has_test else data
    return _checked(out, metadata)


def submit_held_out(unseen: Unseen, out: Path) -> tuple[Review, Path]:
    """Write and check the submission of held-out recordings, and write the solution.

    Returns the check's result and the path of the solution. Raises as `submit` does.
    """
    require_pairs(unseen.predictor)
    solution = out.with_name(f"{out.stem}.solution{out.suffix}")
    comparison = compare(unseen)
    write_submission(out, comparison.predicted)
    table = comparison.solution.with_row_index("row_id")
    texts = table.select(pl.selectors.string())
    refuse_formulas(
        solution,
        {name for column in texts for name in column.unique().drop_nulls().to_list()},
    )
    write_text(solution, table.write_csv())
    return _checked(out, unseen.path), solution


def require_pairs(predictor: Predictor) -> None:
    """Raise `RunError` for a model of scenes."""
    if not predictor.task.kind.is_directed:
        raise RunError(
            f"{predictor.checkpoint.path}: predicts one class for the whole scene; a "
            "submission needs an agent and a target for each bout. Train with `task: "
            "pair`, for example configs/pairs.yaml"
        )


def _checked(out: Path, metadata: Path) -> Review:
    """Check and describe a submission; against its videos, unless they are a store."""
    review = review_submission(out, None if is_store(metadata) else metadata)
    print(describe_review(out, review))
    if not review.rows:
        raise DataError(
            f"{out}: the model predicts no bout in any recording, and the host refuses "
            "an empty file. Is it trained enough? See its history.json"
        )
    require_valid(out, review)
    return review
