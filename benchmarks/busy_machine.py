r"""Commands on an idle machine and beside another job: wall seconds, and their ratio.

    python benchmarks/busy_machine.py WORK [--spin 300000]

WORK is a folder for simulated data (made once) and runs. Each command is timed twice:
with nothing else running, and with one core kept busy by a loop. `--spin N` sets
`GOMP_SPINCOUNT=N` for the commands; 300000 is OpenMP's own default.

Commands: train (a network, three epochs), trees (`mabe train`, trees), evaluate and
predict (an ensemble of three models, 16 recordings), explain (a cross-validation).
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

MABE = "import sys; from mabe.cli.main import main; sys.exit(main(sys.argv[1:]))"
BUSY = "while True: pass"
SOCIAL = ("--set", "feature_set=social", "--set", "input_dim=null")


def mabe(*words: object, spin: str | None) -> float:
    """Run a command and return its wall seconds."""
    environment = os.environ | ({"GOMP_SPINCOUNT": spin} if spin else {})
    began = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", MABE, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        sys.exit(f"{words}: {result.stderr[-2000:]}")
    return time.perf_counter() - began


def commands(work: Path, config: Path) -> dict[str, list[object]]:
    """Return the commands that are timed, by name."""
    data, cv = work / "data", work / "crossval"
    train = ["train", "--config", config, "--data-dir", data, "--checkpoint-dir"]
    return {
        "train": [*train, work / "network", "--set", "epochs=3"],
        "trees": [*train, work / "trees", "--set", "model_type=trees", *SOCIAL],
        "evaluate": ["evaluate", cv, work / "new", "--out", work / "evaluation"],
        "predict": ["predict", cv, work / "new", "--out", work / "out"],
        "explain": ["explain", cv],
    }


def prepare(work: Path, config: Path) -> None:
    """Make the data and the models that the timed commands need."""
    if not (work / "data").exists():
        mabe("simulate", work / "data", "--videos", 24, "--minutes", 4, spin=None)
        mabe(
            "simulate", work / "new", "--videos", 16, "--minutes", 8, "--seed", 5,
            spin=None,
        )  # fmt: skip
    if not (work / "crossval" / "crossval.json").exists():
        mabe(
            *("crossval", "--config", config, "--data-dir", work / "data"),
            *("--checkpoint-dir", work / "crossval", "--folds", 3, *SOCIAL),
            *("--set", "epochs=1", "--set", "model_type=conv_gru"),
            spin=None,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--spin", help="GOMP_SPINCOUNT of the commands")
    parser.add_argument("--only", nargs="*", help="some of the commands")
    given = parser.parse_args()
    config = Path(__file__).parents[1] / "configs" / "demo.yaml"
    prepare(given.work, config)
    print(f"{'':10}{'idle s':>8}{'busy s':>8}{'ratio':>7}")
    for name, words in commands(given.work, config).items():
        if given.only and name not in given.only:
            continue
        idle = mabe(*words, spin=given.spin)
        with subprocess.Popen([sys.executable, "-c", BUSY]) as other:
            try:
                busy = mabe(*words, spin=given.spin)
            finally:
                other.kill()
        print(f"{name:10}{idle:8.1f}{busy:8.1f}{busy / idle:7.1f}", flush=True)


if __name__ == "__main__":
    main()
