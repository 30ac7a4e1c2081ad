"""Predicted bouts as the challenge's `submission.csv`.

::

    row_id,video_id,agent_id,target_id,action,start_frame,stop_frame
    0,438887472,mouse1,mouse2,sniff,0,15
    1,438887472,mouse1,self,rear,15,40

Frames are the recording's own and spans half-open, ``[start_frame, stop_frame)``. The
host does not clip bouts to the video, so this writer does. That a pair has one action
at a time is decided in `mabe.decoding`, and `mabe.io.submission` checks the file.
"""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from mabe.bouts import RecordingBouts, name_animal, name_target
from mabe.errors import OutputError
from mabe.runtime.csv_cells import cell_of
from mabe.runtime.file_names import shorten
from mabe.runtime.files import write_text

SUBMISSION_COLUMNS = {
    "row_id": pl.Int64,
    "video_id": pl.String,
    "agent_id": pl.String,
    "target_id": pl.String,
    "action": pl.String,
    "start_frame": pl.Int64,
    "stop_frame": pl.Int64,
}


def write_submission(path: Path, videos: Iterable[RecordingBouts]) -> int:
    """Write bouts as a submission, by video and then by time; return the rows.

    Bouts are clipped to their recording and dropped where nothing is left. Raises
    `OutputError` where the file cannot be written.
    """
    rows = [
        (
            video.video,
            name_animal(bout.agent),
            name_target(bout.agent, bout.target),
            bout.action,
            bout.start,
            min(bout.stop, video.length),
        )
        for video in sorted(videos, key=_number_first)
        for bout in sorted(video.bouts)
        if bout.start < video.length
    ]
    refuse_formulas(path, {cell for row in rows for cell in (row[0], row[3])})
    numbered = [(row_id, *row) for row_id, row in enumerate(rows)]
    table = pl.DataFrame(numbered, schema=SUBMISSION_COLUMNS, orient="row")
    write_text(path, table.write_csv())
    return len(rows)


def refuse_formulas(path: Path, names: Iterable[str]) -> None:
    """Raise `OutputError` for a name that a spreadsheet would compute.

    The host compares names letter by letter, so none can be written as text instead.
    """
    for name in sorted(names):
        if cell_of(name) != name:
            raise OutputError(
                f"{path}: not written: a spreadsheet would compute the name "
                f"{shorten(name)}; rename it in the data"
            )


def _number_first(video: RecordingBouts) -> tuple[bool, int, str, str]:
    """Sort videos by number, 999 before 1000, and other names after them."""
    is_name = not video.video.isdecimal()
    return is_name, 0 if is_name else int(video.video), video.video, video.lab
