"""Thresholds of a model of few recordings, fitted to 3, 6 and 10 others of `rat_dyad`.

    python benchmarks/calibrate_rats.py DATA WORK

Grows trees on four recordings (one more is held out, for nothing), predicts all others,
and fits rules to the first 3, 6 and 10 of them, in the order of their tracks' hashes.
Prints macro F1 under the model's own rules, and nested. No part is chosen by a score.
"""

import argparse
from pathlib import Path

import numpy as np

from mabe.config import load_config
from mabe.decoding.recalibration import recalibrate
from mabe.inference.evaluate import Unseen, predict_annotated
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import load_checkpoint
from mabe.training.run import train

CONFIG = Path(__file__).parent.parent / "configs" / "rat_dyad.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    given = parser.parse_args()
    settings = {
        "data_dir": given.data,
        "checkpoint_dir": given.work / "run",
        "model_type": "trees",
        "feature_set": "social",
        "max_sequences": 5,
    }
    run = train(load_config(CONFIG, settings))
    checkpoint = load_checkpoint(run.run_dir)
    views = predict_annotated(Unseen(Predictor(checkpoint), given.data))
    tracks = sorted({view.track for view in views})
    print(
        "| recordings | own rules | nested | gain, 95 % | used |\n|---|---|---|---|---|"
    )
    for number in (3, 6, 10):
        some = [view for view in views if view.track in tracks[:number]]
        found = recalibrate(some, checkpoint.rules)
        low, high = found.gain_interval
        interval = "too few" if np.isnan(low) else f"{low:+.3f} to {high:+.3f}"
        print(
            f"| {number} | {found.score_before:.3f} | {found.score_after:.3f} | "
            f"{interval} | {found.way if found.is_better else 'own'} |"
        )


if __name__ == "__main__":
    main()
