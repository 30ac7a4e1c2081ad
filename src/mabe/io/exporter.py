"""`mabe export`: a folder of predictions in the formats of other programs."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from mabe.bouts import RecordingBouts
from mabe.errors import ConfigError, DataError
from mabe.io.predictions import (
    PROVENANCE,
    PredictionProvenance,
    Predictions,
    read_predictions,
    write_provenance,
)
from mabe.io.readers import facts
from mabe.io.submission.write import write_submission
from mabe.io.writers import boris, bouts_csv, calms21, nwb, sleap

Writer = Callable[[Path, Sequence[RecordingBouts], PredictionProvenance], list[Path]]


def export(folder: Path, to: str, out: Path) -> list[Path]:
    """Write a folder of predictions in the format `to`; return what was written.

    Raises `ConfigError` for a format that is not known, `DataError` where the folder
    holds no predictions.
    """
    if to not in WRITERS:
        raise ConfigError(f"--to: {to!r} is unknown; known: {', '.join(WRITERS)}")
    predictions = read_predictions(folder)
    refuse_same_names(predictions)
    return write_export(predictions, to, out / to)


def write_export(predictions: Predictions, to: str, folder: Path) -> list[Path]:
    """Write predictions and their provenance in a format of `WRITERS`."""
    written = WRITERS[to](folder, predictions.recordings, predictions.provenance)
    write_provenance(folder, predictions.provenance)
    return [*written, folder / PROVENANCE]


def refuse_same_names(predictions: Predictions) -> None:
    """Raise `DataError` where two labs have videos of one name: they name files."""
    names = Counter(each.video for each in predictions.recordings)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise DataError(
            f"several recordings are called {twice[0]!r}; predict one lab at a time"
        )


def _write_submission(
    folder: Path, recordings: Sequence[RecordingBouts], provenance: PredictionProvenance
) -> list[Path]:
    """Write the challenge's submission; predictions of scenes cannot be submitted."""
    if provenance.task != "pair":
        raise ConfigError(
            "a submission needs an agent and a target for each bout; these predictions "
            "have one class for the whole scene. Train with `task: pair`"
        )
    path = folder / "submission.csv"
    write_submission(path, recordings)
    return [path]


_SUBMISSION_FACTS = facts.written(
    "`submission`",
    clock="frames from 0",
    stop="the frame after",
    watched="–",
    animals="`mouse1` … `mouse4`, `self`",
    notes="the challenge's `submission.csv`",
)

WRITERS: dict[str, Writer] = {
    "boris": boris.write_boris,
    "csv": bouts_csv.write_bout_table,
    "nwb": nwb.write_nwb,
    "calms21": calms21.write_calms21,
    "slp": sleap.write_slp,
    "submission": _write_submission,
}

WRITTEN_FACTS = (
    boris.FACTS,
    bouts_csv.FACTS,
    nwb.FACTS,
    sleap.FACTS,
    calms21.FACTS,
    _SUBMISSION_FACTS,
)
"""What docs/formats.md says of each of them."""
