"""Speed of the challenge's score, and its value for noisy copies of real labels.

    python benchmarks/challenge_score.py DATA     DATA/train.csv, DATA/train_annotation

1. The real labels scored against themselves, also by a scorer based on sets of frames.
2. Copies of the labels with one kind of noise each.
3. 10,000 bouts in videos of 594,030 frames, also by the scorer based on sets.

Times are the best of three (sets of frames: one) in one process. Bouts of one pair
never overlap in a copy, so every noisy copy is a submission that can be scored.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from mabe.io.readers.kaggle import read_index
from mabe.metrics import mabe_f_score, strict_f_score, watched_table
from mabe.metrics.challenge import score_table
from mabe.metrics.challenge_tables import BOUT_COLUMNS

PAIR = ("video_id", "agent_id", "target_id")
LONGEST_VIDEO_FRAMES = 594_030


def read_solution(data: Path) -> pl.DataFrame:
    """Return the labels of all videos that have metadata, as a solution."""
    lists = pl.read_csv(data / "train.csv", infer_schema=False)
    parts = []
    for info in read_index(data, splits=("train",)):
        if info.annotation_path is None:
            continue
        listed = lists.row(
            by_predicate=(pl.col("lab_id") == info.lab)
            & (pl.col("video_id") == info.video),
            named=True,
        )["behaviors_labeled"]
        about = {
            "lab_id": info.lab,
            "video_id": info.video,
            "behaviors_labeled": listed,
        }
        labels = pl.read_parquet(info.annotation_path).cast(
            dict.fromkeys(
                ("agent_id", "target_id", "start_frame", "stop_frame"), pl.Int64
            )
        )
        parts.append(labels.with_columns(**{k: pl.lit(v) for k, v in about.items()}))
    is_self = pl.col("agent_id") == pl.col("target_id")
    mouse = pl.format("mouse{}", "target_id")
    return pl.concat(parts).with_columns(
        agent_id=pl.format("mouse{}", "agent_id"),
        target_id=pl.when(is_self).then(pl.lit("self")).otherwise(mouse),
    )


def score_with_sets(solution: pl.DataFrame, submission: pl.DataFrame) -> float:
    """Score with a set of frames for everything that is marked."""
    rows = submission.rows_by_key("video_id", named=True, include_key=True)
    scores = []
    for (_,), lab in solution.group_by("lab_id"):
        true, found, lists = defaultdict(set), defaultdict(set), {}
        for row in lab.iter_rows(named=True):
            lists.setdefault(row["video_id"], row["behaviors_labeled"])
            true[key_of(row)].update(range(row["start_frame"], row["stop_frame"]))
        for video, listed in lists.items():
            watched = set(pl.Series([listed]).str.json_decode(pl.List(pl.String))[0])
            taken = defaultdict(set)
            for row in rows[video]:
                key = key_of(row)
                if ",".join(key[1:]) not in watched:
                    continue
                new = set(range(row["start_frame"], row["stop_frame"])) - found[key]
                if new & taken[key[:3]]:
                    raise ValueError(f"two actions at once in {key}")
                found[key] |= new
                taken[key[:3]] |= new
        scores.append(mean_f1(true, found))
    return float(np.mean(scores))


def key_of(row: dict) -> tuple[str, ...]:
    return tuple(row[name] for name in BOUT_COLUMNS[:4])


def mean_f1(true: dict, found: dict) -> float:
    counts = defaultdict(lambda: np.zeros(2))
    for key in {*true, *found}:
        labels, marks = true.get(key, set()), found.get(key, set())
        counts[key[3]] += 2 * len(labels & marks), len(labels) + len(marks)
    return float(
        np.mean([hits / both if both else 0 for hits, both in counts.values()])
    )


def noisy_copies(
    solution: pl.DataFrame, rng: np.random.Generator
) -> Iterator[tuple[str, pl.DataFrame, pl.DataFrame]]:
    """Yield (what was done, solution, submission)."""
    yield "nothing", solution, solution
    for frames in (1, 5, 15, 60):
        yield (
            f"shifted to and fro, frames: {frames}",
            solution,
            solution.join(shifts(solution, frames, rng), on=PAIR).with_columns(
                pl.col("start_frame") + pl.col("shift"),
                pl.col("stop_frame") + pl.col("shift"),
            ),
        )
    for share in (0.1, 0.3, 0.5):
        kept = rng.random(len(solution)) >= share
        yield f"{share:.0%} of the bouts dropped", solution, solution.filter(kept)
    for share in (0.1, 0.3, 0.5):
        yield (
            f"{share:.0%} of the bouts given another action of their pair",
            solution,
            relabel(solution, share, rng),
        )
    for share in (0.1, 0.3):
        videos = solution["video_id"].unique().sort()
        silent = videos.filter(rng.random(len(videos)) < share).implode()
        heard = solution.filter(~pl.col("video_id").is_in(silent))
        yield (
            f"labels of {share:.0%} of the videos taken from the solution",
            heard,
            solution,
        )


def shifts(
    solution: pl.DataFrame, frames: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Return a shift to and fro for each pair, so that its bouts stay apart."""
    pairs = solution.select(PAIR).unique().sort(PAIR)
    way = rng.choice([-frames, frames], len(pairs))
    return pairs.with_columns(shift=pl.Series(way))


def relabel(
    solution: pl.DataFrame, share: float, rng: np.random.Generator
) -> pl.DataFrame:
    """Give a share of the bouts another action that was watched for their pair."""
    entries = pl.col("behaviors_labeled").str.json_decode(pl.List(pl.String))
    watched = (
        solution.select("video_id", entry=entries)
        .unique("video_id", maintain_order=True)
        .explode("entry")
        .with_columns(parts=pl.col("entry").str.split(","))
        .select(
            "video_id",
            agent_id=pl.col("parts").list.get(0),
            target_id=pl.col("parts").list.get(1),
            other=pl.col("parts").list.get(2),
        )
    )
    hit = solution.with_row_index("row").filter(rng.random(len(solution)) < share)
    others = hit.join(watched, on=PAIR).filter(pl.col("action") != pl.col("other"))
    chosen = others.sample(fraction=1, shuffle=True, seed=0).unique("row", keep="first")
    return (
        solution.with_row_index("row")
        .join(chosen.select("row", "other"), on="row", how="left")
        .with_columns(action=pl.coalesce("other", "action"))
        .drop("row", "other")
    )


def long_videos(rng: np.random.Generator, *, bouts: int) -> pl.DataFrame:
    """Return bouts of two actions, spread over pairs in the longest kind of video."""
    pairs, names = 40, ("attack", "sniff")
    edges = [
        np.sort(rng.choice(LONGEST_VIDEO_FRAMES, 2 * bouts // pairs, replace=False))
        for _ in range(pairs)
    ]
    spans = np.concatenate(edges).reshape(-1, 2)
    pair = np.repeat(np.arange(pairs), bouts // pairs)
    listed = [f'"mouse{a},mouse{t},{x}"' for a in (1, 2) for t in (1, 2) for x in names]
    return pl.DataFrame(
        {
            "lab_id": "Lab",
            "video_id": [f"{p // 2}" for p in pair],
            "agent_id": [f"mouse{p % 2 + 1}" for p in pair],
            "target_id": [f"mouse{2 - p % 2}" for p in pair],
            "action": rng.choice(names, len(pair)),
            "start_frame": spans[:, 0],
            "stop_frame": spans[:, 1],
            "behaviors_labeled": f"[{', '.join(listed)}]",
        }
    )


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """Return the least time that something takes."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def compare(what: str, solution: pl.DataFrame, submission: pl.DataFrame) -> None:
    """Print score and times of both ways."""
    score = mabe_f_score(solution, submission)
    assert abs(score - score_with_sets(solution, submission)) < 1e-12
    ours = seconds(lambda: mabe_f_score(solution, submission), 3)
    theirs = seconds(lambda: score_with_sets(solution, submission))
    print(
        f"{what}: {len(solution):,} bouts against {len(submission):,}, "
        f"score {score:.6f}"
    )
    print(f"  {ours:.3f} s; sets of frames {theirs:.2f} s: {theirs / ours:.0f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with train.csv")
    data = parser.parse_args().data
    rng = np.random.default_rng(0)
    solution = read_solution(data)
    watched = watched_table(read_index(data, splits=("train",)))
    start = time.perf_counter()
    mabe_f_score(solution, solution)
    print(f"first call: {time.perf_counter() - start:.3f} s")
    compare("the labels against themselves", solution, solution)
    strict_s = seconds(lambda: strict_f_score(solution, solution, watched=watched), 3)
    print(f"  strict, with what was watched: {strict_s:.3f} s")
    one, other = (long_videos(rng, bouts=10_000) for _ in range(2))
    compare(f"videos of {LONGEST_VIDEO_FRAMES:,} frames", one, other)
    print(f"\n{'what was done to the copy':<58}{'score':>9}{'strict':>9}{'bout F1':>9}")
    for what, labels, submission in noisy_copies(solution, rng):
        table = score_table(labels, submission, watched)
        bouts = np.nanmean([lab.bout_f1 for lab in table.labs])
        print(
            f"{what:<58}{mabe_f_score(labels, submission):>9.4f}"
            f"{table.f_score():>9.4f}{bouts:>9.4f}"
        )


if __name__ == "__main__":
    main()
