"""How far the predictions of a round can be trusted, measured after it is usable.

::

    python -m mabe.viz.studio.trust DATA ROUND

A process of its own with low priority, which may be cancelled. It writes
``studio/rounds/ROUND/trust.json``: the learning curve, recordings unlike the labelled
ones, and the agreement of annotators who scored the same tracks.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mabe.bouts import Bout, Coverage, Watched, WatchedSpan
from mabe.data.store import PoseStore
from mabe.errors import DataError
from mabe.experiments.learning_curve import measure_curve
from mabe.measures.agreement import measure_agreement
from mabe.measures.annotators import annotated, compare_copies
from mabe.recording import StoredRecording
from mabe.runtime.console import finite_or_none
from mabe.runtime.files import write_json
from mabe.viz.studio.drift import Drift, find_drift
from mabe.viz.studio.ethogram import Ethogram, read_ethogram
from mabe.viz.studio.job_lines import report, run_job
from mabe.viz.studio.reading import read
from mabe.viz.studio.rounds import TRUST, rounds_folder
from mabe.viz.studio.stretches import Stretches, labelled_share

TOLERANCE_S = 0.25
"""At the edges of bouts, as `mabe summary` has it."""


def measure_trust(data: Path, round_number: int) -> Path:
    """Write what is known of the trust in a round; return the file.

    Raises `DataError` where there is no such round.
    """
    folder = rounds_folder(data) / str(round_number)
    if not (folder / "round.json").is_file():
        raise DataError(f"{folder}: no finished round")
    store = read(data)
    ethogram = ethogram_of(data, store.recordings)
    found: dict[str, Any] = {
        "agreement": agreement_rows(store.recordings, ethogram.undirected),
        "drift": _drift(data, store, ethogram).to_json(),
    }
    curve = measure_curve(
        data, store, folder, undirected=ethogram.undirected, report=report
    )
    found["curve"] = curve.to_json()
    path = folder / TRUST
    write_json(path, found)
    return path


def ethogram_of(data: Path, recordings: Sequence[StoredRecording]) -> Ethogram:
    """Return the actions of a project; those of its labels where nobody edited them."""
    labelled = [each for each in recordings if each.has_labels]
    found: list[Bout | Watched] = []
    for each in labelled:
        found += [*each.bouts, *each.watched]
    return read_ethogram(data) or Ethogram.of_labels(found)


def agreement_rows(
    recordings: Sequence[StoredRecording], undirected: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the agreement on each action of two who scored the same tracks."""
    observations = [annotated(each) for each in recordings if each.has_labels]
    compared = list(compare_copies(observations, undirected))
    _, rows = measure_agreement(compared, tolerance_s=TOLERANCE_S)
    return [
        {
            "one": row.one,
            "other": row.other,
            "action": row.action,
            "minutes": round(row.watched_s / 60, 3),
            "bouts": [row.bouts, row.other_bouts],
            "kappa": finite_or_none(row.kappa),
            "boutF1": finite_or_none(row.f1_half),
            "frameF1": finite_or_none(row.f1),
        }
        for row in rows
    ]


def _drift(data: Path, store: PoseStore, ethogram: Ethogram) -> Drift:
    stretches = Stretches.read(data / "studio" / "stretches.npz")
    known = {each.name: each for each in store.recordings}
    of = [known[name] for name in stretches.names]
    coverage = [_coverage(each) for each in of]
    watchable = [ethogram.watchable(each) for each in of]
    return find_drift(stretches, labelled_share(stretches, coverage, watchable))


def _coverage(recording: StoredRecording) -> Coverage:
    """Return when was watched for what; all the time where labels are without it."""
    if not recording.has_labels:
        return ()
    if recording.coverage is not None:
        return recording.coverage
    return tuple(
        WatchedSpan(0, recording.native_length, each.action, each.agent, each.target)
        for each in recording.watched
    )


def main() -> int:
    """Do what the command line says."""
    if hasattr(os, "nice"):
        os.nice(10)
    return run_job(lambda: measure_trust(Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    sys.exit(main())
