"""Frames of video that `mabe simulate` makes per second, on one core.

Run ``python benchmarks/simulate.py [--frames N]``. Two animals with seven keypoints and
as many bouts as in the simulated labs; generation alone, and with files.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from mabe.data.simulate.plan import VideoPlan
from mabe.data.simulate.plan_new import plan_invented
from mabe.data.simulate.write_files import simulate_poses, write_video


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    plan = _two_mice(options.frames)
    print(
        f"{plan.frames:,} frames, {len(plan.animals)} animals, "
        f"{len(plan.body_parts)} keypoints, {len(plan.bouts)} bouts"
    )
    for name, work in (("poses alone", _pose), ("with parquet", _write)):
        best_s = min(_seconds(work, plan) for _ in range(options.repeats))
        print(f"{name:>14}: {plan.frames / best_s:>12,.0f} frames/s")


def _two_mice(frames: int) -> VideoPlan:
    """One long video of the first invented lab."""
    minutes = frames / 30 / 60
    plan = plan_invented(videos=1, minutes=minutes, seed=0).videos[0]
    return replace(plan, frames=frames)


def _pose(plan: VideoPlan) -> None:
    for _ in simulate_poses(plan):
        pass


def _write(plan: VideoPlan) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_video(Path(folder), plan)


def _seconds(work, plan: VideoPlan) -> float:
    begin = time.perf_counter()
    work(plan)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
