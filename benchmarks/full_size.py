"""Memory and time on simulated data of the challenge's full size.

    python benchmarks/full_size.py LIKE WORK [--steps 300]

LIKE is a folder with the challenge's train.csv and train_annotation; WORK gets the
simulated data (about 1.5 GB) and the store (about 1.5 GB) and keeps them for the next
time. Prints time and peak memory of simulating, preparing and training, each in a
process of its own. Linux and macOS; the peak is that of the largest process.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
MABE = "import sys; from mabe.cli import main; sys.exit(main())"
TRAIN = """
import sys
import time
from pathlib import Path

from mabe.config import load_config
from mabe.devices import choose_device, make_fabric
from mabe.runs import load_training_data
from mabe.training import draw_batch, start_state, take_step
from mabe.windows import WindowSampler

config = load_config(Path(sys.argv[1]), {"data_dir": Path(sys.argv[2])})
fabric = make_fabric(choose_device("auto"), config.precision)
began = time.perf_counter()
data = load_training_data(config)
sampler = WindowSampler(data.labelled, data.learned, length=config.sequence_length)
state = start_state(config, fabric)
print(f"  labels and windows ready after {time.perf_counter() - began:.1f} s")
print(f"  {sampler.counted_frames:,} frames to learn from")
began = time.perf_counter()
for step in range(int(sys.argv[3])):
    batch = draw_batch(sampler, config, step)
    take_step(state, batch, config=config, fabric=fabric, learning_rate=1e-4)
seconds = time.perf_counter() - began
shown = state.step * config.batch_size * config.sequence_length
print(f"  {state.step} steps in {seconds:.0f} s: {shown / seconds:,.0f} frames/s")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("like", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    data, store = given.work / "data", given.work / "store"
    config = ROOT / "configs" / "config_5090.yaml"
    like = ["--like", str(given.like), "--seed", "0"]
    measure("simulate", "-c", MABE, "simulate", str(data), *like)
    measure("prepare", "-c", MABE, "prepare", str(data), "--out", str(store))
    measure("train", "-c", TRAIN, str(config), str(store), str(given.steps))
    for name, folder in (("data", data), ("store", store)):
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        print(f"{name}: {size / 1e9:.2f} GB on disk")


def measure(name: str, *arguments: str) -> None:
    """Run Python in a process of its own, and print its time and peak memory."""
    print(name, flush=True)
    began = time.perf_counter()
    command = [sys.executable, "-c", WAIT_AND_TELL, sys.executable, *arguments]
    subprocess.run(command, check=True)
    print(f"  {time.perf_counter() - began:.0f} s in all", flush=True)


WAIT_AND_TELL = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
print(f"  peak memory of its largest process: {peak:.2f} GB")
sys.exit(done.returncode)
"""


if __name__ == "__main__":
    main()
