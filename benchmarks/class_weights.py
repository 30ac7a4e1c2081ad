"""Effect of class weights on recall of background and precision of behaviours.

    python benchmarks/class_weights.py WORK [--epochs 12]

V2 on simulated data of six labs (24 videos of 2 minutes; `configs/demo.yaml`), trained
with each set of weights and no other change; scores of the last epoch on held-out
recordings, at the working rate. WORK keeps data and runs.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from mabe.config import load_config
from mabe.data.simulate import simulate
from mabe.training.run import train

ROOT = Path(__file__).parent.parent
WEIGHTS: dict[str, Any] = {
    "[0.5, 10, 15, 15] (V1)": [0.5, 10, 15, 15],
    "[1, 5, 8, 8] (V2)": [1, 5, 8, 8],
    "[1, 2, 2, 2]": [1, 2, 2, 2],
    "auto": "auto",
    "equal": None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    data = given.work / "data"
    simulate(data, videos=24, minutes=2, seed=1)
    rows = [
        row_of(name, number, data, given.work, given.epochs)
        for number, name in enumerate(WEIGHTS)
    ]
    print("| weights | macro F1 | background recall | behaviours' precision | recall |")
    print("|---|---|---|---|---|")
    print("\n".join(rows))


def row_of(name: str, number: int, data: Path, work: Path, epochs: int) -> str:
    """Train with one set of weights, and return its line of the table."""
    changes = {
        "class_weights": WEIGHTS[name],
        "data_dir": data,
        "checkpoint_dir": work / f"weights{number}",
        "epochs": epochs,
        "num_workers": 1,
    }
    config = load_config(ROOT / "configs" / "demo.yaml", changes)
    finished = (config.checkpoint_dir / "history.json").is_file()
    train(config, resume=finished)
    last = json.loads((config.checkpoint_dir / "history.json").read_text())[-1]
    background, *behaviours = last["per_class"].values()
    precision, recall = (
        np.mean([scores[key] or 0.0 for scores in behaviours])
        for key in ("precision", "recall")
    )
    return (
        f"| {name} | {last['f1_macro']:.3f} | {background['recall']:.3f} "
        f"| {precision:.3f} | {recall:.3f} |"
    )


if __name__ == "__main__":
    main()
