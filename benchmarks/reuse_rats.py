"""Learning on from a model of five rat videos with three others, against the model.

    python benchmarks/reuse_rats.py WORK --folds 0 2 4

In each fold of `rat_dyad`, `mabe train` learns from five of the videos that are not
held out, by the automatic recipe; these are the runs of `benchmarks/distil.py WORK
--videos 5 --alone` in the same WORK. `mabe train THREE --from` that model learns from
three others, with half of the old weights and with none of them. Prints macro F1 on the
videos held out, and the seconds that the learning took.
"""

import argparse
import json
import time
from pathlib import Path

from distil import mabe, split_fold, train, write_subset

OLD, NEW = 5, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 2, 4])
    given = parser.parse_args()
    print("| fold | model | macro F1 | s |\n|---|---|---|---|")
    for fold in given.folds:
        for line in try_fold(given.work / f"{OLD}-of-fold{fold}", fold):
            print(line, flush=True)


def try_fold(folder: Path, fold: int) -> list[str]:
    """Train what is missing of one fold; return a line for each model."""
    videos, held_out = split_fold(fold)
    chosen = videos[: OLD + NEW]
    write_subset(folder / "scored", chosen[:OLD], labelled=chosen)
    write_subset(folder / "more", chosen[OLD:], labelled=chosen)
    write_subset(folder / "held_out", held_out, labelled=held_out)

    run = folder / "alone"
    train(folder / "scored", run)
    lines = [line_of(fold, "as it is", run, folder / "held_out")]
    for share in (0.5, 0.0):
        out = folder / f"from-{share}"
        words = ("train", folder / "more", "--from", run, "--out", out)
        began = time.perf_counter()
        mabe(*words, "--set", f"old_share={share}", resume=out)
        seconds = time.perf_counter() - began
        name = f"--from, old_share {share}"
        lines.append(line_of(fold, name, out, folder / "held_out", f"{seconds:.1f}"))
    return lines


def line_of(fold: int, name: str, model: Path, data: Path, seconds: str = "") -> str:
    """Score a model on a folder of recordings."""
    metrics = json.loads(mabe("evaluate", model, data, "--out", model, "--json"))
    return f"| {fold} | {name} | {metrics['macro_f1']:.3f} | {seconds} |"


if __name__ == "__main__":
    main()
