"""Memory growth: train and predict repeatedly in one process.

    python benchmarks/soak.py DATA [--minutes 30]

`DATA` is in the Kaggle layout. Each round trains V2 for a few steps, resumes it,
predicts every recording, and deletes the run. Prints the memory of the process
(resident set) after each round, its open files and threads; at the end the growth of
memory per hour, by a straight line through all rounds but the first two. Linux.
"""

import argparse
import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

from mabe.config import load_config
from mabe.inference.predict import Predictor, predict
from mabe.models.checkpoint import load_checkpoint
from mabe.training.run import train

CONFIG = Path(__file__).parent.parent / "configs" / "config_5090.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    began, found = time.monotonic(), []
    print("round  minutes  memory MB  files  threads")
    while time.monotonic() - began < 60 * given.minutes:
        with tempfile.TemporaryDirectory() as folder, quiet(Path(folder) / "log"):
            take_round(given.data, Path(folder))
        minutes = (time.monotonic() - began) / 60
        found.append((minutes, memory_mb()))
        print(
            f"{len(found):5}  {minutes:7.1f}  {found[-1][1]:9.1f}  {open_files():5}  "
            f"{threading.active_count():7}",
            flush=True,
        )
    if len(found) < 4:
        raise SystemExit("too few rounds to tell; give it more --minutes")
    minutes, memory = np.array(found[2:]).T
    slope = np.polyfit(minutes, memory, 1)[0]
    print(
        f"{len(found)} rounds; memory {memory.min():.0f} to {memory.max():.0f} MB, "
        f"{60 * slope:+.1f} MB an hour"
    )


def take_round(data: Path, folder: Path) -> None:
    config = load_config(
        CONFIG,
        {
            "data_dir": data,
            "checkpoint_dir": folder / "run",
            "epochs": 1,
            "steps_per_epoch": 10,
            "num_workers": 1,
        },
    )
    train(config)
    train(config.changed(epochs=2), resume=True)
    predict(Predictor(load_checkpoint(folder / "run")), data, folder / "out")


@contextlib.contextmanager
def quiet(log: Path):
    with (
        log.open("w") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield


def memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


if __name__ == "__main__":
    main()
