"""A submission: marked, written, and checked the way the host will.

The host scores the videos of ``test.csv``, whose labels it keeps. To know a score here,
`submit_held_out` marks labelled recordings the model never saw, and writes what
people marked in them beside it as a solution.
"""

from pathlib import Path

from mabe.data.sources import find_sources
from mabe.data.store import is_store
from mabe.errors import DataError, RunError
from mabe.inference.evaluate import Unseen, compare
from mabe.inference.predict import Predictor, predict_pairs
from mabe.io.readers.kaggle import SPLITS
from mabe.io.submission import Review, describe_review, require_valid, review_submission
from mabe.io.submission.write import write_submission
from mabe.runtime.files import write_text


def submit(
    predictor: Predictor, data: Path, out: Path, *, skip_bad: bool = False
) -> Review:
    """Mark the test videos of a folder (all of them without test.csv), and check.

    Raises `RunError` for a model of scenes and `DataError` where the submission
    would be refused; the file is there then, to look at.
    """
    require_pairs(predictor)
    has_test = (data / "test.csv").is_file()
    sources = find_sources(
        data,
        rate_fps=predictor.rate_fps,
        splits=("test",) if has_test else SPLITS,
    )
    write_submission(out, predict_pairs(predictor, sources, skip_bad=skip_bad))
    metadata = data / "test.csv" if has_test else data
    return _checked(out, metadata)


def submit_held_out(unseen: Unseen, out: Path) -> tuple[Review, Path]:
    """Mark labelled recordings that were not learned from; also write the solution.

    Returns the solution's path beside the submission's. Raises as `submit` does.
    """
    require_pairs(unseen.predictor)
    solution = out.with_name(f"{out.stem}.solution{out.suffix}")
    both = compare(unseen)
    write_submission(out, both.found)
    write_text(solution, both.solution.with_row_index("row_id").write_csv())
    return _checked(out, unseen.path), solution


def require_pairs(predictor: Predictor) -> None:
    """Raise `RunError` for a model that does not tell agents from targets."""
    if predictor.actions is None:
        raise RunError(
            f"{predictor.checkpoint.path}: tells what goes on in a scene; a submission "
            "needs who does it to whom: train with `task: pair`, such as "
            "configs/pairs.yaml"
        )


def _checked(out: Path, metadata: Path) -> Review:
    """Check a submission; a store has no table of metadata to check it against."""
    review = review_submission(out, None if is_store(metadata) else metadata)
    print(describe_review(out, review))
    if not review.rows:
        raise DataError(
            f"{out}: the model found nothing in any recording, and the host "
            "refuses an empty file; is it trained enough? see its history.json"
        )
    require_valid(out, review)
    return review
