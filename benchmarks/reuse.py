"""Recordings of a lab that a model has not seen: from scratch, calibrated, or reused.

    python benchmarks/reuse.py WORK
    python benchmarks/reuse.py WORK --like MABE2025 --videos 360 --labs DeliriousFly …

Simulates labs (invented ones, or with --like those of the challenge, with their real
labels). For each lab in turn, a model of all others is made; the lab's recordings are
divided into ten to learn from and the rest, which are scored. Of the ten, the first 1,
3, 5 and 10 are learned from: from the beginning, and from the model of the other labs;
from three on it is calibrated, too. Prints macro F1 over the challenge's four groups of
actions (V1, V2) on the rest, for each kind of model, and the F1 of aggressive. What is
finished is not repeated.
"""

import argparse
import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mabe.config import build_config
from mabe.data.simulate import simulate
from mabe.experiments.auto_recipe import NETWORK, SHARED
from mabe.experiments.calibrate import calibrate
from mabe.experiments.train_from import GROWN, TUNED
from mabe.inference.evaluate import Unseen, evaluate
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import load_checkpoint
from mabe.training.run import train

SIZES = (1, 3, 5, 10)
KINDS: dict[str, dict[str, Any]] = {
    "trees": {"model_type": "trees"},
    "network": {**NETWORK, "sequence_length": 300, "steps_per_epoch": 75},
}
FROM: dict[str, dict[str, Any]] = {
    "trees": dict(GROWN),
    "network": {**TUNED, "sequence_length": 300, "steps_per_epoch": 20},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--like", type=Path)
    parser.add_argument("--videos", type=int, default=90)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--labs", nargs="*")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    data = given.work / "data"
    simulate(data, like=given.like, videos=given.videos, minutes=given.minutes)
    rows = read_listing(data)
    videos = Counter(row["lab_id"] for row in rows)
    enough = sorted(lab for lab, number in videos.items() if number > max(SIZES))
    labs = given.labs or enough
    if few := sorted(set(labs) - set(enough)):
        parser.error(
            f"{few}: have {max(SIZES)} labelled videos or fewer; more --videos"
        )
    scores: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    for seed in range(given.seeds):
        for lab in labs:
            for kind in given.kinds:
                for (way, size), found in trial(given.work, rows, lab, kind, seed):
                    print(f"{lab} {kind} {way} {size} {found[0]:.3f} {found[1]:.3f}")
                    scores.setdefault((kind, way, size), []).append(found)
    print_table(scores)


def print_table(scores: dict[tuple[str, str, int], list[tuple[float, float]]]) -> None:
    """Print means over labs and seeds, and the standard deviation over them."""
    print("\n| kind | way | recordings | macro F1 (sd) | aggressive |")
    print("|---|---|---|---|---|")
    for (kind, way, size), found in sorted(scores.items()):
        all_of_them, aggressive = np.array(found).T
        print(
            f"| {kind} | {way} | {size} | {all_of_them.mean():.3f} "
            f"({all_of_them.std():.3f}) | {np.nanmean(aggressive):.3f} |"
        )


def trial(
    work: Path, rows: list[dict[str, str]], lab: str, kind: str, seed: int
) -> Iterable[tuple[tuple[str, int], tuple[float, float]]]:
    """Yield the scores of all ways and sizes in a lab that was left out."""
    place = work / f"{lab}-{kind}-{seed}"
    done = place / "scores.json"
    if done.is_file():
        for way, size, *found in json.loads(done.read_text()):
            yield (way, size), tuple(found)
        return
    own = [row for row in rows if row["lab_id"] == lab]
    own = [own[i] for i in np.random.default_rng(seed).permutation(len(own))]
    others = part(work, place / "others", [row for row in rows if row["lab_id"] != lab])
    rest = part(work, place / "rest", own[max(SIZES) :])
    base = run(others, place / "base", KINDS[kind], seed)
    kept: list[Any] = []

    def scored(way: str, size: int, model: Path) -> Any:
        found = score(model, rest)
        kept.append((way, size, *found))
        return (way, size), found

    yield scored("as it is", 0, base)
    for size in SIZES:
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


def score(model: Path, data: Path) -> tuple[float, float]:
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
    with (place / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return place


if __name__ == "__main__":
    main()
