"""Predicted bouts as a CSV with the lab's own names, which can be read as labels.

``lab,video,agent,target,action,start_frame,stop_frame,start_s,stop_s,probability,model_hash``;
an action on oneself has the target ``self``, a class of a scene has no agent and no
target.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mabe.bouts import RecordingBouts
from mabe.io.predictions import PredictionProvenance
from mabe.io.readers import facts
from mabe.runtime.csv_cells import cell_of
from mabe.runtime.files import write_text

FACTS = facts.written(
    "`csv`",
    clock="frames from 0, and s",
    stop="the frame after",
    watched="–",
    animals="the lab's own names",
    notes="a table of bouts",
)


_COLUMNS = {
    **dict.fromkeys(("lab", "video", "agent", "target", "action"), pl.String),
    **dict.fromkeys(("start_frame", "stop_frame"), pl.Int64),
    **dict.fromkeys(("start_s", "stop_s", "probability"), pl.Float64),
    "model_hash": pl.String,
}


def write_bout_table(
    folder: Path, recordings: Sequence[RecordingBouts], provenance: PredictionProvenance
) -> list[Path]:
    """Write the bouts of all recordings as one table."""
    rows = [
        (
            cell_of(each.lab),
            cell_of(each.video),
            cell_of(each.name_of(bout.agent)),
            cell_of(each.target_name(bout)),
            cell_of(bout.action),
            bout.start,
            bout.stop,
            round(bout.start / each.fps, 3),
            round(bout.stop / each.fps, 3),
            bout.probability,
            cell_of(provenance.model_hash),
        )
        for each in recordings
        for bout in each.bouts
    ]
    path = folder / "bouts.csv"
    write_text(path, pl.DataFrame(rows, schema=_COLUMNS, orient="row").write_csv())
    return [path]
