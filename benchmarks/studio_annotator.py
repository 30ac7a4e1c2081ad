"""How many labels the studio's suggestions save, by an annotator made of true labels.

    python benchmarks/studio_annotator.py rat_dyad WORK [--pool 8] [--held-out 4]
    python benchmarks/studio_annotator.py mouse_objects WORK

The annotator labels 12 stretches of 10 s a round, all actions in each, and then the
studio's trees are grown on all labels so far. Which stretches: those that the studio
suggests, the next ones in order, or random ones (`--seeds` of each random one). The
score is the mean F1 over frames in recordings that are never labelled. The table has
it after each round, and the minutes after which 95 % of the score with all labels of
the pool are reached for good (all later rounds reach it too). Features are computed
once and kept in WORK.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mabe.bouts import NO_ACTION
from mabe.data.prepare import load_store
from mabe.errors import DataError
from mabe.experiments.label_round import _decide, _objective
from mabe.io.project import load_project
from mabe.metrics.frame_scores import count_frames, f_scores
from mabe.models.boosted_trees import Forest, LabelledRows, RowsOnDisk
from mabe.models.trees_model import build_trees
from mabe.pair_task import OBJECT_FPS, PAIR_FPS
from mabe.training.grow_trees import labelled_rows, tree_settings
from mabe.viz.studio.project_folder import open_project
from mabe.viz.studio.stretches import Stretches, cut_stretches
from mabe.viz.studio.suggest import StretchScores, suggest

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data"))
IGNORED = {"rat_dyad": ("base",), "mouse_objects": ()}
STRETCHES_A_ROUND = 12


@dataclass(eq=False)
class Pool:
    """Rows of features with true labels, and where they are."""

    values: np.ndarray
    """[row, statistic]"""
    labels: np.ndarray
    """[row, action]: 1, 0 or -1."""
    recording: np.ndarray
    stretch: np.ndarray
    """Of each row, in recordings that may be labelled; else -1."""
    stretches: Stretches
    objective: object
    actions: tuple[str, ...]
    settings: object

    @property
    def is_held_out(self) -> np.ndarray:
        return self.stretch < 0


def prepare(name: str, work: Path, pool: int, held_out: int) -> Pool:
    """Return the rows of some recordings of a data set."""
    root = work / name
    if not root.exists():
        root.mkdir(parents=True)
        for path in DATA.joinpath(name).iterdir():
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, root / path.name)
    project = open_project(root, load_project(root))
    fps = OBJECT_FPS if name == "mouse_objects" else PAIR_FPS
    place = work / f"{name}-store"
    store = load_store(project.data, rate_fps=fps, store_dir=place, notes=False)
    order = np.random.default_rng(0).permutation(len(store.recordings))
    chosen = sorted(order[: pool + held_out].tolist())
    out = set(order[pool : pool + held_out].tolist())
    bare = [
        replace(
            each,
            bouts=tuple(b for b in each.bouts if b.action not in IGNORED[name]),
            watched=tuple(w for w in each.watched if w.action not in IGNORED[name]),
            has_labels=index in chosen,
        )
        for index, each in enumerate(store.recordings)
    ]
    for index, each in enumerate(bare):
        if index not in chosen:
            bare[index] = replace(each, bouts=(), watched=())
    store = store.with_recordings(bare)
    config, objective = _objective(project.data, store, work / "model", ())
    untrained = build_trees(config.model, objective.task, Forest(("",)))
    stretches = cut_stretches(store)
    parts: list[LabelledRows] = []
    recording, stretch = [], []
    began = time.perf_counter()
    views = objective.sampler.views
    for view in views:
        is_out = view.recording in out
        for tracks, labels in objective.tracks_of(view):
            of_view = list(labelled_rows(untrained, tracks, labels, 1, 0))
            counted = _counted_blocks(labels, untrained.block_frames)
            for part in of_view:
                parts.append(part)
            frames = counted * untrained.block_frames
            own = frames * store.recordings[view.recording].fps / store.rate_fps
            places = _stretch_of(stretches, view, own)
            recording += [view.recording] * len(counted)
            stretch += [-1] * len(counted) if is_out else places.tolist()
    minutes = (
        sum(store.recordings[i].native_length / store.recordings[i].fps for i in chosen)
        / 60
    )
    print(
        f"{name}: {len(chosen)} recordings, {minutes:.0f} min, {len(views)} views: "
        f"features in {time.perf_counter() - began:.0f} s"
    )
    return Pool(
        np.concatenate([part.rows for part in parts]).astype(np.float32),
        np.concatenate([part.labels for part in parts]),
        np.array(recording),
        np.array(stretch),
        stretches,
        objective,
        objective.task.actions,
        tree_settings(config),
    )


def _counted_blocks(labels, size: int) -> np.ndarray:
    middles = (np.arange(0, len(labels), size) + size // 2).clip(max=len(labels) - 1)
    return np.flatnonzero((labels[middles] >= 0).any(axis=1))


def _stretch_of(stretches: Stretches, view, own_frames: np.ndarray) -> np.ndarray:
    pair = sorted({view.view.agent, view.view.target})
    pair = pair if len(pair) == 2 else pair * 2
    mine = stretches.recording == view.recording
    mine &= (np.sort(stretches.pair, axis=1) == pair).all(axis=1)
    places = np.flatnonzero(mine)
    at = np.searchsorted(stretches.frames[places, 0], own_frames, side="right") - 1
    return places[at.clip(min=0)]


def grow(pool: Pool, known: np.ndarray, folder: Path) -> Forest | None:
    """Return trees on the rows of labelled stretches; None where that is too little."""
    rows = np.flatnonzero(known)
    rows = rows[:: max(1, len(rows) // 20_000)]
    path = folder / "rows.f32"
    pool.values[rows].tofile(path)
    try:
        return pool.objective.grow_forest(
            RowsOnDisk(path, pool.labels[rows]), pool.settings
        )
    except DataError:
        return None


def score(pool: Pool, forest: Forest | None, threads: int = 1) -> float:
    """Return the mean F1 over frames of the recordings held out."""
    rows = np.flatnonzero(pool.is_held_out)
    if forest is None:
        chosen = np.full(len(rows), NO_ACTION)
    else:
        chosen = _decide(forest.probabilities(pool.values[rows], threads=threads))
    counts = count_frames(chosen, pool.labels[rows])
    occurs = counts[:, 0] > 0
    return float(np.nan_to_num(f_scores(counts))[occurs].mean())


def stretch_scores(pool: Pool, forest: Forest | None) -> StretchScores | None:
    """Return what the model predicts of each stretch."""
    if forest is None:
        return None
    rows = np.flatnonzero(~pool.is_held_out)
    probability = forest.probabilities(pool.values[rows], threads=1)
    wrong = np.minimum(probability, 1 - probability).max(axis=1)
    count = len(pool.stretches)
    total = np.bincount(pool.stretch[rows], minlength=count)
    error = np.bincount(pool.stretch[rows], wrong, minlength=count)
    highest = np.zeros((count, len(pool.actions)))
    np.maximum.at(highest, pool.stretch[rows], probability)
    return StretchScores(pool.actions, error / np.maximum(total, 1), highest)


def choose(pool: Pool, how: str, labelled, forest, rng) -> list[int]:
    """Return the stretches of the next round."""
    has_rows = np.bincount(
        pool.stretch[~pool.is_held_out], minlength=len(pool.stretches)
    )
    free = np.flatnonzero((labelled == 0) & (has_rows > 0))
    if how == "in order":
        return free[:STRETCHES_A_ROUND].tolist()
    if how == "random":
        picked = rng.permutation(free)[:STRETCHES_A_ROUND]
        return picked.tolist()
    share = np.where(has_rows > 0, labelled, 1.0)
    scores = stretch_scores(pool, forest)
    known = labelled[pool.stretch] * ~pool.is_held_out > 0
    seconds = (pool.labels[known] == 1).sum(axis=0) / 7.5
    rarity = (1 / (1 + seconds / 10)).tolist()
    made = suggest(pool.stretches, share, scores, rarity, most=STRETCHES_A_ROUND)
    return [each.place for each in made]


def simulate(pool: Pool, how: str, rounds: int, seed: int) -> list[float]:
    """Return the score after each round."""
    rng = np.random.default_rng(seed)
    labelled = np.zeros(len(pool.stretches))
    forest, scores = None, []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            labelled[choose(pool, how, labelled, forest, rng)] = 1
            known = (labelled[pool.stretch] > 0) & ~pool.is_held_out
            forest = grow(pool, known, Path(folder))
            scores.append(score(pool, forest))
    return scores


def main() -> None:
    """Simulate, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=sorted(IGNORED))
    parser.add_argument("work", type=Path)
    parser.add_argument("--pool", type=int, default=8)
    parser.add_argument("--held-out", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only-suggestions", action="store_true")
    args = parser.parse_args()
    pool = prepare(args.data, args.work, args.pool, args.held_out)
    with tempfile.TemporaryDirectory() as folder:
        full = score(pool, grow(pool, ~pool.is_held_out, Path(folder)))
    print(f"with all labels of the pool: {full:.3f}; 95 % of it: {0.95 * full:.3f}")
    table = {"suggestions": [simulate(pool, "suggestions", args.rounds, 0)]}
    if not args.only_suggestions:
        table["in order"] = [simulate(pool, "in order", args.rounds, 0)]
        table["random"] = [
            simulate(pool, "random", args.rounds, seed) for seed in range(args.seeds)
        ]
    minutes = [2.0 * (number + 1) for number in range(args.rounds)]
    print("minutes     " + " ".join(f"{each:5.0f}" for each in minutes))
    for how, runs in table.items():
        mean = np.mean(runs, axis=0)
        short = [m for m, s in zip(minutes, mean, strict=True) if s < 0.95 * full]
        reached = 2.0 + max(short, default=0.0)
        when = f"{reached:.0f} min" if reached <= minutes[-1] else "not reached"
        print(f"{how:11s} " + " ".join(f"{s:5.3f}" for s in mean) + f"   95 %: {when}")
    (args.work / f"{args.data}.json").write_text(json.dumps({"full": full, **table}))


if __name__ == "__main__":
    main()
