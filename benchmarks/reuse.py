"""Recordings of a lab that a model has not seen: from scratch, calibrated, or reused.

    python benchmarks/reuse.py WORK
    python benchmarks/reuse.py WORK --like MABE2025 --videos 15 --minutes 3 --together 3

Simulates labs: invented ones, or with --like those of the challenge with their real
labels, so many videos of each, cut to the minutes with most labels. The labs are held
out in turn, --together at a time, and a model of all others is made. The recordings of
a lab are divided into ten to learn from and the rest, which are scored. Of the ten, the
first 1, 3, 5 and 10 are learned from, where at least three are left to score: from the
beginning, and from the model of the other labs; from three on it is calibrated, too.
Prints macro F1 over the challenge's four groups of actions (V1, V2) on the rest, for
each kind of model, and the F1 of aggressive. What is finished is not repeated.
"""

import argparse
import csv
import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mabe.config import build_config
from mabe.data.simulate import simulate
from mabe.experiments.auto_recipe import NETWORK, SHARED
from mabe.experiments.calibrate import calibrate
from mabe.experiments.train_from import GROWN, TUNED
from mabe.inference.evaluate import Unseen, evaluate
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import load_checkpoint
from mabe.scene_task import CHALLENGE_CLASSES
from mabe.training.run import train

SIZES = (1, 3, 5, 10)
WAYS = ("as it is", "calibrate", "--from", "scratch")
SHOWN = 3
"""Recordings that each lab's scores are printed from."""
FEWEST_SCORED = 3
"""Recordings of a lab that are left to score, at least."""
INVENTED_LABS = 6
KINDS: dict[str, dict[str, Any]] = {
    "trees": {"model_type": "trees"},
    "network": {**NETWORK, "sequence_length": 300, "steps_per_epoch": 75},
}
FROM: dict[str, dict[str, Any]] = {
    "trees": dict(GROWN),
    "network": {**TUNED, "sequence_length": 300, "steps_per_epoch": 20},
}


@dataclass(frozen=True)
class Score:
    """F1 on a lab's recordings of a model that learned from `size` others of it."""

    lab: str
    kind: str
    way: str
    size: int
    macro_f1: float
    aggressive: float
    """NaN where it does not occur."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--like", type=Path)
    parser.add_argument("--videos", type=int, help="of each lab")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--labs", nargs="*")
    parser.add_argument("--together", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    data = given.work / "data"
    per_lab = given.videos or max(SIZES) + 5
    if given.like is None:
        simulate(data, videos=per_lab * INVENTED_LABS, minutes=given.minutes)
    else:
        place = given.work / f"like-{per_lab}-{given.minutes:g}"
        cut = cut_clips(given.like, place, per_lab, given.minutes)
        simulate(data, like=cut)
    rows = [row for row in read_listing(data) if has_actions_of_classes(row)]
    videos = Counter(row["lab_id"] for row in rows)
    enough = sorted(lab for lab, number in videos.items() if sizes_for(number))
    labs = given.labs or enough
    if few := sorted(set(labs) - set(enough)):
        parser.error(f"{few}: have too few labelled videos; more --videos")
    if set(labs) == set(videos) and given.together >= len(labs):
        parser.error("--together: leave at least one lab to make a model of")
    scores = []
    for seed in range(given.seeds):
        for start in range(0, len(labs), given.together):
            held_out = labs[start : start + given.together]
            for lab in held_out:
                for kind in given.kinds:
                    for score in trial(given.work, rows, held_out, lab, kind, seed):
                        print(lab, kind, score.way, score.size, cell([score]))
                        scores.append(score)
    for kind in given.kinds:
        print_tables([score for score in scores if score.kind == kind], kind)


def cut_clips(like: Path, place: Path, per_lab: int, minutes: float) -> Path:
    """Write a data set of some videos of each lab, cut to where most is labelled."""
    if (place / "train.csv").is_file():
        return place
    by_lab = defaultdict(list)
    for row in read_listing(like):
        if _annotation(like, row).is_file():
            by_lab[row["lab_id"]].append(row)
    rows = []
    for lab, found in sorted(by_lab.items()):
        (place / "train_annotation" / lab).mkdir(parents=True, exist_ok=True)
        order = np.random.default_rng(0).permutation(len(found))[:per_lab]
        for row in (found[i] for i in order):
            fps = float(row["frames_per_second"])
            frames = round(fps * min(60 * minutes, float(row["video_duration_sec"])))
            bouts = _cut(pl.read_parquet(_annotation(like, row)), frames)
            bouts.write_parquet(_annotation(place, row))
            rows.append(row | {"video_duration_sec": str(frames / fps)})
    write_listing(place, rows)
    return place


def _annotation(folder: Path, row: dict[str, str]) -> Path:
    return folder / "train_annotation" / row["lab_id"] / f"{row['video_id']}.parquet"


def _cut(bouts: pl.DataFrame, frames: int) -> pl.DataFrame:
    """Return the bouts of the stretch of so many frames that holds most labels.

    It begins where a bout begins, and its first frame becomes frame 0.
    """
    starts, stops = bouts["start_frame"].to_numpy(), bouts["stop_frame"].to_numpy()
    begin = max(
        (int(start) for start in starts),
        key=lambda s: (
            np.clip(stops, s, s + frames).sum() - np.clip(starts, s, s + frames).sum()
        ),
        default=0,
    )
    inside = (starts < begin + frames) & (stops > begin)
    return bouts.filter(pl.Series(inside)).with_columns(
        (pl.col(name).cast(pl.Int64).clip(begin, begin + frames) - begin).cast(
            bouts.schema[name]
        )
        for name in ("start_frame", "stop_frame")
    )


def has_actions_of_classes(row: dict[str, str]) -> bool:
    """Return whether any action that was watched is in a group of V1 and V2."""
    watched = re.findall(r"[\w ]+", row["behaviors_labeled"])
    return any(action in watched for action in chain(*CHALLENGE_CLASSES.values()))


def sizes_for(videos: int) -> tuple[int, ...]:
    """Return the numbers to learn from that leave enough of a lab's to score."""
    return tuple(size for size in SIZES if size + FEWEST_SCORED <= videos)


def print_tables(scores: list[Score], kind: str) -> None:
    """Print means over labs and seeds, then those of each lab from `SHOWN` recordings.

    A row is of the labs that have so many recordings, in all its columns.
    """
    header = f"{' | '.join(WAYS)} |\n|---|---{'|---' * len(WAYS)}|"
    print(f"\n{kind}: macro F1 ± standard deviation, F1 of aggressive\n")
    print(f"| recordings | labs | {header}")
    for size in SIZES:
        labs = {score.lab for score in scores if score.size == size}
        of_labs = [score for score in scores if score.lab in labs]
        print(f"| {size} | {len(labs)} | {' | '.join(cells(of_labs, size))} |")
    print(f"\n| lab | recordings | {header}")
    for lab in sorted({score.lab for score in scores}):
        of_lab = [score for score in scores if score.lab == lab]
        print(f"| {lab} | {SHOWN} | {' | '.join(cells(of_lab, SHOWN))} |")


def cells(scores: list[Score], size: int) -> Iterable[str]:
    """Yield what each way has, from so many recordings."""
    for way in WAYS:
        yield cell(
            [each for each in scores if each.way == way and each.size in (size, 0)]
        )


def cell(scores: list[Score]) -> str:
    """Return the mean macro F1 and the mean F1 of aggressive where it occurs."""
    if not scores:
        return "-"
    macro_f1 = np.array([score.macro_f1 for score in scores])
    known = [score.aggressive for score in scores if not np.isnan(score.aggressive)]
    spread = f" ± {macro_f1.std():.3f}" if len(scores) > 1 else ""
    aggressive = f"{np.mean(known):.3f}" if known else "-"
    return f"{macro_f1.mean():.3f}{spread}, {aggressive}"


def trial(
    work: Path,
    rows: list[dict[str, str]],
    held_out: list[str],
    lab: str,
    kind: str,
    seed: int,
) -> Iterable[Score]:
    """Yield the scores of all ways and sizes in a lab, one of those left out."""
    without = work / f"without-{'-'.join(held_out)}-{kind}-{seed}"
    place = without / lab
    done = place / "scores.json"
    if done.is_file():
        for way, size, *found in json.loads(done.read_text()):
            yield Score(lab, kind, way, size, *found)
        return
    own = [row for row in rows if row["lab_id"] == lab]
    own = [own[i] for i in np.random.default_rng(seed).permutation(len(own))]
    sizes = sizes_for(len(own))
    others = [row for row in rows if row["lab_id"] not in held_out]
    if not (without / "base").is_dir():
        part(work, without / "others", others)
    base = run(without / "others", without / "base", KINDS[kind], seed)
    rest = part(work, place / "rest", own[max(sizes) :])
    kept: list[Any] = []

    def scored(way: str, size: int, model: Path) -> Score:
        found = f1_scores(model, rest)
        kept.append((way, size, *found))
        return Score(lab, kind, way, size, *found)

    yield scored("as it is", 0, base)
    for size in sizes:
        some = part(work, place / f"{size}", own[:size])
        yield scored("scratch", size, run(some, place / f"s{size}", KINDS[kind], seed))
        reused = FROM[kind] | {"from_model": base}
        more = {**KINDS[kind], **reused}
        yield scored("--from", size, run(some, place / f"f{size}", more, seed))
        if size >= 3:
            predictor = Predictor(load_checkpoint(base))
            out = place / f"c{size}"
            yield scored("calibrate", size, calibrate(predictor, some, out).model)
    done.write_text(json.dumps(kept))


def run(data: Path, place: Path, settings: dict[str, Any], seed: int) -> Path:
    """Train one model on all recordings of a folder; return its file."""
    model = place / "last.safetensors"
    if not model.is_file():
        values = {
            **SHARED,
            "fps": 10.0,
            **settings,
            "data_dir": data,
            "checkpoint_dir": place,
            "hold_out": False,
            "seed": seed,
        }
        train(build_config(values, where="benchmark"))
    return model


def f1_scores(model: Path, data: Path) -> tuple[float, float]:
    """Return macro F1, and the F1 of aggressive; NaN where it does not occur."""
    scores = evaluate(Unseen(Predictor(load_checkpoint(model)), data))
    f1 = {row["class"]: row["f1"] for row in scores.to_frame().iter_rows(named=True)}
    aggressive = f1.get("aggressive")
    return scores.macro_f1 or 0.0, float("nan") if aggressive is None else aggressive


def read_listing(data: Path) -> list[dict[str, str]]:
    """Return the labelled videos of a data set."""
    with (data / "train.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["behaviors_labeled"]]


def part(work: Path, place: Path, rows: list[dict[str, str]]) -> Path:
    """Write a data set of some videos, its files linked."""
    if place.exists():
        shutil.rmtree(place)
    for kind in ("train_tracking", "train_annotation"):
        for row in rows:
            name = f"{row['video_id']}.parquet"
            source = work / "data" / kind / row["lab_id"] / name
            if source.is_file():
                target = place / kind / row["lab_id"] / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(source)
    write_listing(place, rows)
    return place


def write_listing(place: Path, rows: list[dict[str, str]]) -> None:
    """Write train.csv."""
    with (place / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
