"""V2 on a GPU: time of a step, memory, utilisation, and the hardware limit.

    python benchmarks/gpu.py DATA [--batch 96 512 2048] [--seconds 3] [--device cuda]

`DATA` is in the Kaggle layout or a store; use the full size (`mabe simulate DATA --like
CHALLENGE`). Prints the GPU; whether a step makes the host wait (torch raises an error
where it does); for each batch size the time of a step, frames per second in windows,
peak memory and the utilisation reported by `nvidia-smi`, with poses in GPU memory and
with poses read by the host; the time of 100 epochs without and with `torch.compile`;
the speed of prediction. The hardware limit of a step is the larger of two times: its
multiplications at the speed of one large matrix product, and its bytes at the speed of
one large copy. The figure for an RTX 5090 is the measured time, scaled by the larger
ratio of the two GPUs' published speeds, and is printed as an estimate. With `--device
cpu` the script runs without a GPU, as a test.
"""

import argparse
import contextlib
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from predict_speed import operations_per_frame

from mabe.config import RunConfig, load_config
from mabe.inference.frame_probabilities import Tracks, frame_probabilities
from mabe.models.model import SceneModel
from mabe.models.networks import is_quick_in_bf16
from mabe.runtime.devices import choose_device, describe_device
from mabe.runtime.distributed import make_fabric
from mabe.runtime.precision import choose_precision
from mabe.training import training_step as training
from mabe.training.gpu_poses import ResidentPoses
from mabe.training.objectives import load_training_data
from mabe.training.state import start_state
from mabe.training.training_step import steps_in_epoch

CONFIG = Path(__file__).parent.parent / "configs" / "config_5090.yaml"
EPOCHS = 100
WARM_UP = 5


@dataclass(frozen=True)
class Card:
    """Published figures of a card: dense bfloat16 (TFLOP/s) and memory (GB/s)."""

    name: str
    tflops: float
    gb_per_s: float


CARDS = (
    Card("H100", 989, 3350),
    Card("H200", 989, 4800),
    Card("RTX 5090", 209, 1792),
)
"""From the makers' data sheets, with 32-bit accumulation, without sparsity."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--batch", type=int, nargs="+", default=[96, 512, 2048])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    device = choose_device(given.device)
    print(*describe_device(device), f"torch {torch.__version__}", sep="\n")
    config = load_config(CONFIG, {"data_dir": given.data, "device": given.device})
    bench = Bench(config, device, given.seconds)
    bench.check_that_nobody_waits()
    for batch in given.batch:
        bench.measure_batch(batch)
    bench.measure_epochs(given.batch[-1])
    bench.measure_marking()


class Bench:
    """Everything that is measured of one card on one data set."""

    def __init__(self, config: RunConfig, device: torch.device, seconds: float) -> None:
        self.config, self.device, self.seconds = config, device, seconds
        self.data = load_training_data(config)
        self.objective = self.data.objective(config)
        self.host_read = self.objective.sampler.read
        began = time.perf_counter()
        self.resident = ResidentPoses(self.data.store, device)
        self._wait()
        size = self.resident.points_V.nbytes / 1e9
        seconds = time.perf_counter() - began
        print(f"poses on the device: {size:.2f} GB in {seconds:.1f} s")

    def check_that_nobody_waits(self) -> None:
        """Take steps in a mode in which torch raises where the host would wait."""
        step = self._stepper(96, in_device=True)
        for _ in range(WARM_UP):
            step()
        if self.device.type != "cuda":
            print("host waits within a step: cannot be told without a GPU")
            return
        torch.cuda.set_sync_debug_mode("error")
        try:
            step()
            step()
            print("host waits within a step: never")
        except RuntimeError:
            print(f"host waits within a step:\n{traceback.format_exc()}")
        finally:
            torch.cuda.set_sync_debug_mode("default")

    def measure_batch(self, batch: int) -> None:
        """Print what a step of so many windows takes, also with CUDA graphs."""
        frames = batch * self.config.sequence_length
        for in_device, graphs in ((True, False), (True, True), (False, False)):
            if graphs and self.device.type != "cuda":
                continue
            with self._peak_memory() as peak, self._watch_card() as busy:
                step = self._stepper(batch, in_device, graphs=graphs)
                seconds = self._seconds_a_step(step)
            floor, where = self._floor(frames), "the device" if in_device else "host"
            how = ", CUDA graphs" if graphs else ""
            print(
                f"batch {batch}, poses from {where}{how}: {1e3 * seconds:.2f} ms a "
                "step, "
                f"{frames / seconds / 1e6:.2f} M frames/s, "
                f"peak {peak[0] / 1e9:.2f} GB; "
                f"floor {1e3 * floor:.2f} ms, ratio {seconds / floor:.1f}"
                f"{busy[0]}",
                flush=True,
            )

    def measure_epochs(self, batch: int) -> None:
        """Print how long the recipe's epochs take, by measured steps."""
        config = self.config.changed(batch_size=batch)
        steps = steps_in_epoch(self.objective.counted_frames, config)
        for compiled in (False, True) if self.device.type == "cuda" else (False,):
            step = self._stepper(batch, in_device=True, compiled=compiled)
            began = time.perf_counter()
            step()
            self._wait()
            first_s = time.perf_counter() - began
            seconds = self._seconds_a_step(step)
            minutes = EPOCHS * steps * seconds / 60
            how = f"network compiled in {first_s:.0f} s" if compiled else "as it is"
            print(
                f"{EPOCHS} epochs of {steps} steps of {batch} windows, {how}: "
                f"{minutes:.1f} minutes (scoring not included)"
            )
            self._estimate(minutes)

    def measure_marking(self) -> None:
        """Print how fast recordings are marked, features included."""
        torch.manual_seed(0)
        model = SceneModel(self.config.model, self.objective.task).to(self.device)
        model.eval()
        store = self.data.store
        possible = np.ones(len(self.objective.task.classes), bool)
        some = sorted(self.data.held_out[:10])
        frames = sum(store.recordings[index].native_length for index in some)

        def mark() -> None:
            for index in some:
                frame_probabilities(model, Tracks.of_stored(store, index), possible)

        mark()
        seconds = seconds_of(mark)
        print(f"prediction: {frames / seconds:,.0f} of the recordings' frames a second")

    def _stepper(
        self,
        batch: int,
        in_device: bool,
        compiled: bool = False,
        graphs: bool = False,
    ) -> Callable[[], None]:
        """Return what takes one step of a fresh network."""
        config = self.config.changed(batch_size=batch, cuda_graphs=graphs)
        fabric = make_fabric(
            self.device,
            choose_precision(
                self.device,
                config.precision,
                is_quick_in_bf16=is_quick_in_bf16(config.model),
            ),
        )
        self.objective.sampler.read = (
            self.resident.read if in_device else self.host_read
        )
        state = start_state(config, self.objective.task, fabric)
        if compiled:
            # Not the features: they look at two numbers of 32 bits as one of 64.
            state.model.module.network.compile(dynamic=False)

        def step() -> None:
            training.draw_and_take_step(
                state,
                self.objective,
                config=config,
                fabric=fabric,
                learning_rate=config.learning_rate,
            )

        return step

    def _seconds_a_step(self, step: Callable[[], None]) -> float:
        for _ in range(WARM_UP):
            step()
        self._wait()
        began, steps = time.perf_counter(), 0
        while time.perf_counter() - began < self.seconds:
            step()
            steps += 1
        self._wait()
        return (time.perf_counter() - began) / steps

    def _floor(self, frames: int) -> float:
        """Return the least seconds of a step: forward, and twice as much backward."""
        operations = 3 * frames * operations_per_frame(self.config, slots=72)
        moved = (
            frames
            * 3
            * 4
            * (len(self.config.features.names) + sum(self.config.conv_channels))
        )
        return max(
            operations / self._operations_a_second(), moved / self._bytes_a_second()
        )

    def _operations_a_second(self) -> float:
        size = 8192 if self.device.type == "cuda" else 1024
        a, b = torch.randn(2, size, size, device=self.device).bfloat16()
        return 2 * size**3 / self._best(lambda: a @ b)

    def _bytes_a_second(self) -> float:
        size = 1 << (30 if self.device.type == "cuda" else 24)
        values = torch.empty(size, dtype=torch.uint8, device=self.device)
        into = torch.empty_like(values)
        return 2 * size / self._best(lambda: into.copy_(values))

    def _best(self, work: Callable[[], object]) -> float:
        def all_of_it() -> None:
            work()
            self._wait()

        return min(seconds_of(all_of_it) for _ in range(5))

    def _estimate(self, minutes: float) -> None:
        """Print what another card would take, if what limits this one limits it too."""
        name = describe_device(self.device)[-1 if self.device.type != "cuda" else 1]
        here = next((card for card in CARDS if card.name in name), None)
        if here is None:
            return
        for card in CARDS:
            slower = max(here.tflops / card.tflops, here.gb_per_s / card.gb_per_s)
            print(f"  estimate for {card.name}: {minutes * slower:.0f} minutes at most")

    @contextlib.contextmanager
    def _peak_memory(self) -> Iterator[list[int]]:
        peak = [0]
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        yield peak
        if self.device.type == "cuda":
            peak[0] = torch.cuda.max_memory_allocated(self.device)

    @contextlib.contextmanager
    def _watch_card(self) -> Iterator[list[str]]:
        """Give, once done, the share of time in which some kernel ran, and the power.

        The median of what `nvidia-smi` says; so the start hardly counts.
        """
        told = [""]
        if self.device.type != "cuda":
            yield told
            return
        query = ["--query-gpu=utilization.gpu,power.draw", "--format=csv,noheader"]
        command = ["nvidia-smi", f"--id={self.device.index or 0}", "-lms", "100"]
        with subprocess.Popen(
            [*command, *query], stdout=subprocess.PIPE, text=True
        ) as watch:
            yield told
            watch.terminate()
            seen, _ = watch.communicate()
        rows = [
            [float(value.split()[0]) for value in line.split(",")]
            for line in seen.splitlines()
            if "[" not in line
        ]
        busy, watts = np.median(rows, axis=0)
        told[0] = f"; card busy {busy:.0f} % of the time, {watts:.0f} W"

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
