"""The process that reads the recordings of a project.

::

    python -m mabe.viz.studio.reading DATA

It works without torch, whose import would take longer than short recordings do.
"""

import sys
from contextlib import suppress
from pathlib import Path

from mabe.data.prepare import load_store
from mabe.data.store import PoseStore
from mabe.errors import DataError
from mabe.io.readers.kaggle import read_index
from mabe.pair_task import OBJECT_FPS, PAIR_FPS
from mabe.viz.studio.job_lines import report, run_job
from mabe.viz.studio.shown_poses import shown_poses
from mabe.viz.studio.stretches import Stretches, cut_stretches


def read(data: Path) -> PoseStore:
    """Read all recordings of a data set, and cut them into stretches."""
    infos = read_index(data, splits=("train",))
    for number, info in enumerate(infos):
        report("reading recordings", number, len(infos))
        with suppress(DataError):  # said of all that are broken below
            shown_poses(data, info)
    has_objects = any(info.objects for info in infos)
    rate_fps = OBJECT_FPS if has_objects else PAIR_FPS
    store = load_store(
        data, rate_fps=rate_fps, store_dir=data / "studio" / "store", notes=False
    )
    path = data / "studio" / "stretches.npz"
    names = tuple(each.name for each in store.recordings)
    if not path.is_file() or Stretches.read(path).names != names:
        cut_stretches(store).write(path)
    return store


def _read(data: Path) -> None:
    read(data)


if __name__ == "__main__":
    sys.exit(run_job(lambda: _read(Path(sys.argv[1]))))
