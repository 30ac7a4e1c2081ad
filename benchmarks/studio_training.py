"""Time of a training in the studio, on labelled film of about an hour.

    python benchmarks/studio_training.py rat_dyad WORK [--minutes 60] [--cores 2]

Recordings of the data set are linked into a project until their labelled film reaches
the minutes, and its page's training is run as the page runs it, by a worker that waits,
twice: the first one reads the recordings too. Printed are the time on the clock from
the click to the end, to the model and its score, and to the predictions of all
recordings. They depend on what else the machine does: its load is printed.
"""

import argparse
import os
import shutil
import sys
import threading
import time
from pathlib import Path

from mabe.io.project import Project
from mabe.io.readers.kaggle import read_index
from mabe.viz.studio.jobs import WaitingWorker, start_job
from mabe.viz.studio.layout_table import NAME, read_rows, write_rows
from mabe.viz.studio.project_folder import open_project
from mabe.viz.studio.rounds import finished_rounds
from mabe.viz.studio.session import StudioSession

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data"))

START_S = 20
"""Until the worker surely waits: the labels of a minute take longer."""


def make_project(name: str, root: Path, minutes: float) -> tuple[Path, float]:
    """Return the data set of a project of so much labelled film, and its minutes."""
    if not root.is_dir():
        shutil.copytree(DATA / name, root)
        rows, total, kept = read_rows(root / NAME), 0.0, []
        for row in rows:
            if total / 60 < minutes:
                total += float(row["video_duration_sec"])
                kept.append(row)
        write_rows(root / NAME, kept)
    session = StudioSession.of_project(open_project(root, Project()))
    if not (session.data / "studio" / "ethogram.json").is_file():
        session.set_ethogram(session.ethogram)
    seconds = 0.0
    for info in session.project.videos:
        index = session.project.videos.index(info)
        about = session.open(index).recordings[0]
        seconds += about.native_length / about.fps
    session.close()
    return session.data, seconds / 60


def train(data: Path) -> None:
    """Run one training, and print what it took."""
    waiting = WaitingWorker()
    waiting.prepare()
    time.sleep(START_S)
    load, ended = os.getloadavg()[0], threading.Event()
    began = time.perf_counter()
    job = start_job("train", data, ended.set, waiting=waiting)
    while not ended.wait(0.05):
        if job.error:
            sys.exit(job.error)
    clock_s = time.perf_counter() - began
    rounds = finished_rounds(data)
    about = rounds[-1].about
    print(
        f"round {len(rounds)}, load {load:.1f}: {clock_s:.1f} s on the "
        f"clock; model and score after {about['seconds']} s, predictions after "
        f"{about['seconds_with_predictions']} s; {about['minutes']:.0f} labelled min "
        f"in {about['recordings']} recordings, F1 {about['f1']:.3f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=("rat_dyad", "mouse_objects"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    data, minutes = make_project(given.data, given.work / given.data, given.minutes)
    print(
        f"{given.data}: {minutes:.0f} min of film in {len(read_index(data))} recordings"
    )
    train(data)
    train(data)


if __name__ == "__main__":
    main()
