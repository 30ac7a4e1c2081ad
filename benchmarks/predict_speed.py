"""Speed of prediction with V2, beside a baseline and the processor's limit.

    python benchmarks/predict_speed.py [--threads 2] [--minutes 30]

One recording of two animals with ten keypoints each, a twentieth of the points missing,
at 33.3 Hz, which is V2's working rate; a V2 network of random weights. `mabe` is timed
from the poses on, as `mabe predict` computes them: features and network, stitched. The
baseline cuts windows that overlap by half, computes 288 features for each in NumPy, and
passes them through the same network in 32 bits, 96 at a time. The limit is the
network's multiplications for the channels that occur, each frame once, at the speed of
one large matrix product in the same run.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from train_step import motion_in_numpy

from mabe.config import load_config
from mabe.inference.frame_probabilities import Tracks, frame_probabilities
from mabe.models.model import SceneModel
from mabe.runtime.tensors import has_quick_bf16
from mabe.skeleton import KEYPOINTS, SLOTS, PoseLayout

CONFIG = Path(__file__).parent.parent / "configs" / "config_5090.yaml"
SEEN = tuple(
    PoseLayout().slot_of(animal, keypoint)
    for animal in range(2)
    for keypoint in range(10)
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=30.0)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = load_config(CONFIG)
    torch.manual_seed(0)
    model = SceneModel(config.model, config.scene_task).eval()
    poses = wander(round(given.minutes * 60 * config.fps))
    tracks = Tracks(len(poses), lambda start, stop: poses[start:stop], SEEN)
    possible = np.ones(len(config.classes), bool)
    ours = best_of(3, lambda: frame_probabilities(model, tracks, possible))
    some = poses[: len(poses) // 10]
    theirs = best_of(2, lambda: mark_windows_one_by_one(model, some))
    floor = operations_per_frame(config) / operations_per_second()
    fast, slow = len(poses) / ours, len(some) / theirs
    print(f"{given.threads} threads, {'16' if quick() else '32'} bits in the network")
    print(f"ours                 {fast:>12,.0f} frames/s")
    print(f"windows one by one   {slow:>12,.0f} frames/s; ratio {fast / slow:.1f}")
    print(
        f"floor                {1 / floor:>12,.0f} frames/s; ratio {fast * floor:.2f}"
    )


def quick() -> bool:
    return has_quick_bf16(torch.device("cpu"))


def wander(frames: int) -> np.ndarray:
    """Return poses of animals that wander, cm."""
    rng = np.random.default_rng(0)
    poses = np.full((frames, SLOTS, 2), np.nan, np.float32)
    steps = rng.normal(0, 0.1, (frames, len(SEEN), 2)).astype(np.float32)
    points = np.cumsum(steps, axis=0)
    points[rng.random((frames, len(SEEN))) < 0.05] = np.nan
    poses[:, SEEN] = points
    return poses.reshape(frames, 4, len(KEYPOINTS), 2)


@torch.inference_mode()
def mark_windows_one_by_one(model: SceneModel, poses: np.ndarray) -> None:
    """Average the probabilities of windows half a window apart."""
    window = model.config.sequence_length
    starts = range(0, len(poses) - window + 1, window // 2)
    total = np.zeros((len(poses), len(model.task.classes)))
    for first in range(0, len(starts), 96):
        some = starts[first : first + 96]
        features = np.stack(
            [motion_in_numpy(poses[start : start + window], 33.3) for start in some]
        )
        channels = model.scaling(torch.from_numpy(features))
        found = model.network(channels).softmax(dim=-1).numpy()
        for start, piece in zip(some, found, strict=True):
            total[start : start + window] += piece / 2


def operations_per_frame(config, slots: int = len(SEEN)) -> float:
    """Return operations of V2's network where so many slots occur."""
    channels, rate, total = 5 * slots, 1.0, 0.0
    for width in config.conv_channels:
        total += rate * channels * width * config.conv_kernel
        channels, rate = width, rate / 2
    hidden = config.lstm_hidden
    for _ in range(config.lstm_layers):
        total += rate * 2 * 4 * hidden * (channels + hidden)
        channels = 2 * hidden
    return 2 * (total + rate * channels * len(config.classes))


def operations_per_second() -> float:
    """Return how fast a large product of matrices is, in the network's precision."""
    size = 2048
    kind = torch.bfloat16 if quick() else torch.float32
    a, b = torch.randn(2, size, size).to(kind)
    return 2 * size**3 / best_of(8, lambda: a @ b)


def best_of(times: int, work: Callable[[], object]) -> float:
    """Return the shortest of some times, in seconds."""
    best = np.inf
    for _ in range(times):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


if __name__ == "__main__":
    main()
