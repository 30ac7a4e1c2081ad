"""Repaired identities as a table: a row for each animal whose track was exchanged.

``recording,frame,animal,track,nearer_cm``: from this frame on (the recording's own) the
animal has what the file of tracks calls `track`; `nearer_cm` is the fall of the cost
that `mabe.io.repair_identities` describes, of all animals exchanged in that frame.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from mabe.io.repair_identities import Exchange
from mabe.runtime.csv_cells import cell_of
from mabe.runtime.files import write_text

FILE_NAME = "identities.csv"

_COLUMNS = {
    "recording": pl.String,
    "frame": pl.Int64,
    "animal": pl.String,
    "track": pl.String,
    "nearer_cm": pl.Float64,
}


def write_identities(path: Path, repairs: Mapping[str, Sequence[Exchange]]) -> None:
    """Write what was exchanged, given by the recording's name."""
    rows = [
        (
            cell_of(recording),
            each.frame,
            cell_of(animal),
            cell_of(track),
            round(each.nearer_cm, 2),
        )
        for recording, exchanges in repairs.items()
        for each in exchanges
        for animal, track in zip(each.animals, each.tracks, strict=True)
    ]
    write_text(path, pl.DataFrame(rows, schema=_COLUMNS, orient="row").write_csv())
