"""Memory and time on simulated data of the challenge's full size.

    python benchmarks/full_size.py LIKE WORK [--steps 300]

LIKE is a folder with the challenge's train.csv and train_annotation. WORK receives the
simulated data (about 1.5 GB), the store (about 1.5 GB) and two runs, and keeps them for
the next time. Prints time and peak memory of simulating, preparing, training V2 and the
pair task for the given number of steps, predicting held-out recordings as a submission,
checking and scoring it, each in a process of its own. One recording in 40 is held out.
Linux and macOS; the peak is that of the largest process.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

CONFIGS = Path(__file__).parent.parent / "configs"
MABE = "import sys; from mabe.cli.main import main; sys.exit(main())"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("like", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    data, store = given.work / "data", given.work / "store"
    measure("simulate", data, "--like", given.like, "--seed", 0)
    measure("prepare", data, "--out", store)
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
