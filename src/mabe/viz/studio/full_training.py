"""The automatic recipe on the labels of a project, behind other work.

::

    python -m mabe.viz.studio.full_training DATA

What `mabe train` does, in a process of its own with low priority, which may be
cancelled. The recipe grows in ``studio/full``; once it is finished it becomes a round
as those of quick training are.
"""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mabe.decoding.view_predictions import OutOfFold, count_by_track
from mabe.errors import DataError
from mabe.experiments.out_of_fold import FILE_NAME, read_out_of_fold
from mabe.experiments.train_auto import train_recipe
from mabe.metrics.confidence_interval import Confidence, confidence_of_counts
from mabe.metrics.frame_scores import without_unlearned
from mabe.runtime.executors import Executor
from mabe.viz.studio.ethogram import Ethogram, read_ethogram
from mabe.viz.studio.job_lines import report, run_job
from mabe.viz.studio.reading import read
from mabe.viz.studio.rounds import new_round
from mabe.viz.studio.worker import complete_round, describe_round

FEWEST_RECORDINGS = 2
"""With fewer no recording can be held out."""


def train_full(
    data: Path,
    given: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
) -> None:
    """Train the automatic recipe on all labels, and make a round of it.

    `given` are settings that take precedence over those of the recipe; an executor
    decides where its models are trained. Raises `DataError` where fewer than two
    recordings have labels.
    """
    began = time.perf_counter()
    store = read(data)
    labelled = [each for each in store.recordings if each.bouts]
    if len(labelled) < FEWEST_RECORDINGS:
        raise DataError(
            f"bouts are labelled in {len(labelled)} of {len(store.recordings)} "
            f"recordings: the full recipe needs {FEWEST_RECORDINGS}, so that one can "
            "be held out"
        )
    occurs = {bout.action for each in labelled for bout in each.bouts}
    ethogram = read_ethogram(data) or Ethogram()
    undirected = sorted(occurs & set(ethogram.undirected))
    growing = data / "studio" / "full"
    if growing.exists():  # of a training that was stopped, on other labels
        shutil.rmtree(growing)
    settings = {
        "model_type": "auto",
        "task": "pair",
        "undirected": undirected,
        "fps": store.rate_fps,
        "data_dir": str(data),
        "store_dir": str(data / "studio" / "store"),
        "checkpoint_dir": str(growing),
        **(given or {}),
    }
    train_recipe(settings, executor=executor, explain=False, report=report)
    trained_s = time.perf_counter() - began
    with new_round(data) as folder:
        shutil.move(growing, folder / "model")
        predictions = read_out_of_fold(folder / "model" / FILE_NAME)
        about = describe_round(
            actions=predictions.classes,
            labelled=[each for each in store.recordings if each.has_labels],
            confidence=_score(predictions) if predictions.views else None,
        )
        about |= {"undirected": undirected, "recipe": "full"}
        complete_round(data, folder, store, about, began=began, trained_s=trained_s)


def _score(predictions: OutOfFold) -> Confidence:
    counts = count_by_track(predictions.views, predictions.plain_rules)
    return confidence_of_counts(without_unlearned(counts), predictions.kind)


def main() -> int:
    """Do what the command line says."""
    if hasattr(os, "nice"):
        os.nice(10)
    return run_job(lambda: train_full(Path(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
