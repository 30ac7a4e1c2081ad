"""Does a model learn agent and target? Tested on simulated data with known labels.

    python benchmarks/direction.py WORK [--seeds 42]

Six simulated labs, each with its own camera, skeleton and number of animals, annotate
sniff, mount, attack and chase, and the target's side of two of them: a chased animal
has the action `flee`, a sniffed one `sniffed`. Trains `configs/direction.yaml` once
with whole labs held out, and once with recordings of every lab held out; prints the
challenge's score on the held-out recordings, and the score of the same predictions when
agent and target are exchanged in the labels. WORK keeps data and runs.
"""

import argparse
import json
import re
import shutil
import time
from pathlib import Path

import polars as pl

from mabe.config import load_config
from mabe.data.simulate import simulate
from mabe.inference.evaluate import Comparison, Unseen, compare
from mabe.inference.predict import Predictor
from mabe.metrics import mabe_f_score
from mabe.models.checkpoint import load_checkpoint
from mabe.training.run import train

ROOT = Path(__file__).parent.parent
ACTIONS = ("attack", "chase", "mount", "sniff")
OTHER_SIDE = {"chase": "flee", "sniff": "sniffed"}
HELD_OUT = {"lab": {"split_by": "lab", "folds": 3}, "recording": {"folds": 3}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--held-out", nargs="+", default=list(HELD_OUT))
    given = parser.parse_args()
    data = given.work / "data"
    simulate(given.work / "one_side", videos=48, minutes=3, seed=3, actions=ACTIONS)
    if not data.exists():
        name_both_sides(given.work / "one_side", data)
    print("| held out | seed | score | agent and target exchanged | training |")
    print("|---|---|---|---|---|")
    for kind in given.held_out:
        for seed in given.seeds:
            print(f"| {kind}s | {seed} | {score(data, given.work, kind, seed)} |")


def name_both_sides(one_side: Path, both: Path) -> None:
    """Copy a data set and label what the target of an action does meanwhile."""
    unfinished = both.with_name(f"{both.name}.unfinished")
    shutil.copytree(one_side, unfinished, dirs_exist_ok=True)
    for path in unfinished.glob("train_annotation/*/*.parquet"):
        labels = pl.read_parquet(path)
        answers = labels.filter(pl.col("action").is_in(list(OTHER_SIDE))).with_columns(
            agent_id="target_id",
            target_id="agent_id",
            action=pl.col("action").replace(OTHER_SIDE),
        )
        pl.concat([labels, answers]).sort("start_frame").write_parquet(path)
    videos = pl.read_csv(unfinished / "train.csv", infer_schema=False)
    watched = pl.col("behaviors_labeled").map_elements(_watch_both, pl.String)
    videos.with_columns(watched).write_csv(unfinished / "train.csv")
    unfinished.rename(both)


def _watch_both(listed: str) -> str:
    """Return what was watched for, with the other side of every action that has one."""
    entries = [re.sub(r"[\s'\"]", "", each) for each in json.loads(listed)]
    for entry in list(entries):
        agent, target, action = entry.split(",")
        if action in OTHER_SIDE:
            entries.append(f"{target},{agent},{OTHER_SIDE[action]}")
    return json.dumps(sorted(set(entries)))


def score(data: Path, work: Path, kind: str, seed: int) -> str:
    """Train once, and return the figures as cells of a table."""
    changes = {
        **HELD_OUT[kind],
        "data_dir": data,
        "checkpoint_dir": work / f"{kind}-{seed}",
        "seed": seed,
    }
    began = time.perf_counter()
    config = load_config(ROOT / "configs" / "direction.yaml", changes)
    finished = (config.checkpoint_dir / "history.json").is_file()
    train(config, resume=finished)
    minutes = (time.perf_counter() - began) / 60
    last = load_checkpoint(config.checkpoint_dir / "last.safetensors")
    found = compare(Unseen(Predictor(last), data))
    right = mabe_f_score(found.solution, found.submission)
    wrong = mabe_f_score(exchanged(found), found.submission)
    return f"{right:.3f} | {wrong:.3f} | {minutes:.0f} min"


def exchanged(found: Comparison) -> pl.DataFrame:
    """Return the true labels with agent and target in each other's place."""
    return found.solution.rename({"agent_id": "target_id", "target_id": "agent_id"})


if __name__ == "__main__":
    main()
