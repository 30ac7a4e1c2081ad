"""Predictions as NWB files with ``ndx-ethogram`` bouts, one file for each recording.

``processing/behavior/EthogramBouts`` has start and stop times, the action as its label,
and columns for subject, target and probability; its ethogram lists every action that
could have been predicted. Times are on the clock of the session where the pose file has
one, else from the first frame. ``labeling_method`` is "automated", ``parameters`` holds
the provenance. Needs pynwb and ndx-ethogram, an extra.
"""

import math
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mabe.bouts import RecordingBouts
from mabe.errors import OutputError
from mabe.io.predictions import PredictionProvenance
from mabe.io.readers import facts
from mabe.runtime.file_names import path_under
from mabe.runtime.files import write_atomically

FACTS = facts.written(
    "`nwb` (extra)",
    clock="the session's where poses came from NWB, else s from frame 0",
    stop="times",
    watched="the ethogram of all actions",
    animals="subjects in the table of bouts",
    notes="`VIDEO.nwb` with `EthogramBouts`",
)


_DECIMALS = 6


_UNKNOWN_START = datetime(1970, 1, 1, tzinfo=UTC)
"""NWB needs a date; that of the recording is not known."""


def write_nwb(
    folder: Path, recordings: Sequence[RecordingBouts], provenance: PredictionProvenance
) -> list[Path]:
    """Write one file for each recording.

    Raises `OutputError` where the libraries are not installed.
    """
    try:
        import ndx_ethogram  # noqa: F401 - registers its types with pynwb
        import pynwb
    except ImportError as error:
        raise OutputError(
            "NWB is written with pynwb and ndx-ethogram, which are not installed; "
            '`pip install "mabe[nwb]"`'
        ) from error
    paths = []
    for each in recordings:
        path = path_under(folder, each.video, ending=".nwb")
        file = _nwb_file(each, provenance)

        def write(place: Path, file: Any = file) -> None:
            with warnings.catch_warnings():
                # It is written to a temporary file with another ending first.
                warnings.filterwarnings("ignore", message="The file path provided")
                with pynwb.NWBHDF5IO(str(place), "w") as io:
                    io.write(file)

        write_atomically(path, write)
        paths.append(path)
    return paths


def _nwb_file(each: RecordingBouts, provenance: PredictionProvenance) -> Any:
    from ndx_ethogram import Ethogram, EthogramBouts
    from pynwb import NWBFile

    [source] = provenance.of_recording(each).sources
    actions = dict.fromkeys((*provenance.actions, *(b.action for b in each.bouts)))
    file = NWBFile(
        session_description=f"Behaviour of {each.video}, predicted by mabe; the "
        "session's start is not known",
        identifier=f"{source.tracks_hash}-{provenance.model_hash}",
        session_start_time=_UNKNOWN_START,
    )
    ethogram = Ethogram(
        name="Ethogram", description="Actions that could be predicted", exclusive=False
    )
    for action in actions:
        ethogram.add_row(
            behavior=action,
            definition="as in the training labels",
            behavior_type="state",
        )
    bouts = EthogramBouts(
        name="EthogramBouts",
        description="Predicted bouts",
        labeling_method="automated",
        source_software=f"mabe {provenance.mabe}",
        parameters=provenance.of_recording(each).to_text(),
        ethogram=ethogram,
    )
    if each.bouts:  # an empty column has no type that could be written
        bouts.add_column("subject", "the animal that acts")
        bouts.add_column(
            "target", "the animal acted upon; the subject itself for actions on oneself"
        )
        bouts.add_column("probability", "mean probability over the bout")
    for bout in each.bouts:
        bouts.add_row(
            start_time=round(each.start_s + bout.start / each.fps, _DECIMALS),
            stop_time=round(each.start_s + bout.stop / each.fps, _DECIMALS),
            label=bout.action,
            subject=each.name_of(bout.agent),
            target=each.name_of(bout.target),
            probability=math.nan if bout.probability is None else bout.probability,
        )
    module = file.create_processing_module("behavior", "predicted behaviour")
    module.add(ethogram)
    module.add(bouts)
    return file
