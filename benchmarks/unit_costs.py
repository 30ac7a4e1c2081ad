"""Costs of an hour of video: bytes on disk, and seconds of one core.

    python benchmarks/unit_costs.py [--hours 2] [--videos 24] [--steps 12]

Simulated labs of 10 to 120 fps, two to four animals, 4 to 18 body parts. Each figure is
therefore given per unit that it depends on: a million keypoint rows (prepare, parquet),
an hour of video (train, predict, at the working rate of 33.3 Hz for any camera), an
hour of one view (pairs: every agent and target is predicted), an animal-hour of one
keypoint (the store). One process, one thread; seconds are processor time, so that other
jobs on the machine do not count. V2 and `configs/pairs.yaml` after a few training
steps, which cost the same as fully trained models.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"

import pyarrow.parquet as pq  # noqa: E402 - after the number of threads
import torch  # noqa: E402

from mabe.config import load_config  # noqa: E402
from mabe.data.prepare import prepare  # noqa: E402
from mabe.data.simulate import simulate  # noqa: E402
from mabe.data.store import PoseStore  # noqa: E402
from mabe.inference.predict import Predictor, predict  # noqa: E402
from mabe.io.readers.kaggle import read_index  # noqa: E402
from mabe.models.checkpoint import load_checkpoint  # noqa: E402
from mabe.pair_task import PairTask  # noqa: E402
from mabe.runtime.console import quietly  # noqa: E402
from mabe.training.run import train  # noqa: E402

CONFIGS = Path(__file__).parents[1] / "configs"
V2, PAIRS = CONFIGS / "config_5090.yaml", CONFIGS / "pairs.yaml"


@dataclass(frozen=True)
class Work:
    """What was measured, and how large it is."""

    rows: int
    hours: float
    animal_hours: float
    keypoint_hours: float
    """Animal-hours times keypoints."""


def core_seconds(work: Callable[[], object]) -> float:
    """Return how long the processor worked."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure_work(data: Path, store: PoseStore) -> Work:
    """Return the size of a data set."""
    hours = [each.length / store.rate_fps / 3600 for each in store.recordings]
    animals = [len(each.tracked_animals) for each in store.recordings]
    slots = [len(each.slots) for each in store.recordings]
    return Work(
        rows=sum(
            pq.read_metadata(info.tracking_path).num_rows for info in read_index(data)
        ),
        hours=sum(hours),
        animal_hours=sum(map(float.__mul__, hours, map(float, animals))),
        keypoint_hours=sum(map(float.__mul__, hours, map(float, slots))),
    )


def train_briefly(
    config: Path, data: Path, place: Path, *, name: str, steps: int
) -> float:
    """Train for so many steps; return how long the processor worked."""
    changes = {
        "data_dir": data,
        "store_dir": place / "store",
        "checkpoint_dir": place / name,
        "epochs": 1,
        "steps_per_epoch": steps,
        "device": "cpu",
    }
    return core_seconds(lambda: train(load_config(config, changes)))


def view_hours(predictor: Predictor, store: PoseStore) -> float:
    """Return the hours of all views that a model of pairs is asked for."""
    task = predictor.checkpoint.model.task
    assert isinstance(task, PairTask)
    return sum(
        len(task.choices(each)) * each.length / store.rate_fps / 3600
        for each in store.recordings
    )


def size_of(folder: Path, pattern: str) -> int:
    """Return the bytes of all files of a pattern."""
    return sum(path.stat().st_size for path in folder.glob(pattern))


def main() -> None:
    """Measure, and print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--steps", type=int, default=12)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        data = place / "data"
        minutes = 60 * args.hours / args.videos
        simulate(data, videos=args.videos, minutes=minutes, workers=1, progress=False)

        def build() -> None:
            prepare(data, place / "store", rate_fps=33.3, workers=1, progress=False)

        preparing = core_seconds(build)
        store = prepare(data, place / "store", rate_fps=33.3, progress=False)
        work = measure_work(data, store)
        with quietly(True):
            # The difference of two runs: what comes before and after stays out.
            short, longer = (
                train_briefly(V2, data, place, name=f"v2-{steps}", steps=steps)
                for steps in (args.steps, 2 * args.steps)
            )
            train_briefly(PAIRS, data, place, name="pairs", steps=1)
        a_step = (longer - short) / args.steps
        config = load_config(V2)
        step_hours = config.batch_size * config.sequence_length / config.fps / 3600
        scenes = Predictor(load_checkpoint(place / f"v2-{args.steps}"))
        pairs = Predictor(load_checkpoint(place / "pairs"))
        predicting = core_seconds(lambda: predict(scenes, data, place / "out"))
        pairing = core_seconds(lambda: predict(pairs, data, place / "out_pairs"))
        of_views = view_hours(pairs, store)
        parquet = size_of(data, "train_tracking/*/*.parquet")
        poses = store.poses_path.stat().st_size if store.poses_path else 0
        answers = size_of(place / "out", "probabilities/*/*.parquet")
    print(f"\n{platform.processor() or platform.machine()}, torch {torch.__version__}")
    print(
        f"{work.hours:.2f} h of video, {work.animal_hours:.2f} animal-hours, "
        f"{work.keypoint_hours:.1f} keypoint-hours, {work.rows / 1e6:.2f} M rows"
    )
    for what, value, unit in (
        ("parquet", parquet / work.rows, "bytes a keypoint row"),
        ("store", poses / work.keypoint_hours / 1e6, "MB an animal-hour and keypoint"),
        ("probabilities", answers / work.hours / 1e6, "MB an hour of video"),
        ("prepare", preparing / work.rows * 1e6, "core-seconds a million rows"),
        ("prepare", preparing / work.hours, "core-seconds an hour of video"),
        ("train V2", a_step, "core-seconds a step"),
        ("train V2", a_step / step_hours, "core-seconds an hour of video and epoch"),
        ("predict V2", predicting / work.hours, "core-seconds an hour of video"),
        ("predict pairs", pairing / of_views, "core-seconds an hour of one view"),
    ):
        print(f"{what:<14}{value:10.3f}  {unit}")


if __name__ == "__main__":
    main()
