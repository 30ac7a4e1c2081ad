"""Time of a V2 step on this processor, beside a DataLoader of windows.

    python benchmarks/train_step.py DATA [--threads 2] [--precision 32]

`DATA` is in the Kaggle layout, such as `mabe simulate DATA --videos 38 --minutes 4`. A
step of configs/config_5090.yaml (96 windows of 100 frames) draws windows from the
store, augments them, computes features, and updates the weights. The baseline is the
usual recipe for such data: a torch Dataset of windows that overlap by half; for each
window NumPy bridges gaps, turns, mirrors, adds noise and computes features, in a
DataLoader with two worker processes. The limit of the input is one pass over its bytes:
poses read once in 16 bits, features written once.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mabe.config import RunConfig, load_config
from mabe.data.store import PoseStore
from mabe.models.model import SceneModel
from mabe.models.networks import is_quick_in_bf16
from mabe.runtime.devices import choose_device
from mabe.runtime.distributed import make_fabric
from mabe.runtime.freed_memory import keeping_freed_memory
from mabe.runtime.precision import choose_precision
from mabe.training import gradient_accumulation, training_step
from mabe.training.objectives import load_training_data
from mabe.training.state import start_state

CONFIG = Path(__file__).parent.parent / "configs" / "config_5090.yaml"
AUGMENTING = ("center_scene", "draw_changes", "augment")
"""What a step calls to change poses."""


class OverlappingWindows(Dataset):
    """Windows half a window apart, 288 features each, made in NumPy when asked for."""

    def __init__(self, store: PoseStore, recordings: list[int], length: int) -> None:
        self.store, self.length = store, length
        self.rng = np.random.default_rng(0)
        self.places = [
            (index, start)
            for index in recordings
            for start in range(
                0, store.recordings[index].length - length + 1, length // 2
            )
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> np.ndarray:
        index, start = self.places[place]
        poses = self.store.poses_cm(index, start, start + self.length)
        return motion_in_numpy(turned(bridged(poses), self.rng), self.store.rate_fps)


def bridged(poses: np.ndarray, longest: int = 17) -> np.ndarray:
    """Return poses with short gaps filled by straight lines, point by point."""
    points = poses.reshape(len(poses), -1).copy()
    times = np.arange(len(points))
    for column in points.T:
        seen = np.flatnonzero(~np.isnan(column))
        if not 1 < len(seen) < len(column):
            continue
        filled = np.interp(times, seen, column[seen], left=np.nan, right=np.nan)
        gaps = np.diff(seen, prepend=seen[0], append=seen[-1] + 1)
        short = gaps[np.searchsorted(seen, times)] <= longest + 1
        column[short] = filled[short]
    return points.reshape(poses.shape)


def turned(poses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return poses turned by any angle, in a mirror or not, with jitter."""
    angle, side = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos * side, sin * side], [-sin, cos]], np.float32)
    poses = (poses - np.nanmean(poses, axis=(0, 1, 2))) @ matrix
    return poses + 0.05 * rng.standard_normal(poses.shape, np.float32)


def motion_in_numpy(poses: np.ndarray, rate_fps: float) -> np.ndarray:
    """Return 144 coordinates, 72 speeds and 72 accelerations of a window."""
    points = np.nan_to_num(poses.reshape(len(poses), 72, 2))
    velocity = np.gradient(points, axis=0) * rate_fps
    speed = np.linalg.norm(velocity, axis=2)
    change = np.gradient(speed, axis=0) * rate_fps
    return np.concatenate(
        [points.reshape(len(poses), -1), speed, change], axis=1, dtype=np.float32
    )


class Clock:
    """Sums seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - began

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **settings: Any) -> Any:
            with self.of(name):
                return work(*args, **settings)

        return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--precision", default="auto", choices=["auto", "32", "bf16"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    changes = {"data_dir": given.data, "device": "cpu", "precision": given.precision}
    config = load_config(CONFIG, changes)
    data = load_training_data(config)
    parts = measure_steps(config, data, given.steps)
    whole = sum(parts.values())
    print(f"a step of {config.batch_size} windows of {config.sequence_length} frames")
    for name, seconds in parts.items():
        print(f"  {name:<9}{1e3 * seconds:8.1f} ms  {seconds / whole:6.1%}")
    ours = sum(seconds for name, seconds in parts.items() if name != "learn")
    theirs = measure_loader(config, data.store, data.learned, given.steps)
    floor = measure_floor(config)
    print(f"input: {1e3 * ours:.1f} ms, {ours / whole:.1%} of the step")
    print(f"DataLoader, 2 workers: {1e3 * theirs:.1f} ms; ratio {theirs / ours:.1f}")
    print(f"floor (bytes moved once): {1e3 * floor:.2f} ms; ratio {ours / floor:.1f}")


def measure_steps(config: RunConfig, data: Any, steps: int) -> dict[str, float]:
    """Return seconds of a step by part: draw, augment, features, learn."""
    objective = data.objective(config)
    device = choose_device("cpu")
    fabric = make_fabric(
        device,
        choose_precision(
            device, config.precision, is_quick_in_bf16=is_quick_in_bf16(config.model)
        ),
    )
    state = start_state(config, objective.task, fabric, objective)
    clock = Clock()
    objective.draw = clock.timed("draw", objective.draw)  # type: ignore[method-assign]
    real = {name: getattr(gradient_accumulation, name) for name in AUGMENTING}
    for name, work in real.items():
        setattr(gradient_accumulation, name, clock.timed("augment", work))
    real_extract = SceneModel.extract_features
    SceneModel.extract_features = clock.timed("features", real_extract)  # type: ignore[method-assign]
    with keeping_freed_memory():  # as a run does
        for step in range(steps + 3):
            if step == 3:  # the first ones warm up
                clock.seconds.clear()
            with clock.of("step"):
                training_step.draw_and_take_step(
                    state,
                    objective,
                    config=config,
                    fabric=fabric,
                    learning_rate=config.learning_rate,
                )
    SceneModel.extract_features = real_extract  # type: ignore[method-assign]
    for name, work in real.items():
        setattr(gradient_accumulation, name, work)
    parts = {
        name: clock.seconds[name] / steps for name in ("draw", "augment", "features")
    }
    return parts | {"learn": clock.seconds["step"] / steps - sum(parts.values())}


def measure_loader(
    config: RunConfig, store: PoseStore, recordings: list[int], steps: int
) -> float:
    """Return seconds until the next batch when nothing else is done."""
    loader = DataLoader(
        OverlappingWindows(store, recordings, config.sequence_length),
        batch_size=config.batch_size,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
    )
    batches = iter(loader)
    for _ in range(4):
        next(batches)
    began, count = time.perf_counter(), 0
    for _ in zip(range(steps), batches, strict=False):
        count += 1
    return (time.perf_counter() - began) / count


def measure_floor(config: RunConfig) -> float:
    """Return seconds to copy what the input reads and writes at least."""
    frames = config.batch_size * config.sequence_length
    source = np.ones(frames * (72 * 2 * 2 + len(config.features.names) * 4), np.uint8)
    into = np.empty_like(source)
    best = np.inf
    for _ in range(20):
        began = time.perf_counter()
        np.copyto(into, source)
        best = min(best, time.perf_counter() - began)
    return best


if __name__ == "__main__":
    main()
