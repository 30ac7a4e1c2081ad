"""Memory and time on simulated data of the challenge's full size.

    python benchmarks/full_size.py LIKE WORK [--steps 300]
    python benchmarks/full_size.py LIKE WORK --trees [--videos 200]

LIKE is a folder with the challenge's train.csv and train_annotation. WORK receives the
simulated data (about 1.5 GB), the store (about 1.5 GB) and two runs, and keeps them for
the next time. Prints time and peak memory of simulating, preparing, training V2 and the
pair task for the given number of steps, predicting held-out recordings as a submission,
checking and scoring it, each in a process of its own. One recording in 40 is held out.
With --trees it grows trees on the pair task instead, and prints the size of the
temporary file of their rows. Linux and macOS; the peak is that of the largest process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGS = Path(__file__).parent.parent / "configs"
MABE = "import sys; from mabe.cli.main import main; sys.exit(main())"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("like", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--videos", type=int, help="of the challenge; default: all")
    parser.add_argument("--trees", action="store_true", help="grow trees, and end")
    given = parser.parse_args()
    data, store = given.work / "data", given.work / "store"
    some = ("--videos", given.videos) if given.videos else ()
    measure("simulate", data, "--like", given.like, "--seed", 0, *some)
    measure("prepare", data, "--out", store)
    if given.trees:
        grow_trees(store, given.work / "trees")
        return
    for config in ("config_5090", "pairs"):
        measure(
            *("train", "--config", CONFIGS / f"{config}.yaml", "--data-dir", store),
            *("--checkpoint-dir", given.work / config, "--set", "epochs=1"),
            *("--set", f"steps_per_epoch={given.steps}", "--set", "folds=40"),
        )
    out = given.work / "submission.csv"
    measure("submit", given.work / "pairs", store, "--held-out", "--out", out)
    measure("check-submission", out, "--data", data)
    measure("score", given.work / "submission.solution.csv", out, "--strict")
    for name, folder in (("data", data), ("store", store)):
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        print(f"{name}: {size / 1e9:.2f} GB on disk")


def grow_trees(store: Path, run: Path) -> None:
    """Train trees on the pair task with one thread."""
    with printed_size_of_rows():
        measure(
            *("train", "--config", CONFIGS / "pairs.yaml", "--data-dir", store),
            *("--checkpoint-dir", run, "--set", "model_type=trees"),
            *("--set", "feature_set=social"),
            *("--set", "num_workers=1", "--set", "folds=40"),
        )


@contextmanager
def printed_size_of_rows() -> Iterator[None]:
    """Print how large the file of rows for trees became within the context."""
    largest = 0
    is_over = threading.Event()

    def watch(folder: Path) -> None:
        nonlocal largest
        while not is_over.wait(0.2):
            sizes = [path.stat().st_size for path in folder.glob("*/rows.f32")]
            largest = max([largest, *sizes])

    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder
        watcher = threading.Thread(target=watch, args=(Path(folder),))
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()
            del os.environ["TMPDIR"]
    print(f"  temporary file of rows: {largest / 1e6:.0f} MB", flush=True)


def measure(*words: object) -> None:
    """Run a command in a process of its own, and print its time and peak memory."""
    print("mabe", *words, flush=True)
    began = time.perf_counter()
    command = [sys.executable, "-c", WAIT_AND_TELL, sys.executable, "-c", MABE]
    subprocess.run([*command, *map(str, words)], check=True)
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
