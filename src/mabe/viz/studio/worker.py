"""The process that trains and predicts, apart from the server.

::

    python -m mabe.viz.studio.worker train DATA
    python -m mabe.viz.studio.worker predict DATA
    python -m mabe.viz.studio.worker wait

It prints what `mabe.viz.studio.job_lines` describes. A killed one leaves nothing that
is used. One that waits reads what to do, ``["train", DATA]``, once it has started.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mabe.data.store import PoseStore
from mabe.decoding.view_predictions import ViewPredictions
from mabe.errors import DataError
from mabe.experiments.label_round import (
    grow_round,
    labelled_min,
)
from mabe.inference.predict import (
    Predictor,
    prediction_provenance,
    recording_provenance,
)
from mabe.io.exporter import refuse_same_names, write_export
from mabe.io.predictions import Predictions, write_predictions, write_provenance
from mabe.io.probabilities import (
    PROBABILITIES,
    probabilities_path,
    write_probabilities,
)
from mabe.io.writers.boris import BorisHeading, write_boris
from mabe.metrics.confidence_interval import Confidence
from mabe.models.checkpoint import load_checkpoint
from mabe.recording import StoredRecording
from mabe.viz.review.compact_timeline import (
    ViewTimeline,
    error_probability,
    write_timelines,
)
from mabe.viz.studio.boris_names import film_names, place_names
from mabe.viz.studio.ethogram import Ethogram, read_ethogram
from mabe.viz.studio.job_lines import report, run_job
from mabe.viz.studio.reading import read
from mabe.viz.studio.rounds import Round, finish_round, finished_rounds, new_round
from mabe.viz.studio.stretches import Stretches
from mabe.viz.studio.suggest import StretchScores


def train(data: Path) -> None:
    """Train a round, predict every recording, and write both."""
    began = time.perf_counter()
    store = read(data)
    ethogram = read_ethogram(data) or Ethogram()
    with new_round(data) as folder:
        grown = grow_round(
            data,
            store,
            folder / "model",
            undirected=ethogram.undirected,
            report=report,
        )
        trained_s = time.perf_counter() - began
        about = describe_round(
            actions=grown.model.task.classes,
            labelled=[grown.store.recordings[index] for index in grown.labelled],
            confidence=grown.confidence,
        )
        about |= {"undirected": sorted(grown.config.undirected), "recipe": "quick"}
        complete_round(data, folder, store, about, began=began, trained_s=trained_s)


def predict(data: Path) -> None:
    """Write the bouts and probabilities of all recordings by the last round.

    Beside them are the same bouts as a table, and as a BORIS project.
    """
    rounds = finished_rounds(data)
    if not rounds:
        raise DataError("nothing is trained yet: train first")
    store = read(data)
    predictor = Predictor(load_checkpoint(rounds[-1].folder / "model"))
    bare, out = store.without_labels(), data / "predictions"
    bouts, sources = [], []
    for index, recording in enumerate(bare.recordings):
        report("predicting", index, len(bare.recordings))
        predicted, columns = predictor.predict_recording(bare, index)
        path = probabilities_path(out / PROBABILITIES, recording.lab, recording.video)
        write_probabilities(path, columns, frames=predicted.length)
        bouts.append(predicted)
        sources.append(recording_provenance(predictor, bare, index))
    done = Predictions(prediction_provenance(predictor, sources), tuple(bouts))
    write_predictions(out, done)
    refuse_same_names(done)
    write_export(done, "csv", out / "csv")
    heading = replace(
        BorisHeading.of_predictions(done.provenance),
        points=(read_ethogram(data) or Ethogram()).points,
        places=place_names(bare.recordings),
        media=film_names(data.parent, [each.video for each in bare.recordings]),
    )
    write_boris(out / "boris", done.recordings, done.provenance, heading=heading)
    write_provenance(out / "boris", done.provenance)


def complete_round(
    data: Path,
    folder: Path,
    store: PoseStore,
    about: dict[str, Any],
    *,
    began: float,
    trained_s: float,
) -> None:
    """Predict all recordings with the model of a round, and finish the round.

    `began` is when its training began, by `time.perf_counter`.
    """
    scores = _predict_all(data, Round(folder, {}), store)
    scores.write(folder / "stretches.npz")
    seconds = {
        "seconds": round(trained_s, 1),
        "seconds_with_predictions": round(time.perf_counter() - began, 1),
    }
    finish_round(data, folder, about | seconds)


def _predict_all(data: Path, into: Round, store: PoseStore) -> StretchScores:
    """Write the predictions of all recordings; return those of stretches."""
    predictor = Predictor(load_checkpoint(into.folder / "model"))
    stretches = Stretches.read(data / "studio" / "stretches.npz")
    bare = store.without_labels()
    classes = predictor.task.classes
    error = np.zeros(len(stretches))
    probability = np.zeros((len(stretches), len(classes)))
    for index, recording in enumerate(bare.recordings):
        report("predicting", index, len(bare.recordings))
        timelines = []
        for view in predictor.predict_views(bare, index):
            timelines.append(ViewTimeline.of(view))
            _score_stretches(view, stretches, index, error, probability)
        write_timelines(into.predictions(recording.name), timelines)
    return StretchScores(tuple(classes), error, probability)


def _score_stretches(
    view: ViewPredictions,
    stretches: Stretches,
    index: int,
    error: np.ndarray,
    probability: np.ndarray,
) -> None:
    """Raise what is predicted of stretches to what a view predicts of them."""
    animals = [view.view.agent, view.view.target]
    mine = stretches.recording == index
    mine &= np.isin(stretches.pair, animals).any(axis=1)
    if animals[0] != animals[1]:
        mine &= (np.sort(stretches.pair, axis=1) == np.sort(animals)).all(axis=1)
    wrong = error_probability(view.probabilities, view.kind)
    second = max(1, round(view.fps))
    for place in np.flatnonzero(mine):
        start, stop = stretches.frames[place]
        if stop <= start:
            continue
        error[place] = max(error[place], float(wrong[start:stop].mean()))
        columns = np.nan_to_num(view.probabilities[start:stop], nan=0.0)
        total = np.cumsum(np.vstack([np.zeros_like(columns[:1]), columns]), axis=0)
        width = min(second, len(columns))
        highest = ((total[width:] - total[:-width]) / width).max(axis=0)
        probability[place] = np.maximum(probability[place], highest)


def describe_round(
    *,
    actions: Sequence[str],
    labelled: Sequence[StoredRecording],
    confidence: Confidence | None,
) -> dict[str, Any]:
    """Return what is shown of a round: its scores, and what it learned from."""
    bouts = [[bout.action for bout in each.bouts] for each in labelled]
    scored = int(np.isfinite(confidence.f1).sum()) if confidence else 0
    return {
        "actions": [
            {
                "name": name,
                "bouts": sum(each.count(name) for each in bouts),
                "recordings": sum(name in each for each in bouts),
                "f1": _number(confidence.f1[place]) if confidence else None,
                "interval": _interval(confidence, place),
            }
            for place, name in enumerate(actions)
        ],
        "f1": _number(confidence.score) if confidence else None,
        "scored": scored,
        "interval": None
        if confidence is None or not np.isfinite(confidence.low)
        else [_number(confidence.low), _number(confidence.high)],
        "recordings": len(labelled),
        "minutes": round(sum(map(labelled_min, labelled)), 3),
    }


def _interval(confidence: Confidence | None, place: int) -> list[float | None] | None:
    if confidence is None or not np.isfinite(confidence.f1_interval[place]).all():
        return None
    return [_number(end) for end in confidence.f1_interval[place]]


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def main() -> int:
    """Do what the command line says, or the line that is sent to one that waits."""
    given = sys.argv[1:]
    if given == ["wait"]:
        sent = sys.stdin.read()
        if not sent:  # the server has ended
            return 0
        given = json.loads(sent)
    work = {"predict": predict, "train": train}[given[0]]

    def do() -> None:
        work(Path(given[1]))

    return run_job(do)


if __name__ == "__main__":
    sys.exit(main())
