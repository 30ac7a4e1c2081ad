"""Predictions for other programs: one writer for each, and where they come from."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from mabe.bouts import DirectedBouts, PairBout
from mabe.errors import ConfigError, DataError
from mabe.io.predictions import (
    FILE_NAME,
    Predicted,
    PredictionProvenance,
    Predictions,
    read_predictions,
)
from mabe.io.submission.write import write_submission
from mabe.io.writers.boris import write_boris
from mabe.io.writers.bouts_csv import write_bout_table
from mabe.io.writers.calms21 import write_calms21
from mabe.io.writers.nwb import write_nwb
from mabe.runtime.files import write_json

Writer = Callable[[Path, Sequence[Predicted], PredictionProvenance], list[Path]]


def export(folder: Path, to: str, out: Path) -> list[Path]:
    """Write a folder of predictions in the format `to`; return what was written.

    Raises `ConfigError` for a format that is not known, `DataError` where the folder
    holds no predictions.
    """
    if to not in WRITERS:
        raise ConfigError(f"--to: {to!r} is unknown; known: {', '.join(WRITERS)}")
    predictions = read_predictions(folder)
    _refuse_same_names(predictions)
    place = out / to
    written = WRITERS[to](place, predictions.recordings, predictions.provenance)
    write_json(place / FILE_NAME, predictions.provenance.to_json())
    return [*written, place / FILE_NAME]


def _refuse_same_names(predictions: Predictions) -> None:
    """Files are named by video: two labs' must not be called the same."""
    names = Counter(each.source.video for each in predictions.recordings)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise DataError(
            f"several recordings are called {twice[0]!r}; predict one lab at a time"
        )


def _write_submission(
    folder: Path, recordings: Sequence[Predicted], provenance: PredictionProvenance
) -> list[Path]:
    """Write the challenge's submission; only who does what to whom can be submitted."""
    if provenance.task != "pair":
        raise ConfigError(
            "a submission says who does what to whom, and these predictions say what "
            "goes "
            "on in a scene; train with `task: pair`"
        )
    path = folder / "submission.csv"
    write_submission(path, [_directed(each) for each in recordings])
    return [path]


def _directed(each: Predicted) -> DirectedBouts:
    animals = each.animals
    bouts = tuple(
        PairBout(
            bout.start,
            bout.stop,
            animals.index(bout.agent) + 1,
            animals.index(bout.target) + 1,
            bout.action,
            bout.probability,
        )
        for bout in each.bouts
    )
    source = each.source
    return DirectedBouts(source.video, source.lab, source.fps, source.length, bouts)


WRITERS: dict[str, Writer] = {
    "boris": write_boris,
    "csv": write_bout_table,
    "nwb": write_nwb,
    "calms21": write_calms21,
    "submission": _write_submission,
}
