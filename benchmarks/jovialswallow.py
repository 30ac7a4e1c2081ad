"""Decision rules on real probabilities: one lab of the challenge, tuned and nested.

    python benchmarks/jovialswallow.py [--data DATA] [--seeds 0 1 2]

DATA holds `oof_jovialswallow/ACTION.parquet` (frame-level probabilities of trees for
videos they were not trained on) and `mabe2025` (the annotated bouts). Prints the
challenge's score of that lab: with a threshold of 0.5, tuned on the scored videos
themselves, and *nested*: with rules chosen on other videos than those they are scored
on. Then the same without one part at a time; means and standard deviations over seeds
of the folds. Files of the same kind from another lab work too: --lab, --probabilities.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import polars as pl

from mabe.bouts import View
from mabe.decoding.fit_rules import SearchSpace
from mabe.decoding.nested_tuning import tune
from mabe.decoding.rules import DecisionRules
from mabe.decoding.view_predictions import ViewPredictions
from mabe.io.readers.kaggle import read_index, read_labels
from mabe.recording import VideoInfo
from mabe.scene_task import TaskKind

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data"))
NONE = (("none", 0.0),)
PARTS = {
    "everything": SearchSpace(),
    "no smoothing": SearchSpace(smoothings=NONE),
    "no calibration": SearchSpace(calibrated=False),
    "no thresholds": SearchSpace(thresholds=False),
    "no shortest bouts and longest gaps": SearchSpace(tidied=False),
    "thresholds alone": SearchSpace(smoothings=NONE, calibrated=False, tidied=False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--lab", default="JovialSwallow")
    parser.add_argument("--probabilities", default="oof_jovialswallow")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    paths = sorted((given.data / given.probabilities).glob("*.parquet"))
    actions = [path.stem for path in paths]
    views = read_views(given.data / "mabe2025", given.lab, paths)
    frames = sum(len(view.labels) for view in views)
    print(
        f"{len(views)} videos of {given.lab}, {frames:,} frames, {', '.join(actions)}"
    )
    print("| tuned | nested | in sample | plain 0.5 | by action, nested | seconds |")
    print("|---|---|---|---|---|---|")
    for name, search in PARTS.items():
        began = time.perf_counter()
        found = [tune(views, seed=seed, search=search) for seed in given.seeds]
        seconds = (time.perf_counter() - began) / len(found)
        nested = [tuned.nested for tuned in found]
        spread = np.std(nested, ddof=1) if len(nested) > 1 else np.nan
        by_action = np.mean([[line.nested for line in t.lines] for t in found], axis=0)
        print(
            f"| {name} | {np.mean(nested):.4f} ± {spread:.4f} "
            f"| {np.mean([tuned.in_sample for tuned in found]):.4f} "
            f"| {found[0].plain:.4f} "
            f"| {' '.join(f'{each:.3f}' for each in by_action)} | {seconds:.1f} |",
            flush=True,
        )
    show_rules(tune(views).rules)


def show_rules(rules: DecisionRules) -> None:
    for rule in rules.classes:
        print(
            f"{rule.name}: {rule.smoothing.method} {rule.smoothing.seconds:g} s, "
            f"threshold {rule.threshold:.2f}, bouts of {rule.min_bout_s:g} s, gaps of "
            f"{rule.max_gap_s:g} s"
        )


def read_views(kaggle: Path, lab: str, paths: list[Path]) -> list[ViewPredictions]:
    """Return each (video, agent, target) that any of the files has frames of."""
    infos = {info.video: info for info in read_index(kaggle) if info.lab == lab}
    tables = [
        pl.read_parquet(path).with_columns(pl.col("video_id").cast(pl.String))
        for path in paths
    ]
    who = ["video_id", "agent_id", "target_id"]
    pairs = pl.concat([table.select(who) for table in tables]).unique().sort(who)
    return [
        view_of(infos[video], agent, target, tables, [path.stem for path in paths])
        for video, agent, target in pairs.iter_rows()
    ]


def view_of(
    info: VideoInfo,
    agent: int,
    target: int,
    tables: list[pl.DataFrame],
    names: list[str],
) -> ViewPredictions:
    """Return what the files and people say of one view; what nobody watched is -1."""
    bouts, _ = read_labels(info)
    bouts = tuple(b for b in bouts if (b.agent, b.target) == (agent, target))
    watched = {w.action for w in info.watched if (w.agent, w.target) == (agent, target)}
    rows = [
        table.filter(
            (pl.col("video_id") == info.video)
            & (pl.col("agent_id") == agent)
            & (pl.col("target_id") == target)
        )
        for table in tables
    ]
    ends = [b.stop for b in bouts] + [
        t["video_frame"].max() + 1 for t in rows if len(t)
    ]
    probabilities = np.full((max(ends), len(names)), np.nan, np.float32)
    labels = np.full(probabilities.shape, -1, np.int8)
    for place, (name, table) in enumerate(zip(names, rows, strict=True)):
        probabilities[table["video_frame"].to_numpy(), place] = table[
            "prediction"
        ].to_numpy()
        if name in watched | {b.action for b in bouts}:
            labels[:, place] = 0
        for bout in bouts:
            if bout.action == name:
                labels[bout.start : bout.stop, place] = 1
    return ViewPredictions(
        kind=TaskKind.PAIR,
        classes=tuple(names),
        lab=info.lab,
        video=info.video,
        view=View(agent, target),
        track=info.video,
        fps=info.fps,
        probabilities=probabilities,
        labels=labels,
    )


if __name__ == "__main__":
    main()
